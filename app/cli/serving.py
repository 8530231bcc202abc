"""Processes that go on: the API, the worker, and the demo."""

import asyncio
import gc
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import typer

from app.core.settings import Settings

cli = typer.Typer()


@cli.command()
def serve(
    host: str = "127.0.0.1",
    port: int = 8000,
    processes: Annotated[int, typer.Option(help="API processes; they share nothing.")] = 1,
) -> None:
    """Serve the API."""
    import uvicorn

    # h11, because httptools drops the body of a request that offers `Upgrade: h2c`, as Java's
    # default client does in clear text: an ordering system's callbacks would arrive empty.
    uvicorn.run(
        "app.cli.serving:serving",
        factory=True,
        host=host,
        port=port,
        workers=processes,
        http="h11",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
    )


def serving() -> object:
    """Make the application from the environment's settings; what `serve` runs in each process."""
    from app.main import create_app

    app = create_app(Settings())
    # What is loaded now stays for good, and requests make many short-lived objects: looking
    # through all of them as often as Python does by default costs bulk intake a quarter.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)

    # A server that is to stop waits for its answers, and a stream has no end of its own. The
    # server has set its handlers by now.
    def stop(number: int, frame: FrameType | None, then: Any) -> None:
        for told in ("changes", "news"):
            if hasattr(app.state, told):
                getattr(app.state, told).stop()
        then(number, frame)

    for number in (signal.SIGINT, signal.SIGTERM):
        then = signal.getsignal(number)
        if callable(then):
            signal.signal(number, partial(stop, then=then))
    return app


@cli.command()
def worker(concurrency: int = 8) -> None:
    """Work off the jobs: deliveries to the ordering system, placing anew, what is periodic."""
    from app.worker import work

    with asyncio.Runner(loop_factory=_quick_loop()) as runner:
        runner.run(work(Settings(), concurrency=concurrency))


def _quick_loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Find the event loop that the API runs on, too: what goes over sockets costs less on it than
    on Python's own, which is used where there is no other."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


@cli.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    from app.migrating import upgrade

    upgrade(Settings().database_url)


@cli.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep/--throw-away", help="Keep the database and go on serving.")
    ] = True,
    seconds: Annotated[float, typer.Option(min=10, help="How long the day takes.")] = 100,
    orders: Annotated[int, typer.Option(min=30, max=600, help="How many arrive.")] = 300,
    technicians: Annotated[
        int, typer.Option(min=4, max=80, help="How many technicians of all branches come to work.")
    ] = 80,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path(
        ".local/demo"
    ),
    port: Annotated[int | None, typer.Option(help="The API's port; 8000 if it is free.")] = None,
) -> None:
    """Play one working day of the demo city through the API and print it as a table."""
    from app.demo.run import Wishes, run

    raise typer.Exit(run(Wishes(keep, seconds, orders, technicians, folder.absolute(), port)))


@cli.command(
    "phone",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
def phone(context: typer.Context) -> None:
    """A technician's phone that works without a network: see `yingwei phone --help`."""
    from app.phone.command import cli as phones

    phones(context.args, prog_name="yingwei phone")
