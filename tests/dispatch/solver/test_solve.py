"""Budgets, stopping, the best plan so far, and what of a plan still holds."""

import numpy as np
import pytest

from app.dispatch.solver import FAR, Costs, Problem, Rule, Technicians, Unfit, Visits, judge
from app.dispatch.solver.solve import Budget, kept, solve
from tests.dispatch.solver.days import HOUR, Clock, day

LINE = np.abs(np.subtract.outer(np.arange(8), np.arange(8))).astype(np.int32) * 600
"""Eight places on a line, ten minutes apart."""


def small(visits: Visits, staff: Technicians, costs: Costs | None = None, **more) -> Problem:
    grids, v = int(visits.grid.max(initial=0)) + 1, len(staff.start_place)
    classes = more.pop("owner_class", np.zeros((grids, v), np.uint8))
    return Problem(visits, staff, LINE, classes, costs or Costs(), **more)


def one_shift(v: int = 1, **more) -> Technicians:
    return Technicians.of(np.zeros(v), 8 * HOUR, 17 * HOUR, **more)


def test_a_search_ends_when_its_seconds_are_over():
    found = solve(day(1), Budget(seconds=0.2), clock=Clock())
    assert 0.2 <= found.seconds < 0.25
    assert found.iterations > 0
    assert not found.stopped


def test_whichever_of_two_budgets_runs_out_first_ends_the_search():
    assert solve(day(1), Budget(iterations=700, seconds=1e9)).iterations == 700
    cut = solve(day(1), Budget(iterations=10**9, seconds=0.1), clock=Clock())
    assert cut.iterations < 10**9


def test_a_search_can_be_stopped_and_gives_the_best_so_far():
    asked = iter([False, False, True])
    problem = day(2)
    found = solve(problem, Budget(iterations=10**9), stop=lambda: next(asked))
    assert found.stopped
    assert found.iterations == 2 * 512
    verdict = judge(problem, found.plan)
    assert verdict.bill.total == found.cost
    assert verdict.breaches == ()


def test_each_better_plan_is_told_while_the_search_goes_on():
    problem, told = day(4, n=60, v=10), []
    found = solve(
        problem,
        Budget(iterations=5_000),
        on_better=lambda cost, read: told.append((cost, judge(problem, read()).bill.total)),
    )
    costs = [cost for cost, _ in told]
    assert costs == sorted(costs, reverse=True)
    assert costs[-1] == found.cost
    assert all(cost == judged for cost, judged in told)


def test_a_budget_without_an_end_is_refused():
    with pytest.raises(Unfit, match="iterations or seconds"):
        Budget()


def test_what_a_warm_plan_breaks_by_now_is_taken_out_of_it():
    visits = Visits.of([1, 2, 3], HOUR, closes=[FAR, 9 * HOUR, FAR], skills=[0, 0, 1])
    problem = small(visits, one_shift(2, skills=[0, 1]))
    # Visit 1 opens too early to be second, visit 2 needs what only the second technician can do.
    assert kept(problem, ((0, 1, 2), (2, 0))) == ((0,), (2,))
    found = solve(problem, Budget(iterations=200), warm=((0, 1, 2), (2, 0)))
    assert judge(problem, found.plan).breaches == ()
    assert found.cost < found.first_cost


def test_what_has_begun_stays_first_even_when_it_is_late_and_long():
    visits = Visits.of([1, 2], [8 * HOUR, HOUR], closes=[7 * HOUR, FAR], skills=[1, 0])
    lunch = {"lunch_from": 11 * HOUR, "lunch_until": 13 * HOUR, "lunch_length": HOUR}
    problem = small(visits, one_shift(**lunch), frozen=((0,),))
    found = solve(problem, Budget(iterations=100))
    # The shift was over by then: the day ends with it, and lunch is had on the way home.
    assert found.plan == ((0,),)
    assert judge(problem, found.plan).breaches == ()


def test_a_pinned_visit_goes_to_its_technician_or_to_nobody():
    visits = Visits.of([1, 1], HOUR, pinned=[1, 1], unplaced=50_000)
    staff = Technicians.of([0, 7], 8 * HOUR, [17 * HOUR, 11 * HOUR])
    found = solve(small(visits, staff), Budget(iterations=200))
    assert found.plan[0] == ()
    assert len(found.plan[1]) == 1


def test_terminals_in_the_van_are_counted():
    visits = Visits.of([1, 2, 3], 600, needs=[[1], [1], [0]])
    found = solve(small(visits, one_shift(stock=[[1]])), Budget(iterations=200))
    assert len(found.plan[0]) == 2
    assert 2 in found.plan[0]


def test_a_visit_stays_with_its_technician_for_the_price_of_moving_it():
    visits = Visits.of([1, 6], 600, published=[1, 1])
    staff = Technicians.of([0, 7], 8 * HOUR, 17 * HOUR)

    def routes(moved: int):
        return solve(small(visits, staff, Costs(moved=moved)), Budget(iterations=300)).plan

    assert routes(0) == ((0,), (1,))
    assert sorted(routes(20_000)[1]) == [0, 1]


def test_owners_come_before_short_ways():
    visits = Visits.of([1], 600)
    staff = Technicians.of([0, 3], 8 * HOUR, 17 * HOUR)
    classes = np.array([[2, 0]], np.uint8)
    near = solve(small(visits, staff, Costs(ownership=(0, 1, 2)), owner_class=classes), _few())
    owner = solve(small(visits, staff, Costs(ownership=(0, 1, 3_000)), owner_class=classes), _few())
    assert (near.plan, owner.plan) == (((0,), ()), ((), (0,)))


def test_work_is_spread_for_the_price_of_unevenness():
    visits = Visits.of([1, 1, 1, 1], HOUR)
    staff = Technicians.of([0, 2], 8 * HOUR, 17 * HOUR, share=2 * HOUR)
    lopsided = solve(small(visits, staff), _few())
    even = solve(small(visits, staff, Costs(uneven=1_000)), _few())
    assert sorted(map(len, lopsided.plan)) == [0, 4]
    assert sorted(map(len, even.plan)) == [2, 2]


def test_a_visit_that_would_be_too_late_stays_unplaced():
    visits = Visits.of(
        [1, 1], [HOUR, HOUR], due=[5 * HOUR, 9 * HOUR], late_weight=4, unplaced=90_000
    )
    found = solve(small(visits, one_shift()), _few())
    assert found.plan == ((1,),)
    assert judge(small(visits, one_shift()), ((0, 1),)).breaches[0].rule is Rule.WINDOW


def test_nobody_and_nothing_to_plan():
    nothing = small(Visits.of(np.zeros(0), 600), one_shift())
    assert solve(nothing, _few()).plan == ((),)
    nobody = small(Visits.of([1], 600), Technicians.of(np.zeros(0), 0, 0))
    found = solve(nobody, _few())
    assert (found.plan, found.cost) == ((), 9_000)


@pytest.mark.parametrize(
    "visits, staff, words",
    [
        ({"place": [9]}, {}, "place holds"),
        ({"duration": [-1]}, {}, "duration holds"),
        ({"unplaced": 10**8}, {}, "unplaced holds"),
        ({"needs": [[1]]}, {}, "different kinds"),
        ({"pinned": [3]}, {}, "pinned holds"),
        ({}, {"shift_end": 7 * HOUR}, "ends before"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(visits, staff, words):
    with pytest.raises(Unfit, match=words):
        small(
            Visits.of(**({"place": [1], "duration": [600]} | visits)),
            Technicians.of(
                **({"start_place": [0], "shift_start": 8 * HOUR, "shift_end": 17 * HOUR} | staff)
            ),
        )


def _few() -> Budget:
    return Budget(iterations=300)
