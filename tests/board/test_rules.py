"""What the board says of one technician's day, as tables; no database."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from app.board.rules.day import Person, PersonDay, Presence, Visit, day_of
from app.board.rules.parameters import Thresholds, thresholds_of
from app.board.rules.words import Doing, Risk, Works
from app.core.db import new_id
from app.core.parameters import Parameters
from app.travel.rules import Place, Travel
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.conftest import SHANGHAI

MONDAY = date(2026, 3, 2)
# Everything is at one door, so that no way takes any time, unless a test puts it elsewhere.
DOOR = Place(112.0, 28.0)
FAR = Place(112.1, 28.0)
TWO_SHIFTS = ((0, time(8), time(12)), (0, time(13), time(18)))
NUMBERS = thresholds_of(Parameters(datetime(2026, 3, 2, tzinfo=UTC)), datetime.now(UTC), "")


def moment(clock: str) -> int:
    """A moment of Monday 2 March 2026 in Shanghai, in seconds since 1970."""
    return int(datetime.combine(MONDAY, time.fromisoformat(clock), SHANGHAI).timestamp())


def leave(begins: str, ends: str) -> tuple[datetime, datetime]:
    return (
        datetime.fromtimestamp(moment(begins), UTC),
        datetime.fromtimestamp(moment(ends), UTC),
    )


def said(seconds: int | None) -> str | None:
    """A moment as a clock in Shanghai shows it."""
    return None if seconds is None else f"{datetime.fromtimestamp(seconds, SHANGHAI):%H:%M}"


def person(**fields: Any) -> Person:
    given: dict[str, Any] = {
        "id": new_id(),
        "code": "T-1",
        "name": "李师傅",
        "org_unit_id": new_id(),
        "works": Works.OWN,
        "active": True,
        "zone": SHANGHAI,
        "shifts": TWO_SHIFTS,
        "leave": (),
        "home": (DOOR.lon, DOOR.lat),
        "last": None,
        "route": (),
        "presence": Presence(None, None, False, False, None),
    }
    return Person(**given | fields)


def visit(name: str = "F", **fields: Any) -> Visit:
    """An hour's repair that was acknowledged; times are clocks."""
    times = ("opens", "closes", "due", "completed", "set_out", "arrived", "since")
    given: dict[str, Any] = {
        "id": new_id(),
        "holder_id": new_id(),
        "ours": True,
        "external_id": name,
        "work_type": WorkType.REPAIR,
        "priority": 3,
        "state": State.ACKNOWLEDGED,
        "address": "碧波园3栋",
        "locality": None,
        "grid_code": None,
        "place": DOOR,
        "minutes": 60,
        "planned_day": MONDAY,
        "version": 1,
        "pinned": False,
    } | dict.fromkeys(times)
    given |= fields
    return Visit(**given | {name: given[name] and moment(given[name]) for name in times})


def day(
    *visits: Visit, at: str | None = "09:00", numbers: Thresholds = NUMBERS, **who: Any
) -> PersonDay:
    who.setdefault("route", [one.id for one in visits])
    return day_of(
        person(**who),
        visits,
        MONDAY,
        moment=None if at is None else moment(at),
        travel=Travel(),
        numbers=numbers,
    )


def shown(of: PersonDay) -> list[tuple[str, str | None, str | None]]:
    """The route: names, and when each begins and ends."""
    return [
        (one.visit.external_id, said(one.begins), said(one.ends)) for one in (*of.done, *of.ahead)
    ]


def risks(of: PersonDay) -> dict[str, dict[str, int | None]]:
    """What endangers the visits, and by how many minutes."""
    return {
        one.visit.external_id: {
            risk.value: None if seconds is None else seconds // 60 for risk, seconds in one.risks
        }
        for one in of.ahead
        if one.risks
    }


@pytest.mark.parametrize(("at", "over"), [("09:00", {}), ("09:30", {"F": {"resume_overdue": 30}})])
def test_work_that_is_still_suspended_after_it_was_to_go_on_is_at_risk(at, over):
    suspended = visit(state=State.SUSPENDED, resume=moment("09:00"))
    assert risks(day(suspended, at=at)) == over


# --- what somebody does ---------------------------------------------------------------------------

ON_THE_WAY = {"state": State.EN_ROUTE, "set_out": "08:50", "since": "08:50"}
AT_DOOR = {"state": State.ON_SITE, "set_out": "08:20", "arrived": "08:40", "since": "08:40"}
ON_LEAVE = {"leave": [leave("08:30", "10:00")]}


@pytest.mark.parametrize(
    ("at", "visits", "who", "doing", "since", "free_at"),
    [
        ("09:00", [], {}, Doing.FREE, None, "09:00"),
        ("09:00", [{}], {}, Doing.FREE, None, "09:00"),
        ("09:00", [ON_THE_WAY], {}, Doing.ON_THE_WAY, "08:50", "10:00"),
        ("09:00", [AT_DOOR], {}, Doing.AT_DOOR, "08:40", "09:40"),
        # Work that takes longer than was thought may end at any moment.
        ("09:50", [AT_DOOR], {}, Doing.AT_DOOR, "08:40", "09:50"),
        ("12:30", [], {}, Doing.ON_BREAK, None, "13:00"),
        ("12:30", [AT_DOOR], {}, Doing.AT_DOOR, "08:40", "12:30"),
        ("07:00", [{}], {}, Doing.OFF_SHIFT, None, "08:00"),
        ("18:00", [], {}, Doing.OFF_SHIFT, None, None),
        ("18:30", [AT_DOOR], {}, Doing.AT_DOOR, "08:40", None),
        ("09:00", [], ON_LEAVE, Doing.ON_LEAVE, "08:30", "10:00"),
        ("09:00", [], {"shifts": ()}, Doing.OFF_SHIFT, None, None),
        ("09:00", [], {"active": False}, Doing.OFF_SHIFT, None, None),
        (None, [], {}, None, None, None),
        (None, [], ON_LEAVE, None, None, None),
    ],
)
def test_what_somebody_does(at, visits, who, doing, since, free_at):
    found = day(*(visit(**one) for one in visits), at=at, **who)
    assert (found.doing, said(found.since), said(found.free_at)) == (doing, since, free_at)


# --- the route in time ----------------------------------------------------------------------------


def test_what_was_done_comes_first_and_the_rest_is_followed_from_now():
    found = day(
        visit("later"),
        visit("done", state=State.COMPLETED, arrived="08:05", completed="08:31"),
        visit("done first", state=State.ARCHIVED, arrived="07:40", completed="08:00"),
        visit("now", **AT_DOOR),
        visit("booked", opens="11:00", closes="12:00"),
    )
    assert shown(found) == [
        ("done first", "07:40", "08:00"),
        ("done", "08:05", "08:31"),
        ("now", "08:40", "09:40"),
        ("later", "09:40", "10:40"),
        ("booked", "11:00", "12:00"),
    ]
    # Lunch is had before the way home.
    assert (said(found.route_ends), said(found.home)) == ("12:00", "13:00")


def test_a_day_to_come_begins_with_the_shift():
    found = day(visit("first"), visit("second"), at=None)
    assert shown(found) == [("first", "08:00", "09:00"), ("second", "09:00", "10:00")]
    assert [tuple(map(said, piece)) for piece in found.breaks] == [("12:00", "13:00")]


def test_visits_of_other_units_take_their_time_and_are_not_shown():
    found = day(visit("theirs", ours=False), visit("ours"))
    assert shown(found) == [("ours", "10:00", "11:00")]
    assert found.elsewhere == 1


def test_who_is_not_at_work_has_visits_without_times():
    found = day(visit("F"), leave=[leave("00:00", "23:00")])
    assert shown(found) == [("F", None, None)]
    assert risks(found) == {"F": {"not_at_work": None}}
    assert found.free == 0


def test_they_go_on_from_where_they_were_last():
    near, far = day(visit(), last=DOOR), day(visit(), last=FAR)
    assert near.ahead[0].arrives == moment("09:00")
    assert far.ahead[0].arrives is not None
    assert far.ahead[0].arrives > moment("09:20")


@pytest.mark.parametrize(
    ("visits", "at", "free"),
    [
        ([], "09:00", 8 * 60),
        ([{}], "09:00", 7 * 60),
        ([AT_DOOR], "09:00", 8 * 60 - 40),
        # An hour is waited for the appointment; the break is had before it.
        ([{"opens": "14:00", "closes": "15:00"}], "12:00", 4 * 60),
        ([{"minutes": 600}], "09:00", 0),
        ([], "17:30", 30),
        ([], "19:00", 0),
        ([], None, 9 * 60),
    ],
)
def test_free_minutes_are_what_nothing_takes_of_the_shift(visits, at, free):
    assert day(*(visit(**one) for one in visits), at=at).free == free * 60


# --- what is endangered ---------------------------------------------------------------------------

UNSEEN = {"state": State.ASSIGNED}


@pytest.mark.parametrize(
    ("one", "at", "found"),
    [
        ({}, "09:00", {}),
        ({"due": "10:15"}, "09:00", {}),
        ({"due": "10:14"}, "09:00", {"promise": 14}),
        ({"due": "09:30"}, "09:00", {"promise": -30}),
        ({"opens": "08:00", "closes": "09:15"}, "09:00", {}),
        ({"opens": "08:00", "closes": "09:10"}, "09:00", {"window": 10}),
        ({"opens": "08:00", "closes": "08:30"}, "09:00", {"window": -30}),
        # Who is on the way or there has kept the appointment or not: nothing can be done.
        ({"closes": "09:10", **AT_DOOR}, "09:00", {}),
        ({"due": "09:30", **AT_DOOR}, "09:00", {"promise": -10}),
        (AT_DOOR, "09:59", {}),
        (AT_DOOR, "10:00", {"runs_long": 20}),
        ({**UNSEEN, "since": "08:31"}, "09:00", {}),
        ({**UNSEEN, "since": "08:30"}, "09:00", {"unacknowledged": 30}),
        # What was given in the night waits from the beginning of the shift on.
        ({**UNSEEN, "since": "02:00"}, "08:20", {}),
        ({**UNSEEN, "since": "02:00"}, "08:40", {"unacknowledged": 40}),
        ({**UNSEEN, "since": "02:00"}, None, {}),
        ({}, "17:00", {}),
        ({}, "17:10", {"shift_end": 10}),
        ({}, "18:30", {"shift_end": 90}),
        ({"state": State.SUSPENDED, "since": "08:00"}, "09:00", {}),
    ],
)
def test_what_endangers_a_visit(one, at, found):
    assert risks(day(visit("F", **one), at=at)).get("F", {}) == found


def test_the_way_home_counts_for_the_last_one_alone():
    found = day(
        visit("first"),
        visit("last", place=FAR, minutes=80),
        at="15:30",
        last=DOOR,
        shifts=TWO_SHIFTS,
    )
    assert risks(found).keys() == {"last"}


def test_thresholds_are_numbers_of_the_unit():
    strict = NUMBERS._replace(at_risk=60 * 60, runs_long=0, unacknowledged=0)
    assert risks(day(visit("F", due="10:59"), numbers=strict)) == {"F": {"promise": 59}}
    assert risks(day(visit("F", **AT_DOOR), at="09:40", numbers=strict)) == {"F": {"runs_long": 0}}


DONE = {"state": State.COMPLETED, "arrived": "08:20", "completed": "08:30"}


@pytest.mark.parametrize(
    ("given", "late", "missed"),
    [
        ({"due": "10:30"}, 0, False),
        ({"due": "09:59"}, 1, True),
        ({"opens": "08:00", "closes": "08:59"}, 0, True),
        ({"due": "08:29", **DONE}, 1, True),
        ({"due": "08:30", **DONE}, 0, False),
        ({"closes": "08:10", **DONE}, 0, True),
    ],
)
def test_what_is_late(given, late, missed):
    found = day(visit("F", **given))
    one = (*found.done, *found.ahead)[0]
    assert (one.late, one.missed) == (late * 60, missed)


# --- slack ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visits", "slack"),
    [
        # Nothing is promised: the end of the shift bounds it, lunch included.
        ([{}], [7 * 60]),
        ([{"due": "11:00"}], [60]),
        ([{"due": "12:00"}, {"due": "11:30"}], [30, 30]),
        ([{}, {"opens": "11:00", "closes": "11:30"}], [90, 30]),
        ([{"due": "11:00"}, {"opens": "11:00", "closes": "11:30"}], [60, 30]),
        # What is late anyway asks nothing of those before it.
        ([{"due": "12:00"}, {"due": "10:30"}], [120, 0]),
    ],
)
def test_slack_is_how_much_later_it_may_begin(visits, slack):
    found = day(*(visit(**one) for one in visits))
    assert [one.slack for one in found.ahead] == [minutes * 60 for minutes in slack]


def test_every_visit_is_somewhere_and_nothing_begins_before_it_can():
    """A property over many days: visits are neither lost nor doubled, and times are in order."""
    names = [f"F{n}" for n in range(7)]
    for number in range(200):
        visits = [
            visit(
                name,
                minutes=15 + (number * 7 + place * 13) % 120,
                state=State.ASSIGNED if (number + place) % 2 else State.ACKNOWLEDGED,
                opens="10:00" if (number + place) % 3 == 0 else None,
                closes="12:00" if (number + place) % 3 == 0 else None,
                due="16:00" if (number + place) % 5 == 0 else None,
                place=FAR if (number + place) % 4 == 0 else DOOR,
            )
            for place, name in enumerate(names)
        ]
        found = day(*visits, at=f"{8 + number % 10:02}:00", route=[one.id for one in visits[:4]])
        assert sorted(one.visit.external_id for one in found.ahead) == names
        times = [
            (one.leaves, one.arrives, one.begins, one.ends)
            for one in found.ahead
            if one.leaves is not None
        ]
        flat = [at for one in times for at in one if at is not None]
        assert flat == sorted(flat)
        assert found.free >= 0
        assert Risk.NOT_AT_WORK not in {risk for one in found.ahead for risk, _ in one.risks}
