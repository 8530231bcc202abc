"""Running the search on one district: budget, seed, warm start, the best plan so far, stopping."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from app.dispatch.solver import kernel, layout
from app.dispatch.solver.evaluate import follow
from app.dispatch.solver.model import FAR, Plan, Problem, Unfit, binding, bounds
from app.dispatch.solver.prepare import lay, read, rooms_for, terms_of

HOT, HOT_FLEET, COLD = 0.3, 1.5, 0.01
"""Temperature at the start and at the end, by the mean travel to a visit in the first plan; where
all technicians are alike the first plan is far off, and it begins hotter."""
HOT_WHEN_WARM = 0.1
"""At the start of a search that begins with a plan: what is good in it shall not melt."""

GLANCE_S = 0.02
"""How often a search looks at the clock."""
GLANCE_ITERATIONS = 512
"""After so many iterations one that counts them looks whether it shall stop."""


@dataclass(frozen=True, slots=True)
class Budget:
    """How long to search: until either runs out. Cooling ends with `cooling` iterations (left out:
    with `iterations`) where iterations are counted, else with `seconds`.

    Counted in iterations a search is reproducible to the last visit by its seed on any machine, and
    of two with the same seed and `cooling` the longer is never worse: the shorter is its beginning.
    Counted in seconds it depends on the machine; no hard rule ever does, and what it began with is
    never made worse.
    """

    iterations: int | None = None
    seconds: float | None = None
    cooling: int | None = None

    def __post_init__(self) -> None:
        """Refuse a search without an end."""
        if self.iterations is None and self.seconds is None:
            raise Unfit("a budget needs iterations or seconds")


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found."""

    plan: Plan
    cost: int
    first_cost: int  # of the plan it began with: the warm one, or the frozen visits alone
    iterations: int
    seconds: float
    stopped: bool  # by `stop`, before the budget was used up


def solve(
    problem: Problem,
    budget: Budget,
    *,
    seed: int = 0,
    warm: Plan | None = None,
    clock: Callable[[], float] = time.monotonic,
    stop: Callable[[], bool] = lambda: False,
    on_better: Callable[[int, Callable[[], Plan]], None] | None = None,
) -> Found:
    """Search for the cheapest plan.

    `warm` is a plan to begin with; visits of it that break a hard rule by now are taken out of it.
    `on_better` is told the cost, and how to read the plan, when there is a better one, at every
    glance at the clock; `stop` is asked as often. `clock` tells seconds.
    """
    began = clock()
    if problem.n == 0 or problem.v == 0:  # a search needs somebody and something
        left = int(problem.visits.unplaced.sum())
        return Found(((),) * problem.v, left, left, 0, clock() - began, False)
    terms = terms_of(problem)
    routes, scratch = rooms_for(terms, seed)
    lay(terms, routes, scratch, kept(problem, warm))
    best = np.zeros(len(terms.nodes), np.int32)
    totals = np.zeros(3, np.int64)
    first_cost = int(kernel.begin(terms, routes, scratch, best, totals))
    told = first_cost
    per_visit = max(1.0, float(routes.tours[:, layout.TRAVEL].sum()) / max(1, terms.n))
    hot = per_visit * (HOT if terms.by_choice else HOT_FLEET)
    if warm is not None:
        hot = per_visit * HOT_WHEN_WARM
    cold = per_visit * COLD
    cooling = budget.cooling or budget.iterations
    steps, used, stopped = 50, clock() - began, False

    def heat(part: float) -> float:
        return float(hot * (cold / hot) ** min(1.0, part))

    while True:
        done = int(totals[layout.ITERATIONS])
        if on_better and totals[layout.LEAST] < told:
            told = int(totals[layout.LEAST])
            on_better(told, lambda: read(terms, best))
        if budget.iterations is not None and done >= budget.iterations:
            break
        if budget.seconds is not None and used >= budget.seconds:
            break
        if stop():
            stopped = True
            break
        if cooling:
            # Steps of one size, whatever the clock says: the heat of an iteration is its number's.
            steps = GLANCE_ITERATIONS
            now, then = heat(done / cooling), heat((done + steps) / cooling)
            steps = min(steps, (budget.iterations or FAR) - done)
            then = now * (then / now) ** (steps / GLANCE_ITERATIONS)
        else:
            assert budget.seconds is not None
            now = heat(used / budget.seconds)
            then = heat((used + GLANCE_S) / budget.seconds)
        kernel.anneal(terms, routes, scratch, best, totals, steps, now, then)
        before, used = used, clock() - began
        pace = GLANCE_S / max(used - before, GLANCE_S / 8)
        steps = max(1, min(100_000, int(steps * pace)))
    return Found(
        read(terms, best),
        int(totals[layout.LEAST]),
        first_cost,
        int(totals[layout.ITERATIONS]),
        used,
        stopped,
    )


def kept(problem: Problem, warm: Plan | None) -> Plan:
    """What of a plan still holds: visits that break a hard rule now are taken out one by one."""
    if warm is None:
        return tuple(problem.frozen_of(technician) for technician in range(problem.v))
    if len(warm) != problem.v:
        raise Unfit(f"the warm plan has {len(warm)} routes for {problem.v} technicians")
    limits, allowed = bounds(problem), binding(problem)
    visits, staff = problem.visits, problem.technicians
    seen = {visit for prefix in problem.frozen for visit in prefix}
    plan = []
    for technician, route in enumerate(warm):
        frozen = problem.frozen_of(technician)
        mine: list[int] = []
        for visit in route:
            if visit not in seen and allowed[visit, technician] < FAR:
                seen.add(visit)
                mine.append(visit)

        def holds(
            wish: list[int], technician: int = technician, free_from: int = len(frozen)
        ) -> bool:
            carried = visits.needs[wish[free_from:]].sum(axis=0)
            if (carried > staff.stock[technician]).any():
                return False
            return not follow(problem, limits, technician, tuple(wish))[1]

        kept_route = [*frozen, *mine]
        if not holds(kept_route):
            kept_route = list(frozen)
            for visit in mine:
                if holds([*kept_route, visit]):
                    kept_route.append(visit)
        plan.append(tuple(kept_route))
    return tuple(plan)
