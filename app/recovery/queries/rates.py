"""How much of what was due has come back, and in time."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.recovery.rules import GroupedBy


class Rate(NamedTuple):
    """Figures of one group; what was cancelled or has time left is not among what was due."""

    key: str | None
    name: str | None
    due: int
    recovered: int
    on_time: int
    written_off: int
    cancelled: int
    not_yet_due: int


_KEYS = {
    GroupedBy.KIND: ("d.kind", "NULL::text"),
    GroupedBy.ORG_UNIT: ("u.code", "u.name_zh"),
    GroupedBy.TECHNICIAN: ("p.code", "p.name"),
}
# Whoever has brought it counts it; what has not come back is counted with whoever had its order.
_RATES = """
    SELECT {key} AS key, {name} AS name,
        count(*) FILTER (WHERE counts) AS due,
        count(*) FILTER (WHERE d.state = 'recovered') AS recovered,
        count(*) FILTER (WHERE d.state = 'recovered' AND d.settled_at <= d.due_at) AS on_time,
        count(*) FILTER (WHERE d.state = 'written_off') AS written_off,
        count(*) FILTER (WHERE d.state = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE d.state = 'open' AND d.due_at > :now) AS not_yet_due
    FROM due_back d
    CROSS JOIN LATERAL (SELECT d.state IN ('recovered', 'written_off')
        OR (d.state = 'open' AND d.due_at <= :now) AS counts) AS judged
    JOIN org_unit u ON u.id = d.org_unit_id
    LEFT JOIN work_order o ON o.id = d.work_order_id
    LEFT JOIN technician p ON p.id = coalesce(d.technician_id, o.holder_id)
    WHERE d.org_unit_id = ANY(CAST(:units AS uuid[])) AND d.due_at >= :since AND d.due_at < :until
    GROUP BY 1, 2 ORDER BY 1 NULLS LAST LIMIT :size
"""
_BY = {by: text(_RATES.format(key=key, name=name)) for by, (key, name) in _KEYS.items()}


async def rates(
    session: AsyncSession,
    by: GroupedBy,
    *,
    units: Sequence[UUID],
    since: datetime,
    until: datetime,
    now: datetime,
    size: int,
) -> list[Rate]:
    """Count what was due from one moment to another (the second excluded), by group."""
    rows = await session.execute(
        _BY[by],
        {"units": list(units), "since": since, "until": until, "now": now, "size": size},
    )
    return [Rate(*row) for row in rows]
