"""A customer asks for their order: it is counted, made more urgent within bounds, and shown."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core import jobs
from app.core.errors import SameIdOtherContent
from app.core.parameter_values import parameters_in_force
from app.workorders import queries, rules
from app.workorders.models import WorkOrderEvent
from app.workorders.rules import State, Step
from app.workorders.service.steps import take_step


class Nudged(NamedTuple):
    """A nudge as it was taken: how many there were with it, and how urgent the order was then."""

    work_order_id: UUID
    reference: str
    at: datetime
    state: State
    nudges: int
    priority: int
    raised: bool


async def nudge(
    tx: AsyncSession,
    order_id: UUID,
    caller: Caller,
    *,
    reference: str,
    note: str | None,
    now: datetime,
) -> Nudged:
    """Take down that a customer asks for an order of the caller's subtree.

    The `reference` is the caller's own: once more, it is answered like the first time. Of several
    nudges within a short time only one makes the order more urgent. One that nobody has is placed
    anew at once. Raises NotFound, StepRefused once the order is closed, and SameIdOtherContent when
    the reference stands for another note.
    """
    order = await queries.for_change(tx, order_id, caller)
    before = (
        await tx.scalars(
            select(WorkOrderEvent)
            .where(WorkOrderEvent.work_order_id == order_id, WorkOrderEvent.step == Step.NUDGE)
            .order_by(WorkOrderEvent.id)
        )
    ).all()
    for event in before:
        if _facts(event)["reference"] == reference:
            if event.reason != note:
                raise SameIdOtherContent(id=reference)
            return _nudged(event)
    numbers = await parameters_in_force(tx)
    unit = (await queries.org_units(tx, ids=[order.org_unit_id])).by_id[order.org_unit_id]
    last_raised = max((event.at for event in before if _facts(event)["raised"]), default=None)
    priority = rules.nudged(
        order.priority,
        last_raised,
        now,
        apart=timedelta(minutes=numbers.number(rules.NUDGE_MINUTES, now, unit.path)),
        most=numbers.whole(rules.NUDGE_LIMIT, now, unit.path),
    )
    raised = priority != order.priority
    facts = {
        "reference": reference,
        "nudges": order.nudges + 1,
        "priority": priority,
        "raised": raised,
    }
    # A closed order is refused before anything of it has changed.
    rules.move(order.state, Step.NUDGE)
    order.nudges, order.priority = order.nudges + 1, priority
    await take_step(
        tx, order, Step.NUDGE, now=now, account_id=caller.account_id, reason=note, facts=facts
    )
    if order.state in rules.WAITING:
        await jobs.tell(tx, "workorder.freed", order_id=order.id)
    return Nudged(order_id, reference, now, order.state, order.nudges, priority, raised)


def _facts(event: WorkOrderEvent) -> dict[str, Any]:
    assert event.facts is not None
    return event.facts


def _nudged(event: WorkOrderEvent) -> Nudged:
    facts = _facts(event)
    return Nudged(
        event.work_order_id,
        facts["reference"],
        event.at,
        event.to_state,
        facts["nudges"],
        facts["priority"],
        facts["raised"],
    )
