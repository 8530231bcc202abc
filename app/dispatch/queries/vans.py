"""Vans: what is in them, what of it is needed, and who may take from them."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.dispatch.rules.vans import Van

# States and pools stand in it as words, so that the partial indexes will do. What has been fitted
# for an order that is still open has left the van, and is not needed of it any more.
_VANS = text(
    """
    SELECT technician_id, NULL::uuid AS order_id,
        array_agg(kind::text ORDER BY kind) AS kinds
    FROM terminal WHERE technician_id = ANY(CAST(:technician_ids AS uuid[])) AND pool = 'van'
    GROUP BY technician_id
    UNION ALL
    SELECT o.holder_id, NULL, array_agg(t.kind::text ORDER BY t.kind)
    FROM work_order o JOIN terminal_move m ON m.work_order_id = o.id
        JOIN terminal t ON t.id = m.terminal_id
    WHERE o.holder_id = ANY(CAST(:technician_ids AS uuid[])) AND o.state IN ('on_site', 'suspended')
        AND o.terminals <> '{}' AND o.id <> ALL(CAST(:without AS uuid[]))
        AND m.handling = 'fit' AND t.kind = ANY(o.terminals)
        AND NOT EXISTS (SELECT FROM terminal_move AS back WHERE back.undoes_id = m.id)
    GROUP BY o.holder_id
    UNION ALL
    SELECT holder_id, id, terminals FROM work_order
    WHERE holder_id = ANY(CAST(:technician_ids AS uuid[]))
        AND state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        AND terminals <> '{}' AND id <> ALL(CAST(:without AS uuid[]))
    UNION ALL
    SELECT technician_id, id, terminals FROM appointment_hold
    WHERE technician_id = ANY(CAST(:technician_ids AS uuid[])) AND state = 'held'
        AND (expires_at > CAST(:now AS timestamptz) OR CAST(:now AS timestamptz) IS NULL)
        AND terminals <> '{}' AND id <> ALL(CAST(:without AS uuid[]))
    """
)


async def vans(
    session: AsyncSession,
    technician_ids: Collection[UUID],
    *,
    without: Collection[UUID] = (),
    now: datetime | None = None,
) -> dict[UUID, Van]:
    """Read what people's vans hold, and what their open orders of any day, and slots that are held
    with terminals, need of it.

    Orders and holds given by id are left out. Without a moment a hold whose time is over counts
    until it is ended.
    """
    found = {technician_id: Van() for technician_id in technician_ids}
    given = {"technician_ids": list(found), "without": list(without), "now": now}
    for technician_id, order_id, kinds in await session.execute(_VANS, given):
        van = found[technician_id]
        if order_id is None:
            van.left.update(kinds)
        else:
            van.left.subtract(kinds)
            van.needed[order_id] = tuple(kinds)
    return found


_ALONE = text(
    """
    WITH wanted AS MATERIALIZED (
        SELECT DISTINCT hashtextextended('van ' || id, 0) AS key
        FROM unnest(CAST(:technician_ids AS text[])) AS given (id) ORDER BY key
    )
    SELECT pg_advisory_xact_lock(key) FROM wanted
    """
)


async def take_from_vans(tx: AsyncSession, technician_ids: Collection[UUID]) -> None:
    """Wait for others who take terminals from these people's vans, whatever the day.

    This is the last that is waited for: whoever locks orders and days does so first.
    """
    if technician_ids:
        await tx.execute(_ALONE, {"technician_ids": sorted(map(str, technician_ids))})
