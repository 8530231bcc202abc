"""Steps of an order that is there already: its state changes here and nowhere else."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core import jobs
from app.core.db import is_broken
from app.lifecycle.service import judging as lifecycle
from app.technicians import availability
from app.technicians.availability import NOTHING, DayOf, Promised
from app.workorders import queries, rules
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, Step, UnplacedReason
from app.worktypes.rules import WorkType


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
    minutes_promised: bool = False,
    minutes_released: bool = False,
) -> WorkOrder:
    """Take one step with an order that the transaction holds locked, and write down who and why.

    `account_id` and `technician_id` say who acts; `holder_id` and `planned_day` (a local day) say
    who gets the order, for ASSIGN and TRANSFER alone; `unplaced_reason` belongs to UNPLACE alone.
    The minutes promised of the technicians' days follow, unless the caller says that it has
    promised the new holder's already, or given the old one's free. An order that comes back from
    its holder is told as "workorder.freed", so that dispatch places it anew; one that is done, as
    "workorder.completed". Other fields the caller has set are written with the step.

    Raises StepRefused when the step is not allowed in the order's state, and OneAtATime when the
    holder has another order under way.
    """
    came_from, before = order.state, {} if minutes_released else promised_of(order)
    order.state = rules.move(came_from, step)
    if step is not Step.NUDGE:
        order.unplaced_reason = unplaced_reason
    if step in (Step.ASSIGN, Step.TRANSFER):
        order.holder_id, order.planned_day = holder_id, planned_day
    elif order.state in rules.WAITING:
        order.holder_id = order.planned_day = None
    elif step is Step.RESTORE:
        order.restored_at = order.restored_at or now
    elif step in (Step.COMPLETE, Step.RESOLVE):
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
            to_state=order.state,
            reason=reason or unplaced_reason,
            facts=facts,
        )
    )
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("uq_work_order_one_under_way", error):
            raise rules.OneAtATime() from error
        raise
    await availability.change(
        tx, _difference(before, {} if minutes_promised else promised_of(order))
    )
    if step in (Step.DECLINE, Step.HAND_BACK):
        await jobs.tell(tx, "workorder.freed", order_id=order.id, declined_by=technician_id)
    elif step is Step.COMPLETE:
        await jobs.tell(tx, "workorder.completed", order_id=order.id)
    elif step is Step.CANCEL and order.work_type is WorkType.REMOVE and order.customer_id:
        await lifecycle.look_soon(tx, [order.customer_id])
    return order


async def cancel(
    tx: AsyncSession, order_id: UUID, caller: Caller, *, reason: str, now: datetime
) -> WorkOrder:
    """Cancel an order of the caller's subtree; one that is cancelled already stays as it is.

    Raises NotFound, or StepRefused once it is completed.
    """
    order = await queries.for_change(tx, order_id, caller)
    if order.state is State.CANCELLED:
        return order
    return await take_step(
        tx, order, Step.CANCEL, now=now, account_id=caller.account_id, reason=reason
    )


async def unplace_all(
    tx: AsyncSession, orders: Sequence[WorkOrder], reason: UnplacedReason, *, now: datetime
) -> dict[DayOf, Promised]:
    """Take many locked orders back from whoever holds them, for one reason that concerns all.

    Returns what the holders' days are relieved of. The caller hands it to `availability.change`
    together with what else it changes, so that all days are locked in one go and in one order.
    """
    relieved: dict[DayOf, Promised] = {}
    for order in orders:
        came_from, before = order.state, promised_of(order)
        order.state = rules.move(came_from, Step.UNPLACE)
        order.unplaced_reason, order.tried_at = reason, now
        order.holder_id = order.planned_day = None
        tx.add(
            WorkOrderEvent(
                work_order_id=order.id,
                at=now,
                step=Step.UNPLACE,
                from_state=came_from,
                to_state=order.state,
                reason=reason,
            )
        )
        for day, less in _difference(before, {}).items():
            known = relieved.get(day, NOTHING)
            relieved[day] = Promised(known.minutes + less.minutes, known.orders + less.orders)
    await tx.flush()
    return relieved


async def lie_in(
    tx: AsyncSession,
    order: WorkOrder,
    grid_id: UUID | None,
    *,
    org_unit_id: UUID,
    near_border: bool,
    reason: str,
    facts: dict[str, Any],
    now: datetime,
) -> None:
    """Let a locked, open order lie in another grid, or in none, since the map has changed.

    Its state and its holder stay; the event says from which grid to which. One that waits is told
    as "workorder.freed", so that dispatch places it anew.
    """
    came_from = order.grid_id
    order.grid_id, order.near_border, order.org_unit_id = grid_id, near_border, org_unit_id
    tx.add(
        WorkOrderEvent(
            work_order_id=order.id,
            at=now,
            step=Step.LOCATE,
            from_state=order.state,
            to_state=order.state,
            reason=reason,
            facts={
                "from_grid_id": came_from and str(came_from),
                "grid_id": grid_id and str(grid_id),
                **facts,
            },
        )
    )
    if order.state in rules.WAITING:
        await jobs.tell(tx, "workorder.freed", order_id=order.id)


def promised_of(order: WorkOrder) -> dict[DayOf, Promised]:
    """Say what the order takes of whose day: nothing unless somebody holds it."""
    if order.state not in rules.HELD or order.holder_id is None or order.planned_day is None:
        return {}
    return {(order.holder_id, order.planned_day): Promised(order.estimated_minutes, 1)}


def _difference(
    before: dict[DayOf, Promised], after: dict[DayOf, Promised]
) -> dict[DayOf, Promised]:
    changes = dict(after)
    for day, held in before.items():
        more = changes.get(day, NOTHING)
        changes[day] = Promised(more.minutes - held.minutes, more.orders - held.orders)
    return changes
