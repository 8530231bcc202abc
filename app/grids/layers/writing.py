"""Boundaries as clients take them: GeoJSON's arrays, in the coordinate system they asked for."""

from typing import Any

import numpy as np
import shapely

from app.core.geo import CoordSys, Floats, from_wgs84
from app.grids.layers.shapes import Shapes, shapes_of

# What is read back cuts edges of 0.02 degrees (see `shapes.in_wgs84`): of edges cut here a little
# shorter, in the system they are straight in, it leaves every vertex where it was.
_LONGEST_EDGE = 0.019


def coordinates(shape: Any, coordsys: CoordSys) -> list[list[list[list[float]]]]:
    """Write a MultiPolygon in WGS-84 as GeoJSON has it, to 1e-7 degree (a centimetre)."""
    (drawn,) = drawn_in(shapes_of([shape]), coordsys)
    return [[ring.tolist() for ring in polygon] for polygon in rings_of(drawn)]


def drawn_in(shapes: Shapes, coordsys: CoordSys) -> Shapes:
    """Convert shapes in WGS-84 to `coordsys`; shells run counter-clockwise, holes clockwise.

    Long edges are cut first, since what is straight in one system is not in another.
    """
    shapes = np.asarray(shapely.orient_polygons(shapes, exterior_cw=False))
    if coordsys is CoordSys.WGS84:
        return shapes

    def convert(points: Floats) -> Floats:
        return np.column_stack(from_wgs84(points[:, 0], points[:, 1], coordsys))

    return np.asarray(shapely.transform(shapely.segmentize(shapes, _LONGEST_EDGE), convert))


def rings_of(shape: Any) -> list[list[Floats]]:
    """List the rings of each polygon of a shape, rounded to 1e-7 degree."""
    return [
        [
            np.round(shapely.get_coordinates(ring), 7)
            for ring in (polygon.exterior, *polygon.interiors)
        ]
        for polygon in shapely.get_parts(shape)
    ]
