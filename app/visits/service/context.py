"""Whom a technician meets: the card for the door, in full for the holder of the order alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.auth.rules import Role
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.customers.queries import Card, card
from app.visits import queries, rules
from app.visits.queries import BehindTheDoor, OrderOfCustomer
from app.visits.rules.day import SHOWN_WHILE_HELD
from app.workorders.rules import CLOSED

# Written into the audit trail with each look at a full card.
SHOWN_AT_THE_DOOR = (
    "name",
    "phone",
    "service_numbers",
    "standard_address",
    "services",
    "payment",
    "faults",
    "contacts",
    "terminals",
)


@dataclass(frozen=True)
class Context:
    """A customer's card with what this house knows, and whether it has to be masked."""

    card: Card
    here: BehindTheDoor
    open_orders: Sequence[OrderOfCustomer]
    masked: bool
    at: datetime


async def context_of(
    tx: AsyncSession,
    customer_id: UUID,
    caller: Caller,
    *,
    work_order_id: UUID | None,
    now: datetime,
) -> Context:
    """Read the card for the door, in three statements and an audit entry.

    Whoever stands at the customer's door (see `at_the_door`) sees it unmasked, and each such look
    is audited. Supervisors and administrators see it masked for customers within their subtree.
    Raises NotFound for everybody else.
    """
    today = now.astimezone(await queries.zone_of_unit(tx, caller.org_unit_id)).date()
    here, order = await at_the_door(tx, customer_id, caller, work_order_id=work_order_id, now=now)
    if order is not None:
        audit.unmasked(
            tx,
            caller,
            subject_kind="customer",
            subject_id=customer_id,
            purpose=f"work_order:{order.id}",
            fields=SHOWN_AT_THE_DOOR,
        )
    return Context(
        card=await card(tx, customer_id, today),
        here=here,
        open_orders=[each for each in here.orders if each.state not in CLOSED],
        masked=order is None,
        at=now,
    )


async def at_the_door(
    tx: AsyncSession,
    customer_id: UUID,
    caller: Caller,
    *,
    work_order_id: UUID | None = None,
    now: datetime,
) -> tuple[BehindTheDoor, OrderOfCustomer | None]:
    """Find for which order a technician meets a customer; None for those who are no technicians.

    A technician meets whose order they hold, from acknowledging to completing and a short grace,
    or help with, having joined. Others have to do with the customers of their subtree. Raises
    NotFound for everybody else, in one and the same way whether the customer exists or not.
    """
    grace = timedelta(
        hours=(await parameters_in_force(tx)).number(rules.GRACE_HOURS, now, caller.org_path)
    )
    here = await queries.behind_the_door(tx, customer_id, now - grace)
    if caller.role is not Role.TECHNICIAN:
        if not here.org_path.startswith(caller.org_path):
            raise NotFound()
        return here, None
    order = _held(here.orders, caller, work_order_id, now, grace)
    order = order or await _assisted(tx, here.orders, caller, work_order_id)
    if order is None:
        raise NotFound()
    return here, order


def _held(
    orders: Sequence[OrderOfCustomer],
    caller: Caller,
    work_order_id: UUID | None,
    now: datetime,
    grace: timedelta,
) -> OrderOfCustomer | None:
    for order in orders:
        if (
            order.holder_id is not None
            and order.holder_id == caller.technician_id
            and work_order_id in (None, order.id)
            and rules.sees_contact(order.state, order.completed_at, now, grace)
        ):
            return order
    return None


async def _assisted(
    tx: AsyncSession,
    orders: Sequence[OrderOfCustomer],
    caller: Caller,
    work_order_id: UUID | None,
) -> OrderOfCustomer | None:
    """Find an order that the caller helps with; they see what its holder sees of the customer."""
    shown = {
        order.id: order
        for order in orders
        if order.state in SHOWN_WHILE_HELD and work_order_id in (None, order.id)
    }
    if not shown or caller.technician_id is None:
        return None
    found = await queries.assisted(tx, caller.technician_id, list(shown))
    return shown[min(found)] if found else None
