"""Wire shapes of answers to suggestions."""

from datetime import date, datetime
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Input, Moment, Name
from app.suggestions.rules import AnswerKind, DeclineReason


class AnswerIn(Input):
    """What the customer said; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f3a-7c00-7000-8000-000000000001",
                    "answer": "declined",
                    "reason": "has_it_elsewhere",
                    "competitor": "另一家运营商 500M 每月 59 元",
                    "device_at": "2026-03-02T10:40:00+08:00",
                },
                {
                    "id": "01956f3a-7c00-7000-8000-000000000002",
                    "answer": "later",
                    "later_on": "2026-05-01",
                    "device_at": "2026-03-02T10:40:00+08:00",
                },
            ]
        }
    )

    id: UUID
    answer: AnswerKind = Field(
        description="`not_pitched` when the technician did not mention it: that is no contact."
    )
    reason: DeclineReason | None = Field(default=None, description="Needed with `declined`.")
    later_on: date | None = Field(
        default=None, description="Needed with `later`: the day the customer named."
    )
    competitor: Name | None = Field(
        default=None, description="Who else serves the customer, with what, at what price."
    )
    device_at: Moment = Field(description="When it was said, by the phone's clock.")


class AnswerOut(Answer):
    """An answer as it was taken down."""

    id: UUID
    suggestion_id: UUID
    answer: AnswerKind
    reason: DeclineReason | None
    later_on: date | None
    competitor: str | None
    at: datetime = Field(description="When it was said, as far as the phone's clock is believed.")
    device_at: datetime
