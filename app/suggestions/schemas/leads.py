"""Wire shapes for supervisors: leads handed over, and notes of competitors."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Input, Note
from app.suggestions.models import Prospect, SalesLead
from app.suggestions.rules.leads import LeadState, LeadTo
from app.suggestions.schemas.prospects import ProspectOut

Text = Annotated[str, Field(max_length=300)]
Token = Annotated[str, Field(max_length=400)]


class LeadOut(Answer):
    """An offer that a technician handed over, or somebody who is no customer yet."""

    id: UUID
    org_unit_id: UUID
    customer_id: UUID | None = Field(description="Null of a prospect.")
    suggestion_id: UUID | None = Field(description="Null of a prospect.")
    offering_code: Text | None = Field(description="Null where a prospect asked about nothing.")
    prospect: ProspectOut | None = Field(description="Masked; open it to see whom to call.")
    technician_id: UUID
    handed_to: LeadTo
    note: Annotated[str, Field(max_length=2000)] | None
    state: LeadState
    taken_by: UUID | None = Field(description="The account that has taken it on.")
    ended_note: Annotated[str, Field(max_length=2000)] | None
    at: datetime = Field(description="When it was handed over.")
    changed_at: datetime

    @classmethod
    def of(cls, lead: SalesLead, prospect: Prospect | None = None) -> Self:
        """Write a lead, and whom it is about if that is no customer."""
        plain = cls.model_fields.keys() - {"prospect"}
        return cls(
            **{name: getattr(lead, name) for name in plain},
            prospect=None if prospect is None else ProspectOut.of(prospect),
        )


class LeadPage(Answer):
    """A page of leads, the latest first."""

    leads: Annotated[list[LeadOut], Field(max_length=200)]
    next_page_token: Token | None


class LeadIn(Input):
    """What becomes of a lead: taken on, won or lost."""

    state: LeadState
    note: Note | None = Field(default=None, description="How it ended, in words.")


class CompetitorNoteOut(Answer):
    """What a customer told of another operator; money in fen. Who said it stays a number."""

    id: UUID
    org_unit_id: UUID
    grid_id: UUID | None
    customer_id: UUID
    technician_id: UUID
    who: Text
    offer: Text | None
    monthly_price_fen: int | None
    until: date | None
    at: datetime


class CompetitorNotePage(Answer):
    """A page of notes, the latest first."""

    notes: Annotated[list[CompetitorNoteOut], Field(max_length=200)]
    next_page_token: Token | None
