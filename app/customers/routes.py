"""Doorways of customers."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, caller
from app.auth.rules import Role
from app.core.db import Read
from app.core.doorways import Router
from app.core.errors import Invalid
from app.core.http import Code
from app.customers import queries, rules
from app.customers.models import Customer, Subscription
from app.customers.schemas import (
    AddressOut,
    CustomerOut,
    CustomersFound,
    SubscriptionOut,
)

router = Router(prefix="/v1/customers", tags=["customers"])

PEOPLE = (Role.TECHNICIAN, Role.SUPERVISOR, Role.ADMIN)
Reader = Annotated[Caller, Depends(caller(*PEOPLE, scope="customers:read"))]


async def _masked(read: AsyncSession, customer: Customer, reader: Caller) -> CustomerOut:
    addresses = await queries.addresses_of(read, customer.id)
    subscriptions = await queries.subscriptions_of(read, customer.id)
    plain = CustomerOut.model_fields.keys() - {"name", "phone", "addresses", "subscriptions"}
    return CustomerOut(
        **{name: getattr(customer, name) for name in plain},
        name=rules.masked_name(customer.name),
        phone=rules.masked_phone(customer.phone),
        addresses=[
            AddressOut(
                id=address.id,
                code=address.code,
                address=rules.masked_address(address.locality, address.building),
                max_speed_mbps=address.max_speed_mbps,
                port_free=address.port_free,
                checked_at=address.checked_at,
            )
            for address in addresses
        ],
        subscriptions=[_service(held, reader) for held in subscriptions],
    )


def _service(held: Subscription, reader: Caller) -> SubscriptionOut:
    """Services are known to supervisors by their numbers; to technicians only at the door."""
    out = SubscriptionOut.model_validate(held)
    if reader.role is Role.TECHNICIAN:
        out.service_number = rules.masked_phone(out.service_number)
    return out


@router.get("", operation_id="customers_find")
async def find(
    reader: Reader,
    read: Read,
    code: Annotated[Code | None, Query()] = None,
    service_number: Annotated[Code | None, Query()] = None,
) -> CustomersFound:
    """Find a customer by code or by service number, exactly; masked."""
    if (code is None) == (service_number is None):
        raise Invalid(
            errors=[{"field": "code", "message": "give either `code` or `service_number`"}]
        )
    found = await queries.find(read, reader, code=code, service_number=service_number)
    return CustomersFound(
        customers=[
            await _masked(read, await queries.one(read, reader, each), reader) for each in found
        ]
    )


@router.get("/{customer_id}", operation_id="customers_one")
async def one(customer_id: UUID, reader: Reader, read: Read) -> CustomerOut:
    """Read a customer, masked; whom a technician is about to meet stands in the context."""
    return await _masked(read, await queries.one(read, reader, customer_id), reader)
