"""The order that fetches what is due: made through dispatch's intake, and let go when nothing is
left to fetch.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from geoalchemy2.shape import to_shape
from shapely import Point
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import district_of
from app.core.parameter_values import parameters_in_force
from app.customers import queries as customers
from app.customers.models import Customer, ServiceAddress
from app.dispatch.service.intake import take_in
from app.recovery import rules
from app.recovery.models import Recovery
from app.recovery.queries import pickups
from app.terminals.models import DueBack
from app.terminals.rules import DueState
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import CLOSED, Draft, Sender, State, Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType


async def fetch(tx: AsyncSession, recovery_id: UUID, *, now: datetime) -> UUID | None:
    """Have what is due and in no order fetched: by the open order of the pick-up, or by a new one.

    The order has to be done by the pick-up's deadline. Returns the order; None when nothing is
    left, or somebody is at the door just now.
    """
    recovery = await pickups.for_change(tx, recovery_id)
    waiting = (
        await tx.scalars(
            select(DueBack).where(
                DueBack.recovery_id == recovery_id, DueBack.state == DueState.OPEN
            )
        )
    ).all()
    if recovery.closed_at is not None or all(one.work_order_id for one in waiting):
        return recovery.work_order_id
    order = await tx.get(WorkOrder, recovery.work_order_id) if recovery.work_order_id else None
    if order is None or order.state in CLOSED:
        recovery.work_order_id = await _order_for(tx, recovery, waiting, now)
        recovery.orders += 1
    elif order.state in (State.EN_ROUTE, State.ON_SITE, State.SUSPENDED):
        return None
    await tx.execute(
        update(DueBack)
        .where(DueBack.recovery_id == recovery_id, DueBack.state == DueState.OPEN)
        .values(work_order_id=recovery.work_order_id)
    )
    await tx.flush()
    return recovery.work_order_id


async def _order_for(
    tx: AsyncSession, recovery: Recovery, waiting: Iterable[DueBack], now: datetime
) -> UUID:
    units = await workorders.org_units(tx, ids=[recovery.org_unit_id])
    unit = units.by_id[recovery.org_unit_id]
    customer = await tx.get_one(Customer, recovery.customer_id)
    address = _to_go_to(await customers.addresses_of(tx, recovery.customer_id))
    point = to_shape(address.point) if address and address.point is not None else None
    assert point is None or isinstance(point, Point)
    external_id = f"recovery-{recovery.id}-{recovery.orders + 1}"
    minutes = (await parameters_in_force(tx)).whole(rules.PICK_UP_MINUTES, now, unit.path)
    draft = Draft(
        source=rules.SOURCE,
        external_id=external_id,
        content_hash=hashlib.sha256(external_id.encode()).hexdigest(),
        work_type=WorkType.REMOVE,
        address=address.standard_address if address else customer.code,
        summary=rules.summary(one.kind for one in waiting),
        reported_at=now,
        org_unit_code=unit.code,
        customer_code=customer.code,
        contact_name=customer.name,
        contact_phone=customer.phone,
        locality=address.locality if address else None,
        lon=point.x if point else None,
        lat=point.y if point else None,
        estimated_minutes=minutes,
    )
    # Its grid may be a neighbour's: an order may go anywhere within its district.
    sender = Sender(None, unit.id, district_of(unit.path))
    (outcome,) = await take_in(tx, [draft], sender, now=now)
    if outcome.id is None:
        assert outcome.problem is not None
        raise outcome.problem
    order = await workorders.for_change(tx, outcome.id)
    # It is judged by the pick-up's own clock and not by what is promised for removals.
    order.due_at, order.promise_rule_id = recovery.due_at, None
    await tx.flush()
    return order.id


def _to_go_to(addresses: Iterable[ServiceAddress]) -> ServiceAddress | None:
    """Choose where to fetch: an address that a technician can be sent to, if there is one."""
    known = list(addresses)
    return next((one for one in known if one.point is not None), known[0] if known else None)


async def let_go(tx: AsyncSession, order_ids: Iterable[UUID], *, now: datetime) -> None:
    """Cancel orders that have nothing to fetch any more, unless somebody is on the way already."""
    for order_id in sorted(order_ids):
        order = await workorders.for_change(tx, order_id)
        if order.state in rules.NOT_BEGUN or order.state is State.ACKNOWLEDGED:
            await take_step(tx, order, Step.CANCEL, now=now, reason="terminals_are_back")
