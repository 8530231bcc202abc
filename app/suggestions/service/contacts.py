"""The contact slot: of all who could speak to a customer about a sale, one at a time may."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.suggestions.models import ContactSlot


async def hold_slot(tx: AsyncSession, customer_id: UUID, visit_id: UUID, until: datetime) -> None:
    """Hold a customer's slot for a visit, under their lock; one that ran out is taken over."""
    row = {"visit_id": visit_id, "held_until": until}
    await tx.execute(
        insert(ContactSlot)
        .values(customer_id=customer_id, **row)
        .on_conflict_do_update(index_elements=[ContactSlot.customer_id], set_=row)
    )


async def release_slot(tx: AsyncSession, visit_id: UUID) -> None:
    """Give back the contact slot a visit holds, if it holds one: nothing will be pitched in it."""
    await tx.execute(delete(ContactSlot).where(ContactSlot.visit_id == visit_id))
