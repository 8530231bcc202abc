"""Doorways for what a customer asks for."""

from uuid import UUID

from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Now
from app.visits.routes.callers import Wisher
from app.visits.schemas.choices import (
    ConsentIn,
    ConsentsOut,
    DoNotDisturbIn,
    DoNotDisturbSetOut,
    PersonalOffersIn,
    PersonalOffersOut,
)
from app.visits.service import choices

router = Router(prefix="/v1/customers", tags=["customers"])


@router.put("/{customer_id}/do-not-disturb", operation_id="customers_do_not_disturb")
async def do_not_disturb(
    customer_id: UUID, body: DoNotDisturbIn, wisher: Wisher, tx: Tx, now: Now
) -> DoNotDisturbSetOut:
    """Move the do-not-disturb switch; it is in force on every channel with the answer.

    A technician switches it on while they hold an order of the customer's, from acknowledging it
    until a short grace after completing it, and never off; supervisors and systems move it for the
    customers of their area.
    """
    customer = await choices.set_do_not_disturb(
        tx, customer_id, wisher, on=body.on, now=now, said_at=body.device_at
    )
    return DoNotDisturbSetOut(
        customer_id=customer.id,
        on=customer.do_not_disturb,
        since=customer.do_not_disturb_since,
    )


@router.put("/{customer_id}/personal-offers", operation_id="customers_personal_offers")
async def personal_offers(
    customer_id: UUID, body: PersonalOffersIn, wisher: Wisher, tx: Tx, now: Now
) -> PersonalOffersOut:
    """Say whether offers may be made for this customer in person; in force with the answer.

    A technician says so while they hold an order of the customer's, from acknowledging it until a
    short grace after completing it; supervisors and systems for the customers of their area.
    """
    customer = await choices.set_personal_offers(
        tx, customer_id, wisher, on=body.on, now=now, said_at=body.device_at
    )
    return PersonalOffersOut(
        customer_id=customer.id,
        on=customer.personal_offers,
        since=customer.personal_offers_since,
    )


@router.get("/{customer_id}/consents", operation_id="customers_consents")
async def consents(customer_id: UUID, wisher: Wisher, read: Read, now: Now) -> ConsentsOut:
    """Read on which channels a customer may be offered something, and what they said of it."""
    found = await choices.consents_of(read, customer_id, wisher, now=now)
    return ConsentsOut.of(found.customer, found.said)


@router.post("/{customer_id}/consents", operation_id="customers_consent")
async def consent(
    customer_id: UUID, body: ConsentIn, wisher: Wisher, tx: Tx, now: Now
) -> ConsentsOut:
    """Write down that a customer allows offers on some channels, or withdraws it.

    Whatever is withdrawn is in force with the answer. Consent needs its proof; what arrives late
    takes its place by when it was said. Sending the same again is answered alike.
    """
    told = body.model_dump(exclude={"id"})
    found = await choices.record_consent(
        tx, customer_id, wisher, now=now, consent_id=body.id, **told
    )
    return ConsentsOut.of(found.customer, found.said)
