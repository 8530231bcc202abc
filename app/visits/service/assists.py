"""Two technicians on one order: whoever helps has it in their day, and its minutes are promised."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller, technician_of
from app.auth.rules import Role
from app.core.errors import NotFound, SameIdOtherContent
from app.dispatch.service import colleagues as dispatch
from app.technicians import availability
from app.technicians.availability import Promised
from app.visits import queries
from app.visits.models import WorkAssist
from app.visits.queries import Assistant
from app.visits.rules import AssistEnded, AssistsAlready, NothingToAssist
from app.visits.service.earlier import seen_by
from app.visits.service.steps import SHOWN_TO_HOLDER
from app.workorders.models import WorkOrder
from app.workorders.queries import for_change, held_for_change
from app.workorders.rules import HELD


async def ask(
    tx: AsyncSession,
    assist_id: UUID,
    order_id: UUID,
    caller: Caller,
    *,
    technician: str,
    minutes: int | None,
    now: datetime,
) -> WorkAssist:
    """Let a colleague of the branch, named by code or id, assist with an order that somebody holds.

    For its holder, and for supervisors. The minutes (the order's where none are said) are promised
    of their day. Raises NotFound, NothingToAssist, UnknownColleague, ColleagueCannot,
    AssistsAlready, and SameIdOtherContent for a used id.
    """
    order = await _for_change(tx, order_id, caller)
    wanted = minutes or order.estimated_minutes
    if order.state not in HELD or order.holder_id is None:
        raise NothingToAssist(state=order.state)
    colleague = await dispatch.colleague_named(tx, technician, caller, but=order.holder_id)
    known = await tx.get(WorkAssist, assist_id, populate_existing=True)
    if known is not None:
        asked = (known.work_order_id, known.technician_id, known.minutes)
        if asked != (order_id, colleague.id, wanted):
            raise SameIdOtherContent(id=assist_id)
        return known
    for other in await queries.open_assists(tx, order_id):
        if other.technician_id == colleague.id:
            raise AssistsAlready(assist_id=other.id)
    day = await dispatch.day_to_help(tx, order, colleague, caller, minutes=wanted, now=now)
    assist = WorkAssist(
        id=assist_id,
        work_order_id=order_id,
        technician_id=colleague.id,
        day=day,
        minutes=wanted,
        asked_at=now,
        asked_by=caller.account_id,
    )
    tx.add(assist)
    await tx.flush()
    await availability.change(tx, {(colleague.id, day): Promised(wanted, 1)})
    return assist


async def join(
    tx: AsyncSession, assist_id: UUID, order_id: UUID, caller: Caller, *, now: datetime
) -> WorkAssist:
    """Take an assist on. From here on whoever helps sees the customer like the holder does, which
    is written into the audit trail. Raises NotFound and AssistEnded."""
    order = await for_change(tx, order_id)
    assist = await _of(tx, assist_id, order_id)
    if assist.technician_id != technician_of(caller):
        raise NotFound()
    if assist.ended_at is not None:
        raise AssistEnded(ended_at=assist.ended_at)
    if assist.joined_at is None:
        assist.joined_at = now
        audit.unmasked(
            tx,
            caller,
            subject_kind="customer" if order.customer_id else "work_order",
            subject_id=order.customer_id or order.id,
            purpose=f"work_order:{order.id}",
            fields=SHOWN_TO_HOLDER,
        )
    return assist


async def end(
    tx: AsyncSession, assist_id: UUID, order_id: UUID, caller: Caller, *, now: datetime
) -> WorkAssist:
    """End an assist, for the holder, whoever helps, and supervisors; once more nothing changes.

    Raises NotFound.
    """
    order = await for_change(tx, order_id)
    assist = await _of(tx, assist_id, order_id)
    helps = caller.technician_id is not None and assist.technician_id == caller.technician_id
    if not helps and not await seen_by(tx, order, caller):
        raise NotFound()
    await _end(tx, [assist], now)
    return assist


async def end_all(tx: AsyncSession, order_id: UUID, *, now: datetime) -> None:
    """End the assists of an order that nobody holds any more, or whose assistant holds it now."""
    order = await for_change(tx, order_id)
    assists = await queries.open_assists(tx, order_id)
    over = [
        one for one in assists if order.state not in HELD or order.holder_id == one.technician_id
    ]
    await _end(tx, over, now)


async def assistants(read: AsyncSession, order_id: UUID, caller: Caller) -> Sequence[Assistant]:
    """List an order's assistants: for its holder, them, and supervisors. Raises NotFound."""
    order = await read.get(WorkOrder, order_id)
    if order is None:
        raise NotFound()
    found = await queries.assistants_of(read, order_id)
    helps = any(one.technician_id == caller.technician_id and one.ended_at is None for one in found)
    if not helps and not await seen_by(read, order, caller):
        raise NotFound()
    return found


async def _end(tx: AsyncSession, assists: Sequence[WorkAssist], now: datetime) -> None:
    going_on = [one for one in assists if one.ended_at is None]
    for one in going_on:
        one.ended_at = now
    await tx.flush()
    await availability.change(
        tx, {(one.technician_id, one.day): Promised(-one.minutes, -1) for one in going_on}
    )


async def _of(tx: AsyncSession, assist_id: UUID, order_id: UUID) -> WorkAssist:
    assist = await tx.get(WorkAssist, assist_id, populate_existing=True)
    if assist is None or assist.work_order_id != order_id:
        raise NotFound()
    return assist


async def _for_change(tx: AsyncSession, order_id: UUID, caller: Caller) -> WorkOrder:
    if caller.role is Role.TECHNICIAN:
        return await held_for_change(tx, order_id, technician_of(caller))
    return await for_change(tx, order_id, caller)
