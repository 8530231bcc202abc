"""What a command that moves many orders meets: the orders, their people and days, read at once."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import Invalid
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.queries.routes import last_places, routes_of
from app.dispatch.rules.costs import costs_of
from app.dispatch.rules.court import counted, target
from app.dispatch.rules.frames import frame_of
from app.dispatch.rules.moves import Command, Found, Ground, Person, Standing, Wish
from app.dispatch.rules.why_not import FARTHEST_DAYS, MOST_ROWS, NoTarget, WhyNot
from app.dispatch.service.people import diaries_of, read_vans
from app.technicians import availability
from app.technicians import queries as technicians
from app.technicians.availability import DayOf, Promised
from app.travel.queries import travel_in_force
from app.workorders.rules import HELD, UNDER_WAY, State


@dataclass(frozen=True, slots=True)
class Met:
    """A command beside what it meets; `left_out` are orders chosen by where they are that cannot
    be moved, and why."""

    wishes: Sequence[Wish]
    ground: Ground
    left_out: Sequence[tuple[Found, WhyNot]]


async def meet(
    session: AsyncSession, command: Command, caller: Caller, *, now: datetime, locking: bool
) -> Met:
    """Read what a command meets, in a dozen statements however many orders it moves.

    `locking` keeps the orders, and then the days, until the transaction ends. Raises NoTarget, and
    Invalid where more orders are chosen than one command may move.
    """
    orders = await _orders(session, command, caller, locking=locking)
    left_out: list[tuple[Found, WhyNot]] = []
    wishes: list[Wish] = []
    if command.of is None:
        wishes = [_wish(row, command) for row in command.rows]
    else:
        for order in orders:
            why = _left_out(order, command)
            if why is None:
                wishes.append(_wish(Wish(order.id, order.version), command))
            else:
                left_out.append((order, why))
    ground = await ground_of(
        session, wishes, {order.id: order for order in orders}, caller, now=now, locking=locking
    )
    return Met(wishes, ground, left_out)


async def _orders(
    session: AsyncSession, command: Command, caller: Caller, *, locking: bool
) -> list[Found]:
    chosen = command.of or [row.order_id for row in command.rows]
    orders = await queries.orders_to_move(
        session, caller, chosen, size=MOST_ROWS + 1, locking=locking
    )
    if len(orders) > MOST_ROWS:
        message = f"more than {MOST_ROWS} orders are there; choose fewer at a time"
        raise Invalid(errors=[{"field": "of", "message": message}])
    return orders


def _wish(row: Wish, command: Command) -> Wish:
    if command.take_back:
        return row._replace(take_back=True)
    technician_id, day = row.technician_id or command.technician_id, row.day or command.day
    if technician_id is None and day is None:
        raise NoTarget(errors=[{"field": "technician_id", "message": "say to whom, or when"}])
    return row._replace(technician_id=technician_id, day=day)


def _left_out(order: Found, command: Command) -> WhyNot | None:
    if order.state in UNDER_WAY or order.state is State.SUSPENDED:
        return WhyNot.UNDER_WAY
    if command.take_back and order.state not in HELD:
        return WhyNot.NOT_HELD
    return None


async def ground_of(
    session: AsyncSession,
    wishes: Sequence[Wish],
    orders: Mapping[UUID, Found],
    caller: Caller,
    *,
    now: datetime,
    locking: bool,
) -> Ground:
    """Read the people and days that some rows concern."""
    named = [(wish, orders[wish.order_id]) for wish in wishes if wish.order_id in orders]
    ids = {order.holder_id for _, order in named} | {wish.technician_id for wish, _ in named}
    people = await people_of_days(session, {one for one in ids if one is not None}, caller, now)
    raw: set[DayOf] = set()
    for wish, order in named:
        technician_id, day = target(wish, order, people)
        if technician_id in people and day is not None and _near(day, now):
            raw.add((technician_id, day))
        if order.holder_id is not None and order.planned_day is not None:
            raw.add((order.holder_id, order.planned_day))
    days = {counted(*key, people) for key in raw}
    if locking and raw:
        held = await availability.lock(session, raw | days)
        _correct(people, held)
    if any(order.terminals for _, order in named):
        if locking:
            await queries.take_from_vans(session, people)
        await read_vans(session, {one: person.diary for one, person in people.items()})
    return Ground(
        orders=orders,
        people=people,
        days=await standing_days(session, days, people, now),
        booked=await _booked(session, named, days, now),
    )


def _near(day: date, now: datetime) -> bool:
    """Tell whether a day is one that anything may be planned on, so that it is worth reading."""
    return abs((day - now.date()).days) <= FARTHEST_DAYS + 2


def _correct(people: Mapping[UUID, Person], held: Mapping[DayOf, Promised]) -> None:
    for (technician_id, day), promised in held.items():
        diary = people[technician_id].diary
        diary.promised[day] = promised
        diary.days.clear()


async def people_of_days(
    session: AsyncSession, ids: Collection[UUID], caller: Caller, now: datetime
) -> dict[UUID, Person]:
    """Read the diaries of people, and whether they are the caller's or lent to them or others."""
    if not ids:
        return {}
    until = now + timedelta(days=FARTHEST_DAYS + 2)
    diaries = await diaries_of(session, ids, now=now, until=until)
    loans = await technicians.loans_on(
        session,
        technician_ids=ids,
        first_day=now.date() - timedelta(days=1),
        last_day=until.date(),
    )
    people = {}
    for technician_id, diary in diaries.items():
        theirs = [loan for loan in loans if loan.technician_id == technician_id]
        people[technician_id] = Person(
            diary=diary,
            travel=await travel_in_force(session, now, diary.org_path),
            ours=diary.org_path.startswith(caller.org_path),
            loans=theirs,
            loans_to_us=[loan for loan in theirs if loan.org_path.startswith(caller.org_path)],
        )
    return people


async def standing_days(
    session: AsyncSession, days: Collection[DayOf], people: Mapping[UUID, Person], now: datetime
) -> dict[DayOf, Standing]:
    """Read what people's local days hold, and what they have to fit into."""
    if not days:
        return {}
    numbers = await parameters_in_force(session)
    ids = {technician_id for technician_id, _ in days}
    today = max(people[technician_id].diary.today for technician_id in ids)
    routes = await routes_of(session, ids, {day for _, day in days}, today=today)
    last = await last_places(session, ids, today)
    standing = {}
    for technician_id, day in days:
        route, diary = routes[technician_id, day], people[technician_id].diary
        frame = frame_of(
            diary,
            day,
            now=now,
            lunch_slack=costs_of(numbers, now, diary.org_path).lunch_slack,
            last=last.get(technician_id) if day == today else None,
            under_way=any(stop.under_way for stop in route.stops),
        )
        standing[technician_id, day] = Standing(frame, route.stops, route.written)
    return standing


async def _booked(
    session: AsyncSession,
    named: Sequence[tuple[Wish, Found]],
    days: Collection[DayOf],
    now: datetime,
) -> dict[DayOf, list[rules.Booked]]:
    """Read the appointments of the days, if any of the orders has one."""
    if not any(order.window for _, order in named):
        return {}
    return await queries.windows(
        session,
        {technician_id for technician_id, _ in days},
        {day for _, day in days},
        now=now,
        without=[order.id for _, order in named],
    )
