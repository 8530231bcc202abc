"""Chains of custody: terminals held for a move, and what was moved for an order."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.terminals.rules import Handling, Link, Place, Pool, TerminalKind, Why


class Held(NamedTuple):
    """A terminal and where it is; one that is held for change is moved by nobody else."""

    id: UUID
    serial_number: str
    kind: TerminalKind
    model: str
    place: Place
    org_path: str
    last_move: int


_HELD = """
    SELECT t.id, t.serial_number, t.kind, t.model, t.pool, t.org_unit_id, t.technician_id,
        t.customer_id, t.service_number, u.path, t.last_move
    FROM terminal t JOIN org_unit u ON u.id = t.org_unit_id
    WHERE t.serial_number = ANY(%(serials)s) ORDER BY t.serial_number
"""
_HELD_FOR_CHANGE = _HELD + "FOR UPDATE OF t"
_HELD_BY = _HELD.replace(
    "t.serial_number = ANY(%(serials)s)",
    "t.technician_id = %(technician_id)s AND t.pool IN ('van', 'recovered')",
)


async def for_change(tx: AsyncSession, serials: Collection[str]) -> dict[str, Held]:
    """Lock terminals by serial number, in its order, and tell where they are; unknown ones lack.

    Whoever comes second waits, and then sees where the first has brought them.
    """
    return _held(await fetched(tx, _HELD_FOR_CHANGE, {"serials": sorted(set(serials))}))


async def looked_up(session: AsyncSession, serials: Collection[str]) -> dict[str, Held]:
    """The same without locking them, to tell how things stand."""
    return _held(await fetched(session, _HELD, {"serials": sorted(set(serials))}))


async def held_by(session: AsyncSession, technician_id: UUID) -> dict[str, Held]:
    """Read what a technician has in the van and in their hands, without locking it."""
    return _held(await fetched(session, _HELD_BY, {"technician_id": technician_id}))


def _held(rows: Sequence[tuple[Any, ...]]) -> dict[str, Held]:
    return {
        serial: Held(
            terminal_id,
            serial,
            TerminalKind(kind),
            model,
            Place(Pool(pool), unit, technician, customer, line),
            path,
            last_move,
        )
        for (
            terminal_id,
            serial,
            kind,
            model,
            pool,
            unit,
            technician,
            customer,
            line,
            path,
            last_move,
        ) in rows
    }


class Made(NamedTuple):
    """A move that a scan, a batch, a hand-over or a count has made, with its terminal's number."""

    id: UUID
    serial_number: str
    link: Link


_MADE = """
    SELECT m.id, t.serial_number, m.number, m.handling, m.from_pool, m.from_org_unit_id,
        m.from_technician_id, m.from_customer_id, m.from_service_number, m.to_pool,
        m.to_org_unit_id, m.to_technician_id, m.to_customer_id, m.to_service_number
    FROM terminal_move m JOIN terminal t ON t.id = m.terminal_id
"""
_MADE_BY = _MADE + "WHERE m.batch_id = %(batch_id)s ORDER BY t.serial_number, m.number"
_CHAIN = _MADE + "WHERE t.id = %(terminal_id)s ORDER BY m.number"


async def made_by(session: AsyncSession, batch_id: UUID) -> list[Made]:
    """List the moves of one scan, batch, hand-over or count, by serial number."""
    return _made(await fetched(session, _MADE_BY, {"batch_id": batch_id}))


async def chain_of(session: AsyncSession, terminal_id: UUID) -> list[Made]:
    """List all moves of a terminal, oldest first."""
    return _made(await fetched(session, _CHAIN, {"terminal_id": terminal_id}))


def _made(rows: Sequence[tuple[Any, ...]]) -> list[Made]:
    found = []
    for row in rows:
        move_id, serial, number, handling, *places = row
        before, after = places[:5], places[5:]
        link = Link(
            number,
            Handling(handling),
            Place(Pool(before[0]), *before[1:]) if before[0] else None,
            Place(Pool(after[0]), *after[1:]),
        )
        found.append(Made(move_id, serial, link))
    return found


@dataclass(frozen=True)
class Moved:
    """What has come of an order: serial numbers fitted and taken away, with their kinds."""

    fitted: dict[str, TerminalKind]
    taken: dict[str, TerminalKind]


_MOVED_FOR = """
    SELECT DISTINCT ON (m.terminal_id) t.serial_number, t.kind, m.handling
    FROM terminal_move m JOIN terminal t ON t.id = m.terminal_id
    WHERE m.work_order_id = %(work_order_id)s AND m.handling <> 'undo'
        AND NOT EXISTS (SELECT FROM terminal_move AS back WHERE back.undoes_id = m.id)
    ORDER BY m.terminal_id, m.number DESC
"""


async def moved_for(session: AsyncSession, work_order_id: UUID) -> Moved:
    """Read what was fitted and taken away for an order, in all of its visits; undone is undone.

    What was fitted and then taken away again counts as taken.
    """
    found = Moved({}, {})
    for serial, kind, handling in await fetched(
        session, _MOVED_FOR, {"work_order_id": work_order_id}
    ):
        if handling == Handling.FIT:
            found.fitted[serial] = TerminalKind(kind)
        elif handling in (Handling.TAKE, Handling.TAKE_IN):
            found.taken[serial] = TerminalKind(kind)
    return found


_STANDING = """
    SELECT t.serial_number, t.kind FROM terminal t
    WHERE t.pool = 'customer' AND (
        t.customer_id = %(customer_id)s AND (
            t.service_number IS NULL OR %(service_number)s::text IS NULL
            OR t.service_number = %(service_number)s
        )
        OR t.customer_id IS NULL AND t.service_number = %(service_number)s
    )
    ORDER BY t.serial_number
"""


async def standing_at(
    session: AsyncSession, customer_id: UUID | None, service_number: str | None
) -> dict[str, TerminalKind]:
    """Read what stands at one line of a customer: kinds by serial number.

    A terminal of which the line is not known counts for each line of its customer.
    """
    rows = await fetched(
        session,
        _STANDING,
        {"customer_id": customer_id, "service_number": service_number},
    )
    return {serial: TerminalKind(kind) for serial, kind in rows}


class Names(NamedTuple):
    """What a place is called: the technician who has it, and the org unit in both languages."""

    technician: str | None
    unit_zh: str
    unit_en: str


_NAMES = """
    SELECT t.name, u.name_zh, u.name_en
    FROM org_unit u LEFT JOIN technician t ON t.id = %(technician_id)s
    WHERE u.id = %(org_unit_id)s
"""


async def names_of(session: AsyncSession, place: Place) -> Names:
    """Read what a place is called."""
    given = {"technician_id": place.technician_id, "org_unit_id": place.org_unit_id}
    (row,) = await fetched(session, _NAMES, given)
    return Names(*row)


@dataclass(frozen=True)
class HistoryRow:
    """One move as a supervisor reads it: names of technicians, and customers by their id alone."""

    number: int
    handling: Handling
    why: Why
    at: datetime
    device_at: datetime | None
    from_pool: Pool | None
    from_technician: str | None
    from_customer_id: UUID | None
    to_pool: Pool
    to_org_unit: str
    to_technician: str | None
    to_customer_id: UUID | None
    by_technician: str | None
    by_account: str | None
    work_order_id: UUID | None
    visit_id: UUID | None
    undone: bool


_HISTORY = text(
    """
    SELECT m.number, m.handling, m.why, m.at, m.device_at, m.from_pool, m.to_pool,
        ft.name AS from_technician, m.from_customer_id, u.code AS to_org_unit,
        tt.name AS to_technician, m.to_customer_id, bt.name AS by_technician,
        a.username AS by_account, m.work_order_id, m.visit_id,
        EXISTS (SELECT FROM terminal_move AS back WHERE back.undoes_id = m.id) AS undone
    FROM terminal_move m
    JOIN org_unit u ON u.id = m.to_org_unit_id
    LEFT JOIN technician ft ON ft.id = m.from_technician_id
    LEFT JOIN technician tt ON tt.id = m.to_technician_id
    LEFT JOIN technician bt ON bt.id = m.by_technician_id
    LEFT JOIN account a ON a.id = m.account_id
    WHERE m.terminal_id = :terminal_id AND m.number < :before
    ORDER BY m.number DESC LIMIT :size
    """
)


async def history(
    session: AsyncSession, terminal_id: UUID, *, before: int, size: int
) -> list[HistoryRow]:
    """Read a terminal's moves below a number, the newest first."""
    rows = await session.execute(
        _HISTORY, {"terminal_id": terminal_id, "before": before, "size": size}
    )
    return [
        HistoryRow(
            **{
                **row._mapping,
                "handling": Handling(row.handling),
                "why": Why(row.why),
                "from_pool": Pool(row.from_pool) if row.from_pool else None,
                "to_pool": Pool(row.to_pool),
            }
        )
        for row in rows
    ]
