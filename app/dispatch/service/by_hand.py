"""What a supervisor does with an order by hand."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.dispatch import queries, rules
from app.dispatch.rules import (
    BY_HAND,
    REASON_WORDS,
    Ask,
    Booked,
    Candidate,
    Choice,
    Kind,
    PassedOver,
    Tried,
)
from app.dispatch.rules.court import MOST_FOLLOWED
from app.dispatch.rules.insertion import line_of
from app.dispatch.rules.moves import Person
from app.dispatch.rules.why_not import FARTHEST_DAYS
from app.dispatch.service.decisions import Decided, write_decisions
from app.dispatch.service.moving import people_of_days, standing_days
from app.dispatch.service.people import read_vans
from app.dispatch.service.pins import Pinned, pin_all, release
from app.technicians import availability
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step


async def assign(
    tx: AsyncSession,
    order_id: UUID,
    caller: Caller,
    *,
    technician_id: UUID,
    day: date,
    reason: str,
    version: int,
    override: bool,
    pin: bool,
    now: datetime,
) -> WorkOrder:
    """Give an order to somebody of the caller's subtree, or lent to it, on a local day, by hand.

    `version` is the one the supervisor has seen: of two who decide at once, one wins and the other
    is told. What the order asks for is checked as in placing; `override` lets a supervisor decide
    otherwise, except for somebody who is no longer active. With `pin` nothing but a person moves
    it afterwards. Raises NotFound, OrderChanged, UnknownTechnician, DayOutOfRange, CannotTake or
    StepRefused.
    """
    order = await workorders.for_change(tx, order_id, caller)
    if order.version != version:
        raise rules.OrderChanged(
            state=order.state, version=order.version, holder_id=order.holder_id
        )
    person = (await people_of_days(tx, [technician_id], caller, now)).get(technician_id)
    if person is None or not person.counted_on(day):
        raise rules.UnknownTechnician(technician_id=technician_id, errors=[])
    diary = person.diary
    last = diary.today + timedelta(days=FARTHEST_DAYS)
    if not diary.today <= day <= last:
        raise rules.DayOutOfRange(first=diary.today, last=last, errors=[])
    diary.promised = _without(diary.promised, order, technician_id)
    candidate = Candidate(technician_id, Kind.OTHER, 1, 0.0)
    diary.windows[day] = await _appointments_beside(tx, order, technician_id, day, now)
    if order.terminals:
        await read_vans(tx, {technician_id: diary}, without=[order.id])
    why = _why_not(order, candidate, diary, day)
    if why is None and person.lent(day):
        why = PassedOver.LENT_OUT
    if why is not None and (why is PassedOver.INACTIVE or not override):
        raise _cannot(day, why)
    order.tried_at = now
    await take_step(
        tx,
        order,
        Step.ASSIGN,
        now=now,
        account_id=caller.account_id,
        holder_id=technician_id,
        planned_day=day,
        reason=reason,
        facts={"technician_id": str(technician_id), "planned_day": str(day), "pinned": pin},
    )
    # The day's row is locked by now: what it holds is what it will hold.
    held = await availability.promised(tx, technician_id, day)
    if not override and rules.overbooked(diary, day, held):
        raise _cannot(day, PassedOver.NO_MINUTES_LEFT)
    beside = await _appointments_beside(tx, order, technician_id, day, now)
    if not override and beside != diary.windows[day]:
        diary.windows[day] = beside
        if _why_not(order, candidate, diary, day) is PassedOver.WINDOW_TAKEN:
            raise _cannot(day, PassedOver.WINDOW_TAKEN)
    if order.terminals and not override:
        await queries.take_from_vans(tx, [technician_id])
        await read_vans(tx, {technician_id: diary}, without=[order.id])
        if not diary.van.holds(order.terminals):
            raise _cannot(day, PassedOver.NO_STOCK)
    await find_place(tx, person, day, now)
    choice = Choice(candidate, day, None, [Tried(candidate, why)], 0)
    await write_decisions(
        tx,
        [Decided(order.id, order.grid_id, choice, BY_HAND, reason)],
        at=now,
        account_id=caller.account_id,
    )
    if pin:
        pinned = Pinned(order.id, technician_id, day, now, caller.account_id, reason)
        await pin_all(tx, [pinned])
    else:
        await release(tx, [order.id], reason=reason, now=now, account_id=caller.account_id)
    return order


async def find_place(tx: AsyncSession, person: Person, day: date, now: datetime) -> None:
    """Let what somebody's locked day has no place for yet have the one where it costs least."""
    key = (person.diary.technician_id, day)
    standing = (await standing_days(tx, [key], {key[0]: person}, now))[key]
    if standing.frame is None or not standing.route or len(standing.stops) > MOST_FOLLOWED:
        return
    line = line_of(standing.frame, standing.stops, standing.route, person.travel)
    await availability.write_routes(tx, {key: [stop.order_id for stop in line.stops]})


async def _appointments_beside(
    tx: AsyncSession, order: WorkOrder, technician_id: UUID, day: date, now: datetime
) -> list[Booked]:
    """Read the other appointments of the day, for an order that has one."""
    if order.appointment_from is None:
        return []
    found = await queries.windows(tx, [technician_id], [day], now=now, without=[order.id])
    return found.get((technician_id, day), [])


def _why_not(
    order: WorkOrder, candidate: Candidate, diary: rules.Diary, day: date
) -> PassedOver | None:
    ask = Ask(
        order.estimated_minutes,
        frozenset(order.skills),
        order.window,
        terminals=tuple(order.terminals),
    )
    return rules.why_not_at_all(ask, diary) or rules.why_not_on(
        ask, rules.Seat(candidate, diary), day
    )


def _without(
    promised: Mapping[date, tuple[int, int]], order: WorkOrder, technician_id: UUID
) -> dict[date, tuple[int, int]]:
    """Leave the order itself out of its holder's days: moved to another day, it leaves this one."""
    rest = dict(promised)
    if order.holder_id == technician_id and order.planned_day in rest:
        minutes, orders = rest[order.planned_day]
        rest[order.planned_day] = (minutes - order.estimated_minutes, orders - 1)
    return rest


def _cannot(day: date, why: PassedOver) -> rules.CannotTake:
    words = REASON_WORDS[why]
    return rules.CannotTake(day=day, why=why, why_zh=words.zh, why_en=words.en)
