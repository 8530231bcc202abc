"""Boundaries come into force: the old ones end, the new ones begin, and all that follows from a
grid's shape is worked out anew, in the transaction of whoever asks.

Every change of the map goes through here: it takes the map alone first (`alone`), and gives it a
new edition, by which other processes know that what they hold is old.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
import shapely
from shapely import MultiPolygon
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import jobs
from app.core.db import database_of, new_id
from app.grids import neighbours, tile_shapes

# Whoever locates something for keeps shares this lock until the end of its transaction, and whoever
# changes the map holds it alone: nothing is ever written with a grid of yesterday's map.
MAP_LOCK = "hashtext('yingwei.grids.map')"
# What a process looked at last to show it, and the mark of a session that has changed the map.
LOOKED = "grids.looked"
CHANGED = "grids.changed"
_ALONE = text(f"SELECT pg_advisory_xact_lock({MAP_LOCK})")
_NEW_EDITION = text("UPDATE grid_edition SET edition = :edition")


async def alone(tx: AsyncSession) -> None:
    """Take the map alone until the transaction ends; others who change it, or locate something for
    keeps, wait. To be called before anything about the map is read that decides."""
    await tx.execute(_ALONE)


async def new_edition(tx: AsyncSession) -> None:
    """Let every process know that its index of the map is old once the transaction commits.

    To be called after any change of boundaries in force, lists, codes or retirements.
    """
    await tx.execute(_NEW_EDITION, {"edition": new_id()})
    tx.info[CHANGED] = True
    database_of(tx).cache.pop(LOOKED, None)


@dataclass(frozen=True, slots=True)
class Shape:
    """A grid's new shape (valid, WGS-84 degrees), its area, and notes on how it came to be."""

    boundary: MultiPolygon
    area_m2: float
    notes: Sequence[Mapping[str, Any]] = ()


# Grids whose shapes for tiles are drawn in the transaction that holds the map: some 80 ms.
DRAWN_AT_ONCE = 100

# Business time may be a demo's, and so behind the one a boundary began at; a time never ends before
# it began, and the next begins where it ended.
_CLOSE = text(
    "UPDATE grid_boundary SET valid_to = greatest(:now, valid_from)"
    " WHERE valid_to IS NULL AND grid_id = ANY(CAST(:ids AS uuid[]))"
)
_INSERT_BOUNDARIES = text(
    """
    INSERT INTO grid_boundary
        (id, grid_id, boundary, area_m2, valid_from, source, notes, change_id)
    SELECT id, grid_id, ST_Multi(ST_GeomFromWKB(wkb, 4326)), area_m2,
        greatest(:now, (SELECT max(valid_to) FROM grid_boundary old
                        WHERE old.grid_id = given.grid_id)),
        :source, CAST(notes AS jsonb), :change_id
    FROM unnest(CAST(:ids AS uuid[]), CAST(:grid_ids AS uuid[]), CAST(:wkbs AS bytea[]),
        CAST(:areas AS float8[]), CAST(:notes AS text[]))
        AS given (id, grid_id, wkb, area_m2, notes)
    """
)


async def reshape(
    tx: AsyncSession,
    shaped: Mapping[UUID, Shape],
    *,
    source: str,
    now: datetime,
    change_id: UUID | None = None,
) -> None:
    """Give grids, by their ids, new shapes from `now` (UTC) on.

    The caller holds the map `alone` and has checked the shapes. Of more than DRAWN_AT_ONCE the
    worker draws what tiles show, soon after the commit: everybody waits while the map is held.
    """
    grid_ids = list(shaped)
    shapes = list(shaped.values())
    boundary_ids = [new_id() for _ in shaped]
    await tx.execute(_CLOSE, {"ids": grid_ids, "now": now})
    await tx.execute(
        _INSERT_BOUNDARIES,
        {
            "ids": boundary_ids,
            "grid_ids": grid_ids,
            "wkbs": [shapely.to_wkb(shape.boundary) for shape in shapes],
            "areas": [shape.area_m2 for shape in shapes],
            "notes": [orjson.dumps(list(shape.notes), default=str).decode() for shape in shapes],
            "source": source,
            "now": now,
            "change_id": change_id,
        },
    )
    audit.note(tx, table="grid_boundary", operation="insert", ids=boundary_ids)
    await neighbours.find(tx, {grid_id: shape.boundary for grid_id, shape in shaped.items()})
    if len(grid_ids) <= DRAWN_AT_ONCE:
        await tile_shapes.draw(tx, grid_ids)
    else:
        await jobs.tell(tx, "shapes.not_drawn", lock="grids.draw_shapes")
    await new_edition(tx)


async def end(tx: AsyncSession, grid_ids: Collection[UUID], *, now: datetime) -> None:
    """Let grids have no shape from `now` (UTC) on. The caller holds the map `alone`."""
    ids = list(grid_ids)
    await tx.execute(_CLOSE, {"ids": ids, "now": now})
    await neighbours.forget(tx, ids)
    await tile_shapes.erase(tx, ids)
    await new_edition(tx)
