"""What publishing looks at again under its locks, and writes; each one statement for a province."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planning.rules import LeftReason

_VISITS = text(
    """
    SELECT work_order_id, technician_id, before_id, before_day, before_state, before_begins_at,
        begins_at, ends_at, belongs, unplaced_reason
    FROM plan_visit WHERE plan_id = :plan_id ORDER BY technician_id, place
    """
)


async def visits(session: AsyncSession, plan_id: UUID) -> Sequence[Row[Any]]:
    """Read all that a plan says of its orders, in the order of its routes."""
    return (await session.execute(_VISITS, {"plan_id": plan_id})).all()


_TECHNICIANS = text("SELECT technician_id FROM plan_route WHERE plan_id = :plan_id")


async def technicians(session: AsyncSession, plan_id: UUID) -> Sequence[UUID]:
    """List those whose days a plan has laid out, also where nothing is in them."""
    return (await session.scalars(_TECHNICIANS, {"plan_id": plan_id})).all()


_LOCKED = text(
    """
    SELECT id, state, unplaced_reason, holder_id, planned_day, estimated_minutes, grid_id,
        appointment_from, appointment_until, terminals,
        (SELECT p.technician_id FROM dispatch_pin p WHERE p.work_order_id = o.id) AS pinned_to
    FROM work_order o WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE OF o
    """
)


async def lock_orders(tx: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Row[Any]]:
    """Lock orders by id until the transaction ends, and read them as they are now."""
    rows = await tx.execute(_LOCKED, {"ids": sorted(ids)})
    return {row.id: row for row in rows}


_LEAVE = text(
    """
    SELECT technician_id, starts_at, ends_at FROM leave
    WHERE technician_id = ANY(CAST(:ids AS uuid[])) AND ends_at > :since AND starts_at < :until
    """
)


async def leave(
    session: AsyncSession, ids: Collection[UUID], since: datetime, until: datetime
) -> dict[UUID, list[tuple[datetime, datetime]]]:
    """Read when these people are away between two moments."""
    found: dict[UUID, list[tuple[datetime, datetime]]] = {}
    for row in await session.execute(_LEAVE, {"ids": list(ids), "since": since, "until": until}):
        found.setdefault(row.technician_id, []).append((row.starts_at, row.ends_at))
    return found


_LEFT = text(
    """
    UPDATE plan_visit SET left_reason = given.reason
    FROM unnest(CAST(:ids AS uuid[]), CAST(:reasons AS text[])) AS given (id, reason)
    WHERE plan_id = :plan_id AND work_order_id = given.id
    """
)


async def write_left(tx: AsyncSession, plan_id: UUID, left: Mapping[UUID, LeftReason]) -> None:
    """Write down which orders publishing left as they were, and why."""
    if left:
        await tx.execute(
            _LEFT,
            {
                "plan_id": plan_id,
                "ids": list(left),
                "reasons": [reason.value for reason in left.values()],
            },
        )
