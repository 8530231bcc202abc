"""Where a visit goes on a day: what is said in constant time is what following the day says."""

from uuid import UUID

import numpy as np
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from app.dispatch.rules.insertion import Line, line_of
from app.dispatch.rules.routes import NEVER, Break, Frame, Rule, Stop, follow, in_order
from app.dispatch.solver import evaluate
from app.dispatch.solver.model import FAR, Costs, Problem, Technicians, Visits, bounds
from app.travel.rules import Place, Travel
from app.workorders.rules import State

TRAVEL = Travel(detour=1.0, least=60)
WEIGHTS = (4, 2, 1, 1)
HOUR = 3_600
EIGHT, SIX = 8 * HOUR, 18 * HOUR


def place(east: int, north: int) -> Place:
    """A door so many steps of about 1.5 km from the south-western corner."""
    return Place(112.0 + east * 0.015, 28.0 + north * 0.015)


places = st.builds(place, st.integers(0, 8), st.integers(0, 8))
moments = st.integers(EIGHT // 600, SIX // 600).map(lambda n: n * 600)


@st.composite
def stops(draw, number: int = 0) -> Stop:
    opens, closes, due = 0, NEVER, NEVER
    if draw(st.booleans()):
        opens = draw(moments)
        closes = opens + draw(st.sampled_from([0, HOUR, 2 * HOUR]))
    if draw(st.booleans()):
        due = draw(moments)
    return Stop(
        UUID(int=number),
        draw(places),
        draw(st.sampled_from([900, 2_700, 3_600, 5_400])),
        opens,
        closes,
        due,
        draw(st.integers(1, 4)),
    )


LUNCHES = (
    (),
    (Break(12 * HOUR, 5_400, 0),),
    (Break(12 * HOUR, 3_600, 3_600),),
    (Break(10 * HOUR, 1_800, 900), Break(13 * HOUR, 3_600, 1_800)),
)


@st.composite
def days(draw) -> tuple[Frame, list[Stop]]:
    """A day that can be done, mostly with work before and after lunch."""
    start = draw(places)
    frame = Frame(
        draw(st.sampled_from([EIGHT, 9 * HOUR + 60])),
        draw(st.sampled_from([15 * HOUR, SIX])),
        start,
        draw(st.sampled_from([start, None])),
        draw(st.sampled_from(LUNCHES)),
        0,
    )
    day = [draw(stops(number)) for number in range(1, draw(st.integers(0, 5)) + 1)]
    if day and draw(st.booleans()):
        state = draw(st.sampled_from([State.ON_SITE, State.EN_ROUTE]))
        day[0] = day[0]._replace(state=state, since=frame.begins - 1_200)
    return frame, day


def lateness(drive) -> int:
    return sum(one.late * WEIGHTS[one.stop.priority - 1] for one in drive.visits)


def by_following(frame, day, visit) -> int | None:
    """What the cheapest place costs when each is followed to the end of the day."""
    before = follow(frame, day, TRAVEL, WEIGHTS)
    costs = []
    for at in range(sum(stop.under_way for stop in day), len(day) + 1):
        drive = follow(frame, [*day[:at], visit, *day[at:]], TRAVEL, WEIGHTS)
        if drive.holds:
            late = max(0, lateness(drive) - lateness(before))
            costs.append(drive.travel - before.travel + late)
    return min(costs, default=None)


@settings(max_examples=200, deadline=None)
@given(days(), stops())
def test_the_cheapest_place_is_the_one_that_following_finds(day_of, visit):
    frame, day = day_of
    assume(follow(frame, day, TRAVEL, WEIGHTS).holds)
    spot = Line(frame, day, TRAVEL, WEIGHTS).spot(visit)
    assert (spot and spot.cost) == by_following(frame, day, visit)


@settings(max_examples=150, deadline=None)
@given(days(), st.lists(stops(), max_size=6))
def test_a_day_filled_visit_by_visit_holds(day_of, visits):
    frame, day = day_of
    assume(follow(frame, day, TRAVEL, WEIGHTS).holds)
    line = Line(frame, day, TRAVEL, WEIGHTS)
    for number, visit in enumerate(visits, 100):
        one = visit._replace(order_id=UUID(int=number))
        spot = line.spot(one)
        if spot is not None:
            line.take(one, spot.at)
            fresh = Line(frame, line.stops, TRAVEL, WEIGHTS)
            assert fresh.spot(visit) == line.spot(visit)
    drive = follow(frame, line.stops, TRAVEL, WEIGHTS)
    assert drive.holds
    assert line.work == sum(stop.seconds for stop in line.stops)


# Kept beyond both breaks, they have the first in time and miss the second: what is missed does not
# free the one that is not.
_KEPT = Stop(UUID(int=1), place(0, 0), 2_700, 44_400, 44_400, NEVER, 1, State.EN_ROUTE, 27_600)


@settings(max_examples=150, deadline=None)
@example(
    (Frame(EIGHT, 15 * HOUR, place(0, 0), place(0, 0), LUNCHES[3], 0), [_KEPT]),
    Stop(UUID(int=0), place(0, 0), 900, 43_800, 47_400, NEVER, 1),
)
@given(days(), stops())
def test_a_visit_breaks_no_more_than_is_broken_already(day_of, visit):
    """People are late, and days are filled by hand: what can no longer be kept binds nobody."""
    frame, day = day_of
    line = Line(frame, day, TRAVEL, WEIGHTS)
    spot = line.spot(visit)
    if spot is None:
        return
    before = {(one.rule, one.order_id) for one in follow(frame, day, TRAVEL, WEIGHTS).broken}
    line.take(visit, spot.at)
    after = follow(frame, line.stops, TRAVEL, WEIGHTS).broken
    assert len(after) <= len(before)
    assert (Rule.SHIFT, None) not in before


def test_of_places_that_cost_the_same_the_last_is_taken():
    here = place(1, 1)
    frame = Frame(EIGHT, SIX, here, here)
    day = [Stop(UUID(int=n), here, 600) for n in (1, 2)]
    spot = Line(frame, day, TRAVEL).spot(Stop(UUID(int=3), here, 600))
    assert spot is not None
    assert spot == (2, 0, 0)


def test_lateness_beyond_the_cap_costs_no_more():
    here = place(1, 1)
    frame = Frame(EIGHT, SIX, here, here)
    late = Stop(UUID(int=1), here, HOUR, due=EIGHT - 9 * HOUR, priority=2)
    line = Line(frame, [], TRAVEL, WEIGHTS, late_cap=7_200)
    spot = line.spot(late)
    assert spot is not None
    assert spot.late == 2 * 7_200
    line.take(late, 0)
    # It is beyond the cap as it stands, so somebody before it makes nothing dearer.
    urgent = Stop(UUID(int=2), here, HOUR, due=EIGHT + HOUR, priority=1)
    assert line.spot(urgent) == (0, 0, 0)


def test_a_place_is_only_sought_below_a_bound():
    frame = Frame(EIGHT, SIX, place(0, 0), place(0, 0))
    line, visit = Line(frame, [], TRAVEL), Stop(UUID(int=1), place(4, 0), HOUR)
    spot = line.spot(visit)
    assert spot is not None
    assert line.spot(visit, below=spot.cost) is None
    assert line.spot(visit, below=spot.cost + 1) == spot


def test_what_a_route_does_not_know_goes_where_it_costs_least():
    frame = Frame(EIGHT, SIX, place(0, 0), place(0, 0))
    far, near, middle = (Stop(UUID(int=n), place(n, 0), HOUR) for n in (6, 2, 4))
    written = [near.order_id, far.order_id, UUID(int=99)]
    assert in_order([far, near, middle], written) == [near, far, middle]
    line = line_of(frame, [far, near, middle], written, TRAVEL)
    assert line.stops in ([near, middle, far], [near, far, middle])
    assert line.stops.index(near) == 0


@settings(max_examples=150, deadline=None)
@given(days())
def test_following_a_day_says_what_the_judge_of_plans_says(day_of):
    frame, day = day_of
    assume(day)
    day = [stop._replace(state=State.ASSIGNED, since=None, priority=3) for stop in day]
    lunch = frame.breaks[:1]
    frame = frame._replace(breaks=lunch, end=frame.start)
    known = [frame.start, *(stop.place for stop in day)]
    problem = Problem(
        Visits.of(
            np.arange(1, len(day) + 1),
            [stop.seconds for stop in day],
            opens=[stop.opens for stop in day],
            closes=[min(stop.closes, FAR) for stop in day],
            due=[min(stop.due, FAR) for stop in day],
        ),
        Technicians.of(
            [0],
            [frame.begins],
            [frame.ends],
            lunch_from=[one.begins - one.slack for one in lunch] or 0,
            lunch_until=[one.begins + one.slack for one in lunch] or 0,
            lunch_length=[one.length for one in lunch] or 0,
        ),
        TRAVEL.matrix(known),
        np.zeros((1, 1), np.uint8),
        Costs(late_cap=5_000_000),
    )
    judged, breaches = evaluate.follow(problem, bounds(problem), 0, tuple(range(len(day))))
    drive = follow(frame, day, TRAVEL)
    assert len(drive.broken) == len(breaches)
    assert sum(one.late for one in drive.visits) == sum(stop.late for stop in judged.stops)
    assert drive.travel == judged.travel
    if len(drive.breaks) == len(lunch):
        assert drive.home == judged.home
    else:  # at home before lunch: the judge's day ends with it
        assert drive.home <= lunch[0].begins - lunch[0].slack < judged.home
