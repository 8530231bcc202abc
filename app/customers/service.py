"""What can be done about customers: write down a contact, and move the switches they ask for."""

from collections.abc import Collection
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.db import new_id
from app.core.errors import SameIdOtherContent
from app.customers import queries, rules
from app.customers.models import ContactConsent, Customer, Interaction
from app.customers.rules import (
    Channel,
    ConsentProof,
    ConsentState,
    InteractionKind,
    SetSince,
)


async def record_contact(
    tx: AsyncSession,
    *,
    contact_id: UUID | None = None,
    customer_id: UUID,
    at: datetime,
    channel: Channel,
    kind: InteractionKind,
    subject: str,
    outcome: str | None = None,
    offering_code: str | None = None,
    later_on: date | None = None,
    technician_id: UUID | None = None,
    work_order_id: UUID | None = None,
) -> Interaction:
    """Write down one contact with a customer who is known to exist; it counts at once.

    Whoever may say the same twice makes the id.
    """
    contact = Interaction(
        id=contact_id or new_id(),
        customer_id=customer_id,
        at=at,
        channel=channel,
        kind=kind,
        subject=subject,
        outcome=outcome,
        offering_code=offering_code,
        later_on=later_on,
        technician_id=technician_id,
        work_order_id=work_order_id,
    )
    tx.add(contact)
    await tx.flush()
    return contact


async def set_do_not_disturb(
    tx: AsyncSession,
    *,
    customer_id: UUID,
    on: bool,
    caller: Caller,
    now: datetime,
    said_at: datetime | None = None,
) -> Customer:
    """Move a customer's do-not-disturb switch; every decision after the commit sees it.

    The row is locked, as it is while offers are decided, so that none can slip past the switch.
    `said_at` is when the customer said so, `now` unless another moment is given, and never later
    than that. Moving the switch to where it stands changes nothing but when it was last spoken of.
    Raises NotFound, and SetSince where the customer has said something later.
    """
    customer = await queries.for_change(tx, caller, customer_id)
    customer.do_not_disturb_said_at = _heard(customer.do_not_disturb_said_at, said_at, now)
    if customer.do_not_disturb != on:
        customer.do_not_disturb = on
        customer.do_not_disturb_since = now
    await tx.flush()
    return customer


async def set_personal_offers(
    tx: AsyncSession,
    *,
    customer_id: UUID,
    on: bool,
    caller: Caller,
    now: datetime,
    said_at: datetime | None = None,
) -> Customer:
    """Say whether what is known of a customer may decide what they are offered.

    The law gives everybody the choice of offers that are not made for them. The row is locked,
    `said_at` counts, and what is raised is as with `set_do_not_disturb`.
    """
    customer = await queries.for_change(tx, caller, customer_id)
    customer.personal_offers_said_at = _heard(customer.personal_offers_said_at, said_at, now)
    if customer.personal_offers != on:
        customer.personal_offers = on
        customer.personal_offers_since = now
    await tx.flush()
    return customer


def _heard(last: datetime | None, said_at: datetime | None, now: datetime) -> datetime:
    """Return when something was said, unless there was a later word. Raises SetSince.

    What is said now is the last word, also where the clocks of two servers differ a little.
    """
    if said_at is None or last is None:
        return min(said_at or now, now)
    if last > said_at:
        raise SetSince(since=last)
    return min(said_at, max(last, now))


async def record_consent(
    tx: AsyncSession,
    *,
    consent_id: UUID,
    customer_id: UUID,
    channels: Collection[Channel],
    state: ConsentState,
    proof: ConsentProof | None,
    reference: str | None,
    device_at: datetime | None,
    caller: Caller,
    now: datetime,
) -> Customer:
    """Write down that a customer allows offers on some channels, or does not any more.

    It is in force with the commit: whoever is about to offer something locks or reads the same
    row. The client makes the id, and the same again is answered like the first. Raises NotFound,
    Invalid for consent without proof, and SameIdOtherContent.
    """
    rules.check_proof(state, proof, reference)
    customer = await queries.for_change(tx, caller, customer_id)
    told = {
        "customer_id": customer_id,
        "channels": sorted(set(channels)),
        "state": state,
        "proof": proof,
        "reference": reference,
        "device_at": device_at,
    }
    known = await tx.get(ContactConsent, consent_id)
    if known is not None:
        if any(getattr(known, name) != value for name, value in told.items()):
            raise SameIdOtherContent(id=consent_id)
        return customer
    # A telephone's clock may be ahead, and nobody has said anything in the future.
    tx.add(
        ContactConsent(
            id=consent_id,
            said_at=min(device_at or now, now),
            account_id=caller.account_id,
            **told,
        )
    )
    await tx.flush()
    last = rules.consents_of(
        rules.Said([Channel(name) for name in one.channels], one.state, one.said_at)
        for one in await queries.consents_said(tx, customer_id)
    )
    by_state = {
        each: sorted(channel.value for channel, said in last.items() if said.state is each)
        for each in ConsentState
    }
    customer.channels_allowed = by_state[ConsentState.GIVEN]
    customer.channels_refused = by_state[ConsentState.WITHDRAWN]
    await tx.flush()
    return customer
