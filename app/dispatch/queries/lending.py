"""Reads for lending people: who is near a unit, and what they hold meanwhile."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller

_NEIGHBOURS = text(
    """
    SELECT t.id, t.code, t.name, t.org_unit_id, u.code AS org_unit_code
    FROM technician t JOIN org_unit u ON u.id = t.org_unit_id
    WHERE t.active AND starts_with(u.path, :district) AND NOT starts_with(u.path, :org_path)
        AND (CAST(:skill AS text) IS NULL OR EXISTS (
            SELECT FROM technician_skill s WHERE s.technician_id = t.id AND s.skill = :skill))
    """
)


async def neighbours(
    session: AsyncSession, *, district: str, org_path: str, skill: str | None
) -> Sequence[Row[Any]]:
    """List the active people of a district, given by its path, who are not of one of its units."""
    given = {"district": district, "org_path": org_path, "skill": skill}
    return (await session.execute(_NEIGHBOURS, given)).all()


_MIDDLE = text(
    """
    SELECT ST_X(middle) AS lon, ST_Y(middle) AS lat FROM (
        SELECT ST_Centroid(ST_Collect(ST_Centroid(b.boundary))) AS middle
        FROM grid g JOIN org_unit u ON u.id = g.org_unit_id
            JOIN grid_boundary b ON b.grid_id = g.id AND b.valid_to IS NULL
        WHERE starts_with(u.path, :org_path)
    ) AS found
    WHERE middle IS NOT NULL
    """
)


async def middle_of(session: AsyncSession, org_path: str) -> tuple[float, float] | None:
    """Find the middle of a unit's grids in WGS-84 degrees; None for a unit without any."""
    row = (await session.execute(_MIDDLE, {"org_path": org_path})).one_or_none()
    return (row.lon, row.lat) if row else None


_HELD = text(
    """
    SELECT o.id, o.external_id, o.state, o.planned_day, o.estimated_minutes, o.version
    FROM work_order o JOIN org_unit u ON u.id = o.org_unit_id
    WHERE o.holder_id = :technician_id
        AND o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        AND o.planned_day >= :valid_from AND o.planned_day < :valid_to
        AND starts_with(u.path, :org_path) AND NOT starts_with(u.path, :borrowing)
    ORDER BY o.planned_day, o.id LIMIT :size
    """
)


async def held_at_home(
    session: AsyncSession,
    caller: Caller,
    technician_id: UUID,
    *,
    borrowing: str,
    valid_from: date,
    valid_to: date,
    size: int,
) -> Sequence[Row[Any]]:
    """List what somebody has to do for others on the days of a loan to a unit, given by its path.

    Those of the caller's subtree, by day, at most so many.
    """
    given = {
        "technician_id": technician_id,
        "valid_from": valid_from,
        "valid_to": valid_to,
        "org_path": caller.org_path,
        "borrowing": borrowing,
        "size": size,
    }
    return (await session.execute(_HELD, given)).all()
