"""The planning kernel: a district's day of visits into routes, arrays in and arrays out."""

from app.dispatch.solver.evaluate import Bill, Breach, Rule, Stop, Verdict, judge
from app.dispatch.solver.model import (
    FAR,
    Costs,
    Plan,
    Problem,
    Technicians,
    Unfit,
    Visits,
    travel_by_speed,
)
from app.dispatch.solver.solve import Budget, Found, solve

__all__ = [
    "FAR",
    "Bill",
    "Breach",
    "Budget",
    "Costs",
    "Found",
    "Plan",
    "Problem",
    "Rule",
    "Stop",
    "Technicians",
    "Unfit",
    "Verdict",
    "Visits",
    "judge",
    "solve",
    "travel_by_speed",
]
