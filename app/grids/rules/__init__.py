"""Grids' words, and the fixed rule that decides between grids that cover the same point."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar, overload

import numpy as np

from app.auth.rules import district_of as district_of
from app.core.geo import Floats
from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters

NEAR_BORDER = Parameter(
    name="grids.near_border_m",
    default=15,
    unit="m",
    words=Words(
        zh="离网格边界多近的点标记为「临界」",
        en="How close to a border a point is marked as near it",
    ),
    most=1000,
)


REPAIR_LIMIT = Parameter(
    name="grids.repair_limit_percent",
    default=0.1,
    unit="%",
    words=Words(
        zh="导入时自动修复最多可改变的网格面积；超过须确认接受修复",
        en="How much of its area an import's repair may change before it has to be accepted",
    ),
    most=100,
)
# Slivers are normal in published layers; an office may have them told only from some size on.
OVERLAP_REPORTED = Parameter(
    name="grids.overlap_reported_m2",
    default=1,
    unit="m2",
    words=Words(
        zh="两个网格重叠面积超过多少才列入覆盖检查",
        en="Overlaps of grids are reported when they are larger",
    ),
)
GAP_REPORTED = Parameter(
    name="grids.gap_reported_m2",
    default=1,
    unit="m2",
    words=Words(
        zh="网格之间空白面积超过多少才列入覆盖检查",
        en="Gaps between grids are reported when they are larger",
    ),
)


def reported(parameters: Parameters, at: datetime, org_path: str) -> dict[str, float]:
    """Give the sizes from which on `layers.coverage` reports, for an org unit at a moment."""
    return {
        "overlap_m2": parameters.number(OVERLAP_REPORTED, at, org_path),
        "gap_m2": parameters.number(GAP_REPORTED, at, org_path),
    }


class ImportMode(StrEnum):
    """What an import does with grids of the org unit that are not in the file."""

    MERGE = "merge"
    REPLACE = "replace"


class GridKind(StrEnum):
    """What a grid mostly consists of."""

    COMPOUND = "compound"
    VILLAGE = "village"
    BUSINESS_BUILDING = "business_building"
    STREET = "street"


class GridStage(StrEnum):
    """How far a grid has grown, from empty to contracted."""

    NONE = "none"
    PILOT = "pilot"
    COVERED = "covered"
    CONTRACTED = "contracted"


class ChangeKind(StrEnum):
    """What was done to grids in one command; each is a `GridChange`."""

    IMPORT = "import"
    RESHAPE = "reshape"
    SPLIT = "split"
    MERGE = "merge"
    MOVE_BORDER = "move_border"
    RETIRE = "retire"
    LIST = "list"


class ListKind(StrEnum):
    """What a line of a grid's own list of addresses names, from the narrowest to the widest."""

    PREFIX = "prefix"
    BUILDING = "building"
    COMPOUND = "compound"


class ExpansionFigure(StrEnum):
    """A figure of the road map by which grids grow (网格扩展)."""

    COVERED_CUSTOMERS = "covered_customers"
    COVERED_SHARE = "covered_share"
    COVERED_GRIDS = "covered_grids"
    CONTRACTED_GRIDS = "contracted_grids"
    BLOCKS = "blocks"


class MembershipKind(StrEnum):
    """How a technician belongs to a grid."""

    PRIMARY = "primary"
    BACKUP = "backup"
    LOAN = "loan"


@dataclass(frozen=True, slots=True)
class Cover:
    """A grid that covers a point: how it claims it and how far inside its border the point lies.

    `listed` is true when the grid's own list of buildings names the address; `border_m` is the
    distance in metres to the nearest border of the grid's polygon, 0 on the border itself, as
    measured with the point's `metres_per_degree`.
    """

    code: str
    listed: bool
    border_m: float


C = TypeVar("C", bound=Cover)


def settle(covers: Iterable[C]) -> C | None:
    """Choose the grid of a point that several cover; the same covers always give the same grid.

    A list of buildings was written on purpose, so it comes before a drawn polygon; then the grid
    the point lies deepest in; then the lower code by code point. Depths are compared in whole
    centimetres, so that a rounding error on a shared border cannot decide.
    """
    return min(
        covers,
        key=lambda cover: (not cover.listed, -round(cover.border_m * 100), cover.code),
        default=None,
    )


# WGS-84: semi-major axis in m and squared eccentricity.
_A = 6378137.0
_E2 = 0.0066943799901413165


@overload
def metres_per_degree(lat: float) -> tuple[float, float]: ...
@overload
def metres_per_degree(lat: Floats) -> tuple[Floats, Floats]: ...
def metres_per_degree(lat: Any) -> tuple[Any, Any]:
    """Give the metres in a degree of longitude and in one of latitude, at a WGS-84 latitude.

    The radii of curvature of the ellipsoid (J. P. Snyder, Map Projections: A Working Manual, USGS
    PP 1395, eq. 4-18 to 4-20). Borders are straight in degrees (RFC 7946, 3.1.1), so in a plane
    of these scales a point's distance to a border is right to a millionth at 15 m and to a
    thousandth at some kilometres. A degree of longitude is never less than a metre, not even at
    a pole. A number gives numbers, an array arrays.
    """
    one = isinstance(lat, (int, float))
    m: Any = math if one else np
    phi = m.radians(lat)
    w2 = 1 - _E2 * m.sin(phi) ** 2
    a_degree = math.radians(_A) / m.sqrt(w2)
    east = a_degree * m.cos(phi)
    return max(east, 1.0) if one else np.maximum(east, 1.0), a_degree * (1 - _E2) / w2


# --- lists of addresses ---------------------------------------------------------------------------


class Where(NamedTuple):
    """An address as grids' lists see it.

    `district_path` is that of the org unit whose address it is (see `district_of`). Where that is
    only known to lie above the districts, the district of the grid that is drawn there stands in.
    """

    district_path: str
    standard_address: str | None
    locality: str | None
    building: str | None


def unspaced(words: str | None) -> str:
    """Write a name as lists compare it: without blanks, which people set as they please."""
    return (words or "").replace(" ", "")


class Lists:
    """The lines of all grids' lists that are in force, made ready to be asked.

    Each line is (kind, district, name, building, grid), its names `unspaced`.
    """

    def __init__(self, lines: Iterable[tuple[ListKind, str, str, str, int]]) -> None:
        self._lines: dict[str, dict[tuple[ListKind, str, str], int]] = {}
        lengths: dict[str, set[int]] = {}
        for kind, district, name, building, grid in lines:
            self._lines.setdefault(district, {})[kind, name, building] = grid
            if kind is ListKind.PREFIX:
                lengths.setdefault(district, set()).add(len(name))
        self._lengths = {
            district: sorted(known, reverse=True) for district, known in lengths.items()
        }

    def __bool__(self) -> bool:
        return bool(self._lines)

    def speak_within(self, org_path: str) -> bool:
        """Tell whether any line may speak for addresses of an org unit or of those beneath it."""
        own = district_of(org_path)
        return any(district.startswith(own) or own.startswith(district) for district in self._lines)

    def grid_of(self, address: Where, drawn_district: str) -> int | None:
        """Find the grid that lists an address; the narrowest line speaks.

        The longest prefix comes first, then a building, then a compound; those of the district
        come before those of units above it. `drawn_district` is the district of the grid that is
        drawn there, or empty.
        """
        district = address.district_path
        if drawn_district.startswith(district):
            district = drawn_district
        while district:
            lines = self._lines.get(district)
            if lines is not None:
                grid = _speaks(lines, self._lengths.get(district, ()), address)
                if grid is not None:
                    return grid
            district = district[: district.rfind(".", 0, -1) + 1]
        return None


def _speaks(
    lines: Mapping[tuple[ListKind, str, str], int], lengths: Iterable[int], address: Where
) -> int | None:
    standard = unspaced(address.standard_address)
    for length in lengths:
        if not _ends_at(standard, length):
            continue
        grid = lines.get((ListKind.PREFIX, standard[:length], ""))
        if grid is not None:
            return grid
    compound, building = unspaced(address.locality), unspaced(address.building)
    if building:
        grid = lines.get((ListKind.BUILDING, compound, building))
        if grid is not None:
            return grid
    return lines.get((ListKind.COMPOUND, compound, ""))


def _ends_at(words: str, length: int) -> bool:
    """Tell whether so much of an address can be a prefix: "幸福路3" is none of "幸福路30号"."""
    if len(words) < length:
        return False
    return not (words[length - 1 : length].isdigit() and words[length : length + 1].isdigit())
