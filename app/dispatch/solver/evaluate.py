"""The judge: scores a plan of any engine in plain Python and checks every hard rule.

Nothing here is shared with the search but the meaning of the arrays (model.py), so that a mistake
of the search cannot hide.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from app.dispatch.solver.model import FAR, Bounds, Plan, Problem, binding, bounds


class Rule(StrEnum):
    """A hard rule."""

    ONCE = "once"  # a visit is in one route at the most
    FROZEN = "frozen"  # what is frozen comes first
    ALLOWED = "allowed"  # skills, pins
    STOCK = "stock"  # what the van holds
    WINDOW = "window"  # the booked window, and the cap on lateness
    LUNCH = "lunch"
    SHIFT = "shift"  # at the end place by the end of the shift


class Breach(NamedTuple):
    """A hard rule broken: by whom, and at which visit (-1: no single one)."""

    rule: Rule
    technician: int
    visit: int


class Stop(NamedTuple):
    """A visit on its technician's day; times in seconds."""

    visit: int
    arrive: int
    begin: int
    end: int
    late: int  # seconds after `due`


class Day(NamedTuple):
    """A technician's day."""

    stops: tuple[Stop, ...]
    lunch: int  # when it begins, -1: none
    home: int  # when the end place is reached, lunch at home included
    travel: int
    work: int


@dataclass(frozen=True, slots=True)
class Bill:
    """The cost of a plan by what it is for, in seconds of travel."""

    travel: int
    ownership: int
    moved: int
    late: int
    uneven: int
    unplaced: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.travel + self.ownership + self.moved + self.late + self.uneven + self.unplaced


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judge finds."""

    bill: Bill
    breaches: tuple[Breach, ...]
    days: tuple[Day, ...]
    unplaced: tuple[int, ...]


def judge(problem: Problem, plan: Plan) -> Verdict:
    """Score a plan and check every hard rule. One route a technician, in the problem's order."""
    if len(plan) != problem.v:
        raise ValueError(f"{len(plan)} routes for {problem.v} technicians")
    limits, allowed = bounds(problem), binding(problem)
    visits, staff, costs = problem.visits, problem.technicians, problem.costs
    breaches: list[Breach] = []
    days: list[Day] = []
    seen: set[int] = set()
    travel = ownership = moved = late = uneven = 0
    for technician, route in enumerate(plan):
        frozen = problem.frozen_of(technician)
        if route[: len(frozen)] != frozen:
            breaches.append(Breach(Rule.FROZEN, technician, -1))
        carried = [0] * visits.needs.shape[1]
        for visit in route:
            if visit in seen:
                breaches.append(Breach(Rule.ONCE, technician, visit))
            seen.add(visit)
            if allowed[visit, technician] >= FAR:
                breaches.append(Breach(Rule.ALLOWED, technician, visit))
            if visit in frozen:
                continue
            for kind in range(len(carried)):
                carried[kind] += int(visits.needs[visit, kind])
            ownership += costs.ownership[problem.owner_class[visits.grid[visit], technician]]
            if visits.published[visit] not in (-1, technician):
                moved += costs.moved
        if any(carried[k] > staff.stock[technician, k] for k in range(len(carried))):
            breaches.append(Breach(Rule.STOCK, technician, -1))
        day, broken = follow(problem, limits, technician, route)
        breaches += broken
        days.append(day)
        travel += day.travel
        late += sum(stop.late * int(visits.late_weight[stop.visit]) for stop in day.stops)
        over = max(0, day.work - int(staff.share[technician]))
        uneven += over * costs.uneven // 1000
    left = tuple(visit for visit in range(problem.n) if visit not in seen)
    bill = Bill(
        travel, ownership, moved, late, uneven, sum(int(visits.unplaced[visit]) for visit in left)
    )
    return Verdict(bill, tuple(breaches), tuple(days), left)


def follow(
    problem: Problem, limits: Bounds, technician: int, route: tuple[int, ...]
) -> tuple[Day, list[Breach]]:
    """Follow one technician through the day, everything as early as can be.

    Lunch is had on the way on which it breaks no rule, makes the least late, and then ends the day
    first; every way is tried. Before the first visit and after the last are ways too.
    """
    if not route:
        at = int(problem.technicians.shift_start[technician])
        return Day((), -1, at, 0, 0), []
    if not problem.technicians.lunch_length[technician]:
        return _walk(problem, limits, technician, route, -1)
    tried = [_walk(problem, limits, technician, route, way) for way in range(len(route) + 1)]
    weight = problem.visits.late_weight

    def badness(walked: tuple[Day, list[Breach]]) -> tuple[int, int, int]:
        day, broken = walked
        late = sum(stop.late * int(weight[stop.visit]) for stop in day.stops)
        return len(broken), late, day.home

    return min(tried, key=badness)


def _walk(
    problem: Problem, limits: Bounds, technician: int, route: tuple[int, ...], lunch_way: int
) -> tuple[Day, list[Breach]]:
    """Walk a route with lunch on the way after so many visits (-1: none)."""
    visits, staff = problem.visits, problem.technicians
    breaches: list[Breach] = []
    stops: list[Stop] = []
    time, place = int(staff.shift_start[technician]), int(staff.start_place[technician])
    lunch, travel = -1, 0
    for step in range(len(route) + 1):
        home = step == len(route)
        to = int(staff.end_place[technician] if home else visits.place[route[step]])
        way = int(problem.travel[place, to])
        travel += way
        there = time + way
        if step == lunch_way:
            earliest, latest = (
                int(staff.lunch_from[technician]),
                int(limits.lunch_until[technician]),
            )
            if time > latest:
                breaches.append(Breach(Rule.LUNCH, technician, -1 if home else route[step]))
            # It may interrupt the way, and a way that ends before lunch time waits for it.
            lunch = max(time, earliest, min(there, latest))
            there = max(there, earliest) + int(staff.lunch_length[technician])
        time, place = there, to
        if home:
            break
        visit = route[step]
        begin = max(there, int(visits.opens[visit]))
        end = begin + int(visits.duration[visit])
        if begin > limits.closes[visit]:
            breaches.append(Breach(Rule.WINDOW, technician, visit))
        stops.append(Stop(visit, there, begin, end, max(0, end - int(limits.due[visit]))))
        time = end
    if time > limits.shift_end[technician]:
        breaches.append(Breach(Rule.SHIFT, technician, -1))
    work = sum(int(visits.duration[visit]) for visit in route)
    return Day(tuple(stops), lunch, time, travel, work), breaches
