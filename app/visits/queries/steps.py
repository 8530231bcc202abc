"""A technician's own visits, and the steps already taken with an order."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.visits.models import Visit
from app.visits.rules import Taken
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import BESIDE


async def own(tx: AsyncSession, visit_id: UUID, technician_id: UUID) -> Visit:
    """Find a technician's own visit. Raises NotFound for anybody else's."""
    visit = await tx.get(Visit, visit_id, populate_existing=True)
    if visit is None or visit.technician_id != technician_id:
        raise NotFound()
    return visit


async def steps_taken(tx: AsyncSession, order_id: UUID) -> Sequence[Taken]:
    """List all steps ever taken with an order, by whomever, oldest first."""
    rows = await tx.execute(
        select(WorkOrderEvent, WorkOrder.work_type)
        .join(WorkOrder, WorkOrder.id == WorkOrderEvent.work_order_id)
        .where(WorkOrderEvent.work_order_id == order_id)
        .order_by(WorkOrderEvent.at, WorkOrderEvent.id)
    )
    return [
        Taken(
            work_order_id=order_id,
            work_type=work_type,
            technician_id=event.technician_id,
            step=event.step,
            state=event.to_state,
            at=event.at,
            device_at=event.device_at,
            reason=event.reason,
            facts=event.facts or {},
        )
        for event, work_type in rows
        if event.step is not None and event.step not in BESIDE
    ]


async def open_visit(tx: AsyncSession, order_id: UUID) -> Visit | None:
    """Find the visit that is going on for an order."""
    return (
        await tx.scalars(
            select(Visit)
            .where(Visit.work_order_id == order_id, Visit.ended_at.is_(None))
            .execution_options(populate_existing=True)
        )
    ).one_or_none()


async def worked_so_far(
    tx: AsyncSession, order_id: UUID
) -> tuple[frozenset[str], dict[str, float]]:
    """Gather what an order's visits have checked and measured; of a measure the last one counts."""
    await tx.flush()
    visits = await tx.execute(
        select(Visit.checked, Visit.measurements)
        .where(Visit.work_order_id == order_id)
        .order_by(Visit.travel_started_at, Visit.id)
    )
    checked: set[str] = set()
    measured: dict[str, float] = {}
    for row in visits:
        checked.update(row.checked)
        measured.update(row.measurements or {})
    return frozenset(checked), measured
