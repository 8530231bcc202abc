"""Which orders belong to an outage, by a supervisor's own hand."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.outages import queries, rules
from app.outages.models import Outage
from app.outages.queries import reports
from app.outages.rules import NotOfAnOutage
from app.outages.service import holding
from app.outages.service.asked import taken
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units
from app.worktypes.rules import WorkType


async def attach(
    tx: AsyncSession,
    outage_id: UUID,
    caller: Caller,
    order_ids: Sequence[UUID],
    *,
    version: int,
    now: datetime,
) -> Outage:
    """Let orders of the caller's subtree belong to an open outage.

    Raises NotFound, OutageChanged, OutageOver, or NotOfAnOutage with what is wrong with each; then
    none of them is taken.
    """
    outage, again = await taken(tx, outage_id, caller, version, "attach", sorted(order_ids))
    if again:
        return outage
    rules.check_open(outage.state, *rules.OPEN)
    orders = await _theirs(tx, outage, caller, order_ids)
    await reports.bring_back(tx, outage.id, order_ids)
    await holding.join(tx, outage, orders, now=now)
    await tx.flush()
    return outage


async def _theirs(
    tx: AsyncSession, outage: Outage, caller: Caller, order_ids: Sequence[UUID]
) -> Sequence[WorkOrder]:
    units = await org_units(tx)
    found = await workorders.all_for_change(tx, WorkOrder.id.in_(order_ids))
    seen = {
        order.id: order
        for order in found
        if units.by_id[order.org_unit_id].path.startswith(caller.org_path)
    }
    held_by = await queries.holding(
        tx, {order.outage_id for order in found if order.outage_id is not None}
    )
    wrong = []
    for place, order_id in enumerate(order_ids):
        order = seen.get(order_id)
        why = _why_not(order, outage, held_by)
        if why is not None:
            wrong.append({"field": f"order_ids.{place}", "message": why})
    if wrong:
        raise NotOfAnOutage(errors=wrong)
    return list(seen.values())


def _why_not(order: WorkOrder | None, outage: Outage, held_by: set[UUID]) -> str | None:
    if order is None:
        return "no such order within your area"
    if order.work_type is not WorkType.REPAIR or order.source == reports.OURS:
        return "not a repair that a customer has reported"
    if order.completed_at is not None or order.state.value in ("cancelled", "archived"):
        return f"is {order.state.value}"
    if order.outage_id != outage.id and order.outage_id in held_by:
        return "belongs to another confirmed outage"
    return None


async def detach(
    tx: AsyncSession,
    outage_id: UUID,
    caller: Caller,
    order_ids: Sequence[UUID],
    *,
    version: int,
    now: datetime,
) -> Outage:
    """Split off orders that do not belong to an open outage; they are placed at once, and do not
    come back to it by themselves. What is not of it is passed over.

    Raises NotFound, OutageChanged or OutageOver.
    """
    outage, again = await taken(tx, outage_id, caller, version, "detach", sorted(order_ids))
    if again:
        return outage
    rules.check_open(outage.state, *rules.OPEN)
    orders = await workorders.all_for_change(
        tx, WorkOrder.id.in_(order_ids), WorkOrder.outage_id == outage.id
    )
    await holding.leave(tx, outage, orders, now=now)
    await tx.flush()
    return outage
