"""`yingwei grids import`: the same import as over HTTP, with its report as tables."""

import asyncio
from pathlib import Path

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from app.auth import audit
from app.auth.models import OrgUnit
from app.core.clock import clock_from
from app.core.db import open_database
from app.core.errors import NotFound
from app.core.geo import CoordSys
from app.core.settings import Settings
from app.grids import importing
from app.grids.layers import Coverage, Layer, Verdict, coverage, read_layer
from app.grids.rules import GridKind

MOST_LINES = 40


def import_file(
    settings: Settings,
    file: Path,
    *,
    coordsys: CoordSys,
    name_field: str,
    code_field: str | None,
    org_unit_code: str,
    prefix: str,
    kind: GridKind,
    skip_refused: bool,
    dry_run: bool,
) -> None:
    """Import a GeoJSON file into the settings' database and print what became of each feature.

    A dry run prints the same and writes nothing. Raises what `layers.read_layer` and
    `importing.write_layer` raise, and NotFound for an unknown org unit; then nothing is imported.
    """
    console = Console()
    with console.status("reading and comparing the boundaries"):
        layer = read_layer(
            file.read_bytes(),
            coordsys=coordsys,
            name_field=name_field,
            code_field=code_field,
            prefix=prefix,
        )
        compared = coverage(layer.boundaries())
    _tell(console, layer, compared)

    async def write() -> importing.Imported:
        database = open_database(settings)
        database.before_commit = audit.record
        try:
            async with database.begin() as tx:
                audit.acting(tx, "command_line_grids_import")
                unit = await tx.scalar(select(OrgUnit.id).where(OrgUnit.code == org_unit_code))
                if unit is None:
                    raise NotFound(org_unit_code=org_unit_code)
                return await importing.write_layer(
                    tx,
                    layer,
                    org_unit_id=unit,
                    kind=kind,
                    source=f"import:{file.name}:{coordsys.value}",
                    now=clock_from(settings.clock).now(),
                    skip_refused=skip_refused,
                    dry_run=dry_run,
                )
        finally:
            await database.close()

    done = asyncio.run(write())
    console.print(
        f"{len(done.created)} grids created, {len(done.reshaped)} reshaped,"
        f" {len(done.unchanged)} unchanged, {len(done.renamed)} renamed"
        + (" (dry run: nothing was written)" if dry_run else "")
    )


def _tell(console: Console, layer: Layer, compared: Coverage) -> None:
    """Print every feature there is something to say about, then overlaps and holes."""
    counts = ", ".join(f"{count} {verdict.value}" for verdict, count in layer.counts().items())
    console.print(f"{len(layer.report)} features give {len(layer.features)} grids: {counts}")
    said = [line for line in layer.report if line.findings]
    if said:
        table = Table("feature", "name", "verdict", "what was found")
        for line in said[:MOST_LINES]:
            style = "red" if line.verdict is Verdict.REFUSED else None
            words = "\n".join(finding.say("en") for finding in line.findings)
            table.add_row(str(line.index), line.name, line.verdict.value, words, style=style)
        console.print(table)
        if len(said) > MOST_LINES:
            console.print(f"... and {len(said) - MOST_LINES} more")
    overlap_m2 = sum(overlap.area_m2 for overlap in compared.overlaps)
    console.print(
        f"{len(compared.overlaps)} pairs overlap ({overlap_m2:,.0f} m²),"
        f" {len(compared.holes)} holes"
    )
    if compared.overlaps or compared.holes:
        table = Table("kind", "grids", "m²")
        for overlap in compared.overlaps[:MOST_LINES]:
            area = f"{overlap.area_m2:,.1f}"
            table.add_row("overlap", f"{overlap.first} / {overlap.second}", area)
        for hole in compared.holes[:MOST_LINES]:
            table.add_row("hole", ", ".join(hole.beside), f"{hole.area_m2:,.1f}")
        console.print(table)
