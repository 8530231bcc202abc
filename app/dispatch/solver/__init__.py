"""The planning kernel: a district's day of visits into routes, arrays in and arrays out.

Here is what a problem, a plan and the judge are. The search itself is in `solve`, to be imported by
who searches: its compiler takes a third of a second and 60 MB that serving does without.
"""

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

__all__ = [
    "FAR",
    "Bill",
    "Breach",
    "Costs",
    "Plan",
    "Problem",
    "Rule",
    "Stop",
    "Technicians",
    "Unfit",
    "Verdict",
    "Visits",
    "judge",
    "travel_by_speed",
]
