"""What placing knows of people: their days, what is left of them, and grids' shares of them."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime, time
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from app.dispatch.rules.costs import Terms
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.insertion import Line, line_of
from app.dispatch.rules.routes import Stop
from app.dispatch.rules.vans import Van
from app.dispatch.rules.windows import Booked
from app.technicians.rules import UNREAD, Away, DayRead, minutes_in, working_time
from app.travel.rules import Place, Travel


class PassedOver(StrEnum):
    """Why a candidate did not get an order, from the farthest from getting it to the nearest."""

    INACTIVE = "inactive"
    NO_SKILL = "no_skill"
    DECLINED_BEFORE = "declined_before"
    NOT_ON_SHIFT = "not_on_shift"
    ON_LEAVE = "on_leave"
    LENT_OUT = "lent_out"
    NO_STOCK = "no_stock"
    WINDOW_UNREACHABLE = "window_unreachable"
    NO_MINUTES_LEFT = "no_minutes_left"
    WINDOW_TAKEN = "window_taken"
    ROUTE_FULL = "route_full"
    RATIO_USED_UP = "ratio_used_up"
    DEARER = "dearer"


_AWAY = {away: PassedOver(away.value) for away in Away}


class Lent(NamedTuple):
    """A loan of a technician to another org unit, by local days, `valid_to` excluded."""

    valid_from: date
    valid_to: date
    org_path: str


@dataclass(slots=True)
class Day:
    """What is left of one technician's day: times at work from now on, and minutes to give away.

    `at_first` is what was left when the diary was read; `left` goes down as orders are given.
    `seconds` are those at work, whatever is promised of them.
    """

    at_work: list[tuple[datetime, datetime]]
    left: float
    at_first: float
    away: PassedOver | None = None
    seconds: int = 0


@dataclass(slots=True)
class Diary:
    """One technician as placing sees them; `day` works a day out when it is first asked about.

    `windows` are the appointments of each day that are to be kept, holds among them. `visits` are
    what there is to do on each day, in no order, and `holds` the ids of those that are slots held
    for orders to come; `written` is each day
    as it was read, and `last` where they were last. `loans` are the days, the last excluded, on
    which they work for another org unit. Without `travel` nobody has read visits, and minutes
    alone decide. `van` is read where an order needs terminals, and empty otherwise; so are `levels`
    (of skills) where a repeat fault wants somebody better.
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
    terms: Terms | None = None
    travel: Travel | None = None
    visits: dict[date, list[Stop]] = field(default_factory=dict)
    holds: AbstractSet[UUID] = frozenset()
    written: dict[date, DayRead] = field(default_factory=dict)
    last: Place | None = None
    loans: Sequence[Lent] = ()
    van: Van = field(default_factory=Van)
    levels: Mapping[str, int] = field(default_factory=dict)
    lines: dict[date, Line | None] = field(default_factory=dict)

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
        minutes = minutes_in(at_work)
        left = min(minutes, self.daily_minutes)
        for on, (promised_minutes, orders) in self.promised.items():
            if on == day or (day == self.today and on < day):
                left -= promised_minutes + orders * self.allowance
        known = self.days[day] = Day(
            at_work, left, left, _AWAY[away] if away else None, round(minutes * 60)
        )
        return known

    def line(self, day: date) -> Line | None:
        """Lay out the visits of a local day in the order of its route, ready for another.

        None where no visits were read, and on a day off.
        """
        if day in self.lines:
            return self.lines[day]
        if self.travel is None or self.terms is None:
            return None
        visits = self.visits.get(day, ())
        frame = frame_of(
            self,
            day,
            now=self.now,
            lunch_slack=self.terms.lunch_slack,
            last=self.last,
            under_way=any(one.under_way for one in visits),
        )
        line = frame and line_of(
            frame,
            visits,
            self.written.get(day, UNREAD).route,
            self.travel,
            self.terms.late_weight,
            self.terms.late_cap,
        )
        self.lines[day] = line
        return line

    def lent_to(self, day: date) -> str | None:
        """Say for which other org unit, by its path, they work on a local day."""
        for one in self.loans:
            if one.valid_from <= day < one.valid_to:
                return one.org_path
        return None

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

    def take(self, minutes: int, diary: Diary, day: date) -> None:
        """Take an order's minutes, and the way to it."""
        self.given[day] = self.given.get(day, 0.0) + minutes + diary.allowance
