"""What is behind a door: a customer's orders, lines and terminals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.terminals.rules import DueCause, TerminalKind
from app.workorders.rules import State
from app.worktypes.rules import WorkType


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
    """A device booked to a customer, at which line and since when as far as that is known."""

    serial_number: str
    kind: TerminalKind
    model: str
    service_number: str | None
    placed_at: datetime | None


@dataclass(frozen=True)
class DueOfCustomer:
    """A device that the customer has to give back."""

    serial_number: str
    kind: TerminalKind
    cause: DueCause
    due_at: datetime


@dataclass(frozen=True)
class BehindTheDoor:
    """What this house knows of a customer beside the CRM's card."""

    org_path: str
    orders: Sequence[OrderOfCustomer]
    lines: Sequence[LineOfCustomer]
    terminals: Sequence[TerminalOfCustomer]
    due_back: Sequence[DueOfCustomer]


# One statement for all of it, since the card for the door may cost three in all.
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
                SELECT serial_number, kind, model, service_number, placed_at
                FROM terminal WHERE customer_id = customer.id
            ) AS t
        ) AS terminals,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.due_at, d.serial_number), '[]')
            FROM (
                SELECT serial_number, kind, cause, due_at FROM due_back
                WHERE customer_id = customer.id AND state = 'open'
            ) AS d
        ) AS due_back
    FROM customer JOIN org_unit ON org_unit.id = customer.org_unit_id
    WHERE customer.id = :customer_id
    """
)
_READ_ORDERS = TypeAdapter(list[OrderOfCustomer])
_READ_LINES = TypeAdapter(list[LineOfCustomer])
_READ_TERMINALS = TypeAdapter(list[TerminalOfCustomer])
_READ_DUE = TypeAdapter(list[DueOfCustomer])


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
        due_back=_READ_DUE.validate_python(row.due_back),
    )
