"""A technician's way through a day: when each visit begins, what is late, and what does not fit.

Pure. All times are whole seconds since 1970 (UTC), so that nothing here knows of zones but the
hour by which travel is looked up. What a visit, a break and a way mean is what the planning kernel
means by them (app/dispatch/solver/model.py); a test holds the two against each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.travel.rules import Place, Travel
from app.workorders.rules import UNDER_WAY, State

NEVER = 1 << 40
"""A moment that does not come."""


class Stop(NamedTuple):
    """A visit to be made: `seconds` at the door, begun between `opens` and `closes` (0 and NEVER
    without an appointment), finished in time by `due` (NEVER: nothing is promised).

    `since` is when the technician set out for it or checked in, for a visit under way.
    """

    order_id: UUID
    place: Place | None
    seconds: int
    opens: int = 0
    closes: int = NEVER
    due: int = NEVER
    priority: int = 3
    state: State = State.ASSIGNED
    since: int | None = None
    pinned: bool = False

    @property
    def under_way(self) -> bool:
        """Tell whether the technician is at it, or on the way to it."""
        return self.state in UNDER_WAY


class Break(NamedTuple):
    """A time off in the middle of a day: it may begin `slack` seconds earlier or later (lunch), or
    at its moment alone (a leave)."""

    begins: int
    length: int
    slack: int


class Frame(NamedTuple):
    """What somebody's day has to fit into: from `begins` at `start` to `ends` at `end`.

    `begins` is the shift's first moment, or now where that has passed; `start` is then where they
    were last. `offset` is what local time is ahead of UTC, in seconds.
    """

    begins: int
    ends: int
    start: Place | None
    end: Place | None
    breaks: tuple[Break, ...] = ()
    offset: int = 28_800


class Rule(StrEnum):
    """What a day can break."""

    WINDOW = "window"  # a booked appointment
    SHIFT = "shift"  # home by the end of the shift
    BREAK = "break"  # a break has no room


class Timed(NamedTuple):
    """A visit in time: `way` seconds of travel to it, from `leave` to `arrive`; work from `begin`
    to `end`; `late` seconds after what was promised."""

    stop: Stop
    leave: int
    way: int
    arrive: int
    begin: int
    end: int
    late: int

    @property
    def wait(self) -> int:
        """Seconds at the door before the appointment begins."""
        return self.begin - self.arrive


class Broken(NamedTuple):
    """A rule that a day breaks, and at which order (None: at the end of the day)."""

    rule: Rule
    order_id: UUID | None


@dataclass(frozen=True, slots=True)
class Drive:
    """A day as it goes: its visits, when breaks begin, when home is reached, seconds of travel."""

    visits: tuple[Timed, ...]
    breaks: tuple[int, ...]
    home: int
    travel: int
    broken: tuple[Broken, ...]

    @property
    def holds(self) -> bool:
        """Tell whether the day breaks no rule."""
        return not self.broken


def follow(frame: Frame, stops: Sequence[Stop], travel: Travel) -> Drive:
    """Follow somebody through a day, each visit as early as can be.

    A break is had on the way on which it lets most hold: before a visit that would else end after
    the last moment at which the break may begin, or sooner where that costs nothing.
    """
    time, place = frame.begins, frame.start
    left = list(frame.breaks)
    visits: list[Timed] = []
    breaks: list[int] = []
    broken: list[Broken] = []
    driven = 0
    for stop in stops:
        leave = time
        if stop.under_way and stop.since is not None:
            leave = stop.since
        if stop.state is State.ON_SITE:
            way, there = 0, leave
        else:
            way = travel.seconds(place, stop.place, ((leave + frame.offset) // 3_600) % 24)
            there = max(leave + way, frame.begins) if stop.under_way else leave + way
            while left and not stop.under_way:
                begin = max(there, stop.opens)
                pause = left[0]
                earliest, latest = pause.begins - pause.slack, pause.begins + pause.slack
                # Waiting for an appointment is a good time for a break that may begin by then.
                idle = max(there, earliest) + pause.length <= begin
                if begin + stop.seconds <= latest and not idle:
                    break
                began = max(leave, earliest, min(there, latest))
                if leave > latest:
                    broken.append(Broken(Rule.BREAK, stop.order_id))
                breaks.append(began)
                there = max(there, earliest) + pause.length
                del left[0]
        begin = max(there, stop.opens) if stop.state is not State.ON_SITE else there
        if begin > stop.closes and not stop.under_way:
            broken.append(Broken(Rule.WINDOW, stop.order_id))
        # Work that takes longer than was thought may end at any moment: now is the earliest.
        end = max(begin + stop.seconds, frame.begins) if stop.under_way else begin + stop.seconds
        driven += way
        visits.append(Timed(stop, leave, way, there, begin, end, max(0, end - stop.due)))
        time, place = end, stop.place
    way = 0
    if stops and frame.end is not None:
        way = travel.seconds(place, frame.end, ((time + frame.offset) // 3_600) % 24)
    home = time + way
    if stops:
        for pause in left:
            earliest, latest = pause.begins - pause.slack, pause.begins + pause.slack
            # Who is home before the break begins has it there.
            if home <= latest and home < pause.begins + pause.length and home <= earliest:
                continue
            breaks.append(max(time, earliest, min(home, latest)))
            home = max(home, earliest) + pause.length
        if home > frame.ends:
            broken.append(Broken(Rule.SHIFT, None))
    return Drive(tuple(visits), tuple(breaks), home, driven + way, tuple(broken))


def in_order(stops: Iterable[Stop], route: Sequence[UUID]) -> list[Stop]:
    """Put a day's visits into the order of its route: what is under way comes first, and those
    that the route does not know come last, by what is asked of them."""
    places = {order_id: place for place, order_id in enumerate(route)}
    return sorted(
        stops,
        key=lambda stop: (
            not stop.under_way,
            places.get(stop.order_id, len(places)),
            min(stop.closes, stop.due),
            stop.priority,
            stop.order_id,
        ),
    )
