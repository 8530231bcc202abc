"""What a decision reads, and what was decided before."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import Enum
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from sqlalchemy import ARRAY, Text, Uuid, bindparam, func, literal_column, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from app.core.db import Rows, fetched, put
from app.customers.queries import served_at
from app.suggestions.models import Suggestion, SuggestionDecision
from app.suggestions.queries.contacts import HOUSEHOLD, STILL_HELD
from app.suggestions.rules.ahead import Door
from app.suggestions.rules.limits import Limits

UUIDS = ARRAY(Uuid())

MONTH, YEAR = timedelta(days=30), timedelta(days=365)


# What a customer's line last did when somebody measured it in a visit, and when that was.
MEASURED = """
    SELECT (visit.measurements ->> 'download_mbps')::float8 AS mbps,
        coalesce(visit.ended_at, visit.progress_at, visit.travel_started_at) AS at
    FROM work_order JOIN visit ON visit.work_order_id = work_order.id
    WHERE work_order.customer_id = {customer_id}
    AND visit.measurements ->> 'download_mbps' IS NOT NULL
    ORDER BY visit.travel_started_at DESC LIMIT 1
"""

# The door is where the order's own line is: a customer may have another home, with another line.
_SERVED_AT = served_at(
    literal_column("customer.id"),
    service_number=literal_column("own.service_number"),
    address=literal_column("own.address"),
).compile(compile_kwargs={"literal_binds": True})
# Unended services, what the line can do, and every contact in one statement, for as many doors as
# are asked about. One visit is one contact, however much was said in it; what was pitched in the
# visit that asks is known from its answers and left out here. Days are local days in the zone.
_HOME = HOUSEHOLD.format(customer_id="customer.id")
_CUSTOMERS = f"""
    SELECT door.work_order_id, customer.do_not_disturb OR 'visit' = ANY(customer.channels_refused),
        NOT customer.personal_offers, customer.arrears_fen,
        customer.blacklisted, customer.monthly_usage_gb,
        (extract(year FROM tenure) * 12 + extract(month FROM tenure))::int,
        standing.stage, standing.tier, standing.churn_class, standing.churn_score,
        standing.value_12m_fen,
        line.*, home.max_speed_mbps, home.port_free, ledger.*, selling.*,
        EXISTS (
            SELECT FROM contact_slot
            WHERE contact_slot.customer_id IN ({_HOME}) AND {STILL_HELD}
            AND (
                contact_slot.visit_id = door.visit_id
                OR contact_slot.work_order_id = door.work_order_id
            ) IS NOT TRUE
        ),
        ARRAY(
            SELECT offering_code FROM sales_lead
            WHERE sales_lead.customer_id = customer.id AND state IN ('open', 'taken')
        ),
        ARRAY(SELECT DISTINCT kind FROM terminal WHERE terminal.customer_id = customer.id),
        gone.left_on, gone.refused_at IS NOT NULL,
        ARRAY(
            SELECT offering_code FROM special_terms
            WHERE special_terms.customer_id = customer.id AND state = 'approved'
            AND expires_at > %(now)s
        ),
        measured.mbps, measured.at, customer.preferred_channel, customer.channels_allowed,
        customer.channels_refused
    FROM unnest(%(work_order_ids)s::uuid[], %(customer_ids)s::uuid[], %(visit_ids)s::uuid[],
        %(began_at)s::timestamptz[], %(zones)s::text[], %(days)s::date[]
    ) AS door (work_order_id, customer_id, visit_id, began_at, zone, today)
    JOIN customer ON customer.id = door.customer_id
    JOIN work_order AS own ON own.id = door.work_order_id
    CROSS JOIN LATERAL age(door.today, customer.activated_on) AS tenure
    LEFT JOIN former_customer AS gone
        ON gone.customer_id = customer.id AND gone.returned_on IS NULL
    LEFT JOIN customer_lifecycle AS standing ON standing.customer_id = customer.id
    LEFT JOIN LATERAL ({_SERVED_AT}) AS served ON true
    LEFT JOIN service_address AS home ON home.id = served.id
    CROSS JOIN LATERAL (
        SELECT array_agg(DISTINCT offering_code) AS codes,
            array_agg(DISTINCT category) AS categories,
            coalesce(max(speed_mbps) FILTER (WHERE here), max(speed_mbps)) AS speed_mbps,
            coalesce(
                max(contract_ends_on) FILTER (WHERE here AND speed_mbps IS NOT NULL),
                max(contract_ends_on) FILTER (WHERE speed_mbps IS NOT NULL), max(contract_ends_on)
            ) AS contract_ends_on
        FROM subscription CROSS JOIN LATERAL (
            SELECT service_address_id = home.id AS here
        ) AS placed
        WHERE customer_id = customer.id
        AND started_on <= door.today AND (ended_on IS NULL OR ended_on > door.today)
    ) AS line
    LEFT JOIN LATERAL ({MEASURED.format(customer_id="customer.id")}) AS measured ON true
    CROSS JOIN LATERAL (
        SELECT coalesce(bool_or(kind = 'complaint' AND closed_at IS NULL), false),
            max(timezone(door.zone, closed_at)::date) FILTER (WHERE kind = 'complaint'),
            coalesce(array_agg(at) FILTER (
                WHERE kind = 'fault' AND at > %(faults_since)s AND at <= %(now)s
                AND work_order_id IS DISTINCT FROM door.work_order_id
            ), '{{}}'),
            coalesce(bool_or(
                kind = 'service' AND work_order_id IS DISTINCT FROM door.work_order_id
                AND at <= %(now)s
                AND timezone(door.zone, at)::date = door.today
            ), false),
            count(*) FILTER (
                WHERE channel = 'phone' AND kind <> 'sales' AND at > %(calls_since)s
                AND at <= %(now)s
            )
        FROM interaction WHERE customer_id = customer.id
    ) AS ledger
    CROSS JOIN LATERAL (
        SELECT count(DISTINCT (coalesce(work_order_id, id), day)) FILTER (WHERE at > %(month_ago)s),
            count(DISTINCT (coalesce(work_order_id, id), day)),
            max(day)
        FROM (
            SELECT id, work_order_id, at, timezone(door.zone, at)::date AS day
            FROM interaction
            WHERE customer_id IN ({_HOME}) AND kind = 'sales' AND at > %(year_ago)s
            AND NOT (
                work_order_id IS NOT DISTINCT FROM door.work_order_id AND at >= door.began_at
            )
        ) AS contact
    ) AS selling
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
    fault_calls: list[datetime]
    served_today: bool
    calls: int
    contacts_month: int
    contacts_year: int
    last_contact_on: date | None
    slot_taken: bool
    offered_elsewhere: list[str]
    terminals: list[str]
    left_on: date | None
    win_back_refused: bool
    agreed: list[str]
    measured_mbps: float | None
    measured_at: datetime | None
    preferred_channel: str | None
    channels_allowed: list[str]
    channels_refused: list[str]


async def customer_facts(
    tx: AsyncSession, doors: Sequence[Door], limits: Limits, now: datetime
) -> Mapping[UUID, Known]:
    """Read what is known of the customers behind doors, by the doors' orders, under
    `lock_customers`."""
    rows = await fetched(
        tx,
        _CUSTOMERS,
        {
            "work_order_ids": [door.work_order_id for door in doors],
            "customer_ids": [door.customer_id for door in doors],
            "visit_ids": [door.visit_id for door in doors],
            "began_at": [door.began_at for door in doors],
            "zones": [door.zone.key for door in doors],
            "days": [now.astimezone(door.zone).date() for door in doors],
            "faults_since": now - timedelta(days=limits.repeat_fault_days),
            "calls_since": now - timedelta(days=limits.calls_days),
            "now": now,
            "month_ago": now - MONTH,
            "year_ago": now - YEAR,
        },
    )
    return {row[0]: Known(*row[1:]) for row in rows}


_EARLIER = aliased(SuggestionDecision)
_NEWEST = (
    select(
        SuggestionDecision,
        func.array(
            select(Suggestion.offering_code)
            .distinct()
            .join(_EARLIER, _EARLIER.id == Suggestion.decision_id)
            .where(_EARLIER.visit_id == bindparam("visit_id"), Suggestion.rank.is_not(None))
            .scalar_subquery(),
            type_=ARRAY(Text()),
        ),
    )
    .where(SuggestionDecision.visit_id == bindparam("visit_id"))
    .order_by(SuggestionDecision.id.desc())
    .limit(1)
)
_NEWEST_AHEAD = (
    select(SuggestionDecision)
    .ext(distinct_on(SuggestionDecision.work_order_id))
    .where(
        SuggestionDecision.visit_id.is_(None),
        SuggestionDecision.work_order_id == func.any(bindparam("work_order_ids", type_=UUIDS)),
        SuggestionDecision.technician_id == bindparam("technician_id"),
    )
    .order_by(SuggestionDecision.work_order_id, SuggestionDecision.id.desc())
)


class Before(NamedTuple):
    """The decision in force for a door, and which offers all decisions of the visit showed.

    What was taken ahead of a visit shows nothing as far as is known: the phone keeps it.
    """

    decision: SuggestionDecision
    shown: frozenset[str] = frozenset()


async def newest_decisions(tx: AsyncSession, doors: Sequence[Door]) -> Mapping[UUID, Before]:
    """Find the decisions in force for doors, by the doors' orders.

    The doors are that of one visit, or all of one technician who takes suggestions ahead.
    """
    found: list[Before] = []
    if doors[0].visit_id is not None:
        for decision, shown in await tx.execute(_NEWEST, {"visit_id": doors[0].visit_id}):
            found.append(Before(decision, frozenset(shown)))
    else:
        given = {
            "work_order_ids": [door.work_order_id for door in doors],
            "technician_id": doors[0].technician_id,
        }
        found = [Before(decision) for decision in await tx.scalars(_NEWEST_AHEAD, given)]
    return {before.decision.work_order_id: before for before in found}


_CANDIDATES = (
    select(Suggestion)
    .where(Suggestion.decision_id == func.any(bindparam("decision_ids", type_=UUIDS)))
    .order_by(Suggestion.rank.nulls_last(), Suggestion.offering_code)
)


async def candidates_of(
    tx: AsyncSession, decision_ids: Sequence[UUID]
) -> Mapping[UUID, Sequence[Suggestion]]:
    """List what decisions said of each offering: those shown by rank, then the others by code."""
    found: dict[UUID, list[Suggestion]] = {decision_id: [] for decision_id in decision_ids}
    if decision_ids:
        for one in await tx.scalars(_CANDIDATES, {"decision_ids": list(decision_ids)}):
            found[one.decision_id].append(one)
    return found


_DECISION = (
    "id visit_id work_order_id customer_id technician_id at policy rules_version model_version seed"
    " group mode as_of valid_until facts fingerprint held_back shadow"
)
_SUGGESTION = (
    "id decision_id offering_id offering_code rank score_fen p_accept value_fen context lever"
    " propensity features reasons held_back coordination left_to"
)
_DOCUMENTS = frozenset({"facts", "shadow", "features", "reasons"})


async def write(
    tx: AsyncSession, made: Sequence[tuple[SuggestionDecision, Sequence[Suggestion]]]
) -> None:
    """Write decisions and what they say of each offering, past the session: they never change."""
    candidates = [one for _, several in made for one in several]
    await put(
        tx,
        Rows("suggestion_decision", _DECISION, [_row(one, _DECISION) for one, _ in made]),
        Rows("suggestion", _SUGGESTION, [_row(one, _SUGGESTION) for one in candidates]),
    )


def _row(made: SuggestionDecision | Suggestion, columns: str) -> list[Any]:
    return [_plain(name, getattr(made, name)) for name in columns.split()]


def _plain(name: str, value: Any) -> Any:
    if name in _DOCUMENTS and value is not None:
        return orjson.dumps(value).decode()
    return value.value if isinstance(value, Enum) else value
