"""Passing an order on to a colleague, and who could take it."""

from collections.abc import Sequence
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Code, Note
from app.core.i18n import Lang
from app.dispatch.rules import REASON_WORDS, PassedOver
from app.dispatch.rules.colleagues import Colleague
from app.visits.rules import TransferCause
from app.visits.schemas.steps import StepIn

Text = Annotated[str, Field(max_length=300)]


class TransferIn(StepIn):
    """To whom an order is passed on, and why."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "to": "T-0015",
                    "cause": "nearer",
                    "note": "客户下午三点在家",
                    "device_at": "2026-03-02T10:40:00+08:00",
                }
            ]
        }
    )

    to: Code = Field(description="A colleague of the same branch: their code, or their id.")
    cause: TransferCause
    note: Note | None = None


class ColleagueOut(Answer):
    """Somebody of the same branch."""

    technician_id: UUID
    code: Text
    name: Text
    free_minutes: int = Field(description="Of the day on which the order is to be done.")
    skilled: bool = Field(description="Whether they have the skills that the order asks for.")
    at_work: bool = Field(description="Whether they are on shift and not on leave that day.")
    can_take: bool
    why_not: PassedOver | None = Field(description="Null when they can.")
    why_not_words: Text | None


class ColleaguesOut(Answer):
    """Who could take an order over: those who can first, and of these who has most time."""

    colleagues: Annotated[list[ColleagueOut], Field(max_length=300)]

    @classmethod
    def of(cls, colleagues: Sequence[Colleague], lang: Lang) -> Self:
        """Write them in a language."""
        return cls(
            colleagues=[
                ColleagueOut(
                    technician_id=one.technician_id,
                    code=one.code,
                    name=one.name,
                    free_minutes=one.free_minutes,
                    skilled=one.skilled,
                    at_work=one.at_work,
                    can_take=one.why is None,
                    why_not=one.why,
                    why_not_words=one.why and REASON_WORDS[one.why].say(lang),
                )
                for one in colleagues
            ]
        )
