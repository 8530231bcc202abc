"""Which positions are kept, and how coarsely."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from app.core.geo import distance_m
from app.presence import rules
from app.presence.rules import Dropped, Limits, Point

NINE = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
NOON = NINE + timedelta(hours=3)
LON, LAT = 112.6, 28.9
NORTH = 1 / 111_320  # a metre
LIMITS = Limits(
    kept=timedelta(days=30),
    grid_m=100,
    least_m=150,
    least=timedelta(seconds=60),
    longest=timedelta(seconds=900),
    worst_m=500,
)


class Duty(NamedTuple):
    began_at: datetime
    ended_at: datetime | None
    consent_from: datetime | None


def at(seconds: float, meters: float = 0, accuracy_m: float = 20) -> Point:
    return Point(NINE + timedelta(seconds=seconds), LON, LAT + meters * NORTH, accuracy_m)


ON_SHIFT = Duty(NINE, None, NINE)


@pytest.mark.parametrize(
    ("points", "duty", "kept", "why"),
    [
        ([at(0)], ON_SHIFT, [0], {}),
        # Far enough in time and in place, or very far in time.
        ([at(0), at(30, 900)], ON_SHIFT, [0], {Dropped.THINNED: 1}),
        ([at(0), at(90, 50)], ON_SHIFT, [0], {Dropped.THINNED: 1}),
        ([at(0), at(90, 900)], ON_SHIFT, [0, 90], {}),
        ([at(0), at(899), at(900)], ON_SHIFT, [0, 900], {Dropped.THINNED: 1}),
        # It is measured from the one that was kept, and in the order of time.
        ([at(180, 900), at(0), at(90, 450)], ON_SHIFT, [0, 90, 180], {}),
        ([at(0), at(90, 60), at(180, 450)], ON_SHIFT, [0, 180], {Dropped.THINNED: 1}),
        # The same twice is once.
        ([at(0), at(0)], ON_SHIFT, [0], {}),
        ([at(-1)], ON_SHIFT, [], {Dropped.OFF_SHIFT: 1}),
        ([at(600)], Duty(NINE, NINE + timedelta(seconds=600), NINE), [], {Dropped.OFF_SHIFT: 1}),
        ([at(0)], Duty(NINE, None, None), [], {Dropped.NO_CONSENT: 1}),
        (
            [at(0), at(300)],
            Duty(NINE, None, NINE + timedelta(seconds=300)),
            [300],
            {Dropped.NO_CONSENT: 1},
        ),
        ([at(0, accuracy_m=501)], ON_SHIFT, [], {Dropped.INACCURATE: 1}),
        ([at(3 * 3600 + 121)], ON_SHIFT, [], {Dropped.IN_THE_FUTURE: 1}),
        ([at(-31 * 86_400)], ON_SHIFT, [], {Dropped.TOO_OLD: 1}),
    ],
)
def test_what_is_kept_and_why_the_rest_is_not(points, duty, kept, why):
    chosen, dropped = rules.kept_of(points, [duty], None, LIMITS, NOON)
    assert [(one.at - NINE).total_seconds() for _, one in chosen] == kept
    assert dropped == why


def test_a_batch_goes_on_from_what_was_kept_before_it():
    lon, lat = rules.coarse(LON, LAT, 100)
    before = at(0)._replace(lon=lon, lat=lat)
    chosen, dropped = rules.kept_of([at(70), at(140, 900)], [ON_SHIFT], before, LIMITS, NOON)
    assert [one.at for _, one in chosen] == [at(140).at]
    assert dropped == {Dropped.THINNED: 1}


@hypothesis(max_examples=60)
@given(
    st.floats(min_value=73, max_value=135),
    st.floats(min_value=3, max_value=53),
    st.sampled_from([50.0, 100.0, 1000.0]),
)
def test_a_square_has_one_middle_and_nobody_is_farther_from_it_than_its_corner(lon, lat, meters):
    middle = rules.coarse(lon, lat, meters)
    assert distance_m(lon, lat, *middle) <= meters * 0.73
    assert distance_m(*middle, *rules.coarse(*middle, meters)) < 1


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        (NOON - timedelta(hours=1), NOON - timedelta(hours=1)),
        (NOON + timedelta(days=1), NOON),
        (NOON - timedelta(days=9), NOON - rules.LATEST),
    ],
)
def test_a_phones_time_is_taken_within_limits(said, taken):
    assert rules.done_at(said, NOON) == taken
