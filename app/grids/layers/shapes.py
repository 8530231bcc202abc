"""Boundaries as shapes: are they believable, are they valid, how large are they."""

import re
import zlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from app.core.geo import (
    EAST,
    NORTH,
    SOUTH,
    WEST,
    CoordSys,
    Floats,
    edge_area_m2,
    from_wgs84,
    to_wgs84,
)
from app.core.i18n import Words
from app.grids.layers.codes import Code
from app.grids.layers.findings import Finding, LayerTooLarge
from app.grids.layers.raw import Limits, RawFeature

Shapes = NDArray[np.object_]

# Less than this is no territory but a drawing error, and reported as such.
LEAST_M2 = 1.0

# Straight edges in GCJ-02 are not straight in WGS-84. Pieces of at most this many degrees (2 km)
# keep a converted border within 0.3 m of where it was drawn; most grids have no longer edge.
_LONGEST_EDGE = 0.02


def shapes_of(geometries: Sequence[BaseGeometry]) -> Shapes:
    """Put geometries into the object array that shapely's vectorised functions take."""
    shapes = np.empty(len(geometries), dtype=object)
    shapes[:] = geometries
    return shapes


def believe(feature: RawFeature, coordsys: CoordSys, limits: Limits) -> bool:
    """Refuse coordinates that cannot be degrees of longitude and latitude, in this order.

    Findings go to the feature: projected metres, swapped axes, a crossing of the 180° meridian.
    """
    here = f"{feature.path}/geometry"
    points = np.concatenate([ring for rings in feature.polygons for ring in rings])
    low, high = points.min(axis=0), points.max(axis=0)
    reach = np.maximum(np.abs(low), np.abs(high))
    south, north = limits.latitudes
    odd = np.abs(points).max(axis=1).argmax()
    lon, lat = (float(value) for value in points[odd])
    if (reach > (360, 180)).any():
        feature.find(Code.PROJECTED, here, lon=lon, lat=lat)
    elif high[1] > north or low[1] < south:
        odd = np.abs(points[:, 1] - (south + north) / 2).argmax()
        lon, lat = (float(value) for value in points[odd])
        feature.find(Code.AXES_SWAPPED, here, lon=lon, lat=lat)
    elif reach[0] > 180 or any(
        (np.abs(np.diff(ring[:, 0])) > 180).any() for rings in feature.polygons for ring in rings
    ):
        feature.find(Code.ANTIMERIDIAN, here)
    else:
        return True
    return False


def abroad(shape: BaseGeometry) -> bool:
    """Tell whether a shape lies wholly outside the rectangle in which China's systems shift."""
    west, south, east, north = shape.bounds
    return bool(west > EAST or east < WEST or south > NORTH or north < SOUTH)


def polygonal(feature: RawFeature) -> BaseGeometry:
    """Build the shape of a feature's rings in the file's own coordinates; it may be invalid."""
    parts = [
        Polygon(shapely.linearrings(rings[0]), [shapely.linearrings(ring) for ring in rings[1:]])
        for rings in feature.polygons
    ]
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def in_wgs84(shapes: Shapes, coordsys: CoordSys, limits: Limits) -> Shapes:
    """Convert shapes from `coordsys` to WGS-84 degrees, cutting long edges first.

    Raises LayerTooLarge when cutting would make more vertices than a layer may have.
    """
    if coordsys is CoordSys.WGS84 or not len(shapes):
        return shapes
    edges, _ = _edges(shapes)
    pieces = np.floor(np.hypot(*(edges[:, 2:] - edges[:, :2]).T) / _LONGEST_EDGE).sum()
    if len(edges) + pieces > limits.vertices:
        raise LayerTooLarge(Finding(Code.TOO_MANY_VERTICES, "", {"limit": limits.vertices}))

    def convert(points: Floats) -> Floats:
        return np.column_stack(to_wgs84(points[:, 0], points[:, 1], coordsys))

    return np.asarray(shapely.transform(shapely.segmentize(shapes, _LONGEST_EDGE), convert))


# What an export rounds, and a way to GCJ-02 and back, moves a vertex by less: about a centimetre.
_HAIR = 1e-7


def alike(shapes: Shapes, others: Shapes) -> NDArray[np.bool_]:
    """Tell pair by pair whether two valid shapes are the same ground, to about a centimetre.

    Where rings begin, which way round they go, and vertices along an edge make no difference; no
    point of one border may lie farther than 1e-7 degrees from the other border.
    """
    bounds, theirs = shapely.bounds(shapes), shapely.bounds(others)
    near = (np.abs(bounds - theirs) <= _HAIR).all(axis=1)
    same = np.zeros(len(shapes), dtype=bool)
    at = np.flatnonzero(near)
    one, other = shapely.normalize(shapes[at]), shapely.normalize(others[at])
    same[at] = shapely.equals_exact(one, other, tolerance=_HAIR)
    at = at[~same[at]]
    borders, others_borders = shapely.boundary(shapes[at]), shapely.boundary(others[at])
    # The distance is measured at vertices; what they leave open, the ground between must settle.
    at = at[shapely.hausdorff_distance(borders, others_borders) <= _HAIR]
    between = shapely.area(shapely.symmetric_difference(shapes[at], others[at]))
    same[at] = between <= _HAIR * shapely.length(shapes[at])
    return same


def read_as(shapes: Shapes, declared: CoordSys, other: CoordSys) -> Shapes:
    """Give WGS-84 shapes that were read as `declared` the place they would have as `other`."""

    def convert(points: Floats) -> Floats:
        drawn = from_wgs84(points[:, 0], points[:, 1], declared)
        return np.column_stack(to_wgs84(*drawn, other))

    moved = np.asarray(shapely.transform(shapes, convert))
    return np.asarray(shapely.make_valid(moved))


def encroached_m2(
    shapes: Shapes, owners: Sequence[str], known: Shapes, names: Sequence[str]
) -> float:
    """Area in m2 that shapes share with known ones of other names than their owners'."""
    at, near = shapely.STRtree(known).query(shapes, predicate="intersects")
    others = np.array([owners[one] != names[two] for one, two in zip(at, near, strict=True)], bool)
    shared = shapely.intersection(shapes[at[others]], known[near[others]])
    return float(area_m2(shared).sum())


def _edges(shapes: Shapes) -> tuple[Floats, NDArray[np.intp]]:
    """All edges of the polygons' rings as (n, 4) rows x1 y1 x2 y2, and the ring each is of."""
    rings = shapely.get_rings(shapely.get_parts(shapes))
    points, of_ring = shapely.get_coordinates(rings, return_index=True)
    edge = of_ring[1:] == of_ring[:-1]
    return np.hstack([points[:-1], points[1:]])[edge], of_ring[1:][edge]


def area_m2(shapes: Shapes) -> Floats:
    """Area of each shape's polygons in m2 on the WGS-84 ellipsoid, shells less holes.

    Exact for edges straight in degrees (see `core.geo.edge_area_m2`). Of an invalid ring it is what
    the ring winds around, as the shoelace formula has it, so that repair can be compared.
    """
    parts, owners = shapely.get_parts(shapes, return_index=True)
    parts, inner = shapely.get_parts(parts, return_index=True)  # A collection may hold multis.
    owners = owners[inner]
    flat = shapely.get_type_id(parts) == 3
    parts, owners = parts[flat], owners[flat]
    rings, of_part = shapely.get_rings(parts, return_index=True)
    shell = np.ones(len(rings), dtype=bool)
    shell[1:] = of_part[1:] != of_part[:-1]
    edges, of_ring = _edges(parts)
    of_rings = np.abs(np.bincount(of_ring, edge_area_m2(*edges.T), minlength=len(rings)))
    signed = np.where(shell, of_rings, -of_rings)
    return np.asarray(np.bincount(owners[of_part], signed, minlength=len(shapes)))


class Knots(NamedTuple):
    """How entangled shapes are: pairs of edges whose boxes meet, and pairs that truly cross."""

    meetings: float
    crossings: float


def knots(shapes: Shapes) -> Knots:
    """Estimate how entangled shapes are, at a cost that does not depend on it.

    Checking, repairing and joining shapes takes time by their meetings and memory by their
    crossings; a file of a megabyte can hold a thousand million of either. Up to 2,000 edges are
    tried, drawn by a seed from the coordinates, so the same shapes always give the same answer.
    """
    edges, _ = _edges(shapes)
    if not len(edges):
        return Knots(0.0, 0.0)
    tree = shapely.STRtree(np.asarray(shapely.linestrings(edges.reshape(-1, 2, 2)), dtype=object))
    drawn = np.random.default_rng(zlib.crc32(edges.tobytes())).permutation(len(edges))[:2000]
    tried, met, crossed, size = 0, 0, 0, 1
    while tried < len(drawn) and met < 5_000_000:
        some = drawn[tried : tried + size]
        which, near = tree.query(tree.geometries[some])
        crossed += int(np.count_nonzero(_cross(edges[some[which]], edges[near])))
        tried, met = tried + len(some), met + len(near) - len(some)
        # As many at a time as give some 100,000 pairs, so that memory stays flat.
        size = max(1, min(4 * size, 100_000 * tried // (met + 1)))
    share = len(edges) / tried / 2  # Each pair is met from both of its edges.
    return Knots(met * share, crossed * share)


def _cross(edges: Floats, others: Floats) -> NDArray[np.bool_]:
    """Tell row by row whether two edges cross, ends not counted, by the sides their ends are on."""

    def side(a: Floats, b: Floats, c: Floats) -> Floats:
        ab, ac = b - a, c - a
        return np.asarray(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])

    a, b, c, d = edges[:, :2], edges[:, 2:], others[:, :2], others[:, 2:]
    parted = side(a, b, c) * side(a, b, d) < 0
    return np.asarray(parted & (side(c, d, a) * side(c, d, b) < 0))


def too_intricate(shape: BaseGeometry) -> int | None:
    """Return how many edges of a shape meet if even checking it would take too long, else None."""
    edges = int(shapely.get_num_coordinates(shape))
    if edges <= 500:
        return None
    meetings = knots(shapes_of([shape])).meetings
    return round(meetings) if meetings > 1_000_000 + 25 * edges else None


def past_repair(shape: BaseGeometry) -> int | None:
    """Return how often an invalid shape crosses itself if that is past repair, else None.

    Real boundaries cross themselves a few times; three times an edge on average is a scribble, of
    which no repair could be trusted. Up to 16 edges any figure is mended.
    """
    edges = int(shapely.get_num_coordinates(shape))
    if edges <= 16:
        return None
    crossings = knots(shapes_of([shape])).crossings
    return round(crossings) if crossings > 3 * edges else None


def past_joining(shapes: Shapes) -> int | None:
    """Return how often edges of valid shapes meet if joining them would take minutes, else None."""
    edges = int(shapely.get_num_coordinates(shapes).sum())
    found = knots(shapes)
    if found.crossings > 100_000 + 2 * edges:
        return round(found.crossings)
    return round(found.meetings) if found.meetings > 5_000_000 + 50 * edges else None


# GEOS's own words for what is wrong (operation/valid/TopologyValidationError.cpp).
_REASONS = {
    "Self-intersection": Words("边界自相交", "the boundary crosses itself"),
    "Ring Self-intersection": Words("环自相接", "a ring touches itself"),
    "Hole lies outside shell": Words("内环在外环之外", "a hole lies outside its shell"),
    "Holes are nested": Words("内环相互嵌套", "a hole lies inside another hole"),
    "Interior is disconnected": Words("内部被分割", "holes cut the inside into pieces"),
    "Nested shells": Words("外环相互嵌套", "a part lies inside another part"),
    "Duplicate Rings": Words("环重复", "a ring appears twice"),
    "Too few points in geometry component": Words("环的有效点不足", "a ring has too few points"),
}
_OTHER_REASON = Words("边界不合法", "the boundary is not valid")
_SPOKEN = re.compile(r"(?P<reason>[^\[]*)(\[(?P<lon>\S+) (?P<lat>\S+)\])?")


def why_invalid(shape: BaseGeometry) -> tuple[Words, float | None, float | None]:
    """Say why a shape is invalid and where, in the coordinates it has."""
    spoken = _SPOKEN.match(str(shapely.is_valid_reason(shape)))
    if spoken is None:
        return _OTHER_REASON, None, None
    words = _REASONS.get(spoken["reason"].strip(), _OTHER_REASON)
    if spoken["lon"] is None:
        return words, None, None
    return words, float(spoken["lon"]), float(spoken["lat"])


def mend(shape: BaseGeometry) -> MultiPolygon:
    """Make a shape valid, keeping what its rings enclose and only polygons; it may come out empty.

    GEOS's "structure" method keeps a doubly enclosed place inside, where the other one would cut a
    hole, and it is a hundred times quicker on a scribble.
    """
    mended = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    return multipolygon(mended)


def multipolygon(shape: BaseGeometry) -> MultiPolygon:
    """Keep the polygons of any shape, as one MultiPolygon."""
    parts = shapely.get_parts(shapely.get_parts(shape))
    flat = parts[(shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)]
    return MultiPolygon(list(flat))
