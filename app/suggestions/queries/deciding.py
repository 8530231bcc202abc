"""What a decision reads, and what was decided before."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.errors import NotFound
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.rules.limits import Limits

MONTH, YEAR = timedelta(days=30), timedelta(days=365)

# A fault call within this time before the order was reported is the call about this very fault.
SAME_FAULT = timedelta(days=1)


# Unended services, what the line can do, and every contact in one statement. One visit is one
# contact, however much was said in it; what was pitched in the visit that asks is known from its
# answers and left out here. Days are local days in `zone`.
_CUSTOMER = text(
    """
    SELECT customer.do_not_disturb OR 'visit' = ANY(customer.channels_refused) AS do_not_disturb,
        customer.arrears_fen, customer.monthly_usage_gb,
        line.*, address.*, ledger.*,
        EXISTS (
            SELECT FROM contact_slot
            WHERE contact_slot.customer_id = customer.id
            AND visit_id <> :visit_id AND held_until > :now
        ) AS slot_taken
    FROM customer
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT offering_code) AS codes,
            array_agg(DISTINCT category) AS categories,
            max(speed_mbps) AS speed_mbps,
            coalesce(
                max(contract_ends_on) FILTER (WHERE speed_mbps IS NOT NULL), max(contract_ends_on)
            ) AS contract_ends_on
        FROM subscription
        WHERE customer_id = customer.id
        AND started_on <= :today AND (ended_on IS NULL OR ended_on > :today)
    ) AS line
    CROSS JOIN LATERAL (
        SELECT
            count(DISTINCT (coalesce(work_order_id, id), day))
                FILTER (WHERE selling AND at > :month_ago) AS contacts_month,
            count(DISTINCT (coalesce(work_order_id, id), day))
                FILTER (WHERE selling AND at > :year_ago) AS contacts_year,
            max(day) FILTER (WHERE selling) AS last_contact_on,
            coalesce(bool_or(kind = 'complaint' AND closed_at IS NULL), false) AS complaint_open,
            max(timezone(:zone, closed_at)::date)
                FILTER (WHERE kind = 'complaint') AS complaint_closed_on,
            count(*) FILTER (
                WHERE kind = 'fault' AND at > :faults_since AND at <= :faults_until
                AND work_order_id IS DISTINCT FROM :work_order_id
            ) AS fault_calls
        FROM (
            SELECT interaction.*, timezone(:zone, at)::date AS day,
                kind = 'sales' AND NOT (
                    work_order_id IS NOT DISTINCT FROM :work_order_id AND at >= :visit_began_at
                ) AS selling
            FROM interaction WHERE customer_id = customer.id
        ) AS contact
    ) AS ledger
    LEFT JOIN LATERAL (
        SELECT max_speed_mbps AS line_max_mbps, port_free
        FROM service_address WHERE customer_id = customer.id
        ORDER BY checked_at DESC NULLS LAST, id LIMIT 1
    ) AS address ON true
    WHERE customer.id = :customer_id
    """
)


async def customer_facts(
    tx: AsyncSession,
    *,
    customer_id: UUID,
    visit_id: UUID,
    work_order_id: UUID,
    visit_began_at: datetime,
    faults_since: datetime,
    faults_until: datetime,
    now: datetime,
    zone: ZoneInfo,
) -> Row[Any]:
    """Read what is known of a customer, under `lock_customer`. Raises NotFound."""
    row = (
        await tx.execute(
            _CUSTOMER,
            {
                "customer_id": customer_id,
                "visit_id": visit_id,
                "work_order_id": work_order_id,
                "visit_began_at": visit_began_at,
                "faults_since": faults_since,
                "faults_until": faults_until,
                "now": now,
                "today": now.astimezone(zone).date(),
                "zone": zone.key,
                "month_ago": now - MONTH,
                "year_ago": now - YEAR,
            },
        )
    ).one_or_none()
    if row is None:
        raise NotFound()
    return row


# The newest answer to each suggestion counts. Which days matter is for the rules to say, so
# everything within the longest of their times is read: few rows, for a customer hears few offers.
_ANSWERS = text(
    """
    SELECT said.answer, said.later_on, timezone(:zone, said.at)::date AS day,
        suggestion.offering_code AS code, product_offering.category,
        suggestion_decision.visit_id
    FROM (
        SELECT DISTINCT ON (suggestion_id) *
        FROM suggestion_answer
        WHERE customer_id = :customer_id AND at > :since
        ORDER BY suggestion_id, created_at DESC, id DESC
    ) AS said
    JOIN suggestion ON suggestion.id = said.suggestion_id
    JOIN suggestion_decision ON suggestion_decision.id = suggestion.decision_id
    JOIN product_offering ON product_offering.id = suggestion.offering_id
    ORDER BY said.at, said.id
    """
)


async def answers_of(
    tx: AsyncSession, customer_id: UUID, limits: Limits, now: datetime, zone: ZoneInfo
) -> Sequence[Row[Any]]:
    """List what a customer last said to each suggestion, oldest first; `day` is local in `zone`."""
    longest = max(limits.declined_days, limits.refusal_days, limits.accepted_days, YEAR.days)
    return (
        await tx.execute(
            _ANSWERS,
            {
                "customer_id": customer_id,
                "since": now - timedelta(days=longest),
                "zone": zone.key,
            },
        )
    ).all()


async def newest_decision(tx: AsyncSession, visit_id: UUID) -> SuggestionDecision | None:
    """Find the decision in force for a visit."""
    return (
        await tx.scalars(
            select(SuggestionDecision)
            .where(SuggestionDecision.visit_id == visit_id)
            .order_by(SuggestionDecision.id.desc())
            .limit(1)
        )
    ).one_or_none()


async def candidates_of(tx: AsyncSession, decision_id: UUID) -> Sequence[Suggestion]:
    """List what a decision said of each offering: those shown by rank, then the others by code."""
    return (
        await tx.scalars(
            select(Suggestion)
            .where(Suggestion.decision_id == decision_id)
            .order_by(Suggestion.rank.nulls_last(), Suggestion.offering_code)
        )
    ).all()
