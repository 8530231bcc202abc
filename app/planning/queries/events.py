"""What has happened in the days under way: people away, long visits, urgent orders nobody has.

Every statement looks at all org units at once and at what is open alone, so that a look costs the
same however long the history is. A unit's work is planned by its branch.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import new_id
from app.outages.rules import PlaceKind
from app.planning.models import PlanEvent
from app.planning.rules import EventKind, Happened
from app.workorders.queries import UNDER_WAY_SINCE
from app.workorders.rules import UnplacedReason

CURABLE = (
    UnplacedReason.NOBODY_ASSIGNED,
    UnplacedReason.NOBODY_WITH_SKILL,
    UnplacedReason.NO_MINUTES_LEFT,
    UnplacedReason.WINDOW_UNREACHABLE,
)
"""Why an order may be unplaced that a plan of its whole branch could yet place."""

# The unit that plans with somebody on their local day: the branch they belong to, or the one to
# which they are lent. The caller names the technician `t`.
_PLANNED_IN = """
    JOIN org_unit own ON own.id = t.org_unit_id
    LEFT JOIN technician_loan loan ON loan.technician_id = t.id
        AND loan.agreed_at IS NOT NULL AND loan.ended_at IS NULL
        AND loan.valid_from <= (CAST(:now AS timestamptz) AT TIME ZONE own.time_zone)::date
        AND loan.valid_to > (CAST(:now AS timestamptz) AT TIME ZONE own.time_zone)::date
    JOIN org_unit at ON at.id = coalesce(loan.org_unit_id, own.id)
    LEFT JOIN org_unit branch ON branch.level = 'branch' AND starts_with(at.path, branch.path)
    CROSS JOIN LATERAL (
        SELECT coalesce(branch.id, at.id) AS id, coalesce(branch.path, at.path) AS path,
            (CAST(:now AS timestamptz) AT TIME ZONE at.time_zone)::date AS day,
            ((CAST(:now AS timestamptz) AT TIME ZONE at.time_zone)::date + 1)::timestamp
                AT TIME ZONE at.time_zone AS midnight
    ) AS unit
"""
_HELD = """
    SELECT count(*) FROM work_order o
    WHERE o.holder_id = t.id AND o.planned_day <= unit.day
        AND o.state IN ('assigned', 'acknowledged', 'suspended')
"""


class Absent(NamedTuple):
    """Somebody who holds so many orders of the day and is away, by a leave or since they have gone;
    `leave` is from and until."""

    unit_id: UUID
    org_path: str
    day: date
    technician_id: UUID
    name: str
    orders: int
    leave_id: UUID | None
    leave: tuple[datetime, datetime] | None


_ON_LEAVE = text(
    f"""
    SELECT unit.id AS unit_id, unit.path, unit.day, t.id, t.name, held.orders,
        leave.id AS leave_id, leave.starts_at, leave.ends_at
    FROM leave
    JOIN technician t ON t.id = leave.technician_id AND t.active
    {_PLANNED_IN}
    CROSS JOIN LATERAL ({_HELD}) AS held (orders)
    WHERE leave.ends_at > :now AND leave.starts_at < unit.midnight AND held.orders > 0
        AND NOT EXISTS (
            SELECT FROM plan_event known
            WHERE known.org_unit_id = unit.id AND known.day = unit.day
                AND known.kind = 'leave' AND known.key = leave.id::text)
    """  # noqa: S608 - text of our own
)
_GONE = text(
    f"""
    SELECT unit.id AS unit_id, unit.path, unit.day, t.id, t.name, held.orders
    FROM technician t
    {_PLANNED_IN}
    CROSS JOIN LATERAL ({_HELD}) AS held (orders)
    WHERE NOT t.active AND held.orders > 0
        AND NOT EXISTS (
            SELECT FROM plan_event known
            WHERE known.org_unit_id = unit.id AND known.day = unit.day
                AND known.kind = 'inactive' AND known.key = t.id::text)
    """  # noqa: S608 - text of our own
)


async def absent(session: AsyncSession, *, now: datetime) -> list[Absent]:
    """List who is on leave today, or will be, or is no longer active, and still holds orders of
    today; whoever was dealt with today is left out."""
    on_leave = await session.execute(_ON_LEAVE, {"now": now})
    found = [
        Absent(
            row.unit_id,
            row.path,
            row.day,
            row.id,
            row.name,
            row.orders,
            row.leave_id,
            (row.starts_at, row.ends_at),
        )
        for row in on_leave
    ]
    gone = await session.execute(_GONE, {"now": now})
    return found + [
        Absent(row.unit_id, row.path, row.day, row.id, row.name, row.orders, None, None)
        for row in gone
    ]


class Long(NamedTuple):
    """A visit that is longer than its estimate; `since` and `seconds` as in rules.OnSite."""

    unit_id: UUID
    org_path: str
    day: date
    technician_id: UUID
    name: str
    order_id: UUID
    external_id: str
    since: int
    seconds: int


_LONG = text(
    f"""
    SELECT unit.id AS unit_id, unit.path, unit.day, t.id AS technician_id, t.name,
        o.id AS order_id, o.external_id, since.at AS since, o.estimated_minutes * 60 AS seconds
    FROM work_order o
    CROSS JOIN LATERAL (SELECT {UNDER_WAY_SINCE} AS at) AS since
    JOIN technician t ON t.id = o.holder_id
    {_PLANNED_IN}
    WHERE o.state = 'on_site'
        AND since.at + o.estimated_minutes * 60 < extract(epoch FROM CAST(:now AS timestamptz))
    """  # noqa: S608 - text of our own
)


async def long_visits(session: AsyncSession, *, now: datetime) -> list[Long]:
    """List the visits that are longer than their estimates by now, however little."""
    rows = await session.execute(_LONG, {"now": now})
    return [
        Long(
            row.unit_id,
            row.path,
            row.day,
            row.technician_id,
            row.name,
            row.order_id,
            row.external_id,
            row.since,
            row.seconds,
        )
        for row in rows
    ]


class Urgent(NamedTuple):
    """An order that nobody has."""

    unit_id: UUID
    org_path: str
    day: date
    order_id: UUID
    external_id: str
    priority: int
    reason: UnplacedReason


_URGENT = text(
    """
    SELECT coalesce(branch.id, own.id) AS unit_id, coalesce(branch.path, own.path) AS path,
        today.day, o.id, o.external_id, o.priority, o.unplaced_reason
    FROM work_order o
    JOIN org_unit own ON own.id = o.org_unit_id
    LEFT JOIN org_unit branch ON branch.level = 'branch' AND starts_with(own.path, branch.path)
    CROSS JOIN LATERAL (
        SELECT (CAST(:now AS timestamptz) AT TIME ZONE own.time_zone)::date AS day
    ) AS today
    WHERE o.state = 'unplaced' AND o.priority <= :priority
        AND o.unplaced_reason = ANY(CAST(:reasons AS text[]))
        AND (o.appointment_from IS NULL
            OR (o.appointment_from AT TIME ZONE own.time_zone)::date <= today.day)
        AND NOT EXISTS (
            SELECT FROM plan_event known
            WHERE known.org_unit_id = coalesce(branch.id, own.id) AND known.day = today.day
                AND known.kind = 'urgent_order' AND known.key = o.id::text)
    """
)


async def urgent_unplaced(session: AsyncSession, *, priority: int, now: datetime) -> list[Urgent]:
    """List orders up to a priority that nobody has and that a plan of their branch might place
    today; those dealt with today are left out."""
    asked = {"now": now, "priority": priority, "reasons": [reason.value for reason in CURABLE]}
    rows = await session.execute(_URGENT, asked)
    return [
        Urgent(
            row.unit_id,
            row.path,
            row.day,
            row.id,
            row.external_id,
            row.priority,
            UnplacedReason(row.unplaced_reason),
        )
        for row in rows
    ]


class Failed(NamedTuple):
    """An outage that was confirmed today, the orders it has taken out of people's days, and the
    unit that plans without them now."""

    unit_id: UUID
    org_path: str
    day: date
    outage_id: UUID
    kind: PlaceKind
    name: str
    orders: int


_FAILED = text(
    """
    SELECT coalesce(branch.id, own.id) AS unit_id, coalesce(branch.path, own.path) AS path,
        today.day, f.id, f.place_kind, f.name, f.orders
    FROM (
        SELECT u.id, u.place_kind, u.name, o.org_unit_id, count(*) AS orders
        FROM outage u JOIN work_order o ON o.outage_id = u.id
        WHERE u.ended_at IS NULL AND u.state = 'confirmed' AND o.unplaced_reason = 'outage'
            AND o.received_at <= u.confirmed_at
            AND u.confirmed_at > CAST(:now AS timestamptz) - interval '1 day'
        GROUP BY 1, 2, 3, 4
    ) AS f
    JOIN org_unit own ON own.id = f.org_unit_id
    LEFT JOIN org_unit branch ON branch.level = 'branch' AND starts_with(own.path, branch.path)
    CROSS JOIN LATERAL (
        SELECT (CAST(:now AS timestamptz) AT TIME ZONE own.time_zone)::date AS day
    ) AS today
    WHERE NOT EXISTS (
        SELECT FROM plan_event known
        WHERE known.org_unit_id = coalesce(branch.id, own.id) AND known.day = today.day
            AND known.kind = 'outage' AND known.key = f.id::text)
    """
)


async def outages(session: AsyncSession, *, now: datetime) -> list[Failed]:
    """List the outages that were confirmed today and have taken orders out of people's days; those
    dealt with today are left out."""
    rows = await session.execute(_FAILED, {"now": now})
    return [
        Failed(
            row.unit_id, row.path, row.day, row.id, PlaceKind(row.place_kind), row.name, row.orders
        )
        for row in rows
    ]


# --- events as they are kept --------------------------------------------------------------------

_KEEP = text(
    """
    INSERT INTO plan_event
        (id, org_unit_id, day, kind, key, technician_id, work_order_id, facts, found_at)
    SELECT id, org_unit_id, day, kind, key, technician_id, work_order_id, facts, :now
    FROM jsonb_to_recordset(CAST(:events AS jsonb)) AS given (
        id uuid, org_unit_id uuid, day date, kind text, key text, technician_id uuid,
        work_order_id uuid, facts jsonb)
    ORDER BY org_unit_id, day, kind, key
    ON CONFLICT (org_unit_id, day, kind, key) DO NOTHING
    RETURNING org_unit_id, day
    """
)

UnitDay = tuple[UUID, date]  # an org unit's id and a local day of it


async def keep(
    tx: AsyncSession, happened: Sequence[tuple[date, Happened]], *, now: datetime
) -> set[UnitDay]:
    """Write down what has happened, each on its local day; say where there was something new."""
    if not happened:
        return set()
    given = [
        {
            "id": str(new_id()),
            "org_unit_id": str(one.org_unit_id),
            "day": str(day),
            "kind": one.kind.value,
            "key": one.key,
            "technician_id": one.technician_id and str(one.technician_id),
            "work_order_id": one.order_id and str(one.order_id),
            "facts": dict(one.facts),
        }
        for day, one in happened
    ]
    rows = await tx.execute(_KEEP, {"events": orjson.dumps(given).decode(), "now": now})
    return {(row.org_unit_id, row.day) for row in rows}


async def waiting(tx: AsyncSession, org_unit_id: UUID, day: date) -> Sequence[PlanEvent]:
    """Take the events of an org unit's day for which there is no plan yet, under their row locks;
    those that another transaction takes are left to it."""
    found = await tx.scalars(
        select(PlanEvent)
        .where(
            PlanEvent.org_unit_id == org_unit_id,
            PlanEvent.day == day,
            PlanEvent.plan_id.is_(None),
        )
        .order_by(PlanEvent.id)
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    return found.all()


def as_happened(event: PlanEvent) -> Happened:
    """Read an event as the rules see it."""
    return Happened(
        event.org_unit_id,
        EventKind(event.kind),
        event.key,
        event.technician_id,
        event.work_order_id,
        event.facts,
    )
