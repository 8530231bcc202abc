"""Addresses whose grid has to be found anew: which they are, a batch of them, and their grids."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.geo import Floats
from app.grids.index import Found
from app.grids.rules import Where, district_of

# Degrees that a distance in metres is at most, at a shape's latitude: a degree of longitude is the
# shorter one.
_PAD = """
    :near_m / (110574 * greatest(cos(radians(
        greatest(abs(ST_YMin(shape)), abs(ST_YMax(shape))))), 0.01))
"""
# What may lie elsewhere now: what lies in or near a shape that was or is, and what a grid has by
# its list or has had.
_BY_GROUND = f"""
    SELECT a.id FROM ground JOIN service_address a ON ST_DWithin(a.point, shape, {_PAD})
    UNION
    SELECT service_address_id FROM address_grid WHERE grid_id IN (SELECT id FROM concerned)
"""  # noqa: S608 - text of our own

# Ids are kept as PostgreSQL writes them, `{…,…}`: they only go back to where they came from, and
# a million of them are not taken apart here. What is not known of a point is NaN.
_POINTS = """
    count(*) AS number, array_agg(a.id ORDER BY a.id)::text AS ids,
    (array_agg(a.id ORDER BY a.id DESC))[1] AS last,
    array_agg(coalesce(ST_X(a.point), 'NaN') ORDER BY a.id) AS lons,
    array_agg(coalesce(ST_Y(a.point), 'NaN') ORDER BY a.id) AS lats
"""
_TOLD = """,
    array_agg(o.path ORDER BY a.id) AS paths, array_agg(a.locality ORDER BY a.id) AS localities,
    array_agg(a.standard_address ORDER BY a.id) AS standards,
    array_agg(a.building ORDER BY a.id) AS buildings
"""
_OF_WHOM = "JOIN customer c ON c.id = a.customer_id JOIN org_unit o ON o.id = c.org_unit_id"

_AROUND = text(
    f"""
    WITH ground AS MATERIALIZED (
        SELECT ST_GeomFromWKB(wkb, 4326) AS shape FROM unnest(CAST(:wkbs AS bytea[])) AS wkb
    ), concerned AS (SELECT unnest(CAST(:grid_ids AS uuid[])) AS id),
    ids AS ({_BY_GROUND})
    SELECT {_POINTS} {_TOLD} FROM ids JOIN service_address a USING (id) {_OF_WHOM}
    """  # noqa: S608
)


@dataclass(frozen=True, slots=True)
class Addresses:
    """Some addresses in the order of their ids, as an index of the map takes them.

    `ids` are in PostgreSQL's own writing, points in WGS-84 degrees; `where` is None when nothing
    but the points was read, since no list speaks.
    """

    number: int
    ids: str
    last: UUID | None
    lons: Floats
    lats: Floats
    where: list[Where | None] | None


def _addresses(row: Row[Any], *, told: bool) -> Addresses:
    where: list[Where | None] | None = None
    if told and row.number:
        columns = (map(district_of, row.paths), row.standards, row.localities, row.buildings)
        where = list(map(Where._make, zip(*columns, strict=True)))
    lons, lats = (np.array(some or (), dtype=float) for some in (row.lons, row.lats))
    return Addresses(row.number, row.ids or "{}", row.last, lons, lats, where)


async def addresses_around(
    session: AsyncSession, wkbs: Sequence[bytes], grid_ids: Collection[UUID], *, near_m: float
) -> Addresses:
    """Read all addresses within `near_m` metres of shapes, or that belong to grids."""
    given = {"wkbs": list(wkbs), "grid_ids": list(grid_ids), "near_m": near_m}
    return _addresses((await session.execute(_AROUND, given)).one(), told=True)


# --- the queue ------------------------------------------------------------------------------------

# Of a change that was made: the shapes that ended with it or have come since, and those that lists
# name. A line's names are compared as the indexes of addresses have them.
_QUEUE = text(
    f"""
    WITH change AS (SELECT id, at, grid_ids FROM grid_change WHERE id = :change_id),
    concerned AS (SELECT unnest(grid_ids) AS id FROM change),
    ground AS MATERIALIZED (
        SELECT b.boundary AS shape FROM change, grid_boundary b
        WHERE b.grid_id = ANY(change.grid_ids)
            AND (b.valid_to IS NULL OR b.valid_to >= change.at)
    ),
    line AS MATERIALIZED (
        SELECT e.kind, e.name, e.building FROM change, grid_list_entry e
        WHERE e.grid_id = ANY(change.grid_ids)
            AND (e.change_id = change.id OR e.valid_to >= change.at)
    ),
    ids AS (
        {_BY_GROUND}
        UNION
        SELECT a.id FROM line JOIN service_address a ON replace(a.locality, ' ', '') = line.name
        WHERE line.kind = 'compound'
            OR (line.kind = 'building' AND replace(a.building, ' ', '') = line.building)
        UNION
        SELECT a.id FROM line JOIN service_address a
            ON replace(a.standard_address, ' ', '') ~>=~ line.name
            AND replace(a.standard_address, ' ', '') ~<~ (line.name || chr(1114111))
        WHERE line.kind = 'prefix'
    )
    INSERT INTO address_to_locate AS queue (service_address_id, grid_change_id)
    SELECT id, :change_id FROM ids ORDER BY id
    ON CONFLICT (service_address_id) DO UPDATE SET grid_change_id = excluded.grid_change_id
        WHERE queue.grid_change_id IS DISTINCT FROM excluded.grid_change_id
    """  # noqa: S608
)


async def queue_for(tx: AsyncSession, change_id: UUID, *, near_m: float) -> int:
    """Queue every address that a change may have moved to another grid; tell how many."""
    done = await tx.execute(_QUEUE, {"change_id": change_id, "near_m": near_m})
    return int(done.rowcount)  # type: ignore[attr-defined]


_ANY = text(
    "SELECT EXISTS (SELECT FROM address_to_locate)"
    " OR EXISTS (SELECT FROM grid_relocation WHERE done_at IS NULL)"
)
_LEFT = text("SELECT count(*) FROM address_to_locate")


async def any_left(session: AsyncSession) -> bool:
    """Tell whether any address waits for its grid, or a change to be told that none does."""
    return bool(await session.scalar(_ANY))


async def left(session: AsyncSession) -> int:
    """Count the addresses that wait for their grids."""
    return int((await session.execute(_LEFT)).scalar_one())


# The keyset keeps each batch from going again over what the one before has deleted. The batch is
# materialized: a plan may run a subquery once for each row of the queue, and each run locks and
# finds as many again.
_TAKE = """
    WITH batch AS MATERIALIZED (
        SELECT service_address_id AS id FROM address_to_locate
        WHERE service_address_id > :after
        ORDER BY service_address_id LIMIT :size FOR UPDATE SKIP LOCKED
    ), taken AS (
        DELETE FROM address_to_locate q USING batch WHERE q.service_address_id = batch.id
        RETURNING batch.id
    )
    SELECT {columns} FROM taken JOIN service_address a USING (id) {joins}
"""
_TAKE_POINTS = text(_TAKE.format(columns=_POINTS, joins=""))
_TAKE_ALL = text(_TAKE.format(columns=_POINTS + _TOLD, joins=_OF_WHOM))


async def take(tx: AsyncSession, *, after: UUID, size: int, told: bool) -> Addresses:
    """Take a batch from the queue, by id behind `after`; others who take at once pass it over.

    `told` reads what lists need, too. What is taken is gone from the queue with the commit.
    """
    statement = _TAKE_ALL if told else _TAKE_POINTS
    return _addresses(
        (await tx.execute(statement, {"after": after, "size": size})).one(), told=told
    )


_FORGET = text("DELETE FROM address_to_locate WHERE service_address_id = ANY(CAST(:ids AS uuid[]))")


async def forget(tx: AsyncSession, addresses: Addresses) -> None:
    """Take addresses from the queue that have been located."""
    await tx.execute(_FORGET, {"ids": addresses.ids})


# Grids go by their places in a list: beside a million addresses there are few of them.
_WRITE = text(
    """
    WITH found AS (
        SELECT id, grids[place] AS grid_id, grids[drawn] AS drawn_grid_id, listed, near_border
        FROM (SELECT CAST(:grids AS uuid[]) AS grids) AS known, unnest(
            CAST(:ids AS uuid[]), CAST(:places AS int[]), CAST(:drawn AS int[]),
            CAST(:listed AS boolean[]), CAST(:near AS boolean[])
        ) AS found (id, place, drawn, listed, near_border)
    )
    INSERT INTO address_grid (service_address_id, grid_id, drawn_grid_id, listed, near_border)
    SELECT found.* FROM found LEFT JOIN address_grid held ON held.service_address_id = found.id
    WHERE held.service_address_id IS NULL
        OR (held.grid_id, held.drawn_grid_id, held.listed, held.near_border) IS DISTINCT FROM
           (found.grid_id, found.drawn_grid_id, found.listed, found.near_border)
    ON CONFLICT (service_address_id) DO UPDATE SET grid_id = excluded.grid_id,
        drawn_grid_id = excluded.drawn_grid_id, listed = excluded.listed,
        near_border = excluded.near_border
    """
)


async def write(tx: AsyncSession, addresses: Addresses, found: Found) -> None:
    """Write down where addresses lie; those that lie where they did are left alone.

    Whoever calls it holds them, by the queue or by the map.
    """
    given = {
        "grids": [one.id for one in found.territories],
        "ids": addresses.ids,
        # PostgreSQL counts from one, and nothing stands at 0: that is nowhere.
        "places": _written(found.grid + 1),
        "drawn": _written(found.drawn + 1),
        "listed": _written(found.listed.astype(int)),
        "near": _written(found.near_border.astype(int)),
    }
    await tx.execute(_WRITE, given)


def _written(numbers: NDArray[Any]) -> str:
    """Write an array as PostgreSQL reads it."""
    return "{" + ",".join(map(str, numbers.tolist())) + "}"


# --- changes and whether their addresses have followed --------------------------------------------

_BEGIN = text(
    """
    INSERT INTO grid_relocation (change_id, addresses, queued_at, done_at)
    VALUES (:change_id, :addresses, :at, CASE WHEN :done THEN CAST(:at AS timestamptz) END)
    ON CONFLICT DO NOTHING
    """
)


async def begin(
    tx: AsyncSession, change_id: UUID, addresses: int, *, at: Any, done: bool = False
) -> None:
    """Write down that a change's addresses were queued, or are done, at a real moment (UTC)."""
    given = {"change_id": change_id, "addresses": addresses, "at": at, "done": done}
    await tx.execute(_BEGIN, given)


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:id AS text), 0))")
_BEGUN = text("SELECT EXISTS (SELECT FROM grid_relocation WHERE change_id = :id)")


async def begun(tx: AsyncSession, change_id: UUID) -> bool:
    """Tell whether a change's addresses have been queued; another who is about to do it waits."""
    await tx.execute(_ONE_AT_A_TIME, {"id": change_id})
    return bool(await tx.scalar(_BEGUN, {"id": change_id}))


_NOT_BEGUN = text(
    """
    SELECT id FROM grid_change c
    WHERE NOT EXISTS (SELECT FROM grid_relocation r WHERE r.change_id = c.id)
        AND created_at <= now() - make_interval(secs => :seconds)
    ORDER BY created_at, id
    """
)


async def not_begun(session: AsyncSession, *, for_seconds: float = 0) -> Sequence[UUID]:
    """List the changes whose addresses have not been queued since so long, the earliest first."""
    return (await session.scalars(_NOT_BEGUN, {"seconds": for_seconds})).all()


_FINISH = text(
    """
    UPDATE grid_relocation r SET done_at = :at
    WHERE done_at IS NULL
        AND NOT EXISTS (SELECT FROM address_to_locate q WHERE q.grid_change_id = r.change_id)
    """
)


async def finish(tx: AsyncSession, *, at: Any) -> None:
    """Write down for changes of which no address waits any more that they are done."""
    await tx.execute(_FINISH, {"at": at})
