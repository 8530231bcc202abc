"""Grids that are drawn on maps, and how a tile is read back."""

import math
from typing import Any, NamedTuple

import mapbox_vector_tile  # type: ignore[import-untyped]
import numpy as np
import shapely
from shapely.geometry import shape

from app.core.db import new_id
from app.core.geo import MERCATOR_EDGE_M, CoordSys, from_wgs84, to_mercator
from app.grids import boundaries
from app.grids.models import Grid
from app.grids.rules import GridKind
from benchmarks.lattice import lattice

# The south-western corner of the lattice of cells, and about how wide each is, in degrees.
WEST, SOUTH, WIDTH = 112.5, 28.8, 0.03


async def draw_cells(
    tx, unit, now, *, side=4, pieces=14, prefix="G", west=WEST, south=SOUTH, **fields
):
    """Bring cells of a lattice into force as grids of a unit; give their shapes by code."""
    made = lattice(side, west=west, south=south, width=WIDTH, pieces=pieces)
    grids = [
        Grid(
            id=new_id(),
            org_unit_id=unit.id,
            code=f"{prefix}{n:02d}",
            name=f"网格{n}",
            kind=GridKind.COMPOUND,
            **fields,
        )
        for n in range(len(made))
    ]
    tx.add_all(grids)
    await tx.flush()
    await boundaries.alone(tx)
    await boundaries.reshape(
        tx,
        {
            grid.id: boundaries.Shape(cell, area_m2=1.0)
            for grid, cell in zip(grids, made, strict=True)
        },
        source="test",
        now=now,
    )
    return {grid.code: cell for grid, cell in zip(grids, made, strict=True)}


class Place(NamedTuple):
    """A tile's address."""

    z: int
    x: int
    y: int

    @property
    def side_m(self) -> float:
        """How wide it is, in web Mercator metres."""
        return float(2 * MERCATOR_EDGE_M / 2**self.z)

    @property
    def pixel_m(self) -> float:
        """How wide a pixel of it is, when drawn 512 pixels wide."""
        return float(self.side_m / 512)

    def units(self, plane):
        """Web Mercator metres in the tile's own units, from its north-west corner."""
        west, north = (
            -MERCATOR_EDGE_M + self.x * self.side_m,
            MERCATOR_EDGE_M - self.y * self.side_m,
        )
        return np.column_stack([plane[:, 0] - west, north - plane[:, 1]]) / self.side_m * 4096


def tile_at(lon: float, lat: float, z: int, coordsys: CoordSys = CoordSys.WGS84) -> Place:
    """The tile that a place in WGS-84 lies in, on the map of a coordinate system."""
    (x,), (y,) = to_mercator(*([part] for part in from_wgs84(lon, lat, coordsys)))
    side = 2 * MERCATOR_EDGE_M / 2**z
    return Place(
        z, math.floor((x + MERCATOR_EDGE_M) / side), math.floor((MERCATOR_EDGE_M - y) / side)
    )


def on_map(geometry: Any, place: Place, coordsys: CoordSys = CoordSys.WGS84) -> Any:
    """Where a shape in WGS-84 belongs in a tile, in its units."""

    def project(points):
        lon, lat = from_wgs84(points[:, 0], points[:, 1], coordsys)
        return place.units(np.column_stack(to_mercator(lon, lat)))

    return shapely.transform(geometry, project)


class Drawn(NamedTuple):
    """A feature of a tile, in the tile's units, y downwards."""

    geometry: Any
    properties: dict[str, Any]


def features(body: bytes, layer: str) -> list[Drawn]:
    """Read a tile, which has one layer."""
    if not body:
        return []
    read = mapbox_vector_tile.decode(body, default_options={"y_coord_down": True})
    assert list(read) == [layer] and read[layer]["extent"] == 4096 and read[layer]["version"] == 2
    return [Drawn(shape(each["geometry"]), each["properties"]) for each in read[layer]["features"]]
