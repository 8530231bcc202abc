"""What the levers are counted from: four statements over the customers of an org unit.

They are for a report and not for a screen that is looked at all day: their cost grows with the
customers of the unit and with what happened in the period.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.rules import ValueLever
from app.retention.queries.leavers import GONE_WITHIN
from app.retention.rules.cases import WARNED
from app.retention.rules.levers import Base, Contacts, Kept, Offers


class Period(NamedTuple):
    """Whose customers, and which moments; days are those of the org unit."""

    units: Sequence[UUID]
    begins: datetime
    ends: datetime
    first_day: date
    until_day: date

    @property
    def given(self) -> dict[str, Any]:
        """Write it as the statements take it."""
        return {**self._asdict(), "units": list(self.units)}


# The newest answer to a suggestion counts, as everywhere by when we heard of it; a pitch whose
# answer is not known counts as one until there is an answer. Whether something was pitched is the
# technician's word, whatever was answered: at an empty home it was not. A complaint or a call is
# asked of those alone whose days for it are over: of the others it is not known yet. Income is
# compared between the month before the answer and the month after it.
_OFFERS = text(
    """
    WITH answered AS (
        SELECT DISTINCT ON (a.suggestion_id) a.suggestion_id, a.customer_id, a.answer, a.pitched,
            a.competitor, a.at
        FROM customer c JOIN suggestion_answer a ON a.customer_id = c.id
        WHERE c.org_unit_id = ANY(CAST(:units AS uuid[])) AND a.at >= :begins AND a.at < :ends
        ORDER BY a.suggestion_id, a.answer IS NULL, a.created_at DESC, a.id DESC
    ), judged AS (
        SELECT a.*, o.levers, coalesce(a.answer = 'accepted', false) AS yes,
            EXISTS (
                SELECT FROM interaction i WHERE i.customer_id = a.customer_id
                    AND i.kind = 'complaint' AND i.at > a.at AND i.at <= a.at + interval '14 days'
            ) AS complained,
            EXISTS (
                SELECT FROM interaction i WHERE i.customer_id = a.customer_id
                    AND (i.kind = 'fault' OR i.kind = 'service' AND i.channel <> 'visit')
                    AND i.at > a.at
                    AND i.at <= a.at + interval '30 days'
            ) AS called,
            after.income_fen - before.income_fen AS more_fen
        FROM answered a
        JOIN suggestion s ON s.id = a.suggestion_id
        JOIN product_offering o ON o.id = s.offering_id
        LEFT JOIN customer_month before ON before.customer_id = a.customer_id
            AND before.month = (date_trunc('month', a.at) - interval '1 month')::date
        LEFT JOIN customer_month after ON after.customer_id = a.customer_id
            AND after.month = (date_trunc('month', a.at) + interval '1 month')::date
    )
    SELECT lever,
        count(*) FILTER (WHERE pitched) AS pitched,
        count(*) FILTER (WHERE yes) AS accepted,
        count(*) FILTER (
            WHERE pitched AND (answer IN ('accepted', 'later') OR competitor IS NOT NULL)
        ) AS open_to_it,
        count(*) FILTER (WHERE pitched AND at <= :now - interval '14 days') AS pitched_long_ago,
        count(*) FILTER (WHERE pitched AND complained AND at <= :now - interval '14 days')
            AS complained,
        count(*) FILTER (WHERE yes AND at <= :now - interval '30 days') AS accepted_long_ago,
        count(*) FILTER (WHERE yes AND called AND at <= :now - interval '30 days') AS called,
        count(more_fen) FILTER (WHERE yes) AS pays_known,
        count(*) FILTER (WHERE yes AND more_fen < 0) AS pays_less,
        count(*) FILTER (WHERE NOT pitched) AS not_pitched
    FROM judged CROSS JOIN LATERAL (
        SELECT unnest(levers) AS lever UNION ALL SELECT NULL
    ) AS each
    GROUP BY lever
    """
)


async def offers(
    session: AsyncSession, period: Period, *, now: datetime
) -> Mapping[ValueLever | None, Offers]:
    """Count what became of the offers of a period, for each lever and, under None, for all."""
    given = {**_only(period, "units begins ends"), "now": now}
    return {
        ValueLever(row.lever) if row.lever else None: Offers(
            *(getattr(row, name) for name in Offers._fields)
        )
        for row in await session.execute(_OFFERS, given)
    }


_BASE = text(
    """
    SELECT count(*) FILTER (WHERE stage IS DISTINCT FROM 'exit') AS customers,
        count(*) FILTER (WHERE stage IS DISTINCT FROM 'exit' AND undated) AS undated,
        count(*) FILTER (WHERE fresh) AS activated,
        count(*) FILTER (WHERE fresh AND (arrears_fen IS NOT NULL OR gone)) AS activated_known,
        count(*) FILTER (WHERE fresh AND (arrears_fen > 0 OR gone)) AS activated_bad,
        count(arrears_fen) FILTER (WHERE stage IS DISTINCT FROM 'exit') AS arrears_known,
        count(*) FILTER (WHERE stage IS DISTINCT FROM 'exit' AND arrears_fen > 0) AS owing,
        count(tier) FILTER (WHERE stage IS DISTINCT FROM 'exit' AND arrears_fen > 0)
            AS owing_tiered,
        count(*) FILTER (
            WHERE stage IS DISTINCT FROM 'exit' AND arrears_fen > 0 AND tier IN ('A', 'B')
        ) AS owing_good,
        count(*) FILTER (WHERE NOT undated AND (fresh OR stage IS DISTINCT FROM 'exit')) AS dated
    FROM (
        SELECT c.arrears_fen, l.stage, l.tier,
            coalesce(c.activated_on >= :first_day AND c.activated_on < :until_day, false) AS fresh,
            c.activated_on IS NULL AS undated, f.id IS NOT NULL AS gone
        FROM customer c
        LEFT JOIN customer_lifecycle l ON l.customer_id = c.id
        LEFT JOIN former_customer f ON f.customer_id = c.id AND f.returned_on IS NULL
        WHERE c.org_unit_id = ANY(CAST(:units AS uuid[]))
    ) AS c
    """
)


async def base(session: AsyncSession, period: Period) -> Base:
    """Count the customers, those who are new in a period, and those in arrears."""
    row = (await session.execute(_BASE, _only(period, "units first_day until_day"))).one()
    return Base(*row)


_CONTACTS = text(
    """
    SELECT coalesce(sum(service), 0)::bigint, coalesce(sum(electronic), 0)::bigint,
        count(*) FILTER (WHERE electronic = service),
        count(*) FILTER (WHERE electronic = service AND gone),
        count(*) FILTER (WHERE electronic < service),
        count(*) FILTER (WHERE electronic < service AND gone)
    FROM (
        SELECT count(*) AS service,
            count(*) FILTER (WHERE i.channel IN ('app', 'sms')) AS electronic,
            EXISTS (
                SELECT FROM former_customer f WHERE f.customer_id = c.id
                    AND f.left_on >= :first_day AND f.left_on < :until_day
            ) AS gone
        FROM customer c JOIN interaction i ON i.customer_id = c.id
        WHERE c.org_unit_id = ANY(CAST(:units AS uuid[])) AND i.kind = 'service'
            AND i.at >= :begins AND i.at < :ends
        GROUP BY c.id
    ) AS served
    """
)


async def contacts(session: AsyncSession, period: Period) -> Contacts:
    """Count the service contacts of a period, and who of those served has left in it."""
    return Contacts(*(await session.execute(_CONTACTS, period.given)).one())


# What special terms `t` were used for, as long as that stands: a sale that was taken back, or came
# to nothing, has cost no discount.
_SOLD = """
    JOIN sale ON sale.id = t.redeemed_for AND sale.confirmed_at IS NOT NULL
        AND sale.state NOT IN ('cancelled', 'rejected') AND sale.reversed_at IS NULL
    JOIN sale_item item ON item.sale_id = sale.id AND item.special_terms_id = t.id
        AND item.reversed_at IS NULL AND item.removed_at IS NULL
"""
_KEPT = text(
    f"""
    WITH cases AS (
        SELECT r.*, r.decided_at <= :old_enough AS old_enough,
            {GONE_WITHIN} AS gone,
            EXISTS (
                SELECT FROM special_terms t {_SOLD} WHERE t.customer_id = r.customer_id
                    AND t.state = 'redeemed' AND t.redeemed_at >= r.decided_at
            ) AS discounted,
            EXISTS (
                SELECT FROM former_customer f WHERE f.customer_id = r.customer_id
                    AND f.returned_on >= r.decided_at::date
            ) AS returned
        FROM retention_case r
        WHERE r.org_unit_id = ANY(CAST(:units AS uuid[])) AND r.arm = 'treated'
            AND r.decided_at >= :begins AND r.decided_at < :ends
    ), counted AS (
        SELECT count(*) FILTER (WHERE cause = 'contract_ends' AND state <> 'open')
                AS renewal_cases,
            count(*) FILTER (WHERE cause = 'contract_ends' AND state = 'open') AS renewal_open,
            count(*) FILTER (WHERE cause = 'contract_ends' AND outcome = 'accepted') AS renewed,
            count(*) FILTER (WHERE cause = 'left' AND (state <> 'open' OR returned))
                AS win_back_cases,
            count(*) FILTER (WHERE cause = 'left' AND state = 'open' AND NOT returned)
                AS win_back_open,
            count(*) FILTER (WHERE cause = 'left' AND returned) AS won_back,
            count(*) FILTER (WHERE warned AND old_enough) AS treated,
            count(*) FILTER (WHERE warned AND old_enough AND NOT gone) AS kept,
            count(*) FILTER (WHERE warned AND NOT old_enough) AS too_young,
            count(value_12m_fen) FILTER (WHERE warned AND NOT gone AND NOT discounted)
                AS full_price,
            count(*) FILTER (
                WHERE warned AND NOT gone AND NOT discounted AND value_12m_fen IS NULL
            ) AS full_price_unknown,
            coalesce(sum(value_12m_fen) FILTER (WHERE warned AND NOT gone AND NOT discounted), 0)
                ::bigint AS full_price_fen
        FROM (
            SELECT *, cause = ANY(CAST(:warned AS text[])) AS warned FROM cases
        ) AS c
    ), given AS (
        SELECT count(*) AS terms, count(t.churn_class) AS terms_known,
            count(*) FILTER (WHERE t.churn_class = 'low') AS terms_safe,
            count(l.value_12m_fen) AS discounted,
            coalesce(sum(l.value_12m_fen
                * (1 - t.discount_percent / 100 * least(t.months, 12) / 12)), 0)::bigint
                AS discounted_fen
        FROM special_terms t {_SOLD} LEFT JOIN customer_lifecycle l ON l.customer_id = t.customer_id
        WHERE t.org_unit_id = ANY(CAST(:units AS uuid[])) AND t.state = 'redeemed'
            AND t.redeemed_at >= :begins AND t.redeemed_at < :ends
            AND (t.discount_percent > 0 AND t.months > 0)
    ), back AS (
        SELECT count(*) AS returned,
            count(*) FILTER (WHERE c.arrears_fen IS NOT NULL OR again.id IS NOT NULL)
                AS returned_known,
            count(*) FILTER (WHERE c.arrears_fen > 0 OR again.id IS NOT NULL) AS returned_bad
        FROM former_customer f
        JOIN customer c ON c.id = f.customer_id
        LEFT JOIN former_customer again ON again.customer_id = f.customer_id
            AND again.returned_on IS NULL AND again.left_on >= f.returned_on
        WHERE f.org_unit_id = ANY(CAST(:units AS uuid[]))
            AND f.returned_on >= :first_day AND f.returned_on < :until_day
    )
    SELECT * FROM counted, given, back
    """  # noqa: S608 - text of our own
)


async def kept(session: AsyncSession, period: Period, *, days: int, now: datetime) -> Kept:
    """Count the cases and special terms of a period; kept is who has not left within `days`."""
    given = {
        **period.given,
        "days": days,
        "old_enough": now - timedelta(days=days),
        "warned": [cause.value for cause in WARNED],
    }
    row = (await session.execute(_KEPT, given)).one()
    return Kept(**{name: getattr(row, name) for name in Kept._fields})


def _only(period: Period, names: str) -> dict[str, Any]:
    return {name: period.given[name] for name in names.split()}
