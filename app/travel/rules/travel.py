"""How long the way from door to door takes, in seconds: by what was learned, else by distance.

Pure; what has been learned is handed in. Hours are local ones of the org unit. A way is looked up
on a ladder, and the first rung that knows something says it:

1. the median pace between the two grids at that hour;
2. the same at any hour, or what a routing engine says of the roads until that is learned, times how
   much that hour differs from others in the org unit;
3. the distance at the speeds of the areas, times how much longer ways of the org unit took at that
   hour than this, else at any hour, else of the unit above it;
4. the distance at the speeds of the areas.

What is learned of a pair is a pace, seconds for each metre of the straight line, and no duration:
between neighbouring grids the doors decide how far it is, and within one grid all the more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import asin, cos, pi, sin, sqrt
from typing import NamedTuple
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from app.core.geo import EARTH_RADIUS_M, distance_m
from app.grids.rules import GridKind
from app.travel.rules.learned import ALL_DAY, NOTHING, SLOTS, Learned
from app.travel.rules.parameters import SPEED

_DEGREE = pi / 180
_HALF_DEGREE = pi / 360

AS_EXPECTED = (1.0,) * SLOTS
"""Ratios of an org unit of which nothing was learned."""


class Place(NamedTuple):
    """Where a way begins or ends, in WGS-84 degrees, with the grid it lies in if any."""

    lon: float
    lat: float
    grid_id: UUID | None = None
    kind: GridKind | None = None

    @staticmethod
    def of(
        lon: float | None, lat: float | None, grid_id: UUID | None, kind: str | None
    ) -> "Place | None":
        """Make a place of what a row says of it; None where there is no point."""
        if lon is None or lat is None:
            return None
        return Place(lon, lat, grid_id, _KINDS[kind] if kind else None)


_KINDS = {kind.value: kind for kind in GridKind}


@dataclass(frozen=True, slots=True)
class Travel:
    """What is known of ways.

    Speeds are in metres per second; of a way's two ends the slower counts. `ratios` say how much
    longer ways of the org unit take than by these, at any hour and then by hour.
    """

    detour: float = 1.35
    least: int = 120
    unknown: int = 900
    speeds: Mapping[GridKind, float] = field(
        default_factory=lambda: {kind: each.default / 3.6 for kind, each in SPEED.items()}
    )
    learned: Learned = NOTHING
    ratios: Sequence[float] = AS_EXPECTED

    def seconds(self, start: Place | None, end: Place | None, hour: int = ALL_DAY) -> int:
        """How long the way takes: nothing to where one is, `unknown` where there is no point."""
        if start is None or end is None:
            return self.unknown
        if start.lon == end.lon and start.lat == end.lat:
            return 0
        # What `distance_m` says, written out: an arriving order asks for dozens of ways.
        north, east = end.lat - start.lat, end.lon - start.lon
        chord = sin(north * _HALF_DEGREE) ** 2
        chord += cos(start.lat * _DEGREE) * cos(end.lat * _DEGREE) * sin(east * _HALF_DEGREE) ** 2
        metres = 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))
        pace = None
        if self.learned.grids:
            pace = self.learned.pace(start.grid_id, end.grid_id, hour, self._swing(hour))
        if pace is None:
            pace = self.detour / self.speed(start, end) * self.ratios[hour + 1]
        return self.least + int(metres * pace)

    def by_distance(self, start: Place | None, end: Place | None) -> int:
        """How long the way would take if nothing had been learned."""
        if start is None or end is None:
            return self.unknown
        if start.lon == end.lon and start.lat == end.lat:
            return 0
        metres = distance_m(start.lon, start.lat, end.lon, end.lat)
        return self.least + int(metres * (self.detour / self.speed(start, end)))

    def speed(self, start: Place, end: Place) -> float:
        """Metres per second between two places, before anything is learned."""
        if start.kind is None or start.kind is end.kind:
            return self.speeds[end.kind or GridKind.STREET]
        if end.kind is None:
            return self.speeds[start.kind]
        return min(self.speeds[start.kind], self.speeds[end.kind])

    def matrix(self, places: Sequence[Place | None], hour: int = ALL_DAY) -> NDArray[np.int32]:
        """Seconds from each place to each other, shape (P, P), row to column.

        It says what `seconds` says; the way from a place to itself is nothing.
        """
        known = [place or Place(0.0, 0.0) for place in places]
        lon = np.array([place.lon for place in known], np.float64)
        lat = np.array([place.lat for place in known], np.float64)
        metres = distance_m(lon[:, None], lat[:, None], lon[None, :], lat[None, :])
        seconds = self.least + (metres * self._paces(known, hour)).astype(np.int64)
        seconds[(lon[:, None] == lon[None, :]) & (lat[:, None] == lat[None, :])] = 0
        nowhere = np.array([place is None for place in places], bool)
        seconds[nowhere, :] = seconds[:, nowhere] = self.unknown
        np.fill_diagonal(seconds, 0)
        return np.ascontiguousarray(seconds, np.int32)

    def _swing(self, hour: int) -> float:
        return self.ratios[hour + 1] / self.ratios[0] if hour != ALL_DAY else 1.0

    def _paces(self, places: Sequence[Place], hour: int) -> NDArray[np.float64]:
        """Seconds a metre from each place to each other.

        Places of one grid and kind are alike in it, so each kind of them is looked up once.
        """
        kinds: dict[tuple[UUID | None, GridKind | None], int] = {}
        rows = np.array(
            [kinds.setdefault((place.grid_id, place.kind), len(kinds)) for place in places], np.intp
        )
        speed = np.array([np.inf if kind is None else self.speeds[kind] for _, kind in kinds])
        both = np.minimum(speed[:, None], speed[None, :])
        both[np.isinf(both)] = self.speeds[GridKind.STREET]
        paces = self.detour / both * self.ratios[hour + 1]
        if len(self.learned):
            learned = self.learned.table([grid for grid, _ in kinds], hour, self._swing(hour))
            paces = np.where(np.isnan(learned), paces, learned)
        return np.asarray(paces[rows[:, None], rows[None, :]], np.float64)
