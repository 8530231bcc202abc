"""The coordinate reference system a file names: believed, transformed to degrees, or refused.

GCJ-02 and BD-09 have no such name, so they are always declared beside the file. Layers drawn on
their maps usually name WGS-84 degrees or web Mercator, the system those maps are cut in; no
surveyed system can be meant there.
"""

import re
from collections.abc import Iterable

import numpy as np

from app.core.geo import CoordSys, Floats
from app.grids.layers.apart import degrees_apart
from app.grids.layers.codes import Code
from app.grids.layers.findings import Finding, LayerRefused, LayerTooLarge
from app.grids.layers.raw import Limits, RawLayer, clean

_DEGREES = frozenset({"EPSG:4326", "EPSG:4979", "OGC:CRS84"})
_SURVEYED_DEGREES = frozenset({"EPSG:4490", "EPSG:4480"})
_WEB_MERCATOR = "EPSG:3857"
# CGCS2000 differs from WGS-84 by centimetres. Beijing 1954 and Xi'an 1980 lie some hundred metres
# off, by parameters each city keeps for itself.
_DATUMS = re.compile(
    r"(DATUM|ENSEMBLE)\[\"(D_)?(WGS|World Geodetic System|CGCS|China)[_ ]?(19)?(84|2000)",
    re.IGNORECASE,
)
# A straight edge of a projection is not straight in degrees. Pieces of 2 km keep a border within
# 0.1 m of where it was drawn.
_LONGEST_EDGE = 2_000.0


def to_degrees(raw: RawLayer, coordsys: CoordSys, limits: Limits) -> None:
    """Bring a layer's rings from the system its file names to degrees of longitude and latitude.

    Whether those are WGS-84 or shifted is for `coordsys` to say. What was done is noted in the
    layer. Raises LayerRefused where the system is not understood, has another datum, or contradicts
    the declared one or the positions; LayerTooLarge where long edges would make too many vertices.
    """
    if raw.coordsys is not None and raw.coordsys is not coordsys:
        raise _contradiction(raw.coordsys.value, coordsys)
    if raw.crs is None:
        if raw.format != "GeoJSON":
            raw.notes.append(Finding(Code.CRS_MISSING, "", {"coordsys": coordsys.value}))
        return
    if raw.crs in _DEGREES:
        return
    shifted = coordsys is not CoordSys.WGS84
    if raw.crs in _SURVEYED_DEGREES:
        if shifted:
            raise _contradiction(raw.crs, coordsys)
        return
    rings = [ring for row in raw.features for polygon in row.polygons for ring in polygon]
    if not rings:
        return
    points = np.concatenate(rings)
    pieces = sum(len(ring) + int(_pieces(ring).sum()) for ring in rings)
    if pieces > limits.vertices:
        raise LayerTooLarge(Finding(Code.TOO_MANY_VERTICES, "", {"limit": limits.vertices}))
    cut = [_cut(ring) for ring in rings]
    points = np.concatenate(cut)
    reached = degrees_apart(points, raw.crs, limits)
    name = _called(raw.crs, reached.name)
    if not _DATUMS.search(reached.wkt):
        raise LayerRefused(Finding(Code.CRS_OF_ANOTHER_DATUM, "", {"crs": name}))
    if reached.wkt.startswith("PROJCS") and (np.abs(points) <= (180, 90)).all():
        raise _impossible(name, points[0])
    if shifted and raw.crs != _WEB_MERCATOR:
        raise _contradiction(name, coordsys)
    if len(reached.points) != len(points) or not np.isfinite(reached.points).all():
        worst = points[np.abs(points).max(axis=1).argmax()]
        raise _impossible(name, worst)
    _replace(raw, iter(np.split(reached.points, np.cumsum([len(ring) for ring in cut])[:-1])))
    facts = {"crs": name, "coordsys": coordsys.value}
    raw.notes.append(Finding(Code.CRS_TRANSFORMED, "", facts))


def _replace(raw: RawLayer, rings: Iterable[Floats]) -> None:
    given = iter(rings)
    for row in raw.features:
        row.polygons = [[next(given) for _ in polygon] for polygon in row.polygons]


def _pieces(ring: Floats) -> Floats:
    """Into how many pieces each edge is cut, less one."""
    edges = np.hypot(*np.diff(ring, axis=0).T)
    return np.floor(np.where(np.isfinite(edges), edges, 0) / _LONGEST_EDGE)


def _cut(ring: Floats) -> Floats:
    """Cut long edges into equal pieces, alike from either end, so that neighbours still meet."""
    pieces = _pieces(ring).astype(np.int64) + 1
    if (pieces == 1).all():
        return ring
    edge = np.repeat(np.arange(len(pieces)), pieces)
    step = np.arange(len(edge)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    share = (step / pieces[edge])[:, None]
    return np.vstack([ring[edge] * (1 - share) + ring[edge + 1] * share, ring[-1:]])


def _called(crs: str, name: str) -> str:
    return clean(f"{crs} ({name})" if ":" in crs[:10] else name, 80)


def _contradiction(crs: str, coordsys: CoordSys) -> LayerRefused:
    facts = {"crs": crs, "coordsys": coordsys.value}
    return LayerRefused(Finding(Code.CRS_AGAINST_DECLARED, "", facts))


def _impossible(crs: str, position: Floats) -> LayerRefused:
    x, y = (float(value) for value in position)
    facts = {"crs": clean(crs, 80), "x": x, "y": y}
    return LayerRefused(Finding(Code.CRS_AGAINST_POSITIONS, "", facts))
