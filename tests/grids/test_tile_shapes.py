"""Shapes as tiles draw them: on real layers, whose borders are dense and do not always fit."""

import numpy as np
import pytest
import shapely
from sqlalchemy import text

from app.core.geo import CoordSys, from_wgs84, to_mercator
from app.core.jobs import Worker
from app.grids import jobs
from app.grids.tile_shapes import pixel_m

SHAPES = text(
    "SELECT ST_AsBinary(b.boundary) AS boundary, s.coordsys,"
    " ST_AsBinary(ST_Force2D(s.shape)) AS whole, ST_AsBinary(ST_FilterByM(s.shape, 0, 7)) AS z7,"
    " ST_AsBinary(ST_FilterByM(s.shape, 0, 10)) AS z10,"
    " ST_AsBinary(ST_FilterByM(s.shape, 0, 13)) AS z13"
    " FROM grid_tile_shape s JOIN grid_boundary b ON b.id = s.boundary_id AND b.valid_to IS NULL"
)


@pytest.fixture
async def drawn(boston, settings, clock, database):
    """Boston's precincts, imported, and drawn by the worker, since they are many."""
    assert boston.status_code == 200
    await jobs.draw_shapes(Worker(settings, clock, database))


def on_the_map(coordsys):
    def project(points):
        lon, lat = from_wgs84(points[:, 0], points[:, 1], CoordSys(coordsys))
        return np.column_stack(to_mercator(lon, lat))

    return project


async def test_every_precinct_of_boston_is_drawn_on_every_map(tx, drawn):
    rows = (await tx.execute(SHAPES)).all()
    assert len(rows) == 253 * 3
    off: dict[int, list[float]] = {7: [], 10: [], 13: []}
    for row in rows:
        whole = shapely.from_wkb(row.whole)
        # Only where a ring begins may have changed.
        plane = shapely.transform(shapely.from_wkb(row.boundary), on_the_map(row.coordsys))
        assert shapely.hausdorff_distance(whole, plane) < 1e-6
        assert whole.area == pytest.approx(plane.area, rel=1e-9)
        for zoom, wkb in ((7, row.z7), (10, row.z10), (13, row.z13)):
            drawn = shapely.from_wkb(wkb)
            assert not drawn.is_empty
            off[zoom].append(shapely.hausdorff_distance(drawn, whole) / pixel_m(zoom))
    for distances in off.values():
        # A needle narrower than a pixel may be left out however long it is.
        assert np.quantile(distances, 0.5) < 1 and np.quantile(distances, 0.95) < 1.5
        assert max(distances) < 6
    vertices = [
        sum(shapely.get_num_coordinates(shapely.from_wkb(getattr(row, name))) for row in rows)
        for name in ("z7", "z10", "z13", "whole")
    ]
    assert vertices == sorted(vertices) and vertices[0] < vertices[-1] / 5


async def test_what_is_left_of_a_shape_is_closed_and_valid_nearly_everywhere(tx, drawn):
    zooms = ", ".join(
        f"ST_IsValid(ST_FilterByM(shape, 0, {zoom}))::int AS z{zoom}" for zoom in (7, 10, 13)
    )
    rows = (await tx.execute(text(f"SELECT {zooms} FROM grid_tile_shape"))).all()
    # A system's shift may fold a hair's breadth; ST_AsMVTGeom mends what it draws.
    assert all(sum(column) >= 0.98 * len(rows) for column in zip(*rows, strict=True))
