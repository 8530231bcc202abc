"""The demo city's ground: sixty grids that touch without gaps or overlaps, and compounds in them.

The city is made up; so that its points can be converted like any in China, it lies on fields near
112.6 E 28.9 N. Everything here is in GCJ-02 degrees, as Chinese maps give it.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import shapely
from shapely.geometry import Point, Polygon

from seed import words
from seed.dice import Dice

LON, LAT = 112.6, 28.9
CELL_M = 900.0
M_PER_LAT = 111_320.0
M_PER_LON = M_PER_LAT * math.cos(math.radians(LAT))

SIDE = 8
CORNERS = {(0, 0), (0, SIDE - 1), (SIDE - 1, 0), (SIDE - 1, SIDE - 1)}
BRANCHES = ("b01", "b02", "b03", "b04")

# Corners of cells stray by so much of a cell, and edges bend by so much: little enough that no
# two edges can meet but where they should.
STRAY, BEND = 0.15, 0.035

Place = tuple[float, float]  # longitude and latitude, GCJ-02 degrees
Node = tuple[int, int]


@dataclass(frozen=True)
class Grid:
    """A grid: its ring is closed and runs counter-clockwise, as RFC 7946 wants it."""

    code: str
    name: str
    branch: str
    ring: tuple[Place, ...]

    @property
    def shape(self) -> Polygon:
        """The grid's area."""
        return Polygon(self.ring)


@dataclass(frozen=True)
class Compound:
    """A residential compound: where it is, and how many households of the city live there."""

    code: str
    name: str
    street: str
    number: int
    grid: str
    branch: str
    place: Place
    households: int


def offset(place: Place, east_m: float, north_m: float) -> Place:
    """Go some metres east and north; good to a percent within the city. Rounded to 1 cm."""
    lon, lat = place
    return round(lon + east_m / M_PER_LON, 7), round(lat + north_m / M_PER_LAT, 7)


def grids(seed: int) -> list[Grid]:
    """Draw the sixty grids: a bent lattice of eight by eight cells without its corners.

    Both sides of a border have the very same points, so nothing can come between them, whatever
    the points are converted to later.
    """
    dice = Dice(seed, "grids")
    nodes = {(i, j): _node(dice, i, j) for i in range(SIDE + 1) for j in range(SIDE + 1)}
    edges: dict[tuple[Node, Node], list[Place]] = {}
    for i, j in nodes:
        for other in ((i + 1, j), (i, j + 1)):
            if other in nodes:
                edges[(i, j), other] = _edge(dice, nodes[i, j], nodes[other])
    names = words.compound_names(Dice(seed, "grid names"))
    found: list[Grid] = []
    for i, j in cells():
        corners = [(i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1), (i, j)]
        ring: list[Place] = [nodes[i, j]]
        for start, end in pairwise(corners):
            between = edges.get((start, end)) or edges[end, start][::-1]
            ring += [*between, nodes[end]]
        number = len(found)
        found.append(
            Grid(
                code=f"NP-{number + 1:02d}",
                name=f"{names[number]}片区",
                branch=BRANCHES[(i >= SIDE // 2) + 2 * (j >= SIDE // 2)],
                ring=tuple(ring),
            )
        )
    return found


def cells() -> Iterator[Node]:
    """Give the cells of the lattice in the order of the grids: eastward, row by row northward."""
    return ((i, j) for j in range(SIDE) for i in range(SIDE) if (i, j) not in CORNERS)


def _node(dice: Dice, i: int, j: int) -> Place:
    x = i - SIDE / 2 + dice.between(-STRAY, STRAY)
    y = j - SIDE / 2 + dice.between(-STRAY, STRAY)
    # A gentle bend of the whole, so that it does not look ruled.
    x, y = x + 0.3 * math.sin(0.6 * y), y + 0.3 * math.sin(0.5 * x)
    return offset((LON, LAT), x * CELL_M, y * CELL_M)


def _edge(dice: Dice, start: Place, end: Place) -> list[Place]:
    """Bend a border at three points, as streets and streams do."""
    between = []
    for share in (0.25, 0.5, 0.75):
        aside = dice.between(-BEND, BEND) * CELL_M
        east = (end[0] - start[0]) * M_PER_LON
        north = (end[1] - start[1]) * M_PER_LAT
        length = math.hypot(east, north)
        between.append(
            offset(
                start,
                east * share - north / length * aside,
                north * share + east / length * aside,
            )
        )
    return between


def layer(found: list[Grid], branch: str) -> bytes:
    """Write a branch's grids as a GeoJSON layer, as a Chinese map would publish it."""
    features = [
        {
            "type": "Feature",
            "properties": {"code": grid.code, "name": grid.name},
            "geometry": {"type": "Polygon", "coordinates": [grid.ring]},
        }
        for grid in found
        if grid.branch == branch
    ]
    document = {"type": "FeatureCollection", "features": features}
    return json.dumps(document, ensure_ascii=False).encode()


def compounds(seed: int, found: list[Grid], households: int) -> list[Compound]:
    """Put two compounds into each grid, 20 to 200 households each, so many in all."""
    dice = Dice(seed, "compounds")
    sizes = _sizes(dice, 2 * len(found), households)
    # The first names are the grids' own; a compound must not be taken for a grid.
    names = words.compound_names(Dice(seed, "grid names"))[len(found) :]
    made: list[Compound] = []
    for grid in found:
        for _ in range(2):
            number = len(made)
            made.append(
                Compound(
                    code=f"{number + 1:03d}",
                    name=names[number],
                    street=dice.pick(words.STREETS),
                    number=dice.whole(1, 260),
                    grid=grid.code,
                    branch=grid.branch,
                    place=inside(dice, grid, margin_m=90),
                    households=sizes[number],
                )
            )
    return made


def _sizes(dice: Dice, number: int, total: int) -> list[int]:
    sizes = [
        dice.whole(90, 200) if dice.chance(0.08) else dice.whole(20, 55) for _ in range(number)
    ]
    missing = total - sum(sizes)
    while missing:
        step = 1 if missing > 0 else -1
        one = dice.whole(0, number - 1)
        if 20 <= sizes[one] + step <= 200:
            sizes[one] += step
            missing -= step
    return sizes


def inside(dice: Dice, grid: Grid, *, margin_m: float) -> Place:
    """Find a place in a grid, at least so many metres from its border."""
    shape = grid.shape
    west, south, east, north = shape.bounds
    # A degree of longitude is the shorter one, so this margin is at least the metres asked for.
    margin = margin_m / M_PER_LON
    while True:
        place = (round(dice.between(west, east), 7), round(dice.between(south, north), 7))
        point = Point(place)
        if shape.contains(point) and shapely.distance(shape.exterior, point) >= margin:
            return place
