"""What customers hold, what the catalogue says it needs, and which terminals stand there."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.models import ProductOffering
from app.recovery.rules import Needs, Service
from app.terminals.rules import TerminalKind


async def needs(session: AsyncSession) -> Needs:
    """Read what the catalogue, in all its versions, says of terminals."""
    rows = (
        await session.execute(
            select(
                ProductOffering.code,
                ProductOffering.category,
                ProductOffering.requires,
                ProductOffering.terminal_kind,
            ).distinct()
        )
    ).all()
    category_of = {row.code: row.category for row in rows}
    kinds: dict[str, set[TerminalKind]] = defaultdict(set)
    requires: dict[str, set[str]] = defaultdict(set)
    own: dict[str, set[TerminalKind]] = defaultdict(set)
    known = frozenset(TerminalKind)
    for row in rows:
        found = {TerminalKind(row.terminal_kind)} if row.terminal_kind in known else set()
        own[row.code] |= found
        kinds[row.category] |= found
        # A requirement is a category or an offering.
        requires[row.category] |= {category_of.get(one, one) for one in row.requires}
    return Needs(
        kinds={category: frozenset(found) for category, found in kinds.items()},
        requires={category: frozenset(found) for category, found in requires.items()},
        own={code: frozenset(found) for code, found in own.items()},
    )


class Standing(NamedTuple):
    """A terminal at a customer's; of which line is null where it is not known."""

    serial_number: str
    kind: TerminalKind
    service_number: str | None


class Household(NamedTuple):
    """What bears on a customer's terminals: running services by number, and what stands there."""

    customer_id: UUID
    org_unit_id: UUID
    org_path: str
    running: dict[str, Service]
    standing: list[Standing]


_HOUSEHOLDS = text(
    """
    SELECT c.id, c.org_unit_id, u.path,
        ARRAY(
            SELECT jsonb_build_array(s.service_number, s.offering_code, s.category,
                s.monthly_price_fen, s.speed_mbps)
            FROM subscription s WHERE s.customer_id = c.id
                AND (s.ended_on IS NULL
                    OR s.ended_on > (CAST(:now AS timestamptz) AT TIME ZONE u.time_zone)::date)
        ) AS running,
        ARRAY(
            SELECT jsonb_build_array(t.serial_number, t.kind, t.service_number)
            FROM terminal t WHERE t.customer_id = c.id AND t.pool = 'customer'
                AND NOT EXISTS (SELECT FROM due_back d
                    WHERE d.serial_number = t.serial_number AND d.state = 'open')
            ORDER BY t.serial_number
        ) AS standing
    FROM customer c JOIN org_unit u ON u.id = c.org_unit_id
    WHERE c.id = ANY(CAST(:ids AS uuid[]))
    """
)


async def households(
    session: AsyncSession, customer_ids: Collection[UUID], now: datetime
) -> dict[UUID, Household]:
    """Read customers' running services and what stands there and is not due back yet."""
    rows = await session.execute(_HOUSEHOLDS, {"ids": list(customer_ids), "now": now})
    return {
        row.id: Household(
            row.id,
            row.org_unit_id,
            row.path,
            {number: Service(*service) for number, *service in row.running},
            [Standing(serial, TerminalKind(kind), line) for serial, kind, line in row.standing],
        )
        for row in rows
    }


class Changed(NamedTuple):
    """A service that ended or became another (`becomes` is null where it is gone)."""

    subscription_id: UUID
    customer_id: UUID
    service_number: str
    was: Service
    ended: bool
    becomes: Service


# While an order that changes what stands there is open, what is left over shows at its end.
_CHANGED = text(
    """
    SELECT ch.subscription_id, s.customer_id, s.service_number,
        ch.offering_code AS was_code, ch.category AS was_category,
        ch.monthly_price_fen AS was_price, ch.speed_mbps AS was_speed,
        coalesce(s.ended_on <= (CAST(:now AS timestamptz) AT TIME ZONE u.time_zone)::date, false)
            AS ended,
        s.offering_code, s.category, s.monthly_price_fen, s.speed_mbps
    FROM subscription_change ch
    JOIN subscription s ON s.id = ch.subscription_id
    JOIN customer c ON c.id = s.customer_id
    JOIN org_unit u ON u.id = c.org_unit_id
    WHERE (ch.ready_on IS NULL
            OR ch.ready_on <= (CAST(:now AS timestamptz) AT TIME ZONE u.time_zone)::date)
        AND NOT EXISTS (
            SELECT FROM work_order o WHERE o.customer_id = s.customer_id
                AND o.work_type IN ('install', 'relocate', 'remove')
                AND o.source <> 'yingwei'
                AND o.state NOT IN ('completed', 'archived', 'cancelled')
        )
    ORDER BY ch.subscription_id LIMIT :size FOR UPDATE OF ch SKIP LOCKED
    """
)


async def changed(tx: AsyncSession, *, now: datetime, size: int) -> Sequence[Changed]:
    """Take services that have changed under their locks, once the change is in force."""
    rows = await tx.execute(_CHANGED, {"now": now, "size": size})
    return [
        Changed(
            row.subscription_id,
            row.customer_id,
            row.service_number,
            Service(row.was_code, row.was_category, row.was_price, row.was_speed),
            row.ended,
            Service(row.offering_code, row.category, row.monthly_price_fen, row.speed_mbps),
        )
        for row in rows
    ]
