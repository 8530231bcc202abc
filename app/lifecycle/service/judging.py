"""Telling where customers stand: a slice of all of them, or the few to whom something happened.

Both go through one statement, so that a look at one customer says what the night would say.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import jobs
from app.core.db import driver_connection, fetched, new_id
from app.lifecycle.queries import cards
from app.lifecycle.queries.cards import Version
from app.lifecycle.queries.facts import BETWEEN, THESE, Unit, given, new_services, units
from app.lifecycle.queries.judging import of_card, statement

# So many customers are looked at in one transaction when something has happened to them.
AT_A_TIME = 500


class Told(NamedTuple):
    """What a look at customers brought: rows written, changes found, and warnings among those."""

    customers: int
    written: int
    changes: int
    warnings: int


class Basis(NamedTuple):
    """What a look goes by: the units' days and numbers, the card, and which services are new."""

    now: datetime
    run_id: UUID
    units: list[Unit]
    card: Version | None
    new_services: list[str]


async def basis(
    session: AsyncSession,
    now: datetime,
    run_id: UUID,
    *,
    customers: list[UUID] | None = None,
) -> Basis:
    """Read what a look at all customers, or at some, goes by at a moment."""
    known = await units(session, now, customers=customers)
    # Days differ between zones; a card that begins today does so with the earliest of them.
    today = max((unit.day for unit in known), default=now.date())
    card = await cards.in_force(session, today)
    return Basis(now, run_id, known, card, await new_services(session))


# How many rows come out of a slice's groups is beyond the planner, and a nested loop over what it
# takes for few would go through them once for each customer.
_BY_HASHES = "SET LOCAL enable_nestloop = off"


# So much of an id says when it was made, and that it does: 48 bits and the version.
_MADE_AT = 15


async def _judge(tx: AsyncSession, by: Basis, how: str, *, sampling: bool, **choice: Any) -> Told:
    driver = await driver_connection(tx)
    card = by.card.card if by.card else None
    asked = given(by.units, by.now, **choice) | of_card(card)
    asked |= {
        "run_id": by.run_id,
        "made_at": str(new_id())[:_MADE_AT],
        "card_version": by.card.version if by.card else None,
        "new_services": by.new_services,
        "sampling": sampling,
    }
    await driver.execute(_BY_HASHES)
    row = await (await driver.execute(statement(how, card), asked)).fetchone()
    await driver.execute("SET LOCAL enable_nestloop = DEFAULT")
    assert row is not None
    told = Told(*row)
    if told.written:
        audit.note(tx, table="customer_lifecycle", operation="compute", count=told.written)
    return told


# A slice of a run does not meet a look at one customer: both would write down the same change.
_SLICE = text(
    "SELECT pg_advisory_xact_lock_shared(hashtextextended('lifecycle', 0)),"
    " set_config('statement_timeout', '0', true), set_config('work_mem', '64MB', true)"
)
_ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended('lifecycle', 0))")


async def judge_slice(tx: AsyncSession, by: Basis, after: UUID, upto: UUID) -> Told:
    """Tell where the customers stand whose ids follow one id up to another."""
    await tx.execute(_SLICE)
    return await _judge(tx, by, BETWEEN, sampling=True, after=after, upto=upto)


async def judge_some(tx: AsyncSession, customer_ids: Collection[UUID], now: datetime) -> Told:
    """Tell where some customers stand; whoever ought to hear of it is told by an event."""
    ids = sorted(customer_ids)
    await tx.flush()
    await tx.execute(_ALONE)
    by = await basis(tx, now, new_id(), customers=ids)
    told = await _judge(tx, by, THESE, sampling=False, ids=ids)
    if told.warnings:
        await jobs.tell(tx, "lifecycle.warned", run_id=by.run_id)
    return told


# --- customers to whom something has happened -----------------------------------------------------

_TAKE = """
    DELETE FROM lifecycle_due WHERE customer_id IN (
        SELECT customer_id FROM lifecycle_due ORDER BY customer_id LIMIT %(most)s
        FOR UPDATE SKIP LOCKED
    ) RETURNING customer_id
"""


# Who was never looked at waits for the night.
_WAIT = """
    INSERT INTO lifecycle_due (customer_id)
    SELECT customer_id FROM customer_lifecycle WHERE customer_id = ANY(%(ids)s) ORDER BY customer_id
    ON CONFLICT DO NOTHING RETURNING 1
"""


async def look_soon(tx: AsyncSession, customer_ids: Collection[UUID]) -> None:
    """Have customers looked at by a worker, because something has happened to them."""
    if customer_ids and await fetched(tx, _WAIT, {"ids": list(customer_ids)}):
        await jobs.tell(tx, "lifecycle.due")


async def take_due(tx: AsyncSession, now: datetime) -> int:
    """Look at some of those who wait for it; tells how many that were."""
    ids = [each for (each,) in await fetched(tx, _TAKE, {"most": AT_A_TIME})]
    if ids:
        await judge_some(tx, ids, now)
    return len(ids)
