"""A made province-day: branches of cities and of the country, by a seed.

At scale 1 there are 140 branches with 1,200 grids, 4,000 technicians and 20,000 orders. Three
branches in ten are in the country: wide, thinly settled, faster roads. How much there is to do for
each technician differs from branch to branch, so that some have more than they can do.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.dispatch.solver import (
    FAR,
    Costs,
    Plan,
    Problem,
    Technicians,
    Visits,
    travel_by_speed,
)

HOUR = 3_600
BRANCHES, GRIDS, TECHNICIANS, ORDERS = 140, 1_200, 4_000, 20_000
PRIORITIES = 4
UNPLACED = 60 * np.array([480, 240, 150, 100])
LATE_WEIGHT = np.array([4, 2, 1, 1])


def branches(scale: float) -> int:
    """How many branches a province of that scale has."""
    return max(2, round(BRANCHES * scale))


def branch(seed: int, number: int, *, moved: int = 0) -> Problem:
    """Make one branch's day; `moved` is the cost of moving a visit of a published plan."""
    draw = np.random.default_rng([seed, number])
    country = draw.random() < 0.3
    size = draw.uniform(0.6, 1.4)
    grids = max(3, round(GRIDS / BRANCHES * size))
    v = max(6, round(TECHNICIANS / BRANCHES * size))
    n = max(20, round(ORDERS / BRANCHES * size * draw.uniform(0.75, 1.25)))
    width, spread = (15_000, 1_500) if country else (4_000, 350)
    centres = draw.uniform(-width, width, (grids, 2))
    # Grids differ in how much happens in them.
    weight = draw.gamma(3, 1, grids)
    grid = draw.choice(grids, n, p=weight / weight.sum())
    homes = draw.integers(0, grids, v)
    at_door = centres[grid] + draw.normal(0, spread, (n, 2))
    at_home = centres[homes] + draw.normal(0, spread, (v, 2))
    points = np.concatenate([at_door, at_home])
    travel = travel_by_speed(
        points[:, 0], points[:, 1], metres_per_second=9 if country else 5, detour=1.35, least=120
    )
    return Problem(
        _visits(draw, n, grid),
        _staff(draw, n, v),
        travel,
        _classes(centres, at_home),
        Costs(moved=moved),
    )


def _visits(draw: np.random.Generator, n: int, grid: NDArray[np.int64]) -> Visits:
    kind = draw.choice(3, n, p=[0.35, 0.5, 0.15])  # install, repair, care
    minutes = np.array([90, 60, 30])[kind] + draw.integers(-10, 16, n)
    booked = draw.random(n) < 0.35
    opens = np.where(booked, draw.choice([8, 10, 13, 15], n) * HOUR, 0)
    due = np.where((kind == 1) & (draw.random(n) < 0.7), draw.integers(10, 19, n) * HOUR, FAR)
    # Who booked a window is not promised an earlier end as well.
    due = np.where(booked, FAR, due)
    priority = draw.choice(PRIORITIES, n, p=[0.05, 0.2, 0.5, 0.25])
    special = np.where(draw.random(n) < 0.15, 2, 0) | np.where(draw.random(n) < 0.05, 4, 0)
    terminal = np.zeros((n, 2), np.int64)
    terminal[np.arange(n), draw.integers(0, 2, n)] = (kind == 0) & (draw.random(n) < 0.7)
    return Visits.of(
        np.arange(n),
        minutes * 60,
        grid=grid,
        opens=opens,
        closes=np.where(booked, opens + 2 * HOUR, FAR),
        due=due,
        late_weight=LATE_WEIGHT[priority],
        unplaced=UNPLACED[priority],
        skills=1 | special,
        needs=terminal,
    )


def _staff(draw: np.random.Generator, n: int, v: int) -> Technicians:
    start = np.where(draw.random(v) < 0.5, 8 * HOUR, 8 * HOUR + HOUR // 2)
    end = start + 9 * HOUR
    half = draw.random(v)
    morning, afternoon = half < 0.05, half > 0.95  # half a day of leave
    start = np.where(afternoon, 13 * HOUR, start)
    end = np.where(morning, 12 * HOUR + HOUR // 2, end)
    skills = 1 | np.where(draw.random(v) < 0.45, 2, 0) | np.where(draw.random(v) < 0.25, 4, 0)
    return Technicians.of(
        np.arange(n, n + v),
        start,
        end,
        skills=skills,
        stock=draw.integers(1, 5, (v, 2)),
        lunch_from=11 * HOUR + HOUR // 2,
        lunch_until=13 * HOUR,
        lunch_length=np.where(morning | afternoon, 0, 2_700),
    )


def _classes(centres: NDArray[np.float64], homes: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The nearest technician who has fewest grids is primary, the next two are backups."""
    grids, v = len(centres), len(homes)
    away = np.hypot(*(centres[:, None] - homes[None]).transpose(2, 0, 1))
    classes = np.full((grids, v), 2, np.uint8)
    mine = np.zeros(v, np.int64)
    for grid in range(grids):
        primary = int(np.lexsort((away[grid], mine))[0])
        mine[primary] += 1
        classes[grid, np.argsort(away[grid], kind="stable")[:3]] = 1
        classes[grid, primary] = 0
    return classes


class Event(NamedTuple):
    """A branch after somebody fell ill, with the plan as it was without them."""

    problem: Problem
    warm: Plan
    orphans: frozenset[int]  # visits of the one who is ill, and the new one


def after_event(seed: int, number: int, published: Plan, ill: int, *, moved: int) -> Event:
    """Somebody has no minute left, one repair more is urgent; whoever goes elsewhere costs `moved`.

    Every technician's first visit has begun and is frozen.
    """
    before = branch(seed, number, moved=moved)
    who = np.full(before.n, -1, np.int32)
    for technician, route in enumerate(published):
        who[list(route)] = technician
    orphans = frozenset(published[ill])
    who[list(orphans)] = -1
    visits = before.visits
    urgent = int(np.argmin(visits.place))
    weight = visits.late_weight.copy()
    weight[urgent] = int(LATE_WEIGHT[0])
    unplaced = visits.unplaced.copy()
    unplaced[urgent] = int(UNPLACED[0])
    due = visits.due.copy()
    due[urgent] = 14 * HOUR
    staff = before.technicians
    end = staff.shift_end.copy()
    end[ill] = staff.shift_start[ill]
    warm = tuple(() if technician == ill else route for technician, route in enumerate(published))
    problem = replace(
        before,
        visits=replace(visits, published=who, late_weight=weight, unplaced=unplaced, due=due),
        technicians=replace(staff, shift_end=end),
        frozen=tuple(route[:1] for route in warm),
    )
    return Event(problem, warm, orphans | {urgent})
