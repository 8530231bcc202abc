"""Reads and writes of pushes: what is known already, whose order something is about, verdicts."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Rows, fetched, new_id, put
from app.sync.rules import ActionVerdict, Judgement, Kind


async def one_at_a_time(tx: AsyncSession, technician_id: UUID) -> None:
    """Let the phones of one technician push one after the other, until the transaction ends."""
    await fetched(
        tx,
        "SELECT pg_advisory_xact_lock(hashtextextended('sync' || %(id)s::text, 0))::text",
        {"id": technician_id},
    )


async def is_open(tx: AsyncSession, account_id: UUID) -> bool:
    """Tell whether an account is open."""
    rows = await fetched(tx, "SELECT active FROM account WHERE id = %(id)s", {"id": account_id})
    return bool(rows and rows[0][0])


class Known(NamedTuple):
    """An action that has its verdict already."""

    id: UUID
    technician_id: UUID
    content_hash: str
    verdict: ActionVerdict
    code: str | None
    words_zh: str | None
    words_en: str | None
    judgement: Judgement | None


async def known(tx: AsyncSession, ids: Collection[UUID]) -> dict[UUID, Known]:
    """Find the actions that were pushed before, by whomever."""
    rows = await fetched(tx, _KNOWN, {"ids": list(ids)})
    return {row[0]: Known._make(row) for row in rows}


_KNOWN = """
    SELECT id, technician_id, content_hash, verdict, code, words_zh, words_en, judgement
    FROM sync_action WHERE id = ANY(%(ids)s)
"""


async def orders_behind(
    tx: AsyncSession, technician_id: UUID, ids: Collection[UUID]
) -> dict[UUID, UUID]:
    """Tell which order a technician's own visits and sales are about, by their ids; also those
    that a phone has begun and that were refused, since what followed them is pushed as well."""
    rows = await fetched(
        tx, _BEHIND, {"technician_id": technician_id, "ids": [str(one) for one in ids]}
    )
    return dict(rows)


_BEHIND = """
    SELECT (payload ->> 'id')::uuid, work_order_id FROM sync_action
    WHERE technician_id = %(technician_id)s AND type IN ('visits_set_out', 'sales_put_together')
        AND work_order_id IS NOT NULL AND payload ->> 'id' = ANY(%(ids)s::text[])
    UNION ALL
    SELECT id, work_order_id FROM visit
    WHERE id = ANY(%(ids)s::text[]::uuid[]) AND technician_id = %(technician_id)s
    UNION ALL
    SELECT id, work_order_id FROM sale
    WHERE id = ANY(%(ids)s::text[]::uuid[]) AND technician_id = %(technician_id)s
"""


async def of_nobody(tx: AsyncSession, named: Mapping[str, Collection[UUID]]) -> set[UUID]:
    """List those of some things whose customer was erased, by the names under which actions have
    them (`SUBJECTS`)."""
    given = {name: list(ids) for name, ids in named.items() if ids}
    if not given:
        return set()
    return {row[0] for row in await fetched(tx, _of_nobody(tuple(sorted(given))), given)}


_BY_ORDER = "JOIN work_order AS o ON o.id = work_order_id"
_BY_VISIT = f"JOIN visit AS v ON v.id = visit_id {_BY_ORDER}"
# What an action may name, and where it stands whose that is.
SUBJECTS = {
    "work_order_id": ("t.customer_id", "work_order AS t"),
    "customer_id": ("t.id", "customer AS t"),
    "visit_id": ("o.customer_id", f"visit AS t {_BY_ORDER}"),
    "sale_id": ("t.customer_id", "sale AS t"),
    "case_id": ("t.customer_id", "retention_case AS t"),
    "suggestion_id": (
        "d.customer_id",
        "suggestion AS t JOIN suggestion_decision AS d ON d.id = t.decision_id",
    ),
    "terms_id": ("t.customer_id", "special_terms AS t"),
    "recovery_id": ("t.customer_id", "recovery AS t"),
    "escalation_id": ("o.customer_id", f"escalation AS t {_BY_ORDER}"),
    "reservation_id": ("o.customer_id", f"install_reservation AS t {_BY_VISIT}"),
    "upload_id": ("o.customer_id", f"evidence AS t {_BY_ORDER}"),
}


@lru_cache
def _of_nobody(names: tuple[str, ...]) -> str:
    """Only what is named is looked at: a push names few kinds, and what is suggested lies in many
    partitions."""
    subjects = " UNION ALL ".join(
        f"SELECT t.id, {customer} FROM {found} WHERE t.id = ANY(%({name})s::uuid[])"  # noqa: S608
        for name in names
        for customer, found in [SUBJECTS[name]]
    )
    return f"""
        SELECT subject.id FROM ({subjects}) AS subject (id, customer_id)
        JOIN customer AS c ON c.id = subject.customer_id WHERE c.erased_at IS NOT NULL
    """  # noqa: S608 - text of our own


async def told_of(
    tx: AsyncSession, technician_id: UUID, kind: Kind, ids: Collection[UUID]
) -> Sequence[UUID]:
    """List those of some things that a technician's phones were ever told of."""
    given = {"technician_id": technician_id, "kind": kind.value, "ids": list(ids)}
    return [row[0] for row in await fetched(tx, _TOLD_OF, given)]


_TOLD_OF = """
    SELECT row_id FROM sync_row
    WHERE technician_id = %(technician_id)s AND kind = %(kind)s AND row_id = ANY(%(ids)s)
"""


async def suggested_for(tx: AsyncSession, suggestion_ids: Collection[UUID]) -> Sequence[UUID]:
    """List the orders for which some things were suggested: by these phones are told of them."""
    rows = await fetched(
        tx,
        """
        SELECT DISTINCT d.work_order_id FROM suggestion AS s
        JOIN suggestion_decision AS d ON d.id = s.decision_id WHERE s.id = ANY(%(ids)s)
        """,
        {"ids": list(suggestion_ids)},
    )
    return [row[0] for row in rows]


async def lock_orders(tx: AsyncSession, technician_id: UUID, ids: Collection[UUID]) -> None:
    """Lock the technician's orders among some, by their ids: two pushes, or a push and a bulk move,
    that want the same wait for each other and do not dead-lock."""
    await fetched(
        tx,
        """
        SELECT id FROM work_order WHERE id = ANY(%(ids)s) AND holder_id = %(technician_id)s
        ORDER BY id FOR NO KEY UPDATE
        """,
        {"ids": sorted(ids), "technician_id": technician_id},
    )


class Moved(NamedTuple):
    """An order that was a technician's and is no more: whose it is, and since when it is not."""

    holder_id: UUID | None
    state: str
    moved_at: datetime | None


async def moved_away(tx: AsyncSession, order_id: UUID, technician_id: UUID) -> Moved | None:
    """Find out where an order has gone; None when it never was the technician's, or still is and
    goes on.

    It left them with the first move after their own last step with it, or with the last one where
    they took none.
    """
    rows = await fetched(tx, _MOVED, {"order_id": order_id, "technician_id": technician_id})
    return Moved._make(rows[0]) if rows else None


_LEFT = "('assign', 'transfer', 'unplace', 'hand_back', 'decline', 'cancel', 'resolve')"
_MOVED = f"""
    SELECT o.holder_id, o.state, coalesce(
        (SELECT min(e.at) FROM work_order_event AS e
         WHERE e.work_order_id = o.id AND e.step IN {_LEFT} AND e.id > (
            SELECT own.id FROM work_order_event AS own
            WHERE own.work_order_id = o.id AND own.technician_id = %(technician_id)s
                AND own.step IS NOT NULL
            ORDER BY own.id DESC LIMIT 1)),
        (SELECT max(e.at) FROM work_order_event AS e
         WHERE e.work_order_id = o.id AND e.step IN {_LEFT})
    )
    FROM work_order AS o
    WHERE o.id = %(order_id)s
        AND (o.holder_id IS DISTINCT FROM %(technician_id)s OR o.state = 'cancelled')
        AND EXISTS (
            SELECT FROM sync_row WHERE technician_id = %(technician_id)s AND row_id = o.id
                AND kind IN ('holding', 'work_order')
        )
"""  # noqa: S608 - text of our own


async def whose_phones(
    tx: AsyncSession, order_ids: Collection[UUID]
) -> Sequence[tuple[UUID, UUID]]:
    """List whose phones orders are on, whoever holds them and who is asked to help: (technician,
    order) each.

    The orders stay with them until the transaction ends: whoever gets one then finds what this one
    has written.
    """
    given = {"ids": sorted(order_ids)}
    await fetched(tx, _STAY, given)
    # A statement of its own: what others have just committed is not seen by the one that waited.
    return [(row[0], row[1]) for row in await fetched(tx, _WHOSE, given)]


_STAY = "SELECT id FROM work_order WHERE id = ANY(%(ids)s) ORDER BY id FOR SHARE"
_WHOSE = """
    SELECT holder_id, id FROM work_order WHERE id = ANY(%(ids)s) AND holder_id IS NOT NULL
    UNION ALL
    SELECT technician_id, work_order_id FROM work_assist
    WHERE work_order_id = ANY(%(ids)s) AND ended_at IS NULL
"""


_COLUMNS = (
    "id technician_id account_id device type payload base_version device_at received_at"
    " content_hash verdict code words_zh words_en facts work_order_id judgement moved_to"
)


async def write_down(tx: AsyncSession, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write actions with their verdicts down."""
    names = _COLUMNS.split()
    written = [
        [
            orjson.dumps(value).decode()
            if name in ("payload", "facts") and value is not None
            else value
            for name, value in ((name, row[name]) for name in names)
        ]
        for row in rows
    ]
    await put(tx, Rows("sync_action", _COLUMNS, written))


async def tell_history(
    tx: AsyncSession,
    order_id: UUID,
    *,
    technician_id: UUID,
    account_id: UUID,
    device_at: datetime,
    at: datetime,
    reason: str,
    facts: Mapping[str, Any],
) -> None:
    """Write into an order's history what somebody says to have done there when it was no longer
    theirs: it moves nowhere by that, and whoever reads the history sees it."""
    await fetched(
        tx,
        _HISTORY,
        {
            "id": new_id(),
            "order_id": order_id,
            "technician_id": technician_id,
            "account_id": account_id,
            "device_at": device_at,
            "at": at,
            "reason": reason,
            "facts": orjson.dumps(dict(facts)).decode(),
        },
    )


_HISTORY = """
    INSERT INTO work_order_event (id, work_order_id, at, device_at, account_id, technician_id,
        from_state, to_state, reason, facts)
    SELECT %(id)s, o.id, %(at)s, %(device_at)s, %(account_id)s, %(technician_id)s,
        o.state, o.state, %(reason)s, %(facts)s::jsonb
    FROM work_order AS o WHERE o.id = %(order_id)s
    RETURNING 1
"""
