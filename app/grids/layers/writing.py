"""Boundaries as clients take them: GeoJSON's arrays, in the coordinate system they asked for."""

from typing import Any

import numpy as np
import shapely

from app.core.geo import CoordSys, Floats, from_wgs84


def coordinates(shape: Any, coordsys: CoordSys) -> list[list[list[list[float]]]]:
    """Write a MultiPolygon in WGS-84 as GeoJSON has it, to 1e-7 degree (a centimetre)."""

    def convert(points: Floats) -> Floats:
        return np.column_stack(from_wgs84(points[:, 0], points[:, 1], coordsys))

    return [
        [
            np.round(shapely.get_coordinates(ring), 7).tolist()
            for ring in (polygon.exterior, *polygon.interiors)
        ]
        for polygon in shapely.get_parts(shapely.transform(shape, convert))
    ]
