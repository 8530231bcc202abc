"""Reads of visits: a technician's day, the steps already taken, and what is behind a door."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import database_of
from app.core.errors import NotFound
from app.terminals.rules import TerminalKind
from app.visits.models import Visit
from app.visits.rules import Taken
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.queries import org_units
from app.workorders.rules import State, Step, WorkType


async def zone_of_unit(session: AsyncSession, org_unit_id: UUID) -> ZoneInfo:
    """Return an org unit's time zone, read at most a few seconds ago by this process."""
    return (await org_units(session, ids=[org_unit_id])).by_id[org_unit_id].zone


class DayRow(NamedTuple):
    """An order of a technician's day as PostgreSQL gives it; the point is in WGS-84 degrees.

    `place` is the order's place in the day's route, if it has one.
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
    place: int | None


# The hottest read of all, since every phone asks again and again: it goes straight to the driver,
# which halves its processor time (see api_docs/decisions). The states stand in it as words because
# a parameter would hide from the planner that the partial index of what is held will do.
DAY = """
    SELECT o.id, o.external_id, o.work_type, o.state, o.priority, o.customer_id, o.service_number,
        o.contact_name, o.contact_phone, o.address, o.locality, o.summary,
        ST_X(o.point), ST_Y(o.point), grid.code, grid.name, o.near_border, o.estimated_minutes,
        o.appointment_from, o.appointment_until, o.due_at, o.planned_day, o.completed_at,
        o.version, visit.id, visit.resume_at, visit.restored_at,
        array_position(
            (SELECT route FROM technician_day AS d
             WHERE d.technician_id = %(technician_id)s AND d.day = %(day)s),
            o.id
        )
    FROM work_order AS o
    LEFT JOIN grid ON grid.id = o.grid_id
    LEFT JOIN visit ON visit.work_order_id = o.id AND visit.ended_at IS NULL
    WHERE o.holder_id = %(technician_id)s
    AND o.state <> 'cancelled'
    AND (
        o.planned_day = %(day)s
        OR (
            o.planned_day < %(day)s
            AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        )
    )
"""


async def day_of(session: AsyncSession, technician_id: UUID, day: date) -> list[DayRow]:
    """List a technician's orders of a local day, and what is still open from days before.

    In no order: `rules.place_in_day` gives it. Work types and states come as plain text, which
    equals their enum.
    """
    async with database_of(session).hot() as driver:
        cursor = await driver.execute(DAY, {"technician_id": technician_id, "day": day})
        return [DayRow._make(row) for row in await cursor.fetchall()]


async def own(tx: AsyncSession, visit_id: UUID, technician_id: UUID) -> Visit:
    """Find a technician's own visit. Raises NotFound for anybody else's."""
    visit = await tx.get(Visit, visit_id, populate_existing=True)
    if visit is None or visit.technician_id != technician_id:
        raise NotFound()
    return visit


async def steps_taken(tx: AsyncSession, order_id: UUID) -> Sequence[Taken]:
    """List all steps ever taken with an order, by whomever, oldest first."""
    rows = await tx.execute(
        select(WorkOrderEvent, WorkOrder.work_type)
        .join(WorkOrder, WorkOrder.id == WorkOrderEvent.work_order_id)
        .where(WorkOrderEvent.work_order_id == order_id)
        .order_by(WorkOrderEvent.at, WorkOrderEvent.id)
    )
    return [
        Taken(
            work_order_id=order_id,
            work_type=work_type,
            technician_id=event.technician_id,
            step=event.step,
            state=event.to_state,
            at=event.at,
            device_at=event.device_at,
            reason=event.reason,
            facts=event.facts or {},
        )
        for event, work_type in rows
        if event.step not in (None, Step.PIN, Step.UNPIN)
    ]


async def open_visit(tx: AsyncSession, order_id: UUID) -> Visit | None:
    """Find the visit that is going on for an order."""
    return (
        await tx.scalars(
            select(Visit)
            .where(Visit.work_order_id == order_id, Visit.ended_at.is_(None))
            .execution_options(populate_existing=True)
        )
    ).one_or_none()


@dataclass(frozen=True)
class OrderOfCustomer:
    """One order of a customer, as far as another room needs it."""

    id: UUID
    external_id: str
    work_type: WorkType
    state: State
    summary: str
    holder_id: UUID | None
    reported_at: datetime
    due_at: datetime | None
    appointment_from: datetime | None
    appointment_until: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True)
class LineOfCustomer:
    """A place a customer is served at, and what the line there can do, in Mbit/s."""

    standard_address: str
    locality: str
    building: str | None
    olt_port: str | None
    port_free: bool | None
    max_speed_mbps: int | None
    checked_at: datetime | None


@dataclass(frozen=True)
class TerminalOfCustomer:
    """A device booked to a customer."""

    serial_number: str
    kind: TerminalKind
    model: str


@dataclass(frozen=True)
class BehindTheDoor:
    """What this house knows of a customer beside the CRM's card."""

    org_path: str
    orders: Sequence[OrderOfCustomer]
    lines: Sequence[LineOfCustomer]
    terminals: Sequence[TerminalOfCustomer]


# One statement for all three, since the card for the door may cost three in all.
_BEHIND_THE_DOOR = text(
    """
    SELECT org_unit.path AS org_path,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(o) ORDER BY o.reported_at DESC, o.id), '[]')
            FROM (
                SELECT id, external_id, work_type, state, summary, holder_id, reported_at,
                    due_at, appointment_from, appointment_until, completed_at
                FROM work_order
                WHERE customer_id = customer.id
                AND (
                    state NOT IN ('completed', 'archived', 'cancelled')
                    OR reported_at >= :since OR completed_at >= :since
                )
            ) AS o
        ) AS orders,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.standard_address), '[]')
            FROM (
                SELECT standard_address, locality, building, olt_port, port_free,
                    max_speed_mbps, checked_at
                FROM service_address WHERE customer_id = customer.id
            ) AS a
        ) AS lines,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.serial_number), '[]')
            FROM (
                SELECT serial_number, kind, model FROM terminal WHERE customer_id = customer.id
            ) AS t
        ) AS terminals
    FROM customer JOIN org_unit ON org_unit.id = customer.org_unit_id
    WHERE customer.id = :customer_id
    """
)
_READ_ORDERS = TypeAdapter(list[OrderOfCustomer])
_READ_LINES = TypeAdapter(list[LineOfCustomer])
_READ_TERMINALS = TypeAdapter(list[TerminalOfCustomer])


async def behind_the_door(
    session: AsyncSession, customer_id: UUID, since: datetime
) -> BehindTheDoor:
    """Read a customer's orders that are open or younger than a moment, lines and terminals.

    Who may see whom is for the service to say. Raises NotFound.
    """
    row = (
        await session.execute(_BEHIND_THE_DOOR, {"customer_id": customer_id, "since": since})
    ).one_or_none()
    if row is None:
        raise NotFound()
    return BehindTheDoor(
        org_path=row.org_path,
        orders=_READ_ORDERS.validate_python(row.orders),
        lines=_READ_LINES.validate_python(row.lines),
        terminals=_READ_TERMINALS.validate_python(row.terminals),
    )
