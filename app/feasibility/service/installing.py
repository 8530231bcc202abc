"""The install that follows a sale at the door: an order of the house's intake, held already."""

import hashlib
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller, technician_of
from app.auth.rules import district_of
from app.core.db import new_id
from app.core.errors import Problem
from app.core.parameter_values import parameters_in_force
from app.customers.models import Customer
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import HoldState, Need
from app.dispatch.service.at_the_door import Spot, locked_door_day, take_in_now
from app.feasibility import queries, rules
from app.feasibility.models import InstallReservation, SameVisitInstall
from app.feasibility.rules import Infeasible, No, ReservationState
from app.feasibility.service.asking import AtDoor, at_door, pieces_of
from app.feasibility.service.reserving import Items, TerminalsTaken, against, free, take
from app.terminals.rules import TerminalKind
from app.visits import queries as visits
from app.visits.service.steps import SHOWN_TO_HOLDER
from app.workorders.rules import Draft, Sender
from app.worktypes.rules import WorkType

# Where orders come from that this house makes by itself.
SOURCE = "yingwei"


@dataclass(frozen=True)
class Sold:
    """A sale that was agreed to just now: codes and quantities of its items, the reservation that
    it names, if any, and the codes of what is sold on an approval code."""

    sale_id: UUID
    visit_id: UUID
    items: Items
    reservation_id: UUID | None = None
    on_terms: Set[str] = frozenset()


@dataclass(frozen=True)
class NotNow:
    """Why a sale is not installed in its visit, though something of it has to be installed."""

    noes: Sequence[No]


@dataclass(frozen=True)
class _Kept:
    """What is reserved for a sale at the door where whoever sold it stands."""

    door: AtDoor
    reservation: InstallReservation


async def install_now(
    tx: AsyncSession, sold: Sold, caller: Caller | None, *, now: datetime
) -> SameVisitInstall | NotNow:
    """Have a sale, of which something has to be installed, installed by whoever made it, in the
    visit that goes on; `caller` is that technician, or None where they have no account any more.
    Where it cannot be done now the sale stands without it, and why is said.

    What the visit has reserved, and no other sale names, is used; without a reservation it is done
    if it is feasible at this moment. The order is held already, next on the day, and due within the
    time that is promised for such sales. Asked again for the same sale it gives the same install.
    """
    known = await tx.get(SameVisitInstall, sold.sale_id)
    if known is not None:
        return known
    kept = await _kept(tx, sold, caller, now)
    if isinstance(kept, NotNow) or caller is None:
        return kept if isinstance(kept, NotNow) else _gone()
    return await _ordered(tx, kept.door, kept.reservation, sold, caller, now)


async def keep_for_later(
    tx: AsyncSession, sold: Sold, caller: Caller, *, until: datetime, now: datetime
) -> InstallReservation | NotNow:
    """Reserve what a sale takes for as long as somebody else has still to agree to it, at most
    until a moment and for the operator's number of minutes."""
    kept = await _kept(tx, sold, caller, now)
    if isinstance(kept, NotNow):
        return kept
    assert kept.door.spot is not None
    minutes = (await parameters_in_force(tx)).number(
        rules.AWAITING_MINUTES, now, kept.door.spot.unit.path
    )
    held = await queries.hold_of(tx, kept.reservation.hold_id)
    longer = min(until, now + timedelta(minutes=minutes))
    kept.reservation.expires_at = held.expires_at = max(kept.reservation.expires_at, longer)
    await tx.flush()
    return kept.reservation


async def let_go_of(tx: AsyncSession, reservation_id: UUID, *, now: datetime) -> None:
    """Give a reservation free that is wanted no more; one that is used or free stays as it is."""
    found = await queries.open_one(tx, reservation_id)
    if found is not None:
        await free(tx, found, now=now)


def _gone(facts: Mapping[str, Any] | None = None) -> NotNow:
    return NotNow([No(Infeasible.NOT_AT_THE_DOOR, facts or {})])


async def _kept(
    tx: AsyncSession, sold: Sold, caller: Caller | None, now: datetime
) -> _Kept | NotNow:
    """Find or take what a sale needs, as far as it can be had at this moment."""
    if caller is None:
        return _gone()
    try:
        visit = await visits.own(tx, sold.visit_id, technician_of(caller))
        await queries.lock_order(tx, visit.work_order_id, visit.technician_id)
        door = await at_door(
            tx, sold.visit_id, caller, now, without=sold.sale_id, on_terms=sold.on_terms
        )
        wanted = [(code, quantity) for code, quantity in sold.items if code in door.catalogue]
        pieces = pieces_of(door, wanted)
    except Problem as problem:
        # The visit is over, or the order is somebody else's by now: nobody is at the door.
        return _gone({"problem": problem.slug})
    need = rules.together(pieces)
    if need is None or door.visit.checked_in_at is None:
        return _gone()
    if door.spot is None:
        return NotNow([No(Infeasible.PLACE_NOT_COVERED, {})])
    reserved = await queries.open_of_visit(tx, door.visit.id, sale_id=sold.sale_id)
    for found in reserved:
        if sold.reservation_id in (None, found.id) and await _is_enough(tx, found, need, now):
            return _Kept(door, found)
    its_own = next((one.id for one in reserved if one.id == sold.reservation_id), None)
    taken = await _taken(tx, door, door.spot, reserved, need, wanted, caller, now)
    if isinstance(taken, NotNow):
        if its_own is not None:
            await let_go_of(tx, its_own, now=now)
        return taken
    return _Kept(door, taken)


async def _is_enough(
    tx: AsyncSession, found: InstallReservation, need: Need, now: datetime
) -> bool:
    held = await queries.hold_of(tx, found.hold_id)
    kept = Need(held.minutes, frozenset(held.skills), tuple(held.terminals))
    return (
        found.expires_at > now
        and held.state is HoldState.HELD
        and rules.covers(kept, need)
        and await queries.still_there(tx, found.id, found.technician_id) == len(kept.terminals)
    )


async def _taken(
    tx: AsyncSession,
    door: AtDoor,
    spot: Spot,
    reserved: Sequence[InstallReservation],
    need: Need,
    wanted: Items,
    caller: Caller,
    now: datetime,
) -> InstallReservation | NotNow:
    """Take what a sale needs, in place of what its visit has reserved. That stays where it cannot
    be had all the same: it may be for something that is still being talked about."""
    technician_id = door.visit.technician_id
    async with tx.begin_nested() as attempt:
        for one in reserved:
            await free(tx, one, now=now)
        day = await locked_door_day(tx, technician_id, spot, now=now)
        await queries.end_expired(tx, now=now, technician_id=technician_id)
        noes = await against(tx, door, pieces_of(door, wanted), need, day, caller, now)
        if not noes:
            try:
                return await take(
                    tx, door, day, need, wanted, reservation_id=new_id(), caller=caller, now=now
                )
            except TerminalsTaken:
                kinds = sorted({*need.terminals})
                noes = [No(Infeasible.NOT_IN_THE_VAN, {"terminals": kinds})]
        await attempt.rollback()
    return NotNow(noes)


async def _ordered(
    tx: AsyncSession,
    door: AtDoor,
    reservation: InstallReservation,
    sold: Sold,
    caller: Caller,
    now: datetime,
) -> SameVisitInstall:
    held = await queries.hold_of(tx, reservation.hold_id)
    draft = await _draft(tx, door, held, sold, now)
    assert door.spot is not None
    unit = door.spot.unit
    sender = Sender(caller.account_id, unit.id, district_of(unit.path))
    order_id = await take_in_now(
        tx, draft, sender, held, caller, near_border=door.order.near_border, now=now
    )
    reservation.state, reservation.ended_at = ReservationState.USED, now
    made = SameVisitInstall(
        sale_id=sold.sale_id,
        work_order_id=order_id,
        visit_id=sold.visit_id,
        technician_id=reservation.technician_id,
        org_unit_id=unit.id,
        reservation_id=reservation.id,
        accepted_at=now,
    )
    tx.add(made)
    await tx.flush()
    audit.unmasked(
        tx,
        caller,
        subject_kind="customer",
        subject_id=door.door.customer_id,
        purpose=f"work_order:{order_id}",
        fields=SHOWN_TO_HOLDER,
    )
    return made


async def _draft(
    tx: AsyncSession, door: AtDoor, held: AppointmentHold, sold: Sold, now: datetime
) -> Draft:
    """Write the install as an order of the house: the door of the visit's order, what was sold."""
    order, spot = door.order, door.spot
    assert spot is not None
    customer = await tx.get_one(Customer, door.door.customer_id)
    external_id = f"sale-{sold.sale_id}"
    point: dict[str, Any] = {}
    if spot.point is not None:
        point = {"lon": spot.point[0], "lat": spot.point[1]}
    return Draft(
        source=SOURCE,
        external_id=external_id,
        content_hash=hashlib.sha256(external_id.encode()).hexdigest(),
        work_type=WorkType.INSTALL,
        address=order.address,
        summary=_summary(door, sold.items),
        reported_at=now,
        org_unit_code=spot.unit.code,
        customer_code=customer.code,
        service_number=order.service_number,
        contact_name=order.contact_name,
        contact_phone=order.contact_phone,
        locality=order.locality,
        skills=tuple(held.skills),
        terminals=tuple(TerminalKind(kind) for kind in held.terminals),
        estimated_minutes=held.minutes,
        same_visit=True,
        **point,
    )


def _summary(door: AtDoor, items: Sequence[tuple[str, int]]) -> str:
    names = [
        door.catalogue[code].name_zh + (f"×{quantity}" if quantity > 1 else "")
        for code, quantity in items
        if code in door.catalogue and door.catalogue[code].install_minutes is not None
    ]
    return f"即办即装：{'、'.join(names)}"
