"""Coordinates: the three systems met in China, distances, and areas on the ellipsoid.

Everything is kept in WGS-84 degrees, longitude first. GPS gives WGS-84; Chinese maps and phones
give GCJ-02, up to 730 m away; Baidu gives BD-09, up to 1,520 m away. A point of unknown system may
lie in the wrong grid, so every point on the wire declares its system.
"""

import math
from collections.abc import Callable
from enum import StrEnum
from types import ModuleType
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field

Floats = NDArray[np.float64]


class CoordSys(StrEnum):
    """The coordinate system a longitude and latitude are given in."""

    WGS84 = "wgs84"
    GCJ02 = "gcj02"
    BD09 = "bd09"


# The rectangle outside which no map provider shifts points (eviltransform's `outOfChina`).
WEST, SOUTH, EAST, NORTH = 72.004, 0.8293, 137.8347, 55.8271

# GCJ-02 was defined on the Krasovsky 1940 ellipsoid: semi-major axis in m, squared eccentricity.
_KRASOVSKY_A = 6378245.0
_KRASOVSKY_E2 = 0.00669342162296594323

_BD_ANGLE = math.pi * 3000 / 180


def _wgs84_to_gcj02(lon: Any, lat: Any, m: ModuleType) -> tuple[Any, Any]:
    """Shift WGS-84 to GCJ-02, without asking where the point is (github googollee/eviltransform).

    `m` is `math` for one point or `numpy` for many: numpy's functions cost fifty times more on a
    single number.
    """
    x, y, pi = lon - 105.0, lat - 35.0, math.pi
    root = m.sqrt(m.fabs(x))
    ripple = 20 * m.sin(6 * pi * x) + 20 * m.sin(2 * pi * x)
    north = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * root
    north += (ripple + 20 * m.sin(pi * y) + 40 * m.sin(pi / 3 * y)) * 2 / 3
    north += (160 * m.sin(pi / 12 * y) + 320 * m.sin(pi / 30 * y)) * 2 / 3
    east = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * root
    east += (ripple + 20 * m.sin(pi * x) + 40 * m.sin(pi / 3 * x)) * 2 / 3
    east += (150 * m.sin(pi / 12 * x) + 300 * m.sin(pi / 30 * x)) * 2 / 3
    # Metres to degrees by the ellipsoid's radii of curvature at this latitude.
    phi = lat * (pi / 180)
    w2 = 1 - _KRASOVSKY_E2 * m.sin(phi) ** 2
    w = m.sqrt(w2)
    east_radius = _KRASOVSKY_A / w * m.cos(phi)
    north_radius = _KRASOVSKY_A * (1 - _KRASOVSKY_E2) / (w2 * w)
    return lon + east * (180 / pi) / east_radius, lat + north * (180 / pi) / north_radius


def _wgs84_to_bd09(lon: Any, lat: Any, m: ModuleType) -> tuple[Any, Any]:
    """Shift WGS-84 to BD-09, which is a second shift on top of GCJ-02 (github hujiulong/gcoord)."""
    x, y = _wgs84_to_gcj02(lon, lat, m)
    z = m.sqrt(x * x + y * y) + 0.00002 * m.sin(y * _BD_ANGLE)
    # The angle of (x, y); both are positive inside the rectangle, so atan will do for atan2.
    atan = m.arctan if m is np else m.atan
    theta = atan(y / x) + 0.000003 * m.cos(x * _BD_ANGLE)
    return z * m.cos(theta) + 0.0065, z * m.sin(theta) + 0.006


# How each system is reached from WGS-84; its mean shift in degrees, which starts the way back; and
# how many steps the way back takes. A step shrinks the error at least 65 times: after these it is
# below 0.01 mm everywhere in the rectangle.
_Shift = Callable[[Any, Any, ModuleType], tuple[Any, Any]]
_SHIFTS: dict[CoordSys, tuple[_Shift, float, float, int]] = {
    CoordSys.GCJ02: (_wgs84_to_gcj02, 0.004, 0.0, 4),
    CoordSys.BD09: (_wgs84_to_bd09, 0.0105, 0.006, 5),
}


def _unshift(lon: Any, lat: Any, coordsys: CoordSys, m: ModuleType) -> tuple[Any, Any]:
    """Invert a shift: look where the guess would land, move it by what is missing, repeat."""
    shift, east, north, steps = _SHIFTS[coordsys]
    x, y = lon - east, lat - north
    for _ in range(steps):
        landed_x, landed_y = shift(x, y, m)
        x, y = x + (lon - landed_x), y + (lat - landed_y)
    return x, y


def _inside(lon: Any, lat: Any, margin: float = 0.0) -> Any:
    return (
        (lon >= WEST - margin)
        & (lon <= EAST + margin)
        & (lat >= SOUTH - margin)
        & (lat <= NORTH + margin)
    )


# No shift is longer than this, in degrees; farther from the rectangle nothing needs computing.
_REACH = 0.05
# A point on the rim itself comes back a rounding error (1e-13 degree) to either side of it.
_HAIR = 1e-10


@overload
def to_wgs84(lon: float, lat: float, coordsys: CoordSys) -> tuple[float, float]: ...
@overload
def to_wgs84(lon: ArrayLike, lat: ArrayLike, coordsys: CoordSys) -> tuple[Floats, Floats]: ...
def to_wgs84(lon: Any, lat: Any, coordsys: CoordSys) -> tuple[Any, Any]:
    """Convert degrees in `coordsys` to WGS-84 degrees; numbers give numbers, arrays give arrays.

    A point is unshifted when its WGS-84 place is inside the rectangle of China, so that whatever
    `from_wgs84` shifted comes back to within 0.01 mm, the rim included. Where a shift carries a
    point over the rim onto a place that stands for itself (up to 1.5 km outside, at sea or abroad),
    one reading has to give way, and the shifted one wins. Values that are not finite stay as given.
    """
    if coordsys is CoordSys.WGS84:
        return _as_given(lon, lat)
    if isinstance(lon, (int, float)) and isinstance(lat, (int, float)):
        if _inside(lon, lat, _REACH):
            back = _unshift(lon, lat, coordsys, math)
            if _inside(*back, _HAIR):
                return back
        return float(lon), float(lat)
    x, y = _copies(lon, lat)
    near = _inside(x, y, _REACH)
    back_x, back_y = _unshift(x[near], y[near], coordsys, np)
    ours = _inside(back_x, back_y, _HAIR)
    x[near] = np.where(ours, back_x, x[near])
    y[near] = np.where(ours, back_y, y[near])
    return x, y


@overload
def from_wgs84(lon: float, lat: float, coordsys: CoordSys) -> tuple[float, float]: ...
@overload
def from_wgs84(lon: ArrayLike, lat: ArrayLike, coordsys: CoordSys) -> tuple[Floats, Floats]: ...
def from_wgs84(lon: Any, lat: Any, coordsys: CoordSys) -> tuple[Any, Any]:
    """Convert WGS-84 degrees to degrees in `coordsys`; numbers give numbers, arrays give arrays.

    Points outside the rectangle of China are not shifted, in either system.
    """
    if coordsys is CoordSys.WGS84:
        return _as_given(lon, lat)
    shift = _SHIFTS[coordsys][0]
    if isinstance(lon, (int, float)) and isinstance(lat, (int, float)):
        return shift(lon, lat, math) if _inside(lon, lat) else (float(lon), float(lat))
    x, y = _copies(lon, lat)
    ours = _inside(x, y)
    x[ours], y[ours] = shift(x[ours], y[ours], np)
    return x, y


def _as_given(lon: Any, lat: Any) -> tuple[Any, Any]:
    if isinstance(lon, (int, float)) and isinstance(lat, (int, float)):
        return float(lon), float(lat)
    return _copies(lon, lat)


def _copies(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    x, y = np.broadcast_arrays(np.asarray(lon, dtype=float), np.asarray(lat, dtype=float))
    return x.copy(), y.copy()


# The Earth's mean radius in m (IUGG 1980: (2a + b) / 3 of GRS 80).
EARTH_RADIUS_M = 6371008.8


@overload
def distance_m(lon1: float, lat1: float, lon2: float, lat2: float) -> float: ...
@overload
def distance_m(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> Floats: ...
def distance_m(lon1: Any, lat1: Any, lon2: Any, lat2: Any) -> Any:
    """Great-circle distance in metres between WGS-84 degrees, by the haversine formula.

    R. W. Sinnott, "Virtues of the Haversine", Sky and Telescope 68 (1984) 159. On a sphere of the
    mean radius it is within 0.6 % of the geodesic: half a metre at a hundred. Numbers give a
    number, arrays an array.
    """
    one = all(isinstance(value, (int, float)) for value in (lon1, lat1, lon2, lat2))
    m: Any = math if one else np
    phi1, phi2 = m.radians(lat1), m.radians(lat2)
    half_phi, half_lambda = (phi2 - phi1) / 2, (m.radians(lon2) - m.radians(lon1)) / 2
    h = m.sin(half_phi) ** 2 + m.cos(phi1) * m.cos(phi2) * m.sin(half_lambda) ** 2
    # At the antipode rounding can lift h a hair above 1.
    h = min(1.0, h) if one else np.minimum(1.0, h)
    return 2 * EARTH_RADIUS_M * (math.asin(math.sqrt(h)) if one else np.arcsin(np.sqrt(h)))


# WGS-84: semi-major axis in m, squared eccentricity and eccentricity.
_WGS_A = 6378137.0
_WGS_E2 = 0.0066943799901413165
_WGS_E = math.sqrt(_WGS_E2)


def _equal_area_y(lat: Floats) -> Floats:
    sine = np.sin(np.radians(lat))
    tail = sine / (1 - _WGS_E2 * sine**2) + np.arctanh(_WGS_E * sine) / _WGS_E
    return np.asarray(_WGS_A / 2 * (1 - _WGS_E2) * tail)


def edge_area_m2(lon1: Floats, lat1: Floats, lon2: Floats, lat2: Floats) -> Floats:
    """Signed area in m2 between each edge and the equator; a closed ring's edges add up to its own.

    Edges are straight in longitude and latitude, as RFC 7946 (3.1.1) has them, in WGS-84 degrees;
    a counter-clockwise ring comes out negative. The cylindrical equal-area projection of the
    ellipsoid (J. P. Snyder, Map Projections: A Working Manual, USGS PP 1395, eq. 3-12 and 10-14)
    keeps areas exactly; Simpson's rule follows the edge through it, which is right to 1e-9 of the
    area for edges of up to 1 degree, and to 0.001 m2 for slivers along edges of 0.1 degree.
    """
    y1, y2 = _equal_area_y(lat1), _equal_area_y(lat2)
    middle = _equal_area_y((lat1 + lat2) / 2)
    return np.asarray(_WGS_A * np.radians(lon2 - lon1) * (y1 + 4 * middle + y2) / 6)


# The Earth as web Mercator has it: a sphere of the semi-major axis; and where its square ends.
_MERCATOR_R = 6378137.0
MERCATOR_EDGE_M = math.pi * _MERCATOR_R
_MERCATOR_LAT = math.degrees(math.atan(math.sinh(math.pi)))


def to_mercator(lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats]:
    """Project degrees to metres of web Mercator (EPSG:3857); beyond its square, to its edge."""
    x, y = _copies(lon, lat)
    phi = np.radians(np.clip(y, -_MERCATOR_LAT, _MERCATOR_LAT))
    return np.radians(x) * _MERCATOR_R, np.arcsinh(np.tan(phi)) * _MERCATOR_R


def from_mercator(x: ArrayLike, y: ArrayLike) -> tuple[Floats, Floats]:
    """Bring metres of web Mercator (EPSG:3857) back to degrees."""
    east, north = _copies(x, y)
    return (
        np.degrees(east / _MERCATOR_R),
        np.degrees(np.arctan(np.sinh(north / _MERCATOR_R))),
    )


class PointIn(BaseModel):
    """A place as a client sends it; a point that does not declare its system is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    lon: float = Field(ge=-180, le=180, description="Longitude in degrees, in `coordsys`.")
    lat: float = Field(ge=-90, le=90, description="Latitude in degrees, in `coordsys`.")
    coordsys: CoordSys = Field(
        description="wgs84 from GPS, gcj02 from Chinese maps and phones, bd09 from Baidu."
    )

    def wgs84(self) -> tuple[float, float]:
        """Longitude and latitude in WGS-84 degrees, as they are stored."""
        return to_wgs84(self.lon, self.lat, self.coordsys)


class PointOut(BaseModel):
    """A place as a client receives it, in the coordinate system it asked for."""

    model_config = ConfigDict(frozen=True)

    lon: float = Field(ge=-180, le=180, description="Longitude in degrees, in `coordsys`.")
    lat: float = Field(ge=-90, le=90, description="Latitude in degrees, in `coordsys`.")
    coordsys: CoordSys = Field(description="The coordinate system of `lon` and `lat`.")

    @classmethod
    def of(cls, lon: float, lat: float, coordsys: CoordSys) -> Self:
        """Take a stored point in WGS-84 degrees; the answer is rounded to 1e-8 degree (1 mm)."""
        x, y = from_wgs84(lon, lat, coordsys)
        return cls(lon=round(x, 8), lat=round(y, 8), coordsys=coordsys)
