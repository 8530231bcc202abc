"""Which grids are neighbours: those that touch, and those with no more than a street between."""

import asyncio
from collections.abc import Mapping
from uuid import UUID

import numpy as np
import shapely
from shapely import MultiPolygon
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.geo import Floats
from app.grids.rules import metres_per_degree

# A street lies between many grids.
NEAR_M = 50.0

_FORGET = text(
    """
    DELETE FROM grid_neighbour
    WHERE grid_id = ANY(CAST(:ids AS uuid[])) OR neighbour_id = ANY(CAST(:ids AS uuid[]))
    """
)
# Boxes find by the index the others that may be near enough.
_OTHERS = text(
    """
    SELECT DISTINCT ON (b.grid_id) b.grid_id, ST_AsBinary(b.boundary) AS wkb
    FROM unnest(CAST(:wests AS float8[]), CAST(:souths AS float8[]), CAST(:easts AS float8[]),
        CAST(:norths AS float8[])) AS box (west, south, east, north)
    JOIN grid_boundary b ON b.valid_to IS NULL
        AND b.boundary && ST_MakeEnvelope(west, south, east, north, 4326)
        AND b.grid_id <> ALL(CAST(:ids AS uuid[]))
    ORDER BY b.grid_id
    """
)
_INSERT = text(
    """
    INSERT INTO grid_neighbour (grid_id, neighbour_id, distance_m)
    SELECT one, other, metres
    FROM unnest(CAST(:ones AS uuid[]), CAST(:others AS uuid[]), CAST(:metres AS float8[]))
        AS pair (one, other, metres)
    UNION ALL
    SELECT other, one, metres
    FROM unnest(CAST(:ones AS uuid[]), CAST(:others AS uuid[]), CAST(:metres AS float8[]))
        AS pair (one, other, metres)
    """
)


async def forget(tx: AsyncSession, grid_ids: list[UUID]) -> None:
    """Let grids be nobody's neighbours."""
    await tx.execute(_FORGET, {"ids": grid_ids})


async def find(tx: AsyncSession, shaped: Mapping[UUID, MultiPolygon]) -> None:
    """Find anew the neighbours of grids that have these shapes in force (WGS-84 degrees).

    The caller holds the map alone.
    """
    ids = list(shaped)
    await forget(tx, ids)
    shapes = np.array([*shaped.values(), None], dtype=object)[:-1]
    boxes = shapely.bounds(shapes)
    boxes += _reach(np.abs(boxes[:, [1, 3]]).max(axis=1))[:, None] * [-1, -1, 1, 1]
    wests, souths, easts, norths = boxes.T.tolist()
    given = {"wests": wests, "souths": souths, "easts": easts, "norths": norths, "ids": ids}
    others = (await tx.execute(_OTHERS, given)).all()
    known = [*ids, *(row.grid_id for row in others)]
    wkbs = [row.wkb for row in others]
    pairs = await asyncio.to_thread(_pairs, shapes, wkbs)
    ones, twos = ([known[place] for place in places.tolist()] for places in pairs[:2])
    if ones:
        await tx.execute(_INSERT, {"ones": ones, "others": twos, "metres": pairs[2].tolist()})


def _reach(lat: Floats) -> Floats:
    """In degrees of either axis, a box that no neighbour at a latitude escapes."""
    east, north = metres_per_degree(lat)
    return np.asarray(1.01 * NEAR_M / np.minimum(east, north))


def _pairs(shapes: np.ndarray, wkbs: list[bytes]) -> tuple[np.ndarray, np.ndarray, Floats]:
    """List the pairs of neighbours, each once: places among the shapes and then the others, and
    metres. One of each pair is among the shapes."""
    everyone = np.concatenate([shapes, shapely.from_wkb(np.array(wkbs, dtype=object))])
    reach = _reach(np.abs(shapely.bounds(shapes)[:, [1, 3]]).max(axis=1))
    tree = shapely.STRtree(everyone)
    one, other = tree.query(shapes, predicate="dwithin", distance=reach)
    once = one < other  # Of two that are both new, and of the others none comes before a new one.
    one, other = one[once], other[once]
    shapely.prepare(shapes)
    apart = np.flatnonzero(~shapely.intersects(everyone[one], everyone[other]))
    metres = np.zeros(len(one))
    first, second = everyone[one[apart]], everyone[other[apart]]
    # In a plane with the scales of where they come nearest, which is right to a thousandth.
    lats = shapely.get_y(shapely.centroid(shapely.shortest_line(first, second)))
    scales = np.column_stack(metres_per_degree(lats))
    metres[apart] = shapely.distance(_scaled(first, scales), _scaled(second, scales))
    near = metres <= NEAR_M
    return one[near], other[near], metres[near]


def _scaled(shapes: np.ndarray, scales: Floats) -> np.ndarray:
    points, of = shapely.get_coordinates(shapes, return_index=True)
    return np.asarray(shapely.set_coordinates(shapes.copy(), points * scales[of]))
