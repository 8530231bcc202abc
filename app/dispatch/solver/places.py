"""Putting back, compiled: the place where a visit costs least, and putting it there."""

import numpy as np

from app.dispatch.solver.chance import unit
from app.dispatch.solver.jit import inlined
from app.dispatch.solver.layout import (
    AFTER,
    AT_LEAST,
    BEGIN,
    BLINK,
    CLOSES,
    COST,
    DURATION,
    FAR,
    KIND,
    LATEST,
    LOCKED,
    NEXT,
    OF,
    OPENS,
    PLACE,
    PREV,
    SIZE,
    STAMP,
    UNPLACED,
    WORK,
    Routes,
    Scratch,
    Terms,
)
from app.dispatch.solver.timing import has_room, link, squeeze, uneven

BLINKS = 0.01
"""Share of places overlooked, so that the same visits do not always go to the same places."""


@inlined
def _blinks(c: Scratch) -> bool:
    """Is this place overlooked? How many places pass until the next one is drawn ahead."""
    c.counts[BLINK] -= 1
    if c.counts[BLINK] >= 0:
        return False
    c.counts[BLINK] = int(np.log(unit(c.rng)) / np.log(1.0 - BLINKS))
    return True


@inlined
def _with(d: Terms, r: Routes, t: int, x: int) -> int:
    """What x costs t wherever it goes; FAR: the van does not hold what it needs."""
    if not has_room(d, r, t, x):
        return FAR
    work = r.tours[t, WORK]
    cost: int = d.fit[x, d.staff[t, KIND]]
    return cost + uneven(d, t, work + d.nodes[x, DURATION]) - uneven(d, t, work)


@inlined
def _try_route(d: Terms, r: Routes, t: int, x: int, most: int) -> tuple[int, int]:
    """Try every place of route t: the least cost, and the node after which x would go; `most` and
    -1 where nothing costs less."""
    least, best = most, -1
    anywhere = _with(d, r, t, x)
    if anywhere >= most:
        return least, best
    latest = d.nodes[x, CLOSES]
    done = d.nodes[x, OPENS] + d.nodes[x, DURATION]
    at = d.nodes[x, PLACE]
    u, last = d.n + t, d.n + d.v + t
    while u != last and r.ring[u, BEGIN] <= latest:
        v = r.ring[u, NEXT]
        if done <= r.ring[v, LATEST] and d.nodes[v, LOCKED] == 0:
            to_x = d.travel[d.nodes[u, PLACE], at]
            from_x = d.travel[at, d.nodes[v, PLACE]]
            cost = anywhere + squeeze(d, r, t, x, u, v, to_x, from_x, least - anywhere)
            if cost < least:
                least, best = cost, u
        u = v
    return least, best


@inlined
def _by_choice(d: Terms, r: Routes, c: Scratch, x: int) -> tuple[int, int]:
    """Look through the technicians by what x costs with them before anybody travels.

    What a place in a route costs is known until the route changes, or is what it was again.
    """
    least, best_t, best = d.nodes[x, UNPLACED], -1, -1
    for rank in range(d.v):
        t = d.choice[x, rank]
        if d.fit[x, t] >= least:
            break
        known = c.known_at[x, rank] == c.stamps[t]
        if known and c.known[x, rank, AT_LEAST] >= least:
            continue
        if not known or c.known[x, rank, AFTER] < 0:
            cost, after = _try_route(d, r, t, x, least)
            c.known_at[x, rank] = c.stamps[t]
            c.known[x, rank, AT_LEAST] = cost
            c.known[x, rank, AFTER] = after
            if after < 0:
                continue
        if not _blinks(c):
            least, best_t, best = c.known[x, rank, AT_LEAST], t, c.known[x, rank, AFTER]
    return best_t, best


@inlined
def _try(d: Terms, r: Routes, c: Scratch, t: int, x: int, u: int, v: int, most: int) -> int:
    """Cost of x between u and v of route t, FAR if not possible or not below `most`."""
    if d.nodes[v, LOCKED] == 1 or _blinks(c):
        return FAR
    anywhere = _with(d, r, t, x)
    if anywhere >= most:
        return FAR
    to_x = d.travel[d.nodes[u, PLACE], d.nodes[x, PLACE]]
    from_x = d.travel[d.nodes[x, PLACE], d.nodes[v, PLACE]]
    return anywhere + squeeze(d, r, t, x, u, v, to_x, from_x, most - anywhere)


@inlined
def _by_neighbours(d: Terms, r: Routes, c: Scratch, x: int) -> tuple[int, int]:
    """Look beside the visits that x may go well with, then in an empty route of each kind."""
    least, best_t, best = d.nodes[x, UNPLACED], -1, -1
    for k in range(d.before.shape[1]):
        u = d.before[x, k]
        t = r.ring[u, OF]
        if t >= 0:
            cost = _try(d, r, c, t, x, u, r.ring[u, NEXT], least)
            if cost < least:
                least, best_t, best = cost, t, u
        v = d.after[x, k]
        t = r.ring[v, OF]
        if t >= 0:
            u = r.ring[v, PREV]
            cost = _try(d, r, c, t, x, u, v, least)
            if cost < least:
                least, best_t, best = cost, t, u
    for kind in range(c.spare.shape[0]):
        t = c.spare[kind]
        if t >= 0:
            least, after = _try_route(d, r, t, x, least)
            if after >= 0:
                best_t, best = t, after
    if best < 0:
        for t in range(d.v):
            if r.tours[t, SIZE] > 0:
                least, after = _try_route(d, r, t, x, least)
                if after >= 0:
                    best_t, best = t, after
    return best_t, best


@inlined
def find_place(d: Terms, r: Routes, c: Scratch, x: int) -> tuple[int, int]:
    """Find where x costs least, below being left out: its technician and the node before, or -1."""
    if d.by_choice:
        return _by_choice(d, r, c, x)
    return _by_neighbours(d, r, c, x)


@inlined
def find_spare(d: Terms, r: Routes, c: Scratch, kind: int) -> None:
    """Remember an empty route of that kind."""
    c.spare[kind] = -1
    for t in range(d.v):
        if d.staff[t, KIND] == kind and r.tours[t, SIZE] == 0:
            c.spare[kind] = t
            break


@inlined
def find_spares(d: Terms, r: Routes, c: Scratch) -> None:
    """Remember an empty route of each kind, where places are found by neighbours."""
    if not d.by_choice:
        for kind in range(c.spare.shape[0]):
            find_spare(d, r, c, kind)


@inlined
def put(d: Terms, r: Routes, c: Scratch, t: int, x: int, u: int) -> int:
    """Put x after u; returns what the route costs more."""
    before, was_empty = r.tours[t, COST], r.tours[t, SIZE] == 0
    link(d, r, t, x, u)
    stamp(c, t)
    if was_empty and not d.by_choice:
        find_spare(d, r, c, d.staff[t, KIND])
    more: int = r.tours[t, COST] - before
    return more


@inlined
def stamp(c: Scratch, t: int) -> None:
    """Say that route t is another now: what is known of places in it holds no longer."""
    c.counts[STAMP] += 1
    c.stamps[t] = c.counts[STAMP]
