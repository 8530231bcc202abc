"""A territory for tests: square grids side by side, and people who look after them."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import orjson
from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.grids.boundaries import new_edition
from app.grids.models import Grid, GridBoundary, GridMembership, GridNeighbour
from app.grids.rules import GridKind, MembershipKind
from app.technicians.models import Technician
from tests.make.auth import make_org_unit
from tests.make.technicians import make_technician

# The first square's south-western corner in WGS-84 degrees, and the side of each: about 1 km.
WEST, SOUTH, SIDE = 112.0, 28.0, 0.01


@dataclass
class Territory:
    """Squares from west to east; the middle of number 0 is at (112.005, 28.005)."""

    tx: AsyncSession
    org_unit: OrgUnit
    grids: list[Grid] = field(default_factory=list)
    people: list[Technician] = field(default_factory=list)

    async def add_grid(self, *, org_unit: OrgUnit | None = None, code: str = "") -> Grid:
        """Add the next square to the east; it touches the one before."""
        west = WEST + SIDE * len(self.grids)
        east, north = west + SIDE, SOUTH + SIDE
        ring = f"{west} {SOUTH},{east} {SOUTH},{east} {north},{west} {north},{west} {SOUTH}"
        code = code or f"G{new_id().hex[-8:]}"
        grid = Grid(
            id=new_id(),
            org_unit_id=(org_unit or self.org_unit).id,
            code=code,
            name=code,
            kind=GridKind.COMPOUND,
        )
        self.tx.add(grid)
        await self.tx.flush()
        self.tx.add(
            GridBoundary(
                grid_id=grid.id,
                boundary=WKTElement(f"MULTIPOLYGON((({ring})))", srid=4326),
                area_m2=1.0,
                valid_from=datetime(2020, 1, 1, tzinfo=UTC),
                source="test",
            )
        )
        if self.grids:
            before = self.grids[-1]
            for one, other in ((grid, before), (before, grid)):
                self.tx.add(GridNeighbour(grid_id=one.id, neighbour_id=other.id, distance_m=0.0))
        self.grids.append(grid)
        await self.tx.flush()
        await new_edition(self.tx)
        return grid

    async def add_technician(
        self,
        grid: Grid | None,
        kind: MembershipKind = MembershipKind.PRIMARY,
        *,
        rank: int = 1,
        valid_from: date = date(2020, 1, 1),
        valid_to: date | None = None,
        home: Grid | None = None,
        **fields: Any,
    ) -> Technician:
        """Add a technician who works 8 to 18 every day and looks after a grid.

        They live in the middle of that grid, or of the one that is their `home`; so an order there
        is no way for any of them.
        """
        given: dict[str, Any] = {"org_unit": self.org_unit}
        lives_in = home or grid
        if lives_in is not None:
            point = self.point_in(lives_in)
            given["home_point"] = WKTElement(f"POINT({point['lon']} {point['lat']})", srid=4326)
        technician = await make_technician(self.tx, **{**given, **fields})
        self.people.append(technician)
        if grid is not None:
            await self.give(
                grid, technician, kind, rank=rank, valid_from=valid_from, valid_to=valid_to
            )
        return technician

    async def give(
        self, grid: Grid, technician: Technician, kind: MembershipKind, **fields: Any
    ) -> None:
        """Let a technician look after one more grid."""
        given = {"valid_from": date(2020, 1, 1), **fields}
        self.tx.add(
            GridMembership(grid_id=grid.id, technician_id=technician.id, kind=kind, **given)
        )
        await self.tx.flush()

    def point_in(self, grid: Grid, *, east: float = 0.5, north: float = 0.5) -> dict[str, Any]:
        """A point on the wire at a share of a square's side from its south-western corner."""
        lon = WEST + SIDE * (self.grids.index(grid) + east)
        return {"lon": round(lon, 7), "lat": round(SOUTH + SIDE * north, 7), "coordsys": "wgs84"}


async def make_territory(tx: AsyncSession, *, grids: int = 1) -> Territory:
    """Add a branch with so many square grids in a row, and nobody who looks after them."""
    territory = Territory(tx, await make_org_unit(tx))
    for _ in range(grids):
        await territory.add_grid()
    return territory


def order(external_id: str = "F-1", **fields: Any) -> dict[str, Any]:
    """An order as an upstream system sends it; a field given as None is left out."""
    given: dict[str, Any] = {
        "source": "crm",
        "external_id": external_id,
        "work_type": "repair",
        "address": "碧波园3栋2单元1203室",
        "locality": "碧波园",
        "contact_name": "王小明",
        "contact_phone": "15412341234",
        "summary": "宽带断网",
        "reported_at": "2026-03-02T08:30:00+08:00",
        "estimated_minutes": 60,
        **fields,
    }
    return {name: value for name, value in given.items() if value is not None}


def ndjson(*orders: dict[str, Any] | bytes) -> bytes:
    """Write orders one a line; bytes are taken as they are."""
    return b"\n".join(one if isinstance(one, bytes) else orjson.dumps(one) for one in orders)
