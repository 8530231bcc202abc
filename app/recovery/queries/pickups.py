"""Pick-ups: which need an order, what has come back, and where their orders stand."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.recovery.models import Recovery
from app.workorders.queries import org_units


async def for_change(tx: AsyncSession, recovery_id: UUID, caller: Caller | None = None) -> Recovery:
    """Take a pick-up under its row lock. Raises NotFound, also outside the caller's subtree."""
    recovery = await tx.get(Recovery, recovery_id, with_for_update=True, populate_existing=True)
    if recovery is None or not (caller is None or await within(tx, recovery.org_unit_id, caller)):
        raise NotFound()
    return recovery


async def within(session: AsyncSession, org_unit_id: UUID, caller: Caller) -> bool:
    """Tell whether an org unit lies in a caller's subtree."""
    units = await org_units(session, ids=[org_unit_id])
    return units.by_id[org_unit_id].path.startswith(caller.org_path)


async def units_within(session: AsyncSession, org_unit_id: UUID, caller: Caller) -> list[UUID]:
    """List an org unit of a caller's subtree with all units under it. Raises NotFound."""
    units = await org_units(session, ids=[org_unit_id])
    unit = units.in_reach(org_unit_id, caller.org_path)
    if unit is None:
        raise NotFound()
    return units.within(unit.path)


# What an order that is done has left is fetched by another; one that somebody has cancelled is for
# people to decide on, so its terminals stay with it.
_LEFT = text(
    """
    UPDATE due_back d SET work_order_id = NULL FROM work_order o
    WHERE d.state = 'open' AND o.id = d.work_order_id AND o.state IN ('completed', 'archived')
    """
)
_WITHOUT_ORDER = text(
    """
    SELECT DISTINCT r.id FROM recovery r JOIN due_back d ON d.recovery_id = r.id
    WHERE r.closed_at IS NULL AND d.state = 'open' AND d.work_order_id IS NULL
        AND r.orders < :most
    ORDER BY r.id LIMIT :size
    """
)


async def without_order(tx: AsyncSession, *, most: int, size: int) -> Sequence[UUID]:
    """List pick-ups that need an order: something is open that none fetches."""
    await tx.execute(_LEFT)
    return (await tx.scalars(_WITHOUT_ORDER, {"most": most, "size": size})).all()


# A terminal is back once it is not at the customer's any more, by whatever way it came; what was
# scanned at a door can still be undone there until the visit ends.
_SETTLE = text(
    """
    WITH gone AS (
        SELECT d.id, t.pool, coalesce(m.at, :now) AS at,
            coalesce(m.to_technician_id, m.by_technician_id) AS technician_id
        FROM due_back d
        JOIN terminal t ON t.serial_number = d.serial_number
        LEFT JOIN terminal_move m ON m.terminal_id = t.id AND m.number = t.last_move
        WHERE d.state = 'open' AND t.pool <> 'void'
            AND NOT (t.pool = 'customer' AND coalesce(t.customer_id, d.customer_id) = d.customer_id)
            AND NOT EXISTS (
                SELECT FROM visit v WHERE v.id = m.visit_id AND v.ended_at IS NULL
            )
            AND (CAST(:customer_id AS uuid) IS NULL OR d.customer_id = :customer_id)
        ORDER BY d.id FOR UPDATE OF d SKIP LOCKED
    )
    UPDATE due_back d SET
        state = CASE WHEN gone.pool = 'lost' THEN 'written_off' ELSE 'recovered' END,
        write_off_cause = CASE WHEN gone.pool = 'lost' THEN 'customer_lost_it' END,
        technician_id = CASE WHEN gone.pool = 'lost' THEN NULL ELSE gone.technician_id END,
        settled_at = gone.at
    FROM gone WHERE d.id = gone.id
    RETURNING d.id
    """
)
_CLOSE = text(
    """
    UPDATE recovery r SET closed_at = :now
    WHERE r.closed_at IS NULL AND r.id IN (
        SELECT id FROM recovery c WHERE c.closed_at IS NULL
            AND NOT EXISTS (
                SELECT FROM due_back d WHERE d.recovery_id = c.id AND d.state = 'open'
            )
            AND (CAST(:customer_id AS uuid) IS NULL OR c.customer_id = :customer_id)
        ORDER BY c.id FOR UPDATE SKIP LOCKED
    )
    RETURNING r.work_order_id
    """
)


async def settle(
    tx: AsyncSession, *, now: datetime, customer_id: UUID | None = None
) -> Sequence[UUID]:
    """Write down what has come back, or is lost; return the orders that have nothing to fetch."""
    given = {"now": now, "customer_id": customer_id}
    settled = (await tx.scalars(_SETTLE, given)).all()
    if settled:
        audit.note(tx, table="due_back", operation="update", ids=settled, columns=("state",))
    ended = await tx.scalars(_CLOSE, given)
    return [order_id for order_id in ended if order_id is not None]


class Stop(NamedTuple):
    """A pick-up on the way: how far from the nearest stop of the day, in metres."""

    id: UUID
    locality: str | None
    distance_m: float
    due_at: datetime
    terminals: int
    estimated_minutes: int


_NEAR = text(
    """
    WITH stops AS (
        SELECT point FROM work_order
        WHERE holder_id = :technician_id AND planned_day = :today AND point IS NOT NULL
            AND state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
    )
    SELECT r.id, o.locality, min(ST_Distance(stops.point::geography, o.point::geography)) AS far,
        r.due_at, (
            SELECT count(*) FROM due_back d WHERE d.recovery_id = r.id AND d.state = 'open'
        ) AS terminals, o.estimated_minutes
    FROM recovery r
    JOIN work_order o ON o.id = r.work_order_id
    CROSS JOIN stops
    WHERE r.closed_at IS NULL AND r.org_unit_id = ANY(CAST(:units AS uuid[]))
        AND o.state IN ('received', 'located', 'unplaced', 'assigned')
        AND o.appointment_from IS NULL AND o.point IS NOT NULL
        AND (o.holder_id IS NULL OR o.planned_day > :today)
        AND (r.taken_by_id IS NULL OR o.holder_id IS DISTINCT FROM r.taken_by_id)
    GROUP BY r.id, o.id
    HAVING min(ST_Distance(stops.point::geography, o.point::geography)) <= :metres
    ORDER BY far, r.id LIMIT :size
    """
)


async def near(
    session: AsyncSession,
    technician_id: UUID,
    *,
    units: Sequence[UUID],
    today: date,
    metres: float,
    size: int,
) -> list[Stop]:
    """List pick-ups near a technician's stops of a local day, the nearest first."""
    rows = await session.execute(
        _NEAR,
        {
            "technician_id": technician_id,
            "units": list(units),
            "today": today,
            "metres": metres,
            "size": size,
        },
    )
    return [Stop(*row) for row in rows]


_PAGE = """
    SELECT r.id, r.org_unit_id, u.code AS org_unit_code, r.customer_id, c.code AS customer_code,
        c.name AS customer_name, r.since, r.due_at, r.closed_at, r.orders, r.work_order_id,
        o.state AS order_state, o.planned_day, o.holder_id, t.name AS holder_name, o.locality,
        r.taken_by_id, r.taken_at,
        (
            SELECT jsonb_agg(jsonb_build_object('id', d.id, 'serial_number', d.serial_number,
                'kind', d.kind, 'cause', d.cause, 'since', d.since, 'due_at', d.due_at,
                'state', d.state, 'settled_at', d.settled_at,
                'write_off_cause', d.write_off_cause, 'kept_cause', d.kept_cause)
                ORDER BY d.since, d.serial_number)
            FROM due_back d WHERE d.recovery_id = r.id
        ) AS terminals
    FROM recovery r
    JOIN org_unit u ON u.id = r.org_unit_id
    JOIN customer c ON c.id = r.customer_id
    LEFT JOIN work_order o ON o.id = r.work_order_id
    LEFT JOIN technician t ON t.id = o.holder_id
    WHERE r.org_unit_id = ANY(CAST(:units AS uuid[]))
"""
_OPEN = text(
    _PAGE
    + """
        AND r.closed_at IS NULL AND (CAST(:before AS timestamptz) IS NULL OR r.due_at <= :before)
        AND (CAST(:after_due AS timestamptz) IS NULL OR (r.due_at, r.id) > (:after_due, :after_id))
    ORDER BY r.due_at, r.id LIMIT :size
    """
)
_ALL = text(
    _PAGE
    + """
        AND (CAST(:before AS timestamptz) IS NULL OR r.due_at <= :before)
        AND (CAST(:after_due AS timestamptz) IS NULL OR (r.due_at, r.id) > (:after_due, :after_id))
    ORDER BY r.due_at, r.id LIMIT :size
    """
)
_ONE = text(_PAGE + " AND r.id = :id")


async def page(
    session: AsyncSession,
    *,
    units: Sequence[UUID],
    closed_too: bool,
    before: datetime | None,
    after: tuple[datetime, UUID] | None,
    size: int,
) -> Sequence[Row[Any]]:
    """List pick-ups of org units by their deadline, those due until a moment or all."""
    return (
        await session.execute(
            _ALL if closed_too else _OPEN,
            {
                "units": list(units),
                "before": before,
                "after_due": after[0] if after else None,
                "after_id": after[1] if after else None,
                "size": size,
            },
        )
    ).all()


async def one(session: AsyncSession, recovery_id: UUID, caller: Caller) -> Row[Any]:
    """Read one pick-up. Raises NotFound, also outside the caller's subtree."""
    recovery = (
        await session.execute(select(Recovery.org_unit_id).where(Recovery.id == recovery_id))
    ).one_or_none()
    if recovery is None or not await within(session, recovery.org_unit_id, caller):
        raise NotFound()
    given = {"units": [recovery.org_unit_id], "id": recovery_id}
    return (await session.execute(_ONE, given)).one()
