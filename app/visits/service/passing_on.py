"""An order that its holder passes on to a colleague, at whatever point of the work."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core.errors import NotFound, plain
from app.dispatch.rules.colleagues import Colleague
from app.dispatch.service import colleagues as dispatch
from app.suggestions.service import release_slot
from app.visits import queries
from app.visits.rules import Asked, Outcome, Taken, TransferCause, content_of
from app.visits.service.steps import held
from app.workorders.models import WorkOrder
from app.workorders.rules import HELD, Step


async def transfer(
    tx: AsyncSession,
    order_id: UUID,
    caller: Caller,
    *,
    to: str,
    cause: TransferCause,
    note: str | None,
    device_at: datetime,
    now: datetime,
) -> Taken:
    """Pass an order on to a colleague of the same branch, named by code or id; a visit that goes on
    ends with it, and what it has done still counts.

    Raises NotFound, StepRefused, UnknownColleague and ColleagueCannot.
    """
    asked = Asked(Step.TRANSFER, device_at, cause, content_of(to=to, note=note))
    order, before = await held(tx, order_id, caller, asked)
    if before:
        return before
    colleague = await dispatch.colleague_named(tx, to, caller, but=technician_of(caller))
    visit = await queries.open_visit(tx, order_id)
    facts = {"content": asked.content, "note": note, "visit_id": visit and visit.id}
    facts = {name: plain(value) for name, value in facts.items() if value is not None}
    await dispatch.pass_on(
        tx, order, colleague, caller, cause=cause, device_at=device_at, facts=facts, now=now
    )
    if visit is not None:
        visit.outcome, visit.outcome_code, visit.ended_at = Outcome.HANDED_OVER, cause, now
        visit.note = note or visit.note
        # Whoever comes next may offer something, if this technician did not.
        await release_slot(tx, visit.id)
    return Taken(
        work_order_id=order.id,
        work_type=order.work_type,
        technician_id=caller.technician_id,
        step=Step.TRANSFER,
        state=order.state,
        at=now,
        device_at=device_at,
        reason=cause,
        facts=facts,
    )


async def colleagues_for(
    read: AsyncSession, order_id: UUID, caller: Caller, *, now: datetime
) -> Sequence[Colleague]:
    """List who could take a technician's own order over. Raises NotFound for anybody else's."""
    order = await read.get(WorkOrder, order_id)
    if order is None or order.holder_id != technician_of(caller) or order.state not in HELD:
        raise NotFound()
    return await dispatch.colleagues(read, order, caller, now=now)
