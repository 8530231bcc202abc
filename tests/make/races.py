"""Races between two real connections: seeing that one waits for the other."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Database

_WAITING = text(
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)

# A word of PostgreSQL's, said by the database itself.
COLLIDES = text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40P01'; END $$")


async def until_waiting(database: Database, *, number: int = 1, seconds: float = 60) -> None:
    """Return when so many connections to the database wait for a lock that another one holds."""
    give_up = asyncio.get_running_loop().time() + seconds
    async with database.read() as session:
        while await session.scalar(_WAITING) < number:
            assert asyncio.get_running_loop().time() < give_up, "nobody waits for the other"
            await asyncio.sleep(0.01)


async def last_to_see_a_deadlock(session: AsyncSession) -> None:
    """Let the other side be undone when this transaction and another wait for each other.

    PostgreSQL undoes whoever looks first, a second after it began to wait; it looks only once. So
    the other side must be the one that closes the ring, however slow the machine is.
    """
    await session.execute(text("SET LOCAL deadlock_timeout = '1min'"))


async def at_once(*_: object) -> None:
    """Stand in for a wait before the next try."""
