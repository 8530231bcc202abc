"""Reads of slots: templates, an operator's limits, where a customer lives, a whole unit's day."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.core.lately import lately
from app.customers.models import Customer, ServiceAddress
from app.dispatch.models import SlotLimit, SlotTemplate
from app.dispatch.rules import Absence, Limit, Roster, Template, UnitTaken
from app.workorders.whereabouts import Whereabouts


async def slot_templates(session: AsyncSession) -> list[Template]:
    """Return the templates of slots, read at most a few seconds ago by this process."""
    return await lately(session, "dispatch.slot_templates", _read_templates)


async def _read_templates(session: AsyncSession) -> list[Template]:
    return [Template(*row) for row in await session.execute(_TEMPLATES)]


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


async def customer_place(
    session: AsyncSession, caller: Caller, customer_code: str
) -> tuple[Whereabouts, str | None]:
    """Read where a customer of the caller's subtree is served, at the first address by code, and
    the customer's tier.

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
                Customer.value_tier,
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
    place = Whereabouts(row.lon, row.lat, row.path, row.id, None, row.address, row.locality)
    return place, row.value_tier


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
