"""Grids' shapes as map tiles draw them: worked out when a boundary comes into force, so that a tile
only reads.

A province at a low zoom has more vertices than pixels. Those that would move no border by more than
about a pixel are left out below a zoom of their own; which, is decided for all grids around at once
(`coverage_simplify`), so that neighbours keep their border in common and no gap shows.
"""

import asyncio
import math
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any
from uuid import UUID

import numpy as np
import shapely
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.geo import MERCATOR_EDGE_M, CoordSys, Floats, from_wgs84, to_mercator

# Zooms for which vertices are left out, finest first; in between, those of the next finer one are
# drawn. Below the last all is drawn as there, and above the first whole.
ZOOMS = (13, 11, 10, 9, 8, 7)

# What changed and what lies beside it is drawn anew; what lies beside that again is only looked at,
# since it decides where borders meet.
_AROUND = text(
    """
    WITH changed AS MATERIALIZED (SELECT unnest(CAST(:ids AS uuid[])) AS id),
    beside AS MATERIALIZED (
        SELECT id FROM changed
        UNION
        SELECT n.neighbour_id FROM grid_neighbour n JOIN changed ON changed.id = n.grid_id
    ),
    around AS MATERIALIZED (
        SELECT id FROM beside
        UNION
        SELECT n.neighbour_id FROM grid_neighbour n JOIN beside ON beside.id = n.grid_id
    )
    SELECT b.id, b.grid_id, ST_AsBinary(b.boundary) AS wkb,
        b.grid_id IN (SELECT id FROM beside) AS drawn
    FROM around JOIN grid_boundary b ON b.grid_id = around.id
    WHERE b.valid_to IS NULL
    ORDER BY drawn DESC
    """
)
# The shapes come with the zoom as Z, which is what shapely can write.
_DRAW = text(
    """
    INSERT INTO grid_tile_shape (grid_id, coordsys, boundary_id, shape)
    SELECT grid_id, :coordsys, boundary_id, ST_Force3DM(
        ST_SwapOrdinates(ST_Force4D(ST_GeomFromWKB(wkb, 3857)), 'zm'))
    FROM unnest(CAST(:grid_ids AS uuid[]), CAST(:boundary_ids AS uuid[]), CAST(:wkbs AS bytea[]))
        AS given (grid_id, boundary_id, wkb)
    ON CONFLICT (grid_id, coordsys) DO UPDATE
        SET boundary_id = excluded.boundary_id, shape = excluded.shape
    """
)
_ERASE = text("DELETE FROM grid_tile_shape WHERE grid_id = ANY(CAST(:ids AS uuid[]))")
_NOT_DRAWN = text(
    """
    SELECT b.grid_id FROM grid_boundary b
    WHERE b.valid_to IS NULL AND (
        SELECT count(*) FROM grid_tile_shape s
        WHERE s.grid_id = b.grid_id AND s.boundary_id = b.id) < :systems
    LIMIT :most
    """
)


async def draw(tx: AsyncSession, grid_ids: Collection[UUID]) -> None:
    """Draw the shapes that grids have now, and those of their neighbours, whose borders may now
    meet elsewhere. The caller holds the map alone and has found the neighbours."""
    rows = (await tx.execute(_AROUND, {"ids": list(grid_ids)})).all()
    count = sum(row.drawn for row in rows)
    if not count:
        return
    drawn = await asyncio.to_thread(_drawn, [row.wkb for row in rows], count)
    for coordsys, wkbs in drawn.items():
        await tx.execute(
            _DRAW,
            {
                "coordsys": coordsys.value,
                "grid_ids": [row.grid_id for row in rows[:count]],
                "boundary_ids": [row.id for row in rows[:count]],
                "wkbs": wkbs,
            },
        )


async def erase(tx: AsyncSession, grid_ids: Collection[UUID]) -> None:
    """Draw no more of grids that have no shape now. The caller holds the map alone."""
    await tx.execute(_ERASE, {"ids": list(grid_ids)})


async def not_drawn(session: AsyncSession, *, most: int) -> list[UUID]:
    """Find grids whose shape in force is not drawn: made before shapes were, or past this code."""
    return list(await session.scalars(_NOT_DRAWN, {"systems": len(CoordSys), "most": most}))


def pixel_m(zoom: int) -> float:
    """Give the width of a pixel in web Mercator metres, a tile being 512 of them wide."""
    return math.ldexp(MERCATOR_EDGE_M, 1 - zoom) / 512


def _drawn(wkbs: Sequence[bytes], count: int) -> Mapping[CoordSys, list[bytes]]:
    """Draw the first `count` of some shapes, given as MultiPolygons in WGS-84; the others decide
    with them which vertices are left out."""
    shapes = shapely.from_wkb(np.array(wkbs, dtype=object))
    zooms = _drawn_from(shapely.transform(shapes, _plane))
    kind, degrees, offsets = shapely.to_ragged_array(shapes[:count])
    places = _closed_where_all_zooms_draw(zooms[: len(degrees)], offsets[0])
    drawn = {}
    for coordsys in CoordSys:
        plane = np.column_stack(to_mercator(*from_wgs84(degrees[:, 0], degrees[:, 1], coordsys)))
        vertices = np.column_stack([plane, zooms[: len(degrees)]])[places]
        ready = shapely.from_ragged_array(kind, vertices, offsets)
        drawn[coordsys] = list(shapely.to_wkb(ready, flavor="iso"))
    return drawn


def _plane(points: Floats) -> Floats:
    return np.column_stack(to_mercator(points[:, 0], points[:, 1]))


def _drawn_from(shapes: Any) -> Floats:
    """Say for each vertex of shapes in web Mercator from which zoom on it is drawn."""
    # Neighbours have the vertices of their border in common, and so one that is kept in one of
    # them is kept in all, also where they overlap a little.
    places, of_vertex = np.unique(_numbers(shapes), return_inverse=True)
    zooms = np.full(len(places), ZOOMS[0] + 1.0)
    left = shapes
    for zoom, coarser in zip(ZOOMS, (*ZOOMS[1:], -1), strict=True):
        left = shapely.coverage_simplify(left, pixel_m(zoom))
        zooms[np.searchsorted(places, _numbers(left))] = coarser + 1
    return np.asarray(zooms[of_vertex])


def _numbers(shapes: Any) -> Any:
    vertices = shapely.get_coordinates(shapes)
    return vertices[:, 0] + 1j * vertices[:, 1]


def _closed_where_all_zooms_draw(zooms: Floats, rings: Any) -> Any:
    """Turn each ring so that it begins, and so ends, with a vertex that is never left out; give the
    places of the vertices in their new order. `rings` are the places where rings begin."""
    places = np.arange(len(zooms))
    for begin, end in pairwise(rings):
        turn = int(np.argmin(zooms[begin : end - 1]))
        if turn:
            places[begin : end - 1] = np.roll(places[begin : end - 1], -turn)
            places[end - 1] = places[begin]
    return places
