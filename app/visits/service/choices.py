"""What a customer asks for at the door or elsewhere, written down by whoever may speak for them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.customers import service as customers
from app.customers.models import Customer
from app.visits.service.context import at_the_door


async def set_personal_offers(
    tx: AsyncSession, customer_id: UUID, caller: Caller, *, on: bool, now: datetime
) -> Customer:
    """Move the switch for offers that are made for this customer.

    A technician may while they meet the customer, others for customers of their subtree. Raises
    NotFound for everybody else.
    """
    await at_the_door(tx, customer_id, caller, now=now)
    return await customers.set_personal_offers(
        tx, customer_id=customer_id, on=on, caller=caller, now=now
    )
