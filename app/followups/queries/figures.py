"""How technicians and branches were marked, with how many were asked and answered beside it."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.followups.rules import LOW


class Figures(NamedTuple):
    """Counts of one branch, or of one technician in it; `marks` is the sum of the marks."""

    org_unit_id: UUID
    org_unit_code: str
    technician_id: UUID | None
    technician_code: str | None
    technician_name: str | None
    asked: int
    answered: int
    marks: int
    low: int
    unreached: int


# Both in one pass over the index of completions; grouping sets give a branch's row beside those of
# its people.
_FIGURES = text(
    f"""
    WITH counted AS (
        SELECT f.org_unit_id, f.technician_id,
            count(f.asked_at) AS asked,
            count(f.mark) AS answered, coalesce(sum(f.mark), 0) AS marks,
            count(*) FILTER (WHERE f.mark <= {LOW}) AS low,
            count(*) FILTER (WHERE f.state = 'unreached') AS unreached
        FROM org_unit u JOIN follow_up f ON f.org_unit_id = u.id
        WHERE starts_with(u.path, :org_path)
            AND f.completed_at >= :begins AND f.completed_at < :ends
        GROUP BY GROUPING SETS ((f.org_unit_id), (f.org_unit_id, f.technician_id))
    )
    SELECT u.id, u.code, t.id, t.code, t.name, c.asked, c.answered, c.marks, c.low, c.unreached
    FROM counted c JOIN org_unit u ON u.id = c.org_unit_id
    LEFT JOIN technician t ON t.id = c.technician_id
    ORDER BY u.path, t.code NULLS FIRST
    LIMIT :most
    """  # noqa: S608 - a number of our own
)


async def figures(
    session: AsyncSession, org_path: str, begins: datetime, ends: datetime, *, most: int
) -> Sequence[Figures]:
    """Count the follow-ups of orders completed from one moment until before another.

    For each branch of a subtree one row without a technician, and then one for each of its people;
    `most` rows at most.
    """
    given = {"org_path": org_path, "begins": begins, "ends": ends, "most": most}
    return [Figures(*row) for row in await session.execute(_FIGURES, given)]
