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
    """One number of the business: its name, default, unit, bounds and meaning in two languages.

    `not_below` names another number that it may nowhere and at no time be less than.
    """

    name: str
    default: float
    unit: str
    words: Words
    least: float = 0.0
    most: float = float("inf")
    not_below: str = ""

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

    def changed(self, name: str, org_path: str, since: datetime, value: float) -> "Parameters":
        """Return what would be in force with one more value, in place of one for that moment."""
        dated = [row for row in self.rows.get((name, org_path), ()) if row[0] != since]
        rows = {**self.rows, (name, org_path): sorted([*dated, (since, value)])}
        return Parameters(self.read_at, rows)

    def check_floors(self, name: str, org_path: str, since: datetime) -> None:
        """Check a number that was set for a unit from a moment on against those that it may not be
        below, and that may not be below it, in the unit and beneath it. Raises Invalid."""
        for upper in Parameter.known.values():
            lower = Parameter.known.get(upper.not_below)
            if lower is None or name not in (upper.name, lower.name):
                continue
            dated = [
                (scope, at)
                for (known, scope), rows in self.rows.items()
                if known in (upper.name, lower.name)
                for at, _ in rows
            ]
            scopes = {org_path, *(scope for scope, _ in dated if scope.startswith(org_path))}
            moments = {since, *(at for _, at in dated if at > since)}
            for scope, at in ((scope, at) for scope in scopes for at in moments):
                least = self.number(lower, at, scope)
                if self.number(upper, at, scope) < least:
                    message = f"{upper.name} must not be below {lower.name}, which is {least:g}"
                    raise Invalid(errors=[{"field": name, "message": message}])

    def whole(self, parameter: Parameter, at: datetime, org_path: str = "") -> int:
        """Return the number in force as a whole number."""
        return int(self.number(parameter, at, org_path))
