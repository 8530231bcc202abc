"""Wire shapes of the road map."""

from datetime import date
from typing import Annotated

from pydantic import ConfigDict, Field

from app.core.http import Answer, Day, Input, Line
from app.grids.rules import ExpansionFigure
from app.territory.rules.growth import Exclusion
from app.territory.schemas.growth import ExclusionOut


class TargetIn(Input):
    """What a figure is to be at the end of a local day."""

    figure: ExpansionFigure
    due_on: Day
    target: Annotated[
        float, Field(ge=0, le=100_000_000, description="A share is 0 to 1, the rest whole numbers.")
    ]


class RoadMapIn(Input):
    """All targets of an org unit: those it had and that are not among them are gone."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "figures": [
                        {"figure": "covered_share", "due_on": "2026-12-31", "target": 0.7},
                        {"figure": "blocks", "due_on": "2026-12-31", "target": 2},
                    ]
                }
            ]
        }
    )

    figures: Annotated[list[TargetIn], Field(max_length=200)]


class TargetOut(Answer):
    """A target beside what was reached on its day, or today while that is to come."""

    figure: ExpansionFigure
    due_on: date
    target: float
    measured_on: date
    value: float
    numerator: int
    denominator: int
    reached: bool
    missing: float = Field(description="How much more is needed; of blocks, how many fewer.")


class TrendOut(Answer):
    """All figures at the end of a local day."""

    on: date
    figures: dict[ExpansionFigure, float]


class RoadMapOut(Answer):
    """The road map of an org unit, and the way so far: past quarters' ends and today."""

    org_unit_code: Line
    figures: Annotated[list[TargetOut], Field(max_length=1_000)]
    trend: Annotated[list[TrendOut], Field(max_length=1_000)]
    exclusions: Annotated[list[ExclusionOut], Field(max_length=len(Exclusion))]
