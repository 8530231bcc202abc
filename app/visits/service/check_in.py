"""Standing at the door: where the phone is, judged, and which check-ins somebody should look at."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from geoalchemy2.shape import from_shape, to_shape
from shapely import Point
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core.parameter_values import parameters_in_force
from app.visits import queries, rules
from app.visits.queries import MarkedCheckIn
from app.visits.rules import Asked, FarReason, Mark, Position, Taken, content_of
from app.visits.service.steps import take, visiting
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units
from app.workorders.rules import Step


async def check_in(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    point: tuple[float, float],
    accuracy_m: float | None,
    mocked: bool,
    far_reason: FarReason | None,
    device_at: datetime,
    now: datetime,
) -> Taken:
    """Stand at the door: what is odd about where the phone is, is kept with the visit.

    `point` is longitude and latitude in WGS-84. Raises NotFound, StepRefused, OneAtATime,
    VisitEnded, and FarFromAddress or ImplausiblePosition when no reason is given.
    """
    sent = {"point": [round(part, 7) for part in point], "accuracy_m": accuracy_m}
    content = content_of(**sent, **({"mocked": True} if mocked else {}))
    asked = Asked(Step.CHECK_IN, device_at, far_reason, content)
    order, visit, before = await visiting(tx, visit_id, caller, asked)
    if before:
        return before
    numbers = await parameters_in_force(tx)
    path = caller.org_path
    judged = rules.checked_in(
        Position(*point, accuracy_m, device_at),
        _address(order),
        await queries.last_position(tx, technician_of(caller), visit_id),
        mocked=mocked,
        limits=rules.Limits(
            numbers.number(rules.FAR_METRES, now, path),
            numbers.number(rules.WORST_ACCURACY, now, path),
            numbers.number(rules.FASTEST_KMH, now, path),
        ),
        reason=far_reason,
    )
    visit.checked_in_at, visit.check_in_device_at = now, device_at
    visit.check_in_point = from_shape(Point(*point), srid=4326)
    visit.check_in_accuracy_m = accuracy_m
    visit.check_in_distance_m = judged.distance_m
    visit.check_in_speed_kmh = judged.speed_kmh
    visit.check_in_marks = [mark.value for mark in judged.marks]
    visit.far_reason = far_reason if judged.questioned else None
    return await take(
        tx,
        order,
        caller,
        asked,
        now,
        visit_id=visit_id,
        distance_m=judged.distance_m,
        far=Mark.FAR in judged.marks,
        marks=judged.marks,
    )


def _address(order: WorkOrder) -> tuple[float, float] | None:
    if order.point is None:
        return None
    address = to_shape(order.point)
    assert isinstance(address, Point)
    return address.x, address.y


async def marked(
    read: AsyncSession,
    caller: Caller,
    *,
    since: datetime,
    mark: Mark | None,
    technician_id: UUID | None,
    after: tuple[datetime, UUID] | None,
    size: int,
) -> Sequence[MarkedCheckIn]:
    """List up to `size + 1` check-ins of the caller's subtree with something odd about them since a
    moment, the newest first."""
    units = (await org_units(read)).within(caller.org_path)
    return await queries.marked_check_ins(
        read,
        units,
        since=since,
        mark=mark,
        technician_id=technician_id,
        after=after,
        size=size,
    )
