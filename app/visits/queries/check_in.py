"""Where technicians have been, and which check-ins have something odd about them."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.visits.rules import FarReason, Mark, Position

_LAST = text(
    """
    SELECT ST_X(check_in_point) AS lon, ST_Y(check_in_point) AS lat,
        check_in_accuracy_m AS accuracy,
        coalesce(check_in_device_at, checked_in_at) AS at
    FROM visit
    WHERE technician_id = :technician_id AND id <> :visit_id AND check_in_point IS NOT NULL
    ORDER BY travel_started_at DESC LIMIT 1
    """
)


async def last_position(tx: AsyncSession, technician_id: UUID, visit_id: UUID) -> Position | None:
    """Read where a technician checked in last, in another visit than this one."""
    row = (
        await tx.execute(_LAST, {"technician_id": technician_id, "visit_id": visit_id})
    ).one_or_none()
    return None if row is None else Position(row.lon, row.lat, row.accuracy, row.at)


class MarkedCheckIn(NamedTuple):
    """A check-in that somebody should look at; points are in WGS-84 degrees."""

    visit_id: UUID
    work_order_id: UUID
    external_id: str
    address: str
    technician_id: UUID
    technician_code: str
    technician_name: str
    at: datetime
    device_at: datetime | None
    marks: Sequence[str]
    far_reason: FarReason | None
    distance_m: float | None
    accuracy_m: float | None
    speed_kmh: float | None
    lon: float
    lat: float
    address_lon: float | None
    address_lat: float | None


_MARKED = text(
    """
    SELECT v.id, o.id, o.external_id, o.address, t.id, t.code, t.name, v.checked_in_at,
        v.check_in_device_at, v.check_in_marks, v.far_reason, v.check_in_distance_m,
        v.check_in_accuracy_m, v.check_in_speed_kmh, ST_X(v.check_in_point),
        ST_Y(v.check_in_point), ST_X(o.point), ST_Y(o.point)
    FROM visit v JOIN work_order o ON o.id = v.work_order_id
    JOIN technician t ON t.id = v.technician_id
    WHERE v.check_in_marks <> '{}' AND v.checked_in_at >= :since
        AND (v.checked_in_at, v.id) < (:before, :before_id)
        AND (CAST(:mark AS text) IS NULL OR :mark = ANY(v.check_in_marks))
        AND (CAST(:technician_id AS uuid) IS NULL OR v.technician_id = :technician_id)
        AND o.org_unit_id = ANY(CAST(:units AS uuid[]))
    ORDER BY v.checked_in_at DESC, v.id DESC LIMIT :size
    """
)
_END = (datetime.fromisoformat("9999-01-01T00:00:00+00:00"), UUID(int=(1 << 128) - 1))


async def marked_check_ins(
    read: AsyncSession,
    units: Sequence[UUID],
    *,
    since: datetime,
    mark: Mark | None,
    technician_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    size: int,
) -> list[MarkedCheckIn]:
    """Read up to `size + 1` of them since a moment, the newest first; `after` is the key of the
    last one of the page before."""
    before, before_id = after or _END
    rows = await read.execute(
        _MARKED,
        {
            "units": list(units),
            "since": since,
            "before": before,
            "before_id": before_id,
            "mark": mark and mark.value,
            "technician_id": technician_id,
            "size": size + 1,
        },
    )
    return [MarkedCheckIn._make(row) for row in rows]
