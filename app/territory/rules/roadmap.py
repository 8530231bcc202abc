"""The road map of growth (根据地 -> 解放区): targets with dates, and what was reached of them.

Stages are dated, so how many grids were covered on a day gone by, and in how many blocks, is known
exactly; customers and grids are counted as they are today.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from app.core.errors import Invalid
from app.grids.rules import ExpansionFigure, GridStage
from app.territory.rules.blocks import blocks
from app.territory.rules.growth import Ground, Share
from app.territory.rules.stages import COVERED

# The most that a target can be; all but the share are whole numbers.
MOST: Mapping[ExpansionFigure, float] = {
    ExpansionFigure.COVERED_CUSTOMERS: 100_000_000,
    ExpansionFigure.COVERED_SHARE: 1,
    ExpansionFigure.COVERED_GRIDS: 1_000_000,
    ExpansionFigure.CONTRACTED_GRIDS: 1_000_000,
    ExpansionFigure.BLOCKS: 1_000_000,
}
# Islands grow together: the fewer blocks the better, once there is one.
FEWER_IS_BETTER = frozenset({ExpansionFigure.BLOCKS})

# The trend goes back so many quarters, as far as stages are known.
QUARTERS = 12


class Target(NamedTuple):
    """What a figure is to be at the end of a local day."""

    figure: ExpansionFigure
    due_on: date
    target: float


class Held(NamedTuple):
    """A grid, by its place among the plots, was covered from one local day to another."""

    place: int
    stage: GridStage
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Measured:
    """A figure on a local day: its value, and what it is made of."""

    value: float
    made_of: Share


@dataclass(frozen=True, slots=True)
class Reached:
    """A target beside what was reached on its day, or today while that is to come."""

    target: Target
    on: date
    measured: Measured
    reached: bool
    missing: float


def check(targets: Sequence[Target]) -> None:
    """Check that targets are within bounds and each is given once. Raises Invalid by field."""
    errors = []
    seen = set()
    for number, one in enumerate(targets):
        most, share = MOST[one.figure], one.figure is ExpansionFigure.COVERED_SHARE
        if not 0 <= one.target <= most or not (share or float(one.target).is_integer()):
            kind = "a share" if share else "a whole number"
            message = f"must be {kind} between 0 and {most}"
            errors.append({"field": f"figures.{number}.target", "message": message})
        if (one.figure, one.due_on) in seen:
            message = f"{one.figure} is given twice for {one.due_on}"
            errors.append({"field": f"figures.{number}.due_on", "message": message})
        seen.add((one.figure, one.due_on))
    if errors:
        raise Invalid(errors=errors[:50])


def quarter_ends(today: date, since: date | None) -> list[date]:
    """List the last days of the quarters gone by since a day, the earliest first."""
    found: list[date] = []
    first_day = date(today.year, 3 * ((today.month - 1) // 3) + 1, 1)
    while since is not None and len(found) < QUARTERS:
        last_day = first_day - timedelta(days=1)
        if last_day < since:
            break
        found.insert(0, last_day)
        first_day = date(last_day.year, last_day.month - 2, 1)
    return found


def measure(
    ground: Ground, held: Iterable[Held], days: Iterable[date]
) -> dict[date, dict[ExpansionFigure, Measured]]:
    """Measure every figure on local days."""
    spans = [span for span in held if span.stage in COVERED]
    everybody = sum(plot.customers for plot in ground.plots) + sum(ground.outside.values())
    return {day: _on(day, ground, spans, everybody) for day in days}


def _on(
    day: date, ground: Ground, spans: Sequence[Held], everybody: int
) -> dict[ExpansionFigure, Measured]:
    stages = {
        span.place: span.stage
        for span in spans
        if span.valid_from <= day and (span.valid_to is None or day < span.valid_to)
    }
    customers = Share(sum(ground.plots[place].customers for place in stages), everybody)
    grids = len(ground.plots)
    contracted = sum(stage is GridStage.CONTRACTED for stage in stages.values())
    found = len(blocks(stages, ground.borders))
    return {
        ExpansionFigure.COVERED_CUSTOMERS: Measured(customers.numerator, customers),
        ExpansionFigure.COVERED_SHARE: Measured(customers.value or 0, customers),
        ExpansionFigure.COVERED_GRIDS: Measured(len(stages), Share(len(stages), grids)),
        ExpansionFigure.CONTRACTED_GRIDS: Measured(contracted, Share(contracted, grids)),
        ExpansionFigure.BLOCKS: Measured(found, Share(found, len(stages))),
    }


def compare(target: Target, measured: Measured, on: date) -> Reached:
    """Set a target beside what was measured."""
    fewer = target.figure in FEWER_IS_BETTER
    missing = measured.value - target.target if fewer else target.target - measured.value
    reached = missing <= 0 and (measured.value > 0 or not fewer)
    return Reached(target, on, measured, reached, max(0.0, missing))
