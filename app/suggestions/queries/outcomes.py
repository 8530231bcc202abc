"""What came of suggestions: settled by sets, and given to whoever learns from it."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import driver_connection, fetched

KEPT_AFTER, COMPLAINED_WITHIN = timedelta(days=30), timedelta(days=14)

# For so long answers are looked at when they are new, and again when something of them can be
# told: whoever settles may have stood still, and phones come late.
LOOKED_AT = timedelta(days=7)

# A sale counts for the suggestion it was made on; what was taken back by then was not kept.
_SETTLE = """
    INSERT INTO suggestion_outcome (suggestion_id, decision_id, customer_id, answered_at, pitched,
        accepted, kept_30, complained_14, settled_at)
    SELECT said.suggestion_id, suggestion.decision_id, said.customer_id, said.at, said.pitched,
        said.accepted,
        CASE WHEN said.accepted AND said.at <= %(now)s - %(kept)s THEN EXISTS (
            SELECT FROM sale JOIN sale_item ON sale_item.sale_id = sale.id
            WHERE sale.customer_id = said.customer_id
            AND sale_item.suggestion_id = said.suggestion_id
            AND sale.state NOT IN ('draft', 'cancelled', 'rejected')
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
        ORDER BY suggestion_id, created_at DESC, id DESC
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
"""


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


class Outcome(NamedTuple):
    """One candidate that a gate let through, and what came of it; null is not known, or cannot be.

    `features` are what a model was told of it, `propensity` how likely it was put first, and `rank`
    where it was shown.
    """

    decision_id: UUID
    customer_id: UUID
    at: datetime
    policy: str
    model_version: str | None
    group: str
    suggestion_id: UUID
    offering_code: str
    rank: int | None
    features: Mapping[str, float]
    propensity: float
    value_fen: int | None
    pitched: bool
    accepted: bool
    kept_30: bool | None
    complained_14: bool | None


_BETWEEN = """
    SELECT decision.id, decision.customer_id, decision.at, decision.policy, decision.model_version,
        decision."group", suggestion.id, suggestion.offering_code, suggestion.rank,
        coalesce(suggestion.features, '{}'), suggestion.propensity, suggestion.value_fen,
        coalesce(outcome.pitched, false), coalesce(outcome.accepted, false),
        outcome.kept_30, outcome.complained_14
    FROM suggestion_decision AS decision
    JOIN suggestion ON suggestion.decision_id = decision.id
    LEFT JOIN suggestion_outcome AS outcome ON outcome.suggestion_id = suggestion.id
    WHERE decision.at >= %(begins)s AND decision.at < %(ends)s
    AND suggestion.propensity IS NOT NULL
    ORDER BY decision.at, decision.id, suggestion.offering_code
"""


async def outcomes_between(
    session: AsyncSession, begins: datetime, ends: datetime
) -> Sequence[Outcome]:
    """List what was chosen among in decisions from one moment until before another, and what came
    of it, the oldest first."""
    return [
        Outcome(*row) for row in await fetched(session, _BETWEEN, {"begins": begins, "ends": ends})
    ]
