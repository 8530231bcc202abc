"""The map in force as arrays in memory: finds the grids of many points in one go.

Pure: shapes, codes and lists in, grids of points out. An index never changes, so that any number
of requests may ask one at a time, from any thread; `locating.py` keeps the present one at hand.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple
from uuid import UUID

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from app.core.geo import Floats
from app.grids.rules import (
    Cover,
    GridKind,
    ListKind,
    Lists,
    Where,
    district_of,
    metres_per_degree,
    settle,
)

Whole = NDArray[np.int64]
Truths = NDArray[np.bool_]

NOWHERE = -1
# Distances that count as near, of which an index keeps the tree.
MOST_TREES = 8


class Territory(NamedTuple):
    """A grid as those who place orders need it; `org_path` is the path of its org unit.

    Of ground that is only planned the kind is not known.
    """

    id: UUID
    code: str
    org_unit_id: UUID
    org_path: str
    kind: GridKind | None = None

    def within(self, org_path: str) -> bool:
        """Tell whether it belongs to an org unit's part of the organisation."""
        return self.org_path.startswith(org_path)


class Drawn(NamedTuple):
    """A grid's boundary made ready for comparing: its area and its border, in WGS-84 degrees."""

    grid_id: UUID
    area: Any
    border: Any


class ListLine(NamedTuple):
    """A line of a grid's list of addresses; see `GridListEntry`."""

    grid_id: UUID
    kind: str
    district: str
    name: str
    building: str


def drawn(grid_ids: Sequence[UUID], wkbs: Sequence[bytes]) -> list[Drawn]:
    """Make boundaries ready for comparing; some 50 microseconds of work for each."""
    areas = np.asarray(shapely.from_wkb(np.array(wkbs, dtype=object)))
    borders = shapely.boundary(areas)
    shapely.prepare(areas)
    shapely.prepare(borders)
    # What GEOS puts off to the first question is done now: two threads must not ask it at once.
    inside = shapely.point_on_surface(areas)
    shapely.intersects_xy(areas, shapely.get_x(inside), shapely.get_y(inside))
    shapely.dwithin(borders, inside, 1e-4)
    return [Drawn(*one) for one in zip(grid_ids, areas, borders, strict=True)]


class Located(NamedTuple):
    """Where a point lies: its grid, if any, and whether a border is so near that it is in doubt.

    `listed` says that a grid's list of addresses decided, and then no border leaves a doubt;
    `drawn_grid_id` is the grid whose polygon the rule would have chosen.
    """

    grid_id: UUID | None
    near_border: bool
    listed: bool = False
    drawn_grid_id: UUID | None = None

    def facts(self) -> dict[str, Any]:
        """Say what an order's history should tell of how its grid was found."""
        facts: dict[str, Any] = {"grid_id": str(self.grid_id)}
        if self.near_border:
            facts["near_border"] = True
        if self.listed:
            facts["listed"] = True
        return facts


@dataclass(frozen=True, slots=True)
class Found:
    """Where points lie, as arrays in their order; grids are places in `territories`, or NOWHERE."""

    territories: Sequence[Territory]
    ids: Sequence[UUID | None]  # of the territories, and None at the end, where NOWHERE points
    grid: Whole
    drawn: Whole
    near_border: Truths
    listed: Truths

    def places(self) -> list[Located]:
        """Tell it point by point."""
        ids = self.ids
        return [
            Located(ids[grid], near, listed, ids[by_polygon])
            for grid, near, listed, by_polygon in zip(
                self.grid.tolist(),
                self.near_border.tolist(),
                self.listed.tolist(),
                self.drawn.tolist(),
                strict=True,
            )
        ]


@dataclass(frozen=True, slots=True)
class _Claim(Cover):
    place: int


class GridIndex:
    """The grids of one edition of the map. See `locating.py` for how to come by one."""

    def __init__(
        self,
        edition: UUID,
        territories: Iterable[Territory],
        shapes: Mapping[UUID, Drawn],
        lines: Mapping[UUID, ListLine],
    ) -> None:
        self.edition = edition
        self.territories = tuple(territories)
        self.shapes = shapes
        self.lines = lines
        self._ids = (*(one.id for one in self.territories), None)
        self._place = {one.id: place for place, one in enumerate(self.territories)}
        self._district = [district_of(one.org_path) for one in self.territories]
        self._areas = np.array([one.area for one in shapes.values()], dtype=object)
        self._borders = np.array([one.border for one in shapes.values()], dtype=object)
        self._owner = np.array(
            [self._place[one.grid_id] for one in shapes.values()], dtype=np.int64
        )
        self._trees: dict[float, shapely.STRtree] = {}
        self.lists = Lists(
            (
                ListKind(line.kind),
                line.district,
                line.name,
                line.building,
                self._place[line.grid_id],
            )
            for line in lines.values()
        )

    def find(self, grid_id: UUID) -> Territory | None:
        """Give a grid by its id; None for one that is not on this map."""
        place = self._place.get(grid_id)
        return None if place is None else self.territories[place]

    def territory(self, grid_id: UUID) -> Territory:
        """Give a grid that points were found in. Raises KeyError for one not on this map."""
        return self.territories[self._place[grid_id]]

    def locate(
        self,
        lons: ArrayLike | Sequence[float | None],
        lats: ArrayLike | Sequence[float | None],
        *,
        near_m: float,
        where: Sequence[Where | None] | None = None,
    ) -> Found:
        """Find the grid of each point; WGS-84 degrees, answers in order.

        A point of None or NaN lies nowhere. Where several polygons cover a point, on a border or in
        an overlap, `rules.settle` decides; the border of any grid within `near_m` metres leaves a
        doubt. `where` tells of each point the address there, if it is known: a grid that lists it
        has it, whatever the polygons say, and then no border leaves a doubt.
        """
        x, y = np.array(lons, dtype=float), np.array(lats, dtype=float)
        by_polygon = np.full(len(x), NOWHERE, dtype=np.int64)
        near = np.zeros(len(x), dtype=bool)
        somewhere = np.flatnonzero(np.isfinite(x) & np.isfinite(y))
        if len(somewhere) and len(self._areas):
            points = _Points.at(x[somewhere], y[somewhere], near_m)
            met, boundary = self._tree(near_m).query(points.places)
            # Boundary by boundary, so that each is at hand for all its points.
            order = np.argsort(boundary, kind="stable")
            met, boundary = met[order], boundary[order]
            self._cover(points, met, boundary, somewhere, by_polygon)
            near[somewhere[self._near(points, met, boundary)]] = True
        grid, listed = by_polygon, np.zeros(len(x), dtype=bool)
        if where is not None and self.lists:
            grid = by_polygon.copy()
            for n, place in self._listed(where, by_polygon):
                grid[n], listed[n], near[n] = place, True, False
        return Found(self.territories, self._ids, grid, by_polygon, near, listed)

    def _tree(self, near_m: float) -> shapely.STRtree:
        """Give the tree of the boxes within which a boundary has, or is near, a point."""
        tree = self._trees.get(near_m)
        if tree is None:
            west, south, east, north = shapely.bounds(self._areas).T
            # "Near" in degrees, as seen from where they are the shortest, and a hair more.
            far = near_m * 1.000001
            dy = far / metres_per_degree(0.0)[1]
            polar = np.minimum(np.maximum(abs(south), abs(north)) + dy, 90.0)
            dx = far / metres_per_degree(polar)[0]
            tree = shapely.STRtree(shapely.box(west - dx, south - dy, east + dx, north + dy))
            tree.query(_HERE)  # what GEOS puts off is done now, see `drawn`
            if len(self._trees) >= MOST_TREES:
                self._trees = {}
            self._trees[near_m] = tree
        return tree

    def _cover(
        self, points: "_Points", met: Whole, boundary: Whole, somewhere: Whole, into: Whole
    ) -> None:
        """Write down which grid's polygon has each point."""
        covers = shapely.intersects_xy(self._areas[boundary], points.lons[met], points.lats[met])
        met, boundary = met[covers], boundary[covers]
        into[somewhere[met]] = self._owner[boundary]
        contested = np.flatnonzero(np.bincount(met)[met] > 1 if len(met) else covers[:0])
        if not len(contested):
            return
        contested = contested[np.argsort(met[contested], kind="stable")]
        met, boundary = met[contested], boundary[contested]
        depths = points.metres_to(self._borders, met, boundary).tolist()
        owners = self._owner[boundary].tolist()
        claims = (
            (n, _Claim(self.territories[place].code, False, depth, place))
            for n, place, depth in zip(met.tolist(), owners, depths, strict=True)
        )
        for n, rivals in groupby(claims, key=itemgetter(0)):
            chosen = settle(claim for _, claim in rivals)
            if chosen is not None:
                into[somewhere[n]] = chosen.place

    def _near(self, points: "_Points", met: Whole, boundary: Whole) -> Whole:
        """Tell which points a border is near, some of them more than once.

        Plain degrees bound a distance from both sides; the exact one in metres is worked out only
        where the bounds disagree.
        """
        places, borders = points.places, self._borders
        may = _dwithin(borders[boundary], places[met], points.most_degrees[met])
        met, boundary = met[may], boundary[may]
        sure = _dwithin(borders[boundary], places[met], points.least_degrees[met])
        doubtful = ~sure
        exact = points.metres_to(borders, met[doubtful], boundary[doubtful])
        sure[doubtful] = exact <= points.near_m
        near: Whole = met[sure]
        return near

    def _listed(
        self, where: Sequence[Where | None], by_polygon: Whole
    ) -> Iterator[tuple[int, int]]:
        for n, (address, place) in enumerate(zip(where, by_polygon.tolist(), strict=True)):
            if address is None:
                continue
            drawn_district = "" if place == NOWHERE else self._district[place]
            listed = self.lists.grid_of(address, drawn_district)
            if listed is not None:
                yield n, listed


@dataclass(frozen=True, slots=True)
class _Points:
    """Points with the metres in a degree at each, and how far "near" is there in degrees."""

    lons: Floats
    lats: Floats
    near_m: float
    places: Any
    east: Floats
    north: Floats

    @classmethod
    def at(cls, lons: Floats, lats: Floats, near_m: float) -> "_Points":
        return cls(lons, lats, near_m, shapely.points(lons, lats), *metres_per_degree(lats))

    @property
    def most_degrees(self) -> Floats:
        return np.asarray(self.near_m / np.minimum(self.east, self.north))

    @property
    def least_degrees(self) -> Floats:
        return np.asarray(self.near_m / np.maximum(self.east, self.north))

    def metres_to(self, borders: Any, met: Whole, boundary: Whole) -> Floats:
        """Measure from each point to a border, in the plane of the point's metres per degree."""
        moved = borders[boundary]
        corners, n = shapely.get_coordinates(moved, return_index=True)
        at = met[n]
        corners[:, 0] = (corners[:, 0] - self.lons[at]) * self.east[at]
        corners[:, 1] = (corners[:, 1] - self.lats[at]) * self.north[at]
        # Other geometries are made of the moved corners; the borders themselves stay.
        return np.asarray(shapely.distance(shapely.set_coordinates(moved.copy(), corners), _HERE))


_HERE = shapely.Point(0, 0)
_dwithin: Any = shapely.dwithin  # its types know of one distance only, it takes an array of them
