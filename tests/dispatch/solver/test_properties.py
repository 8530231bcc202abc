"""What holds for every day and every seed."""

from importlib import import_module

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.dispatch.solver import Plan, Problem, judge, kernel
from app.dispatch.solver.solve import Budget, solve
from tests.dispatch.solver.days import day, vans

SEEDS = st.integers(0, 10**6)
# The first example may compile for half a minute, and the machine is shared.
few = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)

KINDS = pytest.mark.parametrize("make", [day, vans], ids=["day", "vans"])


def nobody(problem: Problem) -> Plan:
    return tuple(problem.frozen_of(technician) for technician in range(problem.v))


@KINDS
@few
@given(made=SEEDS, seed=SEEDS)
def test_the_searchs_cost_is_the_judges_and_no_hard_rule_is_broken(make, made, seed):
    problem = make(made)
    found = solve(problem, Budget(iterations=400), seed=seed)
    verdict = judge(problem, found.plan)
    assert verdict.breaches == ()
    assert found.cost == verdict.bill.total
    assert found.first_cost == judge(problem, nobody(problem)).bill.total


@KINDS
@few
@given(made=SEEDS, seed=SEEDS, few_iterations=st.integers(0, 700), more=st.integers(1, 700))
def test_more_time_never_gives_a_worse_plan(make, made, seed, few_iterations, more):
    problem = make(made)
    less = solve(problem, Budget(iterations=few_iterations, cooling=1_400), seed=seed)
    longer = solve(problem, Budget(iterations=few_iterations + more, cooling=1_400), seed=seed)
    assert longer.cost <= less.cost
    assert longer.iterations == few_iterations + more


@KINDS
@few
@given(made=SEEDS, seed=SEEDS)
def test_a_warm_start_is_never_worse_than_what_it_began_with(make, made, seed):
    problem = make(made)
    before = solve(problem, Budget(iterations=150), seed=seed)
    after = solve(problem, Budget(iterations=150), seed=seed + 1, warm=before.plan)
    assert after.first_cost == before.cost
    assert after.cost <= before.cost


@KINDS
@few
@given(made=SEEDS, seed=SEEDS)
def test_the_same_seed_gives_the_same_plan(make, made, seed):
    first, second = (solve(make(made), Budget(iterations=300), seed=seed) for _ in range(2))
    assert first.plan == second.plan
    assert first.cost == second.cost


def test_what_is_known_of_places_saves_looking_and_changes_nothing(monkeypatch):
    searching = import_module("app.dispatch.solver.solve")
    monkeypatch.setattr(searching, "GLANCE_ITERATIONS", 1)
    anneal = kernel.anneal

    def forgetting(terms, routes, scratch, *more):
        scratch.known_at[:] = -1
        anneal(terms, routes, scratch, *more)

    def found():
        result = solve(day(5, n=60, v=10), Budget(iterations=1_500), seed=5)
        return result.plan, result.cost

    remembered = found()
    monkeypatch.setattr(kernel, "anneal", forgetting)
    assert found() == remembered
