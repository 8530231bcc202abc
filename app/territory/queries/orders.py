"""Open orders and the grids they are in, to compare with what a map says."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.workorders.models import WorkOrder
from app.workorders.queries import OPEN


class Box(NamedTuple):
    """A rectangle of the map in WGS-84 degrees."""

    west: float
    south: float
    east: float
    north: float


_COLUMNS = (
    WorkOrder.id,
    WorkOrder.state,
    WorkOrder.unplaced_reason,
    WorkOrder.org_unit_id,
    WorkOrder.grid_id,
    WorkOrder.near_border,
    WorkOrder.appointment_from,
    func.ST_X(WorkOrder.point).label("lon"),
    func.ST_Y(WorkOrder.point).label("lat"),
)


async def open_orders(
    session: AsyncSession, *, box: Box | None = None, grid_ids: Collection[UUID] = ()
) -> Sequence[Row[Any]]:
    """Read the open orders with a point in a box, or in one of some grids; all without a box.

    Open orders are few beside years of closed ones, and the index of the open ones finds them.
    """
    statement = select(*_COLUMNS).where(OPEN)
    if box is not None:
        inside = WorkOrder.point.op("&&")(func.ST_MakeEnvelope(*box, 4326))
        statement = statement.where(or_(inside, WorkOrder.grid_id.in_(grid_ids)))
    return (await session.execute(statement.order_by(WorkOrder.id))).all()


def still(rows: Collection[Row[Any]]) -> Any:
    """Make the condition that an order is one of these and is open still."""
    return and_(OPEN, WorkOrder.id.in_([row.id for row in rows]))
