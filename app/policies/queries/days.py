"""What suggestions came to by the day: added up at night, so that a season is few rows to read."""

from collections.abc import Sequence
from datetime import date

from sqlalchemy import BigInteger, Date, Row, cast, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.policies.models import PolicyDay, PolicyGroupDay
from app.policies.queries import guards
from app.policies.queries.log import TAKEN_BACK
from app.policies.rules.fairness import Fared
from app.policies.rules.metrics import Metric
from app.suggestions.queries import LAST_WORD

# A day's complaints and cancellations are known 30 days later, who has left 90 days later.
YOUNG_DAYS, OLD_DAYS = 31, 91

_INTO = "INSERT INTO policy_day (day, org_unit_id, version, metric, part, whole, left_out)\n"

# Of which visit a decision is, or null where nobody came to the door: what was taken ahead is of
# the visit that came of it on the same local day.
_VISIT = """coalesce(decision.visit_id, (
            SELECT visit.id FROM visit
            WHERE visit.work_order_id = decision.work_order_id
            AND visit.technician_id = decision.technician_id
            AND visit.travel_started_at >= decision.at
            AND timezone(:zone, visit.travel_started_at)::date
                = timezone(:zone, decision.at)::date
            ORDER BY visit.travel_started_at LIMIT 1
        ))"""

# The newest answer to each suggestion of some local days, with all that is counted of it.
_SAID = f"""
WITH said AS (
    SELECT DISTINCT ON (answer.suggestion_id) answer.answer, answer.reason, answer.at,
        answer.customer_id, answer.pitched, coalesce(answer.answer = 'accepted', false) AS accepted,
        suggestion.id, suggestion.p_accept, suggestion.value_fen, suggestion.score_fen,
        suggestion.context * suggestion.lever AS times, customer.org_unit_id,
        coalesce({_VISIT}, decision.id) AS visit_id,
        coalesce(decision.model_version, decision.policy) AS version,
        timezone(:zone, answer.at)::date AS day, customer.segment, customer.elderly,
        decision.facts ->> 'tier' AS tier, decision.facts ->> 'stage' AS stage,
        {TAKEN_BACK} AS cancelled
    FROM suggestion_answer AS answer
    JOIN suggestion ON suggestion.id = answer.suggestion_id
    JOIN suggestion_decision AS decision ON decision.id = suggestion.decision_id
    JOIN customer ON customer.id = answer.customer_id
    WHERE answer.at >= timezone(:zone, CAST(:first AS timestamp))
    AND answer.at < timezone(:zone, CAST(:last AS timestamp) + interval '1 day')
    ORDER BY answer.suggestion_id, {LAST_WORD.format("answer")}
)
"""  # noqa: S608 - text of our own

ANSWERED = text(
    f"""{_INTO}{_SAID}
SELECT day, org_unit_id, version, figure.metric, figure.part, figure.whole, figure.left_out
FROM (
    SELECT day, org_unit_id, version,
        count(*) FILTER (WHERE accepted) AS yes,
        count(*) FILTER (WHERE pitched) AS pitched,
        count(*) FILTER (WHERE NOT pitched) AS silent,
        count(*) FILTER (WHERE accepted AND NOT cancelled AND day <= :kept_until) AS kept,
        count(*) FILTER (WHERE accepted AND day <= :kept_until) AS old_yes,
        count(*) FILTER (WHERE answer = 'declined') AS refused,
        count(*) FILTER (WHERE answer = 'declined' AND reason IS NOT NULL) AS reasoned,
        coalesce(sum(p_accept) FILTER (WHERE pitched), 0) AS foretold,
        count(*) FILTER (WHERE accepted AND p_accept IS NOT NULL) AS foretold_yes,
        count(*) FILTER (WHERE pitched AND p_accept IS NULL) AS not_foretold
    FROM said GROUP BY day, org_unit_id, version
) AS counted
CROSS JOIN LATERAL (VALUES
    ('acceptance', yes, pitched, silent),
    ('kept_30', kept, old_yes, yes - old_yes),
    ('reasons_given', reasoned, refused, 0),
    ('calibration', foretold, foretold_yes, not_foretold)
) AS figure (metric, part, whole, left_out)
WHERE figure.whole > 0 OR figure.left_out > 0 OR figure.part > 0
"""  # noqa: S608 - text of our own
)

# A visit's value is what was accepted in it and not taken back, less what the contacts cost.
VALUE = text(
    f"""{_INTO}{_SAID},
decided AS (
    SELECT DISTINCT timezone(:zone, decision.at)::date AS day, customer.org_unit_id,
        coalesce(decision.model_version, decision.policy) AS version,
        {_VISIT} AS visit_id
    FROM suggestion_decision AS decision
    JOIN customer ON customer.id = decision.customer_id
    WHERE decision.at >= timezone(:zone, CAST(:first AS timestamp))
    AND decision.at < timezone(:zone, CAST(:last AS timestamp) + interval '1 day')
),
brought AS (
    SELECT visit_id, version, sum(
        CASE WHEN accepted AND NOT cancelled THEN coalesce(value_fen, 0) ELSE 0 END
        - CASE WHEN pitched THEN greatest(
            coalesce(p_accept * value_fen * times, 0) - score_fen, 0) ELSE 0 END
    ) AS fen
    FROM said GROUP BY visit_id, version
)
SELECT day, org_unit_id, version, 'value_per_visit', coalesce(sum(fen), 0), count(*), 0
FROM decided LEFT JOIN brought USING (visit_id, version)
WHERE visit_id IS NOT NULL
GROUP BY day, org_unit_id, version
"""  # noqa: S608 - text of our own
)

COMPLAINTS = text(
    f"""{_INTO}{_SAID},
visits AS (
    SELECT day, org_unit_id, version, visit_id, bool_or(EXISTS (
        SELECT FROM interaction
        WHERE interaction.customer_id = said.customer_id AND interaction.kind = 'complaint'
        AND interaction.at > said.at AND interaction.at <= said.at + interval '14 days'
    )) AS complained
    FROM said WHERE pitched GROUP BY day, org_unit_id, version, visit_id
)
SELECT day, org_unit_id, version, 'complaints_14',
    count(*) FILTER (WHERE complained AND day <= :complained_until),
    count(*) FILTER (WHERE day <= :complained_until),
    count(*) FILTER (WHERE day > :complained_until)
FROM visits GROUP BY day, org_unit_id, version
"""  # noqa: S608 - text of our own
)

VIOLATIONS = text(
    f"""{_INTO}{guards.PITCHED_AGAINST}
SELECT timezone(:zone, judged.at)::date, customer.org_unit_id, judged.version,
    'guard_violations',
    count(*) FILTER (WHERE against), count(*), 0
FROM judged JOIN customer ON customer.id = judged.customer_id
GROUP BY 1, 2, 3
"""  # noqa: S608 - text of our own
)

# How groups fare: by tier and stage as they were when it was decided. Who is offered nothing for
# the sake of the comparison is left out, whoever they are. Of a visit with several decisions
# something was offered if any of them did.
GROUPS = text(
    f"""
INSERT INTO policy_group_day
    (day, org_unit_id, kind, "group", visits, offered, pitched, accepted, cancelled)
{_SAID},
decided AS (
    SELECT timezone(:zone, decision.at)::date AS day, customer.org_unit_id,
        customer.segment, customer.elderly, max(decision.facts ->> 'tier') AS tier,
        max(decision.facts ->> 'stage') AS stage,
        bool_or(decision.held_back IS NULL) AS offered
    FROM suggestion_decision AS decision
    JOIN customer ON customer.id = decision.customer_id
    WHERE decision.at >= timezone(:zone, CAST(:first AS timestamp))
    AND decision.at < timezone(:zone, CAST(:last AS timestamp) + interval '1 day')
    AND decision."group" <> 'holdout'
    GROUP BY 1, decision.work_order_id, customer.id
)
SELECT day, org_unit_id, kind, coalesce(name, 'unknown'), sum(visits), sum(offered), sum(pitched),
    sum(accepted), sum(cancelled)
FROM (
    SELECT day, org_unit_id, tier, stage, segment, elderly, 1 AS visits, offered::int AS offered,
        0 AS pitched, 0 AS accepted, 0 AS cancelled FROM decided
    UNION ALL
    SELECT day, org_unit_id, tier, stage, segment, elderly, 0, 0, pitched::int, accepted::int,
        cancelled::int FROM said
) AS counted
CROSS JOIN LATERAL (VALUES
    ('tier', tier), ('stage', stage), ('segment', segment),
    ('elderly', CASE WHEN elderly THEN 'yes' ELSE 'no' END)
) AS of_group (kind, name)
GROUP BY 1, 2, 3, 4
"""  # noqa: S608 - text of our own
)

# Of all channels, so it is nobody's policy alone.
CONTACTS = text(
    f"""{_INTO}
SELECT day, org_unit_id, '', 'contacts_per_customer', sum(contacts), count(*), 0
FROM (
    SELECT today.day, today.org_unit_id, today.customer_id,
        count(DISTINCT (coalesce(before.work_order_id, before.id))) AS contacts
    FROM (
        SELECT DISTINCT timezone(:zone, interaction.at)::date AS day, customer.org_unit_id,
            interaction.customer_id
        FROM interaction JOIN customer ON customer.id = interaction.customer_id
        WHERE interaction.kind = 'sales'
        AND interaction.at >= timezone(:zone, CAST(:first AS timestamp))
        AND interaction.at < timezone(:zone, CAST(:last AS timestamp) + interval '1 day')
    ) AS today
    JOIN interaction AS before ON before.customer_id = today.customer_id
        AND before.kind = 'sales'
        AND before.at >= timezone(:zone, today.day::timestamp - interval '29 days')
        AND before.at < timezone(:zone, today.day::timestamp + interval '1 day')
    GROUP BY today.day, today.org_unit_id, today.customer_id
) AS counted
GROUP BY day, org_unit_id
"""  # noqa: S608 - text of our own
)

# Who had a service on the day and none 90 days later has left.
CHURN = text(
    f"""{_INTO}
SELECT day, org_unit_id, version,
    CASE WHEN held_out THEN 'churn_90_holdout' ELSE 'churn_90_treated' END,
    count(*) FILTER (WHERE left_us), count(*), 0
FROM (
    SELECT DISTINCT ON (timezone(:zone, decision.at)::date, decision.customer_id)
        timezone(:zone, decision.at)::date AS day, customer.org_unit_id,
        coalesce(decision.model_version, decision.policy) AS version,
        decision."group" = 'holdout' AS held_out,
        NOT EXISTS (
            SELECT FROM subscription
            WHERE subscription.customer_id = decision.customer_id
            AND started_on <= timezone(:zone, decision.at)::date + 90
            AND (ended_on IS NULL OR ended_on > timezone(:zone, decision.at)::date + 90)
        ) AS left_us
    FROM suggestion_decision AS decision
    JOIN customer ON customer.id = decision.customer_id
    WHERE decision.at >= timezone(:zone, CAST(:first AS timestamp))
    AND decision.at < timezone(:zone, CAST(:last AS timestamp) + interval '1 day')
    AND EXISTS (
        SELECT FROM subscription
        WHERE subscription.customer_id = decision.customer_id
        AND started_on <= timezone(:zone, decision.at)::date
        AND (ended_on IS NULL OR ended_on > timezone(:zone, decision.at)::date)
    )
    ORDER BY timezone(:zone, decision.at)::date, decision.customer_id, decision.id
) AS customers
GROUP BY day, org_unit_id, version, held_out
"""  # noqa: S608 - text of our own
)

CHURNED = (Metric.CHURN_90_TREATED, Metric.CHURN_90_HOLDOUT)


async def forget(tx: AsyncSession, first: date, last: date, *, churn: bool) -> None:
    """Take away the figures of some days, those of who left or all the others."""
    which = PolicyDay.metric.in_(CHURNED)
    await tx.execute(
        delete(PolicyDay).where(PolicyDay.day.between(first, last), which if churn else ~which)
    )
    if not churn:
        await tx.execute(delete(PolicyGroupDay).where(PolicyGroupDay.day.between(first, last)))


async def groups(session: AsyncSession, org_path: str, first: date, last: date) -> list[Fared]:
    """Add up how groups fared in an org unit's subtree on local days, by the calendar month."""
    month = cast(func.date_trunc("month", PolicyGroupDay.day), Date)
    counted = [getattr(PolicyGroupDay, name) for name in Fared._fields[3:]]
    rows = await session.execute(
        select(
            month,
            PolicyGroupDay.kind,
            PolicyGroupDay.group,
            *(cast(func.sum(one), BigInteger) for one in counted),
        )
        .join(OrgUnit, OrgUnit.id == PolicyGroupDay.org_unit_id)
        .where(
            PolicyGroupDay.day.between(first, last),
            OrgUnit.path.startswith(org_path, autoescape=True),
        )
        .group_by(month, PolicyGroupDay.kind, PolicyGroupDay.group)
    )
    return [Fared._make(row) for row in rows]


async def report(
    session: AsyncSession, org_path: str, first: date, last: date, version: str | None
) -> Sequence[Row[Metric, float, float, int]]:
    """Add up the figures of local days in an org unit's subtree, by metric."""
    statement = (
        select(
            PolicyDay.metric,
            func.sum(PolicyDay.part).label("part"),
            func.sum(PolicyDay.whole).label("whole"),
            func.sum(PolicyDay.left_out).label("left_out"),
        )
        .join(OrgUnit, OrgUnit.id == PolicyDay.org_unit_id)
        .where(
            PolicyDay.day.between(first, last),
            OrgUnit.path.startswith(org_path, autoescape=True),
        )
        .group_by(PolicyDay.metric)
    )
    if version is not None:
        statement = statement.where(PolicyDay.version == version)
    return (await session.execute(statement)).all()
