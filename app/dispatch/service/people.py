"""Whom placing may ask, and what is known of their days: read for all orders at once."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from uuid import UUID

import numpy as np
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.geo import distance_m
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.queries import PersonOfGrid
from app.dispatch.queries.diaries import Person, contents, staff
from app.dispatch.rules import Ask, Candidate, Diary, Kind, Seat, Share
from app.dispatch.rules.costs import ASKED_OF_BRANCH, Terms, costs_of
from app.dispatch.rules.routes import NEVER, Stop
from app.dispatch.service.repeats import repeats_of
from app.grids import queries as grids
from app.grids.rules import GridKind
from app.technicians import queries as technicians
from app.travel.queries import travel_in_force
from app.travel.rules import Place, Travel
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.queries import Unit
from app.workorders.repeats import last_hands
from app.workorders.whereabouts import Whereabouts


@dataclass(frozen=True, slots=True)
class Asked:
    """An order to place: what it asks for, in which grid, and that grid's org unit.

    `prefer` are asked before all others, and the order is placed before those that prefer nobody:
    something is held for it. `only` is the one person to ask, if any. The point is in WGS-84
    degrees. Without `order_id` there is no order yet, and nothing is written into a route.
    """

    ask: Ask
    grid_id: UUID
    unit: Unit
    prefer: tuple[UUID, ...] = ()
    only: UUID | None = None
    order_id: UUID | None = None
    point: tuple[float, float] | None = None

    def visit(self, kinds: Mapping[UUID, GridKind]) -> Stop:
        """Say what it is on somebody's way, given the kinds of grids."""
        ask, place = self.ask, None
        if self.point is not None:
            place = Place(*self.point, self.grid_id, kinds.get(self.grid_id))
        opens, closes = 0, NEVER
        if ask.window is not None:
            opens, closes = (int(moment.timestamp()) for moment in ask.window)
        due = NEVER if ask.due_at is None else int(ask.due_at.timestamp())
        return Stop(
            self.order_id or self.grid_id, place, ask.minutes * 60, opens, closes, due, ask.priority
        )


def point_of(place: Whereabouts) -> tuple[float, float] | None:
    """Say where an order lies, in WGS-84 degrees."""
    return None if place.lon is None or place.lat is None else (place.lon, place.lat)


async def asked_again(
    tx: AsyncSession,
    orders: Sequence[WorkOrder],
    places: Mapping[UUID, Whereabouts],
    *,
    now: datetime,
) -> list[Asked]:
    """Say what orders ask for that are there already and lie in grids, given where they are."""
    units = await workorders.org_units(tx, ids={order.org_unit_id for order in orders})
    rest = (await parameters_in_force(tx)).number(rules.HAND_BACK_REST, now)
    declined = await queries.declined(
        tx, [order.id for order in orders], handed_back_since=now - timedelta(hours=rest)
    )
    came_back = [order.id for order in orders if order.repeat_of_id is not None]
    before = await last_hands(tx, came_back) if came_back else {}
    repeats = await repeats_of(
        tx,
        {
            order.id: (before[order.id], units.by_id[order.org_unit_id].path)
            for order in orders
            if order.id in before
        },
        now=now,
    )
    asked = []
    for order in orders:
        assert order.grid_id is not None
        ask = Ask(
            order.estimated_minutes,
            frozenset(order.skills),
            order.window,
            order.due_at,
            frozenset(declined.get(order.id, ())),
            order.priority,
            tuple(order.terminals),
            repeats.get(order.id),
        )
        unit = units.by_id[order.org_unit_id]
        point = point_of(places[order.id])
        asked.append(Asked(ask, order.grid_id, unit, order_id=order.id, point=point))
    return asked


async def horizons(tx: AsyncSession, asked: Sequence[Asked], now: datetime) -> dict[str, int]:
    """Say how many days after today may be planned, by the paths of the orders' units."""
    parameters = await parameters_in_force(tx)
    paths = {one.unit.path for one in asked}
    return {path: parameters.whole(rules.HORIZON, now, path) for path in paths}


def _until(asked: Sequence[Asked], days: Mapping[str, int], now: datetime) -> datetime:
    # A day to either side covers every zone on Earth.
    windows = [one.ask.window[1] for one in asked if one.ask.window]
    return max([now + timedelta(days=max(days.values())), *windows]) + timedelta(days=1)


async def candidates_of(
    tx: AsyncSession, asked: Sequence[Asked], now: datetime
) -> dict[UUID, list[Candidate]]:
    """Read whom the orders' grids may ask, by grid and in the order of asking: their own people,
    and the primaries of neighbouring grids."""
    until = _until(asked, await horizons(tx, asked, now), now)
    found: dict[UUID, list[Candidate]] = {one.grid_id: [] for one in asked}
    keepers = await grids.keepers(
        tx,
        found,
        first_day=(now - timedelta(days=1)).date(),
        last_day=until.date() + timedelta(days=1),
    )
    for one in keepers:
        kind = _KINDS[one.kind] if one.kind else Kind.NEIGHBOUR
        found[one.grid_id].append(Candidate(one.technician_id, kind, *one[3:]))
    return {grid_id: rules.in_order_of_asking(theirs) for grid_id, theirs in found.items()}


_KINDS = {kind.value: kind for kind in Kind}


async def seated(
    tx: AsyncSession,
    asked: Sequence[Asked],
    candidates: Mapping[UUID, Sequence[Candidate]],
    now: datetime,
    known: Mapping[UUID, Diary] | None = None,
) -> tuple[dict[UUID, list[Seat]], dict[UUID, Diary]]:
    """Seat candidates by grid, the cheapest first, and read their diaries, except for diaries that
    are `known` already; return both."""
    if not asked:
        return {}, {}
    known = known or {}
    people = {one.technician_id for theirs in candidates.values() for one in theirs} - known.keys()
    new = await diaries_again(tx, asked, people, now)
    diaries = {**known, **new}
    parameters = await parameters_in_force(tx)
    paths = {one.grid_id: one.unit.path for one in asked}
    terms = {path: costs_of(parameters, now, path) for path in set(paths.values())}
    seats = {
        grid_id: [
            Seat(one, diaries[one.technician_id], None, terms[path], path)
            for one in candidates.get(grid_id, ())
        ]
        for grid_id, path in paths.items()
    }
    for ours in seats.values():
        ours.sort(key=_owned)
    return seats, new


def _owned(seat: Seat) -> int:
    return seat.owned


async def diaries_again(
    tx: AsyncSession, asked: Sequence[Asked], technician_ids: Collection[UUID], now: datetime
) -> dict[UUID, Diary]:
    """Read the diaries of some people anew, for the same orders."""
    until = _until(asked, await horizons(tx, asked, now), now)
    return await diaries_of(tx, technician_ids, now=now, until=until)


async def branch_of(
    tx: AsyncSession,
    asked: Sequence[Asked],
    seats: Mapping[UUID, list[Seat]],
    diaries: dict[UUID, Diary],
    now: datetime,
    neighbours: Mapping[UUID, Sequence[Candidate]],
) -> dict[UUID, Diary]:
    """Seat whoever costs more for who they are beside those whom the grids ask first: primaries of
    neighbouring grids, whoever is lent to the grids' org units, and of the units' other people so
    many who live nearest. Returns the new diaries.
    """
    until = _until(asked, await horizons(tx, asked, now), now)
    first, last = (now - timedelta(days=1)).date(), until.date() + timedelta(days=1)
    parameters = await parameters_in_force(tx)
    known = {
        grid_id: {
            *(seat.candidate.technician_id for seat in ours),
            *(one.technician_id for one in neighbours.get(grid_id, ())),
        }
        for grid_id, ours in seats.items()
    }
    near, at_most = None, None
    if len(asked) == 1:
        [alone] = asked
        most = parameters.whole(ASKED_OF_BRANCH, now, alone.unit.path)
        near, at_most = alone.point, most + len(known[alone.grid_id])
    paths = {one.unit.path for one in asked}
    people = await staff(tx, paths, first_day=first, last_day=last, near=near, most=at_most)
    homes = {path: _Homes(theirs) for path, theirs in people.items()}
    found: dict[UUID, list[Candidate]] = {}
    for one in asked:
        if one.grid_id not in found:
            path = one.unit.path
            most = parameters.whole(ASKED_OF_BRANCH, now, path)
            more = homes[path].nearest(one.point, most, known[one.grid_id])
            found[one.grid_id] = [*neighbours.get(one.grid_id, ()), *more]
    more_seats, new = await seated(tx, asked, found, now, diaries)
    diaries.update(new)
    for grid_id, theirs in more_seats.items():
        seats[grid_id].extend(theirs)
        seats[grid_id].sort(key=_owned)
    return new


class _Homes:
    """An org unit's people and those lent to it, with where they live."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.lent = [row for row in people if row.valid_from is not None]
        self.ours = [row for row in people if row.valid_from is None]
        # Whoever lives nobody knows where comes last: what is not a number is sorted to the end.
        self.lon = np.array([row.lon for row in self.ours], np.float64)
        self.lat = np.array([row.lat for row in self.ours], np.float64)

    def nearest(
        self, point: tuple[float, float] | None, most: int, known: Collection[UUID]
    ) -> list[Candidate]:
        """List those who are lent, and of the others so many who live nearest to a point; those
        who are known already are left out."""
        order: Iterable[int] = range(len(self.ours))
        if point is not None:
            order = np.argsort(distance_m(*point, self.lon, self.lat), kind="stable").tolist()
        others = (self.ours[place] for place in order)
        near = islice((row for row in others if row.id not in known), most)
        found = [
            Candidate(row.id, Kind.LENT, 1, 0.0, valid_from=row.valid_from, valid_to=row.valid_to)
            for row in self.lent
            if row.valid_from is not None and row.id not in known
        ]
        found += [Candidate(row.id, Kind.BRANCH, rank, 0.0) for rank, row in enumerate(near, 1)]
        return rules.in_order_of_asking(found)


# --- what they have to do -------------------------------------------------------------------------


async def read_days(
    tx: AsyncSession,
    diaries: Mapping[UUID, Diary],
    days: Collection[date],
    *,
    now: datetime,
    without: Collection[UUID] = (),
    grid_ids: Collection[UUID] = (),
) -> tuple[dict[UUID, GridKind], list[UUID]]:
    """Read into diaries what their local days have to be done.

    Return the kinds of some grids, and the people of whom a hold's time is over. What days gone by
    still hold counts today. Orders and holds given by id are left out.
    """
    if not days:
        return {}, []
    read, kinds = await contents(
        tx,
        diaries,
        first_day=min(days),
        last_day=max(days),
        now=now,
        without=without,
        grid_ids=grid_ids,
    )
    parameters = await parameters_in_force(tx)
    known: dict[str, tuple[Terms, Travel]] = {}
    for technician_id, content in read.items():
        diary = diaries[technician_id]
        path = diary.org_path
        if path not in known:
            known[path] = costs_of(parameters, now, path), await travel_in_force(tx, now, path)
        diary.terms, diary.travel = known[path]
        diary.windows, diary.written, diary.last = content.windows, content.written, content.last
        diary.loans, diary.holds = content.loans, content.holds
        diary.visits = {}
        for day, visits in content.visits.items():
            diary.visits.setdefault(max(day, diary.today), []).extend(visits)
        diary.lines.clear()
    return kinds, [technician_id for technician_id, content in read.items() if content.over]


async def read_vans(
    session: AsyncSession, diaries: Mapping[UUID, Diary], *, without: Collection[UUID] = ()
) -> None:
    """Read into diaries what is left in people's vans, without some orders and holds."""
    if not diaries:
        return
    now = min(diary.now for diary in diaries.values())
    found = await queries.vans(session, diaries, without=without, now=now)
    for technician_id, van in found.items():
        diaries[technician_id].van = van


async def shares_of(
    tx: AsyncSession, seats: Mapping[UUID, Sequence[Seat]], now: datetime
) -> dict[PersonOfGrid, Share]:
    """Read what grids hold of people's days where a membership gives them a part of the day.

    Mostly there is none, and nothing is read.
    """
    limited = {
        (seat.candidate.technician_id, grid_id): seat
        for grid_id, ours in seats.items()
        for seat in ours
        if seat.candidate.ratio < 100
    }
    if not limited:
        return {}
    shares = await queries.held_for_grids(tx, limited, first_day=yesterday(now))
    for (technician_id, grid_id), share in shares.items():
        for seat in seats[grid_id]:
            if seat.candidate.technician_id == technician_id and seat.candidate.ratio < 100:
                seat.share = share
    return shares


def yesterday(now: datetime) -> date:
    """Say which day is over by now wherever on Earth one is: the day before the one in UTC."""
    return (now - timedelta(days=1)).date()


async def diaries_of(
    tx: AsyncSession, technician_ids: Collection[UUID], *, now: datetime, until: datetime
) -> dict[UUID, Diary]:
    """Read people's diaries from now until a moment, without locking anything."""
    if not technician_ids:
        return {}
    parameters = await parameters_in_force(tx)
    working = await technicians.working(
        tx,
        technician_ids,
        # A leave of this morning counts where a share of the whole day is worked out.
        from_moment=now - timedelta(days=1),
        until_moment=until,
        last_day=until.date() + timedelta(days=1),
    )
    return {
        one.technician_id: Diary(
            technician_id=one.technician_id,
            active=one.active,
            skills=one.skills,
            zone=one.zone,
            daily_minutes=one.daily_minutes,
            shifts=one.shifts,
            leave=one.leave,
            promised=dict(one.promised),
            now=now,
            allowance=parameters.number(rules.TRAVEL_ALLOWANCE, now, one.org_path),
            org_path=one.org_path,
            home=one.home,
        )
        for one in working.values()
    }
