"""A technician's day, as every phone asks for it."""

from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of, fetched
from app.workorders.queries import org_units
from app.workorders.rules import State
from app.worktypes.rules import WorkType


async def zone_of_unit(session: AsyncSession, org_unit_id: UUID) -> ZoneInfo:
    """Return an org unit's time zone, read at most a few seconds ago by this process."""
    return (await org_units(session, ids=[org_unit_id])).by_id[org_unit_id].zone


class DayRow(NamedTuple):
    """An order of a technician's day as PostgreSQL gives it; the point is in WGS-84 degrees.

    `place` is the order's place in the day's route, if it has one. `assist_id` says that somebody
    else holds it and this technician helps, having joined since `assists_since`.
    """

    id: UUID
    external_id: str
    work_type: WorkType
    state: State
    priority: int
    customer_id: UUID | None
    service_number: str | None
    contact_name: str | None
    contact_phone: str | None
    address: str
    locality: str | None
    summary: str
    lon: float | None
    lat: float | None
    grid_code: str | None
    grid_name: str | None
    near_border: bool
    estimated_minutes: int
    appointment_from: datetime | None
    appointment_until: datetime | None
    due_at: datetime | None
    planned_day: date
    completed_at: datetime | None
    version: int
    visit_id: UUID | None
    resume_at: datetime | None
    restored_at: datetime | None
    repeats: int
    nudges: int
    absences: int
    outage_id: UUID | None
    place: int | None
    assist_id: UUID | None
    assists_since: datetime | None


# The hottest read of all, since every phone asks again and again: it goes straight to the driver,
# which halves its processor time (see api_docs/decisions). The states stand in it as words because
# a parameter would hide from the planner that the partial index of what is held will do.
COLUMNS = """
    o.id, o.external_id, o.work_type, o.state, o.priority, o.customer_id, o.service_number,
    o.contact_name, o.contact_phone, o.address, o.locality, o.summary,
    ST_X(o.point), ST_Y(o.point), grid.code, grid.name, o.near_border, o.estimated_minutes,
    o.appointment_from, o.appointment_until, o.due_at, o.planned_day, o.completed_at,
    o.version, visit.id, visit.resume_at, visit.restored_at, o.repeats, o.nudges, o.absences,
    o.outage_id
"""
BESIDE = """
    LEFT JOIN grid ON grid.id = o.grid_id
    LEFT JOIN visit ON visit.work_order_id = o.id AND visit.ended_at IS NULL
"""
# What somebody only helps with comes by an index of its own, which mostly finds nothing.
DAY = f"""
    SELECT {COLUMNS},
        array_position(
            (SELECT route FROM technician_day AS d
             WHERE d.technician_id = %(technician_id)s AND d.day = %(day)s),
            o.id
        ),
        NULL::uuid, NULL::timestamptz
    FROM work_order AS o
    {BESIDE}
    WHERE o.holder_id = %(technician_id)s
    AND o.state <> 'cancelled'
    AND (
        o.planned_day = %(day)s
        OR (
            o.planned_day < %(day)s
            AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        )
    )
    UNION ALL
    SELECT {COLUMNS}, NULL, a.id, a.joined_at
    FROM work_assist AS a
    JOIN work_order AS o ON o.id = a.work_order_id
    {BESIDE}
    WHERE a.technician_id = %(technician_id)s AND a.ended_at IS NULL AND a.day <= %(day)s
    AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
"""  # noqa: S608 - text of our own


async def day_of(session: AsyncSession, technician_id: UUID, day: date) -> list[DayRow]:
    """List a technician's orders of a local day, and what is still open from days before.

    In no order: `rules.place_in_day` gives it. Work types and states come as plain text, which
    equals their enum.
    """
    given = {"technician_id": technician_id, "day": day}
    if session.in_transaction():
        # It has a connection: whoever holds one and waits for a second lets a burst wait for
        # itself.
        return [DayRow._make(row) for row in await fetched(session, DAY, given)]
    async with database_of(session).hot() as driver:
        cursor = await driver.execute(DAY, given)
        return [DayRow._make(row) for row in await cursor.fetchall()]
