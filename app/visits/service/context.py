"""Whom a technician meets: the card for the door, in full for the holder of the order alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller
from app.auth.rules import Role
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.customers.queries import Card, card
from app.outages.queries.open import open_now
from app.outages.rules import PlaceKind
from app.suggestions.rules.limits import limits_in_force
from app.visits import queries, rules
from app.visits.queries import BehindTheDoor, OrderOfCustomer
from app.visits.rules.day import SHOWN_WHILE_HELD
from app.visits.rules.standing import Fit, fit_of
from app.workorders.rules import CLOSED

# Written into the audit trail with each look at a full card.
SHOWN_AT_THE_DOOR = (
    "name",
    "phone",
    "service_numbers",
    "standard_address",
    "services",
    "payment",
    "usage",
    "lifecycle",
    "competition",
    "former",
    "faults",
    "contacts",
    "terminals",
)


class Outage(NamedTuple):
    """A confirmed outage that concerns a customer."""

    name: str
    expected_end: datetime | None


@dataclass(frozen=True)
class Context:
    """A customer's card with what this house knows, and whether it has to be masked."""

    card: Card
    here: BehindTheDoor
    open_orders: Sequence[OrderOfCustomer]
    outages: Sequence[Outage]
    fit: Fit | None
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
    known = await card(tx, customer_id, today)
    return Context(
        card=known,
        here=here,
        outages=await _outages(tx, customer_id, here),
        fit=await _fit(tx, known, here, now),
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
    here = await queries.behind_the_door(tx, customer_id, now - grace, now)
    if caller.role is not Role.TECHNICIAN:
        if not here.org_path.startswith(caller.org_path):
            raise NotFound()
        return here, None
    order = _held(here.orders, caller, work_order_id, now, grace)
    order = order or await _assisted(tx, here.orders, caller, work_order_id)
    if order is None:
        raise NotFound()
    return here, order


async def _outages(tx: AsyncSession, customer_id: UUID, here: BehindTheDoor) -> list[Outage]:
    """Find the confirmed outages that the customer is behind, or whose grid they live in."""
    grids = {str(grid_id) for grid_id in here.grid_ids}
    return [
        Outage(one.name, one.expected_end)
        for one in await open_now(tx)
        if customer_id in one.behind
        or (one.place.kind is PlaceKind.GRID and one.place.key in grids)
    ]


async def _fit(tx: AsyncSession, known: Card, here: BehindTheDoor, now: datetime) -> Fit | None:
    limits = limits_in_force(await parameters_in_force(tx), now, here.org_path)
    fastest = max(
        (held for held in known.services.held if held.speed_mbps is not None),
        key=lambda held: held.speed_mbps or 0,
        default=None,
    )
    return fit_of(
        known.usage.monthly_usage_gb,
        low_gb=limits.low_usage_gb,
        high_gb=here.usage_high_gb,
        speed=fastest.speed_mbps if fastest else None,
        most=fastest.line_max_mbps if fastest else None,
    )


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
