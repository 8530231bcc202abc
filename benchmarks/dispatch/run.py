"""One engine on one problem in a worker process, judged by the evaluator."""

import time
from dataclasses import dataclass
from pathlib import Path

from app.dispatch.solver import Costs, Plan, Problem, judge
from app.dispatch.solver.solve import Budget, solve
from benchmarks.dispatch import province, vrptw
from benchmarks.dispatch.engines import ENGINES, mended


@dataclass(frozen=True)
class Outcome:
    """What a plan costs, what it leaves out, and what the engine took for it."""

    engine: str
    cost: int
    visits: int
    unplaced: int
    cpu_seconds: float
    broken: int  # hard rules broken by the engine's own plan, before it is mended


def warm_up() -> None:
    """Load the compiled search before anything is timed."""
    solve(province.branch(0, 0), Budget(iterations=1))


def _run(engine: str, problem: Problem, cpu_seconds: float, seed: int) -> Outcome:
    began = time.process_time()
    plan = ENGINES[engine](problem, cpu_seconds, seed)
    used = time.process_time() - began
    broken = len(judge(problem, plan).breaches)
    verdict = judge(problem, plan if engine == "kernel" else mended(problem, plan))
    if verdict.breaches:
        raise AssertionError(f"{engine}'s mended plan breaks {verdict.breaches[0]}")
    return Outcome(engine, verdict.bill.total, problem.n, len(verdict.unplaced), used, broken)


def run_branch(engine: str, seed: int, number: int, cpu_each_visit: float) -> Outcome:
    """Plan one branch of a province."""
    problem = province.branch(seed, number)
    return _run(engine, problem, cpu_each_visit * problem.n, seed + number)


def run_instance(engine: str, path: Path, cpu_seconds: float, seed: int) -> Outcome:
    """Plan a published instance."""
    return _run(engine, vrptw.load(path), cpu_seconds, seed)


@dataclass(frozen=True)
class Replanned:
    """What planning a branch anew after an event took and moved."""

    cpu_seconds: float
    others: int
    moved: int


def replan(seed: int, number: int, cpu_seconds: float, moved: int) -> Replanned:
    """At noon somebody falls ill and an urgent repair comes in: plan the branch anew."""
    morning = province.branch(seed, number)
    published = solve(morning, Budget(seconds=cpu_seconds), seed=seed, clock=time.process_time).plan
    ill = max(range(morning.v), key=lambda technician: len(published[technician]))
    event = province.after_event(seed, number, published, ill, moved=moved)
    began = time.process_time()
    found = solve(
        event.problem,
        Budget(seconds=cpu_seconds),
        seed=seed + 1,
        warm=event.warm,
        clock=time.process_time,
    )
    used = time.process_time() - began
    if judge(event.problem, found.plan).breaches:
        raise AssertionError("the plan after the event breaks a rule")
    now = _who(found.plan)
    before = _who(event.warm)
    others = [visit for visit in before if visit not in event.orphans]
    return Replanned(used, len(others), sum(now.get(visit) != before[visit] for visit in others))


def _who(plan: Plan) -> dict[int, int]:
    return {visit: technician for technician, route in enumerate(plan) for visit in route}


__all__ = ["Costs", "Outcome", "Replanned", "replan", "run_branch", "run_instance", "warm_up"]
