"""Grids' lists of addresses: what is on them, what others list, and where polygons disagree."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.grids.models import Grid, GridListEntry
from app.territory.rules.listing import Line


async def version_of(session: AsyncSession, grid_id: UUID, caller: Caller) -> int:
    """Read the version of a grid of the caller's part of the organisation. Raises NotFound."""
    version = await session.scalar(
        select(Grid.version).where(Grid.id == grid_id, subtree(Grid.org_unit_id, caller))
    )
    if version is None:
        raise NotFound(grid_id=grid_id)
    return version


_KEY = (GridListEntry.kind, GridListEntry.name, GridListEntry.building)


async def page(
    session: AsyncSession,
    grid_id: UUID,
    *,
    at: datetime | None,
    size: int,
    after: tuple[str, str, str] | None,
) -> Sequence[Any]:
    """Read a page of a grid's list as of a moment (None: now), one row more if there is a next."""
    statement = (
        select(*_KEY, GridListEntry.valid_from, GridListEntry.valid_to)
        .where(GridListEntry.grid_id == grid_id)
        .order_by(*_KEY)
        .limit(size + 1)
    )
    if at is None:
        statement = statement.where(GridListEntry.valid_to.is_(None))
    else:
        statement = statement.where(
            GridListEntry.valid_from <= at,
            or_(GridListEntry.valid_to.is_(None), GridListEntry.valid_to > at),
        )
    if after is not None:
        statement = statement.where(tuple_(*_KEY) > after)
    return (await session.execute(statement)).all()


async def in_force(tx: AsyncSession, grid_id: UUID) -> dict[Line, UUID]:
    """Read a grid's list with the ids of its rows."""
    rows = await tx.execute(
        select(GridListEntry.id, *_KEY).where(
            GridListEntry.grid_id == grid_id, GridListEntry.valid_to.is_(None)
        )
    )
    return {Line(row.kind, row.name, row.building): row.id for row in rows}


class Claim(NamedTuple):
    """A line that another grid has on its list; the code is None for a grid the caller may not
    know of."""

    line: Line
    grid_code: str | None


_GIVEN = """
    unnest(CAST(:kinds AS text[]), CAST(:names AS text[]), CAST(:buildings AS text[]))
        AS line (kind, name, building)
"""
_CLAIMED = text(
    f"""
    SELECT e.kind, e.name, e.building,
        CASE WHEN starts_with(o.path, :org_path) THEN g.code END AS code
    FROM {_GIVEN}
    JOIN grid_list_entry e USING (kind, name, building)
    JOIN grid g ON g.id = e.grid_id JOIN org_unit o ON o.id = g.org_unit_id
    WHERE e.valid_to IS NULL AND e.district_path = :district AND e.grid_id <> :grid_id
    ORDER BY 1, 2, 3
    """  # noqa: S608 - text of our own
)


def _columns(lines: Collection[Line]) -> dict[str, list[str]]:
    return {
        "kinds": [line.kind.value for line in lines],
        "names": [line.name for line in lines],
        "buildings": [line.building for line in lines],
    }


async def claimed(
    tx: AsyncSession, lines: Collection[Line], *, grid_id: UUID, district: str, caller: Caller
) -> list[Claim]:
    """Tell which of these lines other grids list in the district now."""
    given = {"grid_id": grid_id, "district": district, "org_path": caller.org_path}
    rows = await tx.execute(_CLAIMED, given | _columns(lines))
    return [Claim(Line(row.kind, row.name, row.building), row.code) for row in rows]


_END = text(
    """
    UPDATE grid_list_entry SET valid_to = greatest(:now, valid_from)
    WHERE id = ANY(CAST(:ids AS uuid[]))
    """
)
# Business time may be a demo's, and so behind the one a line ended at elsewhere.
_BEGIN = text(
    f"""
    INSERT INTO grid_list_entry
        (id, grid_id, kind, district_path, name, building, valid_from, change_id)
    SELECT gen_random_uuid(), :grid_id, kind, :district, name, building,
        greatest(:now, (SELECT max(valid_to) FROM grid_list_entry old
            WHERE (old.kind, old.district_path, old.name, old.building)
                = (line.kind, :district, line.name, line.building))), :change_id
    FROM {_GIVEN}
    RETURNING id
    """  # noqa: S608
)


async def end(tx: AsyncSession, ids: Collection[UUID], *, now: datetime) -> None:
    """Let lines of lists end at a moment (UTC)."""
    await tx.execute(_END, {"ids": list(ids), "now": now})


async def begin(
    tx: AsyncSession,
    lines: Collection[Line],
    *,
    grid_id: UUID,
    district: str,
    change_id: UUID,
    now: datetime,
) -> Sequence[UUID]:
    """Put lines on a grid's list from a moment (UTC) on; return their rows' ids."""
    given = {"grid_id": grid_id, "district": district, "change_id": change_id, "now": now}
    return (await tx.scalars(_BEGIN, given | _columns(lines))).all()


# Names are compared as the indexes of addresses have them. A prefix finds some addresses too many,
# since it may not end inside a number.
_ADDRESSES = text(
    f"""
    WITH line AS MATERIALIZED (SELECT * FROM {_GIVEN}), named AS (
        SELECT a.id, a.customer_id FROM line
        JOIN service_address a ON replace(a.locality, ' ', '') = line.name
        WHERE line.kind = 'compound'
            OR (line.kind = 'building' AND replace(a.building, ' ', '') = line.building)
        UNION
        SELECT a.id, a.customer_id FROM line
        JOIN service_address a ON replace(a.standard_address, ' ', '') ~>=~ line.name
            AND replace(a.standard_address, ' ', '') ~<~ (line.name || chr(1114111))
        WHERE line.kind = 'prefix'
    )
    SELECT count(*) FROM named JOIN customer c ON c.id = named.customer_id
    JOIN org_unit o ON o.id = c.org_unit_id
    WHERE starts_with(o.path, :district)
    """  # noqa: S608
)


async def addresses_named(tx: AsyncSession, lines: Collection[Line], *, district: str) -> int:
    """Count the customers' addresses of a district that lines name."""
    named = await tx.execute(_ADDRESSES, {"district": district} | _columns(lines))
    return int(named.scalar_one())


# --- where lists and polygons disagree ------------------------------------------------------------

# In the words of the partial index, or PostgreSQL would not use it.
_DISAGREEING = "a.listed AND a.drawn_grid_id IS DISTINCT FROM a.grid_id"

_BY_GRID = text(
    f"""
    SELECT g.id AS grid_id, g.code AS grid_code, g.name AS grid_name, count(*) AS addresses,
        count(*) FILTER (WHERE a.drawn_grid_id IS NULL) AS undrawn
    FROM address_grid a JOIN grid g ON g.id = a.grid_id
    JOIN org_unit o ON o.id = g.org_unit_id
    WHERE {_DISAGREEING} AND starts_with(o.path, :org_path)
        AND (CAST(:after AS text) IS NULL OR g.code > :after)
    GROUP BY g.id
    ORDER BY g.code
    LIMIT :size
    """  # noqa: S608
)
_BY_BUILDING = text(
    f"""
    SELECT s.locality, coalesce(s.building, '') AS building, a.drawn_grid_id,
        coalesce(a.drawn_grid_id, :nowhere) AS drawn_key,
        CASE WHEN starts_with(o.path, :org_path) THEN d.code END AS drawn_grid_code,
        count(*) AS addresses
    FROM address_grid a JOIN service_address s ON s.id = a.service_address_id
    LEFT JOIN grid d ON d.id = a.drawn_grid_id LEFT JOIN org_unit o ON o.id = d.org_unit_id
    WHERE {_DISAGREEING} AND a.grid_id = :grid_id
        AND (CAST(:locality AS text) IS NULL
            OR (s.locality, coalesce(s.building, ''), coalesce(a.drawn_grid_id, :nowhere))
                > (:locality, :building, :drawn))
    GROUP BY 1, 2, 3, 4, d.code, o.path
    ORDER BY 1, 2, 4
    LIMIT :size
    """  # noqa: S608
)
_NOWHERE = UUID(int=0)


async def disagreeing_grids(
    session: AsyncSession, caller: Caller, *, size: int, after: str | None
) -> Sequence[Row[Any]]:
    """Count by grid the addresses that it lists and whose points lie elsewhere, by code.

    The grids are those of the caller's part of the organisation, with one row more if there is a
    next page. `undrawn` of the addresses lie in no polygon, or have no point.
    """
    given = {"org_path": caller.org_path, "size": size + 1, "after": after}
    return (await session.execute(_BY_GRID, given)).all()


async def disagreeing_buildings(
    session: AsyncSession,
    caller: Caller,
    grid_id: UUID,
    *,
    size: int,
    after: tuple[str, str, UUID] | None,
) -> Sequence[Row[Any]]:
    """Count by building the addresses that a grid lists and whose points lie elsewhere.

    The code of the grid drawn there is None where the caller may not know of it.
    """
    locality, building, drawn = after or (None, None, None)
    given = {
        "org_path": caller.org_path,
        "grid_id": grid_id,
        "size": size + 1,
        "nowhere": _NOWHERE,
        "locality": locality,
        "building": building,
        "drawn": drawn,
    }
    return (await session.execute(_BY_BUILDING, given)).all()
