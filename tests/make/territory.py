"""Customers with addresses in grids, by the dozen."""

from typing import Any

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.customers.models import AddressToLocate, Customer, ServiceAddress
from app.grids.models import Grid
from app.territory.models import AddressGrid
from tests.make.customers import AS_OF


async def settle(
    tx: AsyncSession, unit: OrgUnit, grid: Grid | None, number: int, *, located: bool = True
) -> None:
    """Let customers of a branch have addresses in a grid; None is in no grid."""
    customers: list[dict[str, Any]] = [
        {
            "id": new_id(),
            "org_unit_id": unit.id,
            "code": f"C{new_id().hex}",
            "name": "王小明",
            "phone": "15400001234",
            "segment": "household",
            "as_of": AS_OF,
        }
        for _ in range(number)
    ]
    addresses = [
        {
            "id": new_id(),
            "customer_id": one["id"],
            "code": f"A{new_id().hex}",
            "standard_address": "碧波园3栋",
            "locality": "碧波园",
        }
        for one in customers
    ]
    await tx.execute(insert(Customer), customers)
    await tx.execute(insert(ServiceAddress), addresses)
    if located:
        rows = [
            {
                "service_address_id": one["id"],
                "grid_id": grid and grid.id,
                "listed": False,
                "near_border": False,
            }
            for one in addresses
        ]
        await tx.execute(insert(AddressGrid), rows)
    else:
        queue = [{"service_address_id": one["id"]} for one in addresses]
        await tx.execute(insert(AddressToLocate), queue)
