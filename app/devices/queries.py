"""Reads and set-based writes of phones."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.auth.models import Account
from app.auth.rules import ToEmpty
from app.core.db import Ask, fetched, new_id
from app.core.errors import NotFound
from app.devices.models import OPEN, Device, DeviceWipe
from app.devices.rules import UNNAMED, PushProvider, PushWhy, Wipe


def _elsewhere(account_id: str, session_id: str, name: str) -> str:
    """Write whether a sign-in belongs to another phone of the account: the one that it was first
    heard with. Whoever calls themselves like another phone does not become it by that; without a
    name phones are not told apart."""
    return f"""
        EXISTS (SELECT FROM device AS other WHERE other.account_id = {account_id}
            AND other.session_id = {session_id} AND other.name <> {name}
            AND '{UNNAMED}' NOT IN (other.name, {name}))
    """


# An older word of a phone does not undo a newer one, whichever process writes first: ids of
# sign-ins are in the order of time.
_HEARD = f"""
    last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at),
    session_id = CASE WHEN {_elsewhere("d.account_id", "excluded.session_id", "d.name")}
        THEN d.session_id ELSE greatest(d.session_id, excluded.session_id) END
"""
_SEEN = f"""
    INSERT INTO device AS d (id, account_id, name, session_id, last_seen_at)
    SELECT one.id, one.account_id, one.name, one.session_id, one.at
    FROM unnest(%(ids)s::uuid[], %(accounts)s::uuid[], %(names)s::text[], %(times)s::timestamptz[],
        %(sessions)s::uuid[]) AS one (id, account_id, name, at, session_id)
    JOIN account AS a ON a.id = one.account_id
    ON CONFLICT (account_id, name) DO UPDATE SET {_HEARD}
    RETURNING d.id
"""  # noqa: S608 - text of our own


async def note_seen(
    tx: AsyncSession, heard: Sequence[tuple[UUID, str, datetime, UUID | None]]
) -> list[UUID]:
    """Write down phones that were heard of: (account, name, when, sign-in) each; give their ids.

    An account that is not there any more is passed over.
    """
    given = {
        "ids": [new_id() for _ in heard],
        "accounts": [one[0] for one in heard],
        "names": [one[1] for one in heard],
        "times": [one[2] for one in heard],
        "sessions": [one[3] for one in heard],
    }
    return [row[0] for row in await fetched(tx, _SEEN, given)]


# Whether `d` is the phone that asks: by its sign-in, whatever it calls itself, or by its name where
# the sign-in belongs to no other phone.
_THE_CALLERS = f"""
    d.account_id = %(account_id)s AND (
        d.session_id = %(session_id)s OR (
            d.name = %(name)s
            AND NOT {_elsewhere("d.account_id", "%(session_id)s", "d.name")}
        )
    )
"""
_WIPE = f"""
    SELECT w.id, w.asked_at, w.confirmed_at FROM device AS d
    JOIN device_wipe AS w ON w.device_id = d.id AND w.withdrawn_at IS NULL
        AND (w.confirmed_at IS NULL OR w.session_id = %(session_id)s)
    WHERE {_THE_CALLERS}
    ORDER BY w.asked_at DESC LIMIT 1
"""  # noqa: S608 - text of our own


def asking_for_wipe(caller: Caller, name: str | None) -> Ask:
    """Ask for the wipe that a phone has to obey or has obeyed with this sign-in.

    Without a name the phone is known by its sign-in alone.
    """
    given = {"account_id": caller.account_id, "session_id": caller.session_id, "name": name}
    return Ask(_WIPE, given)


def wipe_in(rows: Sequence[tuple[Any, ...]]) -> Wipe | None:
    """Read what `asking_for_wipe` has found: the wipe, if there is one."""
    return Wipe._make(rows[0]) if rows else None


async def wipe_of(tx: AsyncSession, caller: Caller, name: str | None) -> Wipe | None:
    """Return the wipe that a phone has to obey or has obeyed with this sign-in, if there is one."""
    return wipe_in(await fetched(tx, *asking_for_wipe(caller, name)))


async def to_empty(tx: AsyncSession, caller: Caller, name: str | None) -> ToEmpty | None:
    """Return the wipe that the phone of a sign-in has to obey, if there is one; a phone that does
    not say what it calls itself is known by the sign-in alone."""
    wipe = await wipe_of(tx, caller, name)
    return ToEmpty(wipe.id, wipe.asked_at) if wipe and wipe.confirmed_at is None else None


class DeviceRow(NamedTuple):
    """A phone as supervisors see it."""

    id: UUID
    account_id: UUID
    username: str
    technician_id: UUID | None
    technician_code: str | None
    technician_name: str | None
    name: str
    platform: str | None
    app_version: str | None
    push_provider: PushProvider | None
    last_seen_at: datetime
    streaming: bool
    wipe_id: UUID | None
    wipe_asked_at: datetime | None
    wipe_reason: str | None
    wipe_confirmed_at: datetime | None
    wipe_withdrawn_at: datetime | None
    wipe_unsent: int | None


_STREAMING = """
    EXISTS (SELECT FROM device_stream AS s JOIN stream_process AS p ON p.id = s.process_id
            WHERE s.device_id = d.id AND p.alive_until > clock_timestamp())
"""
_PAGE = f"""
    SELECT d.id, a.id, a.username, t.id, t.code, t.name, d.name, d.platform, d.app_version,
        d.push_provider, d.last_seen_at, {_STREAMING}, w.id, w.asked_at, w.reason, w.confirmed_at,
        w.withdrawn_at, w.unsent
    FROM device AS d JOIN account AS a ON a.id = d.account_id
    JOIN org_unit AS u ON u.id = a.org_unit_id
    LEFT JOIN technician AS t ON t.id = a.technician_id
    LEFT JOIN LATERAL (
        SELECT * FROM device_wipe WHERE device_id = d.id ORDER BY asked_at DESC LIMIT 1
    ) AS w ON true
    WHERE starts_with(u.path, %(path)s) AND d.id > %(after)s
        AND (%(device)s::uuid IS NULL OR d.id = %(device)s)
        AND (%(technician)s::uuid IS NULL OR a.technician_id = %(technician)s)
    ORDER BY d.id LIMIT %(most)s
"""  # noqa: S608 - text of our own


async def page(
    read: AsyncSession,
    *,
    org_path: str,
    size: int,
    after: UUID | None = None,
    technician_id: UUID | None = None,
    device_id: UUID | None = None,
) -> list[DeviceRow]:
    """List phones of a subtree by when they were first heard of, one more than a page has."""
    given = {
        "path": org_path,
        "after": after or UUID(int=0),
        "technician": technician_id,
        "device": device_id,
        "most": size + 1,
    }
    return [DeviceRow._make(row) for row in await fetched(read, _PAGE, given)]


async def device_within(tx: AsyncSession, caller: Caller, device_id: UUID) -> Device:
    """Return a phone of the caller's subtree, held for a change. Raises NotFound."""
    device = await tx.scalar(
        select(Device)
        .join(Account, Account.id == Device.account_id)
        .where(Device.id == device_id, subtree(Account.org_unit_id, caller))
        .with_for_update(of=Device)
    )
    if device is None:
        raise NotFound()
    return device


async def devices_of(tx: AsyncSession, caller: Caller, account_id: UUID) -> Sequence[Device]:
    """Return all phones of an account of the caller's subtree, held for a change; there may be
    none. Raises NotFound for an account outside of it."""
    known = await tx.scalar(
        select(Account.id).where(Account.id == account_id, subtree(Account.org_unit_id, caller))
    )
    if known is None:
        raise NotFound()
    found = await tx.scalars(
        select(Device).where(Device.account_id == account_id).order_by(Device.id).with_for_update()
    )
    return found.all()


async def open_wipe(tx: AsyncSession, device_id: UUID) -> DeviceWipe | None:
    """Return the wipe of a phone that is asked for and not over, held for a change."""
    return await tx.scalar(
        select(DeviceWipe).where(DeviceWipe.device_id == device_id, OPEN).with_for_update()
    )


async def last_wipe(tx: AsyncSession, device_id: UUID) -> DeviceWipe:
    """Return the wipe of a phone that was asked for last. Raises NotFound."""
    wipe = await tx.scalar(
        select(DeviceWipe)
        .where(DeviceWipe.device_id == device_id)
        .order_by(DeviceWipe.asked_at.desc())
        .limit(1)
    )
    if wipe is None:
        raise NotFound()
    return wipe


async def wipe_for_change(tx: AsyncSession, caller: Caller, name: str, wipe_id: UUID) -> DeviceWipe:
    """Return a wipe of the very phone that asks, held for a change. Raises NotFound, also for a
    wipe of another phone of the same account."""
    given = {
        "account_id": caller.account_id,
        "session_id": caller.session_id,
        "name": name,
        "wipe_id": wipe_id,
    }
    mine = await fetched(tx, _MINE, given)
    wipe = await tx.get(DeviceWipe, wipe_id, with_for_update=True) if mine else None
    if wipe is None:
        raise NotFound()
    return wipe


_MINE = f"""
    SELECT 1 FROM device_wipe AS w JOIN device AS d ON d.id = w.device_id
    WHERE w.id = %(wipe_id)s AND {_THE_CALLERS}
"""  # noqa: S608 - text of our own


# --- streams ------------------------------------------------------------------------------------


async def open_stream(
    driver: psycopg.AsyncConnection[Any],
    *,
    process_id: UUID,
    stream_id: UUID,
    caller: Caller,
    name: str,
    now: datetime,
    alive: float,
) -> tuple[UUID, Wipe | None] | None:
    """Note that a phone has a stream in a process that lives for so many seconds more; give the
    phone's id and the wipe it has to obey, or None for an account that is not open.

    What it should have been woken for, the stream tells it.
    """
    cursor = driver.cursor(binary=True)
    await cursor.execute(
        _OPEN_STREAM,
        {
            "id": new_id(),
            "process_id": process_id,
            "stream_id": stream_id,
            "account_id": caller.account_id,
            "session_id": caller.session_id,
            "name": name,
            "now": now,
            "alive": alive,
        },
    )
    row = await cursor.fetchone()
    if row is None:
        return None
    device_id, *wipe = row
    return device_id, Wipe._make(wipe) if wipe[0] is not None else None


_OPEN_STREAM = f"""
    WITH mine AS (
        INSERT INTO device AS d (id, account_id, name, session_id, last_seen_at)
        SELECT %(id)s, a.id, %(name)s, %(session_id)s, %(now)s
        FROM account AS a WHERE a.id = %(account_id)s AND a.active
        ON CONFLICT (account_id, name) DO UPDATE SET {_HEARD}, news_at = NULL
        RETURNING id
    ), process AS (
        INSERT INTO stream_process (id, alive_until)
        VALUES (%(process_id)s, clock_timestamp() + make_interval(secs => %(alive)s))
        ON CONFLICT (id) DO NOTHING
    ), opened AS (
        INSERT INTO device_stream (device_id, process_id, stream_id)
        SELECT id, %(process_id)s, %(stream_id)s FROM mine
        ON CONFLICT (device_id) DO UPDATE
        SET process_id = excluded.process_id, stream_id = excluded.stream_id
        RETURNING device_id
    )
    SELECT opened.device_id, wipe.* FROM opened LEFT JOIN ({_WIPE}) AS wipe ON true
"""  # noqa: S608 - text of our own


async def close_streams(tx: AsyncSession, stream_ids: Collection[UUID]) -> None:
    """Note that streams have ended, but for phones that have begun another one since."""
    await fetched(
        tx,
        "DELETE FROM device_stream WHERE stream_id = ANY(%(ids)s) RETURNING 1",
        {"ids": list(stream_ids)},
    )


class StreamState(NamedTuple):
    """What is to be known of an open stream: whether its account and sign-in are still good, and
    the wipe its phone has to obey."""

    stream_id: UUID
    good: bool
    wipe_id: UUID | None


async def streams_of(
    tx: AsyncSession, process_id: UUID, *, alive: float, wall_now: datetime
) -> list[StreamState]:
    """Say that a process is alive for so many seconds more, and read how its streams stand.

    A stream that is missing has gone to another process. Processes that died are forgotten.
    """
    given = {"process_id": process_id, "alive": alive, "now": wall_now}
    await fetched(tx, _ALIVE, given)
    return [StreamState._make(row) for row in await fetched(tx, _STREAMS, given)]


_ALIVE = """
    WITH dead AS (
        DELETE FROM stream_process
        WHERE alive_until < clock_timestamp() - interval '1 minute' AND id <> %(process_id)s
        RETURNING id
    ), gone AS (
        DELETE FROM device_stream WHERE process_id IN (SELECT id FROM dead)
    )
    INSERT INTO stream_process (id, alive_until)
    VALUES (%(process_id)s, clock_timestamp() + make_interval(secs => %(alive)s))
    ON CONFLICT (id) DO UPDATE SET alive_until = excluded.alive_until
    RETURNING 1
"""
_STREAMS = """
    SELECT s.stream_id, a.active AND (d.session_id IS NULL OR EXISTS (
            SELECT FROM refresh_token AS r WHERE r.family_id = d.session_id
                AND r.revoked_at IS NULL AND r.expires_at > %(now)s
        )), w.id
    FROM device_stream AS s JOIN device AS d ON d.id = s.device_id
    JOIN account AS a ON a.id = d.account_id
    LEFT JOIN device_wipe AS w ON w.device_id = d.id
        AND w.confirmed_at IS NULL AND w.withdrawn_at IS NULL
    WHERE s.process_id = %(process_id)s
"""


# --- pushes -------------------------------------------------------------------------------------


# A phone that somebody has taken to wake it (`push_tries` is above 0) may have been woken before
# what is new now: it is marked anew, and `settle` lets that stand. One that nobody has taken yet
# keeps its place among those that wait.
_UNTOLD = "(d.news_at IS NULL OR d.push_tries > 0)"


async def mark_news(tx: AsyncSession, technicians: Collection[UUID]) -> int:
    """Note that phones of technicians should be woken, where they can be and no stream is open;
    returns how many are to be woken that were not before, or are being woken already."""
    rows = await fetched(tx, _NEWS, {"technicians": list(technicians)})
    return len(rows)


_NEWS = f"""
    UPDATE device AS d SET news_at = clock_timestamp(), push_tries = 0
    FROM account AS a
    WHERE a.id = d.account_id AND a.active AND a.technician_id = ANY(%(technicians)s)
        AND d.push_token IS NOT NULL AND {_UNTOLD} AND NOT {_STREAMING}
    RETURNING 1
"""  # noqa: S608 - text of our own


async def mark_wipe(tx: AsyncSession, device_id: UUID) -> None:
    """Note that a phone should be woken at once, since it is to be emptied."""
    await fetched(
        tx,
        """
        UPDATE device SET news_at = clock_timestamp(), push_at = NULL, push_tries = 0
        WHERE id = %(id)s AND push_token IS NOT NULL RETURNING 1
        """,
        {"id": device_id},
    )


async def mark_alert(tx: AsyncSession, org_path: str, levels: int) -> None:
    """Note that supervisors' phones should be woken: those of a unit, and of so many above it."""
    await fetched(tx, _MARK_ALERT, {"path": org_path, "levels": levels})


# Every unit's path ends with a dot, so that dots count levels.
_MARK_ALERT = f"""
    UPDATE device AS d SET news_at = clock_timestamp(), push_tries = 0
    FROM account AS a JOIN org_unit AS u ON u.id = a.org_unit_id
    WHERE a.id = d.account_id AND a.active AND a.role = 'supervisor' AND d.push_token IS NOT NULL
        AND {_UNTOLD}
        AND starts_with(%(path)s::text, u.path)
        AND regexp_count(%(path)s::text, '[.]') - regexp_count(u.path, '[.]') <= %(levels)s
    RETURNING 1
"""  # noqa: S608 - text of our own


class Due(NamedTuple):
    """A phone that is to be woken now: how often that was tried, what for, and since when."""

    id: UUID
    provider: PushProvider
    token: str
    tries: int
    why: PushWhy
    news_at: datetime


async def due(tx: AsyncSession, *, most: int, again: float) -> list[Due]:
    """Take up to so many phones that are to be woken now, each for one worker.

    Whoever takes one has `again` seconds for it, and it is not woken anew before that.
    """
    return [
        Due(row[0], PushProvider(row[1]), row[2], row[3], PushWhy(row[4]), row[5])
        for row in await fetched(tx, _DUE, {"most": most, "again": again})
    ]


# Materialized: a plan may run a subquery once for each row, and each run finds as many again.
_DUE = """
    WITH taken AS MATERIALIZED (
        SELECT id FROM device
        WHERE news_at IS NOT NULL AND push_token IS NOT NULL
            AND (push_at IS NULL OR push_at <= clock_timestamp())
        ORDER BY news_at LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    UPDATE device AS d SET push_at = clock_timestamp() + make_interval(secs => %(again)s),
        push_tries = d.push_tries + 1
    FROM taken
    WHERE d.id = taken.id
    RETURNING d.id, d.push_provider, d.push_token, d.push_tries, CASE
        WHEN EXISTS (
            SELECT FROM device_wipe AS w WHERE w.device_id = d.id
                AND w.confirmed_at IS NULL AND w.withdrawn_at IS NULL) THEN 'wipe'
        WHEN EXISTS (
            SELECT FROM account AS a WHERE a.id = d.account_id AND a.role = 'supervisor')
        THEN 'alert' ELSE 'news' END, d.news_at
"""


async def settle(
    tx: AsyncSession, one: Due, *, done: bool, forget_token: bool, again: float
) -> None:
    """Write down how waking a phone went; when it is done it rests for `again` seconds, and when it
    is not it is tried again after them. A token that opens nothing any more is forgotten.

    What is new since the phone was taken is left, and wakes it after the rest; a wipe at once.
    """
    await fetched(
        tx,
        _SETTLE,
        {
            "id": one.id,
            "token": one.token,
            "news_at": one.news_at,
            "done": done,
            "forget": forget_token,
            "again": again,
        },
    )


# The phone may have registered another token meanwhile, which is not to be forgotten and was not
# woken; and a wipe that was asked for meanwhile has taken the moment away before which it rests.
_FORGET = "(%(forget)s AND push_token = %(token)s)"
_SETTLE = f"""
    UPDATE device SET
        news_at = CASE
            WHEN NOT ({_FORGET} OR (%(done)s AND news_at = %(news_at)s)) THEN news_at END,
        push_at = CASE
            WHEN push_at IS NOT NULL THEN clock_timestamp() + make_interval(secs => %(again)s) END,
        push_token = CASE WHEN NOT {_FORGET} THEN push_token END
    WHERE id = %(id)s RETURNING 1
"""  # noqa: S608 - text of our own
