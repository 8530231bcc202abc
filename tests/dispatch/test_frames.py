"""What somebody's day has to fit into, and what the terms of placing are; no database."""

from datetime import UTC, date, datetime, time, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from app.core.parameters import Parameters
from app.dispatch.rules.costs import BACKUP_CLASS, ELSEWHERE, PRIMARY, SAME, costs_of
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.routes import Break
from app.travel.rules import Place

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 3, 2)
HOME, DOOR = Place(112.0, 28.0), Place(112.1, 28.1)
ONE_SHIFT = ((0, time(8), time(18)),)
TWO_SHIFTS = ((0, time(8), time(12)), (0, time(13, 30), time(18)))
SLACK = 3_600


def at(clock: str) -> datetime:
    """A moment of Monday 2 March 2026 in Shanghai."""
    return datetime.combine(MONDAY, time.fromisoformat(clock), SHANGHAI).astimezone(UTC)


def seconds(clock: str) -> int:
    return int(at(clock).timestamp())


def framed(shifts=TWO_SHIFTS, leave=(), *, now="06:00", **fields):
    who = SimpleNamespace(zone=SHANGHAI, shifts=shifts, leave=leave, home=(112.0, 28.0))
    return frame_of(who, MONDAY, now=at(now), lunch_slack=SLACK, **fields)


def off(begins: str, until: str, slack: int) -> Break:
    return Break(seconds(begins), seconds(until) - seconds(begins), slack)


LUNCH = off("12:00", "13:30", SLACK)


@pytest.mark.parametrize(
    ("given", "begins", "ends", "breaks"),
    [
        ({"shifts": ONE_SHIFT}, "08:00", "18:00", ()),
        ({}, "08:00", "18:00", (LUNCH,)),
        ({"now": "09:15"}, "09:15", "18:00", (LUNCH,)),
        ({"now": "12:40"}, "13:30", "18:00", ()),  # at lunch until it is over
        ({"now": "12:40", "under_way": True}, "12:40", "18:00", (LUNCH,)),
        ({"now": "14:00"}, "14:00", "18:00", ()),
        ({"now": "19:00"}, "19:00", "18:00", ()),  # nothing fits into a day that is over
        ({"leave": [(at("07:00"), at("10:00"))]}, "10:00", "18:00", (LUNCH,)),
        ({"leave": [(at("16:00"), at("23:00"))]}, "08:00", "16:00", (LUNCH,)),
        (
            {"leave": [(at("15:00"), at("16:00"))]},
            "08:00",
            "18:00",
            (LUNCH, off("15:00", "16:00", 0)),
        ),
        # Leave beside lunch makes one break of both, at its own time.
        ({"leave": [(at("13:00"), at("15:00"))]}, "08:00", "18:00", (off("12:00", "15:00", 0),)),
        ({"leave": [(at("13:30"), at("20:00"))]}, "08:00", "12:00", ()),
        ({"shifts": ONE_SHIFT, "leave": [(at("17:00"), at("18:00"))]}, "08:00", "17:00", ()),
    ],
)
def test_the_frame_of_a_day(given, begins, ends, breaks):
    frame = framed(**given)
    assert (frame.begins, frame.ends) == (seconds(begins), seconds(ends))
    assert frame.breaks == breaks
    assert frame.offset == 8 * 3_600


@pytest.mark.parametrize(
    "given",
    [
        {"shifts": ()},
        {"shifts": ((1, time(8), time(18)),)},
        {"leave": [(at("00:00"), at("23:00"))]},
    ],
)
def test_who_does_not_work_on_a_day_has_no_frame(given):
    assert framed(**given) is None


@pytest.mark.parametrize(
    ("now", "last", "start"),
    [("06:00", DOOR, HOME), ("09:00", DOOR, DOOR), ("09:00", None, HOME)],
)
def test_a_day_begins_at_home_and_goes_on_where_they_were_last(now, last, start):
    frame = framed(now=now, last=last)
    assert (frame.start, frame.end) == (start, HOME)


def test_a_home_that_nobody_knows_is_no_place():
    who = SimpleNamespace(zone=SHANGHAI, shifts=ONE_SHIFT, leave=(), home=None)
    frame = frame_of(who, MONDAY, now=at("06:00"), lunch_slack=0)
    assert frame is not None
    assert frame.start is frame.end is None


# --- terms ----------------------------------------------------------------------------------------

NOW = at("09:00")


def test_the_terms_where_nobody_has_set_any():
    terms = costs_of(Parameters(NOW), NOW, "p.c.d.b.")
    assert terms.ownership == (0, 180, 720, 1_500)
    assert terms.late_weight == (4, 2, 1, 1)
    assert terms.unplaced == (28_800, 14_400, 9_000, 6_000)
    assert (terms.late_cap, terms.moved, terms.lunch_slack) == (7_200, 600, 3_600)
    assert terms.displaces


def test_the_closest_units_terms_are_in_force():
    rows = {
        ("dispatch.same_branch_minutes", "p."): [(NOW - timedelta(days=1), 20.0)],
        ("dispatch.same_branch_minutes", "p.c."): [(NOW + timedelta(days=1), 30.0)],
        ("dispatch.late_weight.2", "p.c."): [(NOW - timedelta(days=1), 7.0)],
        ("dispatch.urgent_displaces", ""): [(NOW - timedelta(days=1), 0.0)],
    }
    terms = costs_of(Parameters(NOW, rows), NOW, "p.c.d.")
    assert terms.ownership == (0, 180, 1_200, 1_500)
    assert terms.late_weight == (4, 7, 1, 1)
    assert not terms.displaces


@pytest.mark.parametrize(
    ("belongs", "rank", "cost"),
    [
        (PRIMARY, 1, 0),
        (PRIMARY, 3, 0),
        (BACKUP_CLASS, 1, 180),
        (BACKUP_CLASS, 3, 300),
        (SAME, 5, 720),
        (ELSEWHERE, 1, 1_500),
    ],
)
def test_what_a_visit_costs_by_how_somebody_belongs_to_the_grid(belongs, rank, cost):
    assert costs_of(Parameters(NOW), NOW, "").owned(belongs, rank) == cost


@pytest.mark.parametrize(("work", "cost"), [(0, 0), (21_000, 0), (22_000, 100), (31_000, 1_000)])
def test_work_beyond_a_fair_share_costs(work, cost):
    terms = costs_of(Parameters(NOW), NOW, "")
    assert terms.uneven(work, terms.fair_share(30_000)) == cost
