"""What a plan of the rest of a day would change, order by order."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planning.rules.changes import Change, Spot
from app.workorders.rules import UnplacedReason, WorkType


class Changed(NamedTuple):
    """An order of a plan with what tells a person which it is, and whose it was and will be."""

    change: Change
    external_id: str
    work_type: WorkType
    priority: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    before_name: str | None
    name: str | None
    place: int | None
    frozen: bool
    pinned: bool
    unplaced_reason: UnplacedReason | None


_CHANGES = text(
    """
    SELECT v.work_order_id, v.before_id, v.before_begins_at, v.before_late,
        v.technician_id, v.begins_at, v.late, v.place, v.frozen, v.pinned, v.unplaced_reason,
        o.external_id, o.work_type, o.priority, o.appointment_from, o.appointment_until, o.due_at,
        b.name AS before_name, t.name
    FROM plan_visit v
    JOIN work_order o ON o.id = v.work_order_id
    LEFT JOIN technician b ON b.id = v.before_id
    LEFT JOIN technician t ON t.id = v.technician_id
    WHERE v.plan_id = :plan_id
    ORDER BY o.priority, v.begins_at NULLS FIRST, v.work_order_id
    """
)


async def changes_of(session: AsyncSession, plan_id: UUID) -> list[Changed]:
    """Read all orders of a plan, the most urgent first; of equals those that nobody would do."""
    return [
        Changed(
            change=Change(
                row.work_order_id,
                row.appointment_from is not None,
                _spot(row.before_id, row.before_begins_at, row.before_late),
                _spot(row.technician_id, row.begins_at, row.late),
            ),
            external_id=row.external_id,
            work_type=WorkType(row.work_type),
            priority=row.priority,
            appointment_from=row.appointment_from,
            appointment_until=row.appointment_until,
            due_at=row.due_at,
            before_name=row.before_name,
            name=row.name,
            place=row.place,
            frozen=row.frozen,
            pinned=row.pinned,
            unplaced_reason=row.unplaced_reason and UnplacedReason(row.unplaced_reason),
        )
        for row in await session.execute(_CHANGES, {"plan_id": plan_id})
    ]


def _spot(technician_id: UUID | None, begins_at: datetime | None, late: int | None) -> Spot | None:
    return None if technician_id is None else Spot(technician_id, begins_at, late or 0)
