"""Whether one person can keep several appointments of a day; no database."""

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dispatch.rules import Booked, kept_together, reachable

DAY = datetime(2026, 3, 3, tzinfo=UTC)
SHIFT = [(8 * 60, 12 * 60), (13 * 60, 18 * 60)]


def at(minutes: int) -> datetime:
    return DAY + timedelta(minutes=minutes)


def work(pieces=SHIFT):
    return [(at(begins), at(ends)) for begins, ends in pieces]


def booked(*windows):
    return [Booked(at(int(b * 60)), at(int(e * 60)), minutes) for b, e, minutes in windows]


@pytest.mark.parametrize(
    ("windows", "kept"),
    [
        ([], True),
        ([(8, 10, 60)], True),
        ([(8, 10, 60), (8, 10, 60)], True),  # 8:00 and 9:15
        ([(8, 10, 60), (8, 10, 60), (8, 10, 60)], False),  # the third would begin at 10:30
        ([(8, 10, 45), (8, 10, 45), (8, 10, 45)], True),  # at ten sharp it is still kept
        ([(8, 10, 150), (8, 10, 60)], True),  # the short one first
        # 8:00 to 11:20 and the way leave no hour before lunch, and 13:00 lies past the window.
        ([(8, 10, 200), (10, 12, 60)], False),
        ([(8, 12, 60), (10, 10.5, 60)], True),  # the long window is used before the narrow one
        ([(9.75, 13.5, 60), (10, 10.5, 60)], True),  # waiting for the narrow one, then the other
        ([(10, 11, 120), (10, 11, 120)], False),
        ([(11, 12.5, 90)], False),  # neither before the lunch nor within the window after it
        ([(11, 13, 90)], True),  # at one sharp
        ([(16, 18, 120), (16, 18, 60)], False),
        ([(6, 7, 60), (8, 10, 60)], True),  # nobody can keep the first, so it binds nobody
        ([(18, 20, 30)], False),
    ],
)
def test_examples(windows, kept):
    assert kept_together(booked(*windows), work(), 15) is kept


def test_without_work_nothing_is_kept():
    assert not kept_together(booked((8, 10, 60)), [], 15)


WINDOWS = st.lists(
    st.tuples(st.integers(16, 36), st.integers(0, 8), st.integers(1, 6).map(lambda n: n * 20)).map(
        lambda one: Booked(at(one[0] * 30), at((one[0] + one[1]) * 30), one[2])
    ),
    max_size=5,
)


def some_order(windows, pieces, allowance):
    """The truth by trying every order."""
    for order in itertools.permutations(windows):
        free = pieces[0][0]
        for one in order:
            starts = [
                start
                for begins, ends in pieces
                if (start := max(begins, free, one.begins)) + timedelta(minutes=one.minutes) <= ends
            ]
            if not starts or starts[0] > one.until:
                break
            free = starts[0] + timedelta(minutes=one.minutes + allowance)
        else:
            return True
    return False


@given(WINDOWS)
def test_what_is_said_to_be_kept_can_be_kept(windows):
    if kept_together(windows, work(), 15):
        assert some_order(windows, work(), 15)


@given(WINDOWS)
def test_the_order_in_which_they_are_named_does_not_matter(windows):
    assert kept_together(windows, work(), 15) == kept_together(windows[::-1], work(), 15)


@given(WINDOWS.filter(lambda windows: len(windows) == 1))
def test_one_alone_is_kept_when_it_is_reachable(windows):
    [one] = windows
    alone = reachable((one.begins, one.until), one.minutes, work())
    assert kept_together(windows, work(), 15) is alone
