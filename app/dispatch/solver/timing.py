"""Times and prices of routes, compiled: what one more visit would cost, and what a route costs.

Everything is as early as can be. For each node the latest start that keeps the rest of its route
possible is carried along (forward slack: Savelsbergh, "The vehicle routing problem with time
windows: minimizing route duration", 1992), so that a place for a visit is checked without walking
the route; and the latest start at which nothing gets later beyond its due time than it is, so that
lateness is mostly priced without walking either.
"""

from app.dispatch.solver.jit import inlined
from app.dispatch.solver.layout import (
    BEGIN,
    CLOSES,
    COST,
    DUE,
    DURATION,
    FAR,
    FREE,
    KIND,
    LATE_WEIGHT,
    LATEST,
    LUNCH_AFTER,
    LUNCH_FROM,
    LUNCH_LENGTH,
    LUNCH_UNTIL,
    NEXT,
    OF,
    OPENS,
    PLACE,
    PREV,
    SHARE,
    SIZE,
    TRAVEL,
    WAY,
    WORK,
    Routes,
    Terms,
)


@inlined
def late(d: Terms, u: int, begin: int) -> int:
    """Price of beginning u then."""
    over: int = begin + d.nodes[u, DURATION] - d.nodes[u, DUE]
    return over * d.nodes[u, LATE_WEIGHT] if over > 0 else 0


@inlined
def uneven(d: Terms, t: int, work: int) -> int:
    """Price of so much service for one technician."""
    over = work - d.staff[t, SHARE]
    return over * d.uneven // 1000 if over > 0 else 0


@inlined
def has_room(d: Terms, r: Routes, t: int, x: int) -> bool:
    """Does the van of t hold what x needs, besides all that it is taken for already?"""
    for kind in range(d.stock.shape[1]):
        if r.load[t, kind] + d.needs[x, kind] > d.stock[t, kind]:
            return False
    return True


@inlined
def _past_lunch(d: Terms, t: int, done: int, way: int) -> int:
    """Arrival after a way on which lunch is had; FAR: it would begin too late.

    Lunch may interrupt the way: it begins at the latest moment allowed or before, and a way that
    ends before lunch time waits for it.
    """
    if done > d.staff[t, LUNCH_UNTIL]:
        return FAR
    there: int = max(done + way, d.staff[t, LUNCH_FROM]) + d.staff[t, LUNCH_LENGTH]
    return there


@inlined
def _choose_lunch(d: Terms, r: Routes, t: int) -> int:
    """Choose after which node to have lunch: least lateness, then the earliest end of the day."""
    last = d.n + d.v + t
    least_late, least_end, best = FAR * FAR, FAR, -1
    late_before = 0
    u = d.n + t
    begin = d.nodes[u, OPENS]
    while u != last:
        done = begin + d.nodes[u, DURATION]
        if done > d.staff[t, LUNCH_UNTIL]:
            break
        w = r.ring[u, NEXT]
        plain = max(done + r.ring[w, WAY], d.nodes[w, OPENS])
        # Whoever would be through with the next visit before lunch can begin loses by eating now.
        if w == last or plain + d.nodes[w, DURATION] > d.staff[t, LUNCH_FROM]:
            lateness = late_before
            at = w
            now = max(_past_lunch(d, t, done, r.ring[w, WAY]), d.nodes[w, OPENS])
            while at != last and now <= d.nodes[at, CLOSES] and lateness <= least_late:
                lateness += late(d, at, now)
                to = r.ring[at, NEXT]
                now = max(now + d.nodes[at, DURATION] + r.ring[to, WAY], d.nodes[to, OPENS])
                at = to
            better = lateness < least_late or (lateness == least_late and now < least_end)
            if better and at == last and now <= d.nodes[last, CLOSES]:
                least_late, least_end, best = lateness, now, u
        if w != last:
            late_before += late(d, w, plain)
        begin = plain
        u = w
    return best


@inlined
def price(d: Terms, r: Routes, t: int) -> None:
    """Work out times, slack and cost of a whole route, from NEXT, PREV and WAY."""
    first, last = d.n + t, d.n + d.v + t
    lunch_after = -1
    if d.staff[t, LUNCH_LENGTH] > 0:
        lunch_after = _choose_lunch(d, r, t)
        if lunch_after < 0:  # an empty route that has no time for lunch: it stays empty
            lunch_after = first
    kind = d.staff[t, KIND]
    for s in range(d.stock.shape[1]):
        r.load[t, s] = 0
    cost, work, size, travel = 0, 0, 0, 0
    u = first
    begin = d.nodes[first, OPENS]
    r.ring[first, BEGIN] = begin
    while u != last:
        w = r.ring[u, NEXT]
        way = r.ring[w, WAY]
        done = begin + d.nodes[u, DURATION]
        there = _past_lunch(d, t, done, way) if u == lunch_after else done + way
        begin = max(there, d.nodes[w, OPENS])
        r.ring[w, BEGIN] = begin
        travel += way
        if w != last:
            cost += d.fit[w, kind] + late(d, w, begin)
            work += d.nodes[w, DURATION]
            size += 1
            for s in range(d.stock.shape[1]):
                r.load[t, s] += d.needs[w, s]
        u = w
    if size == 0:
        travel = 0
    r.tours[t, SIZE] = size
    r.tours[t, WORK] = work
    r.tours[t, TRAVEL] = travel
    r.tours[t, LUNCH_AFTER] = lunch_after
    r.tours[t, COST] = cost + travel + uneven(d, t, work)
    r.ring[last, LATEST] = d.nodes[last, CLOSES]
    r.ring[last, FREE] = FAR
    _slacken(d, r, t, last, first)


@inlined
def _slacken(d: Terms, r: Routes, t: int, w: int, until: int) -> None:
    """Carry LATEST and FREE back from w to the first node; once past `until`, while they change."""
    first = d.n + t
    lunch_after = r.tours[t, LUNCH_AFTER]
    passed = w == until
    while w != first:
        u = r.ring[w, PREV]
        leg = r.ring[w, WAY] + d.nodes[u, DURATION]
        latest = r.ring[w, LATEST] - leg
        free = r.ring[w, FREE] - leg
        if u == lunch_after:
            latest = min(
                latest - d.staff[t, LUNCH_LENGTH], d.staff[t, LUNCH_UNTIL] - d.nodes[u, DURATION]
            )
            free -= d.staff[t, LUNCH_LENGTH]
        latest = min(latest, d.nodes[u, CLOSES])
        if d.soft:
            if d.nodes[u, LATE_WEIGHT] > 0:
                in_time = d.nodes[u, DUE] - d.nodes[u, DURATION]
                free = min(free, max(r.ring[u, BEGIN], in_time))
        else:
            free = FAR
        if passed and latest == r.ring[u, LATEST] and free == r.ring[u, FREE]:
            break
        r.ring[u, LATEST] = latest
        r.ring[u, FREE] = free
        passed |= u == until
        w = u


@inlined
def link(d: Terms, r: Routes, t: int, x: int, u: int) -> None:
    """Put x after u into route t, and price the route."""
    w = r.ring[u, NEXT]
    to_x = d.travel[d.nodes[u, PLACE], d.nodes[x, PLACE]]
    from_x = d.travel[d.nodes[x, PLACE], d.nodes[w, PLACE]]
    more = to_x + from_x
    if r.tours[t, SIZE] > 0:
        more -= r.ring[w, WAY]
    r.ring[u, NEXT] = x
    r.ring[x, PREV] = u
    r.ring[x, NEXT] = w
    r.ring[w, PREV] = x
    r.ring[x, WAY] = to_x
    r.ring[w, WAY] = from_x
    r.ring[x, OF] = t
    if d.staff[t, LUNCH_LENGTH] > 0:
        price(d, r, t)
        return
    # Without lunch only what follows is later, and only what comes before has less time.
    last = d.n + d.v + t
    begin = max(r.ring[u, BEGIN] + d.nodes[u, DURATION] + to_x, d.nodes[x, OPENS])
    r.ring[x, BEGIN] = begin
    cost = more + d.fit[x, d.staff[t, KIND]] + late(d, x, begin)
    at = x
    while at != last:
        to = r.ring[at, NEXT]
        begin = max(begin + d.nodes[at, DURATION] + r.ring[to, WAY], d.nodes[to, OPENS])
        if begin == r.ring[to, BEGIN]:
            break
        if to != last:
            cost += late(d, to, begin) - late(d, to, r.ring[to, BEGIN])
        r.ring[to, BEGIN] = begin
        at = to
    work = r.tours[t, WORK]
    r.tours[t, WORK] = work + d.nodes[x, DURATION]
    cost += uneven(d, t, r.tours[t, WORK]) - uneven(d, t, work)
    r.tours[t, COST] += cost
    r.tours[t, TRAVEL] += more
    r.tours[t, SIZE] += 1
    for s in range(d.stock.shape[1]):
        r.load[t, s] += d.needs[x, s]
    behind = w
    if d.soft:
        behind = last if at == last else r.ring[at, NEXT]
    _slacken(d, r, t, behind, x)


@inlined
def _later(d: Terms, r: Routes, t: int, v: int, begin: int) -> int:
    """Price what gets later from v on when v begins then; lunch behind v stays on its way."""
    last = d.n + d.v + t
    lunch_after = r.tours[t, LUNCH_AFTER]
    extra = 0
    while v != last and begin > r.ring[v, FREE]:
        extra += late(d, v, begin) - late(d, v, r.ring[v, BEGIN])
        w = r.ring[v, NEXT]
        done = begin + d.nodes[v, DURATION]
        way = r.ring[w, WAY]
        there = _past_lunch(d, t, done, way) if v == lunch_after else done + way
        begin = max(there, d.nodes[w, OPENS])
        v = w
    return extra


@inlined
def _lateness(d: Terms, r: Routes, t: int, x: int, v: int, begin: int, there: int) -> int:
    """Price lateness of x beginning at `begin` and v reached at `there`; FAR: not possible."""
    if begin > d.nodes[x, CLOSES]:
        return FAR
    onward = max(there, d.nodes[v, OPENS])
    if onward > r.ring[v, LATEST]:
        return FAR
    if not d.soft:
        return 0
    lateness = late(d, x, begin)
    if onward > r.ring[v, FREE]:
        lateness += _later(d, r, t, v, onward)
    return lateness


@inlined
def squeeze(
    d: Terms, r: Routes, t: int, x: int, u: int, v: int, to_x: int, from_x: int, most: int
) -> int:
    """Travel and lateness of putting x between u and v; FAR: not possible, or `most` or more.

    Where lunch is on this way, it is had before x or after it. Elsewhere it stays: pricing the
    route afterwards may find a better moment, so the true cost is this or less.
    """
    cost = to_x + from_x
    if r.tours[t, SIZE] > 0:
        cost -= r.ring[v, WAY]
    if cost >= most:
        return FAR
    done = r.ring[u, BEGIN] + d.nodes[u, DURATION]
    begin = max(done + to_x, d.nodes[x, OPENS])
    if u != r.tours[t, LUNCH_AFTER]:
        lateness = _lateness(d, r, t, x, v, begin, begin + d.nodes[x, DURATION] + from_x)
        return cost + lateness if lateness < FAR else FAR
    there = _past_lunch(d, t, begin + d.nodes[x, DURATION], from_x)
    lunch_last = _lateness(d, r, t, x, v, begin, there)
    begin = max(_past_lunch(d, t, done, to_x), d.nodes[x, OPENS])
    lunch_first = _lateness(d, r, t, x, v, begin, begin + d.nodes[x, DURATION] + from_x)
    lateness = min(lunch_first, lunch_last)
    return cost + lateness if lateness < FAR else FAR
