"""Whether the person at the door is who the customer is said to be."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.core.errors import NotFound
from app.customers.models import Customer
from app.real_name import queries as real_names
from app.real_name import service as real_name
from app.real_name.rules import HashKeys, RealName
from app.real_name.service import Begun, Place, Shown
from app.visits import queries
from app.visits.service import context
from app.visits.service.steps import at_the_door
from app.workorders.models import WorkOrder


async def begin_check(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    check_id: UUID,
    shown: Shown,
    keys: HashKeys,
    device_at: datetime,
    now: datetime,
) -> Begun:
    """Begin to check the document of a visit's customer, face to face, or find the check again.

    Raises NotFound, also for an order without a customer, VisitEnded, NotAtTheDoor, and what
    `app.real_name.service.begin` raises.
    """
    visit = await queries.own(tx, visit_id, technician_of(caller))
    # What was begun at the door is answered wherever the phone asks again.
    begun = await real_names.for_change(tx, check_id) is not None
    order = (
        await tx.get_one(WorkOrder, visit.work_order_id)
        if begun
        else await at_the_door(tx, visit, caller)
    )
    if order.customer_id is None:
        raise NotFound()
    name = await tx.scalar(select(Customer.name).where(Customer.id == order.customer_id))
    zone = await queries.zone_of_unit(tx, order.org_unit_id)
    place = Place(
        org_unit_id=order.org_unit_id,
        org_path=caller.org_path,
        customer_id=order.customer_id,
        visit_id=visit_id,
        technician_id=visit.technician_id,
        name=name or "",
    )
    return await real_name.begin(
        tx,
        check_id,
        shown=shown,
        place=place,
        keys=keys,
        today=now.astimezone(zone),
        device_at=device_at,
        now=now,
    )


async def state_of(
    read: AsyncSession, customer_id: UUID, caller: Caller, *, now: datetime
) -> RealName | None:
    """Read what is known of a customer's real name, for those who may see the customer's card.

    Raises NotFound for everybody else.
    """
    await context.at_the_door(read, customer_id, caller, now=now)
    return await real_names.state_of(read, customer_id)
