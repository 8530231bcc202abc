"""`yingwei grids import` and `export`: the same as over HTTP, with the report as tables."""

import asyncio
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from app.auth import audit
from app.auth.models import OrgUnit
from app.core.clock import clock_from
from app.core.db import open_database
from app.core.errors import NotFound
from app.core.geo import CoordSys
from app.core.parameter_values import parameters_in_force
from app.core.settings import Settings
from app.grids import exporting, importing
from app.grids.layers import Coverage, Layer, Verdict, coverage, read_layer
from app.grids.rules import REPAIR_LIMIT, GridKind, ImportMode, reported

MOST_LINES = 40


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a file is to be read and imported; see `layers.read_layer` and `importing.Wanted`."""

    coordsys: CoordSys
    name_field: str
    code_field: str | None
    org_unit_code: str
    prefix: str
    layer: str | None
    kind: GridKind
    mode: ImportMode
    accept_repair: bool
    skip_refused: bool
    dry_run: bool

    def reading(self) -> dict[str, Any]:
        """What the change remembers of how the file was read."""
        fields = ("name_field", "code_field", "prefix", "layer", "accept_repair")
        return {name: getattr(self, name) for name in fields}


def import_file(settings: Settings, file: Path, options: Options) -> None:
    """Import a file into the settings' database and print what became of each feature.

    A dry run prints the same and writes nothing. Raises what `layers.read_layer` and
    `importing.write_layer` raise, and NotFound for an unknown org unit; then nothing is imported.
    """
    asyncio.run(_import(settings, file.name, file.read_bytes(), options))


async def _import(settings: Settings, file: str, data: bytes, options: Options) -> None:
    console, now = Console(), clock_from(settings.clock).now()
    database = open_database(settings)
    database.before_commit = audit.record
    try:
        async with database.read() as read:
            unit = await read.scalar(select(OrgUnit).where(OrgUnit.code == options.org_unit_code))
            parameters = await parameters_in_force(read)
        if unit is None:
            raise NotFound(org_unit_code=options.org_unit_code)
        limit = parameters.number(REPAIR_LIMIT, now, unit.path)
        with console.status("reading and comparing the boundaries"):
            layer = read_layer(
                data,
                coordsys=options.coordsys,
                name_field=options.name_field,
                code_field=options.code_field,
                prefix=options.prefix,
                layer=options.layer,
                repair_limit=None if options.accept_repair else limit,
            )
            compared = coverage(layer.boundaries(), **reported(parameters, now, unit.path))
        _tell(console, layer, compared)
        async with database.begin() as tx:
            audit.acting(tx, "command_line_grids_import")
            done = await importing.write_layer(
                tx,
                layer,
                importing.Wanted(
                    org_unit=unit,
                    coordsys=options.coordsys,
                    kind=options.kind,
                    mode=options.mode,
                    file=file,
                    skip_refused=options.skip_refused,
                    dry_run=options.dry_run,
                    reading=options.reading(),
                ),
                now=now,
            )
    finally:
        await database.close()
    _tell_done(console, done, dry_run=options.dry_run)


def export_file(
    settings: Settings, file: Path, *, coordsys: CoordSys, org_unit_code: str, at: datetime | None
) -> None:
    """Write the grids of an org unit and all under it to a file; a file that is there is replaced
    only once the new one is whole. Raises NotFound for an unknown org unit."""
    console = Console()
    part = file.with_name(f".{file.name}.part")
    try:
        with part.open("wb") as out:
            written = asyncio.run(_export(settings, out, coordsys, org_unit_code, at))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    console.print(f"{written:,} bytes written to {file}")


async def _export(
    settings: Settings, out: BinaryIO, coordsys: CoordSys, org_unit_code: str, at: datetime | None
) -> int:
    database, written = open_database(settings), 0
    try:
        async with database.read() as read:
            unit = await read.scalar(select(OrgUnit).where(OrgUnit.code == org_unit_code))
            if unit is None:
                raise NotFound(org_unit_code=org_unit_code)
            now = clock_from(settings.clock).now()
            asked = await exporting.prepare(read, path=unit.path, coordsys=coordsys, at=at, now=now)
        async for piece in exporting.document(database, asked):
            written += out.write(piece)
    finally:
        await database.close()
    return written


def _tell_done(console: Console, done: importing.Imported, *, dry_run: bool) -> None:
    for note in done.notes:
        console.print(f"[yellow]{note['en']}[/yellow]")
    console.print(
        f"{len(done.created)} grids created, {len(done.reshaped)} reshaped,"
        f" {len(done.unchanged)} unchanged, {len(done.renamed)} renamed,"
        f" {len(done.retired)} retired" + (" (dry run: nothing was written)" if dry_run else "")
    )
    if done.retired:
        shown = ", ".join(done.retired[:MOST_LINES])
        console.print(
            f"retired, with {done.memberships_ended} memberships: {shown}"
            + (" ..." if len(done.retired) > MOST_LINES else "")
        )
    if done.change_id is not None:
        console.print(
            f"change {done.change_id}\norders and addresses on the ground that changed are located"
            " anew by a worker; yingwei grids relocate does it now, with a bar"
        )


def _tell(console: Console, layer: Layer, compared: Coverage) -> None:
    """Print how the file was read, every feature there is something to say about, then overlaps
    and holes."""
    read = (layer.format, layer.name, layer.crs and layer.crs[:60], layer.encoding)
    console.print(", ".join(filter(None, read)))
    for note in layer.notes:
        console.print(f"[yellow]{note.say('en')}[/yellow]")
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
