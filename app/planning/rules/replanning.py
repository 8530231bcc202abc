"""The rest of a day as it is planned anew: what is free to move, and how it would go otherwise.

Pure; on top of a district as any plan is made from (districts.py).
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import numpy as np

from app.dispatch.solver.evaluate import Day, follow
from app.dispatch.solver.model import Bounds, Problem, bounds
from app.planning.rules.changes import Spot
from app.planning.rules.districts import District
from app.workorders.rules import UNDER_WAY


def freed(district: District, away: Collection[UUID], behind: Collection[UUID]) -> District:
    """Let the visits go to whom something has happened.

    Of whoever is away or behind only what is under way is frozen, and giving a visit of somebody
    who is away to somebody else costs nothing.
    """
    problem, facts = district.problem, district.facts
    published = problem.visits.published.copy()
    frozen = []
    for column, (who, prefix) in enumerate(
        zip(district.technician_ids, problem.frozen or ((),) * problem.v, strict=True)
    ):
        if who in away:
            published[published == column] = -1
        if who in away or who in behind:
            prefix = tuple(visit for visit in prefix if facts[visit].state in UNDER_WAY)
        frozen.append(prefix)
    visits = replace(problem.visits, published=np.ascontiguousarray(published))
    return replace(
        district,
        problem=replace(problem, visits=visits, frozen=tuple(frozen)),
        away=frozenset(away),
    )


def spots(district: District) -> dict[UUID, Spot]:
    """Say where orders that somebody holds have their places as things are, and when.

    What somebody who is away cannot do in the time they are there begins never; an appointment
    that is missed is late by as much.
    """
    problem = district.problem
    limits = bounds(problem)
    # What is frozen is a fact, in the plan as well as without it.
    frozen = {visit for prefix in problem.frozen for visit in prefix}
    found = {
        fact.order_id: Spot(fact.holder_id, None, 0)
        for fact in district.facts
        if fact.holder_id is not None
    }
    for column, route in enumerate(district.current):
        who = district.technician_ids[column]
        for stop in _with_own_times(district, limits, column, route).stops:
            if stop.visit >= district.orders:
                continue
            if who in district.away and stop.end > limits.shift_end[column]:
                continue
            fact = district.facts[stop.visit]
            late = max(0, stop.end - fact.due) if fact.due is not None else 0
            if stop.visit not in frozen:
                late = max(late, stop.begin - int(problem.visits.closes[stop.visit]))
            begins_at = datetime.fromtimestamp(district.origin + stop.begin, UTC)
            found[fact.order_id] = Spot(who, begins_at, late)
    return found


def _with_own_times(district: District, limits: Bounds, column: int, route: tuple[int, ...]) -> Day:
    """Follow somebody's visits with the times that are their own (leave, slots held) where these
    break and delay least."""
    problem = district.problem
    own = [
        visit
        for visit in range(district.orders, problem.n)
        if problem.visits.pinned[visit] == column
    ]
    for visit in sorted(own, key=lambda visit: int(problem.visits.opens[visit])):
        first = len(problem.frozen_of(column))
        tried = [
            (*route[:place], visit, *route[place:])
            for place in range(min(first, len(route)), len(route) + 1)
        ]
        route = min(tried, key=lambda each: _badness(problem, limits, column, each))
    return follow(problem, limits, column, route)[0]


def _badness(
    problem: Problem, limits: Bounds, column: int, route: tuple[int, ...]
) -> tuple[int, int, int]:
    day, broken = follow(problem, limits, column, route)
    late = sum(stop.late * int(problem.visits.late_weight[stop.visit]) for stop in day.stops)
    return len(broken), late, day.home
