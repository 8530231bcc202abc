"""Whom a grid may ask, and the row lock under which it changes."""

from collections.abc import Collection
from datetime import date
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.core.db import fetched
from app.core.errors import NotFound
from app.grids.models import Grid


class Keeper(NamedTuple):
    """A technician who may be asked for a grid's orders, and how they belong to it.

    `kind` is a MembershipKind's value; None is a neighbour: the primary of a grid `distance_m`
    metres away. Dates are local days, `valid_to` excluded; `weekdays` is a bit mask, Monday = 1;
    `ratio` is the share of their day, in percent, that the grid's orders may take.
    """

    grid_id: UUID
    technician_id: UUID
    kind: str | None
    rank: int
    distance_m: float
    weekdays: int
    valid_from: date
    valid_to: date | None
    ratio: int


_KEEPERS = """
    SELECT grid_id, technician_id, kind, rank, 0.0::float8 AS distance_m, weekdays, valid_from,
        valid_to, ratio
    FROM grid_membership
    WHERE grid_id = ANY(CAST(%(grid_ids)s AS uuid[]))
        AND valid_from <= %(until)s AND (valid_to IS NULL OR valid_to > %(from)s)
    UNION ALL
    SELECT n.grid_id, m.technician_id, NULL, m.rank, n.distance_m, m.weekdays,
        m.valid_from, m.valid_to, 100
    FROM grid_neighbour n JOIN grid_membership m ON m.grid_id = n.neighbour_id
    WHERE n.grid_id = ANY(CAST(%(grid_ids)s AS uuid[])) AND m.kind = 'primary'
        AND m.valid_from <= %(until)s AND (m.valid_to IS NULL OR m.valid_to > %(from)s)
    """


async def keepers(
    session: AsyncSession, grid_ids: Collection[UUID], *, first_day: date, last_day: date
) -> list[Keeper]:
    """Read who looks after these grids on any of the local days, and their neighbours' primaries.

    In no order: see `rules.asking.in_order_of_asking`.
    """
    rows = await fetched(
        session, _KEEPERS, {"grid_ids": list(grid_ids), "from": first_day, "until": last_day}
    )
    return [Keeper(*row) for row in rows]


async def grid_for_change(tx: AsyncSession, grid_id: UUID, caller: Caller) -> Grid:
    """Lock a grid of the caller's part of the organisation. Raises NotFound."""
    grid = (
        await tx.scalars(
            select(Grid)
            .where(Grid.id == grid_id, subtree(Grid.org_unit_id, caller))
            .with_for_update()
        )
    ).one_or_none()
    if grid is None:
        raise NotFound(grid_id=grid_id)
    return grid
