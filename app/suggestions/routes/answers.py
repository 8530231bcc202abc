"""Doorways of suggestions. They are made through a visit (`/v1/visits/{id}/suggestions`)."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from app.auth.callers import Caller, caller, technician_of
from app.auth.rules import Role
from app.core.db import Tx
from app.core.http import Now
from app.suggestions import service
from app.suggestions.models import SuggestionAnswer
from app.suggestions.schemas.answers import AnswerIn, AnswerOut

router = APIRouter(prefix="/v1/suggestions", tags=["suggestions"])

_adviser = caller(Role.TECHNICIAN, scope="suggestions:use")


async def _advising(known: Annotated[Caller, Depends(_adviser)]) -> UUID:
    return technician_of(known)


# The id of the technician who asks.
Adviser = Annotated[UUID, Depends(_advising)]


@router.post("/{suggestion_id}/answer", response_model=AnswerOut, operation_id="suggestions_answer")
async def answer(
    suggestion_id: UUID, body: AnswerIn, adviser: Adviser, tx: Tx, now: Now
) -> SuggestionAnswer:
    """Take down what the customer said; a late or repeated answer is welcome."""
    return await service.take_down(
        tx,
        suggestion_id,
        service.Said(**body.model_dump()),
        technician_id=adviser,
        now=now,
    )
