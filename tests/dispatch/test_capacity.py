"""How slots are dated, closed, counted and graded; no database."""

from datetime import date, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.dispatch import rules
from app.dispatch.rules import (
    Absence,
    Booked,
    Cause,
    Grade,
    Grading,
    HoldState,
    Limit,
    Needs,
    NotOffered,
    PassedOver,
    Room,
    Roster,
    Slot,
    Template,
    Terms,
    Unit,
    UnitTaken,
)
from app.worktypes.rules import WorkType
from tests.dispatch.appointing import at
from tests.dispatch.test_rules import seat, who

SHANGHAI = ZoneInfo("Asia/Shanghai")
TUESDAY = date(2026, 3, 3)
NOW = at("2 09:00")
ALL = ("install", "repair")


def template(code="a", **fields) -> Template:
    given = {
        "code": code,
        "org_path": "",
        "category": "any",
        "work_types": ALL,
        "weekdays": 127,
        "starts_at": time(10),
        "ends_at": time(12),
        "closes_at": None,
        "valid_from": date(2020, 1, 1),
        "valid_to": None,
    }
    return Template(**{**given, **fields})


def slot(begins="3 10:00", ends="3 12:00", **fields) -> Slot:
    given = {
        "code": "a",
        "category": "any",
        "work_types": frozenset(ALL),
        "day": TUESDAY,
        "begins": at(begins),
        "ends": at(ends),
        "closes": at(begins) - timedelta(hours=1),
    }
    return Slot(**{**given, **fields})


@pytest.mark.parametrize(
    ("templates", "codes"),
    [
        ([template("a"), template("b", starts_at=time(8))], ["b", "a"]),
        ([template("a"), template("own", org_path="gd.sz.")], ["own"]),
        ([template("a"), template("own", org_path="gd.sz.", weekdays=1)], []),  # Mondays only
        ([template("a"), template("other", org_path="gd.gz.")], ["a"]),
        ([template("a", valid_to=TUESDAY), template("next", valid_from=TUESDAY)], ["next"]),
        ([template("a", work_types=("repair",))], []),
    ],
)
def test_which_slots_a_unit_has(templates, codes):
    found = rules.slots_of(templates, WorkType.INSTALL, "gd.sz.ns.", SHANGHAI, [TUESDAY], 60)
    assert [one.code for one in found] == codes


@pytest.mark.parametrize(
    ("closes_at", "minutes", "closes"),
    [(None, 60, "3 09:00"), (time(20), 60, "2 20:00"), (time(20), 1440, "2 10:00")],
)
def test_when_a_slot_closes(closes_at, minutes, closes):
    [one] = rules.slots_of(
        [template(closes_at=closes_at)], WorkType.INSTALL, "", SHANGHAI, [TUESDAY], minutes
    )
    assert one.closes == at(closes)


@pytest.mark.parametrize(
    ("terms", "why"),
    [
        (Terms(NOW, None, None, later_agreed=False), None),
        (Terms(at("3 09:00"), None, None, later_agreed=False), NotOffered.CLOSED),
        (Terms(NOW, at("3 10:01"), None, later_agreed=False), NotOffered.BEFORE_EARLIEST),
        (Terms(NOW, None, at("3 09:59"), later_agreed=False), NotOffered.BEYOND_PROMISE),
        (Terms(NOW, None, at("3 09:59"), later_agreed=True), None),
        (Terms(NOW, None, at("3 10:00"), later_agreed=False), None),
    ],
)
def test_what_time_has_against_a_slot(terms, why):
    assert rules.why_not_then(slot(), terms) is why


GRADING = Grading(green=0.5, yellow=0.2)


@pytest.mark.parametrize(
    ("free", "close_by", "due", "grade"),
    [
        (60, False, None, Grade.GREEN),
        (59, False, None, Grade.YELLOW),
        (24, False, None, Grade.YELLOW),
        (23, False, None, Grade.RED),
        (23, True, None, Grade.YELLOW),  # on somebody's way
        (120, True, "3 11:00", Grade.YELLOW),  # it may end after the promise
        (120, True, "3 12:00", Grade.GREEN),
        (120, True, "3 09:00", Grade.RED),  # it begins after it
    ],
)
def test_grades(free, close_by, due, grade):
    told = rules.grade(
        Room(120, free), slot(), close_by=close_by, due_at=due and at(due), grading=GRADING
    )
    assert told is grade


@pytest.mark.parametrize(
    ("booked", "promised", "free"),
    [
        ([], (0, 0), 120),
        ([Booked(at("3 10:00"), at("3 12:00"), 60)], (60, 1), 45),
        ([Booked(at("3 08:00"), at("3 12:00"), 90)], (90, 1), 120 - 105 / 2),  # half of its window
        ([Booked(at("3 10:00"), at("3 12:00"), 300)], (300, 1), 0),
        ([Booked(at("3 14:00"), at("3 16:00"), 60)], (60, 1), 120),
        ([], (400, 2), 50),  # the day has no more to give
    ],
)
def test_room_is_bounded_by_slot_and_day(booked, promised, free):
    one = seat(promised={TUESDAY: promised})
    one.diary.windows[TUESDAY] = booked
    assert rules.room_of([one], slot()) == (120, free)


def taken(*minutes, urgent=False, window=("3 10:00", "3 12:00"), work_type="install"):
    """Orders of a unit with the way of a quarter of an hour to each."""
    lies = None if window is None else (at(window[0]), at(window[1]))
    needed = [one + 15 for one in minutes]
    in_window = sum(min(one, 120) for one in needed) if lies else 0
    return UnitTaken(TUESDAY, work_type, urgent, lies, len(needed), sum(needed), in_window)


def unit(*given, people=1, absences=(), limits=(), now=NOW):
    roster = Roster(1, [(time(8), time(12)), (time(13), time(18))], 480, people)
    monday = Roster(0, [(time(8), time(18))], 480, 50)
    taken_of = {TUESDAY: list(given)}
    return Unit("gd.sz.", SHANGHAI, now, [roster, monday], absences, taken_of, limits)


@pytest.mark.parametrize(
    ("people", "leave", "now", "minutes"),
    [
        (1, None, NOW, (120, 480)),
        (3, None, NOW, (360, 1440)),
        (1, None, at("3 11:00"), (60, 360)),
        (2, ("3 11:00", "3 14:00"), NOW, (180, 960 - 120)),
        (2, ("3 12:00", "3 13:00"), NOW, (240, 960)),  # at lunch
        (2, ("2 00:00", "3 00:00"), NOW, (240, 960)),
    ],
)
def test_who_works_when(people, leave, now, minutes):
    absences = []
    if leave:
        shifts = [(1, time(8), time(12)), (1, time(13), time(18))]
        absences = [Absence(at(leave[0]), at(leave[1]), shifts)]
    assert rules.staffed(unit(people=people, absences=absences, now=now), slot()) == minutes


@pytest.mark.parametrize(
    ("given", "people", "reached"),
    [
        ([], 1, False),
        ([taken(60)], 1, False),  # 75 of 96 minutes
        ([taken(60, 60)], 1, True),
        ([taken(60, 60, urgent=True)], 1, False),
        ([taken(60, 60)], 2, False),  # 150 of 192
        ([taken(300)], 1, True),  # all of its window
        ([taken(300)], 2, False),
        ([taken(300, window=None)], 1, False),  # 315 of the day's 384
        ([taken(200, 200, window=None)], 1, True),
    ],
)
def test_the_reserve_for_urgent_work(given, people, reached):
    assert rules.reserve_reached(unit(*given, people=people), slot(), 0.2) is reached


@pytest.mark.parametrize(
    ("limit", "why"),
    [
        (Limit("gd.sz.", TUESDAY, "", "", 0), NotOffered.HOLIDAY),
        (Limit("gd.", TUESDAY, "", "", 0), NotOffered.HOLIDAY),
        (Limit("gd.", TUESDAY, "", "", 1), None),  # a bound of another unit
        (Limit("gd.sz.", TUESDAY, "", "", 3), None),
        (Limit("gd.sz.", TUESDAY, "", "", 2), NotOffered.LIMIT_REACHED),
        (Limit("gd.sz.", TUESDAY, "any", "", 2), NotOffered.LIMIT_REACHED),
        (Limit("gd.sz.", TUESDAY, "any", "", 0), NotOffered.LIMIT_REACHED),
        (Limit("gd.sz.", TUESDAY, "other", "", 0), None),
        (Limit("gd.sz.", TUESDAY, "", "a", 1), NotOffered.LIMIT_REACHED),
        (Limit("gd.sz.", TUESDAY, "", "a", 2), None),  # the other one is in another slot
        (Limit("gd.sz.", TUESDAY, "", "b", 0), None),
        (Limit("gd.sz.", date(2026, 3, 4), "", "", 0), None),
    ],
)
def test_limits(limit, why):
    day = [taken(60), taken(60, window=("3 14:00", "3 16:00")), taken(60, window=None)]
    assert rules.limit_reached(unit(*day, limits=[limit]), slot()) is why


@pytest.mark.parametrize(
    ("whys", "why"),
    [
        ([], NotOffered.NOBODY_ASSIGNED),
        ([PassedOver.INACTIVE], NotOffered.NOBODY_ASSIGNED),
        ([PassedOver.INACTIVE, PassedOver.NO_SKILL], NotOffered.NOBODY_WITH_SKILL),
        ([PassedOver.NO_SKILL, PassedOver.ON_LEAVE], NotOffered.NOBODY_ON_SHIFT),
        ([PassedOver.NO_STOCK, PassedOver.ON_LEAVE], NotOffered.NO_STOCK),
        ([PassedOver.ON_LEAVE, PassedOver.WINDOW_TAKEN], NotOffered.FULL),
        ([PassedOver.RATIO_USED_UP], NotOffered.FULL),
    ],
)
def test_why_nobody(whys, why):
    assert rules.nobody(whys) is why


@pytest.mark.parametrize(
    ("cause", "before", "override", "note", "refused"),
    [
        (Cause.NETWORK_FAULT, [], False, "", False),
        (Cause.NETWORK_FAULT, [Cause.CUSTOMER_REQUEST] * 5, False, "", False),
        (Cause.NETWORK_FAULT, [Cause.NETWORK_FAULT], False, "", True),
        (Cause.NETWORK_FAULT, [Cause.RESOURCE_MISSING], False, "", True),  # ours, all together
        (Cause.TECHNICIAN_ABSENT, [Cause.RUNNING_LATE], False, "", True),
        (Cause.RUNNING_LATE, [Cause.ACCESS_REFUSED] * 3, False, "", False),
        (Cause.ACCESS_REFUSED, [Cause.TECHNICIAN_ABSENT] * 3, False, "", False),
        (Cause.NETWORK_FAULT, [Cause.NETWORK_FAULT], True, "", True),
        (Cause.NETWORK_FAULT, [Cause.NETWORK_FAULT], True, "pipe burst", False),
        (Cause.CUSTOMER_ABSENT, [Cause.NETWORK_FAULT] * 3, False, "", False),
        (Cause.WEATHER, [Cause.NETWORK_FAULT], False, "", False),
    ],
)
def test_the_operators_own_causes_count(cause, before, override, note, refused):
    def check():
        rules.check_may_change(cause, before, most=1, override=override, note=note)

    if refused:
        with pytest.raises(rules.RescheduledTooOften):
            check()
    else:
        check()


@pytest.mark.parametrize(
    ("order", "differs"),
    [
        ({}, None),
        ({"minutes": 30}, None),
        ({"grid_id": None}, None),
        ({"minutes": 61}, "estimated_minutes"),
        ({"skills": frozenset({"fibre"})}, "skills"),
        ({"work_type": "repair"}, "work_type"),
        ({"grid_id": who(9)}, "grid_id"),
        ({"order_id": who(9)}, "work_order_id"),
    ],
)
def test_whether_a_hold_fits(order, differs):
    held: dict[str, Any] = {
        "order_id": who(1),
        "work_type": "install",
        "minutes": 60,
        "skills": frozenset(),
        "grid_id": who(2),
    }
    if differs is None:
        rules.check_fits(Needs(**held), Needs(**{**held, **order}))
        rules.check_fits(Needs(**{**held, "order_id": None}), Needs(**{**held, **order}))
    else:
        with pytest.raises(rules.HoldDoesNotFit) as refusal:
            rules.check_fits(Needs(**held), Needs(**{**held, **order}))
        assert refusal.value.facts["differs"] == [differs]


@pytest.mark.parametrize(
    ("state", "minutes", "told"),
    [
        (HoldState.HELD, 1, None),
        (HoldState.HELD, 0, "expired"),
        (HoldState.CONFIRMED, 1, "confirmed"),
        (HoldState.RELEASED, 1, "released"),
    ],
)
def test_whether_a_hold_still_counts(state, minutes, told):
    until = NOW + timedelta(minutes=minutes)
    assert rules.is_open(state, until, NOW) is (told is None)
    if told:
        with pytest.raises(rules.HoldOver) as refusal:
            rules.check_open(state, until, NOW)
        assert refusal.value.facts["state"] == told
    else:
        rules.check_open(state, until, NOW)
