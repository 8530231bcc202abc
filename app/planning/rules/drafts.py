"""From a kernel's plan to routes with times, visits with theirs, and what the judge says. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import NamedTuple
from uuid import UUID

import numpy as np

from app.core.geo import distance_m
from app.dispatch.rules.costs import BACKUP_CLASS, ELSEWHERE, PRIMARY
from app.dispatch.solver import FAR, Plan, Rule, Verdict, judge
from app.dispatch.solver.evaluate import Day
from app.dispatch.solver.model import Bounds, bounds
from app.grids.rules.asking import Kind
from app.planning.rules.districts import District, Fact
from app.planning.rules.reasons import reasons
from app.planning.rules.replanning import spots
from app.workorders.rules import State, UnplacedReason


class NotAPlan(ValueError):
    """The judge has found a hard rule broken in what the kernel made."""


class Route(NamedTuple):
    """A technician's day. Moments are aware; `travel`, `work`, `wait` and `overtime` are seconds,
    `metres` the straight lines times the detour."""

    technician_id: UUID
    org_unit_id: UUID
    leaves_at: datetime
    home_at: datetime
    lunch_at: datetime | None
    visits: int
    travel: int
    metres: int
    work: int
    wait: int
    overtime: int


class Visit(NamedTuple):
    """An order in a plan: when and whose it is, and whose it was; or why it is nobody's.

    `way`, `wait`, `late` and `slack` are seconds; `belongs` is how the technician belongs to the
    order's grid. `before_begins_at` and `before_late` are how it would go as things were.
    """

    order_id: UUID
    technician_id: UUID | None
    before_id: UUID | None
    before_day: date | None
    before_state: State
    before_begins_at: datetime | None = None
    before_late: int | None = None
    place: int | None = None
    arrives_at: datetime | None = None
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    way: int | None = None
    wait: int | None = None
    late: int | None = None
    slack: int | None = None
    belongs: Kind | None = None
    frozen: bool = False
    pinned: bool = False
    unplaced_reason: UnplacedReason | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """What a day comes to. Times are seconds; late is what ends after its promise.

    `owned` are placed visits in grids, `kept` those of them that are done by the grid's primary;
    `moved` change hands, `given` had nobody before, `taken_back` have nobody any more. `broken`
    are hard rules broken, which can only be in what is in force. `cost` is the judge's, and so are
    its parts.
    """

    technicians: int = 0
    orders: int = 0
    placed: int = 0
    unplaced: int = 0
    travel: int = 0
    metres: int = 0
    work: int = 0
    wait: int = 0
    late_orders: int = 0
    late: int = 0
    owned: int = 0
    kept: int = 0
    overtime: int = 0
    moved: int = 0
    given: int = 0
    taken_back: int = 0
    broken: int = 0
    cost: int = 0
    cost_travel: int = 0
    cost_ownership: int = 0
    cost_moved: int = 0
    cost_late: int = 0
    cost_uneven: int = 0
    cost_unplaced: int = 0

    def __add__(self, other: "Score") -> "Score":
        """Add two districts up."""
        return Score(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(Score)
            }
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """A district's plan as it is written down; `before` is what was in force, with all that it
    broke."""

    routes: tuple[Route, ...]
    visits: tuple[Visit, ...]
    score: Score
    before: Score


def draft_of(district: District, plan: Plan) -> Draft:
    """Follow a plan through the day, and let the judge score it. Raises NotAPlan."""
    verdict = judge(district.problem, plan)
    if verdict.breaches:
        broken = verdict.breaches[0]
        raise NotAPlan(f"{broken.rule} at visit {broken.visit} of technician {broken.technician}")
    limits = bounds(district.problem)
    routes, visits = [], []
    lengths = _metres(district, plan)
    for technician, day in enumerate(verdict.days):
        slack = _slack(district, limits, technician, day)
        routes.append(_route(district, technician, day, lengths[technician]))
        visits += _visits(district, technician, day, slack)
    why = reasons(district, plan)
    visits += [_nobodys(district.facts[visit], reason) for visit, reason in why.items()]
    visits += [_nobodys(one.fact, one.reason) for one in district.left_out]
    before = judge(district.problem, district.current)
    places = spots(district)
    return Draft(
        tuple(routes),
        tuple(
            visit._replace(before_begins_at=spot.begins_at, before_late=spot.late)
            if (spot := places.get(visit.order_id))
            else visit
            for visit in visits
        ),
        score_of(district, plan, verdict),
        score_of(district, district.current, before),
    )


def score_of(district: District, plan: Plan, verdict: Verdict) -> Score:
    """Add up what a plan comes to."""
    problem, orders = district.problem, district.orders
    late = [
        over
        for day in verdict.days
        for stop in day.stops
        if stop.visit < orders and (over := _late(district.facts[stop.visit], stop.end))
    ]
    owned = kept = moved = given = placed = 0
    for technician, route in enumerate(plan):
        who = district.technician_ids[technician]
        for visit in route:
            if visit >= orders:
                continue
            fact = district.facts[visit]
            placed += 1
            if fact.grid_id is not None:
                owned += 1
                kept += int(problem.owner_class[problem.visits.grid[visit], technician]) == PRIMARY
            given += fact.holder_id is None
            moved += fact.holder_id is not None and fact.holder_id != who
    left = [visit for visit in verdict.unplaced if visit < orders]
    ends = zip(verdict.days, district.shift_ends, strict=True)
    blocked = sum(int(problem.visits.unplaced[one]) for one in verdict.unplaced if one >= orders)
    bill = verdict.bill
    return Score(
        technicians=problem.v,
        orders=orders + len(district.left_out),
        placed=placed,
        unplaced=len(left) + len(district.left_out),
        travel=bill.travel,
        metres=sum(_metres(district, plan)),
        work=sum(
            int(problem.visits.duration[one]) for route in plan for one in route if one < orders
        ),
        wait=sum(_waits(day) for day in verdict.days),
        late_orders=len(late),
        late=sum(late),
        owned=owned,
        kept=kept,
        overtime=sum(max(0, day.home - end) for day, end in ends if day.stops),
        moved=moved,
        given=given,
        taken_back=sum(district.facts[visit].holder_id is not None for visit in left),
        broken=sum(one.rule is not Rule.FROZEN for one in verdict.breaches),
        cost=bill.total - blocked,
        cost_travel=bill.travel,
        cost_ownership=bill.ownership,
        cost_moved=bill.moved,
        cost_late=bill.late,
        cost_uneven=bill.uneven,
        cost_unplaced=bill.unplaced - blocked,
    )


def _moment(district: District, seconds: int) -> datetime:
    return datetime.fromtimestamp(district.origin + seconds, UTC)


def _late(fact: Fact, end: int) -> int:
    """Seconds after the promise as it was given, whatever the kernel was told of it."""
    return 0 if fact.due is None else max(0, end - fact.due)


def _waits(day: Day) -> int:
    return sum(stop.begin - stop.arrive for stop in day.stops)


def _route(district: District, technician: int, day: Day, metres: int) -> Route:
    over = day.home - district.shift_ends[technician] if day.stops else 0
    orders = [stop.visit for stop in day.stops if stop.visit < district.orders]
    return Route(
        technician_id=district.technician_ids[technician],
        org_unit_id=district.org_unit_id,
        leaves_at=_moment(district, int(district.problem.technicians.shift_start[technician])),
        home_at=_moment(district, day.home),
        lunch_at=_moment(district, day.lunch) if day.lunch >= 0 else None,
        visits=len(orders),
        travel=day.travel,
        metres=metres,
        work=sum(int(district.problem.visits.duration[visit]) for visit in orders),
        wait=_waits(day),
        overtime=max(0, over),
    )


def _visits(district: District, technician: int, day: Day, slack: Sequence[int]) -> list[Visit]:
    problem = district.problem
    at = int(problem.technicians.start_place[technician])
    frozen = problem.frozen_of(technician)
    found: list[Visit] = []
    for stop, room in zip(day.stops, slack, strict=True):
        to = int(problem.visits.place[stop.visit])
        way, at = int(problem.travel[at, to]), to
        if stop.visit >= district.orders:
            continue
        fact = district.facts[stop.visit]
        belongs = int(problem.owner_class[problem.visits.grid[stop.visit], technician])
        found.append(
            Visit(
                order_id=fact.order_id,
                technician_id=district.technician_ids[technician],
                before_id=fact.holder_id,
                before_day=fact.planned_day,
                before_state=fact.state,
                place=len(found) + 1,
                arrives_at=_moment(district, stop.arrive),
                begins_at=_moment(district, stop.begin),
                ends_at=_moment(district, stop.end),
                way=way,
                wait=stop.begin - stop.arrive,
                late=_late(fact, stop.end),
                slack=room,
                belongs=_kind(belongs),
                frozen=stop.visit in frozen,
                pinned=int(problem.visits.pinned[stop.visit]) == technician,
            )
        )
    return found


def _kind(belongs: int) -> Kind:
    if belongs == PRIMARY:
        return Kind.PRIMARY
    return Kind.BACKUP if belongs == BACKUP_CLASS or belongs > ELSEWHERE else Kind.OTHER


def _nobodys(fact: Fact, reason: UnplacedReason) -> Visit:
    return Visit(
        order_id=fact.order_id,
        technician_id=None,
        before_id=fact.holder_id,
        before_day=fact.planned_day,
        before_state=fact.state,
        unplaced_reason=reason,
    )


def _slack(district: District, limits: Bounds, technician: int, day: Day) -> list[int]:
    """How much later each visit may begin without a rule broken or a promise missed by it or by
    what follows; waiting, also for lunch, takes it up. What is late already has none."""
    problem = district.problem
    lunch = int(problem.technicians.lunch_length[technician])
    at = int(problem.technicians.end_place[technician])
    after = day.home
    room = max(0, int(limits.shift_end[technician]) - day.home)
    slack = []
    for stop in reversed(day.stops):
        place = int(problem.visits.place[stop.visit])
        rest = after - stop.end - int(problem.travel[place, at])
        if lunch and rest >= lunch:  # lunch is on the way after this visit
            room += rest - lunch
            room = min(room, max(0, int(limits.lunch_until[technician]) - stop.end))
        mine = min(room, int(limits.closes[stop.visit]) - stop.begin)
        due = FAR
        if stop.visit < district.orders:
            fact = district.facts[stop.visit]
            due = FAR if fact.due is None else fact.due
        mine = max(0, min(mine, due - stop.end))
        slack.append(mine)
        room = mine + stop.begin - stop.arrive
        after, at = stop.arrive, place
    return slack[::-1]


def _metres(district: District, plan: Plan) -> list[int]:
    """The length of each route, from the start to the end, past those without a place."""
    problem, points = district.problem, district.points
    lengths = []
    for technician, route in enumerate(plan):
        if not route:
            lengths.append(0)
            continue
        stops = [
            int(problem.technicians.start_place[technician]),
            *(int(problem.visits.place[visit]) for visit in route),
            int(problem.technicians.end_place[technician]),
        ]
        known = points[stops]
        known = known[~np.isnan(known[:, 0])]
        legs = distance_m(known[:-1, 0], known[:-1, 1], known[1:, 0], known[1:, 1])
        lengths.append(int(legs.sum() * district.detour))
    return lengths
