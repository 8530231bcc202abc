"""Terminals where they are: a caller's, those in a van or in hands, those at a customer's."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import literal_column, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.terminals.models import Terminal
from app.terminals.rules import Pool, TerminalKind


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: str | None = None,
    serial_number: str | None = None,
    technician_id: UUID | None = None,
    customer_id: UUID | None = None,
    kind: TerminalKind | None = None,
    pool: Pool | None = None,
) -> Sequence[Terminal]:
    """Read one page of the caller's terminals by serial number, and one more if there are others.

    `after` is the serial number the page before ended with.
    """
    statement = select(Terminal).where(subtree(Terminal.org_unit_id, caller))
    if after is not None:
        statement = statement.where(Terminal.serial_number > after)
    wanted = {
        Terminal.serial_number: serial_number,
        Terminal.technician_id: technician_id,
        Terminal.customer_id: customer_id,
        Terminal.kind: kind,
        Terminal.pool: pool,
    }
    for column, value in wanted.items():
        if value is not None:
            statement = statement.where(column == value)
    found = await session.scalars(statement.order_by(Terminal.serial_number).limit(size + 1))
    return found.all()


async def in_van(session: AsyncSession, technician_id: UUID) -> Sequence[Terminal]:
    """Read the terminals in a technician's van, by kind and serial number."""
    return await _held(session, technician_id, Pool.VAN)


async def in_hands(session: AsyncSession, technician_id: UUID) -> Sequence[Terminal]:
    """Read what a technician has recovered and not handed in, by kind and serial number."""
    return await _held(session, technician_id, Pool.RECOVERED)


async def _held(session: AsyncSession, technician_id: UUID, pool: Pool) -> Sequence[Terminal]:
    # The pool stands in it as a word, so that the partial indexes will do.
    found = await session.scalars(
        select(Terminal)
        .where(
            Terminal.technician_id == technician_id,
            Terminal.pool == literal_column(f"'{pool.value}'"),
        )
        .order_by(Terminal.kind, Terminal.serial_number)
    )
    return found.all()


async def at_customer(session: AsyncSession, customer_id: UUID) -> Sequence[Terminal]:
    """Read the terminals that stand at a customer's, by kind and serial number."""
    found = await session.scalars(
        select(Terminal)
        .where(Terminal.customer_id == customer_id)
        .order_by(Terminal.kind, Terminal.serial_number)
    )
    return found.all()


async def numbered(session: AsyncSession, serial_number: str, caller: Caller) -> Terminal:
    """Find a terminal of the caller's part by its serial number. Raises NotFound."""
    found = await session.scalar(
        select(Terminal).where(
            Terminal.serial_number == serial_number, subtree(Terminal.org_unit_id, caller)
        )
    )
    if found is None:
        raise NotFound()
    return found
