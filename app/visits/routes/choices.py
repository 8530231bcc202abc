"""Doorways for what a customer asks for."""

from uuid import UUID

from fastapi import APIRouter

from app.core.db import Tx
from app.core.http import Now
from app.visits.routes.callers import Wisher
from app.visits.schemas.choices import PersonalOffersIn, PersonalOffersOut
from app.visits.service import choices

router = APIRouter(prefix="/v1/customers", tags=["customers"])


@router.put("/{customer_id}/personal-offers", operation_id="customers_personal_offers")
async def personal_offers(
    customer_id: UUID, body: PersonalOffersIn, wisher: Wisher, tx: Tx, now: Now
) -> PersonalOffersOut:
    """Say whether offers may be made for this customer in person; in force with the answer.

    A technician says so while they hold an order of the customer's, from acknowledging it until a
    short grace after completing it; supervisors and systems for the customers of their area.
    """
    customer = await choices.set_personal_offers(tx, customer_id, wisher, on=body.on, now=now)
    return PersonalOffersOut(
        customer_id=customer.id,
        on=customer.personal_offers,
        since=customer.personal_offers_since,
    )
