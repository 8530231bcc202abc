"""All visits that there have been for an order, for whoever comes next."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.visits.rules import FarReason, Outcome, SuspendCause


class Earlier(NamedTuple):
    """A visit for an order, by whomever."""

    id: UUID
    technician_id: UUID
    technician_code: str
    technician_name: str
    travel_started_at: datetime
    checked_in_at: datetime | None
    far_reason: FarReason | None
    suspend_cause: SuspendCause | None
    resume_at: datetime | None
    restored_at: datetime | None
    ended_at: datetime | None
    outcome: Outcome | None
    outcome_code: str | None
    checked: Sequence[str]
    measurements: Mapping[str, Any] | None
    note: str | None


_VISITS = text(
    """
    SELECT v.id, t.id, t.code, t.name, v.travel_started_at, v.checked_in_at, v.far_reason,
        v.suspend_cause, v.resume_at, v.restored_at, v.ended_at, v.outcome, v.outcome_code,
        v.checked, v.measurements, v.note
    FROM visit v JOIN technician t ON t.id = v.technician_id
    WHERE v.work_order_id = :order_id
    ORDER BY v.travel_started_at, v.id
    """
)


async def visits_for(read: AsyncSession, order_id: UUID) -> list[Earlier]:
    """List the visits for an order, the first one first."""
    rows = await read.execute(_VISITS, {"order_id": order_id})
    return [Earlier._make(row) for row in rows]
