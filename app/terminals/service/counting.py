"""Counting a van: what is there is compared with what is booked, and a supervisor settles it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller, subtree
from app.auth.rules import Role
from app.core.errors import Invalid, NotFound, SameIdOtherContent, plain
from app.terminals import queries
from app.terminals.models import StockCount
from app.terminals.queries import Held
from app.terminals.rules import Cause, CountState, Difference, Pool, TerminalKind, Why
from app.terminals.rules.counting import (
    Booked,
    CountSettled,
    Found,
    Scanned,
    check_causes,
    differences,
    kinds_missing,
    settling,
)
from app.terminals.service.custody import Booking, How, book, booking, take_in

_WHY = {Cause.LOST: Why.LOST, Cause.FOUND: Why.FOUND, Cause.MISBOOKED: Why.MISBOOKED}


async def count(
    tx: AsyncSession,
    count_id: UUID,
    caller: Caller,
    counted: Sequence[Scanned],
    *,
    technician_id: UUID | None,
    device_at: datetime | None,
    now: datetime,
) -> StockCount:
    """Keep what was found in a van, with how it differs from what is booked there.

    A technician counts their own, a supervisor anybody's of their part; nothing moves by it, and an
    open count of the same van is replaced. One that finds no difference is settled at once. Raises
    NotFound, SameIdOtherContent, and Invalid for a number that was scanned twice.
    """
    whose = caller.technician_id if caller.role is Role.TECHNICIAN else technician_id
    if whose is None:
        raise Invalid(errors=[{"field": "technician_id", "message": "say whose van was counted"}])
    holder = await queries.holder(tx, caller.org_path, technician_id=whose, at_work=False)
    written = [{"serial_number": one.serial_number, "kind": plain(one.kind)} for one in counted]
    if len({one.serial_number for one in counted}) < len(counted):
        raise Invalid(errors=[{"field": "counted", "message": "a number was scanned twice"}])
    await queries.alone(tx, count_id)
    before = await tx.get(StockCount, count_id)
    if before is not None:
        if (before.technician_id, before.counted, before.account_id) != (
            whose,
            written,
            caller.account_id,
        ):
            raise SameIdOtherContent(id=count_id)
        return before
    # Of two counts of one van at once, the second replaces the first.
    await queries.alone(tx, whose)
    for open_one in await tx.scalars(
        select(StockCount).where(
            StockCount.technician_id == whose, StockCount.state == CountState.OPEN
        )
    ):
        open_one.state = CountState.REPLACED
    await tx.flush()
    booked = await queries.held_by(tx, whose)
    booked |= await queries.looked_up(tx, [one.serial_number for one in counted])
    found = differences(
        counted, {serial: Booked(one.kind, one.place) for serial, one in booked.items()}, whose
    )
    made = StockCount(
        id=count_id,
        org_unit_id=holder.org_unit_id,
        technician_id=whose,
        account_id=caller.account_id,
        state=CountState.OPEN if found else CountState.SETTLED,
        device_at=device_at,
        counted_at=now,
        counted=written,
        differences=[_written(one, booked.get(one.serial_number), caller) for one in found],
        settled_at=None if found else now,
        settled_by=None,
    )
    tx.add(made)
    await tx.flush()
    return made


def _written(found: Found, held: Held | None, caller: Caller) -> dict[str, Any]:
    seen = held is None or held.org_path.startswith(caller.org_path)
    return {
        **{name: plain(value) for name, value in found._asdict().items()},
        "elsewhere": not seen,
        "cause": None,
        "moved": False,
    }


async def count_for(
    session: AsyncSession, count_id: UUID, caller: Caller, *, lock: bool = False
) -> StockCount:
    """Find a count of the caller's own van or, for others than technicians, of their part.

    Raises NotFound.
    """
    statement = select(StockCount).where(StockCount.id == count_id)
    if caller.role is Role.TECHNICIAN:
        statement = statement.where(StockCount.technician_id == caller.technician_id)
    else:
        statement = statement.where(subtree(StockCount.org_unit_id, caller))
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found = await session.scalar(statement)
    if found is None:
        raise NotFound()
    return found


async def settle(
    tx: AsyncSession,
    count_id: UUID,
    caller: Caller,
    causes: Mapping[str, Cause],
    kinds: Mapping[str, TerminalKind],
    now: datetime,
) -> StockCount:
    """Give each difference of a count its cause, and move the terminals accordingly.

    What has been moved since the count stays where that has brought it. The same causes again are
    answered like the first time. Raises NotFound, CountSettled, and Invalid with every difference
    that lacks a cause, or a kind.
    """
    made = await count_for(tx, count_id, caller, lock=True)
    if made.state is CountState.SETTLED and _same(made, causes):
        return made
    if made.state is not CountState.OPEN:
        raise CountSettled(state=made.state)
    found = [_read(one, kinds) for one in made.differences]
    check_causes(found, causes)
    lacking = kinds_missing(found, causes)
    if lacking:
        raise Invalid(errors=[{"field": one, "message": "say its kind"} for one in lacking])
    moved = await _move(tx, made, caller, found, causes, now)
    made.differences = [
        {**one, "cause": causes[one["serial_number"]].value, "moved": one["serial_number"] in moved}
        for one in made.differences
    ]
    made.state, made.settled_at, made.settled_by = CountState.SETTLED, now, caller.account_id
    await tx.flush()
    return made


def _same(made: StockCount, causes: Mapping[str, Cause]) -> bool:
    return {one["serial_number"]: one["cause"] for one in made.differences} == {
        serial: cause.value for serial, cause in causes.items()
    }


def _read(written: Mapping[str, Any], kinds: Mapping[str, TerminalKind]) -> Found:
    serial = written["serial_number"]
    counted_kind = written["counted_kind"] or kinds.get(serial)
    return Found(
        serial,
        Difference(written["difference"]),
        Pool(written["pool"]) if written["pool"] else None,
        TerminalKind(written["kind"]) if written["kind"] else None,
        TerminalKind(counted_kind) if counted_kind else None,
    )


_OTHER_KIND = text("UPDATE terminal SET kind = :kind, version = version + 1 WHERE id = :id")


async def _move(
    tx: AsyncSession,
    made: StockCount,
    caller: Caller,
    found: Sequence[Found],
    causes: Mapping[str, Cause],
    now: datetime,
) -> set[str]:
    elsewhere = {one["serial_number"] for one in made.differences if one["elsewhere"]}
    held = await queries.for_change(tx, [one.serial_number for one in found])
    by_why: dict[Why, list[Booking]] = {}
    moved = set()
    for one in found:
        serial, cause = one.serial_number, causes[one.serial_number]
        terminal = held.get(serial)
        place = terminal.place if terminal else None
        goes = settling(one, cause, place, made.technician_id, made.org_unit_id)
        if goes is None:
            continue
        if serial in elsewhere and terminal and not terminal.org_path.startswith(caller.org_path):
            raise Invalid(
                errors=[{"field": serial, "message": "booked with others: only not_ours fits"}]
            )
        how = How(_WHY[cause], now, account_id=caller.account_id, batch_id=made.id)
        if terminal is None:
            assert one.counted_kind is not None
            taken = await take_in(
                tx,
                serial,
                one.counted_kind,
                "unknown",
                goes.handling,
                goes.after,
                caller.org_path,
                how,
            )
            if taken is None:
                continue
        else:
            if one.difference is Difference.WRONG_KIND:
                await _book_as(tx, terminal, one)
            by_why.setdefault(how.why, []).append(booking(terminal, goes.handling, goes.after))
        moved.add(serial)
    for why, bookings in by_why.items():
        how = How(why, now, account_id=caller.account_id, batch_id=made.id)
        await book(tx, bookings, how)
    return moved


async def _book_as(tx: AsyncSession, held: Held, found: Found) -> None:
    assert found.counted_kind is not None
    await tx.execute(_OTHER_KIND, {"kind": found.counted_kind.value, "id": held.id})
    audit.note(
        tx,
        table="terminal",
        operation="update",
        ids=[held.id],
        columns=("kind",),
        values={"kind": [held.kind.value, found.counted_kind.value]},
    )
