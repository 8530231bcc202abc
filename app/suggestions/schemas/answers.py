"""Wire shapes of answers to suggestions, and of handing one over."""

from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Day, DeviceTime, Input, Name, Note
from app.core.i18n import Lang
from app.suggestions.models import SuggestionAnswer
from app.suggestions.rules import AnswerKind, DeclineReason, HeldBack
from app.suggestions.rules.answering import Competitor, Said
from app.suggestions.rules.leads import HandingOver, LeadTo
from app.suggestions.rules.words import HELD_BACK
from app.suggestions.schemas.leads import LeadOut

Text = Annotated[str, Field(max_length=300)]
Price = Annotated[int, Field(ge=0, le=100_000_000)]


class CompetitorIn(Input):
    """Who else serves the customer; money in fen."""

    who: Name = Field(description="The other operator.")
    offer: Name | None = Field(default=None, description="What they hold there.")
    monthly_price_fen: Price | None = None
    until: Day | None = Field(default=None, description="The day on which that contract ends.")


class AnswerIn(Input):
    """What was pitched and what the customer said; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000001",
                    "answer": "declined",
                    "reason": "has_it_elsewhere",
                    "competitor": {
                        "who": "另一家运营商",
                        "offer": "500M 宽带",
                        "monthly_price_fen": 5900,
                        "until": "2026-12-31",
                    },
                    "device_at": "2026-03-02T10:40:00+08:00",
                },
                {
                    "id": "01956f3a-7c00-7000-8000-000000000002",
                    "answer": "later",
                    "later_on": "2026-05-01",
                    "device_at": "2026-03-02T10:40:00+08:00",
                },
                {
                    "id": "01956f3a-7c00-7000-8000-000000000003",
                    "pitched": True,
                    "device_at": "2026-03-02T10:40:00+08:00",
                },
            ]
        }
    )

    id: UUID
    answer: AnswerKind | None = Field(
        default=None,
        description=(
            "`not_pitched` when the technician did not mention it, `absent` when nobody was there"
            " to hear it: both are no contact. Left out when it was pitched and no answer is known"
            " yet. `handed_over` is said by handing it over."
        ),
    )
    pitched: bool | None = Field(
        default=None, description="Whether it was spoken of; needed only without an answer."
    )
    reason: DeclineReason | None = Field(default=None, description="Needed with `declined`.")
    later_on: Day | None = Field(
        default=None,
        description="Needed with `later`, may come with `not_now`: the day the customer named.",
    )
    competitor: CompetitorIn | None = Field(
        default=None, description="Who else serves the customer, with what, at what price."
    )
    device_at: DeviceTime = Field(description="When it was said, by the phone's clock.")

    def said(self) -> Said:
        """Read the answer as the service takes it."""
        told: dict[str, Any] = self.model_dump(exclude={"competitor"})
        known = self.competitor
        return Said(**told, competitor=Competitor(**known.model_dump()) if known else None)


class AnswerOut(Answer):
    """An answer as it was taken down."""

    id: UUID
    suggestion_id: UUID
    answer: AnswerKind | None
    pitched: bool
    reason: DeclineReason | None
    later_on: date | None
    competitor: Text | None = Field(description="The name of the other operator.")
    at: datetime = Field(description="When it was said, as far as the phone's clock is believed.")
    device_at: datetime
    opens_sale: bool = Field(
        description="Whether a sale may be made on it: accepted, and nothing forbids it meanwhile."
    )
    held_back: HeldBack | None = Field(
        description="The guard that became true before it was told that the customer accepts, or "
        "is handed over; it wins."
    )
    held_back_words: Text | None

    @classmethod
    def of(cls, answer: SuggestionAnswer, lang: Lang) -> Self:
        """Write an answer in one language."""
        plain = cls.model_fields.keys() - {"opens_sale", "held_back_words"}
        held = answer.held_back
        return cls(
            **{name: getattr(answer, name) for name in plain},
            opens_sale=answer.answer is AnswerKind.ACCEPTED and held is None,
            held_back_words=HELD_BACK[held].say(lang) if held else None,
        )


class HandOverIn(Input):
    """To whom an offer is handed over; the phone makes the id (UUIDv7), which the lead gets."""

    id: UUID
    handed_to: LeadTo
    note: Note | None = Field(default=None, description="What the customer said of it.")
    device_at: DeviceTime

    def handing(self) -> HandingOver:
        """Read it as the service takes it."""
        return HandingOver(**self.model_dump())


class HandedOverOut(AnswerOut):
    """What was said of an offer that was handed over, and the lead that it became."""

    lead: LeadOut | None = Field(description="Null where `held_back` says why nobody is given one.")
