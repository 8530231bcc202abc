"""Taking down that a customer was reminded of what they owe."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound, SameIdOtherContent
from app.customers.models import Customer, Interaction
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact
from app.suggestions import queries
from app.suggestions.rules.reminding import SUBJECT, NothingOwed, reminded_of


async def take_down_reminder(
    tx: AsyncSession,
    contact_id: UUID,
    *,
    customer_id: UUID,
    work_order_id: UUID,
    technician_id: UUID,
    at: datetime,
) -> Interaction:
    """Write a reminder at the door of an order into the ledger, as a contact of service.

    The phone makes the id, and the same again is answered like the first time. Raises NothingOwed
    where nothing is owed any more, NotFound and SameIdOtherContent.
    """
    await queries.lock_customer(tx, customer_id)
    known = await tx.get(Interaction, contact_id)
    if known is not None:
        if (known.work_order_id, known.subject) != (work_order_id, SUBJECT):
            raise SameIdOtherContent(id=contact_id)
        return known
    customer = await tx.get(Customer, customer_id)
    if customer is None:
        raise NotFound()
    reason = reminded_of(customer.arrears_fen, blacklisted=customer.blacklisted)
    if reason is None:
        raise NothingOwed()
    return await record_contact(
        tx,
        contact_id=contact_id,
        customer_id=customer_id,
        at=at,
        channel=Channel.VISIT,
        kind=InteractionKind.SERVICE,
        subject=SUBJECT,
        outcome=reason.value,
        technician_id=technician_id,
        work_order_id=work_order_id,
    )
