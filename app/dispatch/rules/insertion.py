"""Where on somebody's day one more visit costs least.

A day is prepared once: by when the end of each way has to be reached so that no rule is broken, and
by when so that nothing gets later. A place for another visit is then judged in constant time, and
what follows is walked only where it gets later. Ways are those at no particular hour, as in a
day's plan; what a visit, a break and a way mean is what `routes.follow` means by them.
"""

from collections.abc import Sequence
from itertools import combinations_with_replacement, pairwise
from typing import NamedTuple
from uuid import UUID

from app.dispatch.rules.routes import NEVER, Frame, Stop, in_order
from app.travel.rules import Travel
from app.workorders.rules import State

Pause = tuple[int, int, int]  # may begin from and until, and how long it takes; seconds
Pauses = tuple[Pause, ...]

FOREVER = 1 << 50
"""More than any cost, and later than any time."""


class Spot(NamedTuple):
    """Where a visit goes: before which of the day's visits (their number: at the end).

    `travel` is what the day's ways grow by in seconds, `late` the weighted seconds of lateness of
    this visit and those after it that come with it.
    """

    at: int
    travel: int
    late: int

    @property
    def cost(self) -> int:
        """Both together."""
        return self.travel + self.late


class _Walk(NamedTuple):
    """A day with its breaks on certain ways.

    By way: the breaks on it, when it is set out on (`ready`), by when its end must be reached so
    that nothing breaks (`latest`) and so that nothing gets later (`calm`). By visit: when it
    begins, and what its lateness costs.
    """

    pauses: list[Pauses]
    ready: list[int]
    latest: list[int]
    calm: list[int]
    begins: list[int]
    late: list[int]


class Line:
    """One technician's day with its visits in their order, ready for another.

    Appointments that can no longer be kept bind nobody, and a break whose time has passed is had
    all the same. A day that does not end in time as it is takes nothing more.
    """

    __slots__ = (
        "_cap",
        "_closes",
        "_first",
        "_others",
        "_pauses",
        "_places",
        "_time",
        "_travel",
        "_walk",
        "_ways",
        "_weight",
        "frame",
        "stops",
        "work",
    )

    def __init__(
        self,
        frame: Frame,
        stops: Sequence[Stop],
        travel: Travel,
        late_weight: Sequence[int] = (4, 2, 1, 1),
        late_cap: int = FOREVER,
    ) -> None:
        self.frame, self.stops, self._travel = frame, list(stops), travel
        self._weight, self._cap = late_weight, late_cap
        self.work = sum(stop.seconds for stop in stops)
        time, place, first = frame.begins, frame.start, 0
        for stop in stops:
            if not stop.under_way:
                break
            begin = time if stop.since is None else stop.since
            if stop.state is not State.ON_SITE:
                begin += travel.seconds(place, stop.place)
                begin = max(begin, frame.begins, stop.opens)
            time, place, first = max(begin + stop.seconds, frame.begins), stop.place, first + 1
        kept = time if first else 0
        self._pauses = [
            (one.begins - one.slack, max(one.begins + one.slack, kept), one.length)
            for one in frame.breaks
        ]
        self._time, self._first = time, first
        self._places = [place, *(stop.place for stop in stops[first:]), frame.end]
        self._ways = [travel.seconds(*way) for way in pairwise(self._places)]
        if not stops or frame.end is None:
            self._ways[-1] = 0
        self._closes = [stop.closes for stop in stops[first:]]
        self._prepare()

    @property
    def over(self) -> bool:
        """Tell whether the day does not end in time as it is."""
        return self._walk is None

    def _prepare(self) -> None:
        """Walk the day as it is, with its breaks where they are had best."""
        self._others: list[list[Pauses]] = []
        count, pauses = len(self._ways), self._pauses
        best: list[Pauses] = [()] * count
        if pauses:
            every = [
                _on_ways(pauses, on, count)
                for on in combinations_with_replacement(range(count), len(pauses))
            ]
            best = min(every, key=self._badness)
            self._others = [on for on in every if on is not best]
        self._walk = self._walked(best, relaxing=True)

    def _badness(self, on: list[Pauses]) -> tuple[int, int, int]:
        """Say how bad the day is with its breaks on these ways: rules broken, lateness, home."""
        broken = late = 0
        time = self._time
        for way, stop, closes, pauses in zip(
            self._ways, self.stops[self._first :], self._closes, on, strict=False
        ):
            there, missed = _slow(time, way, pauses)
            begin = max(there, stop.opens)
            broken += missed + (begin > closes)
            time = begin + stop.seconds
            if time > stop.due:
                late += (time - stop.due) * self._weight[stop.priority - 1]
        home, missed = _slow(time, self._ways[-1], on[-1])
        return broken + missed + (home > self.frame.ends), late, home

    def _walked(self, on: list[Pauses], *, relaxing: bool = False) -> _Walk | None:
        """Prepare the day with its breaks on these ways; None when it breaks a rule.

        `relaxing` forgets for good the appointments and times of breaks that are missed anyway.
        """
        stops, ways, closes = self.stops[self._first :], self._ways, self._closes
        ready, begins, late, time = [self._time], list[int](), list[int](), self._time
        for place, stop in enumerate(stops):
            there, missed = _slow(time, ways[place], on[place])
            begin = max(there, stop.opens)
            if missed or begin > closes[place]:
                if not relaxing:
                    return None
                if begin > closes[place]:
                    closes[place] = NEVER
                if missed:
                    on = self._forget(on, place, time)
            time = begin + stop.seconds
            ready.append(time)
            begins.append(begin)
            late.append(self._lateness(stop, time))
        home, missed = _slow(time, ways[-1], on[-1])
        if missed and relaxing:
            on, missed = self._forget(on, len(stops), time), 0
        if missed or home > self.frame.ends:
            return None
        latest, calm = [self.frame.ends], [self.frame.ends]
        for place in range(len(stops) - 1, -1, -1):
            stop = stops[place]
            by = min(
                closes[place], _back(latest[-1], ways[place + 1], on[place + 1]) - stop.seconds
            )
            quiet = _back(calm[-1], ways[place + 1], on[place + 1]) - stop.seconds
            if not late[place]:
                quiet = min(quiet, stop.due - stop.seconds)
            elif late[place] < self._cap * self._weight[stop.priority - 1]:
                quiet = min(quiet, begins[place])
            latest.append(by)
            calm.append(min(by, quiet))
        latest.reverse()
        calm.reverse()
        return _Walk(on, ready, latest, calm, begins, late)

    def _forget(self, on: list[Pauses], way: int, time: int) -> list[Pauses]:
        """Let those breaks on a way that is left at `time` begin at any time whose own the day has
        missed; the others keep theirs."""
        gone = []
        for soonest, until, length in on[way]:
            if time > until:
                gone.append((soonest, until, length))
            time = max(time, soonest) + length

        def kept(pauses: Sequence[Pause]) -> list[Pause]:
            return [(one[0], FOREVER, one[2]) if one in gone else one for one in pauses]

        self._pauses, self._others = kept(self._pauses), []
        return [tuple(kept(each)) if place == way else each for place, each in enumerate(on)]

    def _lateness(self, stop: Stop, end: int) -> int:
        over = end - stop.due
        return 0 if over <= 0 else min(over, self._cap) * self._weight[stop.priority - 1]

    def spot(self, stop: Stop, below: int = FOREVER) -> Spot | None:
        """Find the cheapest place for another visit; None when there is none, or none `below`.

        Of places that cost the same the last: what stands before keeps its time.
        """
        walk = self._walk
        if walk is None:
            return None
        seconds, places, ways = self._travel.seconds, self._places, self._ways
        there = [seconds(place, stop.place) for place in places[:-1]]
        if self._travel.learned:
            onward = [seconds(stop.place, place) for place in places[1:]]
        else:
            onward = [*there[1:], seconds(stop.place, places[-1])]
        if self.frame.end is None:
            onward[-1] = 0
        best: Spot | None = None
        unsure: list[tuple[int, int]] = []
        for at in range(len(ways) - 1, -1, -1):
            extra = there[at] + onward[at] - ways[at]
            if extra >= below:
                continue
            late = self._fits(walk, at, there[at], onward[at], stop)
            if late != 0 and self._others:
                unsure.append((extra, at))
            if late is not None and extra + late < below:
                below = extra + late
                best = Spot(at + self._first, extra, late)
        for extra, at in unsure:
            for other in self._others:
                if extra >= below:
                    break
                # With a break elsewhere it may fit, or be less late.
                moved = self._walked(other)
                late = moved and self._fits(moved, at, there[at], onward[at], stop)
                if moved is None or late is None:
                    continue
                late = max(0, late + sum(moved.late) - sum(walk.late))
                if extra + late < below:
                    below = extra + late
                    best = Spot(at + self._first, extra, late)
        return best

    def _fits(self, walk: _Walk, at: int, there: int, onward: int, stop: Stop) -> int | None:
        """Say what lateness a visit on a way brings; None when it breaks a rule there."""
        pauses, best = walk.pauses[at], None
        for cut in range(len(pauses) + 1):
            begin, missed = _slow(walk.ready[at], there, pauses[:cut])
            begin = max(begin, stop.opens)
            if missed or begin > stop.closes:
                continue
            end = begin + stop.seconds
            then, missed = _slow(end, onward, pauses[cut:])
            if missed or then > walk.latest[at]:
                continue
            late = self._lateness(stop, end)
            if then > walk.calm[at]:
                late += self._later(walk, at, then)
            if best is None or late < best:
                best = late
        return best

    def _later(self, walk: _Walk, at: int, time: int) -> int:
        """Add up the lateness of what follows that is due to the end of a way being reached then,
        beyond what there is anyway."""
        stops, more = self.stops, 0
        for place in range(at, len(walk.begins)):
            stop = stops[place + self._first]
            begin = max(time, stop.opens)
            if begin <= walk.begins[place]:
                break
            end = begin + stop.seconds
            more += self._lateness(stop, end) - walk.late[place]
            time, _ = _slow(end, self._ways[place + 1], walk.pauses[place + 1])
        return max(0, more)

    def without(self, stop: Stop) -> "Line":
        """Make the same day without one of its visits."""
        rest = [one for one in self.stops if one is not stop]
        return Line(self.frame, rest, self._travel, self._weight, self._cap)

    def take(self, stop: Stop, at: int) -> None:
        """Put another visit before one of the day's visits, or with their number at the end."""
        way, seconds = at - self._first, self._travel.seconds
        self.stops.insert(at, stop)
        self.work += stop.seconds
        self._places.insert(way + 1, stop.place)
        self._closes.insert(way, stop.closes)
        last = len(self._ways) - 1
        onward = seconds(stop.place, self._places[way + 2])
        if way == last and self.frame.end is None:
            onward = 0
        self._ways[way : way + 1] = [seconds(self._places[way], stop.place), onward]
        self._prepare()


def line_of(
    frame: Frame,
    stops: Sequence[Stop],
    route: Sequence[UUID],
    travel: Travel,
    late_weight: Sequence[int] = (4, 2, 1, 1),
    late_cap: int = FOREVER,
) -> Line:
    """Prepare a day whose route is written down; what that does not know goes where it costs least,
    and where it fits nowhere, to the end."""
    known = set(route)
    ordered = in_order(stops, route)
    line = Line(
        frame,
        [stop for stop in ordered if stop.under_way or stop.order_id in known],
        travel,
        late_weight,
        late_cap,
    )
    for stop in ordered:
        if not stop.under_way and stop.order_id not in known:
            spot = line.spot(stop)
            line.take(stop, len(line.stops) if spot is None else spot.at)
    return line


def _on_ways(pauses: Sequence[Pause], on: Sequence[int], ways: int) -> list[Pauses]:
    """Say which breaks are on each way, given the way of each."""
    return [
        tuple(pause for pause, place in zip(pauses, on, strict=True) if place == way)
        for way in range(ways)
    ]


def _slow(time: int, way: int, pauses: Pauses) -> tuple[int, int]:
    """Say when the end of a way is reached with some breaks on it, and how many begin too late."""
    there = time + way
    if not pauses:
        return there, 0
    missed = 0
    for soonest, until, length in pauses:
        missed += time > until
        time = max(time, soonest) + length
        there = max(there, soonest) + length
    return there, missed


def _back(by: int, way: int, pauses: Pauses) -> int:
    """Say when a way must be set out on at the latest to reach its end by a moment."""
    least, spent = FOREVER, 0
    for _, until, length in pauses:
        least = min(least, until - spent)
        spent += length
    return min(least, by - way - spent)
