"""In which life of the database cursors are made: one that was restored begins another, and so does
one whose standby has taken over."""

import secrets
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.clock import wall
from app.core.db import Database
from app.sync.queries import feed
from app.sync.queries.feed import Epoch
from app.sync.rules.cursor import EPOCHS

# A process asks again after so many seconds whether the database is still the one it was.
KNOWN = 5.0


async def current(database: Database, now: datetime) -> Epoch:
    """Return the epoch of cursors, as known a few seconds ago by this process: another process may
    have begun one since, which each look at the feed tells (see `forget`).

    Where the database is not the one that it was, as after a dump was restored, a new one begins.
    """
    held: tuple[float, Epoch] | None = database.cache.get("sync_epoch")
    if held is not None and wall().timestamp() - held[0] < KNOWN:
        return held[1]
    async with database.begin() as tx:
        known = await feed.epoch_of(tx)
        if known is None or not known.same or known.taken_over:
            audit.acting(tx, "sync.begin_epoch")
            # Two processes that find out at once agree on one.
            await feed.alone(tx)
            known = await _begun(tx, now)
    database.cache["sync_epoch"] = wall().timestamp(), known
    return known


def forget(database: Database) -> None:
    """Ask again the next time: the database has turned out to be in another epoch."""
    database.cache.pop("sync_epoch", None)


async def mind_takeover(tx: AsyncSession, now: datetime) -> None:
    """Begin a new epoch if a standby has taken over, while nobody else does (`feed.alone`): before
    it notes a moment of its own, which would pass for one of the old primary."""
    known = await feed.epoch_of(tx)
    if known is not None and known.same and known.taken_over:
        await feed.go_on(tx, _drawn(known), now)


async def _begun(tx: AsyncSession, now: datetime) -> Epoch:
    await mind_takeover(tx, now)
    known = await feed.epoch_of(tx)
    if known is None or not known.same:
        await feed.begin_epoch(tx, _drawn(known), now)
        known = await feed.epoch_of(tx)
    assert known is not None
    return known


async def begin_anew(tx: AsyncSession, now: datetime) -> int:
    """Begin a new epoch whatever the database is, and return its number: every phone begins anew
    with its next pull, and keeps what it has not sent.

    For an operator who has put the database back to an earlier moment of itself, as by a snapshot
    of its files: nothing in it tells that it is not where it was.
    """
    await feed.alone(tx)
    number = _drawn(await feed.epoch_of(tx))
    await feed.begin_epoch(tx, number, now)
    return number


def _drawn(known: Epoch | None) -> int:
    # A draw and not a count: the same dump can be restored twice. No number that is understood is
    # drawn once more.
    taken = {known.number, *known.before} if known is not None else set[int]()
    return secrets.choice([one for one in range(1, EPOCHS) if one not in taken])
