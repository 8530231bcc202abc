"""Many districts in processes of their own."""

from app.dispatch.solver import judge
from app.dispatch.solver.districts import solve_districts
from app.dispatch.solver.solve import Found
from tests.dispatch.solver.days import day


def test_districts_are_planned_in_their_order_and_each_is_told_when_it_is_done():
    told: dict[int, Found] = {}
    problems = [day(seed, n=12 + 12 * (seed % 2)) for seed in range(3)]
    found = solve_districts(problems, 0.3, workers=1, on_done=told.__setitem__)
    assert told == dict(enumerate(found))
    for problem, result in zip(problems, found, strict=True):
        verdict = judge(problem, result.plan)
        assert verdict.breaches == ()
        assert verdict.bill.total == result.cost <= result.first_cost


def test_stopping_gives_what_there_is_of_every_district():
    problems = [day(seed) for seed in range(3)]
    warm = [tuple(problem.frozen_of(t) for t in range(problem.v)) for problem in problems]
    found = solve_districts(problems, 10_000, warm=warm, workers=1, stop=lambda: True)
    assert all(result.stopped for result in found)
    for problem, result in zip(problems, found, strict=True):
        assert judge(problem, result.plan).breaches == ()
        assert result.cost <= result.first_cost
