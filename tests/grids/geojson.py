"""Small layers for the tests of reading them."""

import json
from typing import Any

from app.core.geo import CoordSys
from app.grids.layers import Code, Layer, read_layer


def square(lon: float = 116.4, lat: float = 39.9, side: float = 0.01) -> list[list[float]]:
    """A closed ring around a square, counter-clockwise; about 850 by 1,110 m in Beijing."""
    east, north = round(lon + side, 7), round(lat + side, 7)
    return [[lon, lat], [east, lat], [east, north], [lon, north], [lon, lat]]


def feature(name: Any = "甲网格", *rings: Any, **more: Any) -> dict[str, Any]:
    """A Feature with a Polygon of these rings, or of one square."""
    geometry = {"type": "Polygon", "coordinates": list(rings) or [square()]}
    return {"type": "Feature", "properties": {"name": name}, "geometry": geometry} | more


def layer(*features: Any, **more: Any) -> bytes:
    """The bytes of a FeatureCollection."""
    return json.dumps({"type": "FeatureCollection", "features": list(features)} | more).encode()


def read(data: bytes | dict[str, Any], coordsys: CoordSys = CoordSys.WGS84, **more: Any) -> Layer:
    """Read a layer or a single feature, named by its property `name`."""
    if isinstance(data, dict):
        data = json.dumps(data).encode()
    return read_layer(data, coordsys=coordsys, **({"name_field": "name"} | more))


def found(data: bytes | dict[str, Any], **more: Any) -> list[tuple[Code, str]]:
    """Code and path of everything found in the first feature."""
    return [(one.code, one.path) for one in read(data, **more).report[0].findings]
