"""Races between two real connections: seeing that one waits for the other."""

import asyncio

from sqlalchemy import text

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


async def at_once(*_: object) -> None:
    """Stand in for a wait before the next try."""
