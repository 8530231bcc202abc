"""Reads of late orders, escalations and compensations: each costs the same however long the
history is, by one look into an index for each org unit."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Row,
    TableValuedAlias,
    Uuid,
    cast,
    func,
    select,
    text,
    true,
    tuple_,
)
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.db import fetched
from app.core.errors import NotFound
from app.overdue.models import Compensation, Escalation
from app.overdue.rules import CompensationState
from app.promises.rules import Level
from app.workorders.models import WorkOrder
from app.workorders.queries import OPEN, org_units
from app.worktypes.rules import WorkType

# What a list shows of an order; the address leaves masked.
_ORDER: tuple[Any, ...] = (
    WorkOrder.id,
    WorkOrder.org_unit_id,
    WorkOrder.source,
    WorkOrder.external_id,
    WorkOrder.work_type,
    WorkOrder.priority,
    WorkOrder.state,
    WorkOrder.address,
    WorkOrder.grid_id,
    WorkOrder.holder_id,
    WorkOrder.planned_day,
    WorkOrder.appointment_from,
    WorkOrder.appointment_until,
    WorkOrder.reported_at,
    WorkOrder.due_at,
)


async def _units(session: AsyncSession, caller: Caller, org_unit_id: UUID | None) -> list[UUID]:
    """List the units that are asked about. Raises NotFound for one that is not the caller's."""
    units = await org_units(session, ids=[caller.org_unit_id])
    if org_unit_id is None:
        return units.within(caller.org_path)
    unit = units.in_reach(org_unit_id, caller.org_path)
    if unit is None:
        raise NotFound()
    return units.within(unit.path)


async def _unit_by_unit(
    session: AsyncSession, caller: Caller, org_unit_id: UUID | None
) -> TableValuedAlias:
    """Give the units that are asked about as rows, to look into an index for each of them."""
    units = await _units(session, caller, org_unit_id)
    return func.unnest(cast(units, ARRAY(Uuid))).table_valued("id").render_derived()


async def late(
    session: AsyncSession,
    caller: Caller,
    *,
    since: datetime | None,
    until: datetime,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    org_unit_id: UUID | None = None,
    work_type: WorkType | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` open orders that are due from `since` until before `until`, the first
    due first; `after` is the key (due_at, id) of the last row of the page before.

    Raises NotFound for a unit that is not the caller's.
    """
    conditions = [OPEN, WorkOrder.due_at < until]
    if since is not None:
        conditions.append(WorkOrder.due_at >= since)
    if work_type is not None:
        conditions.append(WorkOrder.work_type == work_type)
    if after is not None:
        conditions.append(tuple_(WorkOrder.due_at, WorkOrder.id) > tuple_(*after))
    unit = await _unit_by_unit(session, caller, org_unit_id)
    ids = (
        select(WorkOrder.id.label("order_id"))
        .where(WorkOrder.org_unit_id == unit.c.id, *conditions)
        .order_by(WorkOrder.due_at, WorkOrder.id)
        .limit(size + 1)
        .correlate(unit)
        .lateral()
    )
    found = (
        select(*_ORDER)
        .select_from(unit.join(ids, true()).join(WorkOrder, WorkOrder.id == ids.c.order_id))
        .order_by(WorkOrder.due_at, WorkOrder.id)
        .limit(size + 1)
    )
    return (await session.execute(found)).all()


_COUNTS = text(
    """
    SELECT u.id AS org_unit_id, u.code, u.name_zh, u.name_en, u.level,
        count(*) FILTER (WHERE o.due_at < :now) AS overdue,
        count(*) FILTER (WHERE o.due_at >= :now) AS at_risk
    FROM work_order o JOIN org_unit u ON u.id = o.org_unit_id
    WHERE o.org_unit_id = ANY(CAST(:units AS uuid[])) AND o.due_at < :soon
        AND o.state NOT IN ('completed', 'archived', 'cancelled')
    GROUP BY u.id ORDER BY overdue DESC, at_risk DESC, u.code
    """
)


async def counts(
    session: AsyncSession, caller: Caller, *, now: datetime, soon: datetime
) -> Sequence[Row[Any]]:
    """Count overdue orders, and those due before `soon`, by the org unit they belong to; a unit
    that has none is left out."""
    units = await _units(session, caller, None)
    given = {"units": units, "now": now, "soon": soon}
    return (await session.execute(_COUNTS, given)).all()


# --- escalations ----------------------------------------------------------------------------------

_ESCALATION = (
    *(each for each in Escalation.__table__.columns if each.name != "created_at"),
    WorkOrder.external_id,
    WorkOrder.source,
    WorkOrder.work_type,
    WorkOrder.state,
    WorkOrder.address,
)
# One that still matters: nobody has acknowledged it, and it has not lapsed, also not just now.
_STANDS = (
    Escalation.acknowledged_at.is_(None),
    Escalation.lapsed_at.is_(None),
    OPEN,
    WorkOrder.due_at == Escalation.due_at,
)


async def escalations(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    after: tuple[datetime, UUID] | None = None,
    level: Level | None = None,
    acknowledged: bool = False,
    org_unit_id: UUID | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` escalations of a caller's units, the latest first: those that still
    matter, or with `acknowledged` those somebody has taken up.

    Raises NotFound for a unit that is not the caller's.
    """
    conditions: list[Any] = (
        [Escalation.acknowledged_at.is_not(None)] if acknowledged else list(_STANDS)
    )
    if level is not None:
        conditions.append(Escalation.level == level)
    if after is not None:
        conditions.append(tuple_(Escalation.at, Escalation.id) < tuple_(*after))
    latest = (Escalation.at.desc(), Escalation.id.desc())
    unit = await _unit_by_unit(session, caller, org_unit_id)
    ids = (
        select(Escalation.id.label("escalation_id"))
        .join(WorkOrder, WorkOrder.id == Escalation.work_order_id)
        .where(Escalation.org_unit_id == unit.c.id, *conditions)
        .order_by(*latest)
        .limit(size + 1)
        .correlate(unit)
        .lateral()
    )
    found = (
        select(*_ESCALATION)
        .select_from(unit.join(ids, true()).join(Escalation, Escalation.id == ids.c.escalation_id))
        .join(WorkOrder, WorkOrder.id == Escalation.work_order_id)
        .order_by(*latest)
        .limit(size + 1)
    )
    return (await session.execute(found)).all()


async def missed(session: AsyncSession, now: datetime) -> dict[UUID, int]:
    """Count, unit by unit, the orders that are late at a moment, that a level above the technician
    was told of, and that nobody has taken up."""
    return dict(await fetched(session, _MISSED, {"now": now, "own": Level.TECHNICIAN.value}))


_MISSED = """
SELECT org_unit_id, count(DISTINCT work_order_id) FROM escalation
 WHERE acknowledged_at IS NULL AND lapsed_at IS NULL AND due_at <= %(now)s AND level <> %(own)s
 GROUP BY 1
"""


async def escalations_of(session: AsyncSession, technician_id: UUID) -> Sequence[Row[Any]]:
    """Read what a technician is told of the orders they hold, those due first first."""
    found = (
        select(*_ESCALATION)
        .join(WorkOrder, WorkOrder.id == Escalation.work_order_id)
        .where(
            *_STANDS,
            Escalation.level == Level.TECHNICIAN,
            Escalation.holder_id == technician_id,
            WorkOrder.holder_id == technician_id,
        )
        .order_by(Escalation.due_at, Escalation.id)
        .limit(200)
    )
    return (await session.execute(found)).all()


async def escalation(session: AsyncSession, escalation_id: UUID) -> Row[Any]:
    """Read one escalation as lists show it."""
    found = (
        select(*_ESCALATION)
        .join(WorkOrder, WorkOrder.id == Escalation.work_order_id)
        .where(Escalation.id == escalation_id)
    )
    return (await session.execute(found)).one()


async def escalation_for_change(
    tx: AsyncSession, escalation_id: UUID, caller: Caller
) -> Escalation:
    """Take an escalation under its row lock: of the caller's subtree, or told to the technician.

    Raises NotFound.
    """
    one = await tx.get(Escalation, escalation_id, with_for_update=True, populate_existing=True)
    if one is None:
        raise NotFound()
    if caller.technician_id is not None:
        mine = one.level is Level.TECHNICIAN and one.holder_id == caller.technician_id
    else:
        mine = one.org_unit_id in await _units(tx, caller, None)
    if not mine:
        raise NotFound()
    return one


# --- compensations --------------------------------------------------------------------------------

_COMPENSATION = (
    *(each for each in Compensation.__table__.columns if each.name != "created_at"),
    WorkOrder.external_id,
    WorkOrder.source,
    WorkOrder.work_type,
    WorkOrder.service_number,
    OrgUnit.code.label("org_unit_code"),
)


async def compensations(
    session: AsyncSession,
    caller: Caller,
    *,
    size: int,
    since: datetime | None = None,
    after: tuple[datetime, UUID] | None = None,
    state: CompensationState | None = None,
    org_unit_id: UUID | None = None,
) -> Sequence[Row[Any]]:
    """Read up to `size + 1` compensations of a caller's units, those that changed first first.

    `since` is a moment of change, and is included. Raises NotFound for a unit that is not the
    caller's.
    """
    conditions: list[Any] = []
    if since is not None:
        conditions.append(Compensation.changed_at >= since)
    if state is not None:
        conditions.append(Compensation.state == state)
    if after is not None:
        conditions.append(tuple_(Compensation.changed_at, Compensation.id) > tuple_(*after))
    order = (Compensation.changed_at, Compensation.id)
    unit = await _unit_by_unit(session, caller, org_unit_id)
    ids = (
        select(Compensation.id.label("compensation_id"))
        .where(Compensation.org_unit_id == unit.c.id, *conditions)
        .order_by(*order)
        .limit(size + 1)
        .correlate(unit)
        .lateral()
    )
    found = (
        select(*_COMPENSATION)
        .select_from(
            unit.join(ids, true()).join(Compensation, Compensation.id == ids.c.compensation_id)
        )
        .join(WorkOrder, WorkOrder.id == Compensation.work_order_id)
        .join(OrgUnit, OrgUnit.id == Compensation.org_unit_id)
        .order_by(*order)
        .limit(size + 1)
    )
    return (await session.execute(found)).all()


async def compensation(session: AsyncSession, compensation_id: UUID) -> Row[Any]:
    """Read one compensation as lists show it."""
    found = (
        select(*_COMPENSATION)
        .join(WorkOrder, WorkOrder.id == Compensation.work_order_id)
        .join(OrgUnit, OrgUnit.id == Compensation.org_unit_id)
        .where(Compensation.id == compensation_id)
    )
    return (await session.execute(found)).one()


async def compensation_for_change(
    tx: AsyncSession, compensation_id: UUID, caller: Caller
) -> Compensation:
    """Take a compensation of the caller's subtree under its row lock. Raises NotFound."""
    one = await tx.get(Compensation, compensation_id, with_for_update=True, populate_existing=True)
    if one is None or one.org_unit_id not in await _units(tx, caller, None):
        raise NotFound()
    return one
