"""What the growth of a territory is worked out from, in as few statements as can be.

One goes over the grids and counts each one's customers along an index; the others give shared
borders and the customers whom no grid has. Their number does not depend on how many there are.
"""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.clock import wall
from app.core.db import database_of
from app.grids.models import GridExpansion
from app.grids.rules import GridStage
from app.territory.rules.growth import Ground, Plot
from app.territory.rules.roadmap import Held, Target

# A primary's weekdays do not count: a grid has its primary on Sundays, too. Stages and primaries
# are gathered whole and met by a hash: the plan is made once for any org unit, and looking 5,000 of
# them up in their indexes costs three times the whole. What is counted for each grid runs along an
# index; neighbours come as one text, since 20,000 ids one by one would cost more than all else.
_PLOTS = text(
    """
    WITH staged AS MATERIALIZED (
        SELECT grid_id, stage FROM grid_contract
        WHERE valid_from <= :on AND (valid_to IS NULL OR valid_to > :on)
    ), looked_after AS MATERIALIZED (
        SELECT grid_id FROM grid_membership
        WHERE kind = 'primary' AND valid_from <= :on AND (valid_to IS NULL OR valid_to > :on)
    )
    SELECT g.id, g.code, g.name, u.path, coalesce(s.stage, 'none') AS stage,
        p.grid_id IS NOT NULL AS has_primary,
        (SELECT count(*) FROM address_grid a WHERE a.grid_id = g.id) AS customers,
        (SELECT string_agg(b.neighbour_id::text, ' ') FROM grid_neighbour b
         WHERE b.grid_id = g.id AND b.neighbour_id > g.id AND b.distance_m <= :shared_border_m
        ) AS beside
    FROM grid g
    JOIN org_unit u ON u.id = g.org_unit_id AND starts_with(u.path, :path)
    LEFT JOIN staged s ON s.grid_id = g.id
    LEFT JOIN looked_after p ON p.grid_id = g.id
    WHERE g.retired_at IS NULL
    ORDER BY g.code
    """
)
_HOW_MANY_OUTSIDE = text("SELECT count(*) FROM address_grid WHERE grid_id IS NULL")
_OUTSIDE = text(
    """
    SELECT u.path, count(*) AS customers
    FROM address_grid a
    JOIN service_address s ON s.id = a.service_address_id
    JOIN customer c ON c.id = s.customer_id
    JOIN org_unit u ON u.id = c.org_unit_id
    WHERE a.grid_id IS NULL
    GROUP BY u.path
    """
)
# An address without a grid of its own that was looked for is still in the queue.
_WAITING = text(
    """
    SELECT u.path, count(*) AS customers
    FROM address_to_locate q
    JOIN service_address s ON s.id = q.service_address_id
    JOIN customer c ON c.id = s.customer_id
    JOIN org_unit u ON u.id = c.org_unit_id
    WHERE starts_with(u.path, :path)
        AND NOT EXISTS (SELECT FROM address_grid a
                        WHERE a.service_address_id = q.service_address_id)
    GROUP BY u.path
    """
)


class KnownUnit(NamedTuple):
    """An org unit as the report names it."""

    path: str
    code: str
    name_zh: str
    name_en: str


async def units(session: AsyncSession, unit: OrgUnit) -> list[KnownUnit]:
    """Read an org unit and those right under it, in the order of their paths."""
    columns = (OrgUnit.path, OrgUnit.code, OrgUnit.name_zh, OrgUnit.name_en)
    found = await session.execute(
        select(*columns)
        .where(or_(OrgUnit.id == unit.id, OrgUnit.parent_id == unit.id))
        .order_by(OrgUnit.path)
    )
    return [KnownUnit(*row) for row in found]


async def ground(session: AsyncSession, path: str, on: date, *, shared_border_m: float) -> Ground:
    """Read the grids of an org unit's subtree, given by its path, as they are on a local day.

    Grids, borders and customers are today's; stages and primaries are those of the day.
    """
    asked = {"path": path, "on": on, "shared_border_m": shared_border_m}
    plots: list[Plot] = []
    beside: list[str | None] = []
    for row in await session.execute(_PLOTS, asked):
        grid_id, code, name, of, stage, has_primary, customers, others = row
        plots.append(Plot(grid_id, code, name, of, GridStage(stage), has_primary, customers))
        beside.append(others)
    places = {str(plot.id): place for place, plot in enumerate(plots)}
    borders = [
        (place, places[other])
        for place, others in enumerate(beside)
        for other in (others or "").split()
        if other in places  # a neighbour may be another org unit's
    ]
    waiting = {row.path: row.customers for row in await session.execute(_WAITING, {"path": path})}
    outside = await _outside(session)
    return Ground(
        plots=plots,
        borders=borders,
        outside={unit: count for unit, count in outside.items() if unit.startswith(path)},
        waiting=waiting,
    )


# Whose grid is none is told by looking each of them up, half a second for 50,000. Where they are
# many, what was told stays good for so long as there are as many; few are looked up each time.
KEPT_SECONDS = 600.0
KEPT_FROM = 5_000


class _Kept(NamedTuple):
    at: datetime
    number: int
    counts: dict[str, int]


async def _outside(session: AsyncSession) -> dict[str, int]:
    cache = database_of(session).cache
    kept: _Kept | None = cache.get("customers outside")
    number = (await session.execute(_HOW_MANY_OUTSIDE)).scalar_one()
    now = wall()
    if (
        kept is not None
        and kept.number == number >= KEPT_FROM
        and (now - kept.at).total_seconds() < KEPT_SECONDS
    ):
        return kept.counts
    counts: dict[str, int] = {row.path: row.customers for row in await session.execute(_OUTSIDE)}
    cache["customers outside"] = _Kept(now, number, counts)
    return counts


_HELD = text(
    """
    SELECT c.grid_id::text AS grid, c.stage, c.valid_from, c.valid_to
    FROM grid_contract c
    JOIN grid g ON g.id = c.grid_id AND g.retired_at IS NULL
    JOIN org_unit u ON u.id = g.org_unit_id AND starts_with(u.path, :path)
    WHERE c.valid_to IS DISTINCT FROM c.valid_from
    """
)


async def held(session: AsyncSession, path: str, ground: Ground) -> list[Held]:
    """Read all stages that the grids of a ground have and had, and will have."""
    places = {str(plot.id): place for place, plot in enumerate(ground.plots)}
    return [
        Held(places[row.grid], GridStage(row.stage), row.valid_from, row.valid_to)
        for row in await session.execute(_HELD, {"path": path})
        if row.grid in places
    ]


async def targets(session: AsyncSession, org_unit_id: UUID) -> list[Target]:
    """Read an org unit's road map, by figure and day."""
    columns = (GridExpansion.figure, GridExpansion.due_on, GridExpansion.target)
    found = await session.execute(
        select(*columns).where(GridExpansion.org_unit_id == org_unit_id).order_by(*columns)
    )
    return [Target(*row) for row in found]
