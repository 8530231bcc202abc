"""Reads and locks of appointments: slots, limits, holds, and what people's days hold."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import subtree
from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.clock import wall
from app.core.db import database_of
from app.core.errors import NotFound
from app.customers.models import Customer, ServiceAddress
from app.dispatch.models import AppointmentChange, AppointmentHold, SlotLimit, SlotTemplate
from app.dispatch.rules import (
    Absence,
    Booked,
    HoldState,
    Limit,
    Roster,
    Taken,
    Template,
    UnitTaken,
)
from app.technicians.availability import DayOf, Promised
from app.workorders.whereabouts import Whereabouts

# Templates change rarely; a change is in force everywhere after so many seconds.
STALE_AFTER_SECONDS = 5.0


async def slot_templates(session: AsyncSession) -> list[Template]:
    """Return the templates of slots, read at most a few seconds ago by this process."""
    cache = database_of(session).cache
    held: tuple[datetime, list[Template]] | None = cache.get("dispatch.slot_templates")
    if held is not None and (wall() - held[0]).total_seconds() < STALE_AFTER_SECONDS:
        return held[1]
    rows = await session.execute(_TEMPLATES)
    read = [Template(*row) for row in rows]
    cache["dispatch.slot_templates"] = (wall(), read)
    return read


_TEMPLATES = select(*(getattr(SlotTemplate, name) for name in Template._fields))


async def limits(
    session: AsyncSession, org_path: str, *, first_day: date, last_day: date
) -> list[Limit]:
    """Read what an operator has bounded on some local days, for a unit and the units above it."""
    rows = await session.execute(
        _LIMITS, {"org_path": org_path, "first_day": first_day, "last_day": last_day}
    )
    return [Limit(*row) for row in rows]


_LIMITS = text(
    """
    SELECT o.path, l.day, l.category, l.slot, l.most
    FROM slot_limit l JOIN org_unit o ON o.id = l.org_unit_id
    WHERE l.day BETWEEN :first_day AND :last_day AND starts_with(:org_path, o.path)
    """
)


async def limits_between(
    session: AsyncSession, caller: Caller, *, first_day: date, last_day: date
) -> Sequence[Any]:
    """List the limits of a caller's units on some local days, the first first."""
    rows = await session.execute(
        select(
            OrgUnit.code.label("org_unit_code"),
            SlotLimit.day,
            SlotLimit.category,
            SlotLimit.slot,
            SlotLimit.most,
            SlotLimit.note,
        )
        .join(OrgUnit, OrgUnit.id == SlotLimit.org_unit_id)
        .where(SlotLimit.day.between(first_day, last_day), subtree(SlotLimit.org_unit_id, caller))
        .order_by(SlotLimit.day, OrgUnit.code, SlotLimit.category, SlotLimit.slot)
        .limit(1000)
    )
    return rows.all()


async def customer_place(session: AsyncSession, caller: Caller, customer_code: str) -> Whereabouts:
    """Read where a customer of the caller's subtree is served, at the first address by code.

    Raises NotFound when there is no such customer.
    """
    row = (
        await session.execute(
            select(
                func.ST_X(ServiceAddress.point).label("lon"),
                func.ST_Y(ServiceAddress.point).label("lat"),
                OrgUnit.path,
                Customer.id,
                func.coalesce(ServiceAddress.standard_address, "").label("address"),
                ServiceAddress.locality,
            )
            .select_from(Customer)
            .join(OrgUnit, OrgUnit.id == Customer.org_unit_id)
            .outerjoin(ServiceAddress, ServiceAddress.customer_id == Customer.id)
            .where(Customer.code == customer_code, subtree(Customer.org_unit_id, caller))
            .order_by(ServiceAddress.code)
            .limit(1)
        )
    ).one_or_none()
    if row is None:
        raise NotFound()
    return Whereabouts(row.lon, row.lat, row.path, row.id, None, row.address, row.locality)


# --- a whole unit --------------------------------------------------------------------------------

_ROSTERS = text(
    """
    SELECT weekday, pieces, daily_minutes, count(*) AS people FROM (
        SELECT s.weekday, t.daily_minutes,
            array_agg(s.starts_at::text || ' ' || s.ends_at ORDER BY s.starts_at) AS pieces
        FROM technician t JOIN shift s ON s.technician_id = t.id
        WHERE t.active
            AND t.org_unit_id IN (SELECT id FROM org_unit WHERE starts_with(path, :org_path))
        GROUP BY t.id, s.weekday
    ) AS days
    GROUP BY 1, 2, 3
    """
)


async def rosters(session: AsyncSession, org_path: str) -> list[Roster]:
    """Read who works when in a unit and all under it: mostly very many work alike."""
    rows = await session.execute(_ROSTERS, {"org_path": org_path})
    return [
        Roster(row.weekday, [_times(one) for one in row.pieces], row.daily_minutes, row.people)
        for row in rows
    ]


def _times(piece: str) -> tuple[time, time]:
    begins, ends = piece.split()
    return time.fromisoformat(begins), time.fromisoformat(ends)


_ABSENCES = text(
    """
    SELECT l.starts_at, l.ends_at,
        ARRAY(SELECT s.weekday || ' ' || s.starts_at || ' ' || s.ends_at
              FROM shift s WHERE s.technician_id = t.id) AS shifts
    FROM technician t JOIN leave l ON l.technician_id = t.id
    WHERE t.active AND l.ends_at > :from_moment AND l.starts_at < :until_moment
        AND t.org_unit_id IN (SELECT id FROM org_unit WHERE starts_with(path, :org_path))
    """
)


async def absences(
    session: AsyncSession, org_path: str, *, from_moment: datetime, until_moment: datetime
) -> list[Absence]:
    """Read the leave of a unit's people between two moments, with the shifts it may fall into."""
    rows = await session.execute(
        _ABSENCES,
        {"org_path": org_path, "from_moment": from_moment, "until_moment": until_moment},
    )
    return [
        Absence(
            row.starts_at,
            row.ends_at,
            [(int(one[0]), *_times(one[2:])) for one in row.shifts],
        )
        for row in rows
    ]


_OF_UNIT = text(
    """
    WITH staff AS MATERIALIZED (
        SELECT id FROM technician
        WHERE org_unit_id IN (SELECT id FROM org_unit WHERE starts_with(path, :org_path))
    ), given AS (
        SELECT o.planned_day AS day, o.work_type,
            (o.priority <= 2 OR o.work_type = 'repair') AS urgent,
            CASE WHEN o.state IN ('assigned', 'acknowledged') THEN o.appointment_from END AS begins,
            CASE WHEN o.state IN ('assigned', 'acknowledged') THEN o.appointment_until END AS until,
            o.estimated_minutes AS minutes
        FROM staff JOIN work_order o ON o.holder_id = staff.id
        WHERE o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
            AND o.planned_day <= :last_day AND o.id <> ALL(CAST(:without AS uuid[]))
        UNION ALL
        SELECT h.day, h.work_type, h.urgent, h.begins_at, h.ends_at, h.minutes
        FROM staff JOIN appointment_hold h ON h.technician_id = staff.id
        WHERE h.state = 'held' AND h.expires_at > :now AND h.day <= :last_day
            AND h.id <> ALL(CAST(:without AS uuid[]))
    )
    SELECT greatest(day, :today) AS day, work_type, urgent, begins, until, count(*) AS orders,
        sum(minutes + :allowance)::float8 AS minutes,
        sum(least(minutes + :allowance, extract(epoch FROM until - begins) / 60))::float8
            AS in_window
    FROM given GROUP BY 1, 2, 3, 4, 5
    """
)


async def taken_of(
    session: AsyncSession,
    org_path: str,
    *,
    today: date,
    last_day: date,
    now: datetime,
    allowance: float,
    without: Collection[UUID] = (),
) -> dict[date, list[UnitTaken]]:
    """Add up what the people of a unit have on each local day; days gone by count as today.

    Some orders or holds are left out by their ids.
    """
    rows = await session.execute(
        _OF_UNIT,
        {
            "org_path": org_path,
            "today": today,
            "last_day": last_day,
            "now": now,
            "allowance": allowance,
            "without": list(without),
        },
    )
    found: dict[date, list[UnitTaken]] = {}
    for row in rows:
        window = (row.begins, row.until) if row.begins is not None else None
        one = UnitTaken(
            row.day, row.work_type, row.urgent, window, row.orders, row.minutes, row.in_window or 0
        )
        found.setdefault(row.day, []).append(one)
    return found


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
_END_EXPIRED = text(
    """
    UPDATE appointment_hold AS h SET state = 'expired', ended_at = h.expires_at
    FROM (
        SELECT id FROM appointment_hold
        WHERE state = 'held' AND expires_at <= :now
            AND (CAST(:technician_ids AS uuid[]) IS NULL
                OR (technician_id = ANY(CAST(:technician_ids AS uuid[]))
                    AND day = ANY(CAST(:days AS date[]))))
        ORDER BY id LIMIT :size FOR UPDATE SKIP LOCKED
    ) AS over
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
