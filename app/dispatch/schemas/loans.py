"""Wire shapes of loans: whom a unit could borrow, what is asked for, and how it stands."""

from collections.abc import Iterable
from datetime import date, datetime
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from app.core.http import Answer, Day, Input
from app.technicians.lending import LoanState, state_of
from app.workorders.rules import State

MOST_HELD = 500


class HelperSkillOut(Answer):
    """A skill, and how well it is mastered."""

    skill: str = Field(max_length=64)
    level: int = Field(ge=1, le=5, description="1 can, 5 teaches.")


class HelperOut(Answer):
    """Somebody of another branch of the district who could be borrowed on a day."""

    technician_id: UUID
    code: str = Field(max_length=64)
    name: str = Field(max_length=200)
    org_unit_id: UUID
    org_unit_code: str = Field(max_length=64)
    skills: list[HelperSkillOut] = Field(max_length=100)
    free_minutes: int = Field(ge=0, le=1440, description="Of that day, not promised to anything.")
    usable_minutes: int = Field(
        ge=0, le=1440, description="Of these, what the way there from home and back leaves."
    )
    orders: int = Field(ge=0, le=2**31 - 1, description="What they have to do that day already.")
    distance_m: int | None = Field(
        ge=0, le=20_040_000, description="Straight from home to the middle of the unit's grids."
    )
    way_seconds: int = Field(ge=0, le=86_400, description="What that way takes, as is known.")


class HelpersOut(Answer):
    """Whom a unit could borrow, who has most time left for it first."""

    candidates: list[HelperOut] = Field(max_length=200)


class LoanIn(Input):
    """A loan: somebody works for another unit of the district on some local days."""

    id: Annotated[UUID, Field(description="Made by you: sent again, it is done once.")]
    technician_id: UUID
    org_unit_id: Annotated[UUID, Field(description="The unit that borrows them.")]
    valid_from: Day
    valid_to: Annotated[Day, Field(description="The first day on which they are back.")]
    reason: Annotated[str, StringConstraints(min_length=1, max_length=2000)]


class LoanOut(Answer):
    """A loan, and how it stands."""

    id: UUID
    technician_id: UUID
    technician_code: str = Field(max_length=64)
    technician_name: str = Field(max_length=200)
    home_org_unit_id: UUID
    home_org_unit_code: str = Field(max_length=64)
    org_unit_id: UUID
    org_unit_code: str = Field(max_length=64)
    valid_from: date
    valid_to: date = Field(description="The first day on which they are back.")
    reason: str = Field(max_length=2000)
    state: LoanState
    may_agree: bool = Field(description="Whether you cover the technician, and so decide.")
    asked_at: datetime
    asked_by: UUID | None
    agreed_at: datetime | None
    agreed_by: UUID | None
    ended_at: datetime | None
    ended_by: UUID | None

    @classmethod
    def of(cls, row: Any) -> Self:
        """Shape a row of `technicians.loans`."""
        return cls(**_fields(row))


def _fields(row: Any) -> dict[str, Any]:
    state = state_of(agreed=row.agreed_at is not None, ended=row.ended_at is not None)
    return {**row._mapping, "state": state}


class HeldOut(Answer):
    """An order that somebody who is lent has to do at home on one of these days."""

    order_id: UUID
    external_id: str = Field(max_length=128)
    state: State
    planned_day: date
    estimated_minutes: int = Field(ge=5, le=960)
    version: int = Field(ge=1, le=2**31 - 1)


class LentOut(LoanOut):
    """A loan, with what they hold at home meanwhile: it stays with them until it is moved."""

    held: list[HeldOut] = Field(max_length=MOST_HELD)

    @classmethod
    def with_held(cls, row: Any, held: Iterable[Any]) -> Self:
        """Shape a row of `technicians.loans`, and the orders held."""
        orders = [HeldOut(order_id=one.id, **one._mapping) for one in held]
        return cls(**_fields(row), held=orders)


class LoanPage(Answer):
    """Loans from or to one's part of the organisation, the newest first."""

    loans: list[LoanOut] = Field(max_length=200)
    next_page_token: str | None = Field(max_length=400)
