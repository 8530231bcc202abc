"""Layers out of the database: the grids of a part of the organisation as one GeoJSON document.

It is written a page of grids at a time, so that neither a transaction nor a whole province is held.
All pages are as of one moment, which dated boundaries make possible without a snapshot.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import orjson
import shapely
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database
from app.core.geo import CoordSys
from app.grids.layers.writing import drawn_in, rings_of

_PAGE = 200

# Day by day as in the org unit's zone: the stage and the primary a grid has on that local day.
_GRIDS = """
    FROM grid g JOIN org_unit o ON o.id = g.org_unit_id
    CROSS JOIN LATERAL (
        SELECT CAST(CAST(:at AS timestamptz) AT TIME ZONE o.time_zone AS date) AS today
    ) AS day
    JOIN grid_boundary b ON b.grid_id = g.id AND b.valid_from <= :at
        AND (b.valid_to IS NULL OR b.valid_to > :at)
    LEFT JOIN grid_contract c ON c.grid_id = g.id AND c.valid_from <= today
        AND (c.valid_to IS NULL OR c.valid_to > today)
    LEFT JOIN grid_membership m ON m.grid_id = g.id AND m.kind = 'primary'
        AND m.valid_from <= today AND (m.valid_to IS NULL OR m.valid_to > today)
    LEFT JOIN technician t ON t.id = m.technician_id
    WHERE starts_with(o.path, :path)
"""
# A boundary may have begun later than the clock says now, when the clock was set back.
_MOMENT = text(
    """
    SELECT edition, greatest(CAST(:now AS timestamptz),
        (SELECT max(valid_from) FROM grid_boundary WHERE valid_to IS NULL)) AS at
    FROM grid_edition
    """
)
_MARK = text(
    f"""
    SELECT md5(string_agg(concat_ws('|', b.id, g.code, g.name, g.kind, o.code, c.stage, t.code),
        '|' ORDER BY g.code)) {_GRIDS}
    """
)
_SOME = text(
    f"""
    SELECT g.id, g.code, g.name, g.kind, coalesce(c.stage, 'none') AS stage,
        o.code AS org_unit_code, b.area_m2, t.code AS primary_technician_code,
        ST_AsBinary(b.boundary) AS wkb
    {_GRIDS} AND g.code > :after ORDER BY g.code LIMIT :size
    """
)


@dataclass(frozen=True)
class Export:
    """What is to be written: the grids under an org unit's path that had a shape at a moment, in a
    coordinate system. `mark` is another whenever the document would be."""

    path: str
    at: datetime
    coordsys: CoordSys
    mark: str


async def prepare(
    session: AsyncSession, *, path: str, coordsys: CoordSys, at: datetime | None, now: datetime
) -> Export:
    """Fix an export's moment, now unless `at` is another, and the mark of what it would say."""
    row = (await session.execute(_MOMENT, {"now": now})).one()
    moment = row.at if at is None else at
    said = await session.scalar(_MARK, {"path": path, "at": moment})
    mark = f"{row.edition.hex[-12:]}-{(said or 'empty')[:12]}-{coordsys.value}"
    return Export(path, moment, coordsys, mark)


async def document(database: Database, export: Export) -> AsyncIterator[bytes]:
    """Write an export as a GeoJSON FeatureCollection (RFC 7946), in pieces, by code.

    Members stand in the order of the RFC's examples, rings by its right-hand rule, positions to
    1e-7 degrees. The RFC knows WGS-84 only, so the system is told in the member `coordsys`.
    """
    head = orjson.dumps({"type": "FeatureCollection", "coordsys": export.coordsys.value})
    yield head[:-1] + b',"features":[\n'
    after, comma = "", b""
    while True:
        given = {"path": export.path, "at": export.at, "after": after, "size": _PAGE}
        async with database.read() as read:
            rows = (await read.execute(_SOME, given)).all()
        if rows:
            yield comma + await asyncio.to_thread(_features, rows, export.coordsys)
            after, comma = rows[-1].code, b",\n"
        if len(rows) < _PAGE:
            break
    yield b"\n]}\n"


def _features(rows: Sequence[Any], coordsys: CoordSys) -> bytes:
    shapes = drawn_in(shapely.from_wkb(np.array([row.wkb for row in rows], object)), coordsys)
    return b",\n".join(
        orjson.dumps(_feature(row, shape), option=orjson.OPT_SERIALIZE_NUMPY)
        for row, shape in zip(rows, shapes, strict=True)
    )


def _feature(row: Any, shape: Any) -> dict[str, Any]:
    identity: UUID = row.id
    return {
        "type": "Feature",
        "id": str(identity),
        "geometry": {"type": "MultiPolygon", "coordinates": rings_of(shape)},
        "properties": {
            "code": row.code,
            "name": row.name,
            "kind": row.kind,
            "stage": row.stage,
            "org_unit_code": row.org_unit_code,
            "area_m2": round(row.area_m2, 1),
            "primary_technician_code": row.primary_technician_code,
        },
    }
