"""Overlaps and gaps between grids."""

from datetime import timedelta
from typing import Any

import pytest
from shapely import MultiPolygon
from sqlalchemy import text

from app.grids.layers import coverage
from tests.grids.geojson import feature, layer, read, square
from tests.make.grids import make_grid


def grids(**rings: Any) -> dict[str, MultiPolygon]:
    return read(layer(*(feature(name, *ring) for name, ring in rings.items()))).boundaries()


def test_neighbours_that_share_a_border_neither_overlap_nor_leave_a_gap():
    report = coverage(grids(西=[square()], 东=[square(lon=116.41)]))
    assert report.overlaps == () and report.holes == ()


def test_an_overlap_has_its_area_and_shape():
    # Two squares of 0.01 degree over each other by a tenth of their width.
    report = coverage(grids(西=[square()], 东=[square(lon=116.409)]))
    (overlap,) = report.overlaps
    assert (overlap.first, overlap.second) == ("东", "西")
    # A degree of longitude at 39.905 N is 85,500 m, one of latitude 111,030 m (WGS-84).
    assert overlap.area_m2 == pytest.approx(85.50 * 1110.3, rel=0.001)
    assert overlap.shape.bounds == pytest.approx((116.409, 39.9, 116.41, 39.91))


def test_a_gap_inside_is_told_with_its_neighbours_and_an_open_one_is_not():
    around = {
        "南": [square(116.40, 39.90, 0.01)],
        "北": [
            [[116.4, 39.911], [116.42, 39.911], [116.42, 39.92], [116.4, 39.92], [116.4, 39.911]]
        ],
        "西": [
            [[116.4, 39.91], [116.405, 39.91], [116.405, 39.911], [116.4, 39.911], [116.4, 39.91]]
        ],
    }
    assert coverage(grids(**around)).holes == ()
    around["东"] = [
        [[116.41, 39.9], [116.42, 39.9], [116.42, 39.911], [116.41, 39.911], [116.41, 39.9]]
    ]
    (hole,) = coverage(grids(**around)).holes
    assert hole.beside == ("东", "北", "南", "西")
    assert hole.area_m2 == pytest.approx(0.005 * 85_490 * 0.001 * 111_030, rel=0.001)


def test_an_enclave_that_nobody_has_is_a_hole_and_one_that_is_filled_is_not():
    ring = [square(), square(116.403, 39.903, 0.002)]
    (hole,) = coverage(grids(环=ring)).holes
    assert hole.beside == ("环",)
    assert coverage(grids(环=ring, 心=[square(116.403, 39.903, 0.002)])).holes == ()


def test_the_threshold_is_in_square_metres():
    # An overlap 1e-7 degree (8.5 mm) wide and 1,110 m long has 9.5 m2.
    pair = grids(西=[square()], 东=[square(lon=116.4099999)])
    assert len(coverage(pair).overlaps) == 1
    assert coverage(pair, overlap_m2=10.0).overlaps == ()
    assert len(coverage(pair, gap_m2=10.0).overlaps) == 1
    ring = grids(环=[square(), square(116.403, 39.903, 0.002)])  # 171 m by 222 m
    assert len(coverage(ring, gap_m2=30_000.0, overlap_m2=1e9).holes) == 1
    assert coverage(ring, gap_m2=40_000.0).holes == ()


async def test_from_which_size_on_is_told_is_a_setting(
    http, tx, database, branch, supervisor, clock
):
    await make_grid(tx, org_unit=branch, code="A")
    await make_grid(tx, org_unit=branch, code="B", lon=112.6099)  # 9.8 m by 1.1 km over A

    async def overlaps():
        answer = await http.get("/v1/grids/coverage", headers=supervisor)
        return len(answer.json()["overlaps"])

    assert await overlaps() == 1
    database.cache.clear()
    await tx.execute(
        text(
            "INSERT INTO parameter_value (id, name, org_path, valid_from, value)"
            " VALUES (gen_random_uuid(), 'grids.overlap_reported_m2', :path, :since, '20000')"
        ),
        {"path": branch.path, "since": clock.now() - timedelta(days=1)},
    )
    assert await overlaps() == 0
