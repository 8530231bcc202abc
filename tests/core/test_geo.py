"""Coordinate systems against published vectors, and the measures on the ellipsoid."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.geo import (
    EAST,
    NORTH,
    SOUTH,
    WEST,
    CoordSys,
    Floats,
    PointIn,
    PointOut,
    distance_m,
    edge_area_m2,
    from_wgs84,
    to_wgs84,
)

SHIFTED = [CoordSys.GCJ02, CoordSys.BD09]


@pytest.fixture(scope="module")
def places(shared_dir: Path) -> dict[CoordSys, tuple[Floats, Floats]]:
    """332 places, each in all three systems, from the tests of a well-known converter."""
    with (shared_dir / "data/geo/crs/gcoord_vectors_a.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    return {
        system: (
            np.array([float(row[f"{system}_lon"]) for row in rows]),
            np.array([float(row[f"{system}_lat"]) for row in rows]),
        )
        for system in CoordSys
    }


@pytest.mark.parametrize("system", SHIFTED)
def test_published_places_are_met_within_a_metre_both_ways(
    places: dict[CoordSys, tuple[Floats, Floats]], system: CoordSys
) -> None:
    gps, shifted = places[CoordSys.WGS84], places[system]
    assert len(gps[0]) == 332
    assert distance_m(*shifted, *from_wgs84(*gps, system)).max() < 1.0
    assert distance_m(*gps, *to_wgs84(*shifted, system)).max() < 1.0


@pytest.mark.parametrize("system, other", [SHIFTED, SHIFTED[::-1]])
def test_gcj02_and_bd09_agree_within_five_centimetres(
    places: dict[CoordSys, tuple[Floats, Floats]], system: CoordSys, other: CoordSys
) -> None:
    crossed = from_wgs84(*to_wgs84(*places[system], system), other)
    assert distance_m(*places[other], *crossed).max() < 0.05


def test_the_second_set_of_published_places(shared_dir: Path) -> None:
    file = shared_dir / "data/geo/crs/eviltransform_vectors.json"
    pairs = json.loads(file.read_text())["wgs84_to_gcj02"]
    assert len(pairs) == 3
    for pair in pairs:
        lon, lat, shifted_lon, shifted_lat = map(float, pair["wgs84"] + pair["gcj02"])
        there = from_wgs84(lon, lat, CoordSys.GCJ02)
        assert distance_m(*there, shifted_lon, shifted_lat) < 0.15
        back = to_wgs84(shifted_lon, shifted_lat, CoordSys.GCJ02)
        assert distance_m(*back, lon, lat) < 0.15


@pytest.mark.parametrize("system", SHIFTED)
@given(lon=st.floats(WEST, EAST), lat=st.floats(SOUTH, NORTH))
@example(lon=WEST, lat=SOUTH)
@example(lon=EAST, lat=NORTH)
@example(lon=EAST, lat=SOUTH)
@example(lon=105.0, lat=35.0)  # where the formula's square root has no slope
@example(lon=105.00000001, lat=35.0)
def test_there_and_back_is_under_a_millimetre(system: CoordSys, lon: float, lat: float) -> None:
    back = to_wgs84(*from_wgs84(lon, lat, system), system)
    assert distance_m(lon, lat, *back) < 0.001


@pytest.mark.parametrize("system", SHIFTED)
def test_the_rim_of_the_rectangle_comes_back_too(system: CoordSys) -> None:
    along_lon, along_lat = np.linspace(WEST, EAST, 2_000), np.linspace(SOUTH, NORTH, 2_000)
    for hair in (0.0, 1e-9, 1e-4, 0.01):  # degrees inside the rim
        lon = np.concatenate(
            [along_lon, along_lon, 0 * along_lat + WEST + hair, 0 * along_lat + EAST - hair]
        )
        lat = np.concatenate(
            [0 * along_lon + NORTH - hair, 0 * along_lon + SOUTH + hair, along_lat, along_lat]
        )
        back = to_wgs84(*from_wgs84(lon, lat, system), system)
        assert distance_m(lon, lat, *back).max() < 0.001


@pytest.mark.parametrize("system", SHIFTED)
def test_one_point_and_many_give_the_same(system: CoordSys) -> None:
    rng = np.random.default_rng(20)
    lon, lat = rng.uniform(WEST - 5, EAST + 5, 500), rng.uniform(SOUTH - 5, NORTH + 5, 500)
    for convert in (to_wgs84, from_wgs84):
        many = convert(lon, lat, system)
        for i in range(500):
            one = convert(float(lon[i]), float(lat[i]), system)
            assert isinstance(one[0], float)
            # numpy's sine may differ from the C library's in the last bit.
            assert one == pytest.approx((many[0][i], many[1][i]), abs=1e-12)


@pytest.mark.parametrize("system", CoordSys)
@pytest.mark.parametrize(
    "lon, lat", [(-71.06, 42.36), (2.35, 48.86), (151.2, -33.9), (180.0, 90.0), (-180.0, -90.0)]
)
def test_places_abroad_are_not_shifted(system: CoordSys, lon: float, lat: float) -> None:
    assert from_wgs84(lon, lat, system) == (lon, lat)
    assert to_wgs84(lon, lat, system) == (lon, lat)


def test_arrays_handed_in_are_left_alone_and_gaps_stay_gaps() -> None:
    lon, lat = np.array([116.4, np.nan, np.inf]), np.array([39.9, 39.9, 39.9])
    for system in CoordSys:
        out, _ = to_wgs84(lon, lat, system)
        assert np.isnan(out[1]) and np.isinf(out[2])
        out[0] = 0
        assert lon[0] == 116.4
    assert to_wgs84([], [], CoordSys.GCJ02)[0].shape == (0,)


def test_distances() -> None:
    # A degree of latitude on the mean sphere, and the well-known Beijing to Shanghai of 1,067 km.
    assert distance_m(0, 0, 0, 1) == pytest.approx(111_195.08, abs=0.01)
    assert distance_m(116.4074, 39.9042, 121.4737, 31.2304) == pytest.approx(1_067_300, rel=0.002)
    assert distance_m(10.0, 20.0, 10.0, 20.0) == 0
    assert distance_m(0, 0, 180, 0) == pytest.approx(20_015_115, abs=1)
    assert distance_m(np.array([0, 0]), 0, 0, np.array([1, 0]))[1] == 0


@pytest.mark.parametrize("south", [-33.0, 0.0, 22.0, 39.0, 53.0, 89.0])
def test_area_of_a_degree_square(south: float) -> None:
    lon = np.array([116.0, 117.0, 117.0, 116.0, 116.0])
    lat = np.array([south, south, south + 1, south + 1, south])
    ring = -edge_area_m2(lon[:-1], lat[:-1], lon[1:], lat[1:]).sum()
    # The same square summed from the ellipsoid's two radii of curvature, in a million thin strips.
    phi = np.radians(south + (np.arange(1_000_000) + 0.5) / 1_000_000)
    a, e2 = 6378137.0, 0.0066943799901413165
    w2 = 1 - e2 * np.sin(phi) ** 2
    strips = a**2 * (1 - e2) * np.cos(phi) / w2**2
    assert ring == pytest.approx(strips.mean() * np.radians(1) ** 2, rel=1e-9)


def test_a_sliver_between_a_long_edge_and_the_same_edge_in_two_pieces() -> None:
    # A neighbour's extra corner lies exactly on the border, so there is nothing between them.
    lon, lat = np.array([116.0, 116.05, 116.1, 116.0]), np.array([40.0, 40.05, 40.1, 40.0])
    sliver = edge_area_m2(lon[:-1], lat[:-1], lon[1:], lat[1:]).sum()
    assert abs(sliver) < 0.001


def test_the_whole_ellipsoid() -> None:
    # 510,065,621.724 km2: the published surface of WGS-84, as 360 strips from the pole.
    west = np.arange(-180.0, 180.0)
    zero, ninety = np.zeros(360), np.full(360, 90.0)
    half = edge_area_m2(west, ninety, west + 1, ninety) - edge_area_m2(west, zero, west + 1, zero)
    assert 2 * half.sum() == pytest.approx(510_065_621_724_000, rel=1e-9)


def test_a_point_must_say_its_system() -> None:
    with pytest.raises(ValidationError, match="coordsys"):
        PointIn.model_validate({"lon": 116.4, "lat": 39.9})


@pytest.mark.parametrize(
    "lon, lat, coordsys",
    [
        (180.1, 0, "wgs84"),
        (39.9, 116.4, "gcj02"),  # swapped
        (12_957_000, 4_852_000, "wgs84"),  # metres
        (float("nan"), 0, "wgs84"),
        (float("inf"), 0, "wgs84"),
        (116.4, 39.9, "cgcs2000"),
        (116.4, 39.9, ""),
    ],
)
def test_points_that_are_refused(lon: float, lat: float, coordsys: str) -> None:
    with pytest.raises(ValidationError):
        PointIn.model_validate({"lon": lon, "lat": lat, "coordsys": coordsys})


def test_a_point_travels_in_the_system_of_the_phone() -> None:
    sent = PointIn(lon=116.404, lat=39.915, coordsys=CoordSys.BD09)
    stored = sent.wgs84()
    assert distance_m(*stored, 116.404, 39.915) > 1_000
    shown = PointOut.of(*stored, CoordSys.BD09)
    assert shown.model_dump(mode="json") == {"lon": 116.404, "lat": 39.915, "coordsys": "bd09"}
    assert to_wgs84(116.404, 39.915, CoordSys.WGS84) == (116.404, 39.915)
