"""In which life of the database cursors are made: one that was restored begins another."""

import secrets
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.clock import wall
from app.core.db import Database
from app.sync.queries import feed
from app.sync.rules.cursor import EPOCHS

# A process asks again after so many seconds whether the database is still the one it was.
KNOWN = 5.0


async def current(database: Database, now: datetime) -> int:
    """Return the epoch of cursors, as known a few seconds ago by this process.

    Where the database is not the one that it was, as after a dump was restored, a new one begins.
    """
    held: tuple[float, int] | None = database.cache.get("sync_epoch")
    if held is not None and wall().timestamp() - held[0] < KNOWN:
        return held[1]
    async with database.read() as read:
        known = await feed.epoch_of(read)
    if known is None or not known.same:
        known = await _begin(database, now)
    database.cache["sync_epoch"] = wall().timestamp(), known.number
    return known.number


async def begin_anew(tx: AsyncSession, now: datetime) -> int:
    """Begin a new epoch whatever the database is, and return its number: every phone begins anew
    with its next pull, and keeps what it has not sent.

    For an operator who has put the database back to an earlier moment of itself, as by a snapshot
    of its files: nothing in it tells that it is not where it was.
    """
    await feed.alone(tx)
    return await _draw(tx, await feed.epoch_of(tx), now)


async def _begin(database: Database, now: datetime) -> feed.Epoch:
    async with database.begin() as tx:
        audit.acting(tx, "sync.begin_epoch")
        # Two processes that find out at once agree on one.
        await feed.alone(tx)
        known = await feed.epoch_of(tx)
        if known is not None and known.same:
            return known
        return feed.Epoch(await _draw(tx, known, now), same=True)


async def _draw(tx: AsyncSession, known: feed.Epoch | None, now: datetime) -> int:
    # A draw and not a count: the same dump can be restored twice.
    before = known.number if known is not None else 0
    number = 1 + secrets.randbelow(EPOCHS - 2)
    number += number >= before > 0
    await feed.begin_epoch(tx, number, now)
    return number
