"""What a phone sends to have a line opened, to go without, and to test a line."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.activation.rules import ActivationState, LineTest, OverrideCause
from app.core.http import Answer, Code, Input, Note
from app.visits.schemas.steps import StepIn


class ActivationIn(StepIn):
    """This terminal on this line; the phone makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "01956f4b-6b00-7000-8000-000000000004",
                    "loid": "SZ0755A1B2C3",
                    "serial_number": "HWTC-8F21A9C4",
                    "device_at": "2026-03-02T10:05:00+08:00",
                }
            ]
        }
    )

    id: UUID
    loid: Code | None = Field(default=None, description="This or the service number is needed.")
    service_number: Code | None = None
    serial_number: Code


class ActivationAskedOut(Answer):
    """An ask as it was taken; what becomes of it is read by its id."""

    id: UUID
    work_order_id: UUID
    visit_id: UUID
    state: ActivationState
    asked_at: datetime


class ActivationOverrideIn(StepIn):
    """Why the order goes without activation; the phone makes the id (UUIDv7)."""

    id: UUID
    cause: OverrideCause
    note: Note | None = Field(default=None, description="Needed with the cause `other`.")


class ActivationOverrideOut(Answer):
    """That the order goes without activation, as it was taken."""

    id: UUID
    work_order_id: UUID
    visit_id: UUID
    cause: OverrideCause
    note: Annotated[str, Field(max_length=2000)] | None
    at: datetime


class LineTestIn(Input):
    """Which line; with nothing named, the one last asked for, else the order's own."""

    loid: Code | None = None
    service_number: Code | None = None


class LineTestOut(Answer):
    """How the line stands right now."""

    online: bool
    optical_rx_power_dbm: float | None = Field(
        description="What the terminal receives; null where the platform cannot tell."
    )
    tested_at: datetime | None
    said: Annotated[str, Field(max_length=300)] | None = Field(
        description="The platform's own words."
    )

    @classmethod
    def of(cls, test: LineTest) -> Self:
        """Write a test."""
        return cls(**test._asdict())
