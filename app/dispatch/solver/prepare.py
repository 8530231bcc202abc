"""Laying a problem out for the search: its nodes, and who is near whom."""

from itertools import pairwise

import numpy as np

from app.dispatch.solver import layout
from app.dispatch.solver.model import FAR, Ints, Longs, Plan, Problem, binding, bounds

TORN_TOGETHER = 100
"""How many of the nearest visits of each are known for tearing out."""
NEXT_TO = 24
"""Before and after how many visits each may go, where places are found by neighbours."""
WAITING = 0.2
"""What a second of waiting counts beside one of travel in choosing those (PyVRP's weight)."""


def terms_of(problem: Problem) -> layout.Terms:
    """Lay a problem out for the search."""
    n, v = problem.n, problem.v
    visits, staff, limits = problem.visits, problem.technicians, bounds(problem)
    nodes = np.zeros((n + 2 * v, 8), np.int32)
    nodes[:, layout.DUE] = FAR
    fixed = [visit for prefix in problem.frozen for visit in prefix]
    needs = visits.needs.copy()
    needs[fixed] = 0
    for column, values in (
        (layout.PLACE, visits.place),
        (layout.DURATION, visits.duration),
        (layout.OPENS, visits.opens),
        (layout.CLOSES, np.clip(limits.closes, -1, FAR)),
        (layout.DUE, limits.due),
        (layout.LATE_WEIGHT, visits.late_weight),
        (layout.UNPLACED, visits.unplaced),
    ):
        nodes[:n, column] = values
    nodes[fixed, layout.LOCKED] = 1
    leaves, returns = slice(n, n + v), slice(n + v, None)
    nodes[leaves, layout.PLACE], nodes[returns, layout.PLACE] = staff.start_place, staff.end_place
    nodes[n:, layout.OPENS] = np.tile(staff.shift_start, 2)
    nodes[n:, layout.CLOSES] = np.tile(limits.shift_end, 2)
    roster = np.stack(
        [
            np.arange(v),
            staff.lunch_from,
            limits.lunch_until,
            staff.lunch_length,
            staff.share,
        ],
        axis=1,
    ).astype(np.int32)
    cost = binding(problem)
    alike = not (cost > 0).any() and len(_kinds(problem)) == 1
    travel = problem.travel[np.ix_(visits.place, visits.place)].astype(np.int64)
    if alike:
        roster[:, layout.KIND] = 0
        fit = np.zeros((n, 1), np.int32)
        choice = np.zeros((n, 0), np.int32)
        before, after = _next_to(problem, travel, limits.closes)
    else:
        fit = cost.astype(np.int32)
        choice = np.argsort(fit, axis=1, kind="stable").astype(np.int32)
        before = after = np.zeros((n, 0), np.int32)
    return layout.Terms(
        n=n,
        v=v,
        soft=bool(((limits.due < FAR) & (visits.late_weight > 0)).any()),
        by_choice=not alike,
        uneven=problem.costs.uneven,
        nodes=nodes,
        staff=roster,
        travel=np.ascontiguousarray(problem.travel, np.int32),
        fit=fit,
        choice=choice,
        needs=needs,
        stock=staff.stock,
        near=_nearest(travel, TORN_TOGETHER),
        before=before,
        after=after,
    )


def _kinds(problem: Problem) -> set[tuple[int, ...]]:
    """The kinds of technicians, by all that tells one from another but ownership."""
    staff = problem.technicians
    names = [name for name in staff.__dataclass_fields__ if name != "stock"]
    columns = [getattr(staff, name).tolist() for name in names]
    return set(zip(*columns, *staff.stock.T.tolist(), strict=True))


def _nearest(distance: Longs, most: int) -> Ints:
    """The nearest others of each, nearest first; of equals the lower number."""
    apart = distance.copy()
    np.fill_diagonal(apart, np.iinfo(np.int64).max)
    order = np.argsort(apart, axis=1, kind="stable")[:, : min(most, len(apart) - 1)]
    return np.ascontiguousarray(order, np.int32)


def _next_to(problem: Problem, travel: Longs, closes: Longs) -> tuple[Ints, Ints]:
    """After and before which visits each may go well: near, possible in time, little waiting."""
    opens, duration = problem.visits.opens.astype(np.int64), problem.visits.duration
    there = duration[:, None] + travel
    waiting = np.maximum(0, opens[None, :] - there - closes[:, None])
    badness = travel + (WAITING * waiting).astype(np.int64)
    # A following that the windows forbid comes behind all others.
    too_late = opens[:, None] + there - closes[None, :]
    badness += np.where(too_late > 0, too_late + 100 * FAR, 0)
    return _nearest(badness.T, NEXT_TO), _nearest(badness, NEXT_TO)


def rooms_for(terms: layout.Terms, seed: int) -> tuple[layout.Routes, layout.Scratch]:
    """Make the arrays a search works in: every route empty, every visit without a place."""
    n, v, nodes = terms.n, terms.v, len(terms.nodes)
    kinds, stock = terms.fit.shape[1], terms.stock.shape[1]
    ring = np.full((nodes, 7), -1, np.int32)
    first, last = np.arange(n, n + v), np.arange(n + v, n + 2 * v)
    ring[first, layout.NEXT], ring[last, layout.PREV] = last, first
    ring[first, layout.OF] = ring[last, layout.OF] = np.arange(v)
    # Neighbouring seeds give streams that have nothing in common (splitmix64, Steele et al. 2014).
    mixed = np.random.SeedSequence(seed).generate_state(1, np.uint64) | np.uint64(1)
    routes = layout.Routes(ring, np.zeros((v, 5), np.int64), np.zeros((v, stock), np.int32))
    scratch = layout.Scratch(
        rng=mixed,
        marks=np.zeros((v, 3), np.int64),
        touched=np.zeros(v, np.int32),
        old_ring=np.zeros((nodes, 5), np.int32),
        old_tours=np.zeros((v, 5), np.int64),
        old_load=np.zeros((v, stock), np.int32),
        old_stamps=np.zeros(v, np.int64),
        stamps=np.zeros(v, np.int64),
        known_at=np.full(terms.choice.shape, -1, np.int64),
        known=np.zeros((*terms.choice.shape, 2), np.int32),
        loose=np.zeros(n, np.int32),
        keys=np.zeros(n, np.float64),
        absent=np.zeros(n, np.int32),
        absent_next=np.zeros(n, np.int32),
        spare=np.full(kinds, -1, np.int32),
        counts=np.zeros(5, np.int64),
    )
    return routes, scratch


def lay(terms: layout.Terms, routes: layout.Routes, scratch: layout.Scratch, plan: Plan) -> None:
    """Lay a plan's routes out; those that it leaves out wait for a place."""
    n, v, ring = terms.n, terms.v, routes.ring
    placed = np.zeros(n, bool)
    for technician, route in enumerate(plan):
        chain = [n + technician, *route, n + v + technician]
        for one, other in pairwise(chain):
            ring[one, layout.NEXT], ring[other, layout.PREV] = other, one
        ring[chain, layout.OF] = technician
        placed[list(route)] = True
    left = np.flatnonzero(~placed)
    scratch.absent[: len(left)] = left
    scratch.counts[layout.ABSENT] = len(left)


def read(terms: layout.Terms, following: Ints) -> Plan:
    """Read a plan from the nodes that follow each other."""
    plan = []
    for technician in range(terms.v):
        route, node = [], int(following[terms.n + technician])
        while node < terms.n:
            route.append(node)
            node = int(following[node])
        plan.append(tuple(route))
    return tuple(plan)
