"""Following what the ordering system says of sales."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import product
from json import dumps
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.db import fetched, new_id
from app.retention.service import give_back
from app.sales import queries, rules
from app.sales.models import Sale
from app.sales.rules import SaleState, Standing
from app.sales.service.codes import give_codes_back
from app.sales.service.ledger import AGAIN, enter_news, standing


async def follow(
    tx: AsyncSession, *, sale_id: UUID, state: SaleState, at: datetime, reason: str | None = None
) -> Sale:
    """Set what the ordering system says of a sale; news that is older than what is known is
    left aside, so it can be told twice and out of order. Raises NotFound."""
    sale = await queries.for_change(tx, sale_id)
    if not rules.reached(sale.state, state):
        return sale
    known = standing(sale)
    sale.state = state
    # Whatever is told of it, it was sent: the news of that may be lost, or overtaken.
    sale.sent_at = sale.sent_at or at
    if state is SaleState.ACKNOWLEDGED:
        sale.acknowledged_at = at
    elif state is SaleState.COMPLETED:
        sale.acknowledged_at = sale.acknowledged_at or at
        sale.completed_at = at
    elif state in (SaleState.REJECTED, SaleState.CANCELLED):
        sale.rejected_reason = reason
        if known.acknowledged:
            sale.reversed_at = sale.reversed_at or at
        else:
            await give_codes_back(tx, sale, now=at)
    await enter_news(tx, sale, known, at=at)
    return sale


@dataclass(frozen=True)
class News:
    """What the ordering system says of a sale, with its words where it turned the order down."""

    state: SaleState
    reason: str | None = None


async def follow_many(tx: AsyncSession, news: Mapping[UUID, News], *, at: datetime) -> None:
    """Set what the ordering system says of many sales and enter it into their ledgers, in one
    statement; what is older than what is known is left aside. Sales that end before their orders
    were taken give back their approval codes, where they have used some."""
    if not news:
        return
    ids = sorted(news)
    given = {
        "ids": ids,
        "states": [news[id_].state.value for id_ in ids],
        "reasons": [news[id_].reason for id_ in ids],
        "at": at,
        "event_ids": [new_id() for _ in range(_MOST_STEPS * len(ids))],
    }
    moved = await fetched(tx, _FOLLOW_MANY, given)
    audit.note(tx, table="sale", operation="update", ids=[id_ for id_, *_ in moved])
    # One order of the customers for all, so that no two can wait for each other.
    ended = sorted((customer_id, id_, used) for id_, customer_id, used in moved if used)
    for customer_id, id_, used in ended:
        await give_back(tx, used, sale_id=id_, customer_id=customer_id, now=at)


# What news can be about.
_HEARD_OF = (
    SaleState.SENT,
    SaleState.ACKNOWLEDGED,
    SaleState.CANCELLING,
    SaleState.REJECTED,
    SaleState.COMPLETED,
    SaleState.CANCELLED,
)
# Both tables are part of the statement, since they never change: handed over each time they cost as
# much as all the rest of it. From which states news may move a sale ...
_FROM = {told: [known for known in SaleState if rules.reached(known, told)] for told in _HEARD_OF}
_MOVES = ", ".join(f"('{told}', '{{{','.join(known)}}}'::text[])" for told, known in _FROM.items())
# ... and what a ledger has to say of that. It is the same from all of them.
_TOLD = [
    (told, known, nth, step, facts)
    for told in _HEARD_OF
    for known in map(Standing._make, product([SaleState.SENT], (False, True), (False, True)))
    for nth, (step, facts) in enumerate(rules.steps_told(known, told))
]
_MOST_STEPS = 1 + max(nth for *_, nth, _, _ in _TOLD)
_STEPS = ", ".join(
    f"('{told}', {known.acknowledged}, {known.reversed}, {nth}, '{step}', '{dumps(facts)}'::jsonb)"
    for told, known, nth, step, facts in _TOLD
)
# Whatever is told of a sale, it was sent: the news of that may be lost, or overtaken.
_FOLLOW_MANY = f"""
WITH move (told, known) AS (VALUES {_MOVES}),
step (told, acknowledged, reversed, nth, step, facts) AS (VALUES {_STEPS}),
was AS MATERIALIZED (
    -- Locked and read as they are then: a customer's return may be on its way in.
    SELECT id, state, acknowledged_at, reversed_at FROM sale
     WHERE id = ANY(%(ids)b::uuid[]) ORDER BY id FOR UPDATE
), moved AS (
    UPDATE sale
       SET state = news.state, sent_at = coalesce(sale.sent_at, %(at)s),
           acknowledged_at = CASE WHEN news.state = 'acknowledged' THEN %(at)s
                                  WHEN news.state = 'completed'
                                  THEN coalesce(sale.acknowledged_at, %(at)s)
                                  ELSE sale.acknowledged_at END,
           completed_at = CASE news.state WHEN 'completed' THEN %(at)s ELSE sale.completed_at END,
           rejected_reason = CASE WHEN news.state IN ('rejected', 'cancelled') THEN news.reason
                                  ELSE sale.rejected_reason END,
           reversed_at = CASE WHEN news.state IN ('rejected', 'cancelled')
                               AND was.acknowledged_at IS NOT NULL
                              THEN coalesce(sale.reversed_at, %(at)s)
                              ELSE sale.reversed_at END,
           version = sale.version + 1
      FROM unnest(%(ids)b::uuid[], %(states)b::text[], %(reasons)b::text[])
           AS news (id, state, reason)
      JOIN was USING (id) JOIN move ON move.told = news.state
     WHERE sale.id = news.id AND was.state = ANY(move.known)
    RETURNING sale.id, sale.customer_id, news.state AS told,
              was.acknowledged_at IS NOT NULL AS acknowledged,
              was.reversed_at IS NOT NULL AS reversed
), entry AS (
    SELECT moved.id AS sale_id, step, facts, row_number() OVER (ORDER BY moved.id, nth) AS place
      FROM moved JOIN step USING (told, acknowledged, reversed)
), entered AS (
    INSERT INTO sale_event (id, sale_id, step, at, facts)
    SELECT e.id, entry.sale_id, entry.step, %(at)s, entry.facts || {AGAIN}
      FROM entry JOIN unnest(%(event_ids)b::uuid[]) WITH ORDINALITY AS e (id, place) USING (place)
)
SELECT id, customer_id,
       CASE WHEN told IN ('rejected', 'cancelled') AND NOT acknowledged
            THEN (SELECT array_agg(special_terms_id) FROM sale_item
                   WHERE sale_id = moved.id AND special_terms_id IS NOT NULL) END
  FROM moved
"""  # noqa: S608 - text of our own
