"""yingwei: the command line of the product."""

import asyncio
import gc
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Annotated, Any
from uuid import UUID

import typer

from app.core.cluster import ClusterFailed, PostgresMissing
from app.core.errors import Problem
from app.core.geo import CoordSys
from app.core.settings import Settings
from app.grids.rules import GridKind, ImportMode
from app.suggestions.rules.model import PolicyState
from app.territory.rules.blocks import RankBy
from app.territory.rules.growth import CoveredBy

ROOT = Path(__file__).resolve().parent.parent

cli = typer.Typer(
    no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False
)

grids = typer.Typer(
    no_args_is_help=True, help="Grids: layers in and out, addresses that follow, growth."
)
cli.add_typer(grids, name="grids")
privacy = typer.Typer(
    no_args_is_help=True, help="Persons' data: export, erase, and forget what is over."
)
cli.add_typer(privacy, name="privacy")
travel = typer.Typer(no_args_is_help=True, help="How long ways take.")
cli.add_typer(travel, name="travel")
policy = typer.Typer(no_args_is_help=True, help="What suggestions learn, and who lets it decide.")
cli.add_typer(policy, name="policy")
lifecycle = typer.Typer(no_args_is_help=True, help="Where customers stand.")
cli.add_typer(lifecycle, name="lifecycle")


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
        "app.cli:serving",
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
        if hasattr(app.state, "changes"):
            app.state.changes.stop()
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

    asyncio.run(work(Settings(), concurrency=concurrency))


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


@cli.command("simulate-activation")
def simulate_activation(
    store: Annotated[Path, typer.Option(help="The SQLite file that holds what it opened.")],
    host: str = "127.0.0.1",
    port: int = 8023,
    dials: Annotated[
        str, typer.Option(help="Dials as JSON, as in '{\"no_light\": 0.1}'; see PUT /dials.")
    ] = "{}",
) -> None:
    """Run the simulator of an activation platform, as a process of its own.

    The token is read from YINGWEI_ACTIVATION_TOKEN.
    """
    from app.activation.simulator import Dials, serve

    token = Settings().activation_token.get_secret_value()
    serve(host, port, store, Dials.model_validate_json(dials), token=token)


@cli.command("simulate-messaging")
def simulate_messaging(
    store: Annotated[Path, typer.Option(help="The SQLite file that holds its messages.")],
    host: str = "127.0.0.1",
    port: int = 8024,
    dials: Annotated[
        str, typer.Option(help="Dials as JSON, as in '{\"refused\": 0.1}'; see PUT /dials.")
    ] = "{}",
) -> None:
    """Run the simulator of a messaging provider, as a process of its own.

    The token is read from YINGWEI_MESSAGING_TOKEN; a phone's messages are at /inbox/{number}.
    """
    from app.messaging.simulator import Dials, serve

    token = Settings().messaging_token.get_secret_value()
    serve(host, port, store, Dials.model_validate_json(dials), token=token)


@cli.command()
def migrate() -> None:
    """Bring the database's tables up to date."""
    from app.migrating import upgrade

    upgrade(Settings().database_url)


@cli.command()
def openapi(
    check: Annotated[bool, typer.Option(help="Only tell whether the file is up to date.")] = False,
) -> None:
    """Write api_docs/openapi.json from the code."""
    import json

    from app.main import create_app

    document = json.dumps(create_app(Settings()).openapi(), ensure_ascii=False, indent=1) + "\n"
    _keep("openapi.json", document, check, "make openapi")


@cli.command()
def problems(
    check: Annotated[bool, typer.Option(help="Only tell whether the file is up to date.")] = False,
) -> None:
    """Write api_docs/problems.md, the catalogue of refusals, from the code."""
    from app.problems import page

    _keep("problems.md", page(), check, "yingwei problems")


def _keep(name: str, document: str, check: bool, writing: str) -> None:
    """Write a file of api_docs, or only compare it with what would be written."""
    path = ROOT / "api_docs" / name
    if not check:
        path.parent.mkdir(exist_ok=True)
        path.write_text(document, encoding="utf-8")
        typer.echo(f"wrote {path.relative_to(ROOT)}")
        return
    if not path.exists() or path.read_text(encoding="utf-8") != document:
        typer.echo(f"api_docs/{name} differs from the code: run `{writing}`", err=True)
        raise typer.Exit(1)
    typer.echo(f"api_docs/{name} equals the code")


@cli.command("first-admin")
def first_admin(
    username: str,
    org_code: Annotated[str, typer.Option(help="The top unit's code, such as gd.")],
    org_name_zh: Annotated[str, typer.Option(help="Its Chinese name.")],
    org_name_en: Annotated[str, typer.Option(help="Its English name.")],
    password: Annotated[
        str,
        typer.Option(
            envvar="YINGWEI_ADMIN_PASSWORD",
            prompt=True,
            confirmation_prompt=True,
            hide_input=True,
            help="Asked for when it is not in the environment.",
        ),
    ],
) -> None:
    """Make the top org unit and its first administrator, who can make all the rest."""
    import app.tables  # noqa: F401 - an account's foreign keys reach into rooms above
    from app.auth import command

    made = command.first_admin(
        Settings(),
        username=username,
        password=password,
        org_code=org_code,
        org_name_zh=org_name_zh,
        org_name_en=org_name_en,
    )
    typer.echo(f"{made} can sign in now")


@cli.command()
def token(
    username: str,
    scope: Annotated[str, typer.Option(help="Fewer scopes, separated by spaces.")] = "",
) -> None:
    """Print an access token of an account, for trying the API out; it leaves an audit entry."""
    import app.tables  # noqa: F401 - an account's foreign keys reach into rooms above
    from app.auth import command

    typer.echo(command.token(Settings(), username, scope))


@cli.command()
def demo(
    keep: Annotated[
        bool, typer.Option("--keep/--throw-away", help="Keep the database and go on serving.")
    ] = True,
    seconds: Annotated[float, typer.Option(min=10, help="How long the day takes.")] = 100,
    orders: Annotated[int, typer.Option(min=30, max=600, help="How many arrive.")] = 400,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path(
        ".local/demo"
    ),
    port: Annotated[int | None, typer.Option(help="The API's port; 8000 if it is free.")] = None,
) -> None:
    """Play one working day of the demo city through the API and print it as a table."""
    from app.demo.run import Wishes, run

    raise typer.Exit(run(Wishes(keep, seconds, orders, folder.absolute(), port)))


@grids.command("import")
def import_grids(
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="GeoJSON, a zipped Shapefile or a GeoPackage."
        ),
    ],
    coordsys: Annotated[CoordSys, typer.Option(help="The coordinate system of the file.")],
    name_field: Annotated[str, typer.Option(help="The property that names a grid.")],
    org_unit: Annotated[str, typer.Option(help="The code of the org unit that gets the grids.")],
    code_field: Annotated[str | None, typer.Option(help="The property that is its code.")] = None,
    prefix: Annotated[str, typer.Option(help="Put before each code.")] = "",
    layer: Annotated[str | None, typer.Option(help="Which of several layers in the file.")] = None,
    kind: GridKind = GridKind.COMPOUND,
    mode: Annotated[
        ImportMode, typer.Option(help="Replace retires the unit's grids not in the file.")
    ] = ImportMode.MERGE,
    accept_repair: Annotated[
        bool, typer.Option("--accept-repair", help="Repair whatever it does to an area.")
    ] = False,
    skip_refused: Annotated[bool, typer.Option(help="Leave out what must be refused.")] = False,
    dry_run: Annotated[bool, typer.Option(help="Only report what it would do.")] = False,
) -> None:
    """Import a layer of grids and report on each feature, on overlaps and on gaps."""
    import app.tables  # noqa: F401 - a change's foreign keys reach into rooms above
    from app.grids.command import Options, import_file

    options = Options(
        coordsys=coordsys,
        name_field=name_field,
        code_field=code_field,
        org_unit_code=org_unit,
        prefix=prefix,
        layer=layer,
        kind=kind,
        mode=mode,
        accept_repair=accept_repair,
        skip_refused=skip_refused,
        dry_run=dry_run,
    )
    import_file(Settings(), file, options)


@grids.command("export")
def export_grids(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write GeoJSON.")],
    coordsys: Annotated[CoordSys, typer.Option(help="The coordinate system of the file.")],
    org_unit: Annotated[str, typer.Option(help="The code of the org unit; all under it too.")],
    at: Annotated[
        datetime | None, typer.Option(help="As the map was then, in UTC, instead of now.")
    ] = None,
) -> None:
    """Write the grids of an org unit to a file that an import reads again."""
    from app.grids.command import export_file

    at = at and at.replace(tzinfo=UTC)
    export_file(Settings(), file, coordsys=coordsys, org_unit_code=org_unit, at=at)


@grids.command("relocate")
def relocate_addresses() -> None:
    """Let the customers' addresses follow the map, with a bar; workers do the same by themselves.

    Stopped in the middle, it goes on where it was.
    """
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.territory.command import relocate

    relocate(Settings())


@grids.command("growth")
def grids_growth(
    org_unit: Annotated[str, typer.Option(help="The code of the org unit.")],
    on: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A local day; today without.")
    ] = None,
    covered_by: Annotated[
        CoveredBy, typer.Option(help="What makes a grid a part of a block.")
    ] = CoveredBy.STAGE,
    rank_by: Annotated[
        RankBy, typer.Option(help="What the next grids are chosen for.")
    ] = RankBy.JOINS,
    top: Annotated[int, typer.Option(min=1, max=200, help="How many are listed.")] = 10,
) -> None:
    """Print how far an org unit's grids have grown: stages, blocks, next best, road map."""
    from app.territory.picture import show_growth

    show_growth(
        Settings(),
        org_unit_code=org_unit,
        on=on.date() if on else None,
        covered_by=covered_by,
        rank_by=rank_by,
        top=top,
    )


@travel.command("learn")
def travel_learn() -> None:
    """Learn how long ways take from the check-ins of every night that is over, with a bar.

    Workers do the same by themselves at night. Stopped in the middle, it goes on where it was.
    """
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.travel.command import learn

    learn(Settings())


@travel.command("roads")
def travel_roads() -> None:
    """Ask the routing engine of the settings how long the roads between grids take, with a bar.

    Workers do the same by themselves, some grids a minute. Stopped in the middle, it goes on where
    it was; what it says is in force after the next night's learning.
    """
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.travel.command import roads

    if not roads(Settings()):
        raise typer.Exit(1)


AsAdmin = Annotated[str, typer.Option("--as", help="The administrator in whose name it is done.")]
Purpose = Annotated[str, typer.Option("--reason", help="Why, as it is written down.")]


@privacy.command("export")
def privacy_export(code: str, as_: AsAdmin, reason: Purpose) -> None:
    """Print everything that is kept of a customer, given by code, as one JSON document."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.privacy.command import export

    print(export(Settings(), username=as_, code=code, reason=reason).decode())


@privacy.command("erase")
def privacy_erase(code: str, as_: AsAdmin, reason: Purpose) -> None:
    """Make everything that is kept of a customer nobody's; refused while they are served."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.privacy.command import erase

    told = erase(Settings(), username=as_, code=code, reason=reason)
    for table, count in sorted(told["rows"].items()):
        print(f"{table}: {count}")


@privacy.command("sweep")
def privacy_sweep() -> None:
    """End what has been kept long enough, in small batches. Workers do it once a day."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.privacy.command import sweep

    for name, count in sweep(Settings()).items():
        print(f"{name}: {count}")


By = Annotated[str, typer.Option(help="The administrator in whose name it is done.")]
Why = Annotated[str, typer.Option(help="Why; it is kept with the step.")]


@policy.command("list")
def policy_list() -> None:
    """Print who decides about offers now, what has drifted, and the latest models."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.policies.command import show

    show(Settings())


@policy.command("learn")
def policy_learn(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print nothing.")] = False,
) -> None:
    """Learn from the answers up to the last night, judge what came of it, and add up the days.

    Workers start the same by themselves at night; whoever finds the night done does nothing.
    """
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.policies.command import learn

    learn(Settings(), quiet=quiet)


@policy.command("evaluate")
def policy_evaluate(version: Annotated[str, typer.Argument(help="As `list` prints it.")]) -> None:
    """Print what a model would have earned on the last season's log, beside the one in force."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.policies.command import evaluate

    evaluate(Settings(), version)


@policy.command("work-out", hidden=True)
def policy_work_out(evaluation_id: str) -> None:
    """Work out an evaluation that waits: what a worker starts as a process of its own."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.policies.command import work_out

    work_out(Settings(), UUID(evaluation_id))


@policy.command("promote")
def policy_promote(
    version: Annotated[str, typer.Argument(help="As `list` prints it.")],
    to: Annotated[PolicyState, typer.Argument(help="Where it shall stand.")],
    by: By,
    reason: Why,
) -> None:
    """Let a model take its next step, or retire it; a second person agrees by the same command."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.policies.command import promote

    typer.echo(promote(Settings(), version, to, reason, by))


@policy.command("switch")
def policy_switch(
    rules_only: Annotated[
        bool, typer.Option("--rules-only/--policies", help="Who decides from now on.")
    ],
    by: By,
) -> None:
    """Let the rules alone decide for everybody from now on, or the policies again."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.policies.command import switch

    typer.echo(switch(Settings(), rules_only, by))


@cli.command("import-orders")
def import_orders(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV, or CSV.gz.")],
    map_file: Annotated[
        Path, typer.Option("--map", exists=True, dir_okay=False, help="YAML: column to field.")
    ],
    source: Annotated[str, typer.Option(help="What the orders' source is called.")],
    coordsys: Annotated[CoordSys | None, typer.Option(help="Unless the map says it.")] = None,
    org_unit: Annotated[
        str | None, typer.Option(help="The code of the unit that takes them in, without --url.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="A server's address; without, the database.")] = (
        None
    ),
    token: Annotated[
        str, typer.Option(envvar="YINGWEI_TOKEN", help="An access token, with --url.")
    ] = "",
    refused: Annotated[Path | None, typer.Option(help="Where to write refused rows (CSV).")] = None,
) -> None:
    """Take in orders from a CSV file by a map of its columns, and report on each verdict."""
    from app.dispatch.command import import_orders as run

    run(
        Settings(),
        file,
        map_file=map_file,
        source=source,
        coordsys=coordsys,
        org_unit_code=org_unit,
        url=url,
        token=token,
        refused_file=refused,
    )


@cli.command("plan")
def plan_day(
    org_unit: Annotated[str, typer.Argument(help="The code of the org unit.")] = "",
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A local day; tomorrow without.")
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(min=1, max=600, help="Processor time of the search.")
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Or steps: the same plan on any machine.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the search.")] = 0,
    publish: Annotated[bool, typer.Option("--publish", help="Let it be the day's plan.")] = False,
    again: Annotated[
        str | None,
        typer.Option(help="The id of a plan: make it again from its inputs, and compare."),
    ] = None,
) -> None:
    """Plan a day of an org unit, with a bar, and print what it comes to; it is a draft."""
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.planning import command

    if again is not None:
        raise typer.Exit(0 if command.again(Settings(), UUID(again)) else 1)
    if not org_unit:
        raise typer.BadParameter("say the org unit")
    options = command.Options(
        org_unit, day.date() if day else None, seconds, iterations, seed, publish
    )
    command.plan(Settings(), options)


@lifecycle.command("run")
def lifecycle_run() -> None:
    """Tell now where all customers stand; workers do the same every night."""
    from app.lifecycle import command

    command.run(Settings())


class Kind(StrEnum):
    """What a file for `yingwei load` is about."""

    TECHNICIANS = "technicians"
    CUSTOMERS = "customers"
    ADDRESSES = "addresses"
    SUBSCRIPTIONS = "subscriptions"
    MONTHS = "months"
    CONTACTS = "contacts"
    TERMINALS = "terminals"
    LEAVERS = "leavers"
    CATALOGUE = "catalogue"
    WORK_TYPES = "work-types"
    PROMISE_RULES = "promise-rules"
    FOLLOW_UP_RULES = "follow-up-rules"
    TOOLKITS = "toolkits"
    CARE_RULES = "care-rules"
    STOP_RULES = "stop-rules"
    WORKING_HOURS = "working-hours"
    CALENDAR = "calendar"
    ESCALATION_RULES = "escalation-rules"
    SLOTS = "slots"
    PARAMETERS = "parameters"
    ROAD_MAP = "road-map"
    CHURN_CARDS = "churn-cards"


@cli.command()
def load(
    kind: Annotated[Kind, typer.Argument(help="What the file is about.")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="CSV or YAML.")],
    encoding: Annotated[str, typer.Option(help="gb18030 for CSV from a spreadsheet.")] = "utf-8",
    skip_refused: Annotated[bool, typer.Option(help="Load the good lines alone.")] = False,
) -> None:
    """Load a file in one transaction: all of it, or nothing and each bad line named."""
    from seed.command import load_file

    load_file(Settings(), kind.value, file, encoding=encoding, skip_refused=skip_refused)


def _ended(number: int, _frame: object) -> None:
    sys.exit(128 + number)


def main() -> None:
    """Run the command line; refusals are shown in words, with exit code 1 or 2 (install first)."""
    # A request to stop is a normal end, so that what was started is stopped too.
    for asked in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(asked, _ended)
    run()


def run(words: Sequence[str] | None = None) -> None:
    """Run one command, of the process's own words unless given; it ends with SystemExit."""
    try:
        cli(words)
    except Problem as problem:
        print(f"{problem.title.zh} · {problem.title.en}", file=sys.stderr)
        print(f"{problem.detail('zh')}\n{problem.detail('en')}", file=sys.stderr)
        sys.exit(1)
    except (PostgresMissing, ClusterFailed) as failed:
        print(failed, file=sys.stderr)
        sys.exit(failed.exit_code)


if __name__ == "__main__":
    main()
