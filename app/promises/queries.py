"""Reads of promise rules."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import database_of
from app.promises.models import PromiseRule
from app.promises.rules import Promise

# Promises change rarely; a change is in force everywhere after so many seconds.
STALE_AFTER_SECONDS = 5.0


async def promises(session: AsyncSession) -> list[Promise]:
    """Return the dated promise rules, read at most a few seconds ago by this process."""
    held: tuple[datetime, list[Promise]] | None = database_of(session).cache.get("promises.rules")
    if held is not None and (wall() - held[0]).total_seconds() < STALE_AFTER_SECONDS:
        return held[1]
    rows = await session.execute(select(*(getattr(PromiseRule, name) for name in Promise._fields)))
    read = [Promise(*row) for row in rows]
    database_of(session).cache["promises.rules"] = (wall(), read)
    return read
