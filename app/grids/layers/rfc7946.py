"""The form of a GeoJSON file, checked against RFC 7946 before any geometry is built.

geojson-pydantic was weighed and is too lax for input by hand ("39.9" as a number, doubled members,
`coordinates` in a Feature) and cannot say in two languages what to do, so the checks are here.
"""

import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from app.core.geo import Floats
from app.grids.layers.codes import Code
from app.grids.layers.findings import Finding, LayerRefused, LayerTooLarge
from app.grids.layers.raw import Limits, RawFeature, clean

GEOMETRIES = (
    "Point",
    "MultiPoint",
    "LineString",
    "MultiLineString",
    "Polygon",
    "MultiPolygon",
    "GeometryCollection",
)
# Members that would change an object's meaning (section 7.1).
_FOREIGN = {
    "FeatureCollection": ("coordinates", "geometries", "geometry", "properties"),
    "Feature": ("coordinates", "geometries", "features"),
    "geometry": ("geometry", "properties", "features"),
}
# The forms in which `crs` names degrees as GeoJSON has them, and systems of the EPSG register.
_CRS84 = re.compile(r"(urn:ogc:def:crs:OGC:[\d.]*:)?CRS:?84h?", re.IGNORECASE)
_EPSG = re.compile(r"(urn:(?:x-)?ogc:def:crs:)?EPSG:(?:[\d.]*:)?(?P<number>\d{4,6})", re.IGNORECASE)

# Bytes counted at a time.
_PIECE = 1 << 20


class _Doubled(dict[str, Any]):
    """An object of which a member appeared twice; JSON readers differ on which one counts."""

    twice: str = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    doubled, seen = _Doubled(members), set()
    for name, _ in pairs:
        if name in seen:
            doubled.twice = name
        seen.add(name)
    return doubled


def shown(value: Any) -> str:
    """Show a value of JSON in a few characters, for words about it."""
    if isinstance(value, dict):
        return "{…}" if value else "{}"
    if isinstance(value, list):
        return "[…]" if value else "[]"
    if isinstance(value, int) and abs(value) >= 1e20:  # Thousands of digits may not be printed.
        return "1e20+" if value > 0 else "-1e20-"
    return clean(value if isinstance(value, str) else json.dumps(value))


def parse(data: bytes, limits: Limits) -> Any:
    """Read the JSON text of a layer, having counted first what reading it would cost.

    Raises LayerTooLarge for values or depth beyond the limits, and LayerRefused for what is not
    UTF-8 or not JSON.
    """
    try:
        text = data.decode("utf-8-sig")  # Windows editors put a byte order mark; it may be ignored.
    except UnicodeDecodeError as error:
        raise LayerRefused(Finding(Code.NOT_UTF8, "", {"byte": error.start})) from None
    _weigh(data, limits)
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        facts = {"line": error.lineno, "column": error.colno, "what": error.msg}
        raise LayerRefused(Finding(Code.NOT_JSON, "", facts)) from None
    except ValueError:  # Python reads no integer of more than 4,300 digits.
        facts = {"line": "?", "column": "?", "what": "a number of thousands of digits"}
        raise LayerRefused(Finding(Code.NOT_JSON, "", facts)) from None


def _weigh(data: bytes, limits: Limits) -> None:
    """Refuse text too deep or too full for the limits, from its brackets and commas alone.

    Parsed JSON can take thirty times the memory of its text, so it is counted unparsed, a piece at
    a time. Text in quotes does not count: escapes are blotted out, then quotes are paired.
    """
    if b"\\" in data:
        data = data.replace(b"\\\\", b"  ").replace(b'\\"', b"  ")
    # A vertex with altitude is a bracket and three commas; a feature may have 200 values besides.
    # Vertices are counted exactly when they are read.
    room = 4 * limits.vertices + 200 * limits.features
    # Each vertex is an array, and each ring and polygon, of four vertices at least, another.
    room_for_arrays = 3 * limits.vertices // 2 + 10 * limits.features
    depth = deepest = values = arrays = 0
    quoted = False
    for start in range(0, len(data), _PIECE):
        signs = np.frombuffer(data[start : start + _PIECE], dtype=np.uint8)
        within = np.logical_xor.accumulate(signs == ord('"')) ^ quoted
        quoted = bool(within[-1])
        signs = signs[~within]
        squares = signs == ord("[")
        opening = squares | (signs == ord("{"))
        arrays += int(np.count_nonzero(squares))
        closing = (signs == ord("]")) | (signs == ord("}"))
        depths = depth + np.cumsum(opening.astype(np.int8) - closing, dtype=np.int64)
        deepest = max(deepest, int(depths.max(initial=0)))
        depth = int(depths[-1]) if len(depths) else depth
        values += int(np.count_nonzero(signs == ord(","))) + int(np.count_nonzero(opening))
        if deepest > limits.depth:
            facts = {"found": deepest, "limit": limits.depth}
            raise LayerTooLarge(Finding(Code.TOO_DEEP, "", facts))
        if arrays > room_for_arrays:
            raise LayerTooLarge(Finding(Code.TOO_MANY_VERTICES, "", {"limit": limits.vertices}))
        if values > room:
            raise LayerTooLarge(Finding(Code.TOO_MANY_VALUES, "", {"limit": room}))


def features(document: Any, limits: Limits) -> Iterator[RawFeature]:
    """Go through the features of a parsed document, each with what is wrong in its form.

    A single Feature or a bare geometry counts as a layer of one. Raises LayerRefused when the
    document itself is wrong, LayerTooLarge past the number of features or vertices.
    """
    if not isinstance(document, dict):
        raise LayerRefused(Finding(Code.NOT_AN_OBJECT, "", {"found": shown(document)}))
    root = RawFeature(index=0, path="")
    kind = document.get("type")
    if kind == "Feature" or kind in GEOMETRIES:
        spent = _read_feature(root, document) if kind == "Feature" else _read_bare(root, document)
        if spent > limits.vertices:
            raise LayerTooLarge(Finding(Code.TOO_MANY_VERTICES, "", {"limit": limits.vertices}))
        yield root
        return
    _check_object(root, document, "", ("FeatureCollection", "Feature"), "FeatureCollection")
    rows = document.get("features")
    if not isinstance(rows, list):
        root.find(Code.FEATURES_WRONG, "/features", found=shown(rows))
        rows = []
    if root.findings:
        raise LayerRefused(root.findings[0])
    if len(rows) > limits.features:
        facts = {"found": len(rows), "limit": limits.features}
        raise LayerTooLarge(Finding(Code.TOO_MANY_FEATURES, "/features", facts))
    vertices = 0
    for index, row in enumerate(rows):
        feature = RawFeature(index=index, path=f"/features/{index}")
        vertices += _read_feature(feature, row)
        if vertices > limits.vertices:
            facts = {"limit": limits.vertices}
            raise LayerTooLarge(Finding(Code.TOO_MANY_VERTICES, feature.path, facts))
        yield feature


def _check_object(
    feature: RawFeature, thing: dict[str, Any], path: str, types: tuple[str, ...], role: str
) -> None:
    """Check what every GeoJSON object shares: type, no foreign or doubled members, bbox."""
    if isinstance(thing, _Doubled):
        feature.find(Code.MEMBER_TWICE, f"{path}/{clean(thing.twice)}", member=clean(thing.twice))
    kind = thing.get("type")
    if not isinstance(kind, str) or kind not in types:
        found = shown(kind) if "type" in thing else "—"
        feature.find(Code.TYPE_UNKNOWN, f"{path}/type", expected=" / ".join(types), found=found)
    for member in _FOREIGN[role]:
        if member in thing:
            facts = {"member": member, "type": kind if kind in types else role}
            feature.find(Code.MEMBER_MISPLACED, f"{path}/{member}", **facts)
    box = thing.get("bbox", [0, 0, 0, 0])
    numbers = isinstance(box, list) and all(type(value) in (int, float) for value in box)
    if not numbers or len(box) not in (4, 6):
        feature.find(Code.BBOX_WRONG, f"{path}/bbox")


def declared_crs(document: Any) -> str | None:
    """Return the system a document's `crs` names: a member of GeoJSON before RFC 7946.

    Degrees are None; anything else is given as `EPSG:` and its number. Raises LayerRefused where
    that is not what it says: a link, a name of another authority, or something broken.
    """
    crs = document.get("crs") if isinstance(document, dict) else None
    if crs is None:
        return None
    properties = crs.get("properties") if isinstance(crs, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    named = _EPSG.fullmatch(name) if isinstance(name, str) else None
    if named is None and not (isinstance(name, str) and _CRS84.fullmatch(name)):
        raise LayerRefused(Finding(Code.CRS_UNKNOWN, "/crs", {"crs": shown(name or crs)}))
    return f"EPSG:{named['number']}" if named else None


def _read_bare(feature: RawFeature, geometry: dict[str, Any]) -> int:
    feature.find(Code.BARE_GEOMETRY, "", type=geometry["type"])
    feature.properties = None
    return _read_geometry(feature, geometry, "")


def _read_feature(feature: RawFeature, row: Any) -> int:
    """Fill in a feature from its JSON and return the number of its vertices."""
    path = feature.path
    if not isinstance(row, dict):
        feature.find(Code.NOT_AN_OBJECT, path, found=shown(row))
        feature.properties = None
        return 0
    _check_object(feature, row, path, ("Feature",), "Feature")
    identity = row.get("id")
    if isinstance(identity, str) or type(identity) in (int, float):
        _check_value(feature, identity, f"{path}/id")
        feature.id = clean(identity) if isinstance(identity, str) else identity
    elif "id" in row:
        feature.find(Code.ID_WRONG, f"{path}/id", found=shown(identity))
    properties = row.get("properties")
    if isinstance(properties, dict):
        feature.properties = properties
        _check_value(feature, properties, f"{path}/properties")
    elif properties is not None:
        feature.properties = None
        feature.find(Code.PROPERTIES_WRONG, f"{path}/properties", found=shown(properties))
    geometry = row.get("geometry")
    if geometry is None:
        feature.find(Code.NO_GEOMETRY, f"{path}/geometry")
        return 0
    if not isinstance(geometry, dict):
        feature.find(Code.NOT_AN_OBJECT, f"{path}/geometry", found=shown(geometry))
        return 0
    return _read_geometry(feature, geometry, f"{path}/geometry")


def _check_value(feature: RawFeature, value: Any, path: str) -> None:
    """Find in properties what a database of JSON cannot keep."""
    if isinstance(value, dict):
        if isinstance(value, _Doubled):
            feature.find(Code.MEMBER_TWICE, path, member=clean(value.twice))
        for name, item in value.items():
            _check_value(feature, name, path)
            step = clean(name).replace("~", "~0").replace("/", "~1")
            _check_value(feature, item, f"{path}/{step}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            _check_value(feature, item, f"{path}/{number}")
    elif isinstance(value, str):
        # UTF-8 cannot hold half a character, nor PostgreSQL a NUL.
        if "\0" in value or any("\ud800" <= sign <= "\udfff" for sign in value):
            feature.find(Code.VALUE_WRONG, path)
    elif isinstance(value, int | float) and not -(2**63) <= value < 2**63:
        feature.find(Code.VALUE_WRONG, path)  # NaN is not within either.


def _read_geometry(feature: RawFeature, geometry: dict[str, Any], path: str) -> int:
    _check_object(feature, geometry, path, GEOMETRIES, "geometry")
    kind, here = geometry.get("type"), f"{path}/coordinates"
    if kind not in ("Polygon", "MultiPolygon"):
        if isinstance(kind, str) and kind in GEOMETRIES:
            feature.find(Code.NOT_A_POLYGON, f"{path}/type", type=kind)
        return 0
    coordinates: Any = geometry.get("coordinates")
    polygons: list[Any] = [coordinates]
    if kind == "MultiPolygon":
        polygons = coordinates if _is_array(feature, coordinates, here) else []
    vertices = 0
    for number, polygon in enumerate(polygons):
        place = here if kind == "Polygon" else f"{here}/{number}"
        rings = []
        for turn, ring in enumerate(polygon if _is_array(feature, polygon, place) else []):
            if _is_array(feature, ring, f"{place}/{turn}"):
                vertices += len(ring)
                read = _read_ring(feature, ring, f"{place}/{turn}")
                if read is not None:
                    rings.append(read)
        if rings:
            feature.polygons.append(rings)
    if not feature.polygons and not feature.findings:
        feature.find(Code.EMPTY, here)
    return vertices


def _is_array(feature: RawFeature, value: Any, path: str) -> bool:
    if not isinstance(value, list):
        feature.find(Code.NOT_AN_ARRAY, path, found=shown(value))
    return isinstance(value, list)


def _read_ring(feature: RawFeature, points: list[Any], path: str) -> Floats | None:
    """Read a ring into (n, 2) degrees, or say which position is wrong.

    The whole ring is judged by sets of types and lengths; only a wrong one is walked through.
    """
    if not set(map(type, points)) <= {list}:
        at = next(i for i, point in enumerate(points) if type(point) is not list)
        _is_array(feature, points[at], f"{path}/{at}")
        return None
    lengths = set(map(len, points))
    if min(lengths, default=2) < 2:
        at = next(i for i, point in enumerate(points) if len(point) < 2)
        feature.find(Code.POSITION_SHORT, f"{path}/{at}")
        return None
    if not set(map(type, chain.from_iterable(points))) <= {int, float}:
        for at, point in enumerate(points):
            for axis, value in enumerate(point):
                if type(value) not in (int, float):
                    where = f"{path}/{at}/{axis}"
                    feature.find(Code.NOT_A_NUMBER, where, found=shown(value))
                    return None
    if len(points) < 4:
        feature.find(Code.RING_SHORT, path, found=len(points))
        return None
    if points[0] != points[-1]:
        feature.find(Code.RING_OPEN, path)
        return None
    feature.altitudes |= lengths != {2}
    try:
        ring = np.array([point[:2] for point in points], dtype=np.float64)
    except OverflowError:  # An integer of hundreds of digits.
        feature.find(Code.NOT_A_NUMBER, path, found="1e309+")
        return None
    if not np.isfinite(ring).all():
        at = int(np.argmin(np.isfinite(ring).all(axis=1)))
        feature.find(Code.NOT_A_NUMBER, f"{path}/{at}", found=shown(points[at][0]))
        return None
    return ring
