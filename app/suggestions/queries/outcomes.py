"""What came of suggestions, settled by sets."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_connection

KEPT_AFTER, COMPLAINED_WITHIN = timedelta(days=30), timedelta(days=14)

# For so long answers are looked at when they are new, and again when something of them can be
# told: whoever settles may have stood still, and phones come late.
LOOKED_AT = timedelta(days=7)

# Whether what was sold came to nothing, of rows named `sale` and `sale_item`: the order was refused
# or cancelled, or the customer brought back all of it or this one thing.
CAME_BACK = """(sale.state IN ('cancelled', 'rejected')
            OR num_nonnulls(sale.reversed_at, sale_item.reversed_at, sale_item.removed_at) > 0)"""

# By which the last word of an answer comes first, of rows under a name: a pitch of whose answer
# nobody has told yet counts only until somebody has, whatever clock it was told by.
LAST_WORD = "{0}.answer IS NULL, {0}.at DESC, {0}.created_at DESC, {0}.id DESC"

# A sale counts for the suggestion it was made on; what was taken back by then was not kept.
_SETTLE = f"""
    INSERT INTO suggestion_outcome (suggestion_id, decision_id, customer_id, answered_at, pitched,
        accepted, kept_30, complained_14, settled_at)
    SELECT said.suggestion_id, suggestion.decision_id, said.customer_id, said.at, said.pitched,
        said.accepted,
        CASE WHEN said.accepted AND said.at <= %(now)s - %(kept)s THEN EXISTS (
            SELECT FROM sale JOIN sale_item ON sale_item.sale_id = sale.id
            WHERE sale.customer_id = said.customer_id
            AND sale_item.suggestion_id = said.suggestion_id
            AND sale.state <> 'draft' AND NOT {CAME_BACK}
        ) END,
        CASE WHEN said.pitched AND (heard.complained OR said.at <= %(now)s - %(within)s)
            THEN heard.complained END,
        %(now)s
    FROM (
        SELECT DISTINCT ON (suggestion_id) suggestion_id, customer_id, at,
            coalesce(answer = 'accepted', false) AS accepted,
            bool_or(pitched) OVER (PARTITION BY suggestion_id) AS pitched
        FROM suggestion_answer
        WHERE at > %(now)s - %(kept)s - %(looked)s AND suggestion_id IN (
            SELECT suggestion_id FROM suggestion_answer
            WHERE at > %(now)s - %(looked)s
            OR at BETWEEN %(now)s - %(within)s - %(looked)s AND %(now)s - %(within)s
            OR at BETWEEN %(now)s - %(kept)s - %(looked)s AND %(now)s - %(kept)s
        )
        ORDER BY suggestion_id, {LAST_WORD.format("suggestion_answer")}
    ) AS said
    JOIN suggestion ON suggestion.id = said.suggestion_id
    CROSS JOIN LATERAL (
        SELECT EXISTS (
            SELECT FROM interaction
            WHERE interaction.customer_id = said.customer_id AND kind = 'complaint'
            AND interaction.at > said.at AND interaction.at <= said.at + %(within)s
        ) AS complained
    ) AS heard
    ON CONFLICT (suggestion_id) DO UPDATE SET answered_at = excluded.answered_at,
        pitched = excluded.pitched, accepted = excluded.accepted,
        kept_30 = coalesce(suggestion_outcome.kept_30, excluded.kept_30),
        complained_14 = coalesce(suggestion_outcome.complained_14, excluded.complained_14),
        settled_at = excluded.settled_at
    WHERE (suggestion_outcome.pitched, suggestion_outcome.accepted)
        IS DISTINCT FROM (excluded.pitched, excluded.accepted)
    OR suggestion_outcome.kept_30 IS NULL AND excluded.kept_30 IS NOT NULL
    OR suggestion_outcome.complained_14 IS NULL AND excluded.complained_14 IS NOT NULL
"""  # noqa: S608 - text of our own


async def settle(tx: AsyncSession, now: datetime) -> int:
    """Write down what can be told of suggestions by now, and say of how many something is new."""
    await tx.flush()
    driver = await driver_connection(tx)
    given = {
        "now": now,
        "kept": KEPT_AFTER,
        "within": COMPLAINED_WITHIN,
        "looked": LOOKED_AT,
    }
    return (await driver.execute(_SETTLE, given)).rowcount
