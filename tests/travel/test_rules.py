"""How long ways take: the ladder from a pair of grids at an hour down to the distance alone."""

from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.geo import distance_m
from app.grids.rules import GridKind
from app.travel.rules import ALL_DAY, Bounds, Cut, Learned, Place, Travel, cut, took
from app.travel.rules.ladder import ratios_of

HERE, THERE, ELSEWHERE = UUID(int=1), UUID(int=2), UUID(int=3)
HOME = Place(112.0, 28.0)
DOOR = Place(112.01, 28.0, HERE, GridKind.COMPOUND)
NEXT = Place(112.03, 28.0, THERE, GridKind.STREET)
FAR = Place(112.06, 28.02, ELSEWHERE, GridKind.VILLAGE)

LEARNED = Learned.of({(HERE, THERE, ALL_DAY): 0.5, (HERE, THERE, 8): 0.9, (HERE, HERE, 9): 0.4})
# At any hour first, then by hour.
RATIOS = tuple({9: 1.5, 11: 1.8}.get(slot, 1.2) for slot in range(25))
KNOWING = Travel(learned=LEARNED, ratios=RATIOS)


def metres(start, end):
    return distance_m(start.lon, start.lat, end.lon, end.lat)


@pytest.mark.parametrize(
    ("start", "end", "hour", "pace"),
    [
        (DOOR, NEXT, 8, 0.9),  # the pair at that hour
        (DOOR, NEXT, 9, 0.5),  # the pair at any hour
        (DOOR, NEXT, 10, 0.5 * 1.8 / 1.2),  # ten is a slow hour in the whole unit
        (DOOR, NEXT, ALL_DAY, 0.5),
        (NEXT, DOOR, 8, 1.35 / 5 * 1.5),  # the way back is another pair: the unit at that hour
        (NEXT, DOOR, 9, 1.35 / 5 * 1.2),
        (DOOR, FAR, 9, 1.35 / 5 * 1.2),  # the slower end counts: 18 km/h
        (NEXT, FAR, 9, 1.35 / (20 / 3.6) * 1.2),
        (HOME, NEXT, 9, 1.35 / (20 / 3.6) * 1.2),  # home lies in no grid
    ],
)
def test_the_first_rung_that_knows_something_says_it(start, end, hour, pace):
    assert KNOWING.seconds(start, end, hour) == 120 + int(metres(start, end) * pace)


def test_within_one_grid_the_doors_decide_how_far_it_is():
    near, far = DOOR._replace(lon=112.0101), DOOR._replace(lon=112.02)
    assert KNOWING.seconds(DOOR, near, 9) < KNOWING.seconds(DOOR, far, 9)
    assert KNOWING.seconds(DOOR, far, 9) == 120 + int(metres(DOOR, far) * float(np.float32(0.4)))


def test_nothing_learned_is_the_distance_at_the_speeds_of_the_areas():
    fresh = Travel()
    assert fresh.seconds(DOOR, NEXT, 8) == fresh.by_distance(DOOR, NEXT)
    assert KNOWING.by_distance(DOOR, NEXT) == fresh.by_distance(DOOR, NEXT)


def test_to_where_one_is_takes_nothing_and_to_nowhere_a_fixed_time():
    assert KNOWING.seconds(DOOR, DOOR) == 0
    assert KNOWING.seconds(DOOR, None) == KNOWING.seconds(None, DOOR) == KNOWING.unknown


PLACES = st.builds(
    Place,
    st.floats(111.9, 112.3),
    st.floats(27.9, 28.2),
    st.sampled_from([None, HERE, THERE, ELSEWHERE]),
    st.sampled_from([None, *GridKind]),
)


@settings(max_examples=50, deadline=None)
@given(
    places=st.lists(st.none() | PLACES, max_size=6),
    hour=st.integers(-1, 23),
    paces=st.dictionaries(
        st.tuples(
            st.sampled_from([HERE, THERE, ELSEWHERE]),
            st.sampled_from([HERE, THERE, ELSEWHERE]),
            st.integers(-1, 23),
        ),
        st.floats(0.05, 3.0),
    ),
)
def test_a_matrix_says_what_single_ways_say(places, hour, paces):
    """Numpy's sines may differ from Python's in the last bit, so whole seconds may by one."""
    travel = Travel(learned=Learned.of(paces), ratios=RATIOS)
    matrix = travel.matrix(places, hour)
    for row, start in enumerate(places):
        for column, end in enumerate(places):
            if row != column:
                assert abs(int(matrix[row, column]) - travel.seconds(start, end, hour)) <= 1


def test_much_that_was_learned_weighs_little():
    grids = [UUID(int=number) for number in range(300)]
    paces = {(start, end, -1): 0.3 for start in grids for end in grids[:100]}
    learned = Learned.of(paces)
    assert len(learned) == 30_000
    assert learned.nbytes == 30_000 * 12


# --- an org unit's ratios -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "hour", "ratio"),
    [
        ("p.c.b.", 8, 1.6),  # its own at that hour
        ("p.c.b.", 9, 1.4),  # its own at any
        ("p.c.x.", 9, 1.1),  # the city's, since nothing is known of the branch
        ("p.c.b.", ALL_DAY, 1.4),
        ("p.z.b.", 8, 0.9),  # the province's
        ("", 8, 0.9),
    ],
)
def test_the_closest_unit_that_knows_something_says_it(path, hour, ratio):
    ratios = {"p.": {-1: 0.9}, "p.c.": {-1: 1.1}, "p.c.b.": {-1: 1.4, 8: 1.6}}
    assert ratios_of(ratios, path)[hour + 1] == ratio


def test_without_ratios_nothing_is_changed():
    assert set(ratios_of({}, "p.c.")) == {1.0}


# --- what is learned from -------------------------------------------------------------------------

BOUNDS = Bounds(30, 7_200, 150, 1.5, 90)


@pytest.mark.parametrize(
    ("seconds", "metres", "why"),
    [
        (600, 2_000, None),
        (12, 2_000, Cut.TOO_SHORT),
        (7_201, 9_000, Cut.TOO_LONG),
        (600, 149, Cut.TOO_NEAR),
        (60, 2_000, Cut.TOO_FAST),
        (3_600, 1_000, Cut.TOO_SLOW),
    ],
)
def test_what_was_no_way_is_not_learned_from(seconds, metres, why):
    assert cut(seconds, metres, BOUNDS) is why


@pytest.mark.parametrize(
    ("by_device", "by_server", "seconds"),
    [
        (600, 602, 600),
        (600, 0, 600),  # told together, after a time without a signal
        (None, 602, 602),
        (-40, 602, 602),  # the phone's clock was put right on the way
        (90_000, 602, 602),
        (-40, -2, 0),
    ],
)
def test_the_phones_clock_counts_where_it_says_something_plausible(by_device, by_server, seconds):
    assert took(by_device, by_server, BOUNDS) == seconds
