"""Wire shapes of the acceptance code; none of them carries a code to the phone."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Input
from app.customers.rules import masked_phone
from app.visits.models import AcceptanceCode
from app.visits.schemas.steps import StepIn, ToldCode


class CodeAskedIn(Input):
    """Asking that the customer is sent a code; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"id": "01956f3b-4a00-7000-8000-000000000004"}]}
    )

    id: UUID = Field(description="Asking with the same id again sends nothing more.")


class CodeToldIn(StepIn):
    """The code as the customer has told it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"code": "042917", "device_at": "2026-03-02T10:38:00+08:00"}]
        }
    )

    code: ToldCode


class CodeSentOut(Answer):
    """A code is on its way to the customer; only they can read it."""

    id: UUID
    visit_id: UUID
    sent_to: Annotated[str, Field(max_length=40)] = Field(
        description="The number it was sent to, masked."
    )
    sent_at: datetime
    expires_at: datetime
    again_at: datetime = Field(description="From when on another one can be sent.")
    left: Annotated[int, Field(ge=0)] = Field(
        description="How many more can be sent in this visit."
    )

    @classmethod
    def of(cls, sent: AcceptanceCode, *, to: str, again_at: datetime, left: int) -> Self:
        """Write what was sent, without the code."""
        return cls(
            id=sent.id,
            visit_id=sent.visit_id,
            sent_to=masked_phone(to),
            sent_at=sent.sent_at,
            expires_at=sent.expires_at,
            again_at=again_at,
            left=left,
        )


class AcceptedOut(Answer):
    """The customer has accepted the work."""

    visit_id: UUID
    accepted_at: datetime
