"""Parameters: every number an operator may want to change, as dated data per org unit.

A room declares what it needs with `Parameter(...)` in its rules; the value in force is the latest
one that is valid at the time asked about and closest to the org unit asked about, else the
declared default. The rows are read by `core/parameter_values.py`.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from app.core.errors import Invalid
from app.core.i18n import Words


@dataclass(frozen=True)
class Parameter:
    """One number of the business: its name, default, unit, bounds and meaning in two languages."""

    name: str
    default: float
    unit: str
    words: Words
    least: float = 0.0
    most: float = float("inf")

    known: ClassVar[dict[str, "Parameter"]] = {}

    def __post_init__(self) -> None:
        Parameter.known[self.name] = self

    def checked(self, value: float) -> float:
        """Return the value if it lies within the bounds. Raises Invalid otherwise."""
        if not self.least <= value <= self.most:
            raise Invalid(
                errors=[
                    {
                        "field": self.name,
                        "message": f"must lie between {self.least} and {self.most} {self.unit}",
                    }
                ]
            )
        return value


@dataclass(frozen=True)
class Parameters:
    """All values as they were read at one moment."""

    read_at: datetime
    rows: dict[tuple[str, str], list[tuple[datetime, float]]] = field(default_factory=dict)

    def number(self, parameter: Parameter, at: datetime, org_path: str = "") -> float:
        """Return the number in force at a moment for an org unit, given by its path.

        The path is `province.city.district.branch.`; the closest unit that has a value wins.
        """
        scope = org_path
        while True:
            dated = self.rows.get((parameter.name, scope))
            if dated:
                place = bisect_right(dated, at, key=lambda row: row[0])
                if place:
                    return dated[place - 1][1]
            if not scope:
                return parameter.default
            scope = scope.rstrip(".").rpartition(".")[0]
            scope = f"{scope}." if scope else ""

    def whole(self, parameter: Parameter, at: datetime, org_path: str = "") -> int:
        """Return the number in force as a whole number."""
        return int(self.number(parameter, at, org_path))
