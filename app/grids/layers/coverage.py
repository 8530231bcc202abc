"""Where grids overlap and where they leave gaps between them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import MultiPolygon

from app.grids.layers.findings import LayerTangled
from app.grids.layers.shapes import LEAST_M2, area_m2, multipolygon, past_joining, shapes_of

# A grid touches some six others; in a stack of copies each meets all.
_MOST_PAIRS = 100_000
# Borders within this many degrees (1 cm) of a hole belong to it.
_BESIDE = 1e-7


@dataclass(frozen=True, slots=True)
class Overlap:
    """Ground that two grids both claim; `shape` is in WGS-84 degrees, the names are in order."""

    first: str
    second: str
    area_m2: float
    shape: MultiPolygon


@dataclass(frozen=True, slots=True)
class Hole:
    """Ground that nobody claims, with grids all around it; `beside` names them in order."""

    beside: tuple[str, ...]
    area_m2: float
    shape: MultiPolygon


@dataclass(frozen=True, slots=True)
class Coverage:
    """Overlaps and holes of a set of grids, the largest first."""

    overlaps: tuple[Overlap, ...]
    holes: tuple[Hole, ...]


def coverage(
    grids: Mapping[str, MultiPolygon], *, overlap_m2: float = LEAST_M2, gap_m2: float = LEAST_M2
) -> Coverage:
    """Compare named boundaries (valid, WGS-84 degrees) and report overlaps and holes that are
    larger than `overlap_m2` and `gap_m2`.

    Overlaps are by pair; holes are gaps fully enclosed in the union of all, an enclave left out of
    a single grid among them. Raises LayerTangled when comparing would not end in reasonable time.
    """
    names, shapes = list(grids), shapes_of(list(grids.values()))
    tree = shapely.STRtree(shapes)
    near = 0
    for shape in shapes:
        near += len(tree.query(shape))
        if near > _MOST_PAIRS + 100 * len(shapes):
            raise LayerTangled(meetings=near)
    meetings = past_joining(shapes)
    if meetings is not None:
        raise LayerTangled(meetings=meetings)
    left, right = tree.query(shapes, predicate="intersects")
    left, right = left[left < right], right[left < right]
    shared = shapely.intersection(shapes[left], shapes[right])
    areas = area_m2(shared)
    overlaps = []
    for at in np.flatnonzero(areas > overlap_m2):
        pair = sorted((names[left[at]], names[right[at]]))
        overlaps.append(Overlap(pair[0], pair[1], float(areas[at]), multipolygon(shared[at])))

    parts = shapely.get_parts(shapely.union_all(shapes))
    gaps = shapes_of([shapely.Polygon(ring) for part in parts for ring in part.interiors])
    holes = []
    for gap, area in zip(gaps, area_m2(gaps), strict=True):
        if area > gap_m2:
            around = tree.query(gap, predicate="dwithin", distance=_BESIDE)
            beside = tuple(sorted(names[at] for at in around))
            holes.append(Hole(beside, float(area), multipolygon(gap)))
    return Coverage(
        tuple(sorted(overlaps, key=lambda one: (-one.area_m2, one.first, one.second))),
        tuple(sorted(holes, key=lambda one: (-one.area_m2, one.beside))),
    )
