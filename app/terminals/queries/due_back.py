"""Reads of what customers have to give back."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.terminals.models import DueBack
from app.terminals.rules import DueCause, DueState, TerminalKind

_ASKED_OF = """
    SELECT d.serial_number, d.state = 'open' AND coalesce(t.pool = 'customer', true)
    FROM due_back d LEFT JOIN terminal t ON t.serial_number = d.serial_number
    WHERE d.work_order_id = %(work_order_id)s ORDER BY d.serial_number
"""


async def asked_of(session: AsyncSession, work_order_id: UUID) -> dict[str, bool]:
    """Read which serial numbers an order is to bring back, and whether each still stands there.

    Empty for an order that is no pick-up.
    """
    rows = await fetched(session, _ASKED_OF, {"work_order_id": work_order_id})
    return dict(rows)


class Owed(NamedTuple):
    """One terminal that a customer has, or had, to give back; moments are UTC."""

    id: UUID
    serial_number: str
    kind: TerminalKind
    cause: DueCause
    since: datetime
    due_at: datetime
    state: DueState
    settled_at: datetime | None
    work_order_id: UUID | None


async def owed_by(session: AsyncSession, customer_id: UUID) -> list[Owed]:
    """List what a customer has to give back and had to, the newest first, at most a hundred."""
    return await _owed(session, DueBack.customer_id == customer_id)


async def owed_for_request(session: AsyncSession, request_id: UUID) -> list[Owed]:
    """List what has become due by another system's request."""
    return await _owed(session, DueBack.request_id == request_id)


async def _owed(session: AsyncSession, condition: ColumnElement[bool]) -> list[Owed]:
    rows = await session.execute(
        select(*(getattr(DueBack, name) for name in Owed._fields))
        .where(condition)
        .order_by(DueBack.since.desc(), DueBack.serial_number)
        .limit(100)
    )
    return [Owed(*row) for row in rows]
