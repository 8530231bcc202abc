"""Who assists with which order."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.visits.models import WorkAssist


class Assistant(NamedTuple):
    """Somebody who assists with an order, or did."""

    id: UUID
    technician_id: UUID
    technician_code: str
    technician_name: str
    day: date
    minutes: int
    asked_at: datetime
    joined_at: datetime | None
    ended_at: datetime | None


_ASSISTANTS = text(
    """
    SELECT a.id, t.id, t.code, t.name, a.day, a.minutes, a.asked_at, a.joined_at, a.ended_at
    FROM work_assist a JOIN technician t ON t.id = a.technician_id
    WHERE a.work_order_id = :order_id ORDER BY a.asked_at, a.id
    """
)


async def assistants_of(read: AsyncSession, order_id: UUID) -> list[Assistant]:
    """List who assists with an order and who did, the first one first."""
    return [Assistant(*row) for row in await read.execute(_ASSISTANTS, {"order_id": order_id})]


async def assisted(
    session: AsyncSession, technician_id: UUID, order_ids: Collection[UUID]
) -> set[UUID]:
    """Say with which of some orders a technician assists now, having joined."""
    found = await session.scalars(
        select(WorkAssist.work_order_id).where(
            WorkAssist.technician_id == technician_id,
            WorkAssist.work_order_id.in_(order_ids),
            WorkAssist.ended_at.is_(None),
            WorkAssist.joined_at.is_not(None),
        )
    )
    return set(found)


async def open_assists(tx: AsyncSession, order_id: UUID) -> Sequence[WorkAssist]:
    """Read the assists of an order that go on; they change under the order's lock alone."""
    found = await tx.scalars(
        select(WorkAssist)
        .where(WorkAssist.work_order_id == order_id, WorkAssist.ended_at.is_(None))
        .execution_options(populate_existing=True)
    )
    return found.all()


_OVER = text(
    """
    SELECT DISTINCT a.work_order_id FROM work_assist a JOIN work_order o ON o.id = a.work_order_id
    WHERE a.ended_at IS NULL AND (
        o.state NOT IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        OR o.holder_id = a.technician_id
    )
    LIMIT :most
    """
)


async def no_longer_assisted(read: AsyncSession, most: int) -> list[UUID]:
    """List orders that are assisted with and that nobody holds any more, or the assistant does."""
    return list((await read.scalars(_OVER, {"most": most})).all())
