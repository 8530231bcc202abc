"""A terminal goes from one technician's van into another's: one gives it, the other says it is
there.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core.errors import Invalid, NotFound, SameIdOtherContent
from app.terminals import queries
from app.terminals.models import Terminal, TerminalHandover
from app.terminals.rules import Handling, HandoverState, MovedSince, Place, Pool, Why
from app.terminals.rules.handing import HandoverOver, NotInYourVan
from app.terminals.service.custody import How, book, booking


async def give(
    tx: AsyncSession,
    handover_id: UUID,
    caller: Caller,
    *,
    serial_number: str,
    to: str,
    device_at: datetime,
    now: datetime,
) -> UUID:
    """Offer a terminal of one's own van to a colleague, named by code; the latest offer counts.

    It stays in the giver's van until it is accepted. Raises NotInYourVan, NotFound for a colleague
    outside of the caller's part, Invalid for oneself, and SameIdOtherContent.
    """
    giver = technician_of(caller)
    await queries.alone(tx, handover_id)
    taker = await queries.holder(tx, caller.org_path, code=to)
    if taker.technician_id == giver:
        raise Invalid(errors=[{"field": "technician_code", "message": "that is yourself"}])
    before = await tx.get(TerminalHandover, handover_id)
    if before is not None:
        number = await tx.scalar(
            select(Terminal.serial_number).where(Terminal.id == before.terminal_id)
        )
        asked = (giver, taker.technician_id, serial_number, device_at)
        known = (before.from_technician_id, before.to_technician_id, number, before.device_at)
        if known != asked:
            raise SameIdOtherContent(id=handover_id)
        return before.id
    held = (await queries.for_change(tx, [serial_number])).get(serial_number)
    if held is None or held.place.pool is not Pool.VAN or held.place.technician_id != giver:
        raise NotInYourVan(serial_number=serial_number)
    # The terminal's row is locked, so there is no other open offer of it than those read here.
    for open_one in await tx.scalars(
        select(TerminalHandover).where(
            TerminalHandover.terminal_id == held.id,
            TerminalHandover.state == HandoverState.OFFERED,
        )
    ):
        open_one.state, open_one.answered_at = HandoverState.WITHDRAWN, now
    await tx.flush()
    tx.add(
        TerminalHandover(
            id=handover_id,
            terminal_id=held.id,
            from_technician_id=giver,
            to_technician_id=taker.technician_id,
            state=HandoverState.OFFERED,
            device_at=device_at,
            offered_at=now,
            answered_at=None,
        )
    )
    await tx.flush()
    return handover_id


async def answer(
    tx: AsyncSession,
    handover_id: UUID,
    caller: Caller,
    state: HandoverState,
    *,
    device_at: datetime,
    now: datetime,
) -> UUID:
    """Accept or decline what one is given, or withdraw what one gives; again, it changes nothing.

    Accepted, the terminal is in the taker's van. Raises NotFound for a hand-over of others,
    HandoverOver, and MovedSince when the terminal has left the giver's van.
    """
    technician_id = technician_of(caller)
    handover = await tx.get(TerminalHandover, handover_id)
    if handover is None:
        raise NotFound()
    mine = (
        handover.from_technician_id
        if state is HandoverState.WITHDRAWN
        else handover.to_technician_id
    )
    if mine != technician_id:
        raise NotFound()
    # The terminal is locked first, as it is when it is given.
    terminal = await tx.get_one(Terminal, handover.terminal_id)
    held = (await queries.for_change(tx, [terminal.serial_number]))[terminal.serial_number]
    await tx.refresh(handover)
    if handover.state is state:
        return handover.id
    if handover.state is not HandoverState.OFFERED:
        raise HandoverOver(state=handover.state)
    if state is HandoverState.ACCEPTED:
        place = held.place
        if place.pool is not Pool.VAN or place.technician_id != handover.from_technician_id:
            raise MovedSince(serial_number=held.serial_number, pool=place.pool)
        taker = await queries.holder(tx, "", technician_id=technician_id)
        van = Place(Pool.VAN, taker.org_unit_id, technician_id=technician_id)
        how = How(
            why=Why.LENT,
            at=now,
            account_id=caller.account_id,
            technician_id=technician_id,
            batch_id=handover_id,
            device_at=device_at,
        )
        await book(tx, [booking(held, Handling.TRANSFER, van)], how)
    handover.state, handover.answered_at = state, now
    await tx.flush()
    return handover.id
