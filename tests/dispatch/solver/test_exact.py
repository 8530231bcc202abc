"""Small days solved to the optimum by trying everything."""

from itertools import permutations

import numpy as np
import pytest

from app.dispatch.solver import Problem, judge
from app.dispatch.solver.evaluate import follow
from app.dispatch.solver.model import FAR, binding, bounds
from app.dispatch.solver.solve import Budget, solve
from tests.dispatch.solver.days import day

NEVER = 1 << 40


def least_cost(problem: Problem) -> int:
    """The cost of the best plan: the best order of every set of visits for each technician, then
    the best way to give disjoint sets away."""
    n, visits = problem.n, problem.visits
    limits, allowed = bounds(problem), binding(problem)
    everything = 1 << n
    # What the rest costs when these visits are done: at first nobody has done anything.
    best = [
        sum(int(visits.unplaced[i]) for i in range(n) if not done >> i & 1)
        for done in range(everything)
    ]
    for technician in range(problem.v):
        price = [_route_price(problem, limits, allowed, technician, s) for s in range(everything)]
        best = [
            min(price[part] + best[done | part] for part in range(everything) if not part & done)
            for done in range(everything)
        ]
    return best[0]


def _route_price(problem, limits, allowed, technician, members) -> int:
    visits, staff, costs = problem.visits, problem.technicians, problem.costs
    chosen = [i for i in range(problem.n) if members >> i & 1]
    frozen = problem.frozen_of(technician)
    if not set(frozen) <= set(chosen) or any(allowed[i, technician] >= FAR for i in chosen):
        return NEVER
    free = [i for i in chosen if i not in frozen]
    if (visits.needs[free].sum(axis=0) > staff.stock[technician]).any():
        return NEVER
    prices: list[int] = []
    for order in permutations(free):
        walked, breaches = follow(problem, limits, technician, (*frozen, *order))
        if not breaches:
            late = sum(stop.late * int(visits.late_weight[stop.visit]) for stop in walked.stops)
            over = max(0, walked.work - int(staff.share[technician]))
            prices.append(walked.travel + late + over * costs.uneven // 1000)
    if not prices:
        return NEVER
    return min(prices) + int(sum(int(allowed[i, technician]) for i in chosen))


@pytest.mark.parametrize("seed", range(6))
def test_small_days_are_planned_to_the_optimum(seed):
    problem = day(seed, n=6, v=2, grids=2)
    optimum = least_cost(problem)
    found = solve(problem, Budget(iterations=2_000), seed=seed)
    assert judge(problem, found.plan).bill.total == found.cost
    assert found.cost == optimum


def test_the_judge_has_lunch_where_it_makes_the_least_late():
    problem = day(3, n=5, v=1, grids=1, frozen=False)
    limits = bounds(problem)
    for route in permutations(range(5), 3):
        walked, breaches = follow(problem, limits, 0, route)
        assert walked.travel == sum(
            int(problem.travel[a, b]) for a, b in zip((5, *route), (*route, 5), strict=True)
        )
        if not breaches and problem.technicians.lunch_length[0]:
            assert np.clip(walked.lunch, 41_400, 46_800) == walked.lunch
