"""Rules of maps: tiles, windows, and how parameters are read."""

import csv
import random
from datetime import UTC, datetime

import numpy as np
import pytest

from app.core.geo import (
    MERCATOR_EDGE_M,
    CoordSys,
    from_mercator,
    from_wgs84,
    to_mercator,
    to_wgs84,
)
from app.maps.rules import ogc
from app.maps.rules.ogc import Box, ParameterRefused, Span
from app.maps.rules.tiles import Tile
from app.maps.rules.windows import window
from app.maps.service import Shelf
from tests.make.maps import tile_at

# --- web Mercator ---------------------------------------------------------------------------------


def test_web_mercator_there_and_back():
    draw = np.random.default_rng(1)
    lon, lat = draw.uniform(-180, 180, 1000), draw.uniform(-85, 85, 1000)
    back = from_mercator(*to_mercator(lon, lat))
    assert np.allclose(back[0], lon, atol=1e-12) and np.allclose(back[1], lat, atol=1e-12)


def test_web_mercator_is_the_one_of_published_places(shared_dir):
    with (shared_dir / "data/geo/crs/gcoord_vectors_a.csv").open() as file:
        rows = list(csv.DictReader(file))
    lons = [float(row["wgs84_lon"]) for row in rows]
    lats = [float(row["wgs84_lat"]) for row in rows]
    x, y = to_mercator(lons, lats)
    assert np.allclose(x, [float(row["webmercator_x"]) for row in rows], atol=0.01)
    assert np.allclose(y, [float(row["webmercator_y"]) for row in rows], atol=0.01)


def test_beyond_its_square_lies_its_edge():
    _, (north, south) = to_mercator([0, 0], [90, -90])
    assert (north, south) == pytest.approx((MERCATOR_EDGE_M, -MERCATOR_EDGE_M))


# --- the shift in a tile --------------------------------------------------------------------------


@pytest.mark.parametrize("coordsys", list(CoordSys))
@pytest.mark.parametrize("z", range(8, 17))
def test_points_come_onto_the_map_within_a_third_of_a_pixel(z, coordsys):
    draw = random.Random(z)
    shares = np.random.default_rng(z).uniform(0, 1, (200, 2))
    for _ in range(8):
        place = tile_at(draw.uniform(75, 134), draw.uniform(18, 53), z)
        x = -MERCATOR_EDGE_M + (place.x + shares[:, 0]) * place.side_m
        y = MERCATOR_EDGE_M - (place.y + shares[:, 1]) * place.side_m
        lon, lat = to_wgs84(*from_mercator(x, y), coordsys)
        seen = window(Tile(*place, coordsys))
        assert (lon >= seen.west).all() and (lon <= seen.east).all()
        assert (lat >= seen.south).all() and (lat <= seen.north).all()
        flat_x, flat_y = to_mercator(lon, lat)
        columns = np.clip((flat_x - seen.part_west) // seen.part_width, 0, seen.parts - 1)
        rows = np.clip((flat_y - seen.part_south) // seen.part_height, 0, seen.parts - 1)
        n = (rows * seen.parts + columns).astype(int)
        xx, xy, x1 = (np.array(each)[n] for each in (seen.xx, seen.xy, seen.x1))
        yx, yy, y1 = (np.array(each)[n] for each in (seen.yx, seen.yy, seen.y1))
        east = xx * flat_x + xy * flat_y + x1 - x
        north = yx * flat_x + yy * flat_y + y1 - y
        assert np.hypot(east, north).max() < place.pixel_m / 3


def test_a_window_is_not_much_larger_than_its_tile():
    place = tile_at(112.6, 28.9, 12)
    seen = window(Tile(*place, CoordSys.GCJ02))
    width = 360 / 2**12
    assert width < seen.east - seen.west < 1.2 * width
    lon, _ = from_wgs84([(seen.west + seen.east) / 2], [28.9], CoordSys.GCJ02)
    assert lon[0] == pytest.approx((place.x + 0.5) * width - 180, abs=width / 50)


# --- the shelf ------------------------------------------------------------------------------------


def test_the_shelf_lets_go_of_what_was_not_asked_for_longest():
    shelf = Shelf(10)
    shelf.put("a", b"12345")
    shelf.put("b", b"12345")
    assert shelf.get("a") == b"12345"
    shelf.put("c", b"1")
    assert (shelf.get("a"), shelf.get("b"), shelf.get("c")) == (b"12345", None, b"1")
    shelf.put("a", b"")
    assert shelf.get("a") == b""
    shelf.put("d", b"123456789")
    assert (shelf.get("c"), shelf.get("d")) == (b"1", b"123456789")
    shelf.put("e", b"12345678901")
    assert shelf.get("e") is None


# --- parameters of OGC API ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given, limit", [(None, 100), ("1", 1), ("1000", 1000), ("1001", 1000), ("999999999", 1000)]
)
def test_a_limit_too_large_gives_the_largest(given, limit):
    assert ogc.limit_of(given) == limit


@pytest.mark.parametrize("given", ["0", "-1", "", "x", "1.5", "1e3", "٣", "1 ", "9" * 40])
def test_what_is_no_limit_is_refused(given):
    with pytest.raises(ParameterRefused):
        ogc.limit_of(given)


@pytest.mark.parametrize(
    "given, boxes",
    [
        (None, []),
        ("112,28,113,29", [Box(112, 28, 113, 29)]),
        ("112.5,28,-5,113,29,1000", [Box(112.5, 28, 113, 29)]),
        ("-180,-90,180,90", [Box(-180, -90, 180, 90)]),
        ("112,28,112,28", [Box(112, 28, 112, 28)]),
        ("170,-10,-170,10", [Box(170, -10, 180, 10), Box(-180, -10, -170, 10)]),
    ],
)
def test_a_box_over_the_180th_meridian_becomes_two(given, boxes):
    assert ogc.boxes_of(given) == boxes


@pytest.mark.parametrize(
    "given",
    [
        "", "1,2,3", "1,2,3,4,5", "1,2,3,x", "nan,0,1,1", "inf,0,1,1", "0,2,1,1", "181,0,1,1",
        "0,-91,1,1", "0,0,9,1,1,2", "1,2,3,4,", "1;2;3;4",
    ],
)  # fmt: skip
def test_what_is_no_box_is_refused(given):
    with pytest.raises(ParameterRefused) as refusal:
        ogc.boxes_of(given)
    assert refusal.value.facts["parameter"] == "bbox"


NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    "given, span",
    [
        (None, None),
        ("2026-03-02T12:00:00Z", Span(NOON, NOON)),
        ("2026-03-02t12:00:00z", Span(NOON, NOON)),
        ("2026-03-02T20:00:00+08:00", Span(NOON, NOON)),
        ("2026-03-02T20:00:00 08:00", Span(NOON, NOON)),  # a plus that was not encoded
        ("2026-03-02T12:00:00.000Z/..", Span(NOON, None)),
        ("2026-03-02T12:00:00Z/", Span(NOON, None)),
        ("../2026-03-02T12:00:00Z", Span(None, NOON)),
        ("/2026-03-02T12:00:00Z", Span(None, NOON)),
        ("2026-03-02T12:00:00Z/2026-03-02T12:00:00Z", Span(NOON, NOON)),
    ],
)
def test_moments_and_spans(given, span):
    assert ogc.span_of(given) == span


@pytest.mark.parametrize(
    "given",
    [
        "", "now", "2026-03-02", "2026-03-02T12:00:00", "2026-02-30T12:00:00Z", "..", "../..", "/",
        "2026-03-03T12:00:00Z/2026-03-02T12:00:00Z", "2026-03-02T12:00:00Z/../..",
        "0001-01-01T00:00:00+14:00",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(given):
    with pytest.raises(ParameterRefused):
        ogc.span_of(given)


def test_a_parameter_is_known_and_given_once():
    ogc.check_known(["limit", "bbox"], {"limit", "bbox", "datetime"})
    for given in (["limit", "limit"], ["Limit"], ["f"]):
        with pytest.raises(ParameterRefused):
            ogc.check_known(given, {"limit"})
