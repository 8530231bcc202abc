"""A board put together: who works, what they do in which order, and what nobody has."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.board import queries
from app.board.queries import Asked, Driver, OpenOutage, Waiting
from app.board.rules.day import Person, PersonDay, Visit, day_of
from app.board.rules.parameters import (
    MOST_PEOPLE,
    MOST_UNPLACED,
    Thresholds,
    thresholds_of,
)
from app.board.rules.words import BoardTooLarge
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.travel.queries import travel_in_force
from app.travel.rules import Travel
from app.workorders.queries import Unit, org_units


class Scope(NamedTuple):
    """What a caller has asked for, as of the minute `at`: a unit's local day, all of it or the
    days of some, with the orders nobody has or without them."""

    unit: Unit
    asked: Asked
    at: datetime
    thresholds: Thresholds
    travel: Travel
    most_people: int
    most_unplaced: int
    people: bool
    queue: bool


class Board(NamedTuple):
    """A board: everybody's day, the orders nobody has (None: not asked for), how many, and the
    outages that are open."""

    scope: Scope
    days: Sequence[PersonDay]
    unplaced: Sequence[Waiting] | None
    unplaced_count: int
    outages: Sequence[OpenOutage]


async def unit_of(read: AsyncSession, caller: Caller, org_unit_id: UUID | None) -> Unit:
    """Find a unit of the caller's subtree (None: their own). Raises NotFound."""
    wanted = org_unit_id or caller.org_unit_id
    units = await org_units(read, ids=[wanted])
    unit = units.in_reach(wanted, caller.org_path)
    if unit is None:
        raise NotFound()
    return unit


async def scope_of(
    read: AsyncSession,
    caller: Caller,
    *,
    org_unit_id: UUID | None,
    day: date | None,
    technician_ids: Collection[UUID],
    people: bool,
    queue: bool,
    positions: bool,
    now: datetime,
) -> Scope:
    """Say what a caller asks for; no day is today, no technicians are all. Raises NotFound."""
    unit = await unit_of(read, caller, org_unit_id)
    units = (await org_units(read)).within(unit.path)
    numbers = await parameters_in_force(read)
    at = now.replace(second=0, microsecond=0)
    today = at.astimezone(unit.zone).date()
    day = day or today
    asked = Asked(
        units,
        day,
        datetime.combine(day, time.min, unit.zone).astimezone(UTC),
        datetime.combine(day + timedelta(days=1), time.min, unit.zone).astimezone(UTC),
        day == today,
        day < today,
        sorted(technician_ids) if technician_ids else None,
        positions and day == today,
    )
    return Scope(
        unit,
        asked,
        at,
        thresholds_of(numbers, at, unit.path),
        await travel_in_force(read, at, unit.path),
        numbers.whole(MOST_PEOPLE, at, unit.path),
        numbers.whole(MOST_UNPLACED, at, unit.path),
        people,
        queue,
    )


async def mark_of(driver: Driver, scope: Scope) -> str:
    """Return a mark of what a whole board says: the same as long as nothing of it changes."""
    travel = scope.travel
    known = (
        (scope.unit.id, scope.asked.day, scope.queue, scope.asked.positions),
        (scope.at, scope.thresholds, scope.most_people, scope.most_unplaced),
        (
            travel.detour,
            travel.least,
            travel.unknown,
            travel.speeds,
            travel.ratios,
            len(travel.learned),
        ),
    )
    return f"{known}{await queries.mark(driver, scope.asked)}"


async def board_of(driver: Driver, scope: Scope) -> Board:
    """Put a board together. Raises BoardTooLarge when more people work there than one holds."""
    days: Sequence[PersonDay] = ()
    if scope.people:
        visits = await queries.visits_of_units(driver, scope.asked)
        holders = {visit.holder_id for visit in visits}
        staff = await queries.staff(driver, scope.asked, holders)
        if len(staff) > scope.most_people:
            raise BoardTooLarge(people=len(staff), most=scope.most_people)
        visits += await queries.other_visits(driver, scope.asked, [one.id for one in staff])
        # Hundreds of routes take a while: other requests go on meanwhile.
        days = await asyncio.to_thread(_days, scope, staff, visits)
    unplaced, count = None, 0
    outages: Sequence[OpenOutage] = ()
    if scope.queue:
        unplaced, count = await queries.unplaced(driver, scope.asked, scope.most_unplaced)
        outages = await queries.outages(driver, scope.asked)
    return Board(scope, days, unplaced, count, outages)


def _days(scope: Scope, staff: Sequence[Person], visits: Sequence[Visit]) -> list[PersonDay]:
    theirs: dict[UUID, list[Visit]] = {who.id: [] for who in staff}
    for visit in visits:
        theirs[visit.holder_id].append(visit)
    moment = int(scope.at.timestamp()) if scope.asked.today else None
    return [
        day_of(
            who,
            theirs[who.id],
            scope.asked.day,
            moment=moment,
            travel=scope.travel,
            numbers=scope.thresholds,
        )
        for who in staff
    ]


def is_follow_up(scope: Scope) -> bool:
    """Tell whether a part of a board is asked for, which is done because something has changed: it
    must not be older than that."""
    return scope.asked.technicians is not None or not scope.people
