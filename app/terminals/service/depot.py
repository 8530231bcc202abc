"""A depot's work on many terminals at once: judged, then done as a whole or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.errors import SameIdOtherContent
from app.terminals import queries
from app.terminals.models import TerminalBatch
from app.terminals.queries import Held
from app.terminals.rules import Handling, Why
from app.terminals.rules.depot import (
    Judged,
    TerminalsNotMoved,
    Van,
    depot_reason,
    judge_batch,
)
from app.terminals.service.custody import Booking, How, book


@dataclass(frozen=True)
class Batch:
    """What a depot asks for: one handling of many serial numbers, into whose van if into one."""

    handling: Handling
    serial_numbers: Sequence[str]
    why: Why | None = None
    technician_id: UUID | None = None


async def preview(session: AsyncSession, caller: Caller, batch: Batch) -> list[Judged]:
    """Judge a batch as it would be if it were carried out now. Raises Invalid and NotFound."""
    depot_reason(batch.handling, batch.why, van=batch.technician_id is not None)
    van = await _van(session, caller, batch)
    held = await queries.looked_up(session, batch.serial_numbers)
    return _judged(caller, batch, van, held)


async def carry_out(
    tx: AsyncSession, batch_id: UUID, caller: Caller, batch: Batch, now: datetime
) -> TerminalBatch:
    """Move every terminal of a batch, or none; the same batch again is answered like the first.

    Raises TerminalsNotMoved with each row that cannot be done, SameIdOtherContent, Invalid, and
    NotFound for a technician outside of the caller's part.
    """
    why = depot_reason(batch.handling, batch.why, van=batch.technician_id is not None)
    await queries.alone(tx, batch_id)
    asked = (batch.handling, why, batch.technician_id, list(batch.serial_numbers))
    before = await tx.get(TerminalBatch, batch_id)
    if before is not None:
        known = (before.handling, before.why, before.technician_id, before.serial_numbers)
        if known != asked or before.account_id != caller.account_id:
            raise SameIdOtherContent(id=batch_id)
        return before
    van = await _van(tx, caller, batch)
    held = await queries.for_change(tx, batch.serial_numbers)
    judged = _judged(caller, batch, van, held)
    refused = [row for row in judged if row.fault is not None and row.words is not None]
    if refused:
        raise TerminalsNotMoved(
            refused=len(refused),
            rows=[
                {
                    "serial_number": row.serial_number,
                    "code": row.fault,
                    "zh": row.words.zh if row.words else "",
                    "en": row.words.en if row.words else "",
                }
                for row in refused
            ],
        )
    bookings = [
        Booking(held[row.serial_number], batch.handling, row.after, row.before)
        for row in judged
        if row.after is not None
    ]
    made = TerminalBatch(
        id=batch_id,
        account_id=caller.account_id,
        handling=batch.handling,
        why=why,
        technician_id=batch.technician_id,
        serial_numbers=list(batch.serial_numbers),
        at=now,
    )
    tx.add(made)
    await book(tx, bookings, How(why, now, account_id=caller.account_id, batch_id=batch_id))
    return made


async def _van(session: AsyncSession, caller: Caller, batch: Batch) -> Van | None:
    if batch.technician_id is None:
        return None
    found = await queries.holder(session, caller.org_path, technician_id=batch.technician_id)
    return Van(found.technician_id, found.org_unit_id)


def _judged(
    caller: Caller, batch: Batch, van: Van | None, held: Mapping[str, Held]
) -> list[Judged]:
    places = {
        serial: one.place
        for serial, one in held.items()
        if one.org_path.startswith(caller.org_path)
    }
    return judge_batch(batch.handling, batch.serial_numbers, places, van)
