"""A branch with a grid, its people, and homes behind the ports of an OLT that report faults."""

from typing import Any
from uuid import UUID

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.jobs import Worker
from app.customers.models import Subscription
from app.grids.rules import MembershipKind
from app.workorders.models import WorkOrder
from tests.make.auth import bearer, caller_for, make_account
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.dispatch import Territory, make_territory, order


class Place:
    """The branch, and what happens in it."""

    def __init__(self, tx: AsyncSession, http: httpx.AsyncClient, land: Territory) -> None:
        self.tx, self.http, self.land = tx, http, land
        self.headers: dict[str, str] = {}
        self.reported = 0

    async def home(self, port: str = "OLT1/0/3", **fields: Any) -> Subscription:
        """A customer whose line comes from a port."""
        customer = await make_customer(self.tx, org_unit=self.land.org_unit)
        address = await make_address(self.tx, customer, olt_port=port, **fields)
        return await make_subscription(self.tx, customer, service_address_id=address.id)

    async def report(self, home: Subscription | None = None, **fields: Any) -> dict[str, Any]:
        """A repair that comes in now, at the middle of the grid; the answer of intake."""
        self.reported += 1
        given = {
            "point": self.land.point_in(self.land.grids[0]),
            "reported_at": "2026-03-02T08:55:00+08:00",
            "service_number": home.service_number if home else None,
            "locality": None,
            **fields,
        }
        sent = order(f"F-{self.reported}", **given)
        answer = await self.http.post("/v1/work-orders", json=sent, headers=self.headers)
        assert answer.status_code == 201, answer.text
        return answer.json()  # type: ignore[no-any-return]

    async def burst(self, homes: int = 5, **fields: Any) -> list[dict[str, Any]]:
        """As many homes of one port report at once."""
        return [await self.report(await self.home(), **fields) for _ in range(homes)]

    async def get(self, path: str = "", **params: Any) -> Any:
        """Read outages, or one."""
        answer = await self.http.get(f"/v1/outages{path}", params=params, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, path: str, status: int = 200, **body: Any) -> Any:
        """Decide something about an outage."""
        answer = await self.http.post(f"/v1/outages{path}", json=body, headers=self.headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def row(self, order_id: str | UUID) -> WorkOrder:
        """An order as it stands."""
        return await self.tx.get_one(WorkOrder, UUID(str(order_id)), populate_existing=True)


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    """The worker's process, on the rolled-back database."""
    return Worker(settings, clock, database)


@pytest.fixture
async def place(
    tx: AsyncSession, http: httpx.AsyncClient, app: FastAPI, clock: FixedClock
) -> Place:
    """A branch with two people in its one grid, and a supervisor who asks."""
    land = await make_territory(tx)
    for kind in (MembershipKind.PRIMARY, MembershipKind.BACKUP):
        await land.add_technician(land.grids[0], kind)
    account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
    made = Place(tx, http, land)
    made.headers = bearer(app, caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id))
    return made
