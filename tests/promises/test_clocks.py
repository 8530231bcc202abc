"""Working calendars, and how stops move a due moment: tables, and what holds for all of them."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.i18n import Words
from app.promises.rules import (
    Calendar,
    CalendarIsEmpty,
    Clock,
    DayKind,
    Opening,
    Span,
    SpecialDay,
    believed,
    due_at,
    first_due,
    left,
    merged,
    uncovered,
)
from tests.promises.test_rules import SHANGHAI, local, promise

NAME = Words("节", "a day")


def opening(weekdays=0b0011111, opens=8, closes=18, path="", since=date(2020, 1, 1), until=None):
    return Opening(path, weekdays, time(opens), time(closes), since, until)


# National day of 2026: Thursday 1 to Wednesday 7 October, made up for on Saturday the 10th.
GOLDEN_WEEK = [SpecialDay("", date(2026, 10, day), DayKind.HOLIDAY, NAME) for day in range(1, 8)]
MADE_UP = SpecialDay("", date(2026, 10, 10), DayKind.WORKDAY, NAME)
CALENDAR = Calendar([opening()], [*GOLDEN_WEEK, MADE_UP])


@pytest.mark.parametrize(
    ("reported", "due"),
    [
        ("2026-09-30T10:00", "2026-09-30T14:00"),  # four hours of a working day
        ("2026-09-30T16:00", "2026-10-08T10:00"),  # two today, two after the holidays
        ("2026-10-03T09:00", "2026-10-08T12:00"),  # on a holiday: from when work begins again
        ("2026-10-09T17:00", "2026-10-10T11:00"),  # the Saturday is worked
        ("2026-10-10T17:30", "2026-10-12T11:30"),  # the Sunday is not
        ("2026-10-08T05:00", "2026-10-08T12:00"),  # before opening
    ],
)
def test_a_promise_by_the_working_clock(reported, due):
    given = promise(clock=Clock.WORKING, cut_off=None, hours_after=4.0)
    found = first_due(local(reported), SHANGHAI, given, "gd.", CALENDAR)
    assert found == local(due)


def test_a_cut_off_of_the_working_clock_is_that_of_the_next_working_day():
    given = promise(clock=Clock.WORKING, cut_off=time(16), due_time=time(18))
    found = first_due(local("2026-10-02T17:00"), SHANGHAI, given, "gd.", CALENDAR)
    assert found == local("2026-10-08T18:00")


def test_the_closest_unit_says_what_a_day_is():
    own = SpecialDay("gd.sz.", date(2026, 10, 6), DayKind.WORKDAY, NAME)
    late = opening(closes=20, path="gd.sz.")
    calendar = Calendar([opening(), late], [*GOLDEN_WEEK, own])
    assert calendar.hours("gd.gz.", date(2026, 10, 6)) == ()
    assert calendar.hours("gd.sz.ns.", date(2026, 10, 6)) == ((time(8), time(20)),)
    # A day made up for is worked like the first working day of the week, on a Saturday too.
    assert CALENDAR.hours("gd.", date(2026, 10, 10)) == ((time(8), time(18)),)


def test_a_week_may_have_a_pause_and_an_end():
    noon = [opening(closes=12, until=date(2026, 4, 1)), opening(opens=14, until=date(2026, 4, 1))]
    calendar = Calendar(noon, [])
    given = promise(clock=Clock.WORKING, cut_off=None, hours_after=3.0)
    found = first_due(local("2026-03-02T10:00"), SHANGHAI, given, "", calendar)
    assert found == local("2026-03-02T15:00")
    with pytest.raises(CalendarIsEmpty):
        first_due(local("2026-04-02T10:00"), SHANGHAI, given, "", calendar)


REPORT = local("2026-03-02T09:00")  # a Monday


def span(begins: str, ends: str) -> Span:
    return Span(local(begins), local(ends))


@pytest.mark.parametrize(
    ("stops", "due"),
    [
        ([], "2026-03-02T18:00"),
        ([span("2026-03-02T10:00", "2026-03-02T12:00")], "2026-03-02T20:00"),
        # two that overlap count once
        (
            [
                span("2026-03-02T10:00", "2026-03-02T12:00"),
                span("2026-03-02T11:00", "2026-03-02T13:00"),
            ],
            "2026-03-02T21:00",
        ),
        # one beyond the first due moment, made possible by the one before
        (
            [
                span("2026-03-02T19:00", "2026-03-02T20:00"),
                span("2026-03-02T10:00", "2026-03-02T12:00"),
            ],
            "2026-03-02T21:00",
        ),
        # one that begins when it is late already excuses nothing
        ([span("2026-03-02T18:00", "2026-03-03T18:00")], "2026-03-02T18:00"),
        # before the report no clock ran
        ([span("2026-03-02T07:00", "2026-03-02T10:00")], "2026-03-02T19:00"),
    ],
)
def test_stops_keep_the_time_to_work_in(stops, due):
    assert due_at(REPORT, SHANGHAI, promise(), stops=stops) == local(due)


def test_a_stop_counts_the_hours_its_clock_counts():
    given = promise(clock=Clock.WORKING, cut_off=None, hours_after=4.0)
    night = [span("2026-09-30T17:00", "2026-10-08T09:00")]  # an hour of each day
    found = due_at(local("2026-09-30T15:00"), SHANGHAI, given, "gd.", CALENDAR, night)
    assert found == local("2026-10-08T11:00")


# --- what holds for all ---------------------------------------------------------------------------

ZONES = st.sampled_from([SHANGHAI, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe")])
# Clocks change within these weeks in two of the three zones.
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
MINUTES = st.integers(0, 60 * 24 * 45)
MOMENTS = MINUTES.map(lambda minutes: FIRST + timedelta(minutes=minutes))
SPANS = st.builds(
    lambda begins, minutes: Span(begins, begins + timedelta(minutes=minutes)),
    MOMENTS,
    st.integers(0, 60 * 24 * 3),
)
PROMISES = st.builds(
    promise,
    clock=st.sampled_from(Clock),
    cut_off=st.none() | st.builds(time, st.integers(0, 23)),
    due_time=st.builds(time, st.integers(0, 23)),
    hours_after=st.floats(0.5, 200),
)


def counted(given, zone, begins, ends):
    if given.clock is Clock.CALENDAR:
        return max(ends - begins, timedelta())
    return CALENDAR.counted("gd.", zone, begins, ends)


@given(MOMENTS, ZONES, PROMISES, st.lists(SPANS, max_size=5), SPANS, st.randoms())
def test_what_holds_for_all_stops(reported, zone, given, stops, more, dice):
    first = due_at(reported, zone, given, "gd.", CALENDAR)
    due = due_at(reported, zone, given, "gd.", CALENDAR, stops)
    # A further stop never makes it due earlier, and their order makes no difference.
    assert first <= due <= due_at(reported, zone, given, "gd.", CALENDAR, [*stops, more])
    shuffled = list(stops)
    dice.shuffle(shuffled)
    assert due == due_at(reported, zone, given, "gd.", CALENDAR, shuffled)
    # What passes less what stands still is the time that was promised, and so never below nothing.
    still = sum(
        (
            counted(given, zone, max(one.begins, reported), min(one.ends, due))
            for one in merged(stops)
            if one.ends > reported and one.begins < due
        ),
        timedelta(),
    )
    assert counted(given, zone, reported, due) - still == counted(given, zone, reported, first)
    assert left(reported, due, stops, zone, given.clock, "gd.", CALENDAR) >= timedelta()


@given(st.lists(SPANS, max_size=6), SPANS)
def test_stops_never_overlap(known, wanted):
    joined = merged(known)
    assert all(one.ends < after.begins for one, after in pairwise(joined))
    parts = uncovered(wanted, known)
    assert all(one.ends < after.begins for one, after in pairwise(parts))
    # The parts are within what was wanted, outside what is known, and together they fill it.
    assert all(wanted.begins <= one.begins < one.ends <= wanted.ends for one in parts)
    assert not any(
        one.begins < held.ends and held.begins < one.ends for one in parts for held in joined
    )
    if wanted.begins < wanted.ends:
        assert merged([*parts, *known]) == merged([wanted, *known])


@pytest.mark.parametrize(
    ("device", "said"),
    [
        (None, "10:00"),
        ("09:30", "09:30"),  # without a signal for half an hour
        ("10:20", "10:00"),  # a clock that is fast
        ("07:00", "08:00"),  # before the order was there
        ("09:00", "09:00"),
    ],
)
def test_how_far_a_phone_is_believed(device, said):
    def at(clock):
        return local(f"2026-03-02T{clock}")

    found = believed(device and at(device), at("10:00"), at("08:00"), timedelta(hours=4))
    assert found == at(said)
    assert believed(at("08:00"), at("10:00"), at("07:00"), timedelta(hours=1)) == at("09:00")
