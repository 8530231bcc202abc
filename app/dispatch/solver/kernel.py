"""The search itself, compiled: ruin and recreate over the routes of one district's day.

After Christiaens & Vanden Berghe, "Slack Induction by String Removals for Vehicle Routing
Problems" (Transportation Science 54(2), 2020): strings of visits are torn out of neighbouring
routes, put back one by one where they cost least (now and then a place is overlooked: a blink),
and the result is kept by the rule of simulated annealing. A recreation is given up as soon as it
costs more than that rule allows.

All numbers but heat and chance are whole, so that a cost carried along is the cost added up.
"""

import numpy as np
from numpy.typing import NDArray

from app.dispatch.solver.jit import compiled
from app.dispatch.solver.layout import (
    ABSENT,
    BEGIN,
    BLINK,
    CLOSES,
    COST,
    DURATION,
    FAR,
    FREE,
    ITERATIONS,
    KEPT,
    KEPT_AT,
    KEPT_IN,
    KIND,
    LATEST,
    LEAST,
    LOCKED,
    NEXT,
    NOW,
    OF,
    OPENS,
    PLACE,
    PREV,
    SIZE,
    TORN_IN,
    TOUCHED,
    UNPLACED,
    WAY,
    WORK,
    Ints,
    Longs,
    Routes,
    Scratch,
    Terms,
)
from app.dispatch.solver.timing import has_room, link, price, squeeze, uneven

BLINKS = 0.01
"""Share of places overlooked, so that the same visits do not always go to the same places."""
TORN = 15
"""How many visits are torn out on average; this and the next are 10 in the paper."""
LONGEST_STRING = 15
SPLITS = 0.5
"""Share of strings of which a part in the middle stays."""
MOST_ABSENT = 12
"""So many visits without a place try again in each iteration, drawn where there are more."""


@compiled
def _draw(rng: NDArray[np.uint64]) -> int:
    """Draw 53 random bits (xorshift64*, Vigna 2016)."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return int((x * np.uint64(2685821657736338717)) >> np.uint64(11))


@compiled
def _below(rng: NDArray[np.uint64], bound: int) -> int:
    """Draw a whole number from 0 to bound - 1."""
    return _draw(rng) % bound


@compiled
def _unit(rng: NDArray[np.uint64]) -> float:
    """Draw a number above 0 and at most 1."""
    return (_draw(rng) + 1) * (1.0 / (1 << 53))


@compiled
def _blinks(c: Scratch) -> bool:
    """Is this place overlooked? How many places pass until the next one is drawn ahead."""
    c.counts[BLINK] -= 1
    if c.counts[BLINK] >= 0:
        return False
    c.counts[BLINK] = int(np.log(_unit(c.rng)) / np.log(1.0 - BLINKS))
    return True


@compiled
def _try(
    d: Terms, r: Routes, c: Scratch, t: int, x: int, u: int, v: int, to_x: int, most: int
) -> int:
    """Cost of x between u and v of route t, FAR if not possible or not below `most`."""
    if d.nodes[v, LOCKED] == 1 or not has_room(d, r, t, x):
        return FAR
    fit = d.fit[x, d.staff[t, KIND]]
    if fit >= most or _blinks(c):
        return FAR
    work = r.tours[t, WORK]
    fit += uneven(d, t, work + d.nodes[x, DURATION]) - uneven(d, t, work)
    from_x = d.travel[d.nodes[x, PLACE], d.nodes[v, PLACE]]
    cost = squeeze(d, r, t, x, u, v, to_x, from_x, most - fit)
    return cost + fit if cost < FAR else FAR


@compiled
def _try_route(d: Terms, r: Routes, c: Scratch, t: int, x: int, most: int) -> tuple[int, int]:
    """Try every place of route t: the least cost, and the node after which x would go."""
    least, best = most, -1
    u = d.n + t
    last = d.n + d.v + t
    while u != last:
        v = r.ring[u, NEXT]
        to_x = d.travel[d.nodes[u, PLACE], d.nodes[x, PLACE]]
        cost = _try(d, r, c, t, x, u, v, to_x, least)
        if cost < least:
            least, best = cost, u
        u = v
    return least, best


@compiled
def _find_place(d: Terms, r: Routes, c: Scratch, x: int) -> tuple[int, int]:
    """Find where x costs least, below being left out: its technician and the node before, or -1."""
    least, best_t, best = d.nodes[x, UNPLACED], -1, -1
    if d.by_choice:
        for rank in range(d.v):
            t = d.choice[x, rank]
            if d.fit[x, t] >= least:
                break
            least, after = _try_route(d, r, c, t, x, least)
            if after >= 0:
                best_t, best = t, after
        return best_t, best
    for k in range(d.before.shape[1]):
        u = d.before[x, k]
        t = r.ring[u, OF]
        if t >= 0:
            to_x = d.travel[d.nodes[u, PLACE], d.nodes[x, PLACE]]
            cost = _try(d, r, c, t, x, u, r.ring[u, NEXT], to_x, least)
            if cost < least:
                least, best_t, best = cost, t, u
        v = d.after[x, k]
        t = r.ring[v, OF]
        if t >= 0:
            u = r.ring[v, PREV]
            to_x = d.travel[d.nodes[u, PLACE], d.nodes[x, PLACE]]
            cost = _try(d, r, c, t, x, u, v, to_x, least)
            if cost < least:
                least, best_t, best = cost, t, u
    for kind in range(c.spare.shape[0]):
        t = c.spare[kind]
        if t >= 0:
            least, after = _try_route(d, r, c, t, x, least)
            if after >= 0:
                best_t, best = t, after
    if best < 0:
        for t in range(d.v):
            if r.tours[t, SIZE] > 0:
                least, after = _try_route(d, r, c, t, x, least)
                if after >= 0:
                    best_t, best = t, after
    return best_t, best


@compiled
def _find_spare(d: Terms, r: Routes, c: Scratch, kind: int) -> None:
    c.spare[kind] = -1
    for t in range(d.v):
        if d.staff[t, KIND] == kind and r.tours[t, SIZE] == 0:
            c.spare[kind] = t
            break


@compiled
def _put(d: Terms, r: Routes, c: Scratch, t: int, x: int, u: int) -> int:
    """Put x after u; returns what the route costs more."""
    before, was_empty = r.tours[t, COST], r.tours[t, SIZE] == 0
    link(d, r, t, x, u)
    if was_empty and not d.by_choice:
        _find_spare(d, r, c, d.staff[t, KIND])
    more: int = r.tours[t, COST] - before
    return more


@compiled
def _touch(d: Terms, r: Routes, c: Scratch, t: int, now: int) -> None:
    """Keep a route as it was, once in an iteration."""
    if c.marks[t, KEPT_IN] == now:
        return
    at = c.counts[KEPT]
    c.marks[t, KEPT_IN] = now
    c.marks[t, KEPT_AT] = at
    c.touched[c.counts[TOUCHED]] = t
    c.counts[TOUCHED] += 1
    for k in range(r.tours.shape[1]):
        c.old_tours[t, k] = r.tours[t, k]
    for s in range(r.load.shape[1]):
        c.old_load[t, s] = r.load[t, s]
    u = d.n + t
    last = d.n + d.v + t
    while True:
        c.old_ring[at, 0] = u
        c.old_ring[at, 1] = r.ring[u, BEGIN]
        c.old_ring[at, 2] = r.ring[u, LATEST]
        c.old_ring[at, 3] = r.ring[u, FREE]
        c.old_ring[at, 4] = r.ring[u, WAY]
        at += 1
        if u == last:
            break
        u = r.ring[u, NEXT]
    c.counts[KEPT] = at


@compiled
def _restore(r: Routes, c: Scratch) -> None:
    """Put every route touched in this iteration back as it was."""
    for k in range(c.counts[TOUCHED]):
        t = c.touched[k]
        at = c.marks[t, KEPT_AT]
        before = -1
        for i in range(at, at + c.old_tours[t, SIZE] + 2):
            u = c.old_ring[i, 0]
            r.ring[u, BEGIN] = c.old_ring[i, 1]
            r.ring[u, LATEST] = c.old_ring[i, 2]
            r.ring[u, FREE] = c.old_ring[i, 3]
            r.ring[u, WAY] = c.old_ring[i, 4]
            r.ring[u, OF] = t
            r.ring[u, PREV] = before
            if before >= 0:
                r.ring[before, NEXT] = u
            before = u
        for i in range(r.tours.shape[1]):
            r.tours[t, i] = c.old_tours[t, i]
        for s in range(r.load.shape[1]):
            r.load[t, s] = c.old_load[t, s]


@compiled
def _tear(d: Terms, r: Routes, c: Scratch, t: int, x: int, longest: int, count: int) -> int:
    """Tear a string around x out of route t; a part of its middle may stay. Returns how many
    visits are loose now."""
    size = r.tours[t, SIZE]
    first, last = d.n + t, d.n + d.v + t
    length = 1 + _below(c.rng, min(longest, size))
    stays = 0
    if 1 < length < size and _unit(c.rng) < SPLITS:
        stays = 1
        while length + stays < size and _below(c.rng, 100) == 0:
            stays += 1
    span = length + stays
    # Walk back a random number of steps, and more where the route ends before the string does.
    back = _below(c.rng, span)
    ahead = 1
    u = x
    while ahead < span - back and r.ring[u, NEXT] != last:
        u = r.ring[u, NEXT]
        ahead += 1
    back = span - ahead
    u = x
    while back > 0 and r.ring[u, PREV] != first and d.nodes[r.ring[u, PREV], LOCKED] == 0:
        u = r.ring[u, PREV]
        back -= 1
    stays_from = FAR
    if stays > 0:
        stays_from = 1 + _below(c.rng, length - 1)
    before = r.ring[u, PREV]
    for step in range(span):
        if u == last:
            break
        v = r.ring[u, NEXT]
        if stays_from <= step < stays_from + stays:
            before = u
        else:
            r.ring[u, OF] = -1
            c.loose[count] = u
            count += 1
            r.ring[before, NEXT] = v
            r.ring[v, PREV] = before
            r.ring[v, WAY] = d.travel[d.nodes[before, PLACE], d.nodes[v, PLACE]]
        u = v
    price(d, r, t)
    return count


@compiled
def _ruin(d: Terms, r: Routes, c: Scratch, now: int) -> int:
    """Tear strings out of routes that pass near one visit. Returns how many visits are loose."""
    used = 0
    for t in range(d.v):
        used += r.tours[t, SIZE] > 0
    if used == 0:
        return 0
    longest = min(float(LONGEST_STRING), (d.n - c.counts[ABSENT]) / used)
    strings = int(_unit(c.rng) * (4.0 * TORN / (1.0 + longest) - 1.0) + 1.0)
    seed = _below(c.rng, d.n)
    count = 0
    for k in range(-1, d.near.shape[1]):
        x = seed if k < 0 else d.near[seed, k]
        t = r.ring[x, OF]
        if t < 0 or c.marks[t, TORN_IN] == now or d.nodes[x, LOCKED] == 1:
            continue
        c.marks[t, TORN_IN] = now
        _touch(d, r, c, t, now)
        count = _tear(d, r, c, t, x, max(1, int(longest)), count)
        strings -= 1
        if strings == 0:
            break
    return count


# Orders in which visits are put back, drawn by the weights of the paper for time windows.
AT_RANDOM, HARD_FIRST, FAR_FIRST, NEAR_FIRST, NARROW_FIRST, EARLY_FIRST, LATE_FIRST = range(7)


@compiled
def _draw_order(c: Scratch) -> int:
    pick = _below(c.rng, 17)
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


@compiled
def _sort(d: Terms, c: Scratch, count: int, order: int) -> None:
    """Sort the loose visits, by insertion: they are few."""
    depot = d.nodes[d.n, PLACE]
    for i in range(count):
        x = c.loose[i]
        if order == AT_RANDOM:
            key = _unit(c.rng)
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


@compiled
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
    for kind in range(c.spare.shape[0]):
        _find_spare(d, r, c, kind)
    left = 0
    for i in range(count):
        x = c.loose[i]
        t, after = _find_place(d, r, c, x)
        if t < 0:
            c.absent[left] = x
            left += 1
        else:
            cost += _put(d, r, c, t, x, after) - d.nodes[x, UNPLACED]
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
        limit = totals[NOW] - heat * np.log(_unit(c.rng))
        c.counts[TOUCHED] = 0
        c.counts[KEPT] = 0
        count = _ruin(d, r, c, now)
        cost = totals[NOW]
        for k in range(c.counts[TOUCHED]):
            t = c.touched[k]
            cost += r.tours[t, COST] - c.old_tours[t, COST]
        # Those without a place try again.
        left = c.counts[ABSENT]
        for i in range(left):
            c.absent_next[i] = c.absent[i]
        for _absent in range(min(left, MOST_ABSENT)):
            k = _below(c.rng, left)
            x = c.absent_next[k]
            left -= 1
            c.absent_next[k] = c.absent_next[left]
            c.loose[count] = x
            count += 1
            cost -= d.nodes[x, UNPLACED]
        _sort(d, c, count, _draw_order(c))
        if not d.by_choice:
            for kind in range(c.spare.shape[0]):
                _find_spare(d, r, c, kind)
        for i in range(count):
            x = c.loose[i]
            t, after = _find_place(d, r, c, x)
            if t < 0:
                c.absent_next[left] = x
                left += 1
                cost += d.nodes[x, UNPLACED]
            else:
                _touch(d, r, c, t, now)
                cost += _put(d, r, c, t, x, after)
            if cost > limit:
                break
        if cost > limit:
            for i in range(count):
                r.ring[c.loose[i], OF] = -1
            _restore(r, c)
            continue
        totals[NOW] = cost
        c.counts[ABSENT] = left
        for i in range(left):
            c.absent[i] = c.absent_next[i]
        if cost < totals[LEAST]:
            totals[LEAST] = cost
            _keep(r, best_next)
