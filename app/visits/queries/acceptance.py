"""The acceptance codes of a visit, and whether an order was accepted with one."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.visits.models import AcceptanceCode, Visit


async def codes_sent(tx: AsyncSession, visit_id: UUID) -> Sequence[AcceptanceCode]:
    """List the codes sent in a visit, oldest first; they change under the order's lock."""
    found = await tx.scalars(
        select(AcceptanceCode)
        .where(AcceptanceCode.visit_id == visit_id)
        .order_by(AcceptanceCode.sent_at, AcceptanceCode.id)
        .execution_options(populate_existing=True)
    )
    return found.all()


async def code_accepted(tx: AsyncSession, order_id: UUID) -> bool:
    """Tell whether the customer has told the right code in any visit of an order."""
    told = exists().where(Visit.work_order_id == order_id, Visit.accepted_at.is_not(None))
    return bool(await tx.scalar(select(told)))
