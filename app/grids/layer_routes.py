"""Doorways for whole layers of grids: files in, and out again."""

import asyncio
from typing import Annotated, Any
from urllib.parse import quote
from uuid import UUID
from zoneinfo import ZoneInfo

from fastapi import Header, Query, Request, Response
from fastapi.responses import StreamingResponse

from app.auth.queries import org_unit_coded
from app.core.db import Database, Read
from app.core.doorways import Router
from app.core.geo import CoordSys
from app.core.http import Code, Now, body_up_to
from app.core.parameter_values import parameters_in_force
from app.core.unchanged import known
from app.grids import exporting
from app.grids.importing import Imported, Wanted, write_layer
from app.grids.layers import Coverage, Layer, Limits, coverage, read_layer
from app.grids.routes import AsOf, GridSupervisor, Reader, coverage_out
from app.grids.rules import REPAIR_LIMIT, GridKind, ImportMode, reported
from app.grids.schemas import FeatureOut, FileOut, FindingOut, ImportOut

router = Router(prefix="/v1", tags=["grids"])

Declared = Annotated[CoordSys, Query(description="The coordinate system of the file.")]
Field = Annotated[str, Query(min_length=1, max_length=100)]

_BINARY: dict[str, Any] = {"type": "string", "format": "binary", "maxLength": Limits().bytes}


@router.post(
    "/grids/import",
    operation_id="grids_import",
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The file; what it is is told by its content.",
            "content": {
                "application/geo+json": {"schema": {"type": "object"}},
                "application/zip": {"schema": _BINARY},
                "application/geopackage+sqlite3": {"schema": _BINARY},
            },
        }
    },
)
async def import_layer(
    request: Request,
    supervisor: GridSupervisor,
    now: Now,
    coordsys: Declared,
    name_field: Field,
    code_field: Annotated[str | None, Query(min_length=1, max_length=100)] = None,
    prefix: Annotated[str, Query(max_length=32, pattern=r"^[\w.\-:/]*$")] = "",
    layer: Annotated[
        str | None,
        Query(min_length=1, max_length=200, description="Which of several layers in the file."),
    ] = None,
    org_unit_code: Annotated[Code | None, Query()] = None,
    kind: GridKind = GridKind.COMPOUND,
    mode: Annotated[
        ImportMode,
        Query(description="`replace` retires the unit's grids that are not in the file."),
    ] = ImportMode.MERGE,
    accept_repair: Annotated[
        bool,
        Query(description="Also repair what changes by more than `grids.repair_limit_percent`."),
    ] = False,
    skip_refused: bool = False,
    dry_run: bool = False,
    change_id: Annotated[
        UUID | None,
        Query(description="A UUIDv7 of yours: the same import again is answered alike."),
    ] = None,
    file_name: Annotated[
        str | None, Query(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")
    ] = None,
) -> ImportOut:
    """Import a layer of grids: GeoJSON, a zipped Shapefile or a GeoPackage.

    With `dry_run` it only reports what it would do. Nothing is imported when a feature must be
    refused, unless `skip_refused` leaves those out; a dry run reports the refused ones beside what
    the others would do. Without a `code_field` the codes are made from the names, with a hyphen for
    what a code cannot hold. Orders and addresses on the ground that changed are located anew
    afterwards.
    """
    limits = Limits()
    data = await body_up_to(request, limits.bytes)
    database: Database = request.app.state.database
    async with database.read() as read:
        org_unit = await org_unit_coded(read, org_unit_code, supervisor)
        parameters = await parameters_in_force(read)
    limit = None if accept_repair else parameters.number(REPAIR_LIMIT, now, org_unit.path)
    read_file = await asyncio.to_thread(
        read_layer,
        data,
        coordsys=coordsys,
        name_field=name_field,
        code_field=code_field,
        prefix=prefix,
        layer=layer,
        repair_limit=limit,
        limits=limits,
    )
    sizes = reported(parameters, now, org_unit.path)
    compared = await asyncio.to_thread(coverage, read_file.boundaries(), **sizes)
    # Reading and checking are done; only now does the transaction begin, and it is short.
    async with database.begin(request) as tx:
        done = await write_layer(
            tx,
            read_file,
            Wanted(
                org_unit=org_unit,
                coordsys=coordsys,
                kind=kind,
                mode=mode,
                file=file_name,
                change_id=change_id,
                account_id=supervisor.account_id,
                within=supervisor.org_path,
                skip_refused=skip_refused,
                dry_run=dry_run,
                reading={
                    "name_field": name_field,
                    "code_field": code_field,
                    "prefix": prefix,
                    "layer": layer,
                    "accept_repair": accept_repair,
                },
            ),
            now=now,
        )
    return _report(read_file, compared, done, dry_run=dry_run)


def _report(layer: Layer, compared: Coverage, done: Imported, *, dry_run: bool) -> ImportOut:
    return ImportOut(
        change_id=done.change_id,
        dry_run=dry_run,
        file=FileOut(
            format=layer.format,
            layer=layer.name,
            crs=layer.crs,
            encoding=layer.encoding,
            findings=[
                FindingOut.model_validate(note)
                for note in [*(note.plain() for note in layer.notes), *done.notes]
            ],
        ),
        counts={verdict.value: count for verdict, count in layer.counts().items()},
        created=list(done.created),
        reshaped=list(done.reshaped),
        unchanged=list(done.unchanged),
        renamed=list(done.renamed),
        retired=list(done.retired),
        memberships_ended=done.memberships_ended,
        features=[
            FeatureOut(
                index=line.index,
                name=line.name,
                code=line.code,
                verdict=line.verdict,
                findings=[FindingOut(**finding.plain()) for finding in line.findings],
            )
            for line in layer.report
        ],
        coverage=coverage_out(compared),
    )


class GeoJson(StreamingResponse):
    """A GeoJSON document, sent as it is written."""

    media_type = "application/geo+json"


@router.get(
    "/grids/export",
    operation_id="grids_export",
    response_class=GeoJson,
    responses={
        200: {
            "description": "A GeoJSON FeatureCollection, one feature a line.",
            "content": {"application/geo+json": {"schema": {"type": "object"}}},
        },
        304: {"description": "The document is the one of If-None-Match."},
    },
)
async def export(
    request: Request,
    reader: Reader,
    read: Read,
    now: Now,
    coordsys: Annotated[CoordSys, Query(description="The coordinate system of the file.")],
    org_unit_code: Annotated[Code | None, Query()] = None,
    at: AsOf = None,
    if_none_match: Annotated[str | None, Header(max_length=500)] = None,
) -> Response:
    """Export the grids of an org unit and all under it, as GeoJSON that an import reads again.

    Each feature has its grid's code, name, kind, stage, org unit, area and primary on that local
    day. The ETag is another whenever the document would be.
    """
    unit = await org_unit_coded(read, org_unit_code, reader)
    asked = await exporting.prepare(read, path=unit.path, coordsys=coordsys, at=at, now=now)
    headers = {"etag": f'"{asked.mark}"', "cache-control": "private, no-cache"}
    if known(if_none_match, headers["etag"]):
        return Response(status_code=304, headers=headers)
    day = asked.at.astimezone(ZoneInfo(unit.time_zone)).date()
    file = quote(f"grids-{unit.code}-{day:%Y%m%d}-{coordsys.value}.geojson")
    headers["content-disposition"] = f"attachment; filename*=UTF-8''{file}"
    database: Database = request.app.state.database
    return GeoJson(exporting.document(database, asked), headers=headers)
