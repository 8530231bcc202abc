"""Doorways at the door: whom one meets, and what may be offered."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from app.core.db import Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.customers.rules import FROM_HERE
from app.suggestions.schemas.leads import LeadOut
from app.suggestions.schemas.prospects import ProspectIn
from app.visits.routes.callers import Adviser, Reader
from app.visits.rules.standing import FIT_WORDS
from app.visits.schemas.blocks import coded
from app.visits.schemas.context import ContextOut
from app.visits.schemas.offers import (
    DayAheadOut,
    RemindedOut,
    ReminderIn,
    SuggestionsOut,
    VisitAheadOut,
)
from app.visits.schemas.standing import OutageOut, OutagesOut, StandingBlocks
from app.visits.service import context, offers

router = Router(prefix="/v1", tags=["visits"])


@router.post("/visits/{visit_id}/suggestions", operation_id="visits_suggestions")
async def suggestions(
    visit_id: UUID, adviser: Adviser, tx: Tx, now: Now, lang: Language
) -> SuggestionsOut:
    """Say what to offer in this visit and what not, each with the reason.

    Ask on opening the visit and again when the repair is marked restored; with nothing changed
    the answer is the one that was stored. Nothing to offer is an honest answer.
    """
    found = await offers.suggestions_for(tx, visit_id, adviser, now)
    return SuggestionsOut.of(found.decided, found.installs, lang)


@router.post("/visits/{visit_id}/reminder", operation_id="visits_remind")
async def remind(
    visit_id: UUID, body: ReminderIn, adviser: Adviser, tx: Tx, now: Now
) -> RemindedOut:
    """Take down that the customer was reminded of what they owe, as a contact of service.

    It counts as no sales contact; as of any service, nobody else sells to them the same day.
    """
    contact = await offers.reminded(
        tx, visit_id, body.id, adviser, device_at=body.device_at, now=now
    )
    return RemindedOut.model_validate(contact)


@router.post("/visits/{visit_id}/prospects", operation_id="visits_note_prospect")
async def note_prospect(
    visit_id: UUID, body: ProspectIn, adviser: Adviser, tx: Tx, now: Now
) -> LeadOut:
    """Note somebody who is no customer and was met on site; it becomes a lead for another channel.

    A name or a number only with what shows that they agreed to it. It is kept for some months.
    """
    lead, prospect = await offers.prospect_noted(tx, visit_id, body.noted(), adviser, now=now)
    return LeadOut.of(lead, prospect)


@router.post("/my/day/suggestions", operation_id="visits_suggestions_ahead")
async def suggestions_ahead(adviser: Adviser, tx: Tx, now: Now, lang: Language) -> DayAheadOut:
    """Take today's suggestions ahead, for a phone that may be without network at the door.

    For every visit of today that is assigned or acknowledged. Each says until when it may be shown,
    and for a repair that it is to wait for that to be restored. Asked again with nothing changed,
    what is still valid is the answer. Opening a visit's own suggestions takes their place.
    """
    ahead = await offers.suggestions_ahead(tx, adviser, now)
    return DayAheadOut(
        day=ahead.day,
        taken_at=now,
        visits=[
            VisitAheadOut(
                work_order_id=one.decided.decision.work_order_id,
                suggestions=SuggestionsOut.of(one.decided, one.installs, lang),
            )
            for one in ahead.doors
        ],
    )


@router.get("/customers/{customer_id}/context", operation_id="visits_customer_context")
async def customer_context(
    customer_id: UUID,
    reader: Reader,
    tx: Tx,
    now: Now,
    lang: Language,
    work_order_id: Annotated[UUID | None, Query(description="The order one comes for.")] = None,
) -> ContextOut:
    """Read the card for the door; what is known, since when, and who says so.

    In full for the technician who holds the customer's order, from acknowledging it until a short
    grace after completing it, and every look is written down; masked for supervisors.
    """
    seen = await context.context_of(tx, customer_id, reader, work_order_id=work_order_id, now=now)
    return ContextOut.of(
        seen.card,
        seen.here,
        seen.open_orders,
        standing=StandingBlocks.of(seen.card, seen.here, masked=seen.masked, lang=lang),
        fit=coded(FIT_WORDS, seen.fit, lang),
        outages=OutagesOut(
            as_of=seen.at,
            source=FROM_HERE,
            now=[OutageOut(name=one.name, expected_end=one.expected_end) for one in seen.outages],
        ),
        masked=seen.masked,
        at=seen.at,
        lang=lang,
    )
