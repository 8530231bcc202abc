"""What leaves phones by the passing of time, found by the hour in which it does."""

# ruff: noqa: S608 - every statement is text of our own
from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import fetched
from app.sync.queries.rows.whose import HELD, SHOWN
from app.sync.rules.tables import EVERYBODY


class Numbers(NamedTuple):
    """How long a unit's phones keep what, how long they show it without the server, and for which
    tiers which levers are the account manager's, as `rules.managers` writes it."""

    grace_hours: float
    closed_days: float
    sales_days: float
    offline_hours: float
    managers: str


class Unit(NamedTuple):
    """An org unit, its time zone, and the numbers that its phones were told by, None before they
    were told by any. `stale` says that the last look found others in force, and `offers_due` that
    phones are yet to be told whose their offers are."""

    id: UUID
    path: str
    zone: str
    stale: bool
    offers_due: bool
    told_by: Numbers | None


async def units(tx: AsyncSession) -> Sequence[Unit]:
    """List the org units."""
    rows = await fetched(tx, _UNITS, {})
    return [
        Unit._make((*row[:5], Numbers._make(row[5:]) if row[5] is not None else None))
        for row in rows
    ]


_UNITS = f"""
    SELECT u.id, u.path, u.time_zone, coalesce(told.stale, false),
        coalesce(told.offers_due, false),
        {", ".join(f"told.{name}" for name in Numbers._fields)}
    FROM org_unit AS u LEFT JOIN sync_unit AS told ON told.org_unit_id = u.id ORDER BY u.path
"""


async def note_numbers(tx: AsyncSession, units: Collection[Unit]) -> None:
    """Note by which numbers the phones of units are told from now on, and which are stale."""
    told = [one.told_by for one in units if one.told_by is not None]
    if told:
        given = {name: [getattr(one, name) for one in told] for name in Numbers._fields}
        of_units = {
            "units": [one.id for one in units],
            "stale": [one.stale for one in units],
            "due": [one.offers_due for one in units],
        }
        await fetched(tx, _NOTE, {**of_units, **given})


_NOTED = ("stale", "offers_due", *Numbers._fields)
_NOTE = f"""
    INSERT INTO sync_unit (org_unit_id, stale, offers_due, {", ".join(Numbers._fields)})
    SELECT * FROM unnest(
        %(units)s::uuid[], %(stale)s::bool[], %(due)s::bool[],
        {", ".join(f"%({name})s::float8[]" for name in Numbers._fields if name != "managers")},
        %(managers)s::text[]
    )
    ON CONFLICT (org_unit_id) DO UPDATE
    SET {", ".join(f"{name} = excluded.{name}" for name in _NOTED)}
    RETURNING 1
"""


async def last_moment(tx: AsyncSession) -> datetime | None:
    """Tell up to when it is written down what has left phones."""
    rows = await fetched(tx, "SELECT at FROM sync_moment ORDER BY xid DESC LIMIT 1", {})
    return rows[0][0] if rows else None


async def note_moment(tx: AsyncSession, now: datetime, *, first: bool) -> None:
    """Note that this transaction is of this moment; before the `first` one nothing was forgotten,
    so cursors from then are understood for as long as that moment is."""
    if first:
        await fetched(tx, _FIRST, {"now": now})
    await fetched(
        tx,
        """
        INSERT INTO sync_moment (xid, at) VALUES (pg_current_xact_id()::text::bigint, %(now)s)
        ON CONFLICT (xid) DO UPDATE SET at = excluded.at
        RETURNING 1
        """,
        {"now": now},
    )


_FIRST = "INSERT INTO sync_moment (xid, at) VALUES (0, %(now)s) RETURNING 1"

_INTO = "INSERT INTO sync_row (technician_id, kind, row_id, xid)"
_KEPT = """
    ON CONFLICT (technician_id, kind, row_id) DO UPDATE SET xid = excluded.xid
    WHERE sync_row.xid <> excluded.xid
    RETURNING 1
"""
_XID = "pg_current_xact_id()::text::bigint"

# An order is found by when it was completed, which each unit has an index for.
_UNIT = f"""
    {_INTO}
    WITH over AS (
        SELECT o.id, o.holder_id, o.customer_id, 'work_order' AS kind FROM work_order AS o
        WHERE o.org_unit_id = %(unit)s AND o.completed_at IS NOT NULL AND o.holder_id IS NOT NULL
            AND o.completed_at > %(shown_from)s AND o.completed_at <= %(shown_to)s
        UNION ALL
        SELECT o.id, o.holder_id, NULL, 'holding' FROM work_order AS o
        WHERE o.org_unit_id = %(unit)s AND o.completed_at IS NOT NULL AND o.holder_id IS NOT NULL
            AND o.completed_at > %(closed_from)s AND o.completed_at <= %(closed_to)s
    )
    SELECT holder_id, kind, id, {_XID} FROM over
    UNION SELECT holder_id, 'customer', customer_id, {_XID} FROM over WHERE customer_id IS NOT NULL
    UNION
    SELECT s.technician_id, 'sale', s.id, {_XID} FROM sale AS s
    WHERE s.org_unit_id = %(unit)s AND s.created_at > %(sold_from)s - interval '2 days'
        AND s.made_at > %(sold_from)s AND s.made_at <= %(sold_to)s
    UNION
    SELECT m.technician_id, 'grid', m.grid_id, {_XID}
    FROM grid_membership AS m JOIN technician AS t ON t.id = m.technician_id
    CROSS JOIN LATERAL (
        VALUES ((%(since)s AT TIME ZONE %(zone)s)::date, (%(now)s AT TIME ZONE %(zone)s)::date)
    ) AS day (before, today)
    WHERE t.org_unit_id = %(unit)s AND day.before < day.today AND (
        (m.valid_from > day.before AND m.valid_from <= day.today)
        OR (m.valid_to > day.before AND m.valid_to <= day.today)
    )
    UNION
    SELECT d.technician_id, 'day',
        ('00000000-0000-0000-0000-0000' || to_char(d.day, 'YYYYMMDD'))::uuid, {_XID}
    FROM technician AS t JOIN technician_day AS d ON d.technician_id = t.id
    WHERE t.org_unit_id = %(unit)s AND d.route <> '{{}}'
        AND d.day >= (%(since)s AT TIME ZONE %(zone)s)::date
        AND d.day < (%(now)s AT TIME ZONE %(zone)s)::date
    {_KEPT}
"""


async def touch_unit(tx: AsyncSession, given: Mapping[str, Any]) -> int:
    """Let a unit's phones look again at what has left them in (`since`, `now`]: customers of orders
    that were completed in (`shown_from`, `shown_to`], orders in (`closed_from`, `closed_to`], sales
    made in (`sold_from`, `sold_to`], and what begins or ends with a day."""
    return len(await fetched(tx, _UNIT, given))


async def touch_phones(tx: AsyncSession, unit_id: UUID) -> int:
    """Let all phones of a unit pull again, whatever they know."""
    return len(await fetched(tx, _PHONES, {"unit": unit_id}))


_PHONES = f"""
    {_INTO} SELECT DISTINCT technician_id, 'setting', org_unit_id, {_XID} FROM account
    WHERE org_unit_id = %(unit)s AND technician_id IS NOT NULL
    {_KEPT}
"""


async def unit_due(tx: AsyncSession) -> tuple[UUID, float] | None:
    """Take a unit whose phones are yet to be told whose their offers are, if there is one, and say
    for how many days they keep an order that is over."""
    rows = await fetched(tx, _DUE, {})
    return (rows[0][0], rows[0][1]) if rows else None


_DUE = """
    UPDATE sync_unit SET offers_due = false WHERE org_unit_id = (
        SELECT org_unit_id FROM sync_unit WHERE offers_due ORDER BY org_unit_id LIMIT 1
    )
    RETURNING org_unit_id, closed_days
"""


async def touch_offers(tx: AsyncSession, unit_id: UUID, closed_since: datetime) -> int:
    """Let a unit's phones look again at what is to be offered at the doors they have: of orders
    that somebody holds, and of those that were completed after a moment."""
    return len(await fetched(tx, _OFFERS, {"unit": unit_id, "closed_since": closed_since}))


async def touch_sellers(tx: AsyncSession, since: datetime, until: datetime) -> int:
    """Let phones look again at what is to be offered to customers special terms of whose were over
    in (`since`, `until`], and to those of whom it is noted that their tier is another one now."""
    return len(await fetched(tx, _SELLERS, {"since": since, "until": until}))


# Only what was ever to be offered has a line, and the lines are in the order in which the feed
# writes them. A phone reads whose its offers are by its account's unit, which need not be the
# technician's.
_OFFERS = f"""
    {_INTO} SELECT line.technician_id, 'suggestion', line.row_id, {_XID}
    FROM (
        SELECT DISTINCT technician_id AS id FROM account
        WHERE org_unit_id = %(unit)s AND technician_id IS NOT NULL
    ) AS whose
    JOIN sync_row AS line ON line.technician_id = whose.id AND line.kind = 'suggestion'
    JOIN work_order AS o ON o.id = line.row_id
    WHERE o.state IN {HELD} OR o.completed_at > %(closed_since)s
    ORDER BY line.technician_id, line.row_id
    {_KEPT}
"""
# Their lines in the same order.
_SELLERS = f"""
    WITH changed AS (
        DELETE FROM sync_tier RETURNING customer_id
    ), concerned AS (
        SELECT customer_id FROM changed
        UNION
        SELECT customer_id FROM special_terms
        WHERE state IN ('waiting', 'approved')
            AND expires_at > %(since)s AND expires_at <= %(until)s
    )
    {_INTO} SELECT line.technician_id, 'suggestion', line.row_id, {_XID}
    FROM concerned JOIN work_order AS o ON o.customer_id = concerned.customer_id
    CROSS JOIN LATERAL (
        SELECT o.holder_id
        UNION SELECT technician_id FROM work_assist WHERE work_order_id = o.id
    ) AS whose (id)
    JOIN sync_row AS line
        ON line.technician_id = whose.id AND line.kind = 'suggestion' AND line.row_id = o.id
    ORDER BY line.technician_id, line.row_id
    {_KEPT}
"""


async def touch_of_days(tx: AsyncSession, before: date, today: date) -> int:
    """Let phones look again at what began or ended with a day after `before` and up to `today`:
    all phones at offerings that ceased to be sold, and those that have a customer at what a
    customer holds."""
    given = {"everybody": EVERYBODY, "before": before, "today": today}
    return len(await fetched(tx, _OFFERINGS, given)) + len(await fetched(tx, _SERVICES, given))


_OFFERINGS = f"""
    {_INTO} SELECT %(everybody)s, 'offering', id, {_XID} FROM product_offering
    WHERE valid_to > %(before)s AND valid_to <= %(today)s
    {_KEPT}
"""
_SERVICES = f"""
    {_INTO} SELECT DISTINCT line.technician_id, 'customer', line.row_id, {_XID}
    FROM subscription AS s JOIN sync_row AS line ON line.row_id = s.customer_id
    WHERE line.kind = 'customer' AND (
        (s.started_on > %(before)s AND s.started_on <= %(today)s)
        OR (s.ended_on > %(before)s AND s.ended_on <= %(today)s)
    )
    {_KEPT}
"""


async def touch_actions(tx: AsyncSession, since: datetime, until: datetime) -> int:
    """Let phones look again at actions that were received in (`since`, `until`], and at those done
    too late for an order that is on them by now."""
    return len(
        await fetched(
            tx,
            f"""
            {_INTO} SELECT DISTINCT whose.id, 'action', a.id, {_XID}
            FROM sync_action AS a CROSS JOIN LATERAL (
                SELECT a.technician_id
                UNION ALL
                SELECT o.holder_id FROM work_order AS o
                WHERE a.judgement IS NOT NULL AND o.id = a.work_order_id AND o.holder_id IS NOT NULL
                UNION ALL
                SELECT helps.technician_id FROM work_assist AS helps
                WHERE a.judgement IS NOT NULL AND helps.work_order_id = a.work_order_id
                    AND helps.ended_at IS NULL
            ) AS whose (id)
            WHERE a.received_at > %(since)s AND a.received_at <= %(until)s
            {_KEPT}
            """,
            {"since": since, "until": until},
        )
    )


async def forget(tx: AsyncSession, before: datetime, most: int) -> int:
    """Forget moments before one, and then up to `most` lines that no cursor asks for any more.

    Lines of orders that somebody holds, and of whom a technician is still shown, stay however old
    they are: they tell whose phone a change concerns, and whose an order once was.
    """
    await fetched(
        tx,
        """
        DELETE FROM sync_moment WHERE at < %(before)s
            AND xid < (SELECT max(xid) FROM sync_moment) RETURNING 1
        """,
        {"before": before},
    )
    return len(await fetched(tx, _FORGET, {"most": most}))


_FORGET = f"""
    DELETE FROM sync_row WHERE ctid = ANY(ARRAY(
        SELECT line.ctid FROM sync_row AS line
        WHERE line.xid < (SELECT min(xid) FROM sync_moment)
            AND NOT (line.kind IN ('holding', 'work_order') AND EXISTS (
                SELECT FROM work_order AS o WHERE o.id = line.row_id AND o.state IN {HELD}
            ))
            AND NOT (line.kind = 'customer' AND EXISTS (
                SELECT FROM work_order AS o
                WHERE o.customer_id = line.row_id AND o.state IN {SHOWN} AND (
                    o.holder_id = line.technician_id OR EXISTS (
                        SELECT FROM work_assist AS helps
                        WHERE helps.work_order_id = o.id AND helps.ended_at IS NULL
                            AND helps.technician_id = line.technician_id
                    )
                )
            ))
        ORDER BY line.xid LIMIT %(most)s
    )) RETURNING 1
"""
