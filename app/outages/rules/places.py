"""The places at which an outage can be, from the narrowest to the widest, and their names."""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words


class PlaceKind(StrEnum):
    """What kind of place has failed, from the narrowest to the widest."""

    PORT = "olt_port"
    OLT = "olt"
    COMPOUND = "compound"
    GRID = "grid"


PLACE_WORDS: dict[PlaceKind, Words] = {
    PlaceKind.PORT: Words(zh="OLT 端口", en="OLT port"),
    PlaceKind.OLT: Words(zh="OLT", en="OLT"),
    PlaceKind.COMPOUND: Words(zh="小区", en="compound"),
    PlaceKind.GRID: Words(zh="网格", en="grid"),
}
NARROWEST_FIRST = {kind: rank for rank, kind in enumerate(PlaceKind)}


class Place(NamedTuple):
    """A place by its kind and key: a port's or an OLT's code, a grid's id, or for a compound the
    path of its district, a bar, and its name without blanks."""

    kind: PlaceKind
    key: str


def olt_of(port: str) -> str:
    """Say of which OLT a port is: all before the first stroke, as in YL-OLT2/3/7."""
    return port.partition("/")[0]


def compound_key(district_path: str, locality: str) -> str:
    """Name a compound: others of the same name lie in other districts."""
    return f"{district_path}|{locality.replace(' ', '')}"


def compound_name(key: str) -> str:
    """Say the name of a compound by its key."""
    return key.rpartition("|")[2]


def places_of(
    *, port: str | None, grid_id: UUID | None, locality: str | None, district_path: str
) -> tuple[Place, ...]:
    """List the places in which a report lies, the narrowest first."""
    places = []
    if port:
        places += [Place(PlaceKind.PORT, port), Place(PlaceKind.OLT, olt_of(port))]
    if locality:
        places.append(Place(PlaceKind.COMPOUND, compound_key(district_path, locality)))
    if grid_id is not None:
        places.append(Place(PlaceKind.GRID, str(grid_id)))
    return tuple(places)


def said(kind: PlaceKind, name: str) -> Words:
    """Name a place in both languages."""
    words = PLACE_WORDS[kind]
    return Words(zh=f"{words.zh} {name}", en=f"{words.en} {name}")


def middle(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """Choose the point (WGS-84 degrees) that lies nearest to the middle of all; None of none.

    One of their own points is a door that somebody can find, which the middle itself need not be.
    """
    if not points:
        return None
    lon = sum(point[0] for point in points) / len(points)
    lat = sum(point[1] for point in points) / len(points)
    return min(points, key=lambda point: ((point[0] - lon) ** 2 + (point[1] - lat) ** 2, point))
