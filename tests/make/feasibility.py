"""A technician at a door where something can be sold and installed: the smallest honest one."""

from dataclasses import dataclass, field
from typing import Any, Self
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.clock import FixedClock
from app.core.db import new_id
from app.customers.models import Customer, ServiceAddress
from app.grids.models import Grid
from app.terminals.models import Terminal
from app.workorders.models import WorkOrder
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.grids import make_grid, make_membership
from tests.make.sales import consent_body
from tests.make.slots import make_slots
from tests.make.terminals import make_terminal
from tests.make.visits import Phone, make_assigned_order, make_phone

NEED: dict[str, Any] = {"skill": "fibre", "terminal_kind": "ont_gateway"}


@dataclass
class InstallDoor:
    """Whose door it is, and who stands there."""

    tx: AsyncSession
    phone: Phone
    branch: OrgUnit
    grid: Grid
    customer: Customer
    address: ServiceAddress
    order: WorkOrder
    gateway: Terminal
    visit_id: UUID = field(default_factory=new_id)

    async def arrive(self) -> Self:
        """Go there and mend the fault, so that selling may begin; all of it is committed by now."""
        self.visit_id = await self.phone.restore(self.order)
        return self

    async def feasibility(self, *codes: str, **given: Any) -> httpx.Response:
        """Ask what is feasible, of all or of some offerings."""
        body = {"offering_codes": list(codes)} if codes else {}
        return await self.phone.http.post(
            f"/v1/visits/{self.visit_id}/feasibility",
            json=body,
            headers={**self.phone.headers, "accept-language": "en", **given},
        )

    async def answer(self, code: str) -> dict[str, Any]:
        """Ask about one offering."""
        answer = await self.feasibility(code)
        assert answer.status_code == 200, answer.text
        [found] = answer.json()["offerings"]
        return dict(found)

    async def reserve(
        self, *codes: str, id: UUID | None = None, phone: Phone | None = None
    ) -> httpx.Response:
        """Reserve what some offerings take."""
        by = phone or self.phone
        return await by.http.post(
            f"/v1/visits/{self.visit_id}/install-reservations",
            json={
                "id": str(id or new_id()),
                "items": [{"offering_code": code} for code in codes],
            },
            headers={**by.headers, "accept-language": "en"},
        )

    async def book(self, *codes: str, **fields: Any) -> httpx.Response:
        """Book a slot to install some offerings in; `fields` say which day and slot."""
        return await self.phone.http.post(
            f"/v1/visits/{self.visit_id}/install-appointments",
            json={
                "id": str(new_id()),
                "items": [{"offering_code": code} for code in codes],
                **fields,
            },
            headers={**self.phone.headers, "accept-language": "en"},
        )

    async def sell(self, *codes: str, **given: Any) -> dict[str, Any]:
        """Put a sale together and confirm it; gives the sale."""
        sale_id = str(new_id())
        body = {
            "id": sale_id,
            "visit_id": str(self.visit_id),
            "items": [{"offering_code": code} for code in codes],
            **given,
        }
        made = await self.phone.http.post("/v1/sales", json=body, headers=self.phone.headers)
        assert made.status_code == 201, made.text
        answer = await self.confirm(made.json())
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def confirm(self, sale: dict[str, Any]) -> httpx.Response:
        """Confirm a sale with the customer's signature under what was shown."""
        return await self.phone.http.post(
            f"/v1/sales/{sale['id']}/confirm",
            json=consent_body(self.phone.clock.now(), sale["shown_sha256"]),
            headers=self.phone.headers,
        )


async def make_installables(tx: AsyncSession) -> None:
    """Add a faster line with a gateway, a smaller thing without one, and one that needs nothing."""
    await make_offering(
        tx,
        code="SPEED-2000",
        requires=["broadband"],
        speed_mbps=2000,
        install_minutes=40,
        **NEED,
    )
    await make_offering(tx, code="WIFI-CHECK", category="care", install_minutes=20, skill="fibre")
    await make_offering(tx, code="TV-4K", category="tv")


async def make_install_door(
    tx: AsyncSession, app: FastAPI, http: httpx.AsyncClient, clock: FixedClock
) -> InstallDoor:
    """Add all of it, up to a repair that is assigned."""
    branch = await make_org_unit(tx)
    await make_installables(tx)
    await make_slots(tx)
    phone = await make_phone(tx, app, http, clock, org_unit=branch, skills={"fibre": 3})
    grid = await make_grid(tx, org_unit=branch)
    await make_membership(tx, grid, phone.technician)
    customer = await make_customer(tx, org_unit=branch)
    address = await make_address(tx, customer, max_speed_mbps=2000, port_free=True)
    await make_subscription(
        tx, customer, service_address_id=address.id, service_number="07318881234"
    )
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), grid_id=grid.id
    )
    gateway = await make_terminal(tx, branch, technician_id=phone.technician.id)
    return InstallDoor(tx, phone, branch, grid, customer, address, order, gateway)
