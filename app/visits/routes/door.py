"""Doorways at the door: whom one meets, and what may be offered."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from app.core.db import Tx
from app.core.http import Language, Now
from app.customers.rules import FROM_HERE
from app.visits.routes.callers import Adviser, Reader
from app.visits.rules.standing import FIT_WORDS
from app.visits.schemas.blocks import coded
from app.visits.schemas.context import ContextOut
from app.visits.schemas.offers import SuggestionsOut
from app.visits.schemas.standing import OutageOut, OutagesOut, StandingBlocks
from app.visits.service import context, offers

router = APIRouter(prefix="/v1", tags=["visits"])


@router.post("/visits/{visit_id}/suggestions", operation_id="visits_suggestions")
async def suggestions(
    visit_id: UUID, adviser: Adviser, tx: Tx, now: Now, lang: Language
) -> SuggestionsOut:
    """Say what to offer in this visit and what not, each with the reason.

    Ask on opening the visit and again when the repair is marked restored; with nothing changed
    the answer is the one that was stored. Nothing to offer is an honest answer.
    """
    found = await offers.suggestions_for(tx, visit_id, adviser, now)
    return SuggestionsOut.of(found.decided, found.work_type, found.installs, lang)


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
