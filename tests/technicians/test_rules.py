"""How skills and shifts are written, what a leave must be, and when somebody is at work."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.core.cells import NotReadable
from app.core.errors import Invalid
from app.technicians import rules
from app.technicians.rules import AWAY_WORDS, Away

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 3, 2)
EIGHT_TO_SIX = tuple((weekday, time(8), time(18)) for weekday in range(7))


def at(text: str) -> datetime:
    """A moment of the week of Monday 2 March 2026 in Shanghai, as in "mon 09:00"."""
    weekday, clock = text.split()
    day = MONDAY + timedelta(days=rules.WEEKDAYS.index(weekday))
    return datetime.combine(day, time.fromisoformat(clock), SHANGHAI).astimezone(UTC)


@pytest.mark.parametrize(
    ("cell", "skills"),
    [
        ("fibre:3; copper", {"fibre": 3, "copper": 1}),
        ("iptv:5;", {"iptv": 5}),
        ("", {}),
    ],
)
def test_skills(cell, skills):
    assert rules.skills_from(cell) == skills


@pytest.mark.parametrize("cell", ["fibre:6", "fibre:0", "Fibre", "fibre;fibre:2", "a b", "fibre:"])
def test_skills_that_cannot_be_read(cell):
    with pytest.raises(NotReadable):
        rules.skills_from(cell)


def test_shifts_of_a_week():
    assert rules.shifts_from("sat 09:00-12:00; mon-tue 8:30-12:00 13:30-18:00") == [
        (0, time(8, 30), time(12, 0)),
        (0, time(13, 30), time(18, 0)),
        (1, time(8, 30), time(12, 0)),
        (1, time(13, 30), time(18, 0)),
        (5, time(9, 0), time(12, 0)),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "mon",
        "fri-mon 08:00-12:00",
        "monday 08:00-12:00",
        "mon 12:00-08:00",
        "mon 08:00-25:00",
        "mon 8-12",
        "mon 08:00-12:00 11:00-18:00",
        "mon-fri 08:00-12:00; wed 09:00-10:00",
    ],
)
def test_shifts_that_cannot_be_read(cell):
    with pytest.raises(NotReadable):
        rules.shifts_from(cell)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(hours=-1), timedelta(days=367)])
def test_a_leave_ends_after_it_starts_and_within_a_year(length):
    starts_at = datetime(2026, 3, 2, tzinfo=UTC)
    with pytest.raises(Invalid):
        rules.leave_in_order(starts_at, starts_at + length)
    rules.leave_in_order(starts_at, starts_at + timedelta(days=366))


# --- when somebody is at work ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shifts", "leave", "not_before", "works", "away"),
    [
        (EIGHT_TO_SIX, [], "mon 00:00", [("mon 08:00", "mon 18:00")], None),
        (EIGHT_TO_SIX, [], "mon 09:30", [("mon 09:30", "mon 18:00")], None),
        (EIGHT_TO_SIX, [], "mon 18:00", [], Away.NOT_ON_SHIFT),
        ((), [], "mon 00:00", [], Away.NOT_ON_SHIFT),
        (((1, time(8), time(18)),), [], "mon 00:00", [], Away.NOT_ON_SHIFT),
        (  # two shifts with a pause, and leave over the end of one and the start of the other
            ((0, time(8), time(12)), (0, time(13), time(17))),
            [("mon 11:00", "mon 14:00")],
            "mon 00:00",
            [("mon 08:00", "mon 11:00"), ("mon 14:00", "mon 17:00")],
            None,
        ),
        (  # leave in the middle
            EIGHT_TO_SIX,
            [("mon 10:00", "mon 11:00")],
            "mon 00:00",
            [("mon 08:00", "mon 10:00"), ("mon 11:00", "mon 18:00")],
            None,
        ),
        (
            EIGHT_TO_SIX,
            [("sun 00:00", "sun 23:00")],
            "mon 00:00",
            [("mon 08:00", "mon 18:00")],
            None,
        ),
        (EIGHT_TO_SIX, [("mon 00:00", "tue 00:00")], "mon 00:00", [], Away.ON_LEAVE),
    ],
)
def test_when_somebody_works_on_monday(shifts, leave, not_before, works, away):
    found = rules.working_time(
        shifts, [(at(a), at(b)) for a, b in leave], SHANGHAI, MONDAY, at(not_before)
    )
    assert found == ([(at(a), at(b)) for a, b in works], away)


def test_a_shift_is_as_long_as_the_clock_says_when_the_clocks_change():
    zone = ZoneInfo("America/New_York")  # on 8 March 2015 the hour from two to three was left out
    [(begins, ends)], _ = rules.working_time(
        ((6, time(0), time(6)),), (), zone, date(2015, 3, 8), datetime(2015, 3, 1, tzinfo=UTC)
    )
    assert ends - begins == timedelta(hours=5)


def test_every_cause_of_being_away_has_words():
    assert AWAY_WORDS.keys() == set(Away)
