"""Wire shapes of what became of visits."""

from datetime import date
from uuid import UUID

from pydantic import Field

from app.core.http import Answer
from app.sales.rules.funnel import Counts, Exclusion, FunnelStage
from app.worktypes.rules import WorkType


class ExcludedOut(Answer):
    """Completed visits that are left out, and why."""

    exclusion: Exclusion
    words: str = Field(max_length=200, description="In the language asked for.")
    visits: int = Field(ge=0, le=2**53)


class FigureOut(Answer):
    """A figure with what it is of; of the visits that are left out nothing is counted."""

    stage: FunnelStage
    words: str = Field(max_length=100, description="In the language asked for.")
    counts: Counts
    numerator: int = Field(ge=0, le=2**53)
    denominator: int = Field(ge=0, le=2**53)
    share: float | None = Field(
        description="Numerator by denominator; null where there is nothing to divide by."
    )


class FunnelOut(Answer):
    """What became of the visits of some days, by when their orders were completed; an install by
    whoever has just sold it belongs to the visit in which that was."""

    org_unit_id: UUID
    first_day: date
    until_day: date = Field(description="The day after the last one.")
    work_type: WorkType | None
    added_up_until: date | None = Field(
        description="Earlier days are as last night found them; from this one on they are counted"
        " as they stand now. Null before the first night."
    )
    figures: list[FigureOut] = Field(max_length=30)
    excluded: list[ExcludedOut] = Field(max_length=10)
