"""What a decision reads, and what was decided before."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson
from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import Rows, fetched, put
from app.core.errors import NotFound
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.queries.contacts import HOUSEHOLD
from app.suggestions.rules.limits import Limits

MONTH, YEAR = timedelta(days=30), timedelta(days=365)

# A fault call within this time before the order was reported is the call about this very fault.
SAME_FAULT = timedelta(days=1)


# Unended services, what the line can do, and every contact in one statement. One visit is one
# contact, however much was said in it; what was pitched in the visit that asks is known from its
# answers and left out here. Days are local days in the zone.
_CUSTOMER = f"""
    SELECT customer.do_not_disturb OR 'visit' = ANY(customer.channels_refused),
        NOT customer.personal_offers, customer.arrears_fen,
        customer.blacklisted, customer.monthly_usage_gb,
        (extract(year FROM tenure) * 12 + extract(month FROM tenure))::int,
        standing.stage, standing.tier, standing.churn_class, standing.churn_score,
        standing.value_12m_fen,
        line.*, address.*, ledger.*, home.*,
        EXISTS (
            SELECT FROM contact_slot
            WHERE contact_slot.customer_id IN ({HOUSEHOLD})
            AND visit_id IS DISTINCT FROM %(visit_id)s AND held_until > %(now)s
        ),
        ARRAY(
            SELECT offering_code FROM sales_lead
            WHERE sales_lead.customer_id = customer.id AND state IN ('open', 'taken')
        )
    FROM customer
    CROSS JOIN LATERAL age(%(today)s::date, customer.activated_on) AS tenure
    LEFT JOIN customer_lifecycle AS standing ON standing.customer_id = customer.id
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT offering_code) AS codes,
            array_agg(DISTINCT category) AS categories,
            max(speed_mbps) AS speed_mbps,
            coalesce(
                max(contract_ends_on) FILTER (WHERE speed_mbps IS NOT NULL), max(contract_ends_on)
            ) AS contract_ends_on
        FROM subscription
        WHERE customer_id = customer.id
        AND started_on <= %(today)s AND (ended_on IS NULL OR ended_on > %(today)s)
    ) AS line
    LEFT JOIN LATERAL (
        SELECT max_speed_mbps AS line_max_mbps, port_free
        FROM service_address WHERE customer_id = customer.id
        ORDER BY checked_at DESC NULLS LAST, id LIMIT 1
    ) AS address ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_or(kind = 'complaint' AND closed_at IS NULL), false),
            max(timezone(%(zone)s, closed_at)::date) FILTER (WHERE kind = 'complaint'),
            count(*) FILTER (
                WHERE kind = 'fault' AND at > %(faults_since)s AND at <= %(faults_until)s
                AND work_order_id IS DISTINCT FROM %(work_order_id)s
                AND NOT EXISTS (
                    SELECT FROM unnest(%(other_repairs_at)s::timestamptz[]) AS reported
                    WHERE reported BETWEEN at - %(same_fault)s AND at + %(same_fault)s
                )
            ),
            coalesce(bool_or(
                kind = 'service' AND work_order_id IS DISTINCT FROM %(work_order_id)s
                AND at <= %(now)s
                AND timezone(%(zone)s, at)::date = %(today)s
            ), false)
        FROM interaction WHERE customer_id = customer.id
    ) AS ledger
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT (coalesce(work_order_id, id), day)) FILTER (WHERE at > %(month_ago)s),
            count(DISTINCT (coalesce(work_order_id, id), day)),
            max(day)
        FROM (
            SELECT id, work_order_id, at, timezone(%(zone)s, at)::date AS day
            FROM interaction
            WHERE customer_id IN ({HOUSEHOLD}) AND kind = 'sales' AND at > %(year_ago)s
            AND NOT (
                work_order_id IS NOT DISTINCT FROM %(work_order_id)s AND at >= %(visit_began_at)s
            )
        ) AS selling
    ) AS home
    WHERE customer.id = %(customer_id)s
"""  # noqa: S608 - text of our own


class Known(NamedTuple):
    """What is known of a customer; days are local, `home` counts all at their address."""

    do_not_disturb: bool
    generic: bool
    arrears_fen: int | None
    blacklisted: bool | None
    monthly_usage_gb: int | None
    tenure_months: int | None
    stage: str | None
    tier: str | None
    churn_class: str | None
    churn_score: float | None
    value_12m_fen: int | None
    codes: list[str] | None
    categories: list[str] | None
    speed_mbps: int | None
    contract_ends_on: date | None
    line_max_mbps: int | None
    port_free: bool | None
    complaint_open: bool
    complaint_closed_on: date | None
    fault_calls: int
    served_today: bool
    contacts_month: int
    contacts_year: int
    last_contact_on: date | None
    slot_taken: bool
    offered_elsewhere: list[str]


async def customer_facts(
    tx: AsyncSession,
    *,
    customer_id: UUID,
    visit_id: UUID,
    work_order_id: UUID,
    visit_began_at: datetime,
    faults_since: datetime,
    faults_until: datetime,
    other_repairs_at: Sequence[datetime],
    now: datetime,
    zone: ZoneInfo,
) -> Known:
    """Read what is known of a customer, under `lock_customer`. Raises NotFound."""
    rows = await fetched(
        tx,
        _CUSTOMER,
        {
            "customer_id": customer_id,
            "visit_id": visit_id,
            "work_order_id": work_order_id,
            "visit_began_at": visit_began_at,
            "faults_since": faults_since,
            "faults_until": faults_until,
            "other_repairs_at": list(other_repairs_at),
            "same_fault": SAME_FAULT,
            "now": now,
            "today": now.astimezone(zone).date(),
            "zone": zone.key,
            "month_ago": now - MONTH,
            "year_ago": now - YEAR,
        },
    )
    if not rows:
        raise NotFound()
    return Known(*rows[0])


# The newest answer to each suggestion counts. Which days matter is for the rules to say, so
# everything within the longest of their times is read: few rows, for a customer hears few offers.
_ANSWERS = """
    SELECT said.answer, said.pitched, said.later_on, timezone(%(zone)s, said.at)::date,
        suggestion.offering_code, product_offering.category, suggestion_decision.visit_id
    FROM (
        SELECT DISTINCT ON (suggestion_id) *
        FROM suggestion_answer
        WHERE customer_id = %(customer_id)s AND at > %(since)s
        ORDER BY suggestion_id, created_at DESC, id DESC
    ) AS said
    JOIN suggestion ON suggestion.id = said.suggestion_id
    JOIN suggestion_decision ON suggestion_decision.id = suggestion.decision_id
    JOIN product_offering ON product_offering.id = suggestion.offering_id
    ORDER BY said.at, said.id
"""


class Heard(NamedTuple):
    """What a customer last said to a suggestion; `day` is local."""

    answer: str | None
    pitched: bool
    later_on: date | None
    day: date
    code: str
    category: str
    visit_id: UUID


async def answers_of(
    tx: AsyncSession, customer_id: UUID, limits: Limits, now: datetime, zone: ZoneInfo
) -> Sequence[Heard]:
    """List what a customer last said to each suggestion, oldest first; `day` is local in `zone`."""
    longest = max(limits.declined_days, limits.refusal_days, limits.accepted_days, YEAR.days)
    given = {
        "customer_id": customer_id,
        "since": now - timedelta(days=longest),
        "zone": zone.key,
    }
    return [Heard(*row) for row in await fetched(tx, _ANSWERS, given)]


_NEWEST = (
    select(SuggestionDecision)
    .where(SuggestionDecision.visit_id == bindparam("visit_id"))
    .order_by(SuggestionDecision.id.desc())
    .limit(1)
)


async def newest_decision(tx: AsyncSession, visit_id: UUID) -> SuggestionDecision | None:
    """Find the decision in force for a visit."""
    return (await tx.scalars(_NEWEST, {"visit_id": visit_id})).one_or_none()


_CANDIDATES = (
    select(Suggestion)
    .where(Suggestion.decision_id == bindparam("decision_id"))
    .order_by(Suggestion.rank.nulls_last(), Suggestion.offering_code)
)


async def candidates_of(tx: AsyncSession, decision_id: UUID) -> Sequence[Suggestion]:
    """List what a decision said of each offering: those shown by rank, then the others by code."""
    return (await tx.scalars(_CANDIDATES, {"decision_id": decision_id})).all()


_DECISION = (
    "id visit_id work_order_id customer_id technician_id at policy rules_version model_version seed"
    " group mode as_of facts fingerprint held_back shadow"
)
_SUGGESTION = (
    "id decision_id offering_id offering_code rank score_fen p_accept value_fen context lever"
    " propensity features reasons held_back coordination"
)
_DOCUMENTS = frozenset({"facts", "shadow", "features", "reasons"})


async def write(
    tx: AsyncSession, decision: SuggestionDecision, candidates: Sequence[Suggestion]
) -> None:
    """Write a decision and what it says of each offering, past the session: it is never changed."""
    await put(
        tx,
        Rows("suggestion_decision", _DECISION, [_row(decision, _DECISION)]),
        Rows("suggestion", _SUGGESTION, [_row(one, _SUGGESTION) for one in candidates]),
    )


def _row(made: SuggestionDecision | Suggestion, columns: str) -> list[Any]:
    return [_plain(name, getattr(made, name)) for name in columns.split()]


def _plain(name: str, value: Any) -> Any:
    if name in _DOCUMENTS and value is not None:
        return orjson.dumps(value).decode()
    return value.value if isinstance(value, Enum) else value
