"""Reads of work orders that have a name, and the row locks under which an order changes."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.workorders.models import WorkOrder


async def for_change(tx: AsyncSession, order_id: UUID) -> WorkOrder:
    """Take an order under its row lock until the transaction ends. Raises NotFound."""
    order = await tx.get(WorkOrder, order_id, with_for_update=True, populate_existing=True)
    if order is None:
        raise NotFound()
    return order


async def held_for_change(tx: AsyncSession, order_id: UUID, technician_id: UUID) -> WorkOrder:
    """Take a technician's own order under its row lock.

    Raises NotFound for an order that somebody else holds, as for one that does not exist.
    """
    order = await tx.scalar(
        select(WorkOrder)
        .where(WorkOrder.id == order_id, WorkOrder.holder_id == technician_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if order is None:
        raise NotFound()
    return order
