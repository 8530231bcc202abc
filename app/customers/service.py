"""What can be done about customers: write down a contact, and move the switches they ask for."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.db import new_id
from app.customers import queries
from app.customers.models import Customer, Interaction
from app.customers.rules import Channel, InteractionKind


async def record_contact(
    tx: AsyncSession,
    *,
    customer_id: UUID,
    at: datetime,
    channel: Channel,
    kind: InteractionKind,
    subject: str,
    outcome: str | None = None,
    technician_id: UUID | None = None,
    work_order_id: UUID | None = None,
) -> Interaction:
    """Write down one contact with a customer who is known to exist; it counts at once."""
    contact = Interaction(
        id=new_id(),
        customer_id=customer_id,
        at=at,
        channel=channel,
        kind=kind,
        subject=subject,
        outcome=outcome,
        technician_id=technician_id,
        work_order_id=work_order_id,
    )
    tx.add(contact)
    await tx.flush()
    return contact


async def set_do_not_disturb(
    tx: AsyncSession, *, customer_id: UUID, on: bool, caller: Caller, now: datetime
) -> Customer:
    """Move a customer's do-not-disturb switch; every decision after the commit sees it.

    The row is locked, as it is while offers are decided, so that none can slip past the switch.
    Moving it to where it stands changes nothing. Raises NotFound.
    """
    customer = await queries.for_change(tx, caller, customer_id)
    if customer.do_not_disturb != on:
        customer.do_not_disturb = on
        customer.do_not_disturb_since = now
        await tx.flush()
    return customer


async def set_personal_offers(
    tx: AsyncSession, *, customer_id: UUID, on: bool, caller: Caller, now: datetime
) -> Customer:
    """Say whether what is known of a customer may decide what they are offered.

    The law gives everybody the choice of offers that are not made for them. The row is locked as
    by `set_do_not_disturb`, and moving it to where it stands changes nothing. Raises NotFound.
    """
    customer = await queries.for_change(tx, caller, customer_id)
    if customer.personal_offers != on:
        customer.personal_offers = on
        customer.personal_offers_since = now
        await tx.flush()
    return customer
