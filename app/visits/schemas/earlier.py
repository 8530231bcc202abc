"""What was done for an order before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.visits.queries import Earlier
from app.visits.rules import FarReason, Outcome, SuspendCause

Text = Annotated[str, Field(max_length=2000)]


class EarlierOut(Answer):
    """A visit for the order, by whomever. Names of customers are not in it."""

    id: UUID
    technician_id: UUID
    technician_code: Text
    technician_name: Text
    travel_started_at: datetime
    checked_in_at: datetime | None = Field(description="Null: nobody came to the door.")
    far_reason: FarReason | None
    suspend_cause: SuspendCause | None = Field(description="While it is suspended.")
    resume_at: datetime | None
    restored_at: datetime | None
    ended_at: datetime | None = Field(description="Null while it goes on.")
    outcome: Outcome | None
    outcome_code: Text | None = Field(description="The closing code, or why it was handed back.")
    checked: Annotated[list[Text], Field(max_length=200)] = Field(
        description="The lines of the checklist that were ticked."
    )
    measurements: dict[str, float] = Field(description="What was measured, by measure.")
    note: Text | None


class EarlierVisitsOut(Answer):
    """An order's visits, the first one first; what they have checked and measured still counts."""

    visits: Annotated[list[EarlierOut], Field(max_length=500)]
    absences: int = Field(description="How often somebody came and nobody was at home.")

    @classmethod
    def of(cls, visits: Sequence[Earlier], absences: int) -> Self:
        """Write what there was."""
        return cls(
            visits=[
                EarlierOut(**{**one._asdict(), "measurements": dict(one.measurements or {})})
                for one in visits
            ],
            absences=absences,
        )
