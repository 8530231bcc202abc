"""Grids: layers in and out, addresses that follow, growth."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from app.core.geo import CoordSys
from app.core.settings import Settings
from app.grids.rules import GridKind, ImportMode
from app.territory.rules.blocks import RankBy
from app.territory.rules.growth import CoveredBy

grids = typer.Typer(no_args_is_help=True)


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
