"""Why the plan has nobody for a visit. Pure; it looks at the problem alone, not at the search."""

from collections.abc import Sequence

import numpy as np

from app.dispatch.solver import FAR, Plan, Problem
from app.dispatch.solver.model import Longs, binding, bounds
from app.planning.rules.districts import District
from app.workorders.rules import UnplacedReason

NOBODY_CAN = frozenset(
    {
        UnplacedReason.NOBODY_WITH_SKILL,
        UnplacedReason.ALL_DECLINED,
        UnplacedReason.NOBODY_ON_SHIFT,
        UnplacedReason.WINDOW_UNREACHABLE,
    }
)
"""No order of the day would help: nobody could do it, had they nothing else to do."""


def reasons(district: District, plan: Plan) -> dict[int, UnplacedReason]:
    """Say of each order that a plan leaves out why: the hardest that keeps everybody from it.

    Whoever could do it on a day with nothing else in it has no minutes left; where nobody could,
    it is the appointment that cannot be kept, or the skill that nobody has. Between them come the
    terminals: nobody who could do it has them in the van, or the plan has given them to others.
    """
    placed = {visit for route in plan for visit in route}
    left = [visit for visit in range(district.orders) if visit not in placed]
    if not left:
        return {}
    problem = district.problem
    if not problem.v:
        return dict.fromkeys(left, UnplacedReason.NOBODY_ON_SHIFT)
    allowed, alone = binding(problem) < FAR, _alone(problem, left)
    stock = _stock_left(problem, plan)
    skilled = (1 << district.skill_bits) - 1
    found = {}
    for row, visit in enumerate(left):
        needs = int(problem.visits.skills[visit])
        enough = (problem.visits.needs[visit] <= stock).all(axis=1)
        if not allowed[visit].any():
            if _may(problem, visit).any():
                found[visit] = UnplacedReason.NO_STOCK
                continue
            lacks = (needs & skilled & ~problem.technicians.skills) != 0
            found[visit] = (
                UnplacedReason.NOBODY_WITH_SKILL if lacks.all() else UnplacedReason.ALL_DECLINED
            )
        elif problem.visits.closes[visit] < FAR and not (alone[row] & allowed[visit]).any():
            found[visit] = UnplacedReason.WINDOW_UNREACHABLE
        elif not (allowed[visit] & enough).any():
            found[visit] = UnplacedReason.NO_STOCK
        else:
            found[visit] = UnplacedReason.NO_MINUTES_LEFT
    return found


def _may(problem: Problem, visit: int) -> np.ndarray:
    """Tell who has the skills for a visit, and may have it, whatever is in their van."""
    visits, seats = problem.visits, np.arange(problem.v)
    may = (visits.skills[visit] & ~problem.technicians.skills) == 0
    pinned = visits.pinned[visit]
    return np.asarray(may & ((pinned < 0) | (pinned == seats)))


def _stock_left(problem: Problem, plan: Plan) -> np.ndarray:
    """What vans hold once a plan's visits, but for the frozen ones, have taken theirs, (v, S)."""
    left = problem.technicians.stock.astype(np.int64)
    for technician, route in enumerate(plan):
        free = [visit for visit in route if visit not in problem.frozen_of(technician)]
        left[technician] -= problem.visits.needs[free].sum(axis=0)
    return left


def _alone(problem: Problem, visits: Sequence[int]) -> np.ndarray:
    """Tell who could be there within the appointment, right after what is frozen, and home in
    time. Lunch and leave are left out, so that nobody is said to be unable who is not."""
    staff, limits = problem.technicians, bounds(problem)
    free, place = _after_frozen(problem)
    rows = np.asarray(visits)
    there = free[None, :] + problem.travel[np.ix_(place, problem.visits.place[rows])].T
    begin = np.maximum(there, problem.visits.opens[rows, None])
    in_time = begin <= problem.visits.closes[rows, None]
    back = problem.travel[np.ix_(problem.visits.place[rows], staff.end_place)]
    home = begin + problem.visits.duration[rows, None] + back
    return np.asarray(in_time & (home <= limits.shift_end[None, :]))


def _after_frozen(problem: Problem) -> tuple[Longs, Longs]:
    """When and where everybody is free after what comes first."""
    free = problem.technicians.shift_start.astype(np.int64)
    place = problem.technicians.start_place.astype(np.int64)
    for technician, prefix in enumerate(problem.frozen):
        for visit in prefix:
            to = problem.visits.place[visit]
            there = free[technician] + problem.travel[place[technician], to]
            free[technician] = (
                max(there, problem.visits.opens[visit]) + problem.visits.duration[visit]
            )
            place[technician] = to
    return free, place
