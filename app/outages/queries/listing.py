"""Outages as they are shown: with the numbers of their orders, page by page, and order by order."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, func, select, true, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import NotFound
from app.outages.models import Outage
from app.outages.queries import within
from app.outages.rules import OutageState
from app.workorders.models import WorkOrder
from app.workorders.queries import org_units
from app.workorders.rules import UnplacedReason

_OUTAGE = tuple(
    each for each in Outage.__table__.columns if each.name not in ("point", "created_at", "asked")
)
_orders = (
    select(
        func.count().label("orders"),
        func.count().filter(WorkOrder.unplaced_reason == UnplacedReason.OUTAGE).label("held"),
        func.count()
        .filter(WorkOrder.state.in_(("en_route", "on_site", "suspended")))
        .label("under_way"),
        func.count().filter(WorkOrder.completed_at.is_not(None)).label("completed"),
    )
    .where(WorkOrder.outage_id == Outage.id)
    .lateral()
)
_SHOWN: Select[Any] = (
    select(
        *_OUTAGE,
        func.ST_X(Outage.point).label("lon"),
        func.ST_Y(Outage.point).label("lat"),
        _orders.c.orders,
        _orders.c.held,
        _orders.c.under_way,
        _orders.c.completed,
    )
    .select_from(Outage)
    .join(_orders, true())
)


async def one(session: AsyncSession, outage_id: UUID, caller: Caller) -> Row[Any]:
    """Read an outage with the numbers of its orders. Raises NotFound."""
    row: Row[Any] | None = (
        await session.execute(_SHOWN.where(Outage.id == outage_id))
    ).one_or_none()
    if row is None or not await within(session, row.org_unit_id, caller):
        raise NotFound()
    return row


_KEY = (Outage.ended_at.is_(None), Outage.found_at, Outage.id)


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[bool, datetime, UUID] | None = None,
    state: OutageState | None = None,
) -> list[Row[Any]]:
    """Read up to `size + 1` outages of the caller's subtree: open ones first, the newest first.

    `after` is the key (open, found_at, id) of the last row of the page before.
    """
    units = (await org_units(session)).within(caller.org_path)
    conditions: list[ColumnElement[bool]] = [Outage.org_unit_id.in_(units)]
    if state is not None:
        conditions.append(Outage.state == state)
    if after is not None:
        conditions.append(tuple_(*_KEY) < tuple_(*after))
    found = await session.execute(
        _SHOWN.where(and_(*conditions)).order_by(*(each.desc() for each in _KEY)).limit(size + 1)
    )
    return list(found)


_CHILDREN = select(
    WorkOrder.id,
    WorkOrder.external_id,
    WorkOrder.source,
    WorkOrder.state,
    WorkOrder.unplaced_reason,
    WorkOrder.priority,
    WorkOrder.address,
    WorkOrder.locality,
    WorkOrder.grid_id,
    WorkOrder.holder_id,
    WorkOrder.reported_at,
    WorkOrder.due_at,
    WorkOrder.outcome_code,
    WorkOrder.version,
    func.ST_X(WorkOrder.point).label("lon"),
    func.ST_Y(WorkOrder.point).label("lat"),
)


async def children(session: AsyncSession, outage_id: UUID, *, most: int) -> list[Any]:
    """Read an outage's orders as they were reported, up to so many."""
    found = await session.execute(
        _CHILDREN.where(WorkOrder.outage_id == outage_id)
        .order_by(WorkOrder.reported_at, WorkOrder.id)
        .limit(most)
    )
    return list(found)
