"""A branch with two neighbouring grids, a technician of each, and a customer with terminals."""

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.jobs import Worker
from app.customers.models import Customer
from app.recovery import jobs
from app.recovery.models import Recovery
from app.technicians.models import Technician
from app.terminals.models import DueBack, Terminal
from app.terminals.rules import TerminalKind
from app.workorders.models import WorkOrder
from tests.make.auth import bearer, caller_for, make_account
from tests.make.customers import make_address, make_customer
from tests.make.dispatch import Territory, make_territory
from tests.make.terminals import make_terminal
from tests.make.visits import Phone


@dataclass
class Town:
    """What the tests of recovery have around them."""

    tx: AsyncSession
    app: FastAPI
    http: httpx.AsyncClient
    clock: FixedClock
    worker: Worker
    land: Territory
    people: list[Technician]
    customer: Customer

    async def headers(self, role: Role, unit: Any = None) -> dict[str, str]:
        """Sign somebody of the branch in."""
        unit = unit or self.land.org_unit
        account = await make_account(self.tx, unit, role=role)
        return bearer(self.app, caller_for(role, unit, account_id=account.id))

    async def phone(self, person: Technician) -> Phone:
        """Give a technician a phone."""
        unit = self.land.org_unit
        account = await make_account(self.tx, unit, role=Role.TECHNICIAN, technician_id=person.id)
        caller = caller_for(Role.TECHNICIAN, unit, account_id=account.id, technician_id=person.id)
        return Phone(self.http, bearer(self.app, caller), self.clock, person)

    async def terminal(
        self, serial: str, kind: TerminalKind = TerminalKind.ONT_GATEWAY, **fields: Any
    ) -> Terminal:
        """Add a terminal that stands at the customer's."""
        return await make_terminal(
            self.tx,
            self.land.org_unit,
            serial_number=serial,
            kind=kind,
            customer_id=self.customer.id,
            **fields,
        )

    async def due(self) -> dict[str, tuple[str, str]]:
        """What is or was due back: cause and state by serial number."""
        rows = await self.tx.scalars(
            select(DueBack).execution_options(populate_existing=True).order_by(DueBack.id)
        )
        return {row.serial_number: (row.cause.value, row.state.value) for row in rows}

    async def pickup(self) -> tuple[Recovery, Any]:
        """The one pick-up there is, with its order as it stands."""
        recovery = (
            await self.tx.scalars(select(Recovery).execution_options(populate_existing=True))
        ).one()
        if recovery.work_order_id is None:
            return recovery, None
        order = await self.tx.get(WorkOrder, recovery.work_order_id, populate_existing=True)
        return recovery, order

    async def look_around(self) -> None:
        """Do what a worker does from time to time."""
        await jobs.look_around(self.worker)

    async def ask(self, headers: dict[str, str], **fields: Any) -> httpx.Response:
        """Say as another system that the customer has to give back what stands there."""
        body = {
            "source": "crm",
            "external_id": "R-1",
            "customer_code": self.customer.code,
            "cause": "removal",
            **fields,
        }
        return await self.http.post("/v1/recoveries", json=body, headers=headers)


@pytest.fixture
async def town(tx, app, http, clock, settings, database) -> Town:
    """Two squares with a primary each; the customer lives in the first."""
    land = await make_territory(tx, grids=2)
    people = [await land.add_technician(grid) for grid in land.grids]
    customer = await make_customer(tx, org_unit=land.org_unit)
    point = land.point_in(land.grids[0])
    await make_address(tx, customer, lon=point["lon"], lat=point["lat"])
    worker = Worker(settings, clock, database)
    return Town(tx, app, http, clock, worker, land, people, customer)
