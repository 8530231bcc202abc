"""Grids and memberships for tests: the smallest honest ones."""

from datetime import UTC, date, datetime
from typing import Any

from geoalchemy2 import WKTElement
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.grids.boundaries import new_edition
from app.grids.models import (
    Grid,
    GridBoundary,
    GridContract,
    GridListEntry,
    GridMembership,
    GridNeighbour,
)
from app.grids.rules import (
    GridKind,
    GridStage,
    ListKind,
    MembershipKind,
    district_of,
    metres_per_degree,
)
from app.technicians.models import Technician
from tests.make.auth import make_org_unit

SINCE = datetime(2025, 1, 1, tzinfo=UTC)


async def make_grid(
    tx: AsyncSession,
    *,
    org_unit: OrgUnit | None = None,
    lon: float = 112.6,
    lat: float = 28.9,
    side: float = 0.01,
    **fields: Any,
) -> Grid:
    """Add a grid of `org_unit`, or of a branch of its own, with a square boundary.

    `lon` and `lat` are its south-west corner in WGS-84, `side` is in degrees: 0.01 is about a
    kilometre. Neighbours are not worked out; that is what an import does.
    """
    unit = org_unit or await make_org_unit(tx)
    grid_id = new_id()
    given: dict[str, Any] = {
        "id": grid_id,
        "org_unit_id": unit.id,
        "code": f"G{grid_id.hex[-8:]}",
        "name": "碧波园",
        "kind": GridKind.COMPOUND,
    }
    grid = Grid(**{**given, **fields})
    tx.add(grid)
    await tx.flush()
    await make_boundary(tx, grid, lon=lon, lat=lat, side=side)
    return grid


async def make_boundary(
    tx: AsyncSession,
    grid: Grid,
    *,
    lon: float = 112.6,
    lat: float = 28.9,
    side: float = 0.01,
    **fields: Any,
) -> GridBoundary:
    """Give a grid a square boundary (see `make_grid`), in force since 2025 unless told."""
    east, north = lon + side, lat + side
    ring = f"{lon} {lat}, {east} {lat}, {east} {north}, {lon} {north}, {lon} {lat}"
    metres = metres_per_degree(lat + side / 2)
    given: dict[str, Any] = {
        "grid_id": grid.id,
        "boundary": WKTElement(f"MULTIPOLYGON((({ring})))", srid=4326),
        "area_m2": side * metres[0] * side * metres[1],
        "valid_from": SINCE,
        "source": "test",
    }
    boundary = GridBoundary(**{**given, **fields})
    tx.add(boundary)
    await tx.flush()
    await new_edition(tx)
    return boundary


async def make_line(
    tx: AsyncSession,
    grid: Grid,
    name: str,
    *,
    kind: ListKind = ListKind.COMPOUND,
    **fields: Any,
) -> GridListEntry:
    """Put a compound, or another kind of line, on a grid's list, in force since 2025."""
    unit = await tx.get_one(OrgUnit, grid.org_unit_id)
    given: dict[str, Any] = {
        "grid_id": grid.id,
        "kind": kind,
        "district_path": district_of(unit.path),
        "name": name,
        "building": "",
        "valid_from": SINCE,
    }
    line = GridListEntry(**{**given, **fields})
    tx.add(line)
    await tx.flush()
    await new_edition(tx)
    return line


async def make_membership(
    tx: AsyncSession,
    grid: Grid,
    technician: Technician,
    *,
    kind: MembershipKind = MembershipKind.PRIMARY,
    valid_from: date = date(2025, 1, 1),
    **fields: Any,
) -> GridMembership:
    """Give a grid to a technician, as its primary on every day since 2025."""
    membership = GridMembership(
        grid_id=grid.id,
        technician_id=technician.id,
        kind=kind,
        valid_from=valid_from,
        **fields,
    )
    tx.add(membership)
    await tx.flush()
    return membership


async def make_contract(
    tx: AsyncSession,
    grid: Grid,
    stage: GridStage = GridStage.COVERED,
    *,
    valid_from: date = date(2025, 1, 1),
    **fields: Any,
) -> GridContract:
    """Give a grid a stage, covered since 2025 unless told."""
    contract = GridContract(grid_id=grid.id, stage=stage, valid_from=valid_from, **fields)
    tx.add(contract)
    await tx.flush()
    return contract


async def make_neighbours(tx: AsyncSession, *pairs: tuple[Grid, Grid], metres: float = 0) -> None:
    """Let grids be neighbours, so many metres apart, as an import finds it from their shapes."""
    tx.add_all(
        GridNeighbour(grid_id=one.id, neighbour_id=other.id, distance_m=metres)
        for pair in pairs
        for one, other in (pair, pair[::-1])
    )
    await tx.flush()
