"""What a sweep reads: the steps of sales that are new, what they are worth, what is due."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.commissions.rules import EntryKind
from app.core.db import fetched


class New(NamedTuple):
    """A step of a sale that no sweep has read yet; `entered_at` and `id` are its place, and
    `item_id` the item it is about, of a step that is about one."""

    entered_at: datetime
    id: UUID
    sale_id: UUID
    org_unit_id: UUID
    step: str
    at: datetime
    item_id: UUID | None


class Owed(NamedTuple):
    """What a sale is worth to whom, or what of it is due; in fen."""

    sale_id: UUID
    technician_id: UUID
    org_unit_id: UUID
    fen: int


class Share(NamedTuple):
    """What an item was of what was left of its sale when it was taken back: `after` of `before` fen
    of commission stood when it was gone."""

    sale_id: UUID
    item_id: UUID
    before: int
    after: int


class Credited(NamedTuple):
    """An entry, and what of it was not taken back yet. `kind` is the part of the commission that it
    stands for, also of one that was given back."""

    id: UUID
    sale_id: UUID
    technician_id: UUID
    org_unit_id: UUID
    fen: int
    kind: EntryKind


class Taken(NamedTuple):
    """An entry that took a part of a commission back with its whole sale: `fen` is how much."""

    id: UUID
    sale_id: UUID
    technician_id: UUID
    org_unit_id: UUID
    fen: int


class Forgotten(NamedTuple):
    """A sale whose second part was forgotten: `fen` is its whole commission as it was sold, and
    `items` are those that were taken back alone."""

    sale_id: UUID
    technician_id: UUID
    org_unit_id: UUID
    fen: int
    acknowledged_at: datetime
    items: list[UUID]


_CLOCK = "SELECT clock_timestamp()"
# Whoever gathers statistics of a large table for minutes enters no step.
_OLDEST = """
SELECT min(xact_start) FROM pg_stat_activity
 WHERE datname = current_database() AND backend_xid IS NOT NULL AND pid <> pg_backend_pid()
   AND backend_type <> 'autovacuum worker'
"""
_NEW = """
SELECT e.created_at, e.id, e.sale_id, s.org_unit_id, e.step, e.at, (e.facts ->> 'item_id')::uuid
  FROM sale_event e JOIN sale s ON s.id = e.sale_id, commission_progress p
 WHERE e.step IN ('acknowledged', 'reversed', 'item_reversed', 'reversal_undone')
   AND (e.created_at, e.id) > (p.read_at, p.read_id) AND e.created_at < %(cut)s
 ORDER BY e.created_at, e.id LIMIT %(limit)s
"""


async def new_events(tx: AsyncSession, limit: int) -> list[New]:
    """Read the steps that come after those already read, and behind which none can still appear.

    A step is dated when it is entered and seen when its transaction ends. So the clock is read
    first; whatever was entered before it is seen by now, or its transaction still goes on and began
    at or after the oldest of those that do.
    """
    ((clock,),) = await fetched(tx, _CLOCK, {})
    ((oldest,),) = await fetched(tx, _OLDEST, {})
    cut = clock if oldest is None else min(clock, oldest)
    return [New(*row) for row in await fetched(tx, _NEW, {"cut": cut, "limit": limit})]


async def read_up_to(tx: AsyncSession, last: New) -> None:
    """Note how far the ledger of sales was read."""
    await fetched(
        tx,
        "UPDATE commission_progress SET read_at = %(at)s, read_id = %(id)s RETURNING id",
        {"at": last.entered_at, "id": last.id},
    )


async def worth_of(tx: AsyncSession, sale_ids: Sequence[UUID]) -> list[Owed]:
    """Read the commission of sales that have none yet, by the catalogue they were sold from; a sale
    that earns nothing is left out."""
    return [Owed(*row) for row in await fetched(tx, _WORTH, {"sales": list(sale_ids)})]


_WORTH = """
SELECT s.id, s.technician_id, s.org_unit_id, sum(i.commission_fen * i.quantity)::bigint
  FROM sale s JOIN sale_item i ON i.sale_id = s.id
 WHERE s.id = ANY(%(sales)s)
   AND NOT EXISTS (SELECT FROM commission_entry c WHERE c.sale_id = s.id AND c.kind = 'earned')
 GROUP BY s.id HAVING sum(i.commission_fen * i.quantity) > 0
"""


async def take_due(tx: AsyncSession, now: datetime, limit: int) -> list[Owed]:
    """Take what is due by now of sales that were kept; whoever takes it has to credit it.

    A sale that is being cancelled waits for what comes of that, and one whose order has ended in
    part for what a person says of it.
    """
    return [Owed(*row) for row in await fetched(tx, _DUE, {"now": now, "limit": limit})]


# Materialized: a plan may run a subquery once for each row, and each run finds as many again.
_DUE = """
WITH due AS MATERIALIZED (
    SELECT d.sale_id FROM commission_due d JOIN sale s ON s.id = d.sale_id
     WHERE d.due_at <= %(now)s AND s.reversed_at IS NULL
       AND s.state IN ('acknowledged', 'completed')
       AND NOT (s.state = 'acknowledged' AND EXISTS (
           SELECT FROM order_sync o WHERE o.sale_id = s.id AND o.state = 'finished'))
     ORDER BY d.due_at LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
)
DELETE FROM commission_due c USING due WHERE c.sale_id = due.sale_id
RETURNING c.sale_id, c.technician_id, c.org_unit_id, c.fen
"""


async def forget_due(tx: AsyncSession, sale_ids: Sequence[UUID]) -> None:
    """Forget what would have been due of sales that were taken back."""
    given = {"sales": list(sale_ids)}
    await fetched(
        tx, "DELETE FROM commission_due WHERE sale_id = ANY(%(sales)s) RETURNING sale_id", given
    )


async def shares(tx: AsyncSession, item_ids: Collection[UUID]) -> list[Share]:
    """Read what items that were taken back alone were of what then stood of their sales, in the
    order in which that was entered; what earned nothing is left out."""
    return [Share(*row) for row in await fetched(tx, _SHARES, {"items": list(item_ids)})]


# By the ledger, which has one clock and is what sweeps read: `reversed_at` is by that of whichever
# server was told.
_SHARES = """
WITH gone AS (
    SELECT e.sale_id, (e.facts ->> 'item_id')::uuid AS item_id, e.created_at, e.id
      FROM sale_event e
     WHERE e.step = 'item_reversed'
       AND e.sale_id IN (SELECT sale_id FROM sale_item WHERE id = ANY(%(items)s))
)
SELECT i.sale_id, i.id, (i.commission_fen * i.quantity + rest.fen)::bigint, rest.fen
  FROM sale_item i JOIN gone ON gone.item_id = i.id
 CROSS JOIN LATERAL (
    SELECT coalesce(sum(o.commission_fen * o.quantity), 0)::bigint AS fen
      FROM sale_item o LEFT JOIN gone AS before
        ON before.item_id = o.id AND (before.created_at, before.id) <= (gone.created_at, gone.id)
     WHERE o.sale_id = i.sale_id AND before.id IS NULL) AS rest
 WHERE i.id = ANY(%(items)s) AND i.commission_fen > 0
 ORDER BY gone.created_at, gone.id
"""


async def lessen_due(tx: AsyncSession, shares: Sequence[Share]) -> None:
    """Lessen what is to come of sales, each by the share of one item that was taken back, rounded
    as `reckoning.left_of_second` does."""
    given = {
        "sales": [one.sale_id for one in shares],
        "before": [one.before for one in shares],
        "after": [one.after for one in shares],
    }
    await fetched(tx, _LESSEN, given)


_LESSEN = """
UPDATE commission_due AS d SET fen = (d.fen * o.after + o.before - 1) / o.before
  FROM unnest(%(sales)s::uuid[], %(before)s::bigint[], %(after)s::bigint[])
    AS o (sale_id, before, after)
 WHERE d.sale_id = o.sale_id RETURNING d.sale_id
"""


async def not_countered(tx: AsyncSession, sale_ids: Sequence[UUID]) -> list[Credited]:
    """Read what was credited for sales, or given back, and not wholly taken back; a part of nothing
    is left out."""
    rows = await fetched(tx, _NOT_COUNTERED, {"sales": list(sale_ids)})
    return [Credited._make((*row[:-1], EntryKind(row[-1]))) for row in rows]


_NOT_COUNTERED = """
WITH RECURSIVE credit AS (
    SELECT e.id, e.sale_id, e.technician_id, e.org_unit_id, e.fen, e.kind
      FROM commission_entry e
     WHERE e.sale_id = ANY(%(sales)s) AND e.counters_id IS NULL AND e.fen > 0
    UNION ALL
    SELECT g.id, g.sale_id, g.technician_id, g.org_unit_id, g.fen, credit.kind
      FROM credit
      JOIN commission_entry t ON t.counters_id = credit.id AND t.sale_item_id IS NULL
      JOIN commission_entry g ON g.counters_id = t.id
)
SELECT e.id, e.sale_id, e.technician_id, e.org_unit_id,
       (e.fen + coalesce(sum(c.fen), 0))::bigint, e.kind
  FROM credit e LEFT JOIN commission_entry c ON c.counters_id = e.id
 GROUP BY e.id, e.sale_id, e.technician_id, e.org_unit_id, e.fen, e.kind
HAVING e.fen + coalesce(sum(c.fen), 0) > 0
 ORDER BY e.id
"""


async def taken_back(tx: AsyncSession, sale_ids: Sequence[UUID]) -> list[Taken]:
    """Read what was taken back with sales as a whole and was not given back yet."""
    return [Taken(*row) for row in await fetched(tx, _TAKEN, {"sales": list(sale_ids)})]


_TAKEN = """
SELECT t.id, t.sale_id, t.technician_id, t.org_unit_id, -t.fen
  FROM commission_entry t
 WHERE t.sale_id = ANY(%(sales)s) AND t.kind = 'taken_back' AND t.sale_item_id IS NULL
   AND NOT EXISTS (SELECT FROM commission_entry g WHERE g.counters_id = t.id)
 ORDER BY t.id
"""


async def not_due_any_more(tx: AsyncSession, sale_ids: Sequence[UUID]) -> list[Forgotten]:
    """Read what sales earned of which the second part is neither credited nor to come, with the
    items that were taken back alone."""
    rows = await fetched(tx, _FORGOTTEN, {"sales": list(sale_ids)})
    return [Forgotten(*row) for row in rows]


_FORGOTTEN = """
SELECT s.id, s.technician_id, s.org_unit_id, sum(i.commission_fen * i.quantity)::bigint,
       min(a.at), coalesce(array_agg(i.id) FILTER (WHERE i.reversed_at IS NOT NULL), '{}')
  FROM sale s JOIN sale_item i ON i.sale_id = s.id
 CROSS JOIN LATERAL (
    SELECT min(e.at) AS at FROM sale_event e
     WHERE e.sale_id = s.id AND e.step = 'acknowledged') AS a
 WHERE s.id = ANY(%(sales)s) AND a.at IS NOT NULL
   AND EXISTS (SELECT FROM commission_entry c WHERE c.sale_id = s.id AND c.kind = 'earned')
   AND NOT EXISTS (SELECT FROM commission_entry c WHERE c.sale_id = s.id AND c.kind = 'kept')
   AND NOT EXISTS (SELECT FROM commission_due d WHERE d.sale_id = s.id)
 GROUP BY s.id
"""


async def gone_before(
    tx: AsyncSession, earning: Collection[UUID], undone: Collection[UUID]
) -> list[UUID]:
    """List items of which earlier sweeps have read that they came back alone, when there was
    nothing to take back: of sales that earn only now, and of those that were reversed then and are
    so no more."""
    given = {"earning": list(earning), "undone": list(undone)}
    return [id_ for (id_,) in await fetched(tx, _GONE_BEFORE, given)]


# What came back before its sale was reversed, or in the same sweep, was taken back by itself.
_GONE_BEFORE = """
WITH known AS (
    SELECT e.* FROM sale_event e, commission_progress p
     WHERE e.sale_id = ANY(%(earning)s::uuid[] || %(undone)s::uuid[])
       AND (e.created_at, e.id) <= (p.read_at, p.read_id)
), gone AS (
    SELECT e.*, (e.facts ->> 'item_id')::uuid AS item_id FROM known e
     WHERE e.step = 'item_reversed'
), reversal AS (
    SELECT DISTINCT ON (sale_id) * FROM known WHERE step IN ('reversed', 'reversal_undone')
     ORDER BY sale_id, created_at DESC, id DESC
)
SELECT item_id FROM gone
 WHERE sale_id = ANY(%(earning)s) AND NOT EXISTS (
        SELECT FROM commission_entry c WHERE c.sale_id = gone.sale_id AND c.kind = 'earned')
UNION
SELECT item_id FROM gone JOIN reversal r USING (sale_id)
 WHERE sale_id = ANY(%(undone)s) AND r.step = 'reversed'
   AND (gone.created_at, gone.id) > (r.created_at, r.id)
   AND NOT EXISTS (SELECT FROM commission_entry c WHERE c.sale_item_id = gone.item_id)
"""


async def standing(
    tx: AsyncSession, whose: Collection[tuple[UUID, date]]
) -> dict[tuple[UUID, date], int]:
    """Add up what the months of technicians come to by now, in fen."""
    given = {
        "technicians": [technician for technician, _ in whose],
        "months": [month for _, month in whose],
    }
    return {(row[0], row[1]): row[2] for row in await fetched(tx, _STANDING, given)}


_STANDING = """
SELECT e.technician_id, e.month, sum(e.fen)::bigint
  FROM unnest(%(technicians)s::uuid[], %(months)s::date[]) AS asked (technician_id, month)
  JOIN commission_entry e USING (technician_id, month)
 GROUP BY e.technician_id, e.month
"""
