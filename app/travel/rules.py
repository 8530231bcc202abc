"""How long the way from door to door takes, in seconds: learned medians, else by distance.

Pure; what has been learned is handed in. Hours are local ones of the org unit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import asin, cos, pi, sin, sqrt
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.core.geo import EARTH_RADIUS_M, distance_m
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.grids.rules import GridKind

ALL_DAY = -1
"""Stands for the hour where a median is of all hours together."""

_DEGREE = pi / 180
_HALF_DEGREE = pi / 360

DETOUR = Parameter(
    name="travel.detour",
    default=1.35,
    unit="times",
    words=Words(zh="路程与直线距离之比", en="How much longer a way is than the straight line"),
    least=1.0,
    most=5.0,
)
GETTING_THERE = Parameter(
    name="travel.least_seconds",
    default=120,
    unit="s",
    words=Words(
        zh="每段路途的固定时间（取车、停车、上楼）",
        en="What every way takes besides: to the car, parking, up the stairs",
    ),
    most=3_600,
)
UNKNOWN = Parameter(
    name="travel.unknown_seconds",
    default=900,
    unit="s",
    words=Words(
        zh="无坐标时按多长路途计", en="How long a way counts as when an end of it has no point"
    ),
    most=14_400,
)
SPEED: dict[GridKind, Parameter] = {
    kind: Parameter(
        name=f"travel.speed_kmh.{kind.value}",
        default=speed,
        unit="km/h",
        words=Words(zh=f"{zh}网格内外的行驶速度", en=f"Speed of travel from or to {en}"),
        least=1,
        most=120,
    )
    for kind, speed, zh, en in (
        (GridKind.COMPOUND, 18, "小区", "a compound"),
        (GridKind.VILLAGE, 32, "村庄", "a village"),
        (GridKind.BUSINESS_BUILDING, 15, "商务楼宇", "a business building"),
        (GridKind.STREET, 20, "街道", "a street"),
    )
}


class Place(NamedTuple):
    """Where a way begins or ends, in WGS-84 degrees, with the grid it lies in if any."""

    lon: float
    lat: float
    grid_id: UUID | None = None
    kind: GridKind | None = None


@dataclass(frozen=True, slots=True)
class Travel:
    """What is known of ways; `learned` holds median seconds by grids (from, to) and local hour.

    Speeds are in metres per second; of a way's two ends the slower counts.
    """

    detour: float = 1.35
    least: int = 120
    unknown: int = 900
    speeds: Mapping[GridKind, float] = field(
        default_factory=lambda: {kind: each.default / 3.6 for kind, each in SPEED.items()}
    )
    learned: Mapping[tuple[UUID, UUID, int], int] = field(default_factory=dict)

    def seconds(self, start: Place | None, end: Place | None, hour: int = ALL_DAY) -> int:
        """How long the way takes: nothing to where one is, `unknown` where there is no point.

        Learned for that hour, else for all hours, else by distance. Within one grid what was
        learned is of other doors than these, so the distance decides between doors that are near.
        """
        if start is None or end is None:
            return self.unknown
        if start.lon == end.lon and start.lat == end.lat:
            return 0
        if self.learned and start.grid_id is not None and end.grid_id is not None:
            known = self.learned.get((start.grid_id, end.grid_id, hour))
            if known is None:
                known = self.learned.get((start.grid_id, end.grid_id, ALL_DAY))
            if known is not None and start.grid_id != end.grid_id:
                return known
        # What `distance_m` says, written out: an arriving order asks for dozens of ways.
        north, east = end.lat - start.lat, end.lon - start.lon
        chord = sin(north * _HALF_DEGREE) ** 2
        chord += cos(start.lat * _DEGREE) * cos(end.lat * _DEGREE) * sin(east * _HALF_DEGREE) ** 2
        metres = 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))
        return self.least + int(metres * self.detour / self.speed(start, end))

    def speed(self, start: Place, end: Place) -> float:
        """Metres per second between two places."""
        if start.kind is None or start.kind is end.kind:
            return self.speeds[end.kind or GridKind.STREET]
        if end.kind is None:
            return self.speeds[start.kind]
        return min(self.speeds[start.kind], self.speeds[end.kind])

    def matrix(self, places: Sequence[Place | None]) -> NDArray[np.int32]:
        """Seconds from each place to each other at no particular hour, shape (P, P), row to column.

        It says what `seconds` says.
        """
        count = len(places)
        known = [place or Place(0.0, 0.0) for place in places]
        lon = np.array([place.lon for place in known], np.float64)
        lat = np.array([place.lat for place in known], np.float64)
        street = self.speeds[GridKind.STREET]
        speed = np.array(
            [np.inf if place.kind is None else self.speeds[place.kind] for place in known]
        )
        both = np.minimum(speed[:, None], speed[None, :])
        both[np.isinf(both)] = street
        metres = distance_m(lon[:, None], lat[:, None], lon[None, :], lat[None, :])
        seconds = self.least + (metres * self.detour / both).astype(np.int64)
        if self.learned:
            rows: dict[UUID, list[int]] = {}
            for row, place in enumerate(known):
                if place.grid_id is not None:
                    rows.setdefault(place.grid_id, []).append(row)
            for (start, end, hour), median in self.learned.items():
                if hour == ALL_DAY and start != end and start in rows and end in rows:
                    seconds[np.ix_(rows[start], rows[end])] = median
        same = (lon[:, None] == lon[None, :]) & (lat[:, None] == lat[None, :])
        seconds[same] = 0
        nowhere = np.array([place is None for place in places], bool)
        seconds[nowhere, :] = seconds[:, nowhere] = self.unknown
        seconds[np.arange(count), np.arange(count)] = 0
        return np.ascontiguousarray(seconds, np.int32)
