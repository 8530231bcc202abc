"""How many of the treated and of those left alone have not left since."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.retention.queries.leavers import GONE_WITHIN
from app.retention.rules import Arm, Cause
from app.retention.rules.effects import Kept


class Counted(NamedTuple):
    """Warned customers of one cause and arm: those whose days are over, and those still open."""

    cause: Cause
    arm: Arm
    kept: Kept
    too_young: int


# Whoever was drawn counts in their arm, whether or not anybody reached them: only so is the one
# group like the other. Those whose days are not over yet are left out, and counted apart.
_COUNTED = text(
    f"""
    SELECT r.cause, r.arm,
        count(*) FILTER (WHERE r.old_enough) AS of,
        count(*) FILTER (WHERE r.old_enough AND NOT r.gone) AS kept,
        count(*) FILTER (WHERE NOT r.old_enough) AS too_young
    FROM (
        SELECT r.cause, r.arm, r.decided_at <= :old_enough AS old_enough,
            {GONE_WITHIN} AS gone
        FROM retention_case r
        WHERE r.org_unit_id = ANY(CAST(:units AS uuid[])) AND r.share_percent > 0
            AND r.decided_at >= :begins AND r.decided_at < :ends
    ) AS r
    GROUP BY r.cause, r.arm ORDER BY r.cause, r.arm
    """  # noqa: S608 - text of our own
)


async def counted(
    session: AsyncSession,
    units: Sequence[UUID],
    begins: datetime,
    ends: datetime,
    *,
    days: int,
    now: datetime,
) -> list[Counted]:
    """Count the warned customers decided about from one moment until before another.

    Kept is who has not left within `days` days, or still has a service of before.
    """
    given = {
        "units": list(units),
        "begins": begins,
        "ends": ends,
        "days": days,
        "old_enough": now - timedelta(days=days),
    }
    return [
        Counted(Cause(row.cause), Arm(row.arm), Kept(row.kept, row.of), row.too_young)
        for row in await session.execute(_COUNTED, given)
    ]
