"""Planning's rules: why nobody is planned for an order, how much room a visit has, what is left."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.db import new_id
from app.dispatch.rules.vans import Van
from app.dispatch.solver import FAR, Plan, Problem, Technicians, Visits, judge
from app.dispatch.solver.solve import kept
from app.planning.rules import LeftReason
from app.planning.rules.districts import District, Fact
from app.planning.rules.drafts import NotAPlan, draft_of
from app.planning.rules.publishing import Around, changes, why_left, whys_left
from app.planning.rules.reasons import reasons
from app.planning.rules.starting import start_of
from app.workorders.rules import State, UnplacedReason
from tests.dispatch.solver.days import day

HOUR = 3_600
DAY = date(2026, 3, 3)
ORIGIN = 1_772_467_200


def district(problem: Problem, *, orders: int | None = None, skill_bits: int = 62) -> District:
    """A district around a problem; its first `orders` visits are orders that nobody holds."""
    number = problem.n if orders is None else orders
    facts = tuple(
        Fact(
            new_id(),
            State.UNPLACED,
            None,
            None,
            None,
            None if due >= FAR else int(due),
            3,
            int(seconds) // 60,
        )
        for due, seconds in zip(
            problem.visits.due[:number], problem.visits.duration[:number], strict=True
        )
    )
    return District(
        org_unit_id=new_id(),
        day=DAY,
        origin=ORIGIN,
        problem=problem,
        facts=facts,
        technician_ids=tuple(new_id() for _ in range(problem.v)),
        current=((),) * problem.v,
        left_out=(),
        points=np.zeros((len(problem.travel), 2)),
        detour=1.3,
        shift_ends=tuple(int(end) for end in problem.technicians.shift_end),
        skill_bits=skill_bits,
    )


def one_visit(**fields: object) -> Problem:
    """One visit of an hour for one technician, who works from 8 to 12, half an hour away."""
    visits = Visits.of([1], HOUR, **{"skills": 0, **fields})  # type: ignore[arg-type]
    stock = [[1, 0]] if "needs" in fields else None
    staff = Technicians.of([0], 8 * HOUR, 12 * HOUR, skills=0b101, stock=stock)
    travel = np.array([[0, 1_800], [1_800, 0]], np.int32)
    return Problem(visits, staff, travel, np.zeros((1, 1), np.uint8))


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, UnplacedReason.NO_MINUTES_LEFT),  # it would fit on a day with nothing else in it
        ({"skills": 0b010}, UnplacedReason.NOBODY_WITH_SKILL),
        ({"skills": 0b1000}, UnplacedReason.ALL_DECLINED),  # a bit above the skills
        ({"opens": 11 * HOUR, "closes": 11 * HOUR + 60}, UnplacedReason.WINDOW_UNREACHABLE),
        ({"opens": 9 * HOUR, "closes": 10 * HOUR}, UnplacedReason.NO_MINUTES_LEFT),
        ({"closes": 8 * HOUR}, UnplacedReason.WINDOW_UNREACHABLE),  # half an hour away
        ({"needs": [[1, 1]]}, UnplacedReason.NO_STOCK),  # there is one of the first kind only
        ({"needs": [[1, 0]]}, UnplacedReason.NO_MINUTES_LEFT),
        ({"needs": [[0, 1]], "skills": 0b010}, UnplacedReason.NOBODY_WITH_SKILL),
    ],
)
def test_why_nobody_is_planned(fields, why):
    assert reasons(district(one_visit(**fields), skill_bits=3), ((),)) == {0: why}


def test_nobody_on_shift_and_nobody_left_out():
    problem = one_visit()
    empty = Problem(
        problem.visits,
        Technicians.of([], [], []),
        problem.travel,
        np.zeros((1, 0), np.uint8),
    )
    assert reasons(district(empty), ()) == {0: UnplacedReason.NOBODY_ON_SHIFT}
    assert reasons(district(problem), ((0,),)) == {}


def test_a_route_has_its_times_and_its_room():
    problem = one_visit(opens=9 * HOUR, closes=10 * HOUR, due=int(10.5 * HOUR))
    draft = draft_of(district(problem), ((0,),))
    [route], [visit] = draft.routes, draft.visits
    assert route.leaves_at == datetime.fromtimestamp(ORIGIN + 8 * HOUR, UTC)
    assert (visit.way, visit.wait, visit.late) == (1_800, 1_800, 0)
    assert visit.slack == 1_800  # until it would end after its promise
    assert (route.travel, route.work, route.visits) == (3_600, HOUR, 1)
    assert route.home_at == datetime.fromtimestamp(ORIGIN + 10 * HOUR + 1_800, UTC)


def test_the_judge_refuses_what_breaks_a_rule():
    with pytest.raises(NotAPlan, match="window"):
        draft_of(district(one_visit(closes=8 * HOUR)), ((0,),))


def _plan_of(problem: Problem, seed: int) -> Plan:
    """Any plan that holds: visits dealt out at random, without those that break a rule."""
    draw = np.random.default_rng(seed)
    fixed = {visit for prefix in problem.frozen for visit in prefix}
    routes: list[list[int]] = [[*problem.frozen_of(one)] for one in range(problem.v)]
    for visit in draw.permutation(problem.n):
        if int(visit) not in fixed:
            routes[int(draw.integers(problem.v))].append(int(visit))
    return kept(problem, tuple(tuple(route) for route in routes))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000))
def test_a_visit_that_begins_later_by_its_room_breaks_nothing(seed):
    problem = day(seed, n=12, v=3)
    plan = _plan_of(problem, seed)
    made = draft_of(district(problem), plan)
    verdict = judge(problem, plan)
    begun = {stop.visit: stop.begin for day in verdict.days for stop in day.stops}
    frozen = {visit for prefix in problem.frozen for visit in prefix}
    facts = {visit.order_id: visit for visit in made.visits}
    numbered = district(problem)
    late = {stop.visit: stop.late for day in verdict.days for stop in day.stops}
    for route in plan:
        for place, visit in enumerate(route):
            if visit in frozen:
                continue
            slack = [one.slack for one in made.visits if one.technician_id is not None][
                sum(len(other) for other in plan[: plan.index(route)]) + place
            ]
            opens = problem.visits.opens.copy()
            opens[visit] = begun[visit] + (slack or 0)
            moved = replace(problem, visits=replace(problem.visits, opens=opens))
            again = judge(moved, plan)
            assert not again.breaches
            for day_again in again.days:
                for stop in day_again.stops:
                    if stop.visit not in frozen:
                        assert stop.late <= late[stop.visit]
    assert len(facts) == len(numbered.facts)


def test_leave_is_in_the_plan_that_a_search_begins_with():
    visits = Visits.of(
        [1, 1, 0],
        [2 * HOUR, HOUR, HOUR],
        grid=0,
        opens=[0, 0, 9 * HOUR],
        closes=[FAR, FAR, 9 * HOUR],
        pinned=[-1, -1, 0],
    )
    staff = Technicians.of([0], 8 * HOUR, 14 * HOUR)
    problem = Problem(
        visits, staff, np.array([[0, 60], [60, 0]], np.int32), np.zeros((1, 1), np.uint8)
    )
    given_day = replace(district(problem, orders=2), current=((0, 1),))
    # Two hours do not fit before nine, so leave comes first and both wait behind it.
    assert start_of(given_day) == ((2, 0, 1),)
    short = replace(given_day, current=((1, 0),))
    assert kept(problem, start_of(short)) == ((2, 1, 0),)


@dataclass
class Planned:
    """An order in a plan, held by A on the day, that shall go to B at ten."""

    technician_id: UUID | None
    before_id: UUID | None
    before_day: date | None = DAY
    before_state: str = "assigned"
    before_begins_at: datetime | None = datetime(2026, 3, 3, 1, tzinfo=UTC)
    begins_at: datetime | None = datetime(2026, 3, 3, 2, tzinfo=UTC)
    ends_at: datetime | None = datetime(2026, 3, 3, 3, tzinfo=UTC)
    unplaced_reason: str | None = None


@dataclass
class Now:
    """How the order is now."""

    state: str
    holder_id: UUID | None
    planned_day: date | None = DAY
    appointment_from: datetime | None = None
    appointment_until: datetime | None = None
    pinned_to: UUID | None = None
    terminals: Sequence[str] = ()
    unplaced_reason: str | None = None


A, B, C = new_id(), new_id(), new_id()
TEN = datetime(2026, 3, 3, 2, tzinfo=UTC)
AROUND = Around(here={A, B}, leave={}, booked=set())


@pytest.mark.parametrize(
    ("now", "around", "why"),
    [
        (Now("assigned", A), AROUND, None),
        (Now("acknowledged", A), AROUND, LeftReason.CHANGED),
        (Now("assigned", C), AROUND, LeftReason.CHANGED),
        (Now("assigned", A, DAY + timedelta(days=1)), AROUND, LeftReason.CHANGED),
        (Now("unplaced", None, None), AROUND, LeftReason.CHANGED),
        (Now("on_site", A), AROUND, LeftReason.UNDER_WAY),
        (Now("suspended", A), AROUND, LeftReason.UNDER_WAY),
        (Now("completed", A), AROUND, LeftReason.CLOSED),
        (Now("cancelled", A), AROUND, LeftReason.CLOSED),
        (Now("assigned", A, pinned_to=A), AROUND, LeftReason.PINNED),
        (Now("assigned", A, pinned_to=B), AROUND, None),
        (
            Now("assigned", A, DAY, TEN + timedelta(hours=4), TEN + timedelta(hours=6)),
            AROUND,
            LeftReason.WINDOW_CHANGED,
        ),
        (Now("assigned", A, DAY, TEN, TEN + timedelta(hours=2)), AROUND, None),
        (
            Now("assigned", A, DAY, TEN, TEN + timedelta(hours=2)),
            Around({A, B}, {}, {B}),
            LeftReason.APPOINTMENTS,
        ),
        (Now("assigned", A), Around({A}, {}, set()), LeftReason.AWAY),
        (
            Now("assigned", A),
            Around({A, B}, {B: [(TEN + timedelta(minutes=30), TEN + timedelta(hours=9))]}, set()),
            LeftReason.AWAY,
        ),
        (
            Now("assigned", A),
            Around({A, B}, {B: [(TEN + timedelta(hours=1), TEN + timedelta(hours=9))]}, set()),
            None,
        ),
    ],
)
def test_what_publishing_leaves_as_it_is(now, around, why):
    assert why_left(Planned(B, A), now, around) is why


def test_what_an_outage_holds_by_now_is_not_given_to_anybody():
    planned = Planned(B, None, None, "unplaced")
    assert why_left(planned, Now("unplaced", None, None), AROUND) is None
    held = Now("unplaced", None, None, unplaced_reason="outage")
    assert why_left(planned, held, AROUND) is LeftReason.CHANGED


def test_terminals_swapped_by_a_plan_and_one_that_is_not_there_any_more():
    """A and B have a terminal each, which their own order needs; each order goes to the other."""
    first, second, third = new_id(), new_id(), new_id()
    ont = ("ont_gateway",)
    planned = {first: Planned(B, A), second: Planned(A, B), third: Planned(A, None)}
    now = {
        first: Now("assigned", A, terminals=ont),
        second: Now("assigned", B, terminals=ont),
        third: Now("unplaced", None, None, terminals=ont),
    }
    planned[third].before_state, planned[third].before_day = "unplaced", None
    vans = {A: Van(Counter(), {first: ont}), B: Van(Counter(), {second: ont})}
    whys = whys_left(planned, now, replace(AROUND, vans=vans))
    assert whys == {first: None, second: None, third: LeftReason.NO_STOCK}


@pytest.mark.parametrize(
    ("planned", "changed"),
    [
        (Planned(B, A), True),
        (Planned(B, None), True),
        (Planned(A, A), False),
        (Planned(None, A, unplaced_reason="no_minutes_left"), False),
        (Planned(None, A, unplaced_reason="nobody_with_skill"), True),
        # Its holder is away, so that it would never have begun.
        (Planned(None, A, unplaced_reason="no_minutes_left", before_begins_at=None), True),
        (Planned(None, None, unplaced_reason="nobody_with_skill"), False),
    ],
)
def test_which_orders_a_plan_changes(planned, changed):
    assert changes(planned) is changed
