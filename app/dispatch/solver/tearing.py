"""Tearing out, compiled: strings of visits leave routes, which are kept as they were."""

from app.dispatch.solver.chance import below, unit
from app.dispatch.solver.jit import inlined
from app.dispatch.solver.layout import (
    ABSENT,
    BEGIN,
    FAR,
    FREE,
    KEPT,
    KEPT_AT,
    KEPT_IN,
    LATEST,
    LOCKED,
    NEXT,
    OF,
    PLACE,
    PREV,
    SIZE,
    TORN_IN,
    TOUCHED,
    WAY,
    Routes,
    Scratch,
    Terms,
)
from app.dispatch.solver.places import stamp
from app.dispatch.solver.timing import price

TORN = 15
"""How many visits are torn out on average; this and the next are 10 in the paper."""
LONGEST_STRING = 15
SPLITS = 0.5
"""Share of strings of which a part in the middle stays."""


@inlined
def touch(d: Terms, r: Routes, c: Scratch, t: int, now: int) -> None:
    """Keep a route as it was, once in an iteration."""
    if c.marks[t, KEPT_IN] == now:
        return
    at = c.counts[KEPT]
    c.marks[t, KEPT_IN] = now
    c.marks[t, KEPT_AT] = at
    c.touched[c.counts[TOUCHED]] = t
    c.counts[TOUCHED] += 1
    c.old_stamps[t] = c.stamps[t]
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


@inlined
def restore(r: Routes, c: Scratch) -> None:
    """Put every route touched in this iteration back as it was."""
    for k in range(c.counts[TOUCHED]):
        t = c.touched[k]
        c.stamps[t] = c.old_stamps[t]
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


@inlined
def _tear(d: Terms, r: Routes, c: Scratch, t: int, x: int, longest: int, count: int) -> int:
    """Tear a string around x out of route t; a part of its middle may stay. Returns how many
    visits are loose now."""
    size = r.tours[t, SIZE]
    first, last = d.n + t, d.n + d.v + t
    length = 1 + below(c.rng, min(longest, size))
    stays = 0
    if 1 < length < size and unit(c.rng) < SPLITS:
        stays = 1
        while length + stays < size and below(c.rng, 100) == 0:
            stays += 1
    span = length + stays
    # Walk back a random number of steps, and more where the route ends before the string does.
    back = below(c.rng, span)
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
        stays_from = 1 + below(c.rng, length - 1)
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
    stamp(c, t)
    return count


@inlined
def ruin(d: Terms, r: Routes, c: Scratch, now: int) -> int:
    """Tear strings out of routes that pass near one visit. Returns how many visits are loose."""
    used = 0
    for t in range(d.v):
        used += r.tours[t, SIZE] > 0
    if used == 0:
        return 0
    longest = min(float(LONGEST_STRING), (d.n - c.counts[ABSENT]) / used)
    strings = int(unit(c.rng) * (4.0 * TORN / (1.0 + longest) - 1.0) + 1.0)
    seed = below(c.rng, d.n)
    count = 0
    for k in range(-1, d.near.shape[1]):
        x = seed if k < 0 else d.near[seed, k]
        t = r.ring[x, OF]
        if t < 0 or c.marks[t, TORN_IN] == now or d.nodes[x, LOCKED] == 1:
            continue
        c.marks[t, TORN_IN] = now
        touch(d, r, c, t, now)
        count = _tear(d, r, c, t, x, max(1, int(longest)), count)
        strings -= 1
        if strings == 0:
            break
    return count
