"""What technicians had in the last month, and how that compares with others of their branch."""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.planning.rules.fairness import MONTH, NO_PAST, Past

# The page's people, and all others of their branches for the medians: 31 rows a person.
_REPORT = text(
    """
    WITH page AS (
        SELECT t.id, t.code, t.name, t.org_unit_id
        FROM technician t JOIN org_unit u ON u.id = t.org_unit_id
        WHERE t.active AND starts_with(u.path, :org_path)
            AND (CAST(:after AS text) IS NULL OR t.code > :after)
        ORDER BY t.code LIMIT :limit
    ), members AS (
        SELECT t.id, t.org_unit_id, had.*
        FROM technician t
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(present_seconds), 0) AS present,
                coalesce(sum(work_seconds + travel_seconds), 0) / 60.0 AS minutes,
                coalesce(sum(metres), 0) * CAST(:detour AS float8) / 1000 AS km,
                coalesce(sum(visits), 0) AS visits,
                coalesce(sum(opportunities), 0) AS opportunities
            FROM workload_day w WHERE w.technician_id = t.id AND w.day > :after_day
                AND w.day <= :until
        ) AS had
        WHERE t.active AND t.org_unit_id IN (SELECT org_unit_id FROM page)
    ), medians AS (
        SELECT org_unit_id,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY minutes * 3600 / present) AS minutes,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY km * 3600 / present) AS km,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY visits * 3600.0 / present) AS visits,
            percentile_cont(0.5) WITHIN GROUP (ORDER BY opportunities * 3600.0 / present)
                AS opportunities
        FROM members WHERE present >= :least_present GROUP BY org_unit_id
    )
    SELECT page.id, page.code, page.name, page.org_unit_id, m.present::float8 AS present,
        m.minutes::float8 AS minutes, m.km::float8 AS km, m.visits::float8 AS visits,
        m.opportunities::float8 AS opportunities,
        medians.minutes AS median_minutes, medians.km AS median_km,
        medians.visits AS median_visits, medians.opportunities AS median_opportunities
    FROM page JOIN members m ON m.id = page.id
    LEFT JOIN medians ON medians.org_unit_id = page.org_unit_id
    ORDER BY page.code
    """
)


async def report(
    session: AsyncSession,
    org_path: str,
    until: date,
    *,
    detour: float,
    least_present: float,
    after: str | None,
    limit: int,
) -> Sequence[Row[Any]]:
    """Read what the technicians of a subtree had in the month up to a local day, by code: seconds
    present, amounts, and the medians of their branches an hour present."""
    given = {
        "org_path": org_path,
        "after_day": until - timedelta(days=MONTH),
        "until": until,
        "detour": detour,
        "least_present": max(1.0, least_present),
        "after": after,
        "limit": limit,
    }
    return (await session.execute(_REPORT, given)).all()


_PAST = text(
    """
    SELECT technician_id, sum(present_seconds)::bigint AS present,
        sum(work_seconds + travel_seconds)::bigint AS worked
    FROM workload_day
    WHERE technician_id = ANY(CAST(:technician_ids AS uuid[])) AND day >= :since AND day < :day
    GROUP BY technician_id
    """
)


async def past_of(
    session: AsyncSession, technician_ids: Collection[UUID], day: date
) -> dict[UUID, Past]:
    """Read what people had in the month before a local day."""
    given = {
        "technician_ids": list(technician_ids),
        "since": day - timedelta(days=MONTH),
        "day": day,
    }
    found = {
        row.technician_id: Past(row.present, row.worked)
        for row in await session.execute(_PAST, given)
    }
    return {who: found.get(who, NO_PAST) for who in technician_ids}
