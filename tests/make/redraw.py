"""Two squares to redraw, a supervisor who does it over HTTP, and what is posted."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.customers.models import ServiceAddress
from app.grids.models import Grid
from app.territory.models import AddressGrid
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_address, make_customer
from tests.make.grids import make_grid

# The south-western corner of the western square in WGS-84, and the side of both: a kilometre.
WEST, SOUTH, SIDE = 112.60, 28.90, 0.01
MIDDLE, EAST, NORTH = WEST + SIDE / 2, WEST + SIDE, SOUTH + SIDE


def square(west: float, east: float, south: float = SOUTH, north: float = NORTH) -> dict[str, Any]:
    """A GeoJSON Polygon around a rectangle."""
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return {"type": "Polygon", "coordinates": [ring]}


def line(*points: tuple[float, float]) -> dict[str, Any]:
    """A GeoJSON LineString."""
    return {"type": "LineString", "coordinates": [list(point) for point in points]}


# From south to north through the middle of the western square.
ACROSS = line((MIDDLE, SOUTH - 0.001), (MIDDLE, NORTH + 0.001))


def command(kind: str, grid: Grid, **fields: Any) -> dict[str, Any]:
    """A command about a grid at version 1; shapes are in WGS-84."""
    body = {"id": str(new_id()), "kind": kind, "reason": "新楼交付", "grid": seen(grid), **fields}
    if kind in ("reshape", "split", "move_border"):
        body.setdefault("coordsys", "wgs84")
    return body


def seen(grid: Grid, version: int = 1) -> dict[str, Any]:
    """A grid with its version, as a command names it."""
    return {"id": str(grid.id), "version": version}


def part(code: str, **fields: Any) -> dict[str, Any]:
    """A new grid, as a split names it."""
    return {"id": str(new_id()), "code": code, "name": code, **fields}


@dataclass
class Supervisor:
    """Somebody who redraws grids over HTTP."""

    http: httpx.AsyncClient
    headers: dict[str, str]

    async def post(self, body: dict[str, Any], *, preview: bool = False) -> httpx.Response:
        """Post a command."""
        path = "/v1/grid-changes" + ("/preview?coordsys=wgs84" if preview else "")
        return await self.http.post(path, json=body, headers=self.headers)

    async def get(self, path: str) -> httpx.Response:
        """Get a path under /v1."""
        return await self.http.get(f"/v1{path}", headers=self.headers)

    async def read(self, path: str) -> dict[str, Any]:
        """Get a path under /v1 that must be there."""
        answer = await self.get(path)
        assert answer.status_code == 200, answer.text
        read: dict[str, Any] = answer.json()
        return read

    async def preview(self, body: dict[str, Any]) -> dict[str, Any]:
        """Preview a command that must be understood."""
        answer = await self.post(body, preview=True)
        assert answer.status_code == 200, answer.text
        read: dict[str, Any] = answer.json()
        return read

    async def make(self, body: dict[str, Any]) -> dict[str, Any]:
        """Carry out a command that must succeed."""
        answer = await self.post(body)
        assert answer.status_code == 201, answer.text
        read: dict[str, Any] = answer.json()
        return read

    async def refused(self, body: dict[str, Any]) -> dict[str, Any]:
        """Post a command that must be refused; the preview says the same unless it is overlap."""
        answer = await self.post(body)
        assert answer.status_code >= 400, answer.text
        read: dict[str, Any] = answer.json()
        return read


@dataclass
class Land:
    """A branch in its district, with grids A (west) and B (east of it), and a supervisor."""

    tx: AsyncSession
    province: OrgUnit
    district: OrgUnit
    branch: OrgUnit
    a: Grid
    b: Grid
    supervisor: Supervisor
    customers: list[Any] = field(default_factory=list)

    async def address(
        self, lon: float, lat: float = SOUTH + SIDE / 2, **fields: Any
    ) -> ServiceAddress:
        """Add a customer with an address at a point, whose grid nobody has found yet."""
        customer = await make_customer(self.tx, org_unit=self.branch)
        return await make_address(self.tx, customer, lon=lon, lat=lat, **fields)

    async def grid_of(self, address: ServiceAddress) -> str | None:
        """The code of the grid that an address belongs to by its row; "?" where it has none."""
        row = (
            await self.tx.execute(
                select(AddressGrid.grid_id, Grid.code)
                .outerjoin(Grid, Grid.id == AddressGrid.grid_id)
                .where(AddressGrid.service_address_id == address.id)
            )
        ).one_or_none()
        return "?" if row is None else row.code

    async def id_of(self, code: str) -> UUID:
        """The id of a grid."""
        return (await self.tx.scalars(select(Grid.id).where(Grid.code == code))).one()

    async def queued(self) -> int:
        """How many addresses wait for their grids."""
        return int(await self.tx.scalar(text("SELECT count(*) FROM address_to_locate")) or 0)


async def make_land(tx: AsyncSession, app: FastAPI, http: httpx.AsyncClient) -> Land:
    """Add a branch (province > city > district > branch) with two grids and a supervisor."""
    province = await make_org_unit(tx)
    district = await make_org_unit(tx, parent=await make_org_unit(tx, parent=province))
    branch = await make_org_unit(tx, parent=district)
    account = await make_account(tx, branch, role=Role.SUPERVISOR, username="li-banzhang")
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))
    a = await make_grid(tx, org_unit=branch, code="A", lon=WEST, lat=SOUTH, side=SIDE)
    b = await make_grid(tx, org_unit=branch, code="B", lon=EAST, lat=SOUTH, side=SIDE)
    return Land(tx, province, district, branch, a, b, Supervisor(http, headers))
