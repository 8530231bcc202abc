"""Reads of customers who have left, and what set-based statements write of them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

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


# Whose line is there now is the CRM's word, and tells why they left.
_TOLD = text(
    """
    INSERT INTO former_customer (id, org_unit_id, customer_id, left_on, reason, competitor, source,
        tier, value_12m_fen, recorded_at)
    SELECT gen_random_uuid(), l.org_unit_id, l.customer_id,
        coalesce(c.disconnected_on, ended.on, (l.at AT TIME ZONE :zone)::date),
        CASE WHEN c.competitor IS NULL THEN 'unknown' ELSE 'competitor' END, c.competitor,
        'lifecycle', y.tier, y.value_12m_fen, :now
    FROM lifecycle_change l
    JOIN customer c ON c.id = l.customer_id
    JOIN customer_lifecycle y ON y.customer_id = l.customer_id AND y.stage = 'exit'
    LEFT JOIN LATERAL (
        SELECT max(s.ended_on) AS on FROM subscription s WHERE s.customer_id = l.customer_id
            AND s.ended_on <= (l.at AT TIME ZONE :zone)::date
    ) AS ended ON true
    WHERE l.org_unit_id = :unit AND l.at > :since AND l.kind = 'stage' AND l.after = 'exit'
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
    tx: AsyncSession, unit: UUID, *, zone: str, since: datetime, now: datetime
) -> tuple[list[UUID], list[UUID]]:
    """Write down who of an org unit has left or come back by the lifecycle's word since a moment.

    Returns the ids of the rows that are new, and of those that were ended. Days are local in
    `zone`.
    """
    given = {"unit": unit, "zone": zone, "since": since}
    back = (await tx.scalars(_BACK, given)).all()
    told = await tx.scalars(_TOLD, {**given, "now": now})
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
