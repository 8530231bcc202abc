"""Windows: which points a tile may show, and how the shift of its map looks there."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from app.core.geo import (
    MERCATOR_EDGE_M,
    CoordSys,
    Floats,
    from_mercator,
    from_wgs84,
    to_mercator,
    to_wgs84,
)
from app.maps.rules.tiles import BUFFER, EXTENT, Tile


@dataclass(frozen=True, slots=True)
class Window:
    """Which points a tile may show, in WGS-84 degrees, and how they come onto its map.

    The map of another coordinate system lies shifted. The window is cut into `parts` columns and
    as many rows, from `part_west` and `part_south` on, each `part_width` by `part_height` web
    Mercator metres; in the n-th, row by row, a point of WGS-84 at (X, Y) lies on the map at
    (`xx[n]` X + `xy[n]` Y + `x1[n]`, `yx[n]` X + `yy[n]` Y + `y1[n]`).
    """

    west: float
    south: float
    east: float
    north: float
    parts: int
    part_west: float
    part_south: float
    part_width: float
    part_height: float
    xx: list[float]
    xy: list[float]
    x1: list[float]
    yx: list[float]
    yy: list[float]
    y1: list[float]


# How many points a side a tile's window is found by.
_PROBES = 9


@lru_cache(maxsize=1024)
def window(asked: Tile) -> Window:
    """Work out a tile's window.

    GCJ-02 and BD-09 bend the map so gently that within a part the shift is a plane: from zoom 8 on
    it is off by less than a third of a pixel.
    """
    side = 2 * MERCATOR_EDGE_M / 2**asked.z
    share = np.linspace(-BUFFER / EXTENT, 1 + BUFFER / EXTENT, _PROBES)
    across, down = (grid.ravel() for grid in np.meshgrid(share, share))
    lon, lat = to_wgs84(
        *from_mercator(
            -MERCATOR_EDGE_M + (asked.x + across) * side, MERCATOR_EDGE_M - (asked.y + down) * side
        ),
        asked.coordsys,
    )
    # Between the probes the edge of the map may bend a little farther out.
    margin = 180 * side / MERCATOR_EDGE_M / (_PROBES - 1) / 8
    west, east = float(lon.min()) - margin, float(lon.max()) + margin
    south, north = max(float(lat.min()) - margin, -90.0), min(float(lat.max()) + margin, 90.0)
    (x0, x1), (y0, y1) = to_mercator([west, east], [south, north])
    # The ripples of BD-09 are an eighth of a degree long: what is wider has more parts.
    parts = 1 if asked.coordsys is CoordSys.WGS84 else 2 ** min(max(14 - asked.z, 3), 5)
    width, height = float(x1 - x0) / parts, float(y1 - y0) / parts
    middles = np.arange(parts) + 0.5
    x, y = (grid.ravel() for grid in np.meshgrid(x0 + middles * width, y0 + middles * height))
    return Window(
        west,
        south,
        east,
        north,
        parts,
        float(x0),
        float(y0),
        width,
        height,
        *(column.tolist() for column in _planes(x, y, width / 4, asked.coordsys)),
    )


def _planes(x: Floats, y: Floats, step: float, coordsys: CoordSys) -> tuple[Floats, ...]:
    """Say how the shift looks around points: the six numbers of a plane for each, measured at the
    point and a `step` in metres to every side of it."""

    def shift(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        to_x, to_y = to_mercator(*from_wgs84(*from_mercator(x, y), coordsys))
        return to_x - x, to_y - y

    planes: list[Floats] = []
    east, west, above, below = (
        shift(x + step, y),
        shift(x - step, y),
        shift(x, y + step),
        shift(x, y - step),
    )
    for axis, here in enumerate(shift(x, y)):
        by_x = (east[axis] - west[axis]) / (2 * step)
        by_y = (above[axis] - below[axis]) / (2 * step)
        own_x, own_y = (1.0, 0.0) if axis == 0 else (0.0, 1.0)
        planes += [own_x + by_x, own_y + by_y, here - by_x * x - by_y * y]
    return tuple(planes)
