"""The one way a terminal changes its place: its row is locked, the rules are asked, the place and
a move are written together.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import Rows, driver_connection, fetched, new_id, put
from app.terminals.queries import Held, Made, chain_of, for_change
from app.terminals.rules import Handling, Link, Place, Pool, TerminalKind, Why, moved, undone


@dataclass(frozen=True)
class How:
    """What is written down with a move: why and when, who did it, and what it was done for.

    `at` is the server's time. `batch_id` is the id of the scan, batch, hand-over or count.
    """

    why: Why
    at: datetime
    account_id: UUID | None = None
    technician_id: UUID | None = None
    work_order_id: UUID | None = None
    visit_id: UUID | None = None
    batch_id: UUID | None = None
    device_at: datetime | None = None


class Booking(NamedTuple):
    """One terminal on its way to another place, after the rules have agreed."""

    held: Held
    handling: Handling
    after: Place
    before: Place | None
    undoes_id: UUID | None = None


def booking(held: Held, handling: Handling, after: Place) -> Booking:
    """Ask the rules whether a terminal may go to a place. Raises MoveNotAllowed."""
    moved(held.serial_number, held.place, handling, after)
    return Booking(held, handling, after, held.place)


_BOOK = """
    UPDATE terminal AS t SET pool = b.pool, org_unit_id = b.unit, technician_id = b.technician,
        customer_id = b.customer, service_number = b.line, last_move = b.number,
        placed_at = %(at)s, version = t.version + 1
    FROM unnest(%(ids)s::uuid[], %(pools)s::text[], %(units)s::uuid[], %(technicians)s::uuid[],
        %(customers)s::uuid[], %(lines)s::text[], %(numbers)s::bigint[])
        AS b (id, pool, unit, technician, customer, line, number)
    WHERE t.id = b.id
"""
_MOVE = (
    "id terminal_id number handling why at device_at from_pool from_org_unit_id"
    " from_technician_id from_customer_id from_service_number to_pool to_org_unit_id"
    " to_technician_id to_customer_id to_service_number by_technician_id account_id"
    " work_order_id visit_id batch_id undoes_id"
)


async def book(tx: AsyncSession, bookings: Sequence[Booking], how: How) -> list[Made]:
    """Write places and moves of terminals whose rows are locked, in two messages for them all."""
    if not bookings:
        return []
    # What the moves refer to (a visit, a new order) has to be there before them.
    await tx.flush()
    afters = [one.after for one in bookings]
    driver = await driver_connection(tx)
    await driver.execute(
        _BOOK,
        {
            "at": how.at,
            "ids": [one.held.id for one in bookings],
            "pools": [place.pool.value for place in afters],
            "units": [place.org_unit_id for place in afters],
            "technicians": [place.technician_id for place in afters],
            "customers": [place.customer_id for place in afters],
            "lines": [place.service_number for place in afters],
            "numbers": [one.held.last_move + 1 for one in bookings],
        },
    )
    made = [
        Made(
            new_id(),
            one.held.serial_number,
            Link(one.held.last_move + 1, one.handling, one.before, one.after),
        )
        for one in bookings
    ]
    rows = [
        (
            move.id,
            one.held.id,
            move.link.number,
            one.handling.value,
            how.why.value,
            how.at,
            how.device_at,
            *_written(one.before),
            *_written(one.after),
            how.technician_id,
            how.account_id,
            how.work_order_id,
            how.visit_id,
            how.batch_id,
            one.undoes_id,
        )
        for one, move in zip(bookings, made, strict=True)
    ]
    await put(tx, Rows("terminal_move", _MOVE, rows))
    ids = [one.held.id for one in bookings]
    audit.note(tx, table="terminal", operation="move", ids=ids, columns=("pool",))
    return made


def _written(place: Place | None) -> tuple[object, ...]:
    if place is None:
        return (None,) * 5
    return (
        place.pool.value,
        place.org_unit_id,
        place.technician_id,
        place.customer_id,
        place.service_number,
    )


async def undo(tx: AsyncSession, made: Iterable[Made], how: How) -> list[Made]:
    """Take moves back, each terminal to where it was before.

    Raises MovedSince when one of them was moved again, and nothing is taken back then.
    """
    moves = list(made)
    held = await for_change(tx, [move.serial_number for move in moves])
    bookings = []
    for move in moves:
        terminal = held[move.serial_number]
        chain = await chain_of(tx, terminal.id)
        after = undone(move.serial_number, [one.link for one in chain], move.link.number)
        bookings.append(Booking(terminal, Handling.UNDO, after, terminal.place, move.id))
    return await book(tx, bookings, how)


_TAKE_IN = """
    INSERT INTO terminal (id, serial_number, kind, model, pool, org_unit_id, technician_id)
    VALUES (%(id)s, %(serial)s, %(kind)s, %(model)s, %(pool)s, %(unit)s, %(technician)s)
    ON CONFLICT (serial_number) DO NOTHING RETURNING id
"""


async def take_in(
    tx: AsyncSession,
    serial: str,
    kind: TerminalKind,
    model: str,
    handling: Handling,
    after: Place,
    org_path: str,
    how: How,
) -> Made | None:
    """Write down a terminal that nobody knew, where it was found.

    None when somebody else has written it down meanwhile. Raises MoveNotAllowed.
    """
    moved(serial, None, handling, after)
    terminal_id = new_id()
    given = {
        "id": terminal_id,
        "serial": serial,
        "kind": kind.value,
        "model": model,
        "pool": after.pool.value,
        "unit": after.org_unit_id,
        "technician": after.technician_id,
    }
    rows = await fetched(tx, _TAKE_IN, given)
    if not rows:
        return None
    held = Held(terminal_id, serial, kind, model, after, org_path, 0)
    (made,) = await book(tx, [Booking(held, handling, after, None)], how)
    return made


async def write_off(tx: AsyncSession, serials: Collection[str], how: How) -> list[Made]:
    """Book terminals as lost, wherever they are; unknown serial numbers are left out.

    Raises MoveNotAllowed for what is lost, scrapped or void already.
    """
    held = await for_change(tx, serials)
    return await book(
        tx,
        [
            booking(one, Handling.LOSE, Place(Pool.LOST, one.place.org_unit_id))
            for one in held.values()
        ],
        how,
    )
