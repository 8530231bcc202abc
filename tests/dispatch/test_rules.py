"""Who gets an order, on which day, and why each other one is passed over; no database."""

from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from app.dispatch import rules
from app.dispatch.rules import Ask, Candidate, Diary, Kind, PassedOver, Seat
from app.workorders.rules import UnplacedReason

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY, TUESDAY, SATURDAY = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 7)
EIGHT_TO_SIX = tuple((weekday, time(8), time(18)) for weekday in range(7))


def at(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    """A moment of the week of Monday 2 March 2026, as in "mon 09:00"."""
    weekday, clock = text.split()
    day = MONDAY + timedelta(days=["mon", "tue", "wed", "thu", "fri", "sat", "sun"].index(weekday))
    return datetime.combine(day, time.fromisoformat(clock), zone).astimezone(UTC)


NOW = at("mon 09:00")


def who(number: int) -> UUID:
    return UUID(int=number)


def diary(number: int = 1, **fields) -> Diary:
    given = {
        "technician_id": who(number),
        "active": True,
        "skills": frozenset({"fibre"}),
        "zone": SHANGHAI,
        "daily_minutes": 480,
        "shifts": EIGHT_TO_SIX,
        "leave": (),
        "promised": {},
        "now": NOW,
        "allowance": 15.0,
    }
    return Diary(**{**given, **fields})


def seat(number: int = 1, kind: Kind = Kind.PRIMARY, *, rank: int = 1, **fields) -> Seat:
    of_candidate = {
        name: fields.pop(name)
        for name in ("distance_m", "weekdays", "valid_from", "valid_to")
        if name in fields
    }
    candidate = Candidate(
        who(number), kind, rank, of_candidate.pop("distance_m", 0.0), **of_candidate
    )
    return Seat(candidate, diary(number, **fields))


def chosen(ask: Ask, seats, days=(MONDAY, TUESDAY)):
    return rules.choose(ask, seats, days)


HOUR = Ask(60)


# --- working time ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shifts", "leave", "not_before", "works", "away"),
    [
        (EIGHT_TO_SIX, [], "mon 00:00", [("mon 08:00", "mon 18:00")], None),
        (EIGHT_TO_SIX, [], "mon 09:30", [("mon 09:30", "mon 18:00")], None),
        (EIGHT_TO_SIX, [], "mon 18:00", [], PassedOver.NOT_ON_SHIFT),
        ((), [], "mon 00:00", [], PassedOver.NOT_ON_SHIFT),
        (((1, time(8), time(18)),), [], "mon 00:00", [], PassedOver.NOT_ON_SHIFT),
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
        (EIGHT_TO_SIX, [("mon 00:00", "tue 00:00")], "mon 00:00", [], PassedOver.ON_LEAVE),
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


# --- what is left of a day ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "fields", "left"),
    [
        (MONDAY, {}, 480),  # nine hours of shift are left, but no more than eight of work
        (MONDAY, {"now": at("mon 14:00")}, 240),
        (MONDAY, {"daily_minutes": 600}, 540),
        (TUESDAY, {"daily_minutes": 600}, 600),
        (MONDAY, {"promised": {MONDAY: (100, 2)}}, 480 - 100 - 2 * 15),
        (TUESDAY, {"promised": {MONDAY: (100, 2)}}, 480),
        (MONDAY, {"promised": {date(2026, 2, 27): (60, 1)}}, 480 - 75),  # carried over from Friday
        (TUESDAY, {"promised": {date(2026, 2, 27): (60, 1)}}, 480),
        (MONDAY, {"leave": ((at("mon 00:00"), at("mon 16:00")),)}, 120),
        (MONDAY, {"shifts": ()}, 0),
    ],
)
def test_what_is_left_of_a_day(day, fields, left):
    assert diary(**fields).day(day).left == left


# --- days to try ----------------------------------------------------------------------------------

WEEK = [MONDAY + timedelta(days=n) for n in range(8)]


@pytest.mark.parametrize(
    ("ask", "now", "days"),
    [
        (HOUR, "mon 09:00", WEEK),
        (Ask(60, due_at=at("mon 18:00")), "mon 09:00", WEEK[:1]),
        (Ask(60, due_at=at("wed 09:00")), "mon 09:00", WEEK[:3]),
        (Ask(60, due_at=at("sun 18:00") + timedelta(days=14)), "mon 09:00", WEEK),
        (Ask(60, due_at=at("mon 08:59")), "mon 09:00", WEEK),  # late already: as soon as possible
        (Ask(60, window=(at("tue 10:00"), at("tue 12:00"))), "mon 09:00", [TUESDAY]),
        (Ask(60, window=(at("mon 08:00"), at("tue 12:00"))), "mon 09:00", [MONDAY, TUESDAY]),
        (Ask(60, window=(at("mon 08:00"), at("mon 10:00"))), "tue 09:00", []),
        # An appointment beats the horizon and the promise.
        (
            Ask(60, window=(at("tue 10:00"), at("tue 12:00")), due_at=at("mon 18:00")),
            "mon 09:00",
            [TUESDAY],
        ),
    ],
)
def test_days_to_try(ask, now, days):
    assert rules.days_to_try(ask, at(now), SHANGHAI, horizon=7) == days


def test_today_is_the_local_day():
    late_in_utc = datetime(2026, 3, 1, 23, 0, tzinfo=UTC)  # Monday seven in the morning in Shanghai
    assert rules.days_to_try(HOUR, late_in_utc, SHANGHAI, horizon=0) == [MONDAY]


# --- the order of asking --------------------------------------------------------------------------


def test_the_order_of_asking():
    asked = [
        Candidate(who(1), Kind.NEIGHBOUR, 1, 40.0),
        Candidate(who(2), Kind.NEIGHBOUR, 1, 5.0),
        Candidate(who(3), Kind.BACKUP, 2, 0.0),
        Candidate(who(4), Kind.BACKUP, 1, 0.0),
        Candidate(who(5), Kind.PRIMARY, 1, 0.0),
        Candidate(who(6), Kind.LOAN, 1, 0.0),
    ]
    found = rules.in_order_of_asking(asked)
    assert [one.technician_id.int for one in found] == [6, 5, 4, 3, 2, 1]


def test_nobody_is_asked_twice_as_a_neighbour():
    found = rules.in_order_of_asking(
        [
            Candidate(who(1), Kind.NEIGHBOUR, 1, 9.0),
            Candidate(who(1), Kind.NEIGHBOUR, 1, 5.0),
            Candidate(who(2), Kind.NEIGHBOUR, 1, 1.0),
            Candidate(who(2), Kind.BACKUP, 1, 0.0),
        ]
    )
    assert [(one.technician_id.int, one.kind, one.distance_m) for one in found] == [
        (2, Kind.BACKUP, 0.0),
        (1, Kind.NEIGHBOUR, 5.0),
    ]


# --- the choice -----------------------------------------------------------------------------------

FULL = {MONDAY: (480, 0), TUESDAY: (480, 0)}

# What keeps a single candidate from an order of an hour, and what the supervisor is told.
ALONE = [
    (HOUR, {"active": False}, PassedOver.INACTIVE, UnplacedReason.NOBODY_ASSIGNED),
    (
        Ask(60, frozenset({"iptv"})),
        {},
        PassedOver.NO_SKILL,
        UnplacedReason.NOBODY_WITH_SKILL,
    ),
    (
        Ask(60, frozenset({"fibre", "iptv"})),
        {},
        PassedOver.NO_SKILL,
        UnplacedReason.NOBODY_WITH_SKILL,
    ),
    (
        Ask(60, declined=frozenset({who(1)})),
        {},
        PassedOver.DECLINED_BEFORE,
        UnplacedReason.ALL_DECLINED,
    ),
    (HOUR, {"shifts": ()}, PassedOver.NOT_ON_SHIFT, UnplacedReason.NOBODY_ON_SHIFT),
    (HOUR, {"valid_to": MONDAY}, PassedOver.NOT_ON_SHIFT, UnplacedReason.NOBODY_ON_SHIFT),
    (HOUR, {"valid_from": SATURDAY}, PassedOver.NOT_ON_SHIFT, UnplacedReason.NOBODY_ON_SHIFT),
    (HOUR, {"weekdays": 0b1111100}, PassedOver.NOT_ON_SHIFT, UnplacedReason.NOBODY_ON_SHIFT),
    (
        HOUR,
        {"leave": ((at("mon 00:00"), at("sat 00:00")),)},
        PassedOver.ON_LEAVE,
        UnplacedReason.NOBODY_ON_SHIFT,
    ),
    (HOUR, {"promised": FULL}, PassedOver.NO_MINUTES_LEFT, UnplacedReason.NO_MINUTES_LEFT),
    (  # 74 minutes are left, 60 and the way of 15 are needed
        HOUR,
        {"promised": {MONDAY: (406, 0), TUESDAY: (406, 0)}},
        PassedOver.NO_MINUTES_LEFT,
        UnplacedReason.NO_MINUTES_LEFT,
    ),
    (
        Ask(60, window=(at("mon 18:30"), at("mon 20:00"))),
        {},
        PassedOver.WINDOW_UNREACHABLE,
        UnplacedReason.WINDOW_UNREACHABLE,
    ),
    (  # one can begin within the window, but not end before the shift does
        Ask(90, window=(at("mon 17:00"), at("mon 19:00"))),
        {},
        PassedOver.WINDOW_UNREACHABLE,
        UnplacedReason.WINDOW_UNREACHABLE,
    ),
]


@pytest.mark.parametrize(("ask", "fields", "why", "unplaced"), ALONE)
def test_why_one_candidate_is_passed_over(ask, fields, why, unplaced):
    choice = chosen(ask, [seat(**fields)])
    assert (choice.candidate, choice.day, choice.unplaced) == (None, None, unplaced)
    assert [one.why for one in choice.tried] == [why]


def test_every_reason_for_passing_over_is_in_that_table():
    assert {why for _, _, why, _ in ALONE} == set(PassedOver)


@pytest.mark.parametrize(
    ("ask", "fields", "day"),
    [
        (HOUR, {}, MONDAY),
        (HOUR, {"promised": {MONDAY: (405, 0)}}, MONDAY),  # exactly enough
        (HOUR, {"promised": {MONDAY: (406, 0)}}, TUESDAY),
        (HOUR, {"leave": ((at("mon 00:00"), at("tue 00:00")),)}, TUESDAY),
        (HOUR, {"weekdays": 0b0000010}, TUESDAY),
        (Ask(60, frozenset({"fibre"})), {}, MONDAY),
        (Ask(60, window=(at("mon 17:00"), at("mon 19:00"))), {}, MONDAY),
        (Ask(60, declined=frozenset({who(2)})), {}, MONDAY),
    ],
)
def test_one_candidate_gets_the_order(ask, fields, day):
    choice = chosen(ask, [seat(**fields)])
    assert (choice.candidate.technician_id, choice.day, choice.unplaced) == (who(1), day, None)
    assert choice.tried == [(choice.candidate, None)]


def test_nobody_to_ask():
    assert chosen(HOUR, []).unplaced is UnplacedReason.NOBODY_ASSIGNED


def test_the_first_asked_gets_it_and_the_rest_is_not_looked_at():
    choice = chosen(HOUR, [seat(1), seat(2, Kind.BACKUP), seat(3, Kind.NEIGHBOUR)])
    assert choice.candidate.technician_id == who(1)
    assert len(choice.tried) == 1
    assert choice.more == 2


def test_a_backup_today_comes_before_the_primary_tomorrow():
    choice = chosen(HOUR, [seat(1, promised={MONDAY: (480, 0)}), seat(2, Kind.BACKUP)])
    assert (choice.candidate.technician_id, choice.day) == (who(2), MONDAY)
    assert [one.why for one in choice.tried] == [PassedOver.NO_MINUTES_LEFT, None]


def test_tomorrow_the_primary_comes_first_again():
    full_today = {MONDAY: (480, 0)}
    choice = chosen(HOUR, [seat(1, promised=full_today), seat(2, Kind.BACKUP, promised=full_today)])
    assert (choice.candidate.technician_id, choice.day) == (who(1), TUESDAY)
    assert [one.why for one in choice.tried] == [None, PassedOver.NO_MINUTES_LEFT]
    assert choice.more == 0


def test_a_neighbour_is_the_last_resort():
    choice = chosen(
        Ask(60, frozenset({"fibre"})),
        [seat(1, active=False), seat(2, Kind.BACKUP, skills=frozenset()), seat(3, Kind.NEIGHBOUR)],
    )
    assert (choice.candidate.technician_id, choice.candidate.kind) == (who(3), Kind.NEIGHBOUR)
    assert [one.why for one in choice.tried] == [PassedOver.INACTIVE, PassedOver.NO_SKILL, None]


@pytest.mark.parametrize(
    ("others", "unplaced"),
    [
        # The supervisor is told of the one who came nearest.
        ([{"active": False}, {"promised": FULL}], UnplacedReason.NO_MINUTES_LEFT),
        ([{"shifts": ()}, {"promised": FULL}], UnplacedReason.NO_MINUTES_LEFT),
        ([{"skills": frozenset()}, {"shifts": ()}], UnplacedReason.NOBODY_ON_SHIFT),
        ([{"active": False}, {"skills": frozenset()}], UnplacedReason.NOBODY_WITH_SKILL),
    ],
)
def test_of_several_reasons_the_nearest_is_told(others, unplaced):
    seats = [seat(number, **fields) for number, fields in enumerate(others, 1)]
    assert chosen(Ask(60, frozenset({"fibre"})), seats).unplaced is unplaced


def test_of_several_days_the_nearest_reason_is_told():
    on_leave_today = ((at("mon 00:00"), at("tue 00:00")),)
    choice = chosen(HOUR, [seat(1, leave=on_leave_today, promised={TUESDAY: (480, 0)})])
    assert choice.tried[0].why is PassedOver.NO_MINUTES_LEFT


def test_orders_of_a_chunk_fill_the_same_diary():
    one = seat(1)
    given = []
    while (choice := chosen(HOUR, [one], [MONDAY])).candidate is not None:
        rules.take(HOUR, one.diary, MONDAY)
        given.append(choice)
    assert len(given) == 480 // 75
    assert choice.unplaced is UnplacedReason.NO_MINUTES_LEFT


@pytest.mark.parametrize(
    ("read", "now_held", "overbooked"),
    [
        ({}, (405, 5), False),  # what this transaction took itself: 405 + 5 * 15 = 480
        ({}, (406, 5), True),  # somebody else took a minute as well
        ({MONDAY: (200, 2)}, (405, 5), False),
        ({MONDAY: (200, 2)}, (405, 6), True),
    ],
)
def test_a_day_that_others_filled_meanwhile(read, now_held, overbooked):
    assert rules.overbooked(diary(promised=read), MONDAY, now_held) is overbooked


def test_points_are_named_to_eleven_centimetres():
    assert rules.key_of(-71.0587, 42.3594) == (-71058700, 42359400)
    assert rules.key_of(-71.05870004, 42.35940004) == rules.key_of(-71.0587, 42.3594)
    assert rules.key_of(-71.058701, 42.3594) != rules.key_of(-71.0587, 42.3594)


def test_every_reason_and_kind_has_words_in_both_languages():
    assert rules.REASON_WORDS.keys() == set(PassedOver)
    assert rules.KIND_WORDS.keys() == set(Kind)
    for reason in [*UnplacedReason, *Kind, rules.BY_HAND]:
        assert all(rules.reason_words(reason))
