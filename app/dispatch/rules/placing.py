"""Placing one order: who is asked, on which days, why each is passed over, and who gets it.

Pure: the diaries are values in memory, read and kept by the service. A chunk of orders is placed
against the same diaries one after the other, each taking its minutes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from app.dispatch.rules.windows import Booked, kept_together, reachable
from app.grids.rules.asking import Candidate
from app.technicians.rules import Away, minutes_in, working_time
from app.workorders.rules import UnplacedReason


class PassedOver(StrEnum):
    """Why a candidate did not get an order, from the farthest from getting it to the nearest."""

    INACTIVE = "inactive"
    NO_SKILL = "no_skill"
    DECLINED_BEFORE = "declined_before"
    NOT_ON_SHIFT = "not_on_shift"
    ON_LEAVE = "on_leave"
    WINDOW_UNREACHABLE = "window_unreachable"
    NO_MINUTES_LEFT = "no_minutes_left"
    WINDOW_TAKEN = "window_taken"
    RATIO_USED_UP = "ratio_used_up"


_NEARNESS = {why: place for place, why in enumerate(PassedOver)}

# What the supervisor is told: where the candidate who came nearest failed.
_UNPLACED = {
    PassedOver.INACTIVE: UnplacedReason.NOBODY_ASSIGNED,
    PassedOver.NO_SKILL: UnplacedReason.NOBODY_WITH_SKILL,
    PassedOver.DECLINED_BEFORE: UnplacedReason.ALL_DECLINED,
    PassedOver.NOT_ON_SHIFT: UnplacedReason.NOBODY_ON_SHIFT,
    PassedOver.ON_LEAVE: UnplacedReason.NOBODY_ON_SHIFT,
    PassedOver.WINDOW_UNREACHABLE: UnplacedReason.WINDOW_UNREACHABLE,
    PassedOver.WINDOW_TAKEN: UnplacedReason.WINDOW_UNREACHABLE,
    PassedOver.NO_MINUTES_LEFT: UnplacedReason.NO_MINUTES_LEFT,
    PassedOver.RATIO_USED_UP: UnplacedReason.NO_MINUTES_LEFT,
}

_AWAY = {away: PassedOver(away.value) for away in Away}

# Time, a change of shifts or a new grid may heal these; the others wait for a person.
HEALED_BY_TIME = frozenset(
    {
        UnplacedReason.NO_GRID,
        UnplacedReason.NOBODY_ASSIGNED,
        UnplacedReason.ALL_DECLINED,
        UnplacedReason.NOBODY_WITH_SKILL,
        UnplacedReason.NOBODY_ON_SHIFT,
        UnplacedReason.NO_MINUTES_LEFT,
        UnplacedReason.WINDOW_UNREACHABLE,
    }
)


@dataclass(slots=True)
class Day:
    """What is left of one technician's day: times at work from now on, and minutes to give away.

    `at_first` is what was left when the diary was read; `left` goes down as orders are given.
    """

    at_work: list[tuple[datetime, datetime]]
    left: float
    at_first: float
    away: PassedOver | None = None


@dataclass(slots=True)
class Diary:
    """One technician as placing sees them; `day` works a day out when it is first asked about.

    `windows` are the appointments of each day, read only where an appointment is asked for.
    """

    technician_id: UUID
    active: bool
    skills: frozenset[str]
    zone: ZoneInfo
    daily_minutes: int
    shifts: Sequence[tuple[int, time, time]]
    leave: Sequence[tuple[datetime, datetime]]
    promised: dict[date, tuple[int, int]]
    now: datetime
    allowance: float
    org_path: str = ""
    home: tuple[float, float] | None = None
    today: date = field(init=False)
    days: dict[date, Day] = field(default_factory=dict)
    whole_days: dict[date, float] = field(default_factory=dict)
    windows: dict[date, list[Booked]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.today = self.now.astimezone(self.zone).date()

    def day(self, day: date) -> Day:
        """Work out a local day: shifts less leave, from now on, less what is promised already.

        What days gone by still hold counts against today.
        """
        known = self.days.get(day)
        if known is not None:
            return known
        at_work, away = working_time(self.shifts, self.leave, self.zone, day, self.now)
        left = min(minutes_in(at_work), self.daily_minutes)
        for on, (promised_minutes, orders) in self.promised.items():
            if on == day or (day == self.today and on < day):
                left -= promised_minutes + orders * self.allowance
        known = self.days[day] = Day(at_work, left, left, _AWAY[away] if away else None)
        return known

    def relieve(self, day: date, minutes: int, orders: int) -> None:
        """Count so much less (below nothing) as promised of a day, before it is asked about."""
        held = self.promised.get(day, (0, 0))
        self.promised[day] = (held[0] + minutes, held[1] + orders)

    def whole_day(self, day: date) -> float:
        """Work out the minutes of a local day from its first shift to its last, less leave."""
        known = self.whole_days.get(day)
        if known is None:
            midnight = datetime.combine(day, time.min, self.zone)
            at_work, _ = working_time(self.shifts, self.leave, self.zone, day, midnight)
            known = self.whole_days[day] = min(minutes_in(at_work), self.daily_minutes)
        return known


@dataclass(slots=True)
class Share:
    """What one grid's orders hold of one technician's days: (minutes, orders) by local day.

    Read only where a membership gives the grid a part of the day. `open` is what they still have
    to do, `done` what they have done; `given` is in minutes, with the way to each order.
    """

    open: dict[date, tuple[int, int]] = field(default_factory=dict)
    done: dict[date, tuple[int, int]] = field(default_factory=dict)
    given: dict[date, float] = field(default_factory=dict)

    def on(self, day: date, diary: Diary) -> float:
        """Add up the minutes of a day; what days gone by still hold counts against today."""
        minutes, orders = self.done.get(day, (0, 0))
        for on, (more, further) in self.open.items():
            if on == day or (day == diary.today and on < day):
                minutes, orders = minutes + more, orders + further
        return minutes + orders * diary.allowance + self.given.get(day, 0.0)

    def take(self, ask: "Ask", diary: Diary, day: date) -> None:
        """Take an order's minutes, and the way to it."""
        self.given[day] = self.given.get(day, 0.0) + ask.minutes + diary.allowance


class Ask(NamedTuple):
    """What placing needs to know of an order. Moments are aware."""

    minutes: int
    skills: frozenset[str] = frozenset()
    window: tuple[datetime, datetime] | None = None
    due_at: datetime | None = None
    declined: frozenset[UUID] = frozenset()


def days_to_try(ask: Ask, now: datetime, zone: ZoneInfo, horizon: int) -> list[date]:
    """List the local days on which an order may be planned, the first first.

    An appointment fixes them. Otherwise today and as many days after it as the horizon says, but
    not beyond the day it is due: whoever cannot keep the promise tells the supervisor while there
    is time. An order that is late already goes to the first day that has room.
    """
    today = now.astimezone(zone).date()
    first, last = today, today + timedelta(days=horizon)
    if ask.window is not None:
        first = max(today, ask.window[0].astimezone(zone).date())
        last = ask.window[1].astimezone(zone).date()
    elif ask.due_at is not None and ask.due_at > now:
        last = min(last, ask.due_at.astimezone(zone).date())
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


class Tried(NamedTuple):
    """A candidate who was considered, and why they were passed over; None for the chosen one."""

    candidate: Candidate
    why: PassedOver | None


class Choice(NamedTuple):
    """Who gets an order and on which local day, or why nobody does, and who was considered."""

    candidate: Candidate | None
    day: date | None
    unplaced: UnplacedReason | None
    tried: list[Tried]
    more: int


class Seat:
    """A candidate with their diary: what one grid's orders meet, day by day."""

    __slots__ = ("candidate", "diary", "plans", "share")

    def __init__(self, candidate: Candidate, diary: Diary, share: Share | None = None) -> None:
        self.candidate = candidate
        self.diary = diary
        self.share = share
        self.plans: dict[date, Day] = {}

    def plan(self, day: date) -> Day:
        """Return the day, as one away when the candidate does not belong to the grid then."""
        known = self.plans.get(day)
        if known is None:
            known = self.diary.day(day)
            if known.away is None and not self.candidate.on(day):
                known = Day([], 0, 0, PassedOver.NOT_ON_SHIFT)
            self.plans[day] = known
        return known

    def share_left(self, day: date) -> float:
        """Say how many minutes of a day the grid's orders may still take; no share is no limit."""
        if self.share is None:
            return float("inf")
        whole = self.diary.whole_day(day) * self.candidate.ratio / 100
        return whole - self.share.on(day, self.diary)


# Members are looked up here and not in their class: Python 3.11 takes a microsecond for that, and
# this is asked a million times for a large file.
_WINDOW, _TAKEN = PassedOver.WINDOW_UNREACHABLE, PassedOver.WINDOW_TAKEN
_MINUTES, _RATIO = PassedOver.NO_MINUTES_LEFT, PassedOver.RATIO_USED_UP


def why_not_at_all(ask: Ask, diary: Diary) -> PassedOver | None:
    """Say what keeps somebody from an order on any day; None when nothing does."""
    if not diary.active:
        return PassedOver.INACTIVE
    if not ask.skills <= diary.skills:
        return PassedOver.NO_SKILL
    if diary.technician_id in ask.declined:
        return PassedOver.DECLINED_BEFORE
    return None


def why_not_on(ask: Ask, seat: Seat, day: date) -> PassedOver | None:
    """Say what keeps somebody from an order on a local day; None when nothing does.

    An appointment is kept when work can begin within its window and end before the shift does, and
    all others of the day are kept as well.
    """
    plan = seat.plans.get(day) or seat.plan(day)
    if plan.away is not None:
        return plan.away
    if ask.window is not None and not reachable(ask.window, ask.minutes, plan.at_work):
        return _WINDOW
    if plan.left < ask.minutes + seat.diary.allowance:
        return _MINUTES
    if ask.window is not None:
        booked = seat.diary.windows.get(day)
        if booked:
            together = [*booked, Booked(*ask.window, ask.minutes)]
            if not kept_together(together, plan.at_work, seat.diary.allowance):
                return _TAKEN
    if seat.share is not None and seat.share_left(day) < ask.minutes + seat.diary.allowance:
        return _RATIO
    return None


def preferring(seats: Sequence[Seat], first: Sequence[UUID]) -> list[Seat]:
    """Put some people before all others who may be asked, in the order given."""
    places = {technician_id: place for place, technician_id in enumerate(first)}
    return sorted(seats, key=lambda one: places.get(one.candidate.technician_id, len(places)))


def choose(ask: Ask, seats: Sequence[Seat], days: Sequence[date]) -> Choice:
    """Choose who gets an order: the first day on which anybody can, and of those the first asked.

    `seats` come in the order of asking. Their diaries are only read; `take` takes the minutes.
    """
    whys = [why_not_at_all(ask, seat.diary) for seat in seats]
    able = [(place, seat) for place, seat in enumerate(seats) if whys[place] is None]
    for day in days:
        for place, seat in able:
            why = why_not_on(ask, seat, day)
            if why is None:
                return _chosen(seats, whys, place, day)
            known = whys[place]
            if known is not why and (known is None or _NEARNESS[why] > _NEARNESS[known]):
                whys[place] = why
    # An appointment that is over leaves no day to try.
    tried = [
        Tried(seat.candidate, why or PassedOver.WINDOW_UNREACHABLE)
        for seat, why in zip(seats, whys, strict=True)
    ]
    nearest = max((why for _, why in tried if why), key=_NEARNESS.__getitem__, default=None)
    reason = UnplacedReason.NOBODY_ASSIGNED if nearest is None else _UNPLACED[nearest]
    return Choice(None, None, reason, tried, 0)


def _chosen(
    seats: Sequence[Seat], whys: Sequence[PassedOver | None], chosen: int, day: date
) -> Choice:
    # Those who come after the chosen one and have no reason were not looked at.
    tried = [
        Tried(seat.candidate, None if place == chosen else whys[place])
        for place, seat in enumerate(seats)
        if place == chosen or whys[place] is not None
    ]
    return Choice(seats[chosen].candidate, day, None, tried, len(seats) - len(tried))


def take(ask: Ask, diary: Diary, day: date) -> None:
    """Take an order's minutes, and the way to it, from a day of somebody's diary."""
    diary.day(day).left -= ask.minutes + diary.allowance
    if ask.window is not None:
        diary.windows.setdefault(day, []).append(Booked(*ask.window, ask.minutes))


def overbooked(diary: Diary, day: date, promised: tuple[int, int]) -> bool:
    """Tell whether a day turned out to hold more than fits, since others filled it meanwhile.

    `promised` is what the day holds now (minutes, orders), with what this transaction took.
    """
    minutes, orders = diary.promised.get(day, (0, 0))
    more = (promised[0] - minutes) + (promised[1] - orders) * diary.allowance
    return diary.day(day).at_first < more
