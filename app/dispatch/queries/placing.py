"""Reads of dispatch that have a name: decisions, who declined, shares of days, shared points."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Row,
    cast,
    exists,
    func,
    select,
    text,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.dispatch.models import DispatchDecision
from app.dispatch.rules import HEALED_BY_TIME, PointKey, Share
from app.technicians.models import Technician
from app.workorders.models import WorkOrder
from app.workorders.queries import OPEN
from app.workorders.rules import State, UnplacedReason


async def decision(session: AsyncSession, order_id: UUID) -> DispatchDecision | None:
    """Read the decision in force for an order, which is the newest; None when there was none."""
    return await session.scalar(
        select(DispatchDecision)
        .where(DispatchDecision.work_order_id == order_id)
        .order_by(DispatchDecision.id.desc())
        .limit(1)
    )


async def people_in(
    session: AsyncSession, decision: DispatchDecision
) -> dict[UUID, tuple[str, str]]:
    """Read the codes and names of those whom a decision considered, by their ids."""
    ids = [UUID(entry["t"]) for entry in decision.candidates if "t" in entry]
    rows = await session.execute(
        select(Technician.id, Technician.code, Technician.name).where(Technician.id.in_(ids))
    )
    return {row.id: (row.code, row.name) for row in rows}


_DECLINED = text(
    """
    SELECT DISTINCT work_order_id, technician_id FROM work_order_event
    WHERE work_order_id = ANY(CAST(:order_ids AS uuid[])) AND technician_id IS NOT NULL
        AND (step = 'decline' OR (step = 'hand_back' AND at > :since))
    """
)


async def declined(
    session: AsyncSession, order_ids: Collection[UUID], *, handed_back_since: datetime
) -> dict[UUID, set[UUID]]:
    """Tell who has ever declined each of these orders, or handed it back since a moment.

    Declining says "not me"; handing back mostly says "not now": nobody home, a part missing.
    """
    given = {"order_ids": list(order_ids), "since": handed_back_since}
    found: dict[UUID, set[UUID]] = {}
    for row in await session.execute(_DECLINED, given):
        found.setdefault(row.work_order_id, set()).add(row.technician_id)
    return found


async def order_to_give_way(
    tx: AsyncSession, order_id: UUID, technician_id: UUID
) -> WorkOrder | None:
    """Take an order that somebody holds and has not begun, under its row lock, if it is free."""
    return await tx.scalar(
        select(WorkOrder)
        .where(
            WorkOrder.id == order_id,
            WorkOrder.holder_id == technician_id,
            WorkOrder.state.in_((State.ASSIGNED, State.ACKNOWLEDGED)),
            WorkOrder.appointment_from.is_(None),
        )
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )


# What a person still has to do counts however old it is; what they have done, on its own day.
_HELD_FOR_GRIDS = text(
    """
    WITH given AS (
        SELECT * FROM unnest(CAST(:technician_ids AS uuid[]), CAST(:grid_ids AS uuid[]))
            AS given (technician_id, grid_id)
    )
    SELECT o.holder_id, o.grid_id, o.planned_day, false AS done,
        sum(o.estimated_minutes)::bigint AS minutes, count(*) AS orders
    FROM given JOIN work_order o ON o.holder_id = given.technician_id AND o.grid_id = given.grid_id
    WHERE o.state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
    GROUP BY 1, 2, 3
    UNION ALL
    SELECT o.holder_id, o.grid_id, o.planned_day, true,
        sum(o.estimated_minutes)::bigint, count(*)
    FROM given JOIN work_order o ON o.holder_id = given.technician_id AND o.grid_id = given.grid_id
    WHERE o.state IN ('completed', 'archived') AND o.planned_day >= :first_day
    GROUP BY 1, 2, 3
    """
)

PersonOfGrid = tuple[UUID, UUID]  # a technician's id and a grid's


async def held_for_grids(
    session: AsyncSession, wanted: Collection[PersonOfGrid], *, first_day: date
) -> dict[PersonOfGrid, Share]:
    """Read what these people's days hold of orders of these grids, done ones from a day on."""
    found = {key: Share() for key in wanted}
    rows = await session.execute(
        _HELD_FOR_GRIDS,
        {
            "technician_ids": [technician_id for technician_id, _ in found],
            "grid_ids": [grid_id for _, grid_id in found],
            "first_day": first_day,
        },
    )
    for row in rows:
        share = found[row.holder_id, row.grid_id]
        (share.done if row.done else share.open)[row.planned_day] = (row.minutes, row.orders)
    return found


_PLACE = tuple_(
    cast(func.round(func.ST_X(WorkOrder.point) * 1_000_000), BigInteger),
    cast(func.round(func.ST_Y(WorkOrder.point) * 1_000_000), BigInteger),
)


def at_points(points: Collection[PointKey]) -> ColumnElement[bool]:
    """Make the condition that an order lies at one of these points."""
    return _PLACE.in_(sorted(points))


_WAITS_SHARED = (
    OPEN,
    WorkOrder.state == State.UNPLACED,
    WorkOrder.unplaced_reason == UnplacedReason.SHARED_POINT,
)


async def waits_at(session: AsyncSession, point: PointKey, caller: Caller) -> bool:
    """Tell whether an order of the caller's subtree waits at a shared point."""
    waiting = exists().where(
        *_WAITS_SHARED, at_points([point]), subtree(WorkOrder.org_unit_id, caller)
    )
    return bool(await session.scalar(select(waiting)))


_SHARED = text(
    """
    SELECT s.lon_e6, s.lat_e6, s.flagged_at, s.trusted_at, waiting.orders,
        (SELECT count(*) FROM point_locality l
         WHERE l.lon_e6 = s.lon_e6 AND l.lat_e6 = s.lat_e6) AS localities
    FROM (
        SELECT round(ST_X(o.point) * 1000000)::bigint AS lon_e6,
            round(ST_Y(o.point) * 1000000)::bigint AS lat_e6, count(*) AS orders
        FROM work_order o
        WHERE o.state = 'unplaced' AND o.unplaced_reason = 'shared_point'
            AND o.state NOT IN ('completed', 'archived', 'cancelled')
            AND o.org_unit_id IN (SELECT id FROM org_unit WHERE starts_with(path, :org_path))
        GROUP BY 1, 2
    ) AS waiting
    JOIN shared_point s USING (lon_e6, lat_e6)
    WHERE CAST(:lon_e6 AS bigint) IS NULL OR (s.lon_e6 = :lon_e6 AND s.lat_e6 = :lat_e6)
    ORDER BY waiting.orders DESC, s.lon_e6, s.lat_e6
    LIMIT :size
    """
)


async def shared_points(
    session: AsyncSession, caller: Caller, *, size: int = 1, point: PointKey | None = None
) -> Sequence[Row[Any]]:
    """List flagged points, or one, where orders of the caller's subtree wait, worst first."""
    lon_e6, lat_e6 = point or (None, None)
    rows = await session.execute(
        _SHARED,
        {"org_path": caller.org_path, "size": size, "lon_e6": lon_e6, "lat_e6": lat_e6},
    )
    return rows.all()


async def taken_in_only(session: AsyncSession, *, limit: int) -> Sequence[UUID]:
    """List orders that are neither placed nor unplaced, those that wait longest first."""
    found = await session.scalars(
        select(WorkOrder.id)
        .where(text("state IN ('received', 'located')"))
        .order_by(WorkOrder.tried_at.nulls_first())
        .limit(limit)
    )
    return found.all()


async def to_try_again(session: AsyncSession, *, before: datetime, limit: int) -> Sequence[UUID]:
    """List unplaced orders whose reason time may have healed, not tried since a moment."""
    found = await session.scalars(
        select(WorkOrder.id)
        .where(
            OPEN,
            WorkOrder.state == State.UNPLACED,
            WorkOrder.unplaced_reason.in_(HEALED_BY_TIME),
            WorkOrder.tried_at < before,
        )
        .order_by(WorkOrder.priority, WorkOrder.due_at.nulls_last(), WorkOrder.id)
        .limit(limit)
    )
    return found.all()
