"""A made territory: cells side by side with wandering borders, each shared by its two cells."""

from typing import Any

import numpy as np
import shapely


def lattice(
    side: int, *, west: float, south: float, width: float, pieces: int = 14, seed: int = 1
) -> list[shapely.MultiPolygon]:
    """Make `side` times `side` cells about `width` degrees wide, row by row from the south-west.

    Each border has so many `pieces`, and so a cell four times as many vertices.
    """
    dice = np.random.default_rng(seed)
    corners = np.stack(np.meshgrid(np.arange(side + 1), np.arange(side + 1)), -1).astype(float)
    corners += dice.uniform(-0.25, 0.25, corners.shape)

    def border(one: Any, other: Any) -> Any:
        line = one + (other - one) * np.linspace(0, 1, pieces + 1)[:, None]
        across = np.array([one[1] - other[1], other[0] - one[0]])
        line[1:-1] += across * dice.uniform(-0.04, 0.04, (pieces - 1, 1))
        return np.round(line * width + [west, south], 7)

    level = {
        (x, y): border(corners[y, x], corners[y, x + 1])
        for y in range(side + 1)
        for x in range(side)
    }
    upright = {
        (x, y): border(corners[y, x], corners[y + 1, x])
        for y in range(side)
        for x in range(side + 1)
    }
    cells = []
    for y in range(side):
        for x in range(side):
            below, right = level[x, y], upright[x + 1, y]
            above, left = level[x, y + 1][::-1], upright[x, y][::-1]
            ring = np.concatenate([part[:-1] for part in (below, right, above, left)])
            cells.append(shapely.MultiPolygon([shapely.Polygon(ring)]))
    return cells
