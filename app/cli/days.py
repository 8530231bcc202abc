"""A day's work: orders in from a file, plans, ways, and what became of the sales."""

from datetime import datetime
from pathlib import Path
from typing import Annotated
from uuid import UUID

import typer

from app.core.geo import CoordSys
from app.core.settings import Settings

cli = typer.Typer()
travel = typer.Typer(no_args_is_help=True)


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


@travel.command("learn")
def travel_learn() -> None:
    """Learn how long ways take from the check-ins of every night that is over, with a bar.

    Workers do the same by themselves at night. Stopped in the middle, it goes on where it was.
    """
    from app.travel.command import learn

    learn(Settings())


@travel.command("roads")
def travel_roads() -> None:
    """Ask the routing engine of the settings how long the roads between grids take, with a bar.

    Workers do the same by themselves, some grids a minute. Stopped in the middle, it goes on where
    it was; what it says is in force after the next night's learning.
    """
    from app.travel.command import roads

    if not roads(Settings()):
        raise typer.Exit(1)


@cli.command("reconcile")
def reconcile(
    day: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="A local day; yesterday without.")
    ] = None,
    org: Annotated[str, typer.Option(help="The code of the org unit; all without.")] = "",
) -> None:
    """Compare the sales of a day with the ordering system, with a bar, and print what it came to.

    Workers do the same every night.
    """
    import app.tables  # noqa: F401 - foreign keys reach into other rooms
    from app.reconciliation import command

    if command.run(Settings(), day=day.date() if day else None, org_unit_code=org) is None:
        raise typer.Exit(1)
