"""Days to be planned for tests: orders in the squares of a territory, held or waiting."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.grids.models import Grid
from app.technicians import availability
from app.technicians.availability import Promised
from app.technicians.models import Leave, Technician
from app.technicians.rules import LeaveCause
from app.workorders.models import WorkOrder
from app.workorders.rules import HELD, State, UnplacedReason
from tests.make.dispatch import SIDE, SOUTH, WEST, Territory
from tests.make.workorders import make_work_order

SHANGHAI = ZoneInfo("Asia/Shanghai")
TODAY, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)
NINE = datetime(2026, 3, 2, 9, 0, tzinfo=SHANGHAI).astimezone(UTC)


def at(hour: int, minute: int = 0, *, day: date = TOMORROW) -> datetime:
    """A local moment of a day, tomorrow unless told."""
    return datetime.combine(day, time(hour, minute), SHANGHAI).astimezone(UTC)


def point_in(
    land: Territory, grid: Grid, *, east: float = 0.5, north: float = 0.5
) -> tuple[float, float]:
    """A point at a share of a square's side from its south-western corner."""
    return WEST + SIDE * (land.grids.index(grid) + east), SOUTH + SIDE * north


def home_in(land: Territory, grid: Grid) -> WKTElement:
    """A home in the middle of a square."""
    lon, lat = point_in(land, grid)
    return WKTElement(f"POINT({lon} {lat})", srid=4326)


async def make_visit(
    tx: AsyncSession,
    land: Territory,
    grid: Grid,
    *,
    holder: Technician | None = None,
    day: date = TOMORROW,
    window: tuple[datetime, datetime] | None = None,
    east: float = 0.5,
    north: float = 0.5,
    **fields: Any,
) -> WorkOrder:
    """Add an order in a square: one that waits, or with `holder` one that stands on their day."""
    given: dict[str, Any] = {
        "state": State.ASSIGNED if holder else State.UNPLACED,
        "unplaced_reason": None if holder else UnplacedReason.NO_MINUTES_LEFT,
        "holder_id": holder.id if holder else None,
        "planned_day": day if holder else None,
        "grid_id": grid.id,
        "appointment_from": window[0] if window else None,
        "appointment_until": window[1] if window else None,
        "point": point_in(land, grid, east=east, north=north),
        **fields,
    }
    order = await make_work_order(
        tx,
        now=NINE - timedelta(hours=1),
        org_unit=land.org_unit,
        **given,
    )
    if holder is not None and given["state"] in HELD:
        promised = Promised(order.estimated_minutes, 1)
        await availability.change(tx, {(holder.id, given["planned_day"]): promised})
    return order


async def make_leave(
    tx: AsyncSession, technician: Technician, starts_at: datetime, ends_at: datetime
) -> None:
    """Let somebody be away for a time."""
    tx.add(
        Leave(
            technician_id=technician.id,
            starts_at=starts_at,
            ends_at=ends_at,
            cause=LeaveCause.ILLNESS,
        )
    )
    await tx.flush()
