"""Reads and locks of appointments: what people's days hold, holds, and those that were moved."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.dispatch.models import AppointmentChange, AppointmentHold
from app.dispatch.rules import Booked, HoldState, Taken
from app.technicians.availability import DayOf, Promised

# --- what days hold -------------------------------------------------------------------------------

# What was begun keeps its minutes and no window: it is being done.
_LOADS = text(
    """
    SELECT o.holder_id AS technician_id, o.planned_day AS day, o.grid_id = :grid_id AS here,
        o.appointment_from AS begins, o.appointment_until AS until,
        array_agg(o.estimated_minutes) AS minutes, 0 AS over_minutes, 0 AS over_orders
    FROM work_order o
    WHERE o.holder_id = ANY(CAST(:technician_ids AS uuid[]))
        AND o.state IN ('assigned', 'acknowledged') AND o.appointment_from IS NOT NULL
        AND o.planned_day <= :last_day AND o.id <> ALL(CAST(:without AS uuid[]))
    GROUP BY 1, 2, 3, 4, 5
    UNION ALL
    SELECT h.technician_id, h.day, h.grid_id = :grid_id, h.begins_at, h.ends_at,
        CASE WHEN h.expires_at > :now THEN ARRAY[h.minutes] ELSE '{}' END,
        CASE WHEN h.expires_at > :now THEN 0 ELSE h.reserved_minutes END,
        CASE WHEN h.expires_at > :now THEN 0 ELSE h.reserved_orders END
    FROM appointment_hold h
    WHERE h.state = 'held' AND h.technician_id = ANY(CAST(:technician_ids AS uuid[]))
        AND h.day <= :last_day AND h.id <> ALL(CAST(:without AS uuid[]))
    """
)


class Load(NamedTuple):
    """Appointments of one person's day; `over` is still promised there by holds that expired."""

    technician_id: UUID
    day: date
    taken: Taken
    over: Promised


async def loads(
    session: AsyncSession,
    technician_ids: Collection[UUID],
    *,
    grid_id: UUID,
    last_day: date,
    now: datetime,
    without: Collection[UUID] = (),
) -> list[Load]:
    """Read people's appointments up to a local day, leaving out some orders or holds by id."""
    rows = await session.execute(
        _LOADS,
        {
            "technician_ids": list(technician_ids),
            "grid_id": grid_id,
            "last_day": last_day,
            "now": now,
            "without": list(without),
        },
    )
    return [
        Load(
            row.technician_id,
            row.day,
            Taken(bool(row.here), (row.begins, row.until), row.minutes),
            Promised(row.over_minutes, row.over_orders),
        )
        for row in rows
    ]


_WINDOWS = text(
    """
    SELECT o.holder_id AS technician_id, o.planned_day AS day,
        o.appointment_from AS begins, o.appointment_until AS until, o.estimated_minutes AS minutes
    FROM work_order o
    WHERE o.holder_id = ANY(CAST(:technician_ids AS uuid[]))
        AND o.planned_day = ANY(CAST(:days AS date[])) AND o.appointment_from IS NOT NULL
        AND o.state IN ('assigned', 'acknowledged') AND o.id <> ALL(CAST(:without AS uuid[]))
    UNION ALL
    SELECT h.technician_id, h.day, h.begins_at, h.ends_at, h.minutes
    FROM appointment_hold h
    WHERE h.state = 'held' AND h.expires_at > :now
        AND h.technician_id = ANY(CAST(:technician_ids AS uuid[]))
        AND h.day = ANY(CAST(:days AS date[])) AND h.id <> ALL(CAST(:without AS uuid[]))
    ORDER BY 1, 2, 3, 4, 5
    """
)


async def windows(
    session: AsyncSession,
    technician_ids: Collection[UUID],
    days: Collection[date],
    *,
    now: datetime,
    without: Collection[UUID] = (),
) -> dict[DayOf, list[Booked]]:
    """Read the appointments that people have to keep on some local days, and those held for them.

    In a fixed order; those of some orders or holds, given by id, are left out.
    """
    found: dict[DayOf, list[Booked]] = {}
    rows = await session.execute(
        _WINDOWS,
        {
            "technician_ids": list(technician_ids),
            "days": sorted(days),
            "now": now,
            "without": list(without),
        },
    )
    for row in rows:
        booked = Booked(row.begins, row.until, row.minutes)
        found.setdefault((row.technician_id, row.day), []).append(booked)
    return found


# --- holds ----------------------------------------------------------------------------------------

# A hold that somebody else has locked is being confirmed or given free by them.
# Materialized: a plan may run a subquery once for each row, and each run finds as many again.
_END_EXPIRED = text(
    """
    WITH over AS MATERIALIZED (
        SELECT id FROM appointment_hold
        WHERE state = 'held' AND expires_at <= :now
            AND (CAST(:technician_ids AS uuid[]) IS NULL
                OR (technician_id = ANY(CAST(:technician_ids AS uuid[]))
                    AND day = ANY(CAST(:days AS date[]))))
        ORDER BY id LIMIT :size FOR UPDATE SKIP LOCKED
    )
    UPDATE appointment_hold AS h SET state = 'expired', ended_at = h.expires_at
    FROM over
    WHERE h.id = over.id
    RETURNING h.technician_id, h.day, h.reserved_minutes, h.reserved_orders
    """
)


async def end_expired(
    tx: AsyncSession,
    *,
    now: datetime,
    technician_ids: Collection[UUID] | None = None,
    days: Collection[date] = (),
    size: int = 1000,
) -> dict[DayOf, Promised]:
    """End holds whose time is over, of some people's days or wherever they are.

    Returns what the days are relieved of, as less than nothing, for `availability.change`.
    """
    rows = await tx.execute(
        _END_EXPIRED,
        {
            "now": now,
            "technician_ids": None if technician_ids is None else list(technician_ids),
            "days": sorted(days),
            "size": size,
        },
    )
    relieved: dict[DayOf, Promised] = {}
    ended = rows.all()
    if ended:
        audit.note(tx, table="appointment_hold", operation="expired", count=len(ended))
    for row in ended:
        known = relieved.get((row.technician_id, row.day), Promised(0, 0))
        relieved[row.technician_id, row.day] = Promised(
            known.minutes - row.reserved_minutes, known.orders - row.reserved_orders
        )
    return relieved


async def one_at_a_time(tx: AsyncSession, org_unit_id: UUID, day: date) -> None:
    """Let those who hold slots of a unit's day come one after the other until `tx` ends.

    The reserve and the limits are counted over all of a unit's people, whose days are not locked.
    """
    await tx.execute(_ONE_AT_A_TIME, {"key": f"slots:{org_unit_id}:{day}"})


_ONE_AT_A_TIME = text("SELECT pg_advisory_xact_lock(hashtextextended(:key, 823))")


async def hold(session: AsyncSession, hold_id: UUID, caller: Caller) -> AppointmentHold:
    """Read a hold. Raises NotFound, also outside the caller's subtree."""
    return await _hold(session, hold_id, caller, lock=False)


async def hold_for_change(tx: AsyncSession, hold_id: UUID, caller: Caller) -> AppointmentHold:
    """Take a hold under its row lock, after its order's where there is one. Raises NotFound."""
    return await _hold(tx, hold_id, caller, lock=True)


async def _hold(
    session: AsyncSession, hold_id: UUID, caller: Caller, *, lock: bool
) -> AppointmentHold:
    statement = select(AppointmentHold).where(
        AppointmentHold.id == hold_id, subtree(AppointmentHold.org_unit_id, caller)
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    found = await session.scalar(statement)
    if found is None:
        raise NotFound()
    return found


async def open_holds_of(
    session: AsyncSession, order_id: UUID, *, now: datetime, lock: bool = False
) -> Sequence[AppointmentHold]:
    """Read the slots that are held for an order just now; `lock` takes their rows."""
    statement = (
        select(AppointmentHold)
        .where(
            AppointmentHold.work_order_id == order_id,
            AppointmentHold.state == HoldState.HELD,
            AppointmentHold.expires_at > now,
        )
        .order_by(AppointmentHold.id)
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    return (await session.scalars(statement)).all()


async def appointment_changes(session: AsyncSession, order_id: UUID) -> Sequence[AppointmentChange]:
    """Read how often and why an order's appointment was moved, the oldest first."""
    found = await session.scalars(
        select(AppointmentChange)
        .where(AppointmentChange.work_order_id == order_id)
        .order_by(AppointmentChange.id)
    )
    return found.all()
