"""What lies in grids that are handed over: open orders, and terminals that are due back."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.territory.rules.handover import OrderFigures, Part
from app.workorders import queries as workorders

_OF_PERSON = """
    SELECT m.grid_id FROM grid_membership m
    WHERE m.technician_id = :technician_id AND m.kind = 'primary'
        AND (m.valid_to IS NULL OR m.valid_to > m.valid_from) AND
"""
_HANDED = {
    Part.SUCCESSOR: text(f"{_OF_PERSON} m.valid_from = :day"),
    Part.PREDECESSOR: text(
        f"{_OF_PERSON} m.valid_from < :day AND (m.valid_to IS NULL OR m.valid_to >= :day)"
    ),
}


async def grids_handed(
    session: AsyncSession, technician_id: UUID, part: Part, day: date
) -> Sequence[UUID]:
    """Say which grids somebody begins to be primary of on a local day, or is until that day.

    As a predecessor also those that have no end yet.
    """
    found = await session.scalars(_HANDED[part], {"technician_id": technician_id, "day": day})
    return found.all()


# An order belongs to its grid's org unit, by which the index of the open ones finds it.
_FIGURES = text(
    """
    SELECT o.grid_id,
        count(*) FILTER (WHERE o.holder_id IS NULL) AS waiting,
        count(*) FILTER (WHERE o.holder_id = given.predecessor_id) AS with_predecessor,
        count(*) FILTER (WHERE o.holder_id IS DISTINCT FROM given.predecessor_id
            AND o.holder_id IS NOT NULL) AS with_others,
        count(*) FILTER (WHERE o.appointment_from IS NOT NULL) AS appointments,
        count(*) FILTER (WHERE o.due_at < :now) AS overdue,
        min(o.due_at) AS next_due_at
    FROM unnest(CAST(:grid_ids AS uuid[]), CAST(:predecessor_ids AS uuid[]))
        AS given (grid_id, predecessor_id)
    JOIN work_order o ON o.grid_id = given.grid_id
    WHERE o.org_unit_id = ANY(CAST(:units AS uuid[]))
        AND o.state NOT IN ('completed', 'archived', 'cancelled')
    GROUP BY 1
    """
)


async def order_figures(
    session: AsyncSession,
    predecessors: Mapping[UUID, UUID | None],
    caller: Caller,
    *,
    now: datetime,
) -> dict[UUID, OrderFigures]:
    """Count the caller's open orders by grid, given whose primary's time ends in each."""
    units = (await workorders.org_units(session)).within(caller.org_path)
    rows = await session.execute(
        _FIGURES,
        {
            "grid_ids": list(predecessors),
            "predecessor_ids": list(predecessors.values()),
            "units": units,
            "now": now,
        },
    )
    return {row.grid_id: OrderFigures(*row[1:]) for row in rows}


_ORDERS = text(
    """
    SELECT o.id, o.external_id, o.work_type, o.state, o.priority, o.address, o.locality,
        o.summary, o.appointment_from, o.appointment_until, o.due_at, o.planned_day, o.holder_id,
        t.code AS holder_code, t.name AS holder_name, o.version
    FROM work_order o LEFT JOIN technician t ON t.id = o.holder_id
    WHERE o.grid_id = :grid_id AND o.org_unit_id = ANY(CAST(:units AS uuid[]))
        AND o.state NOT IN ('completed', 'archived', 'cancelled')
    ORDER BY least(o.appointment_from, o.due_at) NULLS LAST, o.id
    LIMIT :size
    """
)


async def orders_of(
    session: AsyncSession, grid_id: UUID, caller: Caller, *, size: int
) -> Sequence[Row[Any]]:
    """Read a grid's open orders, those first whose appointment or promise is next."""
    units = (await workorders.org_units(session)).within(caller.org_path)
    rows = await session.execute(_ORDERS, {"grid_id": grid_id, "units": units, "size": size})
    return rows.all()


# Nothing of the customer's runs any more, and a device of ours still stands there.
_DUE_BACK = text(
    """
    SELECT ag.grid_id, count(DISTINCT t.id) AS terminals
    FROM address_grid ag
        JOIN service_address a ON a.id = ag.service_address_id
        JOIN terminal t ON t.customer_id = a.customer_id
    WHERE ag.grid_id = ANY(CAST(:grid_ids AS uuid[])) AND t.pool = 'customer'
        AND EXISTS (SELECT FROM subscription s WHERE s.customer_id = a.customer_id)
        AND NOT EXISTS (SELECT FROM subscription s WHERE s.customer_id = a.customer_id
            AND (s.ended_on IS NULL OR s.ended_on > :day))
    GROUP BY 1
    """
)


async def terminals_due_back(
    session: AsyncSession, grid_ids: Collection[UUID], *, day: date
) -> dict[UUID, int]:
    """Count terminals that stand with customers whose services have all ended by a local day."""
    rows = await session.execute(_DUE_BACK, {"grid_ids": list(grid_ids), "day": day})
    return {row.grid_id: row.terminals for row in rows}
