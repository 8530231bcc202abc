"""What kind of file it is, told by its first bytes and not by its name, and the layer in it."""

from app.core.geo import CoordSys
from app.grids.layers.apart import read_apart
from app.grids.layers.codes import Code
from app.grids.layers.findings import Finding, LayerRefused, LayerTooLarge
from app.grids.layers.raw import Limits, RawLayer
from app.grids.layers.rfc7946 import declared_crs, features, parse

# What offices send besides: how it begins, and what it is called.
_OTHERS = {
    b"Rar!": "RAR",
    b"7z\xbc\xaf": "7-Zip",
    b"\x1f\x8b": "gzip",
    b"\0\0\x27\x0a": ".shp",
    b"<?xml": "XML (KML, GML, …)",
    b"<kml": "KML",
    b"%PDF": "PDF",
    b"\xd0\xcf\x11\xe0": "Excel (.xls)",
    b"AC10": "AutoCAD (.dwg)",
}


def read_file(data: bytes, *, layer: str | None, columns: list[str], limits: Limits) -> RawLayer:
    """Read a GeoJSON file, a zipped Shapefile or a GeoPackage into features as they stand there.

    `layer` chooses among several; of attributes the `columns` are wanted. Raises LayerRefused and
    LayerTooLarge.
    """
    if len(data) > limits.bytes:
        facts = {"found": len(data), "limit": limits.bytes}
        raise LayerTooLarge(Finding(Code.TOO_MANY_BYTES, "", facts))
    if data.startswith((b"PK\3\4", b"PK\5\6")):
        return read_apart("shapefile", data, layer=layer, columns=columns, limits=limits)
    if data.startswith(b"SQLite format 3\0"):
        return read_apart("geopackage", data, layer=layer, columns=columns, limits=limits)
    for beginning, found in _OTHERS.items():
        if data.startswith(beginning):
            raise LayerRefused(Finding(Code.OTHER_FORMAT, "", {"found": found}))
    document = parse(data, limits)
    rows = list(features(document, limits))
    said = document.get("coordsys")
    coordsys = CoordSys(said) if isinstance(said, str) and said in set(CoordSys) else None
    return RawLayer("GeoJSON", rows, declared_crs(document), coordsys=coordsys)
