"""Wire shapes of how far off expected ways and planned times were."""

from datetime import date
from typing import Annotated
from uuid import UUID

from pydantic import Field

from app.core.http import Answer, Line

_ERROR = "Null while there is none."


class ErrorOut(Answer):
    """How far off something was, early or late, in seconds."""

    median: float | None = Field(description=_ERROR)
    p90: float | None = Field(description="Nine of ten were no farther off. " + _ERROR)


class WaysOut(Answer):
    """Ways from door to door: what they took against what was expected of them."""

    trips: int = Field(description="Ways that were learned from.")
    left_out: int = Field(description="Ways that cannot be right, by their time or their speed.")
    expected: ErrorOut = Field(
        description="Against what was expected of them before they were learned from."
    )
    by_distance: ErrorOut = Field(
        description="Against the distance alone: what would be expected if nothing were learned."
    )


class KeptOut(Answer):
    """When visits began against when a plan said they would."""

    error: ErrorOut
    within_15_minutes: int = Field(description="How many of `visits`.")
    within_30_minutes: int


class PlannedOut(Answer):
    """Planned times; `first` is by the day's first published plan that held the visit, `last` by
    the one in force when the technician set out."""

    visits: int = Field(description="Check-ins at visits that a published plan held.")
    first: KeptOut
    last: KeptOut


class UnitErrorsOut(Answer):
    """The orders of one org unit; of those under it in the total alone."""

    org_unit_id: UUID
    code: Line
    name_zh: Line
    name_en: Line
    ways: WaysOut
    planned: PlannedOut


class TravelErrorsOut(Answer):
    """How far off ways and planned times were from one local day to another, both included."""

    since: date
    until: date
    total: UnitErrorsOut
    units: Annotated[list[UnitErrorsOut], Field(max_length=100_000)] = Field(
        description="Units with any, from the top down."
    )
