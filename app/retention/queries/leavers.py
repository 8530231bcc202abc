"""Reads of customers who have left, and what set-based statements write of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Row, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.retention.models import FormerCustomer
from app.retention.rules import LeaveReason


async def gone_for_change(tx: AsyncSession, customer_id: UUID) -> FormerCustomer | None:
    """Lock what is known of a customer's present leaving; None where they have not left."""
    return await tx.scalar(
        select(FormerCustomer)
        .where(FormerCustomer.customer_id == customer_id, FormerCustomer.returned_on.is_(None))
        .with_for_update()
        .execution_options(populate_existing=True)
    )


class Removal(NamedTuple):
    """A completed removal as far as leaving goes: how it was closed, and whether a line is left."""

    org_unit_id: UUID
    customer_id: UUID
    completed_at: datetime
    outcome_code: str | None
    lines_left: int


# A customer without a service number on the order is taken to have had the one line that goes.
_REMOVAL = text(
    """
    SELECT c.org_unit_id, c.id, o.completed_at,
        (
            SELECT v.outcome_code FROM visit v
            WHERE v.work_order_id = o.id AND v.outcome_code IS NOT NULL
            ORDER BY v.ended_at DESC NULLS LAST LIMIT 1
        ),
        (
            SELECT count(*) FROM subscription s
            WHERE s.customer_id = c.id AND s.speed_mbps IS NOT NULL
                AND (s.ended_on IS NULL OR s.ended_on > o.completed_at::date)
                AND s.service_number IS DISTINCT FROM o.service_number
        ) - (o.service_number IS NULL)::int
    FROM work_order o JOIN customer c ON c.id = o.customer_id
    WHERE o.id = :order_id AND o.work_type = 'remove' AND o.source <> :own
        AND o.completed_at IS NOT NULL
    """
)


async def removal(tx: AsyncSession, order_id: UUID, *, own: str) -> Removal | None:
    """Read a completed removal of a customer's line; None for any other order.

    Orders of the source `own` only fetch terminals.
    """
    row = (await tx.execute(_REMOVAL, {"order_id": order_id, "own": own})).one_or_none()
    return None if row is None else Removal(*row)


# Whether a service `s` runs on the local day `:today`.
RUNS = "s.started_on <= :today AND (s.ended_on IS NULL OR s.ended_on > :today)"

# Whether the customer of a case `r` left within `:days` days of it. A leaving that a service of
# before outlived was told too early; whoever came back for a new one had left.
GONE_WITHIN = """
    EXISTS (
        SELECT FROM former_customer f WHERE f.customer_id = r.customer_id
            AND f.left_on >= r.decided_at::date AND f.left_on <= r.decided_at::date + :days
            AND NOT EXISTS (
                SELECT FROM subscription s
                WHERE s.customer_id = f.customer_id AND s.started_on <= f.left_on
                    AND (s.ended_on IS NULL OR s.ended_on > r.decided_at::date + :days)
            )
    )
"""

# Whoever has a service is with us: an order to remove it is a wish until it is carried out, and one
# that is cancelled has never been a leaving. So what counts is who stands in exit with nothing
# left, also where the exit was told long before, with the order. Whose line is there now is the
# CRM's word, and tells why they left.
_TOLD = text(
    """
    INSERT INTO former_customer (id, org_unit_id, customer_id, left_on, reason, competitor, source,
        tier, value_12m_fen, recorded_at)
    SELECT gen_random_uuid(), y.org_unit_id, c.id,
        coalesce(
            greatest(CASE WHEN c.disconnected_on <= :today THEN c.disconnected_on END, ended.on),
            (l.at AT TIME ZONE :zone)::date
        ),
        CASE WHEN c.competitor IS NULL THEN 'unknown' ELSE 'competitor' END, c.competitor,
        'lifecycle', y.tier, y.value_12m_fen, :now
    FROM customer_lifecycle y
    JOIN customer c ON c.id = y.customer_id
    CROSS JOIN LATERAL (
        SELECT max(at) AS at FROM lifecycle_change
        WHERE customer_id = y.customer_id AND kind = 'stage' AND after = 'exit'
    ) AS l
    LEFT JOIN LATERAL (
        SELECT max(s.ended_on) AS on,
            coalesce(bool_or(s.ended_on IS NULL OR s.ended_on > :today), false) AS running
        FROM subscription s WHERE s.customer_id = c.id AND s.started_on <= :today
    ) AS ended ON true
    WHERE y.org_unit_id = :unit AND y.stage = 'exit' AND l.at IS NOT NULL AND NOT ended.running
        AND (l.at > :since OR y.computed_at > :since
            OR greatest(c.disconnected_on, ended.on) > (CAST(:since AS timestamptz)
                AT TIME ZONE :zone)::date)
        AND NOT EXISTS (
            SELECT FROM former_customer f WHERE f.customer_id = c.id AND f.returned_on IS NULL
        )
    ON CONFLICT (customer_id) WHERE returned_on IS NULL DO NOTHING
    RETURNING id
    """
)
_BACK = text(
    """
    UPDATE former_customer f SET returned_on = (l.at AT TIME ZONE :zone)::date
    FROM lifecycle_change l JOIN customer_lifecycle y ON y.customer_id = l.customer_id
    WHERE l.org_unit_id = :unit AND l.at > :since AND l.kind = 'stage' AND l.before = 'exit'
        AND y.stage <> 'exit' AND f.customer_id = l.customer_id AND f.returned_on IS NULL
        AND f.left_on <= (l.at AT TIME ZONE :zone)::date
    RETURNING f.id
    """
)


async def follow_lifecycle(
    tx: AsyncSession, unit: UUID, *, zone: ZoneInfo, since: datetime, now: datetime
) -> tuple[list[UUID], list[UUID]]:
    """Write down who of an org unit has left or come back by the lifecycle's word since a moment.

    Whoever has a service that runs has not left. Returns the ids of the rows that are new, and of
    those that were ended. Days are local in `zone`.
    """
    given = {"unit": unit, "zone": zone.key, "since": since}
    back = (await tx.scalars(_BACK, given)).all()
    told = await tx.scalars(_TOLD, {**given, "today": now.astimezone(zone).date(), "now": now})
    return list(told.all()), list(back)


# One look into the index for each org unit: PostgreSQL does not merge their parts of it.
_PAGE = text(
    """
    SELECT f.*, c.code, c.name, c.phone
    FROM unnest(CAST(:units AS uuid[])) AS unit (id)
    CROSS JOIN LATERAL (
        SELECT * FROM former_customer f
        WHERE f.org_unit_id = unit.id
            AND (CAST(:reason AS text) IS NULL OR f.reason = :reason)
            AND (CAST(:from_day AS date) IS NULL OR f.left_on >= :from_day)
            AND (:returned OR f.returned_on IS NULL)
            AND (CAST(:after_day AS date) IS NULL OR (f.left_on, f.id) < (:after_day, :after_id))
        ORDER BY f.left_on DESC, f.id DESC LIMIT :size
    ) AS f
    JOIN customer c ON c.id = f.customer_id
    ORDER BY f.left_on DESC, f.id DESC LIMIT :size
    """
)


async def page(
    session: AsyncSession,
    units: Sequence[UUID],
    *,
    size: int,
    after: tuple[date, UUID] | None,
    reason: LeaveReason | None,
    from_day: date | None,
    returned: bool,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` former customers of org units, those who left last first."""
    return (
        await session.execute(
            _PAGE,
            {
                "units": list(units),
                "reason": reason and reason.value,
                "from_day": from_day,
                "returned": returned,
                "after_day": after[0] if after else None,
                "after_id": after[1] if after else None,
                "size": size + 1,
            },
        )
    ).all()
