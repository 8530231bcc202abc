"""What changes a work order. `take_step` is the only way its state changes."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core import jobs
from app.core.db import is_broken
from app.technicians import availability
from app.technicians.availability import NOTHING, DayOf, Promised
from app.workorders import rules
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import Step, UnplacedReason


async def take_step(
    tx: AsyncSession,
    order: WorkOrder,
    step: Step,
    *,
    now: datetime,
    account_id: UUID | None = None,
    technician_id: UUID | None = None,
    device_at: datetime | None = None,
    reason: str | None = None,
    facts: dict[str, Any] | None = None,
    holder_id: UUID | None = None,
    planned_day: date | None = None,
    unplaced_reason: UnplacedReason | None = None,
) -> WorkOrder:
    """Take one step with an order that the transaction holds locked, and write down who and why.

    `account_id` and `technician_id` say who acts; `holder_id` and `planned_day` (a local day) say
    who gets the order, for ASSIGN alone; `unplaced_reason` belongs to UNPLACE alone. The minutes
    promised of the technicians' days follow, and an order that comes back from its holder is
    told as "workorder.freed", so that dispatch places it anew. Other fields the caller sets are
    written with the step.

    Raises StepRefused when the step is not allowed in the order's state, and OneAtATime when the
    holder has another order under way.
    """
    came_from = order.state
    went_to = rules.move(came_from, step)
    before = _promised(order)
    order.state = went_to
    order.unplaced_reason = unplaced_reason
    if step is Step.ASSIGN:
        order.holder_id, order.planned_day = holder_id, planned_day
    elif went_to in rules.WAITING:
        order.holder_id = order.planned_day = None
    elif step is Step.RESTORE:
        order.restored_at = order.restored_at or now
    elif step is Step.COMPLETE:
        order.completed_at = now
    tx.add(
        WorkOrderEvent(
            work_order_id=order.id,
            at=now,
            device_at=device_at,
            account_id=account_id,
            technician_id=technician_id,
            step=step,
            from_state=came_from,
            to_state=went_to,
            reason=reason,
            facts=facts,
        )
    )
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("uq_work_order_one_under_way", error):
            raise rules.OneAtATime() from error
        raise
    await _follow(tx, before, _promised(order))
    if step in (Step.DECLINE, Step.HAND_BACK):
        await jobs.tell(tx, "workorder.freed", order_id=order.id, declined_by=technician_id)
    return order


def _promised(order: WorkOrder) -> dict[DayOf, Promised]:
    """Say what the order takes of whose day: nothing unless somebody holds it."""
    if order.state not in rules.HELD or order.holder_id is None or order.planned_day is None:
        return {}
    return {(order.holder_id, order.planned_day): Promised(order.estimated_minutes, 1)}


async def _follow(
    tx: AsyncSession, before: dict[DayOf, Promised], after: dict[DayOf, Promised]
) -> None:
    if before == after:
        return
    changes = dict(after)
    for day, held in before.items():
        more = changes.get(day, NOTHING)
        changes[day] = Promised(more.minutes - held.minutes, more.orders - held.orders)
    await availability.change(tx, changes)
