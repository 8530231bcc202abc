"""Real published layers, read as a supervisor would import them."""

import csv
import json
import time

import numpy as np
import pytest
import shapely

from app.core.geo import CoordSys, to_wgs84
from app.grids.layers import (
    Code,
    LayerRefused,
    Verdict,
    coverage,
    read_layer,
)


def test_boston_255_features_are_253_grids(geo):
    data = (geo / "boston/precincts.geojson").read_bytes()
    began = time.process_time()
    layer = read_layer(data, coordsys=CoordSys.WGS84, name_field="precinct")
    assert time.process_time() - began < 3
    assert layer.counts() == {
        Verdict.IMPORTED: 251,
        Verdict.MERGED: 4,
        Verdict.REPAIRED: 0,
        Verdict.REFUSED: 0,
    }
    # Every feature of the file is in exactly one grid.
    assert sorted(row for grid in layer.features for row in grid.rows) == list(range(255))
    merged = {grid.name: grid.rows for grid in layer.features if len(grid.rows) > 1}
    assert merged == {"0207": (190, 191), "0305": (221, 222)}
    assert [line.name for line in layer.report if line.verdict is Verdict.MERGED] == [
        "0207",
        "0207",
        "0305",
        "0305",
    ]
    note = layer.report[190].findings[0]
    assert note.code is Code.MERGED and not note.refuses
    assert note.say("zh") == "要素 [190, 191] 同名，已合并为一个网格「0207」。"
    assert all(grid.geometry.is_valid for grid in layer.features)
    assert {grid.geometry.geom_type for grid in layer.features} == {"MultiPolygon"}


def test_boston_23_overlaps_and_11_holes(geo):
    data = (geo / "boston/precincts.geojson").read_bytes()
    layer = read_layer(data, coordsys=CoordSys.WGS84, name_field="precinct")
    began = time.process_time()
    report = coverage(layer.boundaries())
    assert time.process_time() - began < 3
    assert (len(report.overlaps), len(report.holes)) == (23, 11)
    worst = report.overlaps[0]
    assert (worst.first, worst.second) == ("1307", "1308")
    assert worst.area_m2 == pytest.approx(620.9, abs=0.1)
    assert min(one.area_m2 for one in report.overlaps) == pytest.approx(1.25, abs=0.01)
    largest = report.holes[0]
    assert largest.beside == ("1307", "1308", "1310")
    assert largest.area_m2 == pytest.approx(75.6, abs=0.1)
    assert min(one.area_m2 for one in report.holes) == pytest.approx(1.51, abs=0.01)


DISTRICTS = {
    "dongcheng": "东城区",
    "fengtai": "丰台区",
    "daxing": "大兴区",
    "miyun": "密云区",
    "pinggu": "平谷区",
    "yanqing": "延庆区",
    "huairou": "怀柔区",
    "chaoyang": "朝阳区",
    "haidian": "海淀区",
    "shijingshan": "石景山区",
    "xicheng": "西城区",
    "tongzhou": "通州区",
    "mentougou": "门头沟区",
    "shunyi": "顺义区",
}


@pytest.mark.parametrize(
    "declared, least, most",
    [
        (CoordSys.BD09, 0.985, 1.0),
        # What the wrong system costs: every ninth compound in another district.
        (CoordSys.GCJ02, 0.0, 0.92),
        (CoordSys.WGS84, 0.0, 0.85),
    ],
)
def test_beijing_compounds_lie_in_their_own_district(geo, declared, least, most):
    layer = read_layer(
        (geo / "beijing/districts_16_echarts.geojson").read_bytes(),
        coordsys=CoordSys.GCJ02,
        name_field="name",
    )
    assert layer.counts()[Verdict.REPAIRED] == 12
    assert layer.counts()[Verdict.IMPORTED] == 4
    boundaries = layer.boundaries()
    with (geo / "beijing/compounds_bd09_a.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(rows) == 2_426
    lon, lat = to_wgs84(
        [float(row["longitude"]) for row in rows],
        [float(row["latitude"]) for row in rows],
        declared,
    )
    own = [boundaries[DISTRICTS[row["district"]]] for row in rows]
    share = float(np.mean(shapely.covers(np.array(own, dtype=object), shapely.points(lon, lat))))
    assert least <= share <= most


@pytest.mark.parametrize(
    "file, coordsys, field, repaired, features",
    [
        ("beijing/districts_16_echarts.geojson", CoordSys.GCJ02, "name", 12, 16),
        ("suzhou/districts_9_echarts.geojson", CoordSys.GCJ02, "name", 8, 9),
        ("shenzhen/districts_10.geojson", CoordSys.WGS84, "qh", 0, 10),
    ],
)
def test_invalid_districts_are_repaired_and_the_change_is_told(
    geo, file, coordsys, field, repaired, features
):
    layer = read_layer((geo / file).read_bytes(), coordsys=coordsys, name_field=field)
    assert len(layer.features) == features
    assert all(grid.geometry.is_valid and not grid.geometry.is_empty for grid in layer.features)
    changes = [
        note.facts for line in layer.report for note in line.findings if note.code is Code.REPAIRED
    ]
    assert len(changes) == repaired
    for change in changes:
        assert change["why_zh"] in ("边界自相交", "环自相接")
        assert abs(change["change"]) < 1e-5
        assert change["area_before_m2"] == pytest.approx(change["area_after_m2"], rel=1e-5)
        assert change["lon"] is not None


# Published areas in km2 (Beijing's statistical yearbook); the drawn borders are generalised.
@pytest.mark.parametrize("district, km2", [("东城区", 41.8), ("石景山区", 84.4), ("朝阳区", 470.8)])
def test_areas_are_square_metres(geo, district, km2):
    layer = read_layer(
        (geo / "beijing/districts_16_echarts.geojson").read_bytes(),
        coordsys=CoordSys.GCJ02,
        name_field="name",
    )
    area = next(grid.area_m2 for grid in layer.features if grid.name == district)
    assert area / 1e6 == pytest.approx(km2, rel=0.02)


def test_bad_files_are_refused_with_feature_and_reason(geo):
    with (geo / "badgeo/index.csv").open() as lines:
        index = list(csv.DictReader(lines))
    assert len(index) == 62
    as_a_whole: list[str] = []
    for entry in index:
        data = (geo / "badgeo" / entry["file"]).read_bytes()
        try:
            layer = read_layer(data, coordsys=CoordSys.WGS84, name_field="name")
        except LayerRefused as refused:
            reasons = [refused.finding]
            as_a_whole.append(entry["class_by_source"])
        else:
            # No file of this collection holds a named polygon, so nothing may come through.
            assert layer.report and not layer.features, entry["file"]
            for line in layer.report:
                assert line.verdict is Verdict.REFUSED
                assert any(finding.refuses for finding in line.findings), entry["file"]
            reasons = [finding for line in layer.report for finding in line.findings]
            if len(layer.report) > 1:
                assert all(
                    finding.path.startswith(f"/features/{line.index}")
                    for line in layer.report
                    for finding in line.findings
                )
        for reason in reasons:
            assert reason.say("zh") and reason.say("en")
            json.dumps(reason.plain(), allow_nan=False)
    # A file that is valid GeoJSON is read, and its features refused one by one.
    assert set(as_a_whole) == {"invalid"}


@pytest.mark.parametrize(
    "name, code, path",
    [
        ("invalid/bad-featurelist", Code.NOT_AN_ARRAY, "/coordinates/0"),
        ("invalid/bad-polygonloop", Code.NOT_AN_ARRAY, "/geometry/coordinates/0/0"),
        ("invalid/bad-properties-as-array", Code.PROPERTIES_WRONG, "/properties"),
        ("invalid/badcoordtype", Code.NOT_AN_ARRAY, "/features/0/geometry/coordinates/0/0/0"),
        ("invalid/badfeature", Code.NOT_AN_OBJECT, "/features/0"),
        ("invalid/badfeatureid", Code.ID_WRONG, "/features/0/id"),
        ("invalid/bbox-4or6elements", Code.BBOX_WRONG, "/bbox"),
        ("invalid/different-first-last", Code.RING_OPEN, "/coordinates/0"),
        ("invalid/different-first-size", Code.RING_OPEN, "/coordinates/1/0"),
        ("invalid/feature_changed_semantics", Code.MEMBER_MISPLACED, "/features"),
        ("invalid/bad-duplicate-properties", Code.MEMBER_TWICE, "/type"),
        ("invalid/nofeaturetype", Code.TYPE_UNKNOWN, "/features/0/type"),
        ("invalid/short-linearring", Code.RING_SHORT, "/coordinates/0"),
        ("valid/good-linestring", Code.NOT_A_POLYGON, "/type"),
        ("valid/good-geometrycollection", Code.NOT_A_POLYGON, "/type"),
        ("valid/good-polygon", Code.BARE_GEOMETRY, ""),
        ("valid/nullgeometry", Code.NO_GEOMETRY, "/features/0/geometry"),
    ],
)
def test_what_is_said_of_a_bad_file(geo, name, code, path):
    data = (geo / f"badgeo/geojsonhint/{name}.geojson").read_bytes()
    layer = read_layer(data, coordsys=CoordSys.WGS84, name_field="name")
    findings = {(finding.code, finding.path) for finding in layer.report[0].findings}
    assert (code, path) in findings
