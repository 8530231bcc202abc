"""Holding slots: by somebody who can keep them, for a while, until confirmed, released or over."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.db import is_broken
from app.core.errors import Invalid, SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.models import AppointmentHold
from app.dispatch.queries import end_expired
from app.dispatch.rules import Ask, Choice, HoldState, Slot, Wish
from app.dispatch.service.people import Asked, point_of
from app.dispatch.service.placing import choose_within, together
from app.dispatch.service.questions import Question, question, reserved_by
from app.dispatch.service.slots import look, not_offered
from app.technicians import availability
from app.technicians.availability import DayOf, Promised
from app.workorders import queries as workorders
from app.workorders import whereabouts


async def hold(
    tx: AsyncSession,
    hold_id: UUID,
    wish: Wish,
    caller: Caller,
    *,
    day: date,
    slot: str,
    content_hash: str,
    now: datetime,
) -> tuple[AppointmentHold, bool]:
    """Hold a slot of a local day, or give the hold that has this id already; tell which.

    The minutes are promised of the day of somebody who can keep the slot beside all else that is
    promised, under that day's lock: so nothing is ever overbooked, however many ask at once. The
    reserve and the limits concern a whole unit; therefore those who hold slots of one unit's day
    come one after the other. An order has one hold: a new one takes the place of the one before.

    Raises SlotNotOffered with others to choose from, SameIdOtherContent, NotFound, Invalid,
    PlaceNotCovered or NoSlotsDefined.
    """
    before: Sequence[AppointmentHold] = []
    if wish.order_id is not None:
        await workorders.for_change(tx, wish.order_id, caller)
        before = await queries.open_holds_of(tx, wish.order_id, now=now, lock=True)
    asked = await question(tx, wish, caller, now=now)
    await queries.one_at_a_time(tx, asked.unit.id, day)
    known = await tx.get(AppointmentHold, hold_id)
    if known is not None:
        if known.content_hash != content_hash or known.org_unit_id != asked.unit.id:
            raise SameIdOtherContent(id=hold_id)
        return known, False
    offers = await look(tx, asked, first_day=day, last_day=day, only=slot)
    if not offers:
        raise Invalid(errors=[{"field": "slot", "message": "there is no such slot on that day"}])
    [offer] = offers
    if offer.why is not None:
        raise await not_offered(tx, asked, day=day, slot=slot, why=offer.why)
    choice, reserved = await _reserved(tx, asked, offer.slot, now)
    if choice.candidate is None:
        why = rules.nobody(tried.why for tried in choice.tried if tried.why is not None)
        raise await not_offered(tx, asked, day=day, slot=slot, why=why)
    for one in before:
        one.state, one.ended_at = HoldState.RELEASED, now
    parameters = await parameters_in_force(tx)
    minutes = parameters.number(rules.HOLD_MINUTES, now, asked.unit.path)
    made = AppointmentHold(
        id=hold_id,
        org_unit_id=asked.unit.id,
        grid_id=asked.grid_id,
        technician_id=choice.candidate.technician_id,
        work_order_id=asked.order_id,
        state=HoldState.HELD,
        content_hash=content_hash,
        work_type=asked.work_type,
        urgent=asked.urgent,
        minutes=asked.minutes,
        skills=sorted(asked.skills),
        slot=slot,
        day=offer.slot.day,
        begins_at=offer.slot.begins,
        ends_at=offer.slot.ends,
        reserved_minutes=reserved.minutes,
        reserved_orders=reserved.orders,
        held_at=now,
        expires_at=now + timedelta(minutes=minutes),
        account_id=caller.account_id,
    )
    tx.add(made)
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_appointment_hold", error):
            raise SameIdOtherContent(id=hold_id) from error
        raise
    return made, True


class _Nobody(Exception):
    """Nobody was found, and what the attempt did to days is taken back."""


async def _reserved(
    tx: AsyncSession, asked: Question, slot: Slot, now: datetime
) -> tuple[Choice, Promised]:
    """Choose who keeps a slot, and promise their minutes; say what was added to the day.

    Whoever has the order already is asked first; on the day it stands on already, it makes room
    for itself.
    """
    ask = Ask(
        asked.minutes,
        asked.skills,
        (slot.begins, slot.ends),
        terminals=asked.terminals,
    )
    point, holder = asked.point, asked.holder_id
    if point is None and asked.order_id is not None:
        point = point_of((await whereabouts.of_orders(tx, [asked.order_id]))[asked.order_id])
    if holder is not None and (holder, slot.day) in asked.own:
        own = asked.own[holder, slot.day]
        alone = Asked(ask, asked.grid_id, asked.unit, only=holder, point=point)
        try:
            async with tx.begin_nested():
                freed = less(together(asked.own, asked.held))
                [choice] = await choose_within(
                    tx, [alone], now=now, freed=freed, without=asked.without
                )
                if choice.candidate is None:
                    raise _Nobody
            return choice, Promised(asked.minutes - own.minutes, 1 - own.orders)
        except _Nobody:
            pass
    prefer = (holder,) if holder is not None else ()
    one = Asked(ask, asked.grid_id, asked.unit, prefer, point=point)
    [choice] = await choose_within(
        tx, [one], now=now, freed=less(asked.held), without=asked.without
    )
    return choice, Promised(asked.minutes, 1)


def less(promised: Mapping[DayOf, Promised]) -> dict[DayOf, Promised]:
    """Turn what is promised of days into the change that gives it free."""
    return {key: Promised(-one.minutes, -one.orders) for key, one in promised.items()}


async def release(
    tx: AsyncSession, hold_id: UUID, caller: Caller, *, now: datetime
) -> AppointmentHold:
    """Give a slot free that is no longer wanted; one that is free already stays as it is.

    Raises NotFound, or HoldOver for a hold that an order has used.
    """
    held = await queries.hold_for_change(tx, hold_id, caller)
    if held.state is HoldState.CONFIRMED:
        raise rules.HoldOver(state=held.state, expires_at=held.expires_at)
    if held.state is HoldState.HELD:
        await let_go(tx, held, now=now)
    return held


async def let_go(tx: AsyncSession, held: AppointmentHold, *, now: datetime) -> None:
    """Give a locked hold's slot free; once its time is over it has expired instead."""
    expired = held.expires_at <= now
    held.state = HoldState.EXPIRED if expired else HoldState.RELEASED
    held.ended_at = held.expires_at if expired else now
    await tx.flush()
    await availability.change(tx, less(reserved_by(held)))


async def end_holds(tx: AsyncSession, *, now: datetime, size: int) -> int:
    """End up to so many holds whose time is over; return of how many days."""
    relieved = await end_expired(tx, now=now, size=size)
    await availability.change(tx, relieved)
    return len(relieved)
