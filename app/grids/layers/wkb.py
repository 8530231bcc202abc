"""Shapes in well-known binary (OGC 06-103r4, 8.2), as GDAL gives them: rings and what is amiss."""

import struct

import numpy as np

from app.core.geo import Floats
from app.grids.layers.codes import Code
from app.grids.layers.raw import RawFeature

_KINDS = {
    1: "Point",
    2: "LineString",
    3: "Polygon",
    4: "MultiPoint",
    5: "MultiLineString",
    6: "MultiPolygon",
    7: "GeometryCollection",
    15: "PolyhedralSurface",
    16: "TIN",
    17: "Triangle",
}
_COUNT = struct.Struct("<I")
_HEADER = struct.Struct("<xII")


def read_shape(feature: RawFeature, wkb: bytes) -> int:
    """Fill in a feature's polygons, or say what keeps them from being; return its vertices."""
    here = f"{feature.path}/geometry"
    (number,) = _COUNT.unpack_from(wkb, 1)
    kind, dimensions = _kind(number)
    if kind not in (3, 6):
        feature.find(Code.NOT_A_POLYGON, f"{here}/type", type=_KINDS.get(kind, str(kind)))
        return 0
    feature.altitudes = dimensions > 2
    here = f"{here}/coordinates"
    at, vertices = 0, 0
    parts = 1
    if kind == 6:
        (_, parts), at = _HEADER.unpack_from(wkb, 0), _HEADER.size
    for part in range(parts):
        (_, count), at = _HEADER.unpack_from(wkb, at), at + _HEADER.size
        place = f"{here}/{part}" if kind == 6 else here
        rings = []
        for turn in range(count):
            (points,), at = _COUNT.unpack_from(wkb, at), at + _COUNT.size
            ring = np.frombuffer(wkb, "<f8", points * dimensions, at).reshape(points, dimensions)
            at += ring.nbytes
            vertices += points
            if _ring_stands(feature, ring[:, :2], f"{place}/{turn}"):
                rings.append(ring[:, :2].copy())
        if rings:
            feature.polygons.append(rings)
    if not feature.polygons and not feature.findings:
        feature.find(Code.EMPTY, here)
    return vertices


def _kind(number: int) -> tuple[int, int]:
    """Tell a shape's kind and how many numbers a position has, in either way of writing them."""
    further = bool(number & 0x80000000) + bool(number & 0x40000000)
    number &= 0x0FFFFFFF
    return number % 1000, 2 + further + (0, 1, 1, 2)[number // 1000 % 4]


def _ring_stands(feature: RawFeature, ring: Floats, path: str) -> bool:
    finite = np.isfinite(ring).all(axis=1)
    if not finite.all():
        at = int(np.argmin(finite))
        feature.find(Code.NOT_A_NUMBER, f"{path}/{at}", found=str(ring[at].tolist()))
    elif len(ring) < 4:
        feature.find(Code.RING_SHORT, path, found=len(ring))
    elif (ring[0] != ring[-1]).any():
        feature.find(Code.RING_OPEN, path)
    else:
        return True
    return False
