"""Booking a slot for the install of what is sold at a door and not installed in its visit.

The slot is a hold like any other. The ordering system is told its id with the sale, and gives it
back with the install order that it sends; until then the minutes are kept, for a while.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, at_door_of
from app.catalog.queries import in_force, today_of
from app.core.parameter_values import parameters_in_force
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import HoldState, Need, PlaceNotCovered, Wish, is_open
from app.dispatch.service import holds
from app.feasibility import queries, rules
from app.feasibility.service.asking import at_door, piece_of, pieces_of
from app.feasibility.service.reserving import Items, content_of
from app.technicians import availability
from app.worktypes.rules import WorkType


async def book(
    tx: AsyncSession,
    *,
    hold_id: UUID,
    visit_id: UUID,
    items: Items,
    day: date,
    slot: str,
    caller: Caller,
    now: datetime,
) -> AppointmentHold:
    """Hold a slot of a local day at the door of a visit that goes on, long enough for installing
    some offerings together, until the sale can be confirmed; the phone makes the id.

    Asked again it is answered like the first time. Raises NotFound, VisitEnded, CustomerNotKnown,
    Invalid, NothingToInstall, PlaceNotCovered, SameIdOtherContent, and SlotNotOffered with others
    to choose from.
    """
    door = await at_door(tx, visit_id, caller, now)
    need = rules.together(pieces_of(door, items))
    if need is None:
        raise rules.NothingToInstall()
    if door.spot is None:
        raise PlaceNotCovered()
    wish = Wish(
        grid_id=door.spot.grid_id,
        point=door.spot.point,
        work_type=WorkType.INSTALL,
        minutes=need.minutes,
        skills=need.skills,
        later_agreed=True,
    )
    content = content_of(visit_id, [*items, (f"{day} {slot}", 1)])
    there = at_door_of(caller, door.spot.unit.path)
    held, made = await holds.hold(
        tx, hold_id, wish, there, day=day, slot=slot, content_hash=content, now=now
    )
    if made:
        minutes = (await parameters_in_force(tx)).number(
            rules.RESERVATION_MINUTES, now, door.spot.unit.path
        )
        _lengthen(held, now + timedelta(minutes=minutes))
        held.visit_id = visit_id
        await tx.flush()
    return held


async def keep_booked(
    tx: AsyncSession,
    hold_id: UUID,
    items: Items,
    *,
    org_path: str,
    now: datetime,
    until: datetime | None = None,
) -> AppointmentHold | None:
    """Keep a booked slot for what was sold, until a moment, or else for as long as the operator
    says; never beyond its beginning. None where it is over, or not enough for that."""
    held = await queries.hold_of(tx, hold_id)
    if not is_open(held.state, held.expires_at, now):
        return None
    catalogue = await in_force(tx, await today_of(tx, held.org_unit_id, now))
    need = rules.together(piece_of(catalogue[code], n) for code, n in items if code in catalogue)
    kept = Need(held.minutes, frozenset(held.skills))
    # What has to be in a van is seen to when the install order is placed.
    if need is None or not rules.covers(kept, need._replace(terminals=())):
        return None
    if until is None:
        hours = (await parameters_in_force(tx)).number(rules.APPOINTMENT_HOURS, now, org_path)
        until = now + timedelta(hours=hours)
    _lengthen(held, until)
    await tx.flush()
    return held


async def give_back(tx: AsyncSession, hold_ids: Sequence[UUID], *, now: datetime) -> None:
    """Give booked slots free that are wanted no more; those that an order has used stay."""
    for hold_id in hold_ids:
        held = await queries.hold_of(tx, hold_id)
        await availability.lock(tx, [(held.technician_id, held.day)])
        if held.state is HoldState.HELD:
            await holds.let_go(tx, held, now=now)


def _lengthen(held: AppointmentHold, until: datetime) -> None:
    held.expires_at = max(held.expires_at, min(until, held.begins_at))
