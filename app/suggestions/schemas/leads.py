"""Wire shapes for supervisors: leads handed over, and notes of competitors."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Input, Note
from app.suggestions.rules.leads import LeadState, LeadTo

Text = Annotated[str, Field(max_length=300)]
Token = Annotated[str, Field(max_length=400)]


class LeadOut(Answer):
    """An offer that a technician handed over."""

    id: UUID
    org_unit_id: UUID
    customer_id: UUID
    suggestion_id: UUID
    offering_code: Text
    technician_id: UUID
    handed_to: LeadTo
    note: Annotated[str, Field(max_length=2000)] | None
    state: LeadState
    taken_by: UUID | None = Field(description="The account that has taken it on.")
    ended_note: Annotated[str, Field(max_length=2000)] | None
    at: datetime = Field(description="When it was handed over.")
    changed_at: datetime


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
