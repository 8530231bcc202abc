"""Zipped Shapefiles and GeoPackages: the same grids as from GeoJSON, and words for the rest."""

import json
import struct
from typing import Any

import numpy as np
import pytest
import shapely

from app.core.geo import CoordSys, from_wgs84
from app.grids.layers import Code, Layer, LayerRefused, LayerTooLarge, Limits, Verdict, read_layer
from app.grids.layers.raw import RawFeature
from app.grids.layers.wkb import read_shape
from tests.grids.geojson import feature, layer, square
from tests.grids.packed import geopackage, packed, parts, shapefile, shapes_in

SQUARE = shapely.Polygon(square())
NAMED = {"name": ["甲网格"]}
# The same ground in the zone of the 117th meridian, CGCS2000, whose numbers are metres.
METRES = shapely.box(448_000, 4_417_000, 449_000, 4_418_000)


def read(data: bytes, coordsys: CoordSys = CoordSys.WGS84, **more) -> Layer:
    return read_layer(data, coordsys=coordsys, **({"name_field": "name"} | more))


def refusal(
    data: bytes, coordsys: CoordSys = CoordSys.WGS84, **more
) -> tuple[Code, dict[str, Any]]:
    with pytest.raises(LayerRefused) as refused:
        read(data, coordsys, **more)
    finding = refused.value.finding
    assert finding.say("zh") and finding.say("en")
    return finding.code, finding.facts


def notes(read_file: Layer) -> list[Code]:
    return [note.code for note in read_file.notes]


# --- the real layers ------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [shapefile, geopackage], ids=["Shapefile", "GeoPackage"])
@pytest.mark.parametrize(
    "file, field, coordsys, counts",
    [
        ("boston/precincts.geojson", "precinct", CoordSys.WGS84, (251, 4, 0, 0)),
        ("beijing/districts_16_echarts.geojson", "name", CoordSys.GCJ02, (4, 0, 12, 0)),
        ("suzhou/districts_9_echarts.geojson", "name", CoordSys.GCJ02, (1, 0, 8, 0)),
        ("shenzhen/districts_10.geojson", "qh", CoordSys.WGS84, (10, 0, 0, 0)),
    ],
    ids=["boston", "beijing", "suzhou", "shenzhen"],
)
def test_a_real_layer_is_the_same_in_every_format(geo, pack, file, field, coordsys, counts):
    data = (geo / file).read_bytes()
    plain = read(data, coordsys, name_field=field)
    assert tuple(plain.counts().values()) == counts
    other = read(pack(*shapes_in(data, field)), coordsys, name_field=field)
    assert (other.crs, other.name, notes(other)) == ("EPSG:4326", "grids", [])
    assert len(other.report) == len(plain.report) == sum(counts)
    assert [grid.code for grid in other.features] == [grid.code for grid in plain.features]
    assert [grid.rows for grid in other.features] == [grid.rows for grid in plain.features]
    # A Shapefile sorts rings by the way they run, so an invalid figure may be taken otherwise.
    areas = [[grid.area_m2 for grid in one.features] for one in (plain, other)]
    assert areas[1] == pytest.approx(areas[0], rel=1e-6)
    refused = [line for line in other.report if line.verdict is Verdict.REFUSED]
    assert not refused


# --- systems --------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [shapefile, geopackage], ids=["Shapefile", "GeoPackage"])
@pytest.mark.parametrize(
    "crs, meridian",
    [("EPSG:4548", 117), ("EPSG:4527", 117), ("EPSG:32650", 117), ("EPSG:4549", 120)],
)
def test_a_projection_is_brought_to_degrees(pack, crs, meridian):
    zone = 39_000_000 if crs == "EPSG:4527" else 0
    moved = shapely.transform(METRES, lambda points: points + np.array([zone, 0]))
    grids = read(pack([moved], NAMED, crs=crs))
    assert notes(grids) == [Code.CRS_TRANSFORMED]
    (grid,) = grids.features
    # A square kilometre 51.5 km west of the meridian; UTM shrinks lengths by 0.0004.
    assert grid.area_m2 == pytest.approx(1e6, rel=9e-4)
    middle = grid.geometry.centroid
    assert middle.x == pytest.approx(meridian - 51_500 / 85_500, abs=0.01)
    assert middle.y == pytest.approx(39.9, abs=0.03)


def test_long_edges_of_a_projection_stay_where_they_were_drawn():
    wide = shapely.box(448_000, 4_417_000, 478_000, 4_418_000)
    row = read(shapefile([wide], NAMED, crs="EPSG:4548")).features[0]
    fine = shapely.segmentize(wide, 100)
    other = read(shapefile([fine], NAMED, crs="EPSG:4548")).features[0]
    assert shapely.get_num_coordinates(row.geometry) < 50
    apart = shapely.hausdorff_distance(row.geometry.boundary, other.geometry.boundary)
    assert apart * 111_000 < 0.15


def test_legacy_crs_of_geojson_is_believed():
    ring = [list(point) for point in METRES.exterior.coords]
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::4548"}}
    grids = read(layer(feature("甲", ring), crs=crs))
    assert (grids.crs, notes(grids)) == ("EPSG:4548", [Code.CRS_TRANSFORMED])
    same = read(geopackage([METRES], NAMED, crs="EPSG:4548")).features[0]
    assert grids.features[0].geometry.equals_exact(same.geometry, 1e-12)


def test_a_map_in_web_mercator_may_be_gcj02():
    def mercator(points):
        x = np.radians(points[:, 0]) * 6_378_137
        y = 6_378_137 * np.log(np.tan(np.pi / 4 + np.radians(points[:, 1]) / 2))
        return np.column_stack([x, y])

    def shifted(points):
        return np.column_stack(from_wgs84(points[:, 0], points[:, 1], CoordSys.GCJ02))

    drawn = shapely.transform(shapely.transform(SQUARE, shifted), mercator)
    grids = read(shapefile([drawn], NAMED, crs="EPSG:3857"), CoordSys.GCJ02)
    assert notes(grids) == [Code.CRS_TRANSFORMED]
    assert shapely.hausdorff_distance(grids.features[0].geometry, SQUARE) < 1e-8


def test_cgcs2000_counts_as_wgs84():
    grids = read(geopackage([SQUARE], NAMED, crs="EPSG:4490"))
    assert (grids.crs, notes(grids)) == ("EPSG:4490", [])
    assert grids.features[0].geometry.equals(SQUARE)


def test_a_file_without_a_system_is_taken_for_degrees_and_says_so():
    assert notes(read(shapefile([SQUARE], NAMED, crs=None))) == [Code.CRS_MISSING]
    grids = read(shapefile([METRES], NAMED, crs=None))
    assert notes(grids) == [Code.CRS_MISSING]
    assert grids.report[0].findings[0].code is Code.PROJECTED


@pytest.mark.parametrize(
    "shape, crs, coordsys, code",
    [
        (METRES, "EPSG:4548", CoordSys.GCJ02, Code.CRS_AGAINST_DECLARED),
        (SQUARE, "EPSG:4490", CoordSys.BD09, Code.CRS_AGAINST_DECLARED),
        (METRES, "EPSG:32650", CoordSys.BD09, Code.CRS_AGAINST_DECLARED),
        (SQUARE, "EPSG:4548", CoordSys.WGS84, Code.CRS_AGAINST_POSITIONS),
        # The zone's number stands before the eastings, and the system has none.
        (shapely.box(39_448_000, 4e6, 39_449_000, 4.001e6), "EPSG:4548", CoordSys.WGS84,
         Code.CRS_AGAINST_POSITIONS),
        (SQUARE, "EPSG:4610", CoordSys.WGS84, Code.CRS_OF_ANOTHER_DATUM),
        (METRES, "EPSG:2437", CoordSys.WGS84, Code.CRS_OF_ANOTHER_DATUM),
        (METRES, "EPSG:2333", CoordSys.WGS84, Code.CRS_OF_ANOTHER_DATUM),
    ],
)  # fmt: skip
def test_a_system_that_cannot_be_meant_is_refused_by_its_name(shape, crs, coordsys, code):
    found, facts = refusal(shapefile([shape], NAMED, crs=crs), coordsys)
    assert found is code
    assert crs in facts["crs"]


def test_a_system_that_nobody_understands_is_refused():
    files = parts([SQUARE], NAMED) | {"grids.prj": b"/etc/passwd"}
    assert refusal(packed(files)) == (Code.CRS_UNKNOWN, {"crs": "/etc/passwd"})


def test_our_own_export_says_its_system_and_is_held_to_it():
    said = layer(feature("甲"), coordsys="gcj02")
    assert refusal(said)[0] is Code.CRS_AGAINST_DECLARED
    assert len(read(said, CoordSys.GCJ02).features) == 1


# --- the text of a Shapefile ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "encoding, cpg, read_as, guessed",
    [
        ("UTF-8", b"UTF-8", "utf-8", False),
        ("UTF-8", b"65001", "utf-8", False),
        ("GBK", b"GBK", "gb18030", False),
        ("GBK", b"936", "gb18030", False),
        ("GBK", None, "gb18030", True),
        ("UTF-8", None, "utf-8", True),
        ("GBK", b"UTF-8", "gb18030", True),
        ("GBK", b"martian", "gb18030", True),
        ("UTF-8", b"GBK", None, None),
    ],
)
def test_text_is_read_as_the_file_says_or_else_as_it_can_be(encoding, cpg, read_as, guessed):
    files = parts([SQUARE], {"网格": ["碧波园"]}, encoding=encoding)
    files.pop("grids.cpg", None)
    if cpg is not None:
        files["grids.cpg"] = cpg
    if read_as is None:  # A wrong .cpg can turn letters into others; then the field is not found.
        assert read(packed(files), name_field="网格").features == ()
        return
    grids = read(packed(files), name_field="网格")
    assert [grid.name for grid in grids.features] == ["碧波园"]
    assert grids.encoding == read_as
    assert (Code.ENCODING_GUESSED in notes(grids)) == guessed


def test_a_letter_cut_in_two_at_the_end_of_a_field_does_not_change_the_encoding():
    files = parts([SQUARE], {"name": ["碧波园"]}, encoding="UTF-8")
    files.pop("grids.cpg")
    full = "碧波园".encode()
    files["grids.dbf"] = files["grids.dbf"].replace(full, full[:-1] + b" ")
    assert read(packed(files)).features[0].name == "碧波"


def test_text_in_no_encoding_is_refused():
    files = parts([SQUARE], {"name": ["abcdef"]}, encoding="UTF-8")
    files["grids.dbf"] = files["grids.dbf"].replace(b"abcdef", b"ab\xffc\xff\xff")
    assert refusal(packed(files))[0] is Code.ENCODING_UNKNOWN


def test_chinese_names_of_files_and_folders():
    files = parts([SQUARE], NAMED, name="网格图层")
    assert read(packed({f"南山/{name}": data for name, data in files.items()})).name == "网格图层"


# --- numbers, layers, shapes ----------------------------------------------------------------------


def test_codes_may_be_numbers():
    columns = {"name": [502.0, 503.0]}
    grids = read(geopackage([SQUARE, shapely.transform(SQUARE, lambda p: p + 1)], columns))
    assert [grid.code for grid in grids.features] == ["502", "503"]


def test_an_empty_name_and_an_unknown_field_are_told_with_the_fields_there_are():
    columns: dict[str, list[Any]] = {"name": [None], "other": ["x"]}
    for pack in (shapefile, geopackage):
        (line,) = read(pack([SQUARE], columns)).report
        assert line.findings[0].code is Code.UNNAMED
        (line,) = read(pack([SQUARE], columns), name_field="title").report
        assert line.findings[0].facts["fields"] == "name, other"


def test_one_of_several_layers_is_chosen_by_name():
    two = packed(
        parts([SQUARE], NAMED, name="甲层") | parts([SQUARE], {"name": ["乙"]}, name="乙层")
    )
    assert refusal(two)[0] is Code.LAYER_UNCHOSEN
    assert refusal(two, layer="丙层")[0] is Code.LAYER_UNKNOWN
    assert read(two, layer="乙层").features[0].name == "乙"
    one = geopackage([SQUARE], NAMED, layer="甲层")
    assert read(one, layer="甲层").name == "甲层"
    assert refusal(one, layer="乙层") == (Code.LAYER_UNKNOWN, {"layer": "乙层", "layers": "甲层"})


def test_altitudes_points_and_nothing_at_all():
    high = read(shapefile([shapely.force_3d(SQUARE, 7)], NAMED, kind="Polygon Z"))
    assert [one.code for one in high.report[0].findings] == [Code.ALTITUDE_DROPPED]
    point = read(geopackage([shapely.Point(116, 39)], NAMED, kind="Point"))
    assert point.report[0].findings[0].code is Code.NOT_A_POLYGON
    for pack in (shapefile, geopackage):
        assert read(pack([None], NAMED)).report[0].findings[0].code is Code.NO_GEOMETRY


@pytest.mark.parametrize(
    "shape, code",
    [
        (shapely.box(39.9, 116.4, 39.91, 116.41), Code.AXES_SWAPPED),
        (shapely.box(179.9, 60, 181, 61), Code.ANTIMERIDIAN),
        (shapely.box(100, 30, 120, 50), Code.TOO_BIG),
        (shapely.box(116.4, 39.9, 116.4000001, 39.9000001), Code.NO_AREA),
        (shapely.MultiPolygon(), Code.EMPTY),
    ],
)
def test_what_is_refused_in_geojson_is_refused_in_every_format(shape, code):
    (line,) = read(geopackage([shape], NAMED)).report
    assert [one.code for one in line.findings] == [code]


def wkb(kind: int, *numbers: float, count: int = 1) -> bytes:
    ring = struct.pack("<I", len(numbers) // (3 if kind > 1000 else 2))
    return struct.pack("<BII", 1, kind, count) + ring + struct.pack(f"<{len(numbers)}d", *numbers)


@pytest.mark.parametrize(
    "data, code",
    [
        (wkb(3, 1, 1, 2, 1, 2, 2, 1, 1), None),
        (wkb(2003, 1, 1, 9, 2, 1, 9, 2, 2, 9, 1, 1, 9), None),
        (wkb(3, 1, 1, 2, 1, 1, 1), Code.RING_SHORT),
        (wkb(3, 1, 1, 2, 1, 2, 2, 1, 2), Code.RING_OPEN),
        (wkb(3, 1, 1, 2, float("nan"), 2, 2, 1, 1), Code.NOT_A_NUMBER),
        (wkb(3, 1, 1, 2, float("inf"), 2, 2, 1, 1), Code.NOT_A_NUMBER),
        (struct.pack("<BII", 1, 3, 0), Code.EMPTY),
        (struct.pack("<BII", 1, 7, 0), Code.NOT_A_POLYGON),
    ],
)
def test_shapes_in_binary(data, code):
    row = RawFeature(0, "/features/0")
    read_shape(row, data)
    assert [one.code for one in row.findings] == ([code] if code else [])
    assert row.altitudes == (data[1:5] == struct.pack("<I", 2003))
    if code is None:
        assert row.polygons[0][0].tolist() == [[1, 1], [2, 1], [2, 2], [1, 1]]


# --- files that are not what they should be -------------------------------------------------------


@pytest.mark.parametrize(
    "data, code",
    [
        (b"Rar!\x1a\x07", Code.OTHER_FORMAT),
        (b"\x1f\x8b\x08", Code.OTHER_FORMAT),
        (b"<?xml version='1.0'?><kml/>", Code.OTHER_FORMAT),
        (parts([SQUARE], NAMED)["grids.shp"], Code.OTHER_FORMAT),
        (packed({}), Code.ZIP_WITHOUT_SHAPES),
        (packed({"read.me": b""}), Code.ZIP_WITHOUT_SHAPES),
        (packed({"a.shp": b"", "a.dbf": b""}), Code.PART_MISSING),
        (packed(dict.fromkeys(["a.shp", "a.dbf", "a.shx"], b"")), Code.NOT_READABLE),
        (packed({"a.shp": b"<OGRVRTDataSource/>", "a.dbf": b"", "a.shx": b""}), Code.NOT_READABLE),
        (shapefile([SQUARE], NAMED)[:400], Code.ZIP_BROKEN),
        (b"SQLite format 3\0" + bytes(5_000), Code.NOT_READABLE),
        (geopackage([SQUARE], NAMED)[:9_000], Code.NOT_READABLE),
    ],
)
def test_what_is_no_layer_is_named(data, code):
    assert refusal(data)[0] is code


def test_limits_hold_for_every_format():
    many = shapefile([SQUARE] * 11, {"name": list("abcdefghijk")})
    with pytest.raises(LayerTooLarge) as refused:
        read(many, limits=Limits(features=10))
    assert refused.value.finding.facts == {"found": 11, "limit": 10}
    for pack in (shapefile, geopackage):
        fine = pack([shapely.segmentize(SQUARE, 0.0001)], NAMED)
        assert refusal(fine, limits=Limits(vertices=300))[0] is Code.TOO_MANY_VERTICES
    assert refusal(fine, limits=Limits(bytes=100))[0] is Code.TOO_MANY_BYTES


def test_findings_are_plain_json():
    for note in read(shapefile([METRES], NAMED, crs="EPSG:4548")).notes:
        json.dumps(note.plain(), allow_nan=False)
