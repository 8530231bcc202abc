"""A technician with a phone, orders they hold, and visits: the smallest honest ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.clock import FixedClock
from app.core.db import new_id
from app.customers.models import Customer
from app.technicians.models import Technician
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.technicians import make_technician

TODAY = date(2026, 3, 2)
# Where the orders' addresses are, in WGS-84 degrees.
LON, LAT = 112.6, 28.9


async def make_assigned_order(
    tx: AsyncSession,
    technician: Technician,
    customer: Customer | None = None,
    *,
    now: datetime,
    planned_day: date = TODAY,
    point: tuple[float, float] | None = (LON, LAT),
    **fields: Any,
) -> WorkOrder:
    """Add a repair that was reported an hour ago and is assigned to a technician."""
    given: dict[str, Any] = {
        "id": new_id(),
        "org_unit_id": technician.org_unit_id,
        "source": "test",
        "external_id": f"F{new_id().hex[-8:]}",
        "content_hash": "",
        "work_type": WorkType.REPAIR,
        "state": State.LOCATED,
        "customer_id": customer.id if customer else None,
        "contact_name": "王小明",
        "contact_phone": "15412341234",
        "service_number": "07318881234",
        "address": "碧波园3栋2单元1203室",
        "locality": "碧波园",
        "summary": "宽带断网",
        "point": WKTElement(f"POINT({point[0]} {point[1]})", srid=4326) if point else None,
        "estimated_minutes": 60,
        "reported_at": now - timedelta(hours=1),
        "received_at": now - timedelta(hours=1),
    }
    order = WorkOrder(**{**given, **fields})
    tx.add(order)
    await tx.flush()
    return await take_step(
        tx, order, Step.ASSIGN, now=now, holder_id=technician.id, planned_day=planned_day
    )


@dataclass
class Phone:
    """A technician's phone: what it posts carries the time it shows."""

    http: httpx.AsyncClient
    headers: dict[str, str]
    clock: FixedClock
    technician: Technician

    async def post(self, url: str, *, lang: str = "en", **body: Any) -> httpx.Response:
        """Post to a path under /v1; `device_at` is the phone's clock unless it is given."""
        body.setdefault("device_at", self.clock.now().isoformat())
        headers = {**self.headers, "accept-language": lang}
        return await self.http.post(f"/v1{url}", json=body, headers=headers)

    async def get(self, url: str, **headers: str) -> httpx.Response:
        """Get a path under /v1."""
        return await self.http.get(f"/v1{url}", headers={**self.headers, **headers})

    async def acknowledge(self, order: WorkOrder) -> dict[str, Any]:
        """Take an order on."""
        return taken(await self.post(f"/work-orders/{order.id}/acknowledge"))

    async def set_out(self, order: WorkOrder) -> UUID:
        """Take an order on and set out for it; return the visit's id."""
        await self.acknowledge(order)
        visit_id = new_id()
        taken(await self.post("/visits", id=str(visit_id), work_order_id=str(order.id)))
        return visit_id

    async def arrive(self, order: WorkOrder) -> UUID:
        """Take an order on, set out and check in at its address; return the visit's id."""
        visit_id = await self.set_out(order)
        taken(await self.post(f"/visits/{visit_id}/check-in", point=at(LON, LAT)))
        return visit_id

    async def restore(self, order: WorkOrder) -> UUID:
        """The same, and mark that the service works again; return the visit's id."""
        visit_id = await self.arrive(order)
        taken(await self.post(f"/visits/{visit_id}/restored"))
        return visit_id

    async def complete(self, visit_id: UUID, outcome_code: str = "fixed") -> dict[str, Any]:
        """Finish the order of a visit."""
        return taken(await self.post(f"/visits/{visit_id}/complete", outcome_code=outcome_code))


def at(lon: float, lat: float, coordsys: str = "wgs84") -> dict[str, Any]:
    """Write a point as a phone sends it."""
    return {"lon": lon, "lat": lat, "coordsys": coordsys}


def taken(answer: httpx.Response) -> dict[str, Any]:
    """Read the answer to a step that must have been taken."""
    assert answer.status_code in (200, 201), answer.text
    read: dict[str, Any] = answer.json()
    return read


async def make_phone(
    tx: AsyncSession,
    app: FastAPI,
    http: httpx.AsyncClient,
    clock: FixedClock,
    *,
    org_unit: OrgUnit | None = None,
    skills: Mapping[str, int] | None = None,
) -> Phone:
    """Add a technician with an account and a phone."""
    unit = org_unit or await make_org_unit(tx)
    technician = await make_technician(tx, org_unit=unit, skills=skills)
    account = await make_account(tx, unit, role=Role.TECHNICIAN, technician_id=technician.id)
    caller = caller_for(Role.TECHNICIAN, unit, account_id=account.id, technician_id=technician.id)
    return Phone(http, bearer(app, caller), clock, technician)
