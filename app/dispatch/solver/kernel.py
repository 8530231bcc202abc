"""The search itself, compiled: ruin and recreate over the routes of one district's day.

After Christiaens & Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing
Problems" (Transportation Science 54(2), 2020): strings of visits are torn out of neighbouring
routes, put back one by one where they cost least (now and then a place is overlooked: a blink),
and the result is kept by the rule of simulated annealing. A recreation is given up as soon as it
costs more than that rule allows.

All numbers but heat and chance are whole, so that a cost carried along is the cost added up.
"""

import numpy as np

from app.dispatch.solver.chance import below, unit
from app.dispatch.solver.jit import compiled, inlined
from app.dispatch.solver.layout import (
    ABSENT,
    CLOSES,
    COST,
    ITERATIONS,
    KEPT,
    LEAST,
    NEXT,
    NOW,
    OF,
    OPENS,
    PLACE,
    TOUCHED,
    UNPLACED,
    WAY,
    Ints,
    Longs,
    Routes,
    Scratch,
    Terms,
)
from app.dispatch.solver.places import find_place, find_spares, put
from app.dispatch.solver.tearing import restore, ruin, touch
from app.dispatch.solver.timing import price

MOST_ABSENT = 12
"""So many visits without a place try again in each iteration, drawn where there are more."""

# Orders in which visits are put back, drawn by the weights of the paper for time windows.
AT_RANDOM, HARD_FIRST, FAR_FIRST, NEAR_FIRST, NARROW_FIRST, EARLY_FIRST, LATE_FIRST = range(7)


@inlined
def _draw_order(c: Scratch) -> int:
    pick = below(c.rng, 17)
    if pick < 4:
        return AT_RANDOM
    if pick < 8:
        return HARD_FIRST
    if pick < 10:
        return FAR_FIRST
    if pick < 11:
        return NEAR_FIRST
    if pick < 13:
        return NARROW_FIRST
    if pick < 15:
        return EARLY_FIRST
    return LATE_FIRST


@inlined
def _sort(d: Terms, c: Scratch, count: int, order: int) -> None:
    """Sort the loose visits, by insertion: they are few."""
    depot = d.nodes[d.n, PLACE]
    for i in range(count):
        x = c.loose[i]
        if order == AT_RANDOM:
            key = unit(c.rng)
        elif order == HARD_FIRST and d.by_choice:
            key = -float(d.nodes[x, UNPLACED])
        elif order == HARD_FIRST and d.needs.shape[1] > 0:
            key = -float(d.needs[x, 0])
        elif order == NEAR_FIRST:
            key = float(d.travel[depot, d.nodes[x, PLACE]])
        elif order == NARROW_FIRST:
            key = float(d.nodes[x, CLOSES] - d.nodes[x, OPENS])
        elif order == EARLY_FIRST:
            key = float(d.nodes[x, OPENS])
        elif order == LATE_FIRST:
            key = -float(d.nodes[x, CLOSES])
        else:
            key = -float(d.travel[depot, d.nodes[x, PLACE]])
        j = i
        while j > 0 and c.keys[j - 1] > key:
            c.keys[j] = c.keys[j - 1]
            c.loose[j] = c.loose[j - 1]
            j -= 1
        c.keys[j] = key
        c.loose[j] = x


@inlined
def _keep(r: Routes, best_next: Ints) -> None:
    for u in range(best_next.shape[0]):
        best_next[u] = r.ring[u, NEXT]


@compiled
def begin(d: Terms, r: Routes, c: Scratch, best_next: Ints, totals: Longs) -> int:
    """Price the routes as laid out, then put every visit without a place where it costs least.

    Returns the cost of the routes as laid out.
    """
    cost = 0
    for t in range(d.v):
        u = d.n + t
        while u != d.n + d.v + t:
            v = r.ring[u, NEXT]
            r.ring[v, WAY] = d.travel[d.nodes[u, PLACE], d.nodes[v, PLACE]]
            u = v
        price(d, r, t)
        cost += r.tours[t, COST]
    count = c.counts[ABSENT]
    for i in range(count):
        c.loose[i] = c.absent[i]
        cost += d.nodes[c.absent[i], UNPLACED]
    first_cost = cost
    _sort(d, c, count, FAR_FIRST)
    find_spares(d, r, c)
    left = 0
    for i in range(count):
        x = c.loose[i]
        t, after = find_place(d, r, c, x)
        if t < 0:
            c.absent[left] = x
            left += 1
        else:
            cost += put(d, r, c, t, x, after) - d.nodes[x, UNPLACED]
    c.counts[ABSENT] = left
    totals[NOW] = cost
    totals[LEAST] = cost
    totals[ITERATIONS] = 0
    _keep(r, best_next)
    return first_cost


@compiled
def anneal(
    d: Terms,
    r: Routes,
    c: Scratch,
    best_next: Ints,
    totals: Longs,
    steps: int,
    hot: float,
    cold: float,
) -> None:
    """Do so many iterations while it cools from `hot` to `cold`; the best plan is kept."""
    cooling = (cold / hot) ** (1.0 / steps)
    heat = hot
    for _ in range(steps):
        totals[ITERATIONS] += 1
        now = totals[ITERATIONS]
        heat *= cooling
        limit = totals[NOW] - heat * np.log(unit(c.rng))
        c.counts[TOUCHED] = 0
        c.counts[KEPT] = 0
        count = ruin(d, r, c, now)
        cost = totals[NOW]
        for k in range(c.counts[TOUCHED]):
            t = c.touched[k]
            cost += r.tours[t, COST] - c.old_tours[t, COST]
        # Those without a place try again.
        left = c.counts[ABSENT]
        for i in range(left):
            c.absent_next[i] = c.absent[i]
        for _absent in range(min(left, MOST_ABSENT)):
            k = below(c.rng, left)
            x = c.absent_next[k]
            left -= 1
            c.absent_next[k] = c.absent_next[left]
            c.loose[count] = x
            count += 1
            cost -= d.nodes[x, UNPLACED]
        _sort(d, c, count, _draw_order(c))
        find_spares(d, r, c)
        for i in range(count):
            x = c.loose[i]
            t, after = find_place(d, r, c, x)
            if t < 0:
                c.absent_next[left] = x
                left += 1
                cost += d.nodes[x, UNPLACED]
            else:
                touch(d, r, c, t, now)
                cost += put(d, r, c, t, x, after)
            if cost > limit:
                break
        if cost > limit:
            for i in range(count):
                r.ring[c.loose[i], OF] = -1
            restore(r, c)
            continue
        totals[NOW] = cost
        c.counts[ABSENT] = left
        for i in range(left):
            c.absent[i] = c.absent_next[i]
        if cost < totals[LEAST]:
            totals[LEAST] = cost
            _keep(r, best_next)
