"""What is to be planned: one district's day as arrays, with every cost handed in.

All times are whole seconds after an origin that the caller chooses (midnight of the day), all costs
whole seconds of travel or what is thought worth as much. There are n visits, v technicians, P
places, G grids and S kinds of stock (models of terminals).
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Ints = NDArray[np.int32]
Longs = NDArray[np.int64]

FAR = 1 << 30
"""A time that never comes, and the cost of what may not be."""

LONGEST = 10_000_000
"""Bound of any time, way or single cost (115 days), so that sums of them never overflow."""

Plan = tuple[tuple[int, ...], ...]
"""The visits of each technician in the order of the day; visits in no route are unplaced."""


class Unfit(ValueError):
    """The arrays do not fit together; the message says which and how."""


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """The visits to be planned; each array has the shape (n,), `needs` (n, S)."""

    place: Ints  # row of `Problem.travel`
    grid: Ints  # row of `Problem.owner_class`
    duration: Ints  # seconds at the door
    opens: Ints  # earliest start: the booked window, or 0
    closes: Ints  # latest start: the booked window, or FAR
    due: Ints  # a finish by then is in time; FAR: nothing is promised
    late_weight: Ints  # cost of each second after `due`, by priority: 4, 2, 1, 1
    unplaced: Ints  # cost of leaving it out, by priority
    skills: Longs  # bit mask; all of these are needed
    needs: Ints  # pieces taken from the van, by kind
    pinned: Ints  # the one technician who may do it, -1: any
    published: Ints  # technician of the published plan, -1: in none

    @staticmethod
    def of(
        place: ArrayLike,
        duration: ArrayLike,
        *,
        grid: ArrayLike = 0,
        opens: ArrayLike = 0,
        closes: ArrayLike = FAR,
        due: ArrayLike = FAR,
        late_weight: ArrayLike = 1,
        unplaced: ArrayLike = 9_000,
        skills: ArrayLike = 0,
        needs: ArrayLike | None = None,
        pinned: ArrayLike = -1,
        published: ArrayLike = -1,
    ) -> "Visits":
        """Make visits; what is left out, or given once, is the same for all of them."""
        where = np.ascontiguousarray(place, np.int32)
        column = _columns(where.shape)
        return Visits(
            place=where,
            grid=column(grid),
            duration=column(duration),
            opens=column(opens),
            closes=column(closes),
            due=column(due),
            late_weight=column(late_weight),
            unplaced=column(unplaced),
            skills=np.ascontiguousarray(np.broadcast_to(np.asarray(skills, np.int64), where.shape)),
            needs=_table(needs, len(where)),
            pinned=column(pinned),
            published=column(published),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Technicians:
    """Those on shift; each array has the shape (v,), `stock` (v, S).

    Leave that takes the edge of a shift shortens it; leave in the middle of one is a visit at the
    place where it is spent, with a window of one moment and pinned to its technician.
    """

    start_place: Ints  # rows of `Problem.travel`
    end_place: Ints
    shift_start: Ints  # leaves the start place then at the earliest
    shift_end: Ints  # is at the end place then at the latest
    skills: Longs  # bit mask
    stock: Ints  # pieces in the van, by kind
    lunch_from: Ints  # lunch begins then at the earliest
    lunch_until: Ints  # and then at the latest
    lunch_length: Ints  # seconds; 0: no lunch
    share: Ints  # seconds of service that are a fair day's share; FAR: not weighed

    @staticmethod
    def of(
        start_place: ArrayLike,
        shift_start: ArrayLike,
        shift_end: ArrayLike,
        *,
        end_place: ArrayLike | None = None,
        skills: ArrayLike = 0,
        stock: ArrayLike | None = None,
        lunch_from: ArrayLike = 0,
        lunch_until: ArrayLike = 0,
        lunch_length: ArrayLike = 0,
        share: ArrayLike = FAR,
    ) -> "Technicians":
        """Make technicians; what is left out, or given once, is the same for all of them."""
        start = np.ascontiguousarray(start_place, np.int32)
        column = _columns(start.shape)
        return Technicians(
            start_place=start,
            end_place=start if end_place is None else column(end_place),
            shift_start=column(shift_start),
            shift_end=column(shift_end),
            skills=np.ascontiguousarray(np.broadcast_to(np.asarray(skills, np.int64), start.shape)),
            stock=_table(stock, len(start)),
            lunch_from=column(lunch_from),
            lunch_until=column(lunch_until),
            lunch_length=column(lunch_length),
            share=column(share),
        )


@dataclass(frozen=True, slots=True)
class Costs:
    """What is thought worth how many seconds of travel; dated settings of the org unit."""

    ownership: tuple[int, ...] = (0, 180, 720, 1_500)
    """Of a visit by its technician's class in its grid: primary, backup, same branch, other."""
    late_cap: int = 7_200
    """A visit that would finish later than this after `due` stays unplaced."""
    moved: int = 0
    """Of a visit that goes to somebody else than in the published plan."""
    uneven: int = 0
    """Of service beyond a technician's share, in thousandths."""


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """One district's day.

    `frozen` holds, by technician, the visits that come first in this order whatever happens: those
    begun, and those that the settings freeze. They are facts: no window, skill or stock is asked
    of them, and no lateness is priced.

    Raises Unfit.
    """

    visits: Visits
    technicians: Technicians
    travel: Ints  # (P, P) seconds from the row's place to the column's
    owner_class: NDArray[np.uint8]  # (G, v) index into `costs.ownership`
    costs: Costs = field(default_factory=Costs)
    frozen: Plan = ()

    @property
    def n(self) -> int:
        """The number of visits."""
        return len(self.visits.place)

    @property
    def v(self) -> int:
        """The number of technicians."""
        return len(self.technicians.start_place)

    def frozen_of(self, technician: int) -> tuple[int, ...]:
        """The visits that come first for this technician."""
        return self.frozen[technician] if self.frozen else ()

    def __post_init__(self) -> None:
        """Refuse arrays that do not fit together."""
        visits, staff = self.visits, self.technicians
        for part, size in ((visits, self.n), (staff, self.v)):
            for name in part.__dataclass_fields__:
                if len(getattr(part, name)) != size:
                    raise Unfit(f"{name} has {len(getattr(part, name))} rows instead of {size}")
        places = len(self.travel)
        _within("travel", self.travel, 0, LONGEST)
        _within("place", visits.place, 0, places - 1)
        _within("start_place", staff.start_place, 0, places - 1)
        _within("end_place", staff.end_place, 0, places - 1)
        for name in ("duration", "late_weight", "unplaced", "opens"):
            _within(name, getattr(visits, name), 0, LONGEST)
        for name in ("shift_start", "shift_end", "lunch_from", "lunch_until", "lunch_length"):
            _within(name, getattr(staff, name), 0, LONGEST)
        for name in ("closes", "due"):
            _within(name, getattr(visits, name), 0, FAR)
        _within("share", staff.share, 0, FAR)
        _within("needs", visits.needs, 0, LONGEST)
        _within("stock", staff.stock, 0, LONGEST)
        _within("pinned", visits.pinned, -1, self.v - 1)
        _within("published", visits.published, -1, self.v - 1)
        _within("owner_class", self.owner_class, 0, len(self.costs.ownership) - 1)
        _within("grid", visits.grid, 0, len(self.owner_class) - 1)
        costs = (*self.costs.ownership, self.costs.late_cap, self.costs.moved, self.costs.uneven)
        _within("costs", np.array(costs), 0, LONGEST)
        if self.travel.shape != (places, places):
            raise Unfit(f"travel is {self.travel.shape}, not square")
        if self.owner_class.shape[1:] != (self.v,):
            raise Unfit("owner_class has not one column a technician")
        if visits.needs.shape[1] != staff.stock.shape[1]:
            raise Unfit("needs and stock know different kinds")
        if (staff.shift_end < staff.shift_start).any():
            raise Unfit("a shift ends before it starts")
        if self.frozen and len(self.frozen) != self.v:
            raise Unfit("frozen has not one row a technician")
        fixed = [visit for prefix in self.frozen for visit in prefix]
        if len(set(fixed)) != len(fixed) or not set(fixed) <= set(range(self.n)):
            raise Unfit("frozen names a visit twice, or one that there is not")


class Bounds(NamedTuple):
    """The hard times as they apply, with what is frozen taken as it is."""

    closes: Longs  # (n,) latest start: the window, and the cap on lateness
    due: Longs  # (n,)
    shift_end: Longs  # (v,)
    lunch_until: Longs  # (v,)


def bounds(problem: Problem) -> Bounds:
    """Work out the hard times.

    A technician whose frozen visits outlast the shift, or the time of lunch, is taken home and fed
    as soon as they are done.
    """
    visits, staff = problem.visits, problem.technicians
    due = visits.due.astype(np.int64)
    capped = due + problem.costs.late_cap - visits.duration
    closes = np.where(due < FAR, np.minimum(visits.closes, capped), visits.closes).astype(np.int64)
    shift_end = staff.shift_end.astype(np.int64)
    lunch_until = staff.lunch_until.astype(np.int64)
    for technician, prefix in enumerate(problem.frozen):
        if not prefix:
            continue
        closes[list(prefix)] = due[list(prefix)] = FAR
        time, place = int(staff.shift_start[technician]), int(staff.start_place[technician])
        for visit in prefix:
            there = time + int(problem.travel[place, visits.place[visit]])
            place = int(visits.place[visit])
            time = max(there, int(visits.opens[visit])) + int(visits.duration[visit])
        lunch = int(staff.lunch_length[technician])
        if lunch:
            lunch_until[technician] = max(lunch_until[technician], time)
        home = time + int(problem.travel[place, staff.end_place[technician]])
        if lunch:
            home = max(home, int(staff.lunch_from[technician])) + lunch
        shift_end[technician] = max(shift_end[technician], home)
    return Bounds(closes, due, shift_end, lunch_until)


def binding(problem: Problem) -> Longs:
    """What each visit costs with each technician before anybody travels, (n, v); FAR: not allowed.

    Ownership of the grid, and the change against the published plan; skills, pins and a van that
    never had enough forbid.
    """
    visits, staff, costs = problem.visits, problem.technicians, problem.costs
    cost = np.asarray(costs.ownership, np.int64)[problem.owner_class[visits.grid]]
    published = visits.published[:, None]
    someone_else = (published >= 0) & (published != np.arange(problem.v))
    cost += np.where(someone_else, costs.moved, 0)
    forbidden = (visits.skills[:, None] & ~staff.skills[None, :]) != 0
    forbidden |= (visits.pinned[:, None] >= 0) & (visits.pinned[:, None] != np.arange(problem.v))
    for kind in range(visits.needs.shape[1]):
        forbidden |= visits.needs[:, kind, None] > staff.stock[None, :, kind]
    cost[forbidden] = FAR
    for technician, prefix in enumerate(problem.frozen):
        for visit in prefix:
            cost[visit] = FAR
            cost[visit, technician] = 0
    return cost


def travel_by_speed(
    x: ArrayLike, y: ArrayLike, *, metres_per_second: float, detour: float = 1.3, least: int = 0
) -> Ints:
    """Travel between points in a plane (metres), in whole seconds rounded up, (P, P).

    The straight line times `detour` at one speed, and `least` for getting in and out of the car.
    """
    across, along = np.asarray(x, np.float64), np.asarray(y, np.float64)
    line = np.hypot(across[:, None] - across, along[:, None] - along)
    seconds = np.ceil(line * (detour / metres_per_second)).astype(np.int32)
    seconds[line > 0] += least
    return np.ascontiguousarray(seconds)


def _columns(shape: tuple[int, ...]) -> "_Column":
    return _Column(shape)


class _Column:
    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def __call__(self, values: ArrayLike) -> Ints:
        wide = np.asarray(values, np.int64)
        if wide.size and (wide.max() > FAR or wide.min() < -FAR):
            raise Unfit(f"a number is out of range: {wide.max()}")
        return np.ascontiguousarray(np.broadcast_to(wide.astype(np.int32), self.shape))


def _table(values: ArrayLike | None, rows: int) -> Ints:
    if values is None:
        return np.zeros((rows, 0), np.int32)
    return np.ascontiguousarray(values, np.int32).reshape(rows, -1)


def _within(name: str, values: NDArray[np.integer], least: int, most: int) -> None:
    if values.size and (values.min() < least or values.max() > most):
        raise Unfit(f"{name} holds {values.min()} to {values.max()}, allowed {least} to {most}")
