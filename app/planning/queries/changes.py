"""What a plan of the rest of a day would change, order by order."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.planning.models import DayPlan
from app.planning.rules import Happened, NotAReplan, PlanKind, PlanState
from app.planning.rules.changes import Change, Spot
from app.planning.rules.events import read
from app.workorders.rules import UnplacedReason
from app.worktypes.rules import WorkType


class Replan(NamedTuple):
    """A plan of the rest of a day, and what it is made for."""

    id: UUID
    org_unit_id: UUID
    day: date
    state: PlanState
    reason: str
    trigger: list[Happened]
    asked_at: datetime
    asked_by: UUID | None
    finished_at: datetime | None


async def replan(session: AsyncSession, plan_id: UUID, caller: Caller) -> Replan:
    """Read a plan of the rest of a day, of the caller's subtree. Raises NotFound and NotAReplan."""
    row = (
        await session.execute(
            select(
                DayPlan.id,
                DayPlan.org_unit_id,
                DayPlan.day,
                DayPlan.kind,
                DayPlan.state,
                DayPlan.reason,
                DayPlan.asked,
                DayPlan.asked_at,
                DayPlan.asked_by,
                DayPlan.finished_at,
            ).where(DayPlan.id == plan_id, subtree(DayPlan.org_unit_id, caller))
        )
    ).one_or_none()
    if row is None:
        raise NotFound()
    if row.kind is not PlanKind.EVENT:
        raise NotAReplan(plan_id=plan_id)
    return Replan(
        row.id,
        row.org_unit_id,
        row.day,
        row.state,
        row.reason,
        [read(kept) for kept in row.asked.get("trigger", ())],
        row.asked_at,
        row.asked_by,
        row.finished_at,
    )


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
