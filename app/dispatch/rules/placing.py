"""Placing one order: who is asked, on which days, why each is passed over, and who gets it.

Pure: the diaries are values in memory, read and kept by the service. A chunk of orders is placed
against the same diaries one after the other, each taking its minutes and its place on the way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from app.dispatch.rules.costs import BACKUP_CLASS, ELSEWHERE, PRIMARY, SAME, Terms
from app.dispatch.rules.diaries import Day, Diary, PassedOver, Share
from app.dispatch.rules.repeats import Repeat
from app.dispatch.rules.routes import Stop
from app.dispatch.rules.windows import Booked, kept_together, reachable
from app.grids.rules.asking import Candidate, Kind
from app.workorders.rules import UnplacedReason

_NEARNESS = {why: place for place, why in enumerate(PassedOver)}

# What the supervisor is told: where the candidate who came nearest failed.
_UNPLACED = {
    PassedOver.INACTIVE: UnplacedReason.NOBODY_ASSIGNED,
    PassedOver.NO_SKILL: UnplacedReason.NOBODY_WITH_SKILL,
    PassedOver.DECLINED_BEFORE: UnplacedReason.ALL_DECLINED,
    PassedOver.NOT_ON_SHIFT: UnplacedReason.NOBODY_ON_SHIFT,
    PassedOver.ON_LEAVE: UnplacedReason.NOBODY_ON_SHIFT,
    PassedOver.LENT_OUT: UnplacedReason.NOBODY_ON_SHIFT,
    PassedOver.NO_STOCK: UnplacedReason.NO_STOCK,
    PassedOver.WINDOW_UNREACHABLE: UnplacedReason.WINDOW_UNREACHABLE,
    PassedOver.WINDOW_TAKEN: UnplacedReason.WINDOW_UNREACHABLE,
    PassedOver.NO_MINUTES_LEFT: UnplacedReason.NO_MINUTES_LEFT,
    PassedOver.ROUTE_FULL: UnplacedReason.NO_MINUTES_LEFT,
    PassedOver.RATIO_USED_UP: UnplacedReason.NO_MINUTES_LEFT,
}

# Time, a change of shifts, a new grid or a filled van may heal these; the others wait for a person.
HEALED_BY_TIME = frozenset(
    {
        UnplacedReason.NO_GRID,
        UnplacedReason.NOBODY_ASSIGNED,
        UnplacedReason.ALL_DECLINED,
        UnplacedReason.NOBODY_WITH_SKILL,
        UnplacedReason.NOBODY_ON_SHIFT,
        UnplacedReason.NO_STOCK,
        UnplacedReason.NO_MINUTES_LEFT,
        UnplacedReason.WINDOW_UNREACHABLE,
    }
)


class Ask(NamedTuple):
    """What placing needs to know of an order. Moments are aware; `terminals` are kinds, of each of
    which one is fitted; `repeat` says whom a fault that came back prefers."""

    minutes: int
    skills: frozenset[str] = frozenset()
    window: tuple[datetime, datetime] | None = None
    due_at: datetime | None = None
    declined: frozenset[UUID] = frozenset()
    priority: int = 3
    terminals: tuple[str, ...] = ()
    repeat: Repeat | None = None


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


class Cost(NamedTuple):
    """What an order costs with somebody, in seconds of travel, and where on their day it goes.

    `travel` is what their ways grow by, `owned` what it costs that they are who they are to the
    grid, `late` the weighted lateness it brings and suffers, `uneven` that they have much to do,
    `repeat` that they are not whom a fault that came back prefers.
    """

    travel: int
    owned: int
    late: int
    uneven: int
    at: int
    repeat: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.travel + self.owned + self.late + self.uneven + self.repeat


class Tried(NamedTuple):
    """A candidate who was considered, and why they were passed over; None for the chosen one.

    `cost` is known of those who could have had it.
    """

    candidate: Candidate
    why: PassedOver | None
    cost: Cost | None = None


class Displaced(NamedTuple):
    """An order that gave way to another, and what became of it."""

    order_id: UUID
    choice: "Choice"


class Choice(NamedTuple):
    """Who gets an order and on which local day, or why nobody does, and who was considered.

    `displaced` is what gave way to it.
    """

    candidate: Candidate | None
    day: date | None
    unplaced: UnplacedReason | None
    tried: list[Tried]
    more: int
    cost: Cost | None = None
    displaced: Displaced | None = None


_CLASSES = {
    Kind.LOAN: PRIMARY,
    Kind.PRIMARY: PRIMARY,
    Kind.BACKUP: BACKUP_CLASS,
    Kind.LENT: SAME,
    Kind.BRANCH: SAME,
}


class Seat:
    """A candidate with their diary: what one grid's orders meet, day by day.

    `owned` is what each of these orders costs for who they are to the grid, whose org unit is given
    by its path.
    """

    __slots__ = ("candidate", "diary", "owned", "plans", "share", "terms", "unit_path")

    def __init__(
        self,
        candidate: Candidate,
        diary: Diary,
        share: Share | None = None,
        terms: Terms | None = None,
        unit_path: str = "",
    ) -> None:
        self.candidate = candidate
        self.diary = diary
        self.share = share
        self.terms = terms
        self.unit_path = unit_path
        self.plans: dict[date, Day] = {}
        belongs = _CLASSES.get(candidate.kind)
        if belongs is None:
            belongs = SAME if diary.org_path.startswith(unit_path) else ELSEWHERE
        self.owned = 0 if terms is None else terms.owned(belongs, candidate.rank)

    def plan(self, day: date) -> Day:
        """Return the day, as one away when the candidate does not belong to the grid then."""
        known = self.plans.get(day)
        if known is None:
            known = self.diary.day(day)
            if known.away is None:
                lent_to = self.diary.lent_to(day)
                if lent_to is not None and not self.unit_path.startswith(lent_to):
                    known = Day([], 0, 0, PassedOver.LENT_OUT)
                elif not self.candidate.on(day):
                    known = Day([], 0, 0, PassedOver.NOT_ON_SHIFT)
            self.plans[day] = known
        return known

    def share_left(self, day: date) -> float:
        """Say how many minutes of a day the grid's orders may still take; no share is no limit."""
        if self.share is None:
            return float("inf")
        whole = self.diary.whole_day(day) * self.candidate.ratio / 100
        return whole - self.share.on(day, self.diary)

    def cost(self, visit: Stop, day: date) -> Cost | None:
        """Say what a visit costs at its cheapest place on a day; None where it fits nowhere."""
        line, terms = self.diary.line(day), self.terms
        if line is None or terms is None:
            return Cost(0, self.owned, 0, 0, 0)
        spot = line.spot(visit)
        if spot is None:
            return None
        share = terms.fair_share(self.plan(day).seconds)
        uneven = 0
        if line.work + visit.seconds > share:
            uneven = terms.uneven(line.work + visit.seconds, share) - terms.uneven(line.work, share)
        return Cost(spot.travel, self.owned, spot.late, uneven, spot.at)


# Members are looked up here and not in their class: Python 3.11 takes a microsecond for that, and
# this is asked a million times for a large file.
_WINDOW, _TAKEN = PassedOver.WINDOW_UNREACHABLE, PassedOver.WINDOW_TAKEN
_MINUTES, _RATIO = PassedOver.NO_MINUTES_LEFT, PassedOver.RATIO_USED_UP
_STOCK = PassedOver.NO_STOCK
_ROUTE, _DEARER = PassedOver.ROUTE_FULL, PassedOver.DEARER


def why_not_at_all(ask: Ask, diary: Diary) -> PassedOver | None:
    """Say what keeps somebody from an order on any day; None when nothing does."""
    if not diary.active:
        return PassedOver.INACTIVE
    if not ask.skills <= diary.skills:
        return PassedOver.NO_SKILL
    if ask.declined and diary.technician_id in ask.declined:
        return PassedOver.DECLINED_BEFORE
    return None


def why_not_on(ask: Ask, seat: Seat, day: date) -> PassedOver | None:
    """Say what keeps somebody from an order on a local day; None when nothing does.

    An appointment is kept when work can begin within its window and end before the shift does, and
    all others of the day are kept as well. Whether there is a place on their way is `Seat.cost`'s
    to say.
    """
    plan = seat.plans.get(day) or seat.plan(day)
    if plan.away is not None:
        return plan.away
    if ask.terminals and not seat.diary.van.holds(ask.terminals):
        return _STOCK
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


# Reasons that hold for whatever asks for as many minutes or more, and for the same skills.
_FULL = frozenset(
    {
        PassedOver.INACTIVE,
        PassedOver.NO_SKILL,
        PassedOver.NOT_ON_SHIFT,
        PassedOver.ON_LEAVE,
        PassedOver.LENT_OUT,
        PassedOver.NO_MINUTES_LEFT,
        PassedOver.RATIO_USED_UP,
    }
)


@dataclass(slots=True)
class Full:
    """Whose days were found to have no room for so many minutes or more, and why: by day and by
    place among those who are asked.

    It holds for the same seats and skills as long as days only fill up. The orders of a large file
    meet the same full days again and again.
    """

    minutes: int = 0
    days: dict[date, dict[int, PassedOver]] = field(default_factory=dict)

    def on(self, day: date, ask: Ask) -> dict[int, PassedOver]:
        """Give what is known of a day, to be added to; nothing that does not hold for an order."""
        if ask.window is not None or ask.terminals or ask.declined:
            return {}
        if ask.minutes < self.minutes or not self.days:
            self.minutes = ask.minutes
            self.days.clear()
        return self.days.setdefault(day, {})


def choose(
    ask: Ask,
    seats: Sequence[Seat],
    days: Sequence[date],
    visit: Stop | None = None,
    prefer: Sequence[UUID] = (),
    full: Full | None = None,
) -> Choice:
    """Choose who gets an order: the first day on which anybody can, and of those the cheapest.

    `seats` come in the order of what they cost for who they are, and of asking: where that alone
    costs more than has been found, nobody needs to look any further. Whom one is to `prefer` gets
    it before all others, in the order given. Without a `visit` the first asked gets it. Diaries are
    only read; `take` takes the minutes. What is known to be `full` is of these seats and skills.
    """
    first = _preferred(ask, seats, prefer) if prefer else ()
    whys: dict[int, PassedOver] = {}
    costs: dict[int, Cost] = {}
    for day in days:
        costs.clear()
        passed = full.on(day, ask) if full is not None else {}
        chosen, least = None, 0
        for place in (*first, *range(len(seats))):
            seat = seats[place]
            if chosen is not None and (chosen in first or seat.owned >= least):
                break
            if place in costs:
                continue
            why = passed.get(place)
            if why is None:
                why = why_not_at_all(ask, seat.diary) or why_not_on(ask, seat, day)
                if why is None:
                    cost = seat.cost(visit, day) if visit else Cost(0, seat.owned, 0, 0, 0)
                    if cost is not None:
                        if ask.repeat is not None:
                            diary = seat.diary
                            more = ask.repeat.cost(diary.technician_id, diary.levels, ask.skills)
                            cost = cost._replace(repeat=more)
                        costs[place] = cost
                        if chosen is None or cost.total < least:
                            chosen, least = place, cost.total
                        continue
                    why = _TAKEN if ask.window is not None else _ROUTE
                elif why in _FULL:
                    passed[place] = why
            known = whys.get(place)
            if known is not why and (known is None or _NEARNESS[why] > _NEARNESS[known]):
                whys[place] = why
        if chosen is not None:
            return _chosen(seats, whys, costs, chosen, day)
    # An appointment that is over leaves no day to try.
    tried = [
        Tried(seat.candidate, whys.get(place) or why_not_at_all(ask, seat.diary) or _WINDOW)
        for place, seat in enumerate(seats)
    ]
    nearest = max((one.why for one in tried if one.why), key=_NEARNESS.__getitem__, default=None)
    reason = UnplacedReason.NOBODY_ASSIGNED if nearest is None else _UNPLACED[nearest]
    return Choice(None, None, reason, tried, 0)


def _preferred(ask: Ask, seats: Sequence[Seat], prefer: Sequence[UUID]) -> list[int]:
    """List the places of those who are to get it before all others, in the order given."""
    return [
        place
        for technician_id in prefer
        for place, seat in enumerate(seats)
        if seat.candidate.technician_id == technician_id and why_not_at_all(ask, seat.diary) is None
    ]


def _chosen(
    seats: Sequence[Seat],
    whys: Mapping[int, PassedOver],
    costs: Mapping[int, Cost],
    chosen: int,
    day: date,
) -> Choice:
    # Those who come after the chosen one and have no reason were not looked at.
    tried = []
    for place in sorted(whys.keys() | costs.keys()):
        candidate, cost = seats[place].candidate, costs.get(place)
        if place == chosen:
            tried.append(Tried(candidate, None, cost))
        elif cost is not None:
            tried.append(Tried(candidate, _DEARER, cost))
        else:
            tried.append(Tried(candidate, whys[place]))
    return Choice(seats[chosen].candidate, day, None, tried, len(seats) - len(tried), costs[chosen])


def take(
    ask: Ask, diary: Diary, day: date, visit: Stop | None = None, cost: Cost | None = None
) -> None:
    """Take an order's minutes, and the way to it, from a day of somebody's diary, and its terminals
    from their van."""
    if ask.terminals:
        diary.van.take(ask.terminals)
    diary.day(day).left -= ask.minutes + diary.allowance
    if ask.window is not None:
        diary.windows.setdefault(day, []).append(Booked(*ask.window, ask.minutes))
    if visit is not None and cost is not None:
        line = diary.line(day)
        if line is not None:
            line.take(visit, cost.at)


def overbooked(diary: Diary, day: date, promised: tuple[int, int]) -> bool:
    """Tell whether a day turned out to hold more than fits, since others filled it meanwhile.

    `promised` is what the day holds now (minutes, orders), with what this transaction took.
    """
    minutes, orders = diary.promised.get(day, (0, 0))
    more = (promised[0] - minutes) + (promised[1] - orders) * diary.allowance
    return diary.day(day).at_first < more
