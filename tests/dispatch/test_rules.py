"""Who gets an order, on which day, and why each other one is passed over; no database."""

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from app.core.db import new_id
from app.core.parameters import Parameters
from app.dispatch import rules
from app.dispatch.rules import Ask, Booked, Candidate, Diary, Kind, PassedOver, Seat, Share
from app.dispatch.rules.costs import costs_of
from app.dispatch.rules.diaries import Lent
from app.dispatch.rules.routes import NEVER, Stop
from app.dispatch.rules.vans import Van
from app.travel.rules import Place, Travel
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
        for name in ("distance_m", "weekdays", "valid_from", "valid_to", "ratio")
        if name in fields
    }
    candidate = Candidate(
        who(number), kind, rank, of_candidate.pop("distance_m", 0.0), **of_candidate
    )
    share = fields.pop("share", Share() if candidate.ratio < 100 else None)
    return Seat(candidate, diary(number, **fields), share, TERMS)


TERMS = costs_of(Parameters(NOW), NOW, "")
DOOR = Place(112.0, 28.0)


def chosen(ask: Ask, seats, days=(MONDAY, TUESDAY), place: Place | None = DOOR):
    opens, closes = (int(one.timestamp()) for one in ask.window) if ask.window else (0, NEVER)
    due = int(ask.due_at.timestamp()) if ask.due_at else NEVER
    visit = Stop(who(0), place, ask.minutes * 60, opens, closes, due, ask.priority)
    return rules.choose(ask, seats, days, visit)


HOUR = Ask(60)


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


# --- the choice -----------------------------------------------------------------------------------

FULL = {MONDAY: (480, 0), TUESDAY: (480, 0)}

# Appointments at ten to the minute every hour, so that less than an hour is left between them.
BUSY = ["08:10", "09:10", "10:10", "11:10", "12:10", "13:10", "14:10", "15:10", "16:10", "17:10"]


def on_the_way(days):
    """A diary's fields for days with appointments of a quarter of an hour at fixed times."""
    visits = {
        day: [
            Stop(new_id(), DOOR, 900, seconds, seconds)
            for clock in clocks
            for seconds in [int(at(f"{day:%a} {clock}".lower()).timestamp())]
        ]
        for day, clocks in days.items()
    }
    return {"terms": TERMS, "travel": Travel(), "home": DOOR[:2], "visits": visits}


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
    (
        Ask(60, terminals=("camera", "camera")),
        {"van": Van(Counter({"camera": 1, "ont_gateway": 4}))},
        PassedOver.NO_STOCK,
        UnplacedReason.NO_STOCK,
    ),
    (  # what is not there today may be there once somebody is at work again
        Ask(60, terminals=("camera",)),
        {"shifts": ()},
        PassedOver.NOT_ON_SHIFT,
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
    (  # there are minutes enough, but two cannot begin within the same half hour
        Ask(60, window=(at("mon 14:00"), at("mon 14:30"))),
        {"windows": {MONDAY: [Booked(at("mon 14:00"), at("mon 14:30"), 60)]}},
        PassedOver.WINDOW_TAKEN,
        UnplacedReason.WINDOW_UNREACHABLE,
    ),
    (
        HOUR,
        {"loans": [Lent(MONDAY, SATURDAY, "elsewhere.")]},
        PassedOver.LENT_OUT,
        UnplacedReason.NOBODY_ON_SHIFT,
    ),
    (  # there are minutes enough, but no two appointments leave room for an hour between them
        HOUR,
        on_the_way({MONDAY: BUSY, TUESDAY: BUSY}),
        PassedOver.ROUTE_FULL,
        UnplacedReason.NO_MINUTES_LEFT,
    ),
    # 15 % of 480 minutes are 72, and 75 are needed.
    (HOUR, {"ratio": 15}, PassedOver.RATIO_USED_UP, UnplacedReason.NO_MINUTES_LEFT),
    # Where no minutes are left at all, that is what is told.
    (
        HOUR,
        {"ratio": 15, "promised": FULL},
        PassedOver.NO_MINUTES_LEFT,
        UnplacedReason.NO_MINUTES_LEFT,
    ),
]


@pytest.mark.parametrize(("ask", "fields", "why", "unplaced"), ALONE)
def test_why_one_candidate_is_passed_over(ask, fields, why, unplaced):
    choice = chosen(ask, [seat(**fields)])
    assert (choice.candidate, choice.day, choice.unplaced) == (None, None, unplaced)
    assert [one.why for one in choice.tried] == [why]


def test_every_reason_for_passing_over_is_in_that_table():
    # Whoever is dearer than somebody else is not alone.
    assert {why for _, _, why, _ in ALONE} == set(PassedOver) - {PassedOver.DEARER}


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
    assert [one[:2] for one in choice.tried] == [(choice.candidate, None)]


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


# --- what it costs --------------------------------------------------------------------------------


def at_home(east: int = 0, visits=(), **fields):
    """A diary's fields for somebody who lives so many steps of about 1 km to the east."""
    home = (112.0 + east * 0.01, 28.0)
    given = {"terms": TERMS, "travel": Travel(), "home": home, "visits": {MONDAY: list(visits)}}
    return {**given, **fields}


def an_hour(number: int, east: int = 0, **fields) -> Stop:
    return Stop(who(100 + number), Place(112.0 + east * 0.01, 28.0), 3_600, **fields)


def ways(east: int) -> int:
    """Seconds there and back."""
    return 2 * Travel().seconds(DOOR, Place(112.0 + east * 0.01, 28.0))


@pytest.mark.parametrize(
    ("kind", "rank", "fields", "owned"),
    [
        (Kind.LOAN, 1, {}, 0),
        (Kind.PRIMARY, 1, {}, 0),
        (Kind.BACKUP, 1, {}, 180),
        (Kind.BACKUP, 3, {}, 300),
        (Kind.LENT, 1, {"org_path": "far."}, 720),
        (Kind.BRANCH, 4, {"org_path": "near."}, 720),
        (Kind.NEIGHBOUR, 1, {"org_path": "near."}, 720),
        (Kind.NEIGHBOUR, 1, {"org_path": "far."}, 1_500),
        (Kind.OTHER, 1, {"org_path": "far."}, 1_500),
    ],
)
def test_what_it_costs_that_somebody_is_who_they_are(kind, rank, fields, owned):
    candidate = Candidate(who(1), kind, rank, 0.0)
    assert Seat(candidate, diary(**fields), None, TERMS, "near.").owned == owned


def test_the_cheaper_way_wins_over_the_order_of_asking():
    seats = [seat(1, **at_home(9)), seat(2, Kind.BACKUP, **at_home(0))]
    choice = chosen(HOUR, seats)
    assert choice.candidate.technician_id == who(2)
    assert [(one.why, one.cost.total) for one in choice.tried] == [
        (PassedOver.DEARER, ways(9)),
        (None, 180),
    ]


def test_where_that_alone_costs_more_nobody_is_looked_at():
    choice = chosen(HOUR, [seat(1, **at_home(0)), seat(2, Kind.BACKUP, **at_home(0))])
    assert (len(choice.tried), choice.more) == (1, 1)


def test_the_first_day_on_which_anybody_can_comes_before_the_cheapest():
    full = {"promised": {MONDAY: (480, 0)}}
    seats = [seat(1, **at_home(0, **full)), seat(2, Kind.NEIGHBOUR, **at_home(30))]
    choice = chosen(HOUR, seats)
    assert (choice.candidate.technician_id, choice.day) == (who(2), MONDAY)


def test_lateness_that_it_brings_to_others_costs():
    by_ten = {"due": int(at("mon 10:00").timestamp()), "priority": 1}
    seats = [
        seat(1, **at_home(0, [an_hour(1, **by_ten)])),
        seat(2, Kind.BACKUP, **at_home(0)),
    ]
    urgent = Ask(60, due_at=at("mon 10:00"), priority=2)
    choice = chosen(urgent, seats)
    # Whoever comes second with the primary is an hour late: this one, since the other weighs more.
    assert [one.cost.late for one in choice.tried] == [2 * 3_600, 0]
    assert choice.candidate.technician_id == who(2)


def test_work_beyond_a_fair_share_costs():
    # 70 % of the nine hours that are left are 6.3 hours; the seventh hour is 42 minutes beyond.
    busy = [an_hour(n) for n in range(6)]
    seats = [seat(1, **at_home(0, busy)), seat(2, Kind.BACKUP, **at_home(0))]
    choice = chosen(HOUR, seats)
    assert [one.cost.uneven for one in choice.tried] == [252, 0]
    assert choice.candidate.technician_id == who(2)


def test_whom_one_prefers_gets_it_whatever_it_costs():
    seats = [seat(1, **at_home(0)), seat(2, Kind.NEIGHBOUR, **at_home(30))]
    visit = Stop(who(0), DOOR, 3_600)
    choice = rules.choose(HOUR, seats, [MONDAY], visit, [who(9), who(2)])
    assert choice.candidate is not None
    assert choice.candidate.technician_id == who(2)


def test_a_chunk_fills_the_way_of_the_same_day():
    one = seat(1, **at_home(0))
    first = chosen(HOUR, [one], place=Place(112.05, 28.0))
    rules.take(HOUR, one.diary, MONDAY, an_hour(1, 5), first.cost)
    there_already = chosen(HOUR, [one], place=Place(112.05, 28.0))
    assert (first.cost.travel, there_already.cost.travel) == (ways(5), 0)


def test_whoever_is_lent_to_the_orders_own_unit_may_be_asked():
    loans = [Lent(MONDAY, TUESDAY, "near.")]
    candidate = Candidate(who(1), Kind.LENT, 1, 0.0, valid_from=MONDAY, valid_to=TUESDAY)
    for unit_path, why in (("near.", None), ("far.", PassedOver.LENT_OUT)):
        one = Seat(candidate, diary(loans=loans), None, TERMS, unit_path)
        assert rules.why_not_on(HOUR, one, MONDAY) is why
        assert rules.why_not_on(HOUR, one, TUESDAY) is PassedOver.NOT_ON_SHIFT


# --- a grid's share of a day ----------------------------------------------------------------------

FRIDAY_BEFORE = date(2026, 2, 27)


@pytest.mark.parametrize(
    ("fields", "share", "day", "left"),
    [
        ({"ratio": 50}, Share(), MONDAY, 240),
        ({"ratio": 1}, Share(), MONDAY, 4.8),
        # A share is one of the whole day, also in the afternoon, and what is done counts as well.
        ({"ratio": 50, "now": at("mon 14:00")}, Share(), MONDAY, 240),
        ({"ratio": 50}, Share(done={MONDAY: (100, 2)}), MONDAY, 240 - 130),
        ({"ratio": 50}, Share(done={MONDAY: (100, 2)}), TUESDAY, 240),
        ({"ratio": 50}, Share(open={MONDAY: (60, 1)}, done={MONDAY: (60, 1)}), MONDAY, 90),
        # What is left from days gone by counts against today; what was done then does not.
        ({"ratio": 50}, Share(open={FRIDAY_BEFORE: (60, 1)}), MONDAY, 165),
        ({"ratio": 50}, Share(open={FRIDAY_BEFORE: (60, 1)}), TUESDAY, 240),
        ({"ratio": 50}, Share(done={FRIDAY_BEFORE: (60, 1)}), MONDAY, 240),
        # Leave and other grids' orders: the first makes the day shorter, the second does not.
        ({"ratio": 50, "leave": ((at("mon 00:00"), at("mon 14:00")),)}, Share(), MONDAY, 120),
        ({"ratio": 50, "promised": {MONDAY: (300, 3)}}, Share(), MONDAY, 240),
        ({"ratio": 100}, None, MONDAY, float("inf")),
    ],
)
def test_what_is_left_of_a_share(fields, share, day, left):
    assert seat(share=share, **fields).share_left(day) == pytest.approx(left)


def test_orders_of_a_chunk_use_up_the_share_and_the_home_grid_keeps_the_rest():
    lent, elsewhere = seat(1, Kind.LOAN, ratio=50), seat(1)
    elsewhere.diary = lent.diary
    given = 0
    while (choice := chosen(HOUR, [lent], [MONDAY])).candidate is not None:
        rules.take(HOUR, lent.diary, MONDAY)
        assert lent.share is not None
        lent.share.take(60, lent.diary, MONDAY)
        given += 1
    assert given == 240 // 75
    assert choice.tried[0].why is PassedOver.RATIO_USED_UP
    assert chosen(HOUR, [elsewhere], [MONDAY]).candidate is not None


def test_whoever_has_used_up_the_share_is_passed_over_and_the_next_is_asked():
    used_up = Share(open={MONDAY: (200, 2)})
    choice = chosen(HOUR, [seat(1, Kind.LOAN, ratio=50, share=used_up), seat(2)])
    assert (choice.candidate.technician_id, choice.day) == (who(2), MONDAY)
    assert [one.why for one in choice.tried] == [PassedOver.RATIO_USED_UP, None]


def test_points_are_named_to_eleven_centimetres():
    assert rules.key_of(-71.0587, 42.3594) == (-71058700, 42359400)
    assert rules.key_of(-71.05870004, 42.35940004) == rules.key_of(-71.0587, 42.3594)
    assert rules.key_of(-71.058701, 42.3594) != rules.key_of(-71.0587, 42.3594)


def test_every_reason_and_kind_has_words_in_both_languages():
    assert rules.REASON_WORDS.keys() == set(PassedOver)
    assert rules.KIND_WORDS.keys() == set(Kind)
    for reason in [*UnplacedReason, *Kind, rules.BY_HAND]:
        assert all(rules.reason_words(reason))
