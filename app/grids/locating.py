"""Where points and addresses lie, by an index of the map that each process holds in memory.

`for_keeps` is for what is written down, `for_reading` for what is only shown, `as_seen` for whoever
changes the map. What an index says is in `index.py`, the rules are in `rules.py`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import database_of, driver_connection
from app.grids.boundaries import CHANGED, LOOKED, MAP_LOCK
from app.grids.index import Found, GridIndex, ListLine, Located, Territory, drawn
from app.grids.rules import NEAR_BORDER, GridKind, Where, metres_per_degree

__all__ = ["Found", "GridIndex", "Located", "Territory", "Where"]

# How long what is only shown may go by an older map.
STALE_AFTER_SECONDS = 1.0

_EDITION = text("SELECT edition FROM grid_edition")
# Two statements in one message: the second one's snapshot is newer than the lock.
_KEPT = f"SELECT pg_advisory_xact_lock_shared({MAP_LOCK}); SELECT edition FROM grid_edition"  # noqa: S608 - text of our own


async def for_keeps(tx: AsyncSession) -> GridIndex:
    """Give the index of the map in force, which nobody changes until the transaction ends.

    Whatever is written by it is right when the transaction commits: who changes the map waits.
    """
    driver = await driver_connection(tx)
    cursor = await driver.execute(_KEPT, prepare=False)
    cursor.nextset()
    [(edition,)] = await cursor.fetchall()
    return await _of_edition(tx, edition)


async def for_reading(session: AsyncSession) -> GridIndex:
    """Give an index of the map that was in force at most a second ago."""
    cache = database_of(session).cache
    looked: tuple[datetime, GridIndex] | None = cache.get(LOOKED)
    if looked is not None and (wall() - looked[0]).total_seconds() < STALE_AFTER_SECONDS:
        return looked[1]
    at = wall()
    index = await _of_edition(session, (await session.execute(_EDITION)).scalar_one())
    if CHANGED not in session.info:
        cache[LOOKED] = (at, index)
    return index


class Box(NamedTuple):
    """A rectangle of the map in WGS-84 degrees."""

    west: float
    south: float
    east: float
    north: float


async def as_seen(tx: AsyncSession, *, box: Box | None = None) -> GridIndex:
    """Give an index of the map as a transaction itself sees it, its own changes included.

    It is for whoever holds the map `alone`, and nobody else ever gets it. With a `box` it holds
    the polygons in and near it (a kilometre), enough for points within; the lists it holds all.
    """
    return await _read(tx, _held(tx).latest, box)


# --- what a process holds -------------------------------------------------------------------------


@dataclass
class _Held:
    """Indexes by edition: the newest, and the one before, which a replica may still be at."""

    indexes: dict[UUID, GridIndex] = field(default_factory=dict)
    refreshing: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def latest(self) -> GridIndex | None:
        return next(reversed(self.indexes.values()), None)

    def keep(self, index: GridIndex) -> None:
        self.indexes[index.edition] = index
        while len(self.indexes) > 2:
            del self.indexes[next(iter(self.indexes))]


def _held(session: AsyncSession) -> _Held:
    held: _Held = database_of(session).cache.setdefault("grids.indexes", _Held())
    return held


async def _of_edition(session: AsyncSession, edition: UUID) -> GridIndex:
    """Give the index of an edition that a statement has just read; one refresh at a time."""
    if CHANGED in session.info:  # what it sees may never be committed
        return await as_seen(session)
    held = _held(session)
    known = held.indexes.get(edition)
    if known is not None:
        return known
    async with held.refreshing:
        known = held.indexes.get(edition)
        if known is None:
            known = await _read(session, held.latest, None)
            held.keep(known)
    return known


# All that may change is read in one statement, and so as of one moment. What a boundary or a line
# of a list says never changes; only those that are not known yet are fetched.
_MAP = """
    SELECT edition, grids.*,
        (SELECT array_agg(id) FROM grid_boundary WHERE valid_to IS NULL {near}) AS boundary_ids,
        (SELECT array_agg(l.id) FROM grid_list_entry l JOIN grid g ON g.id = l.grid_id
         WHERE l.valid_to IS NULL AND g.retired_at IS NULL) AS entry_ids
    FROM grid_edition CROSS JOIN (
        SELECT array_agg(g.id) AS ids, array_agg(g.code) AS codes,
            array_agg(g.org_unit_id) AS org_unit_ids, array_agg(o.path) AS paths,
            array_agg(g.kind) AS kinds
        FROM grid g JOIN org_unit o ON o.id = g.org_unit_id
    ) AS grids
"""
_WHOLE_MAP = text(_MAP.format(near=""))
_PART_OF_MAP = text(
    _MAP.format(near="AND boundary && ST_MakeEnvelope(:west, :south, :east, :north, 4326)")
)
_BOUNDARIES = text(
    "SELECT id, grid_id, ST_AsBinary(boundary) AS wkb FROM grid_boundary"
    " WHERE id = ANY(CAST(:ids AS uuid[]))"
)
_ENTRIES = text(
    "SELECT id, grid_id, kind, district_path, name, building FROM grid_list_entry"
    " WHERE id = ANY(CAST(:ids AS uuid[]))"
)


async def _read(session: AsyncSession, known: GridIndex | None, box: Box | None) -> GridIndex:
    """Read the map a session sees, taking over what an older index already has."""
    statement, given = (_WHOLE_MAP, {}) if box is None else (_PART_OF_MAP, _grown(box)._asdict())
    row = (await session.execute(statement, given)).one()
    shapes, new_shapes = _known(row.boundary_ids, known.shapes if known else {})
    lines, new_lines = _known(row.entry_ids, known.lines if known else {})
    fetched: Sequence[Row[Any]] = ()
    if new_shapes:
        fetched = (await session.execute(_BOUNDARIES, {"ids": new_shapes})).all()
    if new_lines:
        for id, *line in await session.execute(_ENTRIES, {"ids": new_lines}):
            lines[id] = ListLine(*line)
    kinds = map(GridKind, row.kinds or ())
    columns = (row.ids or (), row.codes or (), row.org_unit_ids or (), row.paths or (), kinds)

    def build() -> GridIndex:
        made = drawn([one.grid_id for one in fetched], [one.wkb for one in fetched])
        shapes.update(zip([one.id for one in fetched], made, strict=True))
        grids = map(Territory._make, zip(*columns, strict=True))
        return GridIndex(row.edition, grids, shapes, lines)

    return await asyncio.to_thread(build)


T = TypeVar("T")


def _known(ids: Sequence[UUID] | None, known: Mapping[UUID, T]) -> tuple[dict[UUID, T], list[UUID]]:
    """Take over of some rows what is known, and list the rows that are not."""
    have = {id: known[id] for id in ids or () if id in known}
    return have, [id for id in ids or () if id not in known]


def _grown(box: Box) -> Box:
    """Let a box reach a kilometre farther, which is the farthest that "near" can be set to."""
    east, north = metres_per_degree(max(abs(box.south), abs(box.north)))
    dx, dy = NEAR_BORDER.most / east, NEAR_BORDER.most / north
    return Box(box.west - dx, box.south - dy, box.east + dx, box.north + dy)
