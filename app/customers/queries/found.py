"""Customers found by number, as a caller may see them, and what belongs to one."""

from collections.abc import Sequence
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, bindparam, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

from app.auth.callers import subtree
from app.auth.rules import Caller
from app.core.errors import NotFound
from app.customers.models import ContactConsent, Customer, ServiceAddress, Subscription


async def find(
    session: AsyncSession,
    caller: Caller,
    *,
    code: str | None = None,
    service_number: str | None = None,
) -> Sequence[UUID]:
    """Find customers of the caller's part of the organisation by code or service number, exactly.

    There is no search by name or place on purpose: it would make a telephone directory.
    """
    statement = select(Customer.id).where(subtree(Customer.org_unit_id, caller))
    if code is not None:
        statement = statement.where(Customer.code == code)
    if service_number is not None:
        held = select(Subscription.customer_id).where(Subscription.service_number == service_number)
        statement = statement.where(Customer.id.in_(held))
    return (await session.scalars(statement.order_by(Customer.code).limit(50))).all()


async def one(session: AsyncSession, caller: Caller, customer_id: UUID) -> Customer:
    """Read a customer. Raises NotFound, also outside the caller's part of the organisation."""
    return await _one(session, caller, customer_id, lock=False)


async def for_change(tx: AsyncSession, caller: Caller, customer_id: UUID) -> Customer:
    """Take a customer under the row lock. Raises NotFound like `one`."""
    return await _one(tx, caller, customer_id, lock=True)


async def _one(session: AsyncSession, caller: Caller, customer_id: UUID, *, lock: bool) -> Customer:
    statement = select(Customer).where(
        Customer.id == customer_id, subtree(Customer.org_unit_id, caller)
    )
    if lock:
        statement = statement.with_for_update().execution_options(populate_existing=True)
    customer = await session.scalar(statement)
    if customer is None:
        raise NotFound()
    return customer


async def addresses_of(session: AsyncSession, customer_id: UUID) -> Sequence[ServiceAddress]:
    """Read the addresses a customer is served at."""
    found = await session.scalars(
        select(ServiceAddress)
        .where(ServiceAddress.customer_id == customer_id)
        .order_by(ServiceAddress.code)
    )
    return found.all()


Column = ColumnElement[Any] | InstrumentedAttribute[Any]


def served_at(
    customer_id: Column, *, service_number: Column, address: Column
) -> Select[UUID, str, str]:
    """Make the statement that finds at which address of a customer an order is done: its id, code
    and words, or no row where the customer has none.

    That is the address of the order's own line, else the one that the order names, else the one
    that was looked at last. All who speak of an order's door find it so.
    """
    line = and_(
        Subscription.service_address_id == ServiceAddress.id,
        Subscription.service_number == service_number,
        Subscription.ended_on.is_(None),
    )
    return (
        select(ServiceAddress.id, ServiceAddress.code, ServiceAddress.standard_address)
        .outerjoin(Subscription, line)
        .where(ServiceAddress.customer_id == customer_id)
        .order_by(
            Subscription.id.is_not(None).desc(),
            (ServiceAddress.standard_address == address).desc(),
            ServiceAddress.checked_at.desc().nulls_last(),
            ServiceAddress.id,
        )
        .limit(1)
    )


async def subscriptions_of(session: AsyncSession, customer_id: UUID) -> Sequence[Subscription]:
    """Read all services a customer holds or held, the newest first."""
    found = await session.scalars(
        select(Subscription)
        .where(Subscription.customer_id == customer_id)
        .order_by(Subscription.started_on.desc(), Subscription.service_number)
    )
    return found.all()


async def has_line(session: AsyncSession, customer_id: UUID, today: date) -> bool:
    """Tell whether a customer holds a line on a local day: a service that has a speed."""
    given = {"customer_id": customer_id, "today": today}
    return bool(await session.scalar(_HAS_LINE, given))


_HAS_LINE = select(
    exists().where(
        Subscription.customer_id == bindparam("customer_id"),
        Subscription.speed_mbps.is_not(None),
        Subscription.started_on <= bindparam("today"),
        or_(Subscription.ended_on.is_(None), Subscription.ended_on > bindparam("today")),
    )
)


async def consents_said(session: AsyncSession, customer_id: UUID) -> Sequence[ContactConsent]:
    """Read what a customer said of being offered things, the newest first."""
    found = await session.scalars(
        select(ContactConsent)
        .where(ContactConsent.customer_id == customer_id)
        .order_by(ContactConsent.said_at.desc(), ContactConsent.id.desc())
    )
    return found.all()
