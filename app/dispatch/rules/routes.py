"""A technician's way through a day: when each visit begins, what is late, and what does not fit.

Pure. All times are whole seconds since 1970 (UTC), so that nothing here knows of zones but the
hour by which travel is looked up. What a visit, a break and a way mean is what the planning kernel
means by them (app/dispatch/solver/model.py); a test holds the two against each other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations_with_replacement
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


def follow(
    frame: Frame,
    stops: Sequence[Stop],
    travel: Travel,
    late_weight: Sequence[int] = (4, 2, 1, 1),
) -> Drive:
    """Follow somebody through a day, each visit as early as can be.

    Breaks are had on the ways on which they break the fewest rules, let least be late, by priority,
    and then let home be reached first; of equals, at the time nearest to their own. What is under
    way is a fact: whoever is at it beyond the time of a break has the break afterwards.
    """
    walk = _Walk(frame, stops, travel, late_weight)
    if not frame.breaks or not stops:
        return walk.drive(())
    ways = combinations_with_replacement(range(walk.first, len(stops) + 1), len(frame.breaks))
    return walk.drive(min(ways, key=walk.badness))


class _Walk:
    """A day with its breaks on ways that are tried: way 0 leads to the first visit."""

    def __init__(
        self, frame: Frame, stops: Sequence[Stop], travel: Travel, late_weight: Sequence[int]
    ) -> None:
        self.frame, self.stops, self.travel, self.late_weight = frame, stops, travel, late_weight
        self.first = sum(stop.under_way for stop in stops)
        self.known: dict[tuple[int, int], int] = {}
        self.begun: list[Timed] = []
        self.time, self.place = frame.begins, frame.start
        for step, stop in enumerate(stops[: self.first]):
            self._go_on(step, stop)
        # Whoever is kept beyond the time of a break has it as soon as they are done.
        kept = self.time if self.begun else 0
        self.pauses = [
            (one.begins - one.slack, max(one.begins + one.slack, kept), one) for one in frame.breaks
        ]

    def _go_on(self, step: int, stop: Stop) -> None:
        """Go on with a visit that is under way."""
        since = self.time if stop.since is None else stop.since
        way, there, begin = 0, since, since
        if stop.state is not State.ON_SITE:
            way = self.way(step, self.place, stop.place, since)
            there = max(since + way, self.frame.begins)
            begin = max(there, stop.opens)
        # Work that takes longer than was thought may end at any moment: now is the earliest.
        end = max(begin + stop.seconds, self.frame.begins)
        self.begun.append(Timed(stop, since, way, there, begin, end, max(0, end - stop.due)))
        self.time, self.place = end, stop.place

    def way(self, step: int, start: Place | None, end: Place | None, leave: int) -> int:
        """Seconds of a way, looked up once an hour."""
        hour = (leave + self.frame.offset) // 3_600 % 24
        known = self.known.get((step, hour))
        if known is None:
            known = self.known[step, hour] = self.travel.seconds(start, end, hour)
        return known

    def badness(self, ways: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Say how bad a day is with its breaks on these ways."""
        broken = late = astray = taken = 0
        time, place = self.time, self.place
        for step in range(self.first, len(self.stops) + 1):
            stop = self.stops[step] if step < len(self.stops) else None
            to = self.frame.end if stop is None else stop.place
            way = 0 if to is None and stop is None else self.way(step, place, to, time)
            there = time + way
            while taken < len(ways) and ways[taken] == step:
                earliest, latest, pause = self.pauses[taken]
                broken += time > latest
                began = max(time, earliest, min(there, latest))
                astray += abs(began - pause.begins)
                time = max(time, earliest) + pause.length
                there = max(there, earliest) + pause.length
                taken += 1
            if stop is None:
                return broken + (there > self.frame.ends), late, there, astray
            begin = max(there, stop.opens)
            broken += begin > stop.closes
            time, place = begin + stop.seconds, stop.place
            if time > stop.due:
                late += (time - stop.due) * self.late_weight[stop.priority - 1]
        raise AssertionError("the last way leads home")

    def drive(self, ways: tuple[int, ...]) -> Drive:
        """Write down the day with its breaks on these ways."""
        visits, breaks, broken = list(self.begun), list[int](), list[Broken]()
        time, place, taken = self.time, self.place, 0
        driven = sum(one.way for one in visits)
        for step, stop in enumerate(self.stops[self.first :], self.first):
            way = self.way(step, place, stop.place, time)
            leave, there = time, time + way
            while taken < len(ways) and ways[taken] == step:
                time, there = self._pause(taken, time, there, stop.order_id, breaks, broken)
                taken += 1
            begin = max(there, stop.opens)
            if begin > stop.closes:
                broken.append(Broken(Rule.WINDOW, stop.order_id))
            end = begin + stop.seconds
            driven += way
            visits.append(Timed(stop, leave, way, there, begin, end, max(0, end - stop.due)))
            time, place = end, stop.place
        if not self.stops:
            return Drive((), (), time, 0, ())
        way = 0
        if self.frame.end is not None:
            way = self.way(len(self.stops), place, self.frame.end, time)
        home = time + way
        for rest in range(taken, len(ways)):
            if home <= self.pauses[rest][0]:
                break  # whoever is home before a break may begin has it there
            time, home = self._pause(rest, time, home, None, breaks, broken)
        if home > self.frame.ends:
            broken.append(Broken(Rule.SHIFT, None))
        return Drive(tuple(visits), tuple(breaks), home, driven + way, tuple(broken))

    def _pause(
        self,
        number: int,
        time: int,
        there: int,
        order_id: UUID | None,
        breaks: list[int],
        broken: list[Broken],
    ) -> tuple[int, int]:
        """Have a break on a way left at `time` that would lead `there`; say both afterwards."""
        earliest, latest, pause = self.pauses[number]
        if time > latest:
            broken.append(Broken(Rule.BREAK, order_id))
        breaks.append(max(time, earliest, min(there, latest)))
        return max(time, earliest) + pause.length, max(there, earliest) + pause.length


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
