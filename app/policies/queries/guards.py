"""Whether anything was pitched against a guard, told from the ledger alone.

These statements share nothing with the gates that should have held it back: a mistake of theirs
must not hide here. They ask about what is beyond doubt afterwards.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.parameter_values import parameters_in_force
from app.suggestions.rules.limits import limits_in_force

# What was pitched in a time, each visit of a customer once, with what the ledger says of it.
# A contact in the visit itself is not one before it.
PITCHED_AGAINST = """
WITH pitched AS (
    SELECT DISTINCT ON (answer.suggestion_id) answer.suggestion_id, answer.at, answer.customer_id,
        suggestion.offering_code, suggestion.held_back,
        coalesce(decision.visit_id, decision.id) AS visit_id, decision.work_order_id,
        decision.technician_id, decision.at AS decided_at,
        coalesce(decision.model_version, decision.policy) AS version
    FROM suggestion_answer AS answer
    JOIN suggestion ON suggestion.id = answer.suggestion_id
    JOIN suggestion_decision AS decision ON decision.id = suggestion.decision_id
    WHERE answer.at > :since AND answer.at <= :until
    AND answer.pitched
    ORDER BY answer.suggestion_id, answer.at
),
judged AS (
    SELECT pitched.*,
        pitched.held_back IS NOT NULL
        OR (
            SELECT count(DISTINCT coalesce(contact.work_order_id, contact.id))
            FROM interaction AS contact
            WHERE contact.customer_id = pitched.customer_id AND contact.kind = 'sales'
            AND contact.at > pitched.decided_at - interval '30 days'
            AND contact.at < pitched.decided_at
            AND contact.work_order_id IS DISTINCT FROM pitched.work_order_id
        ) >= :contacts_month
        OR EXISTS (
            SELECT FROM interaction AS complaint
            WHERE complaint.customer_id = pitched.customer_id AND complaint.kind = 'complaint'
            AND complaint.at < pitched.decided_at
            AND coalesce(complaint.closed_at, 'infinity')
                > pitched.decided_at - :complaint_days * interval '1 day'
        )
        OR EXISTS (
            SELECT FROM customer
            WHERE customer.id = pitched.customer_id AND customer.do_not_disturb
            AND customer.do_not_disturb_since < pitched.decided_at
        )
        OR row_number() OVER (PARTITION BY visit_id ORDER BY pitched.at, suggestion_id) > 1
            AS against
    FROM pitched
)
"""

_VIOLATIONS = text(
    f"""{PITCHED_AGAINST}
SELECT count(*) FROM judged
WHERE against AND (CAST(:version AS text) IS NULL OR version = :version)
"""  # noqa: S608 - text of our own
)


async def bounds(session: AsyncSession, now: datetime) -> dict[str, Any]:
    """Return the numbers by which it is judged: those in force for everybody."""
    limits = limits_in_force(await parameters_in_force(session), now, "")
    return {
        "contacts_month": int(limits.contacts_month),
        # A local day less, since hours of the first and the last day are not looked at here.
        "complaint_days": max(limits.complaint_days - 1, 0),
    }


async def violations(
    session: AsyncSession, since: datetime, until: datetime, version: str | None = None
) -> int:
    """Count what was pitched against a guard, by one model or by all."""
    given = {"since": since, "until": until, "version": version}
    found = await session.scalar(_VIOLATIONS, given | await bounds(session, until))
    return int(found or 0)
