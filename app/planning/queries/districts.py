"""What a day is planned from: people, orders, memberships, and what stands in their days.

Each is one statement for a whole province. Days are local ones of the org unit that plans.
"""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import OrgLevel
from app.workorders.queries import UNDER_WAY_SINCE


class Unit(NamedTuple):
    """An org unit; `district_id` is the one whose day its people and orders belong to."""

    id: UUID
    path: str
    district_id: UUID


_UNITS = text("SELECT id, path, level, parent_id FROM org_unit")


async def units(session: AsyncSession) -> dict[UUID, Unit]:
    """Read all org units. A crew plans with its branch, any other unit for itself."""
    rows = await session.execute(_UNITS)
    return {
        row.id: Unit(
            row.id,
            row.path,
            row.parent_id if row.level == OrgLevel.CREW and row.parent_id else row.id,
        )
        for row in rows
    }


class Person(NamedTuple):
    """Somebody who works in a part of the organisation on a day; `lent` by another unit."""

    technician_id: UUID
    org_unit_id: UUID
    lent: bool


# Lent to a unit, or else to a grid of one, unless they are somebody's primary that day: then they
# are asked for both, and their day stays at home.
_PEOPLE = text(
    """
    SELECT t.id, w.id AS org_unit_id, w.id <> t.org_unit_id AS lent
    FROM technician t
    LEFT JOIN technician_loan l ON l.technician_id = t.id AND l.agreed_at IS NOT NULL
        AND l.ended_at IS NULL AND l.valid_from <= :day AND l.valid_to > :day
    LEFT JOIN LATERAL (
        SELECT CASE WHEN bool_or(m.kind = 'primary') THEN NULL
            ELSE (array_agg(g.org_unit_id ORDER BY m.rank, m.id)
                  FILTER (WHERE m.kind = 'loan'))[1] END AS org_unit_id
        FROM grid_membership m JOIN grid g ON g.id = m.grid_id
        WHERE m.technician_id = t.id AND m.valid_from <= :day
            AND (m.valid_to IS NULL OR m.valid_to > :day) AND m.weekdays >> :weekday & 1 = 1
    ) AS grids ON l.id IS NULL
    JOIN org_unit w ON w.id = coalesce(l.org_unit_id, grids.org_unit_id, t.org_unit_id)
    WHERE t.active AND starts_with(w.path, :org_path)
    ORDER BY t.id
    """
)


async def people(session: AsyncSession, org_path: str, day: date) -> list[Person]:
    """Read who works in a subtree on a day: its own without those who are lent, and those lent
    to it."""
    rows = await session.execute(
        _PEOPLE, {"org_path": org_path, "day": day, "weekday": day.weekday()}
    )
    return [Person(*row) for row in rows]


# The states stand in it as words, so that the partial indexes will do. What days gone by still
# hold counts today. Of orders that nobody of ours holds, those whose holder does not work here on
# that day (any more) are read too: somebody has to do them.
_ORDERS = text(
    f"""
    WITH mine AS (SELECT unnest(CAST(:technician_ids AS uuid[])) AS id),
    found AS (
        SELECT o.* FROM mine JOIN work_order o ON o.holder_id = mine.id
        WHERE o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
            AND (o.planned_day = :day OR (:today AND o.planned_day < :day))
        UNION ALL
        SELECT o.* FROM work_order o
        WHERE o.org_unit_id = ANY(CAST(:unit_ids AS uuid[]))
            AND o.state NOT IN ('completed', 'archived', 'cancelled')
            AND (
                (o.state IN ('located', 'unplaced')
                 AND (o.appointment_from IS NULL
                      OR (o.appointment_from < :until AND o.appointment_until >= :since)))
                OR (o.state IN ('assigned', 'acknowledged')
                    AND (o.planned_day = :day OR (:today AND o.planned_day < :day))
                    AND o.holder_id NOT IN (SELECT id FROM mine)
                    AND o.holder_id IN (
                        SELECT t.id FROM technician t JOIN org_unit u ON u.id = t.org_unit_id
                        WHERE NOT t.active OR starts_with(u.path, :org_path)))
            )
    )
    SELECT o.id, o.org_unit_id, o.state, o.unplaced_reason, o.holder_id, o.planned_day, o.priority,
        o.estimated_minutes, o.skills, o.terminals, o.grid_id, g.kind,
        ST_X(o.point) AS lon, ST_Y(o.point) AS lat,
        extract(epoch FROM o.appointment_from)::bigint AS opens,
        extract(epoch FROM o.appointment_until)::bigint AS closes,
        extract(epoch FROM o.due_at)::bigint AS due,
        p.technician_id AS pinned_to,
        {UNDER_WAY_SINCE} AS since
    FROM found o
    LEFT JOIN grid g ON g.id = o.grid_id
    LEFT JOIN dispatch_pin p ON p.work_order_id = o.id
    ORDER BY o.id
    """  # noqa: S608 - text of our own
)


async def orders(
    session: AsyncSession,
    *,
    org_path: str,
    unit_ids: Collection[UUID],
    technician_ids: Collection[UUID],
    day: date,
    today: bool,
    since: datetime,
    until: datetime,
) -> list[Row[Any]]:
    """Read the orders of a day: what these people hold of it, and what of these units is nobody's
    and may be done on it. `since` and `until` are the day's first moment and the next day's."""
    rows = await session.execute(
        _ORDERS,
        {
            "org_path": org_path,
            "unit_ids": list(unit_ids),
            "technician_ids": list(technician_ids),
            "day": day,
            "today": today,
            "since": since,
            "until": until,
        },
    )
    return list(rows)


_MEMBERSHIPS = text(
    """
    SELECT grid_id, technician_id, kind, rank FROM grid_membership
    WHERE technician_id = ANY(CAST(:technician_ids AS uuid[]))
        AND valid_from <= :day AND (valid_to IS NULL OR valid_to > :day)
        AND weekdays >> :weekday & 1 = 1
    ORDER BY id
    """
)


async def memberships(
    session: AsyncSession, technician_ids: Collection[UUID], day: date
) -> list[Row[Any]]:
    """Read to which grids these people belong on a day, and how."""
    rows = await session.execute(
        _MEMBERSHIPS,
        {"technician_ids": list(technician_ids), "day": day, "weekday": day.weekday()},
    )
    return list(rows)


_HELD_SLOTS = text(
    """
    SELECT technician_id, minutes, extract(epoch FROM begins_at)::bigint AS opens,
        extract(epoch FROM ends_at)::bigint AS closes
    FROM appointment_hold
    WHERE state = 'held' AND technician_id = ANY(CAST(:technician_ids AS uuid[]))
        AND day = :day AND expires_at > :now
    ORDER BY id
    """
)


async def held_slots(
    session: AsyncSession, technician_ids: Collection[UUID], day: date, now: datetime
) -> list[Row[Any]]:
    """Read the slots that are held with these people for customers who are deciding."""
    return list(
        await session.execute(
            _HELD_SLOTS, {"technician_ids": list(technician_ids), "day": day, "now": now}
        )
    )


_PUBLISHED = text(
    """
    SELECT u.path FROM day_plan p JOIN org_unit u ON u.id = p.org_unit_id
    WHERE p.day = :day AND p.state = 'published'
    """
)


async def published_paths(session: AsyncSession, day: date) -> list[str]:
    """List the org units, by their paths, that have a published plan of a day."""
    return list(await session.scalars(_PUBLISHED, {"day": day}))
