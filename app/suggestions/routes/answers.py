"""Doorways of answers to suggestions."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends

from app.auth.callers import Caller, caller, technician_of
from app.auth.rules import Role
from app.core.db import Read, Tx
from app.core.doorways import Router
from app.core.http import Language, Now
from app.suggestions import service
from app.suggestions.schemas.answers import AnswerIn, AnswerOut, HandedOverOut, HandOverIn
from app.suggestions.schemas.explaining import ExplanationOut
from app.suggestions.schemas.leads import LeadOut

router = Router(prefix="/v1/suggestions", tags=["suggestions"])

_adviser = caller(Role.TECHNICIAN, scope="suggestions:use")


async def _advising(known: Annotated[Caller, Depends(_adviser)]) -> UUID:
    return technician_of(known)


# The id of the technician who asks.
Adviser = Annotated[UUID, Depends(_advising)]

Seer = Annotated[
    Caller,
    Depends(caller(Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN, scope="customers:read")),
]


@router.post("/{suggestion_id}/answer", operation_id="suggestions_answer")
async def answer(
    suggestion_id: UUID, body: AnswerIn, adviser: Adviser, tx: Tx, now: Now, lang: Language
) -> AnswerOut:
    """Take down what was pitched and what the customer said; late or repeated ones are welcome.

    Look at `opens_sale`: a guard that became true while the phone was offline wins over an
    acceptance, which is kept all the same.
    """
    taken = await service.take_down(tx, suggestion_id, body.said(), technician_id=adviser, now=now)
    return AnswerOut.of(taken, lang)


@router.get("/{suggestion_id}/explanation", operation_id="suggestions_explanation")
async def explanation(
    suggestion_id: UUID, seer: Seer, read: Read, lang: Language
) -> ExplanationOut:
    """Say why an offer was made or held back, as its decision stored it.

    The terms add up to the score; each says where the offer would stand without it. Customers may
    be told, if they ask.
    """
    told = await service.explain(read, suggestion_id, seer)
    return ExplanationOut.of(
        told.suggestion,
        told.decision,
        told.explanation,
        told.candidates,
        told.chance,
        told.levers,
        lang,
    )


@router.post("/{suggestion_id}/hand-over", operation_id="suggestions_hand_over")
async def hand_over(
    suggestion_id: UUID, body: HandOverIn, adviser: Adviser, tx: Tx, now: Now, lang: Language
) -> HandedOverOut:
    """Hand an offer over to another channel, such as an account manager; it is closed here.

    Look at `lead`: a guard that became true while the phone was offline wins over handing it over,
    which is kept all the same.
    """
    handed = await service.hand_over(
        tx, suggestion_id, body.handing(), technician_id=adviser, now=now
    )
    return HandedOverOut(
        **dict(AnswerOut.of(handed.answer, lang)),
        lead=None if handed.lead is None else LeadOut.of(handed.lead),
    )
