"""Planning many districts at once, in as many processes as there are processors to use."""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from multiprocessing.synchronize import Event

from app.dispatch.solver.model import Plan, Problem
from app.dispatch.solver.solve import Budget, Found, solve

GLANCE_S = 0.2
"""How often it is asked whether all shall stop."""

_stop: Event | None = None


def solve_districts(
    problems: Sequence[Problem],
    cpu_seconds: float | None = None,
    *,
    iterations: int | None = None,
    seed: int = 0,
    warm: Sequence[Plan] | None = None,
    workers: int = 2,
    stop: Callable[[], bool] = lambda: False,
    on_done: Callable[[int, Found], None] = lambda _district, _found: None,
) -> list[Found]:
    """Plan districts that share nobody and nothing, in so much processor time altogether, or so
    many iterations.

    Each gets the share of its visits; counted in iterations the result is the same on any machine.
    The result has their order; `on_done` is told of each when
    it is done. When `stop` says so, those under way give the best they have, and the rest their
    warm plan or a first one. Processes are begun afresh (spawned), so that nothing of the caller's
    connections and threads is in them.
    """
    visits = max(1, sum(problem.n for problem in problems))
    context = multiprocessing.get_context("spawn")
    told = context.Event()
    found: dict[int, Found] = {}
    with ProcessPoolExecutor(workers, context, _remember, (told,)) as pool:
        waiting: dict[Future[Found], int] = {}
        # The largest first, so that none is begun when the others are done.
        for district in sorted(range(len(problems)), key=lambda i: -problems[i].n):
            share = problems[district].n / visits
            budget = Budget(
                iterations=None if iterations is None else int(iterations * share),
                seconds=None if cpu_seconds is None else cpu_seconds * share,
            )
            begin_with = warm[district] if warm else None
            task = pool.submit(_solve, problems[district], budget, seed + district, begin_with)
            waiting[task] = district
        while waiting:
            done, _ = wait(waiting, GLANCE_S, FIRST_COMPLETED)
            for task in done:
                district = waiting.pop(task)
                found[district] = task.result()
                on_done(district, found[district])
            if stop():
                told.set()
    return [found[district] for district in range(len(problems))]


def _remember(told: Event) -> None:
    global _stop
    _stop = told


def _solve(problem: Problem, budget: Budget, seed: int, warm: Plan | None) -> Found:
    assert _stop is not None
    clock = time.process_time
    return solve(problem, budget, seed=seed, warm=warm, clock=clock, stop=_stop.is_set)
