"""Wire shapes of technicians."""

from datetime import datetime, time
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Input, Moment
from app.technicians.rules import HIGHEST_LEVEL, LeaveCause


class SkillOut(Answer):
    """A skill, and how well it is mastered."""

    skill: Annotated[str, Field(max_length=64)]
    level: Annotated[int, Field(ge=1, le=HIGHEST_LEVEL, description="1 can, 5 teaches.")]


class TechnicianOut(Answer):
    """A technician, as in a list."""

    id: UUID
    code: Annotated[str, Field(max_length=64)]
    name: Annotated[str, Field(max_length=200)]
    phone: Annotated[str, Field(max_length=30)] | None
    contractor: Annotated[str, Field(max_length=200)] | None = Field(
        description="The company they work for, if it is not the operator."
    )
    org_unit_id: UUID
    daily_minutes: Annotated[int, Field(ge=0, le=1440, description="Minutes of work a day.")]
    active: bool
    skills: Annotated[list[SkillOut], Field(max_length=100)]
    version: Annotated[int, Field(ge=1)]


class ShiftOut(Answer):
    """A weekly working time, in local time of the org unit."""

    weekday: Annotated[int, Field(ge=0, le=6, description="0 is Monday.")]
    starts_at: time
    ends_at: time


class LeaveOut(Answer):
    """A time a technician does not work."""

    id: UUID
    technician_id: UUID
    starts_at: datetime
    ends_at: datetime
    cause: LeaveCause


class TechnicianProfile(TechnicianOut):
    """A technician with the week's shifts and the leave that has not passed."""

    shifts: Annotated[list[ShiftOut], Field(max_length=100)]
    leave: Annotated[list[LeaveOut], Field(max_length=1000)]


class TechnicianPage(Answer):
    """A page of technicians, by code."""

    technicians: Annotated[list[TechnicianOut], Field(max_length=200)]
    next_page_token: Annotated[str, Field(max_length=400)] | None


class LeaveIn(Input):
    """A leave to be written down; the id is made by the sender, so that sending twice is safe."""

    id: UUID
    starts_at: Moment
    ends_at: Moment
    cause: LeaveCause
