"""How far off expected ways and planned times were, by org unit."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

# Null stands for the whole subtree. Ways that are not learned from are only counted.
_WAYS = text(
    """
    SELECT t.org_unit_id, count(*) FILTER (WHERE t.cut IS NULL) AS trips,
        count(t.cut) AS left_out,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY abs(t.seconds - t.expected))
            FILTER (WHERE t.cut IS NULL) AS expected,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY abs(t.seconds - t.by_distance))
            FILTER (WHERE t.cut IS NULL) AS by_distance
    FROM trip t
    WHERE t.org_unit_id = ANY(CAST(:units AS uuid[])) AND t.day BETWEEN :since AND :until
    GROUP BY GROUPING SETS ((t.org_unit_id), ())
    """
)
_PLANS = text(
    """
    SELECT e.org_unit_id, count(*) AS visits,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY abs(e.first)) AS first,
        count(*) FILTER (WHERE abs(e.first) <= 900) AS first_15,
        count(*) FILTER (WHERE abs(e.first) <= 1800) AS first_30,
        percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY abs(e.last)) AS last,
        count(*) FILTER (WHERE abs(e.last) <= 900) AS last_15,
        count(*) FILTER (WHERE abs(e.last) <= 1800) AS last_30
    FROM plan_error e
    WHERE e.org_unit_id = ANY(CAST(:units AS uuid[])) AND e.day BETWEEN :since AND :until
    GROUP BY GROUPING SETS ((e.org_unit_id), ())
    """
)
_UNITS = text(
    """
    SELECT id, code, name_zh, name_en FROM org_unit
    WHERE starts_with(path, :org_path) ORDER BY path
    """
)


async def units(session: AsyncSession, org_path: str) -> Sequence[Row[Any]]:
    """List a unit and those under it, from the top down."""
    return (await session.execute(_UNITS, {"org_path": org_path})).all()


async def ways(
    session: AsyncSession, units: Sequence[UUID], since: date, until: date
) -> dict[UUID | None, Row[Any]]:
    """Read by org unit, and under None for all of them, how long ways took against what was
    expected: median and 90th percentile of the error's size in seconds. Days are included."""
    given = {"units": list(units), "since": since, "until": until}
    return {row.org_unit_id: row for row in await session.execute(_WAYS, given)}


async def plans(
    session: AsyncSession, units: Sequence[UUID], since: date, until: date
) -> dict[UUID | None, Row[Any]]:
    """Read likewise how far from planned times visits began, and how many within 15 and 30 min."""
    given = {"units": list(units), "since": since, "until": until}
    return {row.org_unit_id: row for row in await session.execute(_PLANS, given)}
