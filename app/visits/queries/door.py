"""What is behind a door: a customer's orders, lines and terminals."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import first_id_at
from app.core.errors import NotFound
from app.lifecycle.rules import ChurnClass, Signal, Stage, Tier
from app.suggestions.queries import HOUSEHOLD, MEASURED
from app.suggestions.rules.contacts import MONTH, YEAR
from app.terminals.rules import DueCause, TerminalKind
from app.workorders.rules import State
from app.worktypes.rules import WorkType


@dataclass(frozen=True)
class OrderOfCustomer:
    """One order of a customer, as far as another room needs it."""

    id: UUID
    external_id: str
    work_type: WorkType
    state: State
    summary: str
    holder_id: UUID | None
    reported_at: datetime
    due_at: datetime | None
    appointment_from: datetime | None
    appointment_until: datetime | None
    completed_at: datetime | None


@dataclass(frozen=True)
class LineOfCustomer:
    """A place a customer is served at, and what the line there can do, in Mbit/s."""

    standard_address: str
    locality: str
    building: str | None
    olt_port: str | None
    port_free: bool | None
    max_speed_mbps: int | None
    checked_at: datetime | None


@dataclass(frozen=True)
class TerminalOfCustomer:
    """A device booked to a customer, at which line and since when as far as that is known."""

    serial_number: str
    kind: TerminalKind
    model: str
    service_number: str | None
    placed_at: datetime | None


@dataclass(frozen=True)
class DueOfCustomer:
    """A device that the customer has to give back."""

    serial_number: str
    kind: TerminalKind
    cause: DueCause
    due_at: datetime


@dataclass(frozen=True)
class ChurnReason:
    """Why a customer may leave, in the words of the card by which it was worked out, if it is
    still there."""

    field: str
    reason_zh: str | None
    reason_en: str | None


@dataclass(frozen=True)
class Standing:
    """Where a customer stands in the lifecycle, as it was worked out at `computed_at`."""

    stage: Stage
    stage_since: date
    tier: Tier | None
    tier_before: Tier | None
    tier_since: date | None
    tier_forecast: Tier | None
    hidden_high_value: bool
    value_12m_fen: int | None
    churn_class: ChurnClass | None
    churn_reasons: Sequence[ChurnReason]
    signals: Sequence[Signal]
    computed_at: datetime


@dataclass(frozen=True)
class Measured:
    """What a customer's line last did when it was measured at the door, in Mbit/s."""

    mbps: float
    at: datetime


@dataclass(frozen=True)
class Gone:
    """That a customer once left, why and to whom; `returned_on` null is gone still."""

    left_on: date
    reason: str
    competitor: str | None
    note: str | None
    returned_on: date | None
    recorded_at: datetime


@dataclass(frozen=True)
class Proposed:
    """One offer of the newest decision."""

    rank: int
    offering_code: str
    name_zh: str
    name_en: str


@dataclass(frozen=True)
class Recommended:
    """The newest decision about a customer: what to offer, or why nothing."""

    at: datetime
    held_back: str | None
    offers: Sequence[Proposed]


@dataclass(frozen=True)
class SoldAtHome:
    """Sales contacts with anybody who lives at a customer's address, as the gates count them."""

    in_30_days: int
    in_365_days: int
    last_on: date | None


@dataclass(frozen=True)
class BehindTheDoor:
    """What this house knows of a customer beside the CRM's card.

    `usage_high_gb` is what the fifth of the customers of the unit who use most use at least, in a
    month. `dissatisfied_on` are the days of the last 90 on which they declined an offer because
    they are not satisfied, the newest first. `grid_ids` are of the grids their addresses lie in.
    """

    org_path: str
    standing: Standing | None
    gone: Gone | None
    recommended: Recommended | None
    usage_high_gb: float | None
    repeat_faults_90: int
    dissatisfied_on: Sequence[date]
    sold_at_home: SoldAtHome
    grid_ids: Sequence[UUID]
    orders: Sequence[OrderOfCustomer]
    lines: Sequence[LineOfCustomer]
    measured: Measured | None
    terminals: Sequence[TerminalOfCustomer]
    due_back: Sequence[DueOfCustomer]


# One statement for all of it, since the card for the door may cost three in all.
_BEHIND_THE_DOOR = text(
    """
    SELECT org_unit.path AS org_path,
        (
            SELECT to_jsonb(s) FROM (
                SELECT l.stage, l.stage_since, l.tier, l.tier_before, l.tier_since,
                    l.tier_forecast, l.hidden_high_value, l.value_12m_fen, l.churn_class,
                    l.signals, l.computed_at,
                    (
                        SELECT coalesce(jsonb_agg(jsonb_build_object('field', r.one ->> 'field',
                            'reason_zh', t.term ->> 'reason_zh',
                            'reason_en', t.term ->> 'reason_en')
                            ORDER BY r.place), '[]')
                        FROM jsonb_array_elements(l.churn_reasons) WITH ORDINALITY AS r (one, place)
                        LEFT JOIN churn_card ON churn_card.version = l.card_version
                        CROSS JOIN LATERAL (
                            SELECT churn_card.document -> 'terms' -> (r.one ->> 'term')::int
                        ) AS t (term)
                        WHERE r.place <= 3
                    ) AS churn_reasons
                FROM customer_lifecycle AS l WHERE l.customer_id = customer.id
            ) AS s
        ) AS standing,
        (
            SELECT to_jsonb(g) FROM (
                SELECT left_on, reason, competitor, note, returned_on, recorded_at
                FROM former_customer WHERE customer_id = customer.id
                ORDER BY left_on DESC LIMIT 1
            ) AS g
        ) AS gone,
        (
            SELECT jsonb_build_object('at', d.at, 'held_back', d.held_back, 'offers', (
                SELECT coalesce(jsonb_agg(jsonb_build_object('rank', s.rank,
                    'offering_code', s.offering_code, 'name_zh', o.name_zh, 'name_en', o.name_en)
                    ORDER BY s.rank), '[]')
                FROM suggestion AS s JOIN product_offering AS o ON o.id = s.offering_id
                WHERE s.decision_id = d.id AND s.rank IS NOT NULL
                -- Candidates are made with their decision, so only its month is looked at.
                AND s.id >= d.id AND s.id < d.soon
            ))
            FROM (
                SELECT id, at, held_back, (lpad(to_hex((
                    extract(epoch FROM created_at + interval '1 day') * 1000)::bigint), 12, '0')
                    || repeat('0', 20))::uuid AS soon
                FROM suggestion_decision
                WHERE customer_id = customer.id AND id > :month_ago AND visit_id IS NOT NULL
                ORDER BY id DESC LIMIT 1
            ) AS d
        ) AS recommended,
        (
            SELECT usage_high_gb FROM lifecycle_cut WHERE org_unit_id = customer.org_unit_id
        ) AS usage_high_gb,
        (
            SELECT count(*) FROM work_order
            WHERE customer_id = customer.id AND work_type = 'repair' AND repeat_of_id IS NOT NULL
            AND reported_at >= :quarter_ago
        ) AS repeat_faults_90,
        ARRAY(
            SELECT DISTINCT timezone(org_unit.time_zone, said.at)::date AS day
            FROM suggestion_answer AS said
            WHERE said.customer_id = customer.id AND said.reason = 'dissatisfied'
            AND said.at >= :quarter_ago AND NOT EXISTS (
                SELECT FROM suggestion_answer AS newer
                WHERE newer.suggestion_id = said.suggestion_id AND newer.answer IS NOT NULL
                AND (newer.created_at, newer.id) > (said.created_at, said.id)
            )
            ORDER BY day DESC
        ) AS dissatisfied_on,
        (
            SELECT jsonb_build_object(
                'in_30_days', count(DISTINCT (coalesce(s.work_order_id, s.id), s.day))
                    FILTER (WHERE s.at > :days_30_ago),
                'in_365_days', count(DISTINCT (coalesce(s.work_order_id, s.id), s.day)),
                'last_on', max(s.day))
            FROM (
                SELECT id, work_order_id, at, timezone(org_unit.time_zone, at)::date AS day
                FROM interaction
                WHERE customer_id IN (:household) AND kind = 'sales'
                AND at > :days_365_ago AND at <= :now
            ) AS s
        ) AS sold_at_home,
        (
            SELECT coalesce(array_agg(DISTINCT g.grid_id), '{}') FROM address_grid AS g
            JOIN service_address AS a ON a.id = g.service_address_id
            WHERE a.customer_id = customer.id AND g.grid_id IS NOT NULL
        ) AS grid_ids,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(o) ORDER BY o.reported_at DESC, o.id), '[]')
            FROM (
                SELECT id, external_id, work_type, state, summary, holder_id, reported_at,
                    due_at, appointment_from, appointment_until, completed_at
                FROM work_order
                WHERE customer_id = customer.id
                AND (
                    state NOT IN ('completed', 'archived', 'cancelled')
                    OR reported_at >= :since OR completed_at >= :since
                )
            ) AS o
        ) AS orders,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(a) ORDER BY a.standard_address), '[]')
            FROM (
                SELECT standard_address, locality, building, olt_port, port_free,
                    max_speed_mbps, checked_at
                FROM service_address WHERE customer_id = customer.id
            ) AS a
        ) AS lines,
        (
            SELECT to_jsonb(m) FROM (:measured) AS m
        ) AS measured,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(t) ORDER BY t.serial_number), '[]')
            FROM (
                SELECT serial_number, kind, model, service_number, placed_at
                FROM terminal WHERE customer_id = customer.id
            ) AS t
        ) AS terminals,
        (
            SELECT coalesce(jsonb_agg(to_jsonb(d) ORDER BY d.due_at, d.serial_number), '[]')
            FROM (
                SELECT serial_number, kind, cause, due_at FROM due_back
                WHERE customer_id = customer.id AND state = 'open'
            ) AS d
        ) AS due_back
    FROM customer JOIN org_unit ON org_unit.id = customer.org_unit_id
    WHERE customer.id = :customer_id
    """.replace(":measured", MEASURED.format(customer_id="customer.id")).replace(
        ":household", HOUSEHOLD.format(customer_id="customer.id")
    )
)
_READ_STANDING = TypeAdapter(Standing | None)
_READ_GONE = TypeAdapter(Gone | None)
_READ_RECOMMENDED = TypeAdapter(Recommended | None)
_READ_SOLD = TypeAdapter(SoldAtHome)
_READ_ORDERS = TypeAdapter(list[OrderOfCustomer])
_READ_LINES = TypeAdapter(list[LineOfCustomer])
_READ_MEASURED = TypeAdapter(Measured | None)
_READ_TERMINALS = TypeAdapter(list[TerminalOfCustomer])
_READ_DUE = TypeAdapter(list[DueOfCustomer])


async def behind_the_door(
    session: AsyncSession, customer_id: UUID, since: datetime, now: datetime
) -> BehindTheDoor:
    """Read a customer's orders that are open or younger than a moment, lines and terminals, where
    they stand, and what was last thought of offering within the last month.

    Who may see whom is for the service to say. Raises NotFound.
    """
    given = {
        "customer_id": customer_id,
        "since": since,
        "month_ago": first_id_at(wall() - timedelta(days=30)),
        "quarter_ago": now - timedelta(days=90),
        "days_30_ago": now - MONTH,
        "days_365_ago": now - YEAR,
        "now": now,
    }
    row = (await session.execute(_BEHIND_THE_DOOR, given)).one_or_none()
    if row is None:
        raise NotFound()
    return BehindTheDoor(
        org_path=row.org_path,
        standing=_READ_STANDING.validate_python(row.standing),
        gone=_READ_GONE.validate_python(row.gone),
        recommended=_READ_RECOMMENDED.validate_python(row.recommended),
        usage_high_gb=row.usage_high_gb,
        repeat_faults_90=row.repeat_faults_90,
        dissatisfied_on=row.dissatisfied_on,
        sold_at_home=_READ_SOLD.validate_python(row.sold_at_home),
        grid_ids=row.grid_ids,
        orders=_READ_ORDERS.validate_python(row.orders),
        lines=_READ_LINES.validate_python(row.lines),
        measured=_READ_MEASURED.validate_python(row.measured),
        terminals=_READ_TERMINALS.validate_python(row.terminals),
        due_back=_READ_DUE.validate_python(row.due_back),
    )
