"""Reserving minutes and terminals for a sale at the door, and giving them free again."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller, technician_of
from app.core.db import is_broken, new_id
from app.core.errors import SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.dispatch.rules import HoldState, Need
from app.dispatch.service.at_the_door import DoorDay, hold_now, locked_door_day
from app.dispatch.service.holds import let_go
from app.feasibility import queries, rules
from app.feasibility.models import InstallReservation
from app.feasibility.rules import Infeasible, No, Piece, ReservationState
from app.feasibility.service.asking import (
    AtDoor,
    at_door,
    gates,
    lacking,
    line_known,
    named,
    next_best,
    person_of,
    pieces_of,
)
from app.technicians import availability
from app.visits import queries as visits

Items = Sequence[tuple[str, int]]


def content_of(visit_id: UUID, items: Items) -> str:
    """Hash what a phone asked to reserve, so that asking again is known by it."""
    return hashlib.sha256(orjson.dumps([str(visit_id), *map(list, items)])).hexdigest()


async def reserve(
    tx: AsyncSession,
    *,
    reservation_id: UUID,
    visit_id: UUID,
    items: Items,
    caller: Caller,
    now: datetime,
) -> InstallReservation:
    """Reserve what installing some offerings in a visit takes; the phone makes the id.

    Asked again it is answered like the first time. Another reservation of the visit that no sale
    names gives way to the new one; one that a sale names stays beside it. The day and the van are
    locked while they are looked at and taken from, so neither a minute nor a terminal is given
    twice. Raises NotFound, VisitEnded, CustomerNotKnown, Invalid, NothingToInstall,
    SameIdOtherContent, and InstallNotFeasible with all reasons and the next best time.
    """
    content = content_of(visit_id, items)
    if known := await _same(tx, reservation_id, content, caller):
        return known
    visit = await visits.own(tx, visit_id, technician_of(caller))
    # Two phones in one visit come one after the other; the second may be asking the same again.
    await queries.lock_order(tx, visit.work_order_id, visit.technician_id)
    if known := await _same(tx, reservation_id, content, caller):
        return known
    door = await at_door(tx, visit_id, caller, now)
    pieces = pieces_of(door, items)
    need = rules.together(pieces)
    if need is None:
        raise rules.NothingToInstall()
    for before in await queries.open_of_visit(tx, visit_id):
        await free(tx, before, now=now)
    day = await _locked_day(tx, door, now)
    noes = await against(tx, door, pieces, need, day, caller, now)
    if not noes and day is not None:
        try:
            return await take(
                tx, door, day, need, items, reservation_id=reservation_id, caller=caller, now=now
            )
        except TerminalsTaken:
            noes = [No(Infeasible.NOT_IN_THE_VAN, {"terminals": sorted({*need.terminals})})]
    best = await next_best(tx, door, {need}, caller, now) if rules.sellable(noes) else {}
    raise rules.InstallNotFeasible(
        codes=[no.code for no in noes],
        noes=[
            {
                "code": no.code,
                "blocks": no.blocks,
                "words": rules.WORDS[no.code],
                "facts": dict(no.facts),
            }
            for no in noes
        ],
        next_best=named(best.get(need)),
    )


class TerminalsTaken(Exception):
    """The van has the terminals by their kinds, but each is kept for somebody already."""


async def _same(
    tx: AsyncSession, reservation_id: UUID, content: str, caller: Caller
) -> InstallReservation | None:
    known = await queries.reservation(tx, reservation_id)
    if known is None:
        return None
    if known.content_hash != content or known.technician_id != technician_of(caller):
        raise SameIdOtherContent(id=reservation_id)
    return known


async def _locked_day(tx: AsyncSession, door: AtDoor, now: datetime) -> DoorDay | None:
    if door.spot is None:
        return None
    technician_id = door.visit.technician_id
    day = await locked_door_day(tx, technician_id, door.spot, now=now)
    await queries.end_expired(tx, now=now, technician_id=technician_id)
    return day


async def against(
    tx: AsyncSession,
    door: AtDoor,
    pieces: Sequence[Piece],
    need: Need,
    day: DoorDay | None,
    caller: Caller,
    now: datetime,
) -> list[No]:
    """List what stands against selling and installing some offerings together, each reason once."""
    line = await line_known(tx, door.address_id, caller.org_path, now)
    may = await gates(tx, door, pieces, line, now, together=True)
    person = await person_of(tx, door.door.customer_id, caller.org_path, now)
    noes: dict[Infeasible, No] = {}
    for piece in pieces:
        for no in rules.against_sale(
            piece,
            may.against[piece.code],
            may.on_site[piece.code],
            may.facts[piece.code],
            line,
            person,
        ):
            noes.setdefault(no.code, no)
    for no in rules.against_install(need, lacking(day, need)):
        noes.setdefault(no.code, no)
    return list(noes.values())


async def take(
    tx: AsyncSession,
    door: AtDoor,
    day: DoorDay,
    need: Need,
    items: Items,
    *,
    reservation_id: UUID,
    caller: Caller,
    now: datetime,
) -> InstallReservation:
    """Take minutes and terminals of a locked day that has room for them.

    Raises TerminalsTaken, and SameIdOtherContent for an id that somebody else has just used.
    """
    numbers = await parameters_in_force(tx)
    minutes = numbers.number(rules.RESERVATION_MINUTES, now, day.spot.unit.path)
    content = content_of(door.visit.id, items)
    until = now + timedelta(minutes=minutes)
    assert caller.account_id is not None
    held = await hold_now(
        tx,
        day,
        need,
        hold_id=new_id(),
        content_hash=content,
        until=until,
        account_id=caller.account_id,
    )
    made = InstallReservation(
        id=reservation_id,
        org_unit_id=day.spot.unit.id,
        visit_id=door.visit.id,
        technician_id=door.visit.technician_id,
        hold_id=held.id,
        state=ReservationState.HELD,
        content_hash=content,
        items=[{"offering_code": code, "quantity": quantity} for code, quantity in items],
        minutes=need.minutes,
        held_at=now,
        expires_at=until,
    )
    tx.add(made)
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_install_reservation", error):
            raise SameIdOtherContent(id=reservation_id) from error
        raise
    await _keep_terminals(tx, made, need, now)
    audit.note(tx, table="install_reservation", operation="insert", ids=[made.id])
    return made


async def _keep_terminals(
    tx: AsyncSession, made: InstallReservation, need: Need, now: datetime
) -> None:
    """Keep one terminal for each that is needed. Raises TerminalsTaken."""
    if not need.terminals:
        return
    free = await queries.free_terminals(tx, made.technician_id, {*need.terminals}, now=now)
    chosen = []
    for kind in need.terminals:
        found = next((one for one in free if one.kind == kind), None)
        if found is None:
            raise TerminalsTaken
        free.remove(found)
        chosen.append(found.id)
    # Whoever is moving one of them just now is waited for, and then it may be gone.
    await queries.lock_terminals(tx, chosen)
    ids = [new_id() for _ in chosen]
    kept = await queries.keep_terminals(tx, made.id, chosen, ids)
    there = await queries.still_there(tx, made.id, made.technician_id)
    if kept < len(chosen) or there < len(chosen):
        raise TerminalsTaken


async def release(
    tx: AsyncSession, reservation_id: UUID, caller: Caller, *, now: datetime
) -> InstallReservation:
    """Give a technician's own reservation free; one that is free already stays as it is.

    Raises NotFound, or ReservationUsed where an order has taken its place.
    """
    await queries.own(tx, reservation_id, technician_of(caller))
    found = await queries.open_one(tx, reservation_id)
    if found is None:
        known = await queries.own(tx, reservation_id, technician_of(caller))
        if known.state is ReservationState.USED:
            raise rules.ReservationUsed()
        return known
    await free(tx, found, now=now)
    return found


async def free(tx: AsyncSession, found: InstallReservation, *, now: datetime) -> None:
    """Give a locked reservation free, with its minutes; one that is over has expired."""
    held = await queries.hold_of(tx, found.hold_id)
    # The day is locked before the hold is given free, as by everybody who fills it.
    await availability.lock(tx, [(held.technician_id, held.day)])
    over = found.expires_at <= now
    found.state = ReservationState.EXPIRED if over else ReservationState.RELEASED
    found.ended_at = found.expires_at if over else now
    if held.state is HoldState.HELD:
        await let_go(tx, held, now=now)
    await tx.flush()
    await queries.free_reserved(tx, found.id, now=now)
