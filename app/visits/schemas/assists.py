"""Asking a colleague to help with an order, and who does."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import ConfigDict, Field

from app.core.http import Answer, Code, Input
from app.visits.queries import Assistant

Text = Annotated[str, Field(max_length=300)]


class AssistIn(Input):
    """Whom to ask, and for how long; whoever asks makes the id (UUIDv7)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "019cac1a-9a00-7e97-819f-e4244d47ba1f",
                    "technician": "T-0015",
                    "minutes": 45,
                }
            ]
        }
    )

    id: UUID
    technician: Code = Field(description="A colleague of the same branch: their code, or their id.")
    minutes: Annotated[int, Field(ge=5, le=960)] | None = Field(
        default=None, description="Of their day; as many as the order has when left out."
    )


class AssistOut(Answer):
    """Help with an order that was asked for."""

    id: UUID
    work_order_id: UUID
    technician_id: UUID
    day: date = Field(description="The local day of which the minutes are promised.")
    minutes: int
    asked_at: datetime
    joined_at: datetime | None = Field(description="When they took it on; null: not yet.")
    ended_at: datetime | None


class AssistantOut(Answer):
    """Somebody who assists with an order, or did."""

    id: UUID
    technician_id: UUID
    technician_code: Text
    technician_name: Text
    day: date
    minutes: int
    asked_at: datetime
    joined_at: datetime | None
    ended_at: datetime | None


class AssistantsOut(Answer):
    """An order's assistants, the first one first."""

    assistants: Annotated[list[AssistantOut], Field(max_length=200)]

    @classmethod
    def of(cls, assistants: Sequence[Assistant]) -> Self:
        """Write them."""
        return cls(assistants=[AssistantOut(**one._asdict()) for one in assistants])
