"""Pulling: what has changed for a technician's phone since its cursor, in one snapshot."""

import hashlib
from collections.abc import Iterable
from datetime import datetime

import orjson
from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core.colliding import TRIES
from app.core.db import Database, fetched_together
from app.core.errors import Problem, Unavailable
from app.devices.queries import asking_for_wipe, wipe_in
from app.devices.service import refuse
from app.sync import rules
from app.sync.queries import feed
from app.sync.queries.feed import Epoch, Feed, News
from app.sync.rules import Cursor
from app.sync.service import epochs
from app.sync.service.reading import Asked, Changes, begun


def _too_old(asked: Asked) -> Problem | None:
    if asked.turned_away is not None:
        return asked.turned_away
    if asked.schema_version < rules.OLDEST_SCHEMA:
        return rules.PhoneTooOld(schema_version=asked.schema_version, oldest=rules.OLDEST_SCHEMA)
    return None


def tag_of(epoch_number: int, xid: int, news: Iterable[News]) -> str:
    """Name what a phone knows that has been told everything before `xid`, and these lines.

    A transaction that took longer than others can keep the cursor back for a while, and what was
    written since then is told again and again; the tag says that the phone has it already. It is
    a weak tag, since it says nothing of the bytes, packed or not.
    """
    known = orjson.dumps([[one.kind, one.row_id, one.xid] for one in news if one.xid >= xid])
    digest = hashlib.blake2b(b"%d:%d:" % (epoch_number, xid) + known, digest_size=12)
    return f'W/"{digest.hexdigest()}"'


def _understood(cursor: Cursor, epoch: Epoch, found: Feed) -> None:
    if cursor == rules.cursor_of(rules.NO_CURSOR):
        return
    before = epoch.before.get(cursor.epoch)
    if cursor.epoch != epoch.number and before is None:
        raise rules.ResyncNeeded(reason="the database was restored")
    if cursor.xid < found.oldest:
        raise rules.ResyncNeeded(reason="away for too long")
    if cursor.xid > (found.horizon if before is None else before.until):
        raise rules.ResyncNeeded(reason="the cursor is ahead of the database")


def _goes_on_from(cursor: Cursor, epoch: Epoch) -> int:
    """Say from which transaction on a phone is told; what it has already does no harm."""
    before = epoch.before.get(cursor.epoch)
    return cursor.xid if before is None else min(cursor.xid, before.since)


async def pull(
    request: Request, caller: Caller, asked: Asked, *, known: str | None, now: datetime
) -> Changes | None:
    """Read what has changed since a phone's cursor, in one snapshot; everything without one. None
    where the phone has all of it, by the tag `known` that its last answer had.

    Each customer that is sent in full leaves an entry in the audit trail. Raises PhoneTooOld,
    AppTooOld, AccessRevoked, ResyncNeeded and WipeAsked, and Unavailable.
    """
    database: Database = request.app.state.database
    for _ in range(TRIES):
        epoch = await epochs.current(database, now)
        async with database.snapshot(request) as tx:
            found = await _found(tx, caller, asked, epoch)
            if found is not None:
                if known is not None and _nothing_new(asked, epoch, found, known):
                    return None
                return await _pulled(tx, caller, asked, epoch, found, now)
        epochs.forget(database)
    raise Unavailable(retry_after=2, reason="one epoch after the other")


async def _found(tx: AsyncSession, caller: Caller, asked: Asked, epoch: Epoch) -> Feed | None:
    """Look in a transaction where to look, and whether the phone may; None where that is in another
    epoch."""
    cursor = rules.cursor_of(asked.cursor)
    # A phone that begins anew needs no lines, only to know where it stands.
    since = 2**62 if asked.cursor == rules.NO_CURSOR else _goes_on_from(cursor, epoch)
    lines = feed.lines(technician_of(caller), caller.account_id, since)
    rows, wipes = await fetched_together(tx, lines, asking_for_wipe(caller, asked.device))
    found = await feed.feed_of(tx, rows, lines)
    if found.epoch != epoch.number:
        return None
    # What is to be removed is told first, also to a phone that is told nothing else any more.
    if not found.active:
        raise rules.AccessRevoked(needs="an open account")
    refuse(wipe_in(wipes))
    if (too_old := _too_old(asked)) is not None:
        raise too_old
    _understood(cursor, epoch, found)
    return found


def _nothing_new(asked: Asked, epoch: Epoch, found: Feed, known: str) -> bool:
    if asked.cursor == rules.NO_CURSOR or asked.migration.afresh or found.more:
        return False
    cursor = rules.cursor_of(asked.cursor)
    return tag_of(epoch.number, cursor.xid, found.news) in known


async def _pulled(
    tx: AsyncSession, caller: Caller, asked: Asked, epoch: Epoch, found: Feed, now: datetime
) -> Changes:
    # What leaves by time is told once, by the worker's clock. Where that is ahead of ours, what has
    # left would be found to be there still, and stay on the phone for good.
    reading = await begun(tx, caller, asked, max(now, found.turned_at or now))
    fresh = asked.cursor == rules.NO_CURSOR
    changes = await (reading.whole(reading.tables) if fresh else reading.changed(found.news))
    if not fresh and (afresh := asked.migration.afresh & reading.tables.keys()):
        # What has left the phone since is told besides: it only writes over what it is sent.
        changes.tables |= (await reading.whole(afresh)).tables
    reading.audit(changes)
    upto = found.horizon
    if found.more:
        upto = min(upto, found.news[-1].xid + 1)
    # A phone that began anew may be told once more what was written while it was read.
    changes.more = found.more and upto > _goes_on_from(rules.cursor_of(asked.cursor), epoch)
    changes.cursor = Cursor(epoch.number, upto).number
    changes.tag = tag_of(epoch.number, upto, found.news)
    for name, unknown in reading.tables.items():
        for row in changes.tables.get(name, ()) if unknown else ():
            for column in unknown:
                row.pop(column, None)
    return changes


def written(changes: Changes) -> bytes:
    """Write an answer in the shape of WatermelonDB's protocol. Everything that is there comes as
    updated: as created it would revive on the phone what its user has deleted there meanwhile."""
    names = changes.tables.keys() | changes.deleted.keys()
    return orjson.dumps(
        {
            "changes": {
                name: {
                    "created": [],
                    "updated": changes.tables.get(name, []),
                    "deleted": sorted(map(str, changes.deleted.get(name, ()))),
                }
                for name in sorted(names)
            },
            "timestamp": changes.cursor,
            "has_more": changes.more,
            "schema_version": rules.SCHEMA_VERSION,
            "offline_hours": changes.offline_hours,
        }
    )
