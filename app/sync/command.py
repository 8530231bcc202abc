"""What operators do with sync on the command line."""

import asyncio

from app.auth import audit
from app.core.clock import clock_from
from app.core.db import open_database
from app.core.settings import Settings
from app.sync.service import epochs


def begin_anew(settings: Settings) -> int:
    """Let every phone begin anew; returns the number of the epoch that has begun."""
    return asyncio.run(_begin_anew(settings))


async def _begin_anew(settings: Settings) -> int:
    database = open_database(settings)
    database.before_commit = audit.record
    try:
        async with database.begin() as tx:
            audit.acting(tx, "sync.begin_anew")
            return await epochs.begin_anew(tx, clock_from(settings.clock).now())
    finally:
        await database.close()
