"""Customers who live in grids, for tests: the smallest honest ones."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.customers.models import Customer
from app.grids.models import Grid
from app.territory.models import AddressGrid
from tests.make.customers import make_address, make_customer


async def make_residents(
    tx: AsyncSession, org_unit: OrgUnit, grid: Grid, number: int
) -> list[Customer]:
    """Add so many customers of a unit whose only address is in a grid."""
    return [await make_resident(tx, org_unit, grid) for _ in range(number)]


async def make_resident(tx: AsyncSession, org_unit: OrgUnit, grid: Grid) -> Customer:
    """Add a customer of a unit whose only address is in a grid."""
    customer = await make_customer(tx, org_unit=org_unit)
    address = await make_address(tx, customer)
    tx.add(
        AddressGrid(
            service_address_id=address.id,
            grid_id=grid.id,
            drawn_grid_id=grid.id,
            listed=False,
            near_border=False,
        )
    )
    await tx.flush()
    return customer
