"""Customers for tests: the smallest honest ones."""

from datetime import UTC, date, datetime
from typing import Any

from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.customers.models import Customer, Interaction, ServiceAddress, Subscription
from app.customers.rules import Channel, InteractionKind, Segment
from tests.make.auth import make_org_unit

AS_OF = datetime(2026, 3, 1, 18, 0, tzinfo=UTC)


async def make_customer(
    tx: AsyncSession, *, org_unit: OrgUnit | None = None, **fields: Any
) -> Customer:
    """Add a household of `org_unit`, or of a branch of its own; arrears and usage not known."""
    unit = org_unit or await make_org_unit(tx)
    given: dict[str, Any] = {
        "org_unit_id": unit.id,
        "code": f"C{new_id().hex[-8:]}",
        "name": "王小明",
        "phone": "15400001234",
        "segment": Segment.HOUSEHOLD,
        "as_of": AS_OF,
    }
    customer = Customer(**{**given, **fields})
    tx.add(customer)
    await tx.flush()
    return customer


async def make_address(
    tx: AsyncSession, customer: Customer, *, lon: float = 112.6, lat: float = 28.9, **fields: Any
) -> ServiceAddress:
    """Add an address at a point in WGS-84 whose line was checked: 1,000 Mbit/s, a free port."""
    given: dict[str, Any] = {
        "customer_id": customer.id,
        "code": f"A{new_id().hex[-8:]}",
        "standard_address": "澄湖市南浦区碧波路18号碧波园3栋2单元1203室",
        "locality": "碧波园",
        "building": "3栋",
        "room": "2单元1203室",
        "point": WKTElement(f"POINT({lon} {lat})", srid=4326),
        "port_free": True,
        "max_speed_mbps": 1000,
        "checked_at": AS_OF,
    }
    address = ServiceAddress(**{**given, **fields})
    tx.add(address)
    await tx.flush()
    return address


async def make_subscription(tx: AsyncSession, customer: Customer, **fields: Any) -> Subscription:
    """Add a broadband line of 300 Mbit/s that runs since 2024, without a contract's end."""
    given: dict[str, Any] = {
        "customer_id": customer.id,
        "service_number": f"S{new_id().hex[-8:]}",
        "offering_code": "BB-300",
        "category": "broadband",
        "monthly_price_fen": 9900,
        "speed_mbps": 300,
        "started_on": date(2024, 1, 1),
        "as_of": AS_OF,
    }
    subscription = Subscription(**{**given, **fields})
    tx.add(subscription)
    await tx.flush()
    return subscription


async def make_contact(
    tx: AsyncSession,
    customer: Customer,
    *,
    at: datetime,
    kind: InteractionKind = InteractionKind.SALES,
    **fields: Any,
) -> Interaction:
    """Add a contact by telephone."""
    given: dict[str, Any] = {
        "customer_id": customer.id,
        "at": at,
        "kind": kind,
        "channel": Channel.PHONE,
        "subject": "test",
    }
    contact = Interaction(**{**given, **fields})
    tx.add(contact)
    await tx.flush()
    return contact
