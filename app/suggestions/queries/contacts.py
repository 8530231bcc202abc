"""The lock under which a customer's contacts are counted."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.customers.models import Customer


async def lock_customer(tx: AsyncSession, customer_id: UUID) -> None:
    """Hold a customer until the transaction ends, so that contacts are counted by one at a time.

    It must be a statement of its own: what is counted in the locking statement would be what was
    there before the wait. The lock does not hinder rows that only refer to the customer.
    Raises NotFound.
    """
    statement = (
        select(Customer.id).where(Customer.id == customer_id).with_for_update(key_share=True)
    )
    if (await tx.execute(statement)).first() is None:
        raise NotFound()
