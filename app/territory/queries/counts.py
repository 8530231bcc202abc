"""How much lies in grids: customers, open orders, and whose grids they are."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.workorders import queries as workorders

_CUSTOMERS = text(
    """
    SELECT ag.grid_id, count(DISTINCT a.customer_id) AS customers
    FROM address_grid ag JOIN service_address a ON a.id = ag.service_address_id
    WHERE ag.grid_id = ANY(CAST(:grid_ids AS uuid[]))
    GROUP BY 1
    """
)


async def customers_in(session: AsyncSession, grid_ids: Collection[UUID]) -> dict[UUID, int]:
    """Count the customers who have an address in each of these grids; those without are left out.

    A customer with addresses in several grids counts in each.
    """
    rows = await session.execute(_CUSTOMERS, {"grid_ids": list(grid_ids)})
    return {row.grid_id: row.customers for row in rows}


# An order belongs to its grid's org unit, by which the index of the open ones finds it.
_OPEN_ORDERS = text(
    """
    SELECT o.grid_id, count(*) AS orders FROM work_order o
    WHERE o.org_unit_id = ANY(CAST(:units AS uuid[]))
        AND o.grid_id = ANY(CAST(:grid_ids AS uuid[]))
        AND o.state NOT IN ('completed', 'archived', 'cancelled')
    GROUP BY 1
    """
)


async def open_orders_in(
    session: AsyncSession, grid_ids: Collection[UUID], caller: Caller
) -> dict[UUID, int]:
    """Count the caller's open orders in each of these grids; those without are left out."""
    units = (await workorders.org_units(session)).within(caller.org_path)
    rows = await session.execute(_OPEN_ORDERS, {"units": units, "grid_ids": list(grid_ids)})
    return {row.grid_id: row.orders for row in rows}


_PRIMARY_OF = text(
    """
    SELECT m.technician_id, m.grid_id FROM grid_membership m JOIN grid g ON g.id = m.grid_id
    WHERE m.technician_id = ANY(CAST(:ids AS uuid[])) AND m.kind = 'primary'
        AND m.valid_from <= :day AND (m.valid_to IS NULL OR m.valid_to > :day)
        AND g.org_unit_id IN (SELECT id FROM org_unit WHERE starts_with(path, :org_path))
    """
)


async def primary_of(
    session: AsyncSession, technician_ids: Collection[UUID], day: date, caller: Caller
) -> dict[UUID, set[UUID]]:
    """Say which of the caller's grids each of these people is primary of on a local day."""
    found: dict[UUID, set[UUID]] = {one: set() for one in technician_ids}
    rows = await session.execute(
        _PRIMARY_OF, {"ids": list(technician_ids), "day": day, "org_path": caller.org_path}
    )
    for row in rows:
        found[row.technician_id].add(row.grid_id)
    return found
