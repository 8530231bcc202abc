"""Reads of what supervisors did by hand: pins."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.dispatch.models import DispatchPin


async def pin_of(session: AsyncSession, order_id: UUID) -> DispatchPin | None:
    """Read who pinned an order to its holder, if anybody has."""
    return await session.scalar(
        select(DispatchPin)
        .where(DispatchPin.work_order_id == order_id)
        .execution_options(populate_existing=True)
    )


async def pins_of(session: AsyncSession, order_ids: Collection[UUID]) -> dict[UUID, DispatchPin]:
    """Read the pins of those of these orders that have one."""
    found = await session.scalars(
        select(DispatchPin)
        .where(DispatchPin.work_order_id.in_(order_ids))
        .execution_options(populate_existing=True)
    )
    return {pin.work_order_id: pin for pin in found}
