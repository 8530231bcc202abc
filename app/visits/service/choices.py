"""What a customer asks for at the door or elsewhere, written down by whoever may speak for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, at_door_of
from app.auth.rules import Role
from app.customers import queries as customer_queries
from app.customers import service as customers
from app.customers.models import ContactConsent, Customer
from app.customers.rules import KeptUndisturbed
from app.visits.service.context import at_the_door


@dataclass(frozen=True)
class Consents:
    """A customer with all they have said of being offered things, the newest first."""

    customer: Customer
    said: Sequence[ContactConsent]


async def set_do_not_disturb(
    tx: AsyncSession,
    customer_id: UUID,
    caller: Caller,
    *,
    on: bool,
    now: datetime,
    said_at: datetime | None = None,
) -> Customer:
    """Move the switch that ends every offer to this customer.

    A technician may switch it on while they meet the customer, others move it for customers of
    their subtree. Raises NotFound for everybody else, KeptUndisturbed for a technician who would
    switch it off, and what `app.customers.service.set_do_not_disturb` raises.
    """
    # Who asked to be left alone is left alone, however late a phone without a network tells of it:
    # what counts is who met them when they said so.
    met = await _met(tx, customer_id, caller, now=min(said_at or now, now))
    if not on and caller.role is Role.TECHNICIAN:
        raise KeptUndisturbed()
    return await customers.set_do_not_disturb(
        tx, customer_id=customer_id, on=on, caller=met, now=now, said_at=said_at
    )


async def set_personal_offers(
    tx: AsyncSession,
    customer_id: UUID,
    caller: Caller,
    *,
    on: bool,
    now: datetime,
    said_at: datetime | None = None,
) -> Customer:
    """Move the switch for offers that are made for this customer.

    A technician may while they meet the customer, others for customers of their subtree. Raises
    NotFound for everybody else, and what `app.customers.service.set_personal_offers` raises.
    """
    met = await _met(tx, customer_id, caller, now=now)
    return await customers.set_personal_offers(
        tx, customer_id=customer_id, on=on, caller=met, now=now, said_at=said_at
    )


async def consents_of(
    read: AsyncSession, customer_id: UUID, caller: Caller, *, now: datetime
) -> Consents:
    """Read what a customer allows; for those who may also write it down. Raises NotFound."""
    met = await _met(read, customer_id, caller, now=now)
    customer = await customer_queries.one(read, met, customer_id)
    return Consents(customer, await customer_queries.consents_said(read, customer_id))


async def record_consent(
    tx: AsyncSession, customer_id: UUID, caller: Caller, *, now: datetime, **told: Any
) -> Consents:
    """Write down what a customer allows or withdraws, as `app.customers.service` does.

    A technician may while they meet the customer, others for customers of their subtree. Raises
    NotFound for everybody else, and what `app.customers.service.record_consent` raises.
    """
    met = await _met(tx, customer_id, caller, now=now)
    customer = await customers.record_consent(
        tx, customer_id=customer_id, caller=met, now=now, **told
    )
    return Consents(customer, await customer_queries.consents_said(tx, customer_id))


async def _met(tx: AsyncSession, customer_id: UUID, caller: Caller, *, now: datetime) -> Caller:
    """Prove that a caller has to do with a customer, and see them as of the customer's branch,
    which is not their own where they are lent. Raises NotFound."""
    here, _ = await at_the_door(tx, customer_id, caller, now=now)
    return at_door_of(caller, here.org_path)
