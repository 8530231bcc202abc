"""The form of a layer: what RFC 7946 allows, what the product adds, and hostile files."""

import json
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.core.geo import CoordSys
from app.core.http import Code as AnyCode
from app.grids.layers import (
    Code,
    LayerRefused,
    LayerTangled,
    LayerTooLarge,
    Limits,
    Verdict,
    coverage,
    read_layer,
)
from tests.grids.geojson import feature, found, layer, read, square

HERE = "/features/0"
RING = f"{HERE}/geometry/coordinates/0"


def geometry(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


def with_point(point: Any, at: int = 1) -> dict[str, Any]:
    ring: list[Any] = square()
    ring[at] = point
    return feature("甲", ring)


@pytest.mark.parametrize(
    "row, code, path",
    [
        (feature("甲", geometry=None), Code.NO_GEOMETRY, f"{HERE}/geometry"),
        (feature("甲", geometry=7), Code.NOT_AN_OBJECT, f"{HERE}/geometry"),
        (feature("甲", type="feature"), Code.TYPE_UNKNOWN, f"{HERE}/type"),
        (feature("甲", type=["Feature"]), Code.TYPE_UNKNOWN, f"{HERE}/type"),
        (feature("甲", id=True), Code.ID_WRONG, f"{HERE}/id"),
        (feature("甲", id=None), Code.ID_WRONG, f"{HERE}/id"),
        (feature("甲", bbox=[1, 2, 3]), Code.BBOX_WRONG, f"{HERE}/bbox"),
        (feature("甲", bbox=[1, 2, 3, "4"]), Code.BBOX_WRONG, f"{HERE}/bbox"),
        (feature("甲", coordinates=[]), Code.MEMBER_MISPLACED, f"{HERE}/coordinates"),
        (feature("甲", properties=[]), Code.PROPERTIES_WRONG, f"{HERE}/properties"),
        (
            feature("甲", geometry=geometry("Point", [116.4, 39.9])),
            Code.NOT_A_POLYGON,
            f"{HERE}/geometry/type",
        ),
        (
            feature("甲", geometry=geometry("polygon", [square()])),
            Code.TYPE_UNKNOWN,
            f"{HERE}/geometry/type",
        ),
        (
            feature("甲", geometry=geometry("Polygon", [])),
            Code.EMPTY,
            f"{HERE}/geometry/coordinates",
        ),
        (
            feature("甲", geometry={"type": "Polygon"}),
            Code.NOT_AN_ARRAY,
            f"{HERE}/geometry/coordinates",
        ),
        (feature("甲", geometry=geometry("Polygon", square())), Code.NOT_AN_ARRAY, f"{RING}/0"),
        (
            feature("甲", geometry=geometry("MultiPolygon", [square()])),
            Code.NOT_AN_ARRAY,
            f"{RING}/0/0",
        ),
        (
            feature("甲", geometry=geometry("Polygon", [[square()]])),
            Code.NOT_A_NUMBER,
            f"{RING}/0/0",
        ),
        (with_point([116.4]), Code.POSITION_SHORT, f"{RING}/1"),
        (with_point(["116.4", 39.9]), Code.NOT_A_NUMBER, f"{RING}/1/0"),
        (with_point([116.4, True]), Code.NOT_A_NUMBER, f"{RING}/1/1"),
        (with_point([116.4, None]), Code.NOT_A_NUMBER, f"{RING}/1/1"),
        (with_point([116.4, float("nan")]), Code.NOT_A_NUMBER, f"{RING}/1"),
        (with_point([116.4, float("inf")]), Code.NOT_A_NUMBER, f"{RING}/1"),
        (with_point([10**400, 39.9]), Code.NOT_A_NUMBER, RING),
        (with_point("116.4,39.9"), Code.NOT_AN_ARRAY, f"{RING}/1"),
        (with_point([116.5, 39.9], at=4), Code.RING_OPEN, RING),
        (feature("甲", square()[:3]), Code.RING_SHORT, RING),
        (feature("甲", square(), []), Code.RING_SHORT, f"{HERE}/geometry/coordinates/1"),
        (feature(None), Code.UNNAMED, f"{HERE}/properties"),
        (feature(""), Code.UNNAMED, f"{HERE}/properties"),
        (feature(" \u3000\n\u200b"), Code.UNNAMED, f"{HERE}/properties"),
        (feature("甲", properties=None), Code.UNNAMED, f"{HERE}/properties"),
        (feature("甲", properties={"Name": "甲"}), Code.UNNAMED, f"{HERE}/properties"),
        (feature(["甲"]), Code.NAME_WRONG, f"{HERE}/properties"),
        (feature(True), Code.NAME_WRONG, f"{HERE}/properties"),
        (feature("甲" * 201), Code.NAME_WRONG, f"{HERE}/properties"),
        (feature("甲\0乙"), Code.VALUE_WRONG, f"{HERE}/properties/name"),
        (feature("甲\ud800"), Code.VALUE_WRONG, f"{HERE}/properties/name"),
        (
            feature("甲", properties={"name": "甲", "a/b": [1, {"~": 2**63}]}),
            Code.VALUE_WRONG,
            f"{HERE}/properties/a~1b/1/~0",
        ),
    ],
)
def test_a_feature_refused_says_where_and_why(row, code, path):
    taken = feature("乙", square(lon=116.5))
    read_back = read(layer(row, taken))
    line = read_back.report[0]
    assert line.verdict is Verdict.REFUSED
    assert (code, path) in [(one.code, one.path) for one in line.findings]
    # One bad feature loses no other.
    assert [grid.name for grid in read_back.features] == ["乙"]
    for one in line.findings:
        json.dumps(one.plain(), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize(
    "ring, code",
    [
        (square(12_957_000.0, 4_852_000.0, 900.0), Code.PROJECTED),  # Web Mercator
        (square(448_000.0, 4_417_000.0, 900.0), Code.PROJECTED),  # Gauss-Krüger
        (square(448.0, 4_417.0, 0.9), Code.PROJECTED),  # the same in kilometres
        (square(1e300, 1e300, 1e299), Code.PROJECTED),
        ([point[::-1] for point in square()], Code.AXES_SWAPPED),  # Beijing
        ([point[::-1] for point in square(75.99, 39.47)], Code.AXES_SWAPPED),  # Kashgar
        ([point[::-1] for point in square(-71.06, 42.36)], Code.AXES_SWAPPED),  # Boston
        (square(179.99, -17.0, 0.02), Code.ANTIMERIDIAN),  # Fiji, past 180 degrees
        (
            [[179.9, -17], [-179.9, -17], [-179.9, -16], [179.9, -16], [179.9, -17]],
            Code.ANTIMERIDIAN,
        ),
        ([[0, 0], [80, 0], [80, 60], [0, 60], [0, 0]], Code.TOO_BIG),  # metres of a plan
        ([[116.4, 39.9], [116.5, 40.0], [116.4, 39.9], [116.4, 39.9]], Code.NO_AREA),
        ([[116.4, 39.9]] * 5, Code.NO_AREA),
        (square(side=0.000005), Code.NO_AREA),  # a quarter of a square metre
    ],
)
def test_coordinates_that_cannot_be_a_grid(ring, code):
    layer_read = read(feature("甲", ring))
    assert [one.code for one in layer_read.report[0].findings] == [code]
    assert layer_read.features == ()


def test_boundaries_beside_the_antimeridian_are_fine_when_cut():
    parts = [[square(179.9, -17.0, 0.1)], [square(-180.0, -17.0, 0.1)]]
    row = feature("Taveuni", geometry=geometry("MultiPolygon", parts))
    grid = read(row).features[0]
    assert grid.area_m2 / 1e6 == pytest.approx(2 * 10.65 * 11.07, rel=0.01)


@pytest.mark.parametrize(
    "data, code",
    [
        (b"", Code.NOT_JSON),
        (b"{", Code.NOT_JSON),
        (b"[1, 2", Code.NOT_JSON),
        (b'{"type": "FeatureCollection", "features": [' + b"1" * 5_000 + b"]}", Code.NOT_JSON),
        (json.dumps(feature(), ensure_ascii=False).encode("gbk"), Code.NOT_UTF8),
        (json.dumps(feature()).encode("utf-16"), Code.NOT_UTF8),
        (b"\xff\xfe\x00", Code.NOT_UTF8),
        (b"null", Code.NOT_AN_OBJECT),
        (b"[]", Code.NOT_AN_OBJECT),
        (b'"Polygon"', Code.NOT_AN_OBJECT),
        (b"{}", Code.TYPE_UNKNOWN),
        (b'{"type": "Topology"}', Code.TYPE_UNKNOWN),
        (b'{"type": "FeatureCollection"}', Code.FEATURES_WRONG),
        (b'{"type": "FeatureCollection", "features": {}}', Code.FEATURES_WRONG),
        (b'{"type": "FeatureCollection", "features": [], "features": []}', Code.MEMBER_TWICE),
        (layer(geometry=None), Code.MEMBER_MISPLACED),
        (layer(bbox="x"), Code.BBOX_WRONG),
        (layer(crs={"type": "name", "properties": {"name": "ESRI:102025"}}), Code.CRS_UNKNOWN),
        (layer(crs={"type": "link", "properties": {"href": "x"}}), Code.CRS_UNKNOWN),
        (layer(crs=[]), Code.CRS_UNKNOWN),
    ],
)
def test_a_file_refused_as_a_whole(data, code):
    with pytest.raises(LayerRefused) as refused:
        read(data)
    problem = refused.value
    assert problem.finding.code is code
    assert problem.status == 422
    assert problem.facts["code"] == code.value
    assert problem.detail("zh") != problem.detail("en")


@pytest.mark.parametrize(
    "crs",
    ["urn:ogc:def:crs:OGC:1.3:CRS84", "EPSG:4326", "urn:ogc:def:crs:EPSG::4326", "EPSG:4490"],
)
def test_a_crs_of_degrees_is_taken(crs):
    named = {"type": "name", "properties": {"name": crs}}
    assert len(read(layer(feature(), crs=named)).features) == 1


def test_a_byte_order_mark_is_ignored():
    assert len(read(b"\xef\xbb\xbf" + layer(feature())).features) == 1


def test_an_empty_layer_is_read_and_covers_nothing():
    empty = read(layer())
    assert (empty.features, empty.report) == ((), ())
    assert coverage(empty.boundaries()).overlaps == ()


def test_one_feature_alone_is_a_layer():
    grid = read(feature("甲网格")).features[0]
    assert (grid.name, grid.code, grid.rows) == ("甲网格", "甲网格", (0,))


@pytest.mark.parametrize(
    "written, name",
    [
        ("  阳光\u3000 小区\n", "阳光 小区"),
        ("阳光\u200b小区", "阳光小区"),
        ("cafe\u0301", "café"),
        (502, "502"),
        (502.0, "502"),
        (0, "0"),
        ("0502", "0502"),
    ],
)
def test_names_are_tidied(written, name):
    assert read(feature(written)).features[0].name == name


def test_rows_of_one_name_are_one_grid():
    west, east, apart = square(), square(lon=116.41), square(lon=116.5)
    rows = [feature("甲", west), feature("乙", apart), feature(" 甲", east, id="x")]
    layer_read = read(layer(*rows))
    first, second = layer_read.features
    assert (first.name, first.rows, second.name) == ("甲", (0, 2), "乙")
    assert [line.verdict for line in layer_read.report] == ["merged", "imported", "merged"]
    assert layer_read.report[2].id == "x"
    # The two squares share an edge, so they are joined into one part.
    assert len(first.geometry.geoms) == 1
    assert first.area_m2 == pytest.approx(2 * second.area_m2, rel=1e-6)


def test_a_code_field_tells_grids_of_one_name_apart():
    def row(name: str, code: str, lon: float) -> dict[str, Any]:
        return feature(name, square(lon=lon), properties={"name": name, "code": code})

    rows = [
        row("中心小区", "A1", 116.4),
        row("中心小区", "A2", 116.5),
        row("中心小区", "A1", 116.6),
        row("别处", "A2", 116.7),
        row("编码不对", "A 3", 116.8),
    ]
    layer_read = read(layer(*rows), code_field="code")
    assert [(grid.code, grid.rows) for grid in layer_read.features] == [
        ("A1", (0, 2)),
        ("A2", (1,)),
    ]
    assert list(layer_read.boundaries()) == ["A1", "A2"]
    assert [one.code for one in layer_read.report[3].findings] == [Code.CODE_TWICE]
    assert [one.code for one in layer_read.report[4].findings] == [Code.CODE_WRONG]


@pytest.mark.parametrize(
    "name, code",
    [
        ("0502", "0502"),
        ("碧波园（南区）", "碧波园-南区"),
        ("碧波园 3号院·西", "碧波园-3号院-西"),
        ("A座/2期_1.0-x:y", "A座/2期_1.0-x:y"),
        ("-- A & B --", "A-B"),
        ("四分之一¼院", "四分之一-院"),
        ("ＡＢ１", "ＡＢ１"),
        ("é", "é"),
    ],
)
def test_without_a_code_field_codes_are_made_from_the_names(name, code):
    grid = read(feature(name)).features[0]
    assert (grid.name, grid.code) == (name, code)
    assert read(feature(name), prefix="BJ-").features[0].code == f"BJ-{code}"


def test_every_code_made_is_one_the_api_takes():
    takes = TypeAdapter(AnyCode).validate_python

    @settings(max_examples=300)
    @given(st.text(min_size=1, max_size=80), st.sampled_from(["", "BJ-", "p" * 32]))
    def check(name, prefix):
        for grid in read(feature(name), prefix=prefix).features:
            assert takes(grid.code) == grid.code

    check()


@pytest.mark.parametrize(
    "name, more",
    [
        ("（）", {}),  # nothing is left of it
        ("（）", {"prefix": "BJ-"}),
        ("甲" * 65, {}),
        ("甲" * 62, {"prefix": "BJ-"}),
        ("甲", {"prefix": "B J"}),
    ],
)
def test_a_name_that_gives_no_code_is_refused_with_words(name, more):
    line = read(feature(name), **more).report[0]
    assert [one.code for one in line.findings] == [Code.CODE_WRONG]
    assert "编码字段" in line.findings[0].say("zh")


def test_two_names_that_give_one_code_are_not_one_grid():
    rows = [
        feature("甲（1）"),
        feature("甲-1", square(lon=116.5)),
        feature("甲（1）", square(lon=117)),
    ]
    layer_read = read(layer(*rows))
    assert [(grid.code, grid.rows) for grid in layer_read.features] == [("甲-1", (0, 2))]
    finding = layer_read.report[1].findings[0]
    assert finding.code is Code.CODE_TWICE
    assert finding.facts == {"code": "甲-1", "index": 0, "name": "甲（1）"}


def test_altitudes_are_dropped_with_a_note():
    ring = [[*point, 12.5] for point in square()]
    line = read(feature("甲", ring)).report[0]
    assert line.verdict is Verdict.IMPORTED
    assert [one.code for one in line.findings] == [Code.ALTITUDE_DROPPED]
    assert not read(feature("甲", ring)).features[0].geometry.has_z


def test_a_layer_is_moved_from_its_declared_system():
    plain = read(feature("甲")).features[0].geometry
    moved = read(feature("甲"), coordsys=CoordSys.GCJ02).features[0].geometry
    # GCJ-02 lies about 6 thousandths of a degree east of WGS-84 in Beijing.
    assert moved.centroid.x - plain.centroid.x == pytest.approx(-0.0062, abs=0.0005)
    assert found(feature("甲", square(2.35, 48.85)), coordsys=CoordSys.GCJ02) == [
        (Code.OUTSIDE_CHINA, "/geometry")
    ]


def test_neighbours_with_and_without_a_shared_corner_still_meet_after_conversion():
    # The eastern side of the large square is one edge of 0.1 degree; the two small squares beside
    # it have a corner half-way. Bent edge by edge they would part by metres.
    large = [[116.3, 39.9], [116.4, 39.9], [116.4, 40.0], [116.3, 40.0], [116.3, 39.9]]
    rows = [
        feature("大", large),
        feature("南", square(116.4, 39.9, 0.05)),
        feature("北", square(116.4, 39.95, 0.05)),
    ]
    grids = read(layer(*rows), coordsys=CoordSys.BD09).features
    gap = grids[0].geometry.intersection(grids[1].geometry.union(grids[2].geometry))
    assert gap.area * 111_000 * 85_000 < 11_000 * 0.35  # degrees to m2; 0.35 m along 11 km


FIGURE_OF_EIGHT = [[116.4, 39.9], [116.41, 39.91], [116.41, 39.9], [116.4, 39.91], [116.4, 39.9]]


@pytest.mark.parametrize(
    "rings, why, change",
    [
        # Two lobes wound opposite ways add up to nothing before, and to both after.
        ([FIGURE_OF_EIGHT], "边界自相交", 1.0),
        # A hole a quarter as large, outside the shell, becomes land: what was 3/4 is now 5/4.
        ([square(), square(lon=116.5, side=0.005)], "内环在外环之外", 2 / 3),
        # A spike out and back encloses nothing.
        ([[*square()[:2], [116.45, 39.9], [116.41, 39.9], *square()[2:]]], "边界自相交", 0.0),
    ],
)
def test_invalid_boundaries_are_repaired_and_the_change_told(rings, why, change):
    layer_read = read(feature("甲", *rings))
    line = layer_read.report[0]
    assert line.verdict is Verdict.REPAIRED
    assert line.findings[0].facts["why_zh"] == why
    assert line.findings[0].facts["change"] == pytest.approx(change, abs=0.01)
    assert layer_read.features[0].geometry.is_valid
    assert layer_read.features[0].area_m2 == pytest.approx(
        line.findings[0].facts["area_after_m2"], abs=0.01
    )


def test_what_a_ring_encloses_twice_stays_inside():
    # A boundary drawn one and a half times round must not get a hole.
    ring = square()[:-1] + square()
    layer_read = read(feature("甲", ring))
    once = read(feature("甲")).features[0].area_m2
    assert layer_read.features[0].area_m2 == pytest.approx(once, rel=1e-9)


# --- limits and hostile files ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "data, limits, code",
    [
        (layer(feature()), Limits(bytes=100), Code.TOO_MANY_BYTES),
        (layer(feature(), feature()), Limits(features=1), Code.TOO_MANY_FEATURES),
        (layer(feature(), feature()), Limits(vertices=9), Code.TOO_MANY_VERTICES),
        (json.dumps(feature()).encode(), Limits(vertices=4), Code.TOO_MANY_VERTICES),
        (layer(feature()), Limits(depth=6), Code.TOO_DEEP),
        (layer(feature("甲", properties={"name": "甲", "x": [0] * 9_999})), None, None),
        (
            layer(feature("甲", properties={"name": "甲", "x": [0] * 9_999})),
            Limits(features=10, vertices=1_000),
            Code.TOO_MANY_VALUES,
        ),
    ],
)
def test_limits(data, limits, code):
    if code is None:
        assert len(read(data, limits=limits).features) == 1
        return
    with pytest.raises(LayerTooLarge) as refused:
        read(data, limits=limits)
    assert refused.value.finding.code is code
    assert refused.value.status == 413


def test_brackets_and_commas_inside_text_do_not_count():
    name = '甲[{[{[{[{[{[{[{[{[{[{[{[{[{[{ "\\" ,,,,' + "," * 100
    assert read(feature(name)).features[0].name == name


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 10_000_000,
        b'{"a":' * 2_000_000,
        b'{"type":"FeatureCollection","features":[' + b"[]," * 4_000_000 + b"[]]}",
        b'{"type":"FeatureCollection","features":[' + b"1," * 7_000_000 + b"1]}",
        b'"' + b'\\"' * 8_000_000,
        b'"' * 16_000_000,
        b"\\" * 16_000_000,
    ],
    ids=["arrays", "objects", "empty arrays", "numbers", "escapes", "quotes", "backslashes"],
)
def test_hostile_text_is_refused_quickly_in_little_memory(data):
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(LayerRefused):
        read(data)
    assert time.process_time() - began < 4  # tracing makes it slower than it is
    assert tracemalloc.get_traced_memory()[1] < 4 * len(data) + 20_000_000
    tracemalloc.stop()


def comb(teeth: int, *, upright: bool) -> Any:
    """A valid polygon with many teeth, across the whole of a square."""
    y = np.tile([0.0, 1.0, 1.0, 0.0], teeth)
    x = np.repeat(np.arange(2 * teeth), 2) / (2 * teeth)
    points = np.vstack([np.column_stack([x, y]), [[1.0, -0.1], [0.0, -0.1], [0.0, 0.0]]])
    points = points if upright else points[:, ::-1]
    return (np.array([116.0, 39.0]) + points).tolist()


def test_scribbles_past_repair_are_refused_and_not_computed_for_minutes():
    points = np.random.default_rng(1).uniform((116, 39), (117, 40), (5_000, 2))
    ring = [*points.tolist(), points[0].tolist()]
    began = time.process_time()
    assert found(feature("甲", ring)) == [(Code.TANGLED, "/geometry")]
    assert time.process_time() - began < 2


def test_combs_laid_across_each_other_are_refused_as_one_grid_and_in_comparison():
    one, other = comb(2_000, upright=True), comb(2_000, upright=False)
    began = time.process_time()
    same = read(layer(feature("甲", one), feature("甲", other)))
    assert [line.findings[0].code for line in same.report] == [Code.TANGLED, Code.TANGLED]
    apart = read(layer(feature("甲", one), feature("乙", other)))
    assert len(apart.features) == 2
    with pytest.raises(LayerTangled):
        coverage(apart.boundaries())
    assert time.process_time() - began < 4


def stripes(count: int) -> list[list[float]]:
    """A valid polygon of long thin diagonal strips: nothing crosses, all boxes meet."""
    starts = np.arange(2 * count) / (20 * count)
    ring = [[0.0, -0.5], [-0.2, -0.3]]
    for left, right in starts.reshape(-1, 2).tolist():
        ring += [[left, -left], [left + 1, 1 - left], [right + 1, 1 - right], [right, -right]]
    return [[116.0 + x, 39.0 + y] for x, y in [*ring, ring[0]]]


def test_strips_whose_every_edge_comes_near_every_other_are_refused_before_they_are_checked():
    began = time.process_time()
    assert found(feature("甲", stripes(50_000))) == [(Code.TANGLED, "/geometry")]
    assert time.process_time() - began < 4
    assert len(read(feature("甲", stripes(100))).features) == 1


def test_long_edges_may_not_be_cut_into_more_vertices_than_a_layer_has():
    # A comb of upright teeth, each of 10 degrees: 500 pieces an edge.
    ring = [[100 + 10 * (x - 116), 30 + 10 * (y - 39)] for x, y in comb(1_000, upright=True)]
    with pytest.raises(LayerTooLarge):
        read(feature("甲", ring), coordsys=CoordSys.GCJ02)
    assert found(feature("甲", ring)) == [(Code.TOO_BIG, "/geometry")]


def test_a_stack_of_copies_is_not_compared_pair_by_pair():
    rows = [feature(f"第{number}层") for number in range(1_000)]
    grids = read(layer(*rows))
    assert len(grids.features) == 1_000
    with pytest.raises(LayerTangled):
        coverage(grids.boundaries())


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=3)
    | st.sampled_from(["Feature", "FeatureCollection", "Polygon", "MultiPolygon", "Point"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["type", "features", "geometry", "coordinates", "properties", "name", "id"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
position = st.lists(
    st.floats(allow_nan=False, width=32) | st.sampled_from([0, 116.4, 39.9, 116.41, 39.91]),
    min_size=2,
    max_size=3,
)
ring_of_any = st.lists(position, min_size=3, max_size=9).map(lambda ring: [*ring, ring[0]])


@settings(max_examples=300, deadline=None)
@given(
    document=anything
    | anything.map(lambda row: {"type": "FeatureCollection", "features": [row]})
    | anything.map(lambda shape: feature("甲", geometry=shape))
    | st.lists(ring_of_any, min_size=1, max_size=3).map(lambda rings: feature("甲", *rings)),
    coordsys=st.sampled_from(CoordSys),
)
def test_no_document_breaks_the_reader(document, coordsys):
    data = json.dumps(document).encode()
    try:
        layer_read = read_layer(data, coordsys=coordsys, name_field="name", code_field=None)
    except LayerRefused:
        return
    for grid in layer_read.features:
        assert grid.geometry.is_valid
        assert grid.area_m2 >= 1
    taken = {row for grid in layer_read.features for row in grid.rows}
    for line in layer_read.report:
        assert (line.index in taken) == (line.verdict is not Verdict.REFUSED)
        assert (line.verdict is Verdict.REFUSED) == any(one.refuses for one in line.findings)
        for one in line.findings:
            json.dumps(one.plain(), ensure_ascii=False, allow_nan=False).encode()
