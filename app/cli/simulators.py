"""Simulators of the systems around, each a process of its own."""

import importlib
from pathlib import Path
from typing import Annotated

import typer

from app.core.settings import Settings

cli = typer.Typer()


@cli.command("simulate-ordering")
def simulate_ordering(
    store: Annotated[Path, typer.Option(help="The SQLite file that holds its orders.")],
    host: str = "127.0.0.1",
    port: int = 8022,
    callback_url: Annotated[str, typer.Option(help="Where events are sent.")] = "",
    dials: Annotated[
        str, typer.Option(help="Dials as JSON, as in '{\"error_after\": 0.1}'; see PUT /dials.")
    ] = "{}",
) -> None:
    """Run the simulator of an ordering system (TMF622 v4), as a process of its own.

    The tokens are read from YINGWEI_ORDERING_TOKEN and YINGWEI_ORDERING_CALLBACK_TOKEN.
    """
    from app.ordering.simulator import Dials, serve

    settings = Settings()
    serve(
        host,
        port,
        store,
        Dials.model_validate_json(dials),
        callback_url or None,
        callback_token=settings.ordering_callback_token.get_secret_value(),
        token=settings.ordering_token.get_secret_value(),
    )


def _small(room: str, port: int, *, store: str, example: str, about: str) -> None:
    """Add the command that runs the small simulator of a room, at its usual port."""

    @cli.command(f"simulate-{room.replace('_', '-')}", help=about)
    def simulate(
        store: Annotated[Path, typer.Option(help=f"The SQLite file that holds {store}.")],
        host: str = "127.0.0.1",
        port: int = port,
        dials: Annotated[
            str, typer.Option(help=f"Dials as JSON, as in '{example}'; see PUT /dials.")
        ] = "{}",
    ) -> None:
        simulator = importlib.import_module(f"app.{room}.simulator")
        token = getattr(Settings(), f"{room}_token").get_secret_value()
        simulator.serve(host, port, store, simulator.Dials.model_validate_json(dials), token=token)


_small(
    "activation",
    8023,
    store="what it opened",
    example='{"no_light": 0.1}',
    about="""Run the simulator of an activation platform, as a process of its own.

    The token is read from YINGWEI_ACTIVATION_TOKEN.
    """,
)
_small(
    "messaging",
    8024,
    store="its messages",
    example='{"refused": 0.1}',
    about="""Run the simulator of a messaging provider, as a process of its own.

    The token is read from YINGWEI_MESSAGING_TOKEN; a phone's messages are at /inbox/{number}.
    """,
)
_small(
    "serviceability",
    8025,
    store="what was set of lines",
    example='{"slow": 0.1}',
    about="""Run the simulator of the system that knows what lines can do, by itself.

    It speaks TMF645 v4 and TMF679 v4.

    The token is read from YINGWEI_SERVICEABILITY_TOKEN.
    """,
)
_small(
    "real_name",
    8026,
    store="what it said",
    example='{"mismatch": 0.1}',
    about="""Run the simulator of a system that checks documents, as a process of its own.

    The token is read from YINGWEI_REAL_NAME_TOKEN.
    """,
)
