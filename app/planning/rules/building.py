"""From a district's people and orders to the problem that the kernel is asked. Pure.

Seconds are counted from the origin, a local midnight. What the kernel's words mean stands in
`app/dispatch/solver/model.py`; how an order or a shift becomes one of them stands here.
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

import numpy as np

from app.dispatch.rules.routes import NEVER, Stop, in_order
from app.dispatch.solver import FAR, Costs, Plan, Problem, Technicians, Visits
from app.planning.rules.asked import Asked, Wanted
from app.planning.rules.columns import (
    Places,
    Row,
    at_work,
    blocks_of,
    lunch_of,
    ownership,
    ownership_costs,
    reached,
    skills,
    stock,
)
from app.planning.rules.districts import District, LeftOut
from app.workorders.rules import State, UnplacedReason

SOON = 1_800
"""A visit that cannot begin within so many seconds is not frozen, though it is the next one."""


def build(asked: Asked) -> District:
    """Build a district's problem. Raises TooManySkills."""
    people, terms = asked.people, asked.terms
    seat = {person.technician_id: column for column, person in enumerate(people)}
    wanted = [one for one in asked.orders if not _keeps_out(one, seat)]
    absent = [
        LeftOut(one.fact, UnplacedReason.NOBODY_ON_SHIFT)
        for one in asked.orders
        if _keeps_out(one, seat) and one.fact.state not in _AT_IT
    ]
    number = {one.fact.order_id: row for row, one in enumerate(wanted)}
    current = _current(asked, wanted, seat, number)
    frozen = _frozen(asked, wanted, current)
    places = Places()
    rows = [places.row(one.place) for one in wanted]
    homes = [places.row(person.frame.end) for person in people]
    starts = [
        rows[prefix[0]]
        if prefix and wanted[prefix[0]].fact.state in _AT_IT
        else places.row(person.frame.start)
        for person, prefix in zip(people, frozen, strict=True)
    ]
    day_begins = min((person.frame.begins - asked.origin for person in people), default=0)
    lunches = [lunch_of(person, asked.origin) for person in people]
    grids, owner_class = ownership(asked, wanted, seat)
    has, needs, skill_bits = skills(people, wanted)
    pinned = [_pinned(one, seat) for one in wanted]
    pieces, stocked = stock(people, wanted, pinned, frozen)
    columns = [_visit(one, asked, seat, day_begins) for one in wanted]
    blocks = blocks_of(asked, seat, lunches, homes, places)
    travel = asked.travel.matrix(places.rows)
    blocks = [reached(one, asked, wanted, rows, columns, starts, frozen, travel) for one in blocks]
    working = [at_work(person, lunch) for person, lunch in zip(people, lunches, strict=True)]
    blocked = [
        sum(one.seconds for one in blocks if one.column == column) for column in seat.values()
    ]
    begins = [person.frame.begins - asked.origin for person in people]
    ends = [
        max(person.frame.ends - asked.origin, begin)
        for person, begin in zip(people, begins, strict=True)
    ]
    visits = Visits.of(
        [*rows, *(one.place for one in blocks)],
        [*(one.duration for one in columns), *(one.seconds for one in blocks)],
        grid=[*grids, *(len(owner_class) - 1 for _ in blocks)],
        opens=[*(one.opens for one in columns), *(one.opens for one in blocks)],
        closes=[*(one.closes for one in columns), *(one.closes for one in blocks)],
        due=[*(one.due for one in columns), *(FAR for _ in blocks)],
        late_weight=[*(one.late_weight for one in columns), *(0 for _ in blocks)],
        unplaced=[*(one.unplaced for one in columns), *(2 * terms.unplaced[0] for _ in blocks)],
        skills=[*needs, *(0 for _ in blocks)],
        pinned=[*pinned, *(one.column for one in blocks)],
        needs=[*pieces, *([0] * len(pieces[0]) for _ in blocks)] if pieces else None,
        published=[
            *(_published(one, seat, stays=asked.stays) for one in wanted),
            *(-1 for _ in blocks),
        ],
    )
    technicians = Technicians.of(
        starts,
        begins,
        ends,
        end_place=homes,
        skills=has,
        stock=stocked if pieces else None,
        lunch_from=[lunch.earliest for lunch in lunches],
        lunch_until=[lunch.latest for lunch in lunches],
        lunch_length=[lunch.length for lunch in lunches],
        share=[
            round(terms.fair_share(seconds) * asked.leanings.get(who, 1.0)) + block
            for who, seconds, block in zip(seat, working, blocked, strict=True)
        ],
    )
    costs = Costs(
        ownership=tuple(ownership_costs(terms)),
        late_cap=terms.late_cap,
        moved=terms.moved,
        uneven=terms.uneven_permille,
    )
    problem = Problem(visits, technicians, travel, owner_class, costs, frozen)
    return District(
        org_unit_id=asked.org_unit_id,
        day=asked.day,
        origin=asked.origin,
        problem=problem,
        facts=tuple(one.fact for one in wanted),
        technician_ids=tuple(seat),
        current=current,
        left_out=(*asked.left_out, *absent),
        points=np.array(
            [(np.nan, np.nan) if each is None else (each.lon, each.lat) for each in places.rows],
            np.float64,
        ).reshape(-1, 2),
        detour=asked.travel.detour,
        shift_ends=tuple(person.frame.ends - asked.origin for person in people),
        skill_bits=skill_bits,
        absent=asked.absent,
    )


_AT_IT = frozenset({State.EN_ROUTE, State.ON_SITE})
_STUCK = _AT_IT | {State.SUSPENDED}
"""Begun: nobody but the holder can go on with it."""


def _keeps_out(one: Wanted, seat: Mapping[UUID, int]) -> bool:
    """Tell whether an order stays with a holder who is not in the plan, whatever happens."""
    bound = one.fact.state in _STUCK or one.bound
    if bound and one.fact.holder_id is not None:
        return one.fact.holder_id not in seat
    return one.pinned_to is not None and one.pinned_to not in seat


def _pinned(one: Wanted, seat: Mapping[UUID, int]) -> int:
    if one.fact.holder_id is not None and (one.fact.state in _STUCK or one.bound):
        return seat[one.fact.holder_id]
    return -1 if one.pinned_to is None else seat[one.pinned_to]


def _published(one: Wanted, seat: Mapping[UUID, int], *, stays: bool) -> int:
    """Whose the visit is so far, where it has a price to give it to somebody else: nobody minds
    before a day's plan is published, but for whoever has said that they will do it."""
    known = stays or one.fact.state is not State.ASSIGNED
    return seat.get(one.fact.holder_id, -1) if known and one.fact.holder_id is not None else -1


def _stop(one: Wanted, origin: int) -> Stop:
    return Stop(
        one.fact.order_id,
        one.place,
        one.fact.minutes * 60,
        one.opens,
        NEVER if one.closes >= FAR else one.closes + origin,
        NEVER if one.fact.due is None else one.fact.due + origin,
        one.fact.priority,
        one.fact.state,
    )


def _current(
    asked: Asked, wanted: Sequence[Wanted], seat: Mapping[UUID, int], number: Mapping[UUID, int]
) -> Plan:
    """What is in force: everybody's visits in the order of their day."""
    held: list[list[Stop]] = [[] for _ in seat]
    for one in wanted:
        holder = one.fact.holder_id
        if holder is not None and holder in seat:
            held[seat[holder]].append(_stop(one, asked.origin))
    return tuple(
        tuple(number[stop.order_id] for stop in in_order(stops, asked.routes.get(who, ())))
        for (who, _), stops in zip(seat.items(), held, strict=True)
    )


def _frozen(asked: Asked, wanted: Sequence[Wanted], current: Plan) -> Plan:
    """What comes first whatever happens: what is under way, and the next ones of a day begun."""
    frozen = []
    for person, route in zip(asked.people, current, strict=True):
        prefix = [visit for visit in route if wanted[visit].fact.state in _AT_IT]
        now = asked.now
        if now is not None and person.frame.begins - asked.origin <= now:
            following = [visit for visit in route if wanted[visit].fact.state not in _STUCK]
            for visit in following[: asked.terms.frozen_next]:
                if wanted[visit].opens > now + SOON:
                    break
                prefix.append(visit)
        frozen.append(tuple(prefix))
    return tuple(frozen)


def _visit(one: Wanted, asked: Asked, seat: Mapping[UUID, int], day_begins: int) -> Row:
    """How an order's times are put to the kernel.

    A promise that nobody could keep from the day's first moment on is no promise any more: the
    visit is made when it suits, but leaving it out costs as much as one more urgent. An
    appointment that is over binds nobody either.
    """
    fact, terms = one.fact, asked.terms
    seconds, opens, closes = fact.minutes * 60, max(0, one.opens), one.closes
    now = asked.now
    if fact.state in _AT_IT and now is not None and one.since is not None:
        if fact.state is State.ON_SITE:
            seconds, opens = max(0, one.since + seconds - now), 0
        elif fact.holder_id is not None:
            start = asked.people[seat[fact.holder_id]].frame.start
            opens = max(0, one.since + asked.travel.seconds(start, one.place))
    if closes < max(now or 0, 0):
        opens, closes = (opens if fact.state in _AT_IT else 0), FAR
    priority = fact.priority
    due = FAR if fact.due is None else min(fact.due, FAR)
    if due - seconds < day_begins:
        due, priority = FAR, max(1, priority - 1)
    return Row(
        seconds,
        opens,
        min(closes, FAR),
        due,
        terms.late_weight[fact.priority - 1],
        terms.unplaced[priority - 1],
    )
