"""The feed: what may have changed for a technician since a cursor, read in one snapshot."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import psycopg
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import PLANNED_ONCE, Ask, fetched
from app.sync.rules import Kind
from app.sync.rules.tables import EVERYBODY


class News(NamedTuple):
    """A line of the feed."""

    kind: Kind
    row_id: UUID
    xid: int


class Feed(NamedTuple):
    """What may have changed since a cursor.

    Whatever a transaction before `horizon` wrote is seen in this snapshot, and nothing before
    `oldest` is remembered; `epoch` is the number of the epoch they are of, 0 before the first.
    `turned_at` is up to when it is written down what has left phones, by the clock of whoever wrote
    it; None before that was done. `active` tells whether the account is still open. `more` says
    that further lines follow.
    """

    epoch: int
    horizon: int
    oldest: int
    turned_at: datetime | None
    active: bool
    news: Sequence[News]
    more: bool


# So many lines a page; a phone that was away for long asks several times.
PAGE = 500

# The last transaction whose lines can be seen, the own one too. Lines beyond it were written in an
# earlier life of the database, whose numbers were larger.
_LAST = """
    greatest(pg_snapshot_xmax(pg_current_snapshot())::text::bigint - 1,
        coalesce(pg_current_xact_id_if_assigned()::text::bigint, 0))
"""

# One statement, so that the lines and the horizon are of one snapshot whatever the transaction is.
# The first line that is left out tells that there are more, and where the next page begins.
_FEED = f"""
    SELECT state.epoch, state.horizon, state.oldest, state.turned_at, state.active,
        news.kind, news.row_id, news.xid
    FROM (
        SELECT coalesce((SELECT epoch FROM sync_epoch), 0) AS epoch,
            pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon, {_LAST} AS last,
            coalesce((SELECT min(xid) FROM sync_moment), 0) AS oldest,
            (SELECT at FROM sync_moment ORDER BY xid DESC LIMIT 1) AS turned_at,
            coalesce((SELECT active FROM account WHERE id = %(account_id)s), false) AS active,
            {PLANNED_ONCE}
    ) AS state
    LEFT JOIN LATERAL (
        (SELECT kind, row_id, xid FROM sync_row
         WHERE technician_id = %(technician_id)s AND xid BETWEEN %(since)s AND state.last
         ORDER BY xid LIMIT %(most)s)
        UNION ALL
        (SELECT kind, row_id, xid FROM sync_row
         WHERE technician_id = %(everybody)s AND xid BETWEEN %(since)s AND state.last
         ORDER BY xid LIMIT %(most)s)
    ) AS news ON true
    ORDER BY news.xid, news.kind, news.row_id
"""  # noqa: S608 - text of our own


def lines(technician_id: UUID, account_id: UUID, since: int) -> Ask:
    """Ask for the feed; `feed_of` reads it."""
    return Ask(
        _FEED,
        {
            "technician_id": technician_id,
            "account_id": account_id,
            "everybody": EVERYBODY,
            "since": since,
            "most": PAGE + 1,
        },
    )


def _read(rows: Sequence[tuple[Any, ...]]) -> Feed:
    epoch, horizon, oldest, turned_at, active = rows[0][:5]
    news = [News(Kind(kind), row_id, xid) for *_, kind, row_id, xid in rows if kind is not None]
    return Feed(epoch, horizon, oldest, turned_at, active, _page(news), len(news) > PAGE)


def _page(news: list[News]) -> list[News]:
    """Cut a page; what one transaction wrote stays together, or a page could end where it began.

    Of a transaction that wrote more than a page the lines that were read may not be all.
    """
    if len(news) <= PAGE:
        return news
    first, next_page = news[0].xid, news[PAGE].xid
    return [one for one in news if one.xid < next_page or one.xid == first]


async def feed_of(tx: AsyncSession, rows: Sequence[tuple[Any, ...]], asked: Ask) -> Feed:
    """Read what was found by `lines`, in the same transaction."""
    found = _read(rows)
    if found.more and found.news[0].xid == found.news[-1].xid:
        # One transaction has written more than a page, such as a new catalogue: it comes whole.
        whole = await fetched(tx, _OF_ONE, {**asked.given, "xid": found.news[0].xid})
        found = found._replace(news=[News(Kind(kind), *line) for kind, *line in whole])
    return found


_OF_ONE = """
    SELECT kind, row_id, xid FROM sync_row
    WHERE technician_id IN (%(technician_id)s, %(everybody)s) AND xid = %(xid)s
    ORDER BY kind, row_id
"""


class Heard(NamedTuple):
    """For whom something was committed between two looks at the feed, in no order.

    `snapshot` is what this look saw, as PostgreSQL writes it, and `life` in which life of the
    database: of other lives nothing can be said.
    """

    snapshot: str
    life: tuple[Any, ...]
    technicians: Sequence[UUID]


async def heard(driver: psycopg.AsyncConnection[Any], before: str | None) -> Heard:
    """Look who has news since a snapshot; None sees only where the feed stands.

    What was written before it and committed since is news, too, and what it has seen is not told
    again, however long another transaction goes on. By a driver's connection, in autocommit.
    """
    cursor = driver.cursor(binary=True)
    since = int(before.partition(":")[0]) if before is not None else 2**62
    await cursor.execute(_HEARD, {"since": since, "before": before or "1:1:"})
    row = await cursor.fetchone()
    assert row is not None
    snapshot, technicians, *life = row
    return Heard(snapshot, tuple(life), technicians)


async def touch(tx: AsyncSession, rows: Iterable[tuple[UUID, Kind, UUID]]) -> None:
    """Let phones look at things again: (technician, kind, id) each."""
    lines = sorted(set(rows), key=lambda one: (one[0], one[1].value, one[2]))
    if not lines:
        return
    await fetched(
        tx,
        _TOUCH,
        {
            "technicians": [one[0] for one in lines],
            "kinds": [one[1].value for one in lines],
            "ids": [one[2] for one in lines],
        },
    )


_TOUCH = """
    INSERT INTO sync_row (technician_id, kind, row_id, xid)
    SELECT technician_id, kind, row_id, pg_current_xact_id()::text::bigint
    FROM unnest(%(technicians)s::uuid[], %(kinds)s::text[], %(ids)s::uuid[])
        AS one (technician_id, kind, row_id)
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid
    RETURNING 1
"""


async def touch_customers(tx: AsyncSession, since: int, *, besides: int) -> None:
    """Let phones look again at customers of whom a line was written by a transaction from `since`
    on, `besides` the one that tells of them itself."""
    await fetched(tx, _TOUCH_CUSTOMERS, {"since": since, "besides": besides})


# In the order in which `touch` writes, so that the two do not wait for each other in a circle.
_TOUCH_CUSTOMERS = """
    WITH lines AS (
        SELECT technician_id, kind, row_id FROM sync_row
        WHERE xid >= %(since)s AND xid <> %(besides)s AND kind = 'customer'
        ORDER BY technician_id, kind, row_id FOR UPDATE
    )
    UPDATE sync_row AS line SET xid = pg_current_xact_id()::text::bigint
    FROM lines WHERE (line.technician_id, line.kind, line.row_id)
        = (lines.technician_id, lines.kind, lines.row_id)
    RETURNING 1
"""


async def tell_of_loaded(tx: AsyncSession, most: int) -> int:
    """Let phones look again at up to so many of the customers whom loads have changed; returns how
    many there were. Two that do this at once take different ones."""
    return int((await fetched(tx, _TELL_OF_LOADED, {"most": most}))[0][0])


# The lines in the order of `touch` as well. Whoever begins to show one of them meanwhile commits
# after the load did, and so shows what it brought.
_TELL_OF_LOADED = """
    WITH taken AS MATERIALIZED (
        SELECT xid, customer_id FROM sync_loaded
        ORDER BY xid, customer_id LIMIT %(most)s FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM sync_loaded AS loaded USING taken
        WHERE (loaded.xid, loaded.customer_id) = (taken.xid, taken.customer_id)
        RETURNING loaded.customer_id
    ), lines AS (
        SELECT technician_id, kind, row_id FROM sync_row
        WHERE kind = 'customer' AND row_id IN (SELECT customer_id FROM taken)
        ORDER BY technician_id, kind, row_id FOR UPDATE
    ), told AS (
        UPDATE sync_row AS line SET xid = pg_current_xact_id()::text::bigint
        FROM lines WHERE (line.technician_id, line.kind, line.row_id)
            = (lines.technician_id, lines.kind, lines.row_id)
    )
    SELECT count(*) FROM gone
"""


class Before(NamedTuple):
    """An earlier epoch of the same life: its cursors up to `until` are gone on from, but from
    `since` at the latest."""

    since: int
    until: int


class Epoch(NamedTuple):
    """In which life of the database cursors are made, and whether this is still that life, `same`,
    and written by the same server, or by one that was its standby, `taken_over`.

    `before` are the epochs by their numbers whose cursors are gone on from, too: as many standbys
    as have taken over one after the other.
    """

    number: int
    same: bool
    taken_over: bool
    before: Mapping[int, Before]


async def epoch_of(session: AsyncSession) -> Epoch | None:
    """Read the epoch, by a session that can write; None before the first one."""
    rows = await fetched(session, _EPOCH, {})
    if not rows:
        return None
    number, same, taken_over, earlier = rows[0]
    return Epoch(number, same, taken_over, {before: Before(*held) for before, *held in earlier})


# The numbers that tell one database from another: a cluster's is made with it, a database's is
# given when it is created, and a dump carries neither.
_IDENTITY = """
    (SELECT system_identifier FROM pg_control_system()) AS cluster,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()) AS database
"""
# By the name of the log that is written now: what the cluster says of itself is as of its last
# checkpoint.
_TIMELINE = "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::bigint"
# The epoch that this one goes on from, after all that went before it. A new life has none, also
# where an older version of the product, which knows of the last one only, has begun it.
_ALL_BEFORE = """
    CASE WHEN e.before IS NULL THEN '[]'::jsonb WHEN e.since IS NULL THEN e.earlier
        ELSE e.earlier || jsonb_build_array(jsonb_build_array(e.before, e.since, e.until)) END
"""
_EPOCH = f"""
    SELECT e.epoch, e.cluster = here.cluster AND e.database = here.database,
        e.timeline IS DISTINCT FROM {_TIMELINE}, {_ALL_BEFORE}
    FROM sync_epoch AS e, (SELECT {_IDENTITY}) AS here
"""  # noqa: S608 - text of our own


_HEARD = f"""
    SELECT pg_current_snapshot()::text,
        ARRAY(
            SELECT DISTINCT technician_id FROM sync_row
            WHERE xid BETWEEN %(since)s AND {_LAST}
                AND NOT pg_visible_in_snapshot(xid::text::xid8, %(before)s::text::pg_snapshot)
        ),
        (SELECT epoch FROM sync_epoch), pg_postmaster_start_time(), here.cluster, here.database
    FROM (SELECT {_IDENTITY}) AS here
"""  # noqa: S608 - text of our own


async def alone(tx: AsyncSession) -> None:
    """Let nobody else begin an epoch, or turn the clock over, until the transaction ends."""
    await fetched(tx, "SELECT pg_advisory_xact_lock(%(key)s)::text", {"key": _ALONE})


_ALONE = 823_048


async def begin_epoch(tx: AsyncSession, number: int, now: datetime) -> None:
    """Begin a new epoch: cursors of the one before are not understood any more, and what was known
    of changes was known by numbers that have begun anew.

    The lines stay: they also tell who shows which customer, so that changes of theirs find the
    phones, and whose an order once was. There may be millions of them, and whoever begins an epoch
    is a phone that waits: those beyond this life's numbers are passed over wherever lines are read,
    and `settle` gives them a number before every cursor, a round at a time.
    """
    await fetched(tx, _BEGIN, {"epoch": number, "now": now})
    await fetched(tx, "DELETE FROM sync_moment RETURNING 1", {})


_BEGIN = f"""
    INSERT INTO sync_epoch (one, epoch, cluster, database, timeline, began_at)
    SELECT true, %(epoch)s, here.cluster, here.database, {_TIMELINE}, %(now)s
    FROM (SELECT {_IDENTITY}) AS here
    ON CONFLICT (one) DO UPDATE SET epoch = excluded.epoch, cluster = excluded.cluster,
        database = excluded.database, timeline = excluded.timeline, began_at = excluded.began_at,
        before = NULL, since = NULL, until = NULL, earlier = '[]'
    RETURNING 1
"""  # noqa: S608 - text of our own


async def go_on(tx: AsyncSession, number: int, now: datetime) -> None:
    """Begin a new epoch where a standby has taken over.

    Its cursors are told from those of the old primary, which may have given out numbers that are
    given out again now. Moments that were noted came from there, so the last one's number was not;
    a cursor beyond what was given out by now knows of what is lost. That is the own number: who
    does not see this epoch yet gives out no cursor beyond it. Nothing else is known anew.

    Epochs before the old primary's stay known, each by its own bounds: numbers only grow along one
    line of servers, so what this one adds is behind all that they reach. Those whose last cursor is
    older than what is remembered are forgotten.
    """
    await fetched(tx, _GO_ON, {"epoch": number, "now": now})


_GO_ON = f"""
    UPDATE sync_epoch AS e SET epoch = %(epoch)s, before = epoch, timeline = {_TIMELINE},
        earlier = (
            SELECT coalesce(jsonb_agg(held.bounds), '[]'::jsonb)
            FROM jsonb_array_elements({_ALL_BEFORE}) AS held (bounds)
            WHERE (held.bounds ->> 2)::bigint >= (SELECT min(xid) FROM sync_moment)
        ),
        since = (SELECT max(xid) FROM sync_moment), began_at = %(now)s,
        until = pg_current_xact_id()::text::bigint
    RETURNING 1
"""  # noqa: S608 - text of our own


async def settle(tx: AsyncSession, most: int) -> int:
    """Put up to so many lines of an earlier life before every cursor; returns how many. A line that
    somebody writes at this moment is left: it is of this life then."""
    return len(await fetched(tx, _SETTLE, {"most": most}))


_SETTLE = f"""
    UPDATE sync_row SET xid = 0 WHERE ctid = ANY(ARRAY(
        SELECT ctid FROM sync_row WHERE xid > {_LAST}
        ORDER BY xid DESC LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )) RETURNING 1
"""  # noqa: S608 - text of our own


async def came_or_went(tx: AsyncSession) -> list[UUID]:
    """Name whom orders came to or went from since this was last asked, and to whom a colleague
    gives a terminal that waits for their answer; each change once, nobody while another worker
    asks."""
    rows = await fetched(tx, _MARK, {})
    if not rows:
        return []
    since, until = rows[0]
    found = await fetched(tx, _CAME_OR_WENT, {"since": since, "until": until})
    return [row[0] for row in found]


# What is beyond the horizon may still be written, and is looked at the next time.
_MARK = """
    WITH before AS (SELECT xid FROM push_mark FOR UPDATE SKIP LOCKED)
    UPDATE push_mark SET xid = pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    FROM before RETURNING before.xid, push_mark.xid
"""
_CAME_OR_WENT = """
    SELECT DISTINCT technician_id FROM sync_row
    WHERE xid >= %(since)s AND xid < %(until)s AND (
        kind = 'holding' OR kind = 'handover' AND EXISTS (
            SELECT FROM terminal_handover AS h WHERE h.id = sync_row.row_id
                AND h.to_technician_id = sync_row.technician_id AND h.state = 'offered'
        )
    )
"""


class Looked(NamedTuple):
    """What may have changed for each of several technicians, in one snapshot: up to `LINES` lines
    each, and one more where there are more. Lines of everybody are under `EVERYBODY`. `epoch` is as
    in `Feed`."""

    epoch: int
    horizon: int
    oldest: int
    lines: dict[UUID, list[News]]


# So many lines are read of each of several technicians.
LINES = 50


async def look(driver: psycopg.AsyncConnection[Any], since: Mapping[UUID, int]) -> Looked:
    """Look what may have changed for technicians, each since a transaction, in one statement."""
    cursor = driver.cursor(binary=True)
    given = {
        "technicians": [EVERYBODY, *since],
        "since": [min(since.values()), *since.values()],
        "most": LINES + 1,
    }
    await cursor.execute(_LOOK, given)
    rows = await cursor.fetchall()
    found: dict[UUID, list[News]] = {}
    for *_, technician_id, kind, row_id, xid in rows:
        if kind is not None:
            found.setdefault(technician_id, []).append(News(Kind(kind), row_id, xid))
    return Looked(rows[0][0], rows[0][1], rows[0][2], found)


_LOOK = f"""
    SELECT state.epoch, state.horizon, state.oldest,
        news.technician_id, news.kind, news.row_id, news.xid
    FROM (
        SELECT coalesce((SELECT epoch FROM sync_epoch), 0) AS epoch,
            pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS horizon, {_LAST} AS last,
            coalesce((SELECT min(xid) FROM sync_moment), 0) AS oldest
    ) AS state
    LEFT JOIN LATERAL (
        SELECT who.technician_id, line.kind, line.row_id, line.xid
        FROM unnest(%(technicians)s::uuid[], %(since)s::bigint[]) AS who (technician_id, since)
        CROSS JOIN LATERAL (
            SELECT kind, row_id, xid FROM sync_row
            WHERE technician_id = who.technician_id AND xid BETWEEN who.since AND state.last
            ORDER BY xid LIMIT %(most)s
        ) AS line
    ) AS news ON true
"""  # noqa: S608 - text of our own
