"""Redrawing: from the shapes grids have, and what is drawn over them, to the shapes they get.

Pure geometry in WGS-84 degrees. Ground is cut into faces along all the lines at once, and each face
is given to one grid: so nothing is lost or doubled between the parts, and merging them again gives
the same ground.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, MultiPolygon, Point
from shapely.geometry.base import BaseGeometry

from app.core.errors import Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.grids.layers.shapes import LEAST_M2, Shapes, area_m2, multipolygon, shapes_of

OVERLAP_REFUSED = Parameter(
    name="grids.overlap_refused_m2",
    default=10_000,
    unit="m2",
    words=Words(
        zh="重划网格新增的重叠面积超过多少即拒绝（可确认后放行）",
        en="A change that makes grids overlap by more is refused unless that is accepted",
    ),
)
GAP_WARNED = Parameter(
    name="grids.gap_warned_m2",
    default=10_000,
    unit="m2",
    words=Words(
        zh="重划网格新增的空白面积超过多少即提示",
        en="A change that leaves a larger gap between grids is warned of",
    ),
)
SLIVER = Parameter(
    name="grids.sliver_m2",
    default=100,
    unit="m2",
    words=Words(
        zh="手绘边界留下的碎片小于多少即随相邻部分划走",
        en="A scrap left over by a border drawn by hand goes with its neighbour up to this size",
    ),
    most=100_000,
)


class LineDoesNotCut(Invalid):
    slug = "line-does-not-cut"
    title: ClassVar[Words] = Words(zh="划线没有切开网格", en="The line does not cut the grid")
    advice: ClassVar[Words] = Words(
        zh="请让线的两端都画到网格 {grid} 的边界之外。",
        en="Draw both ends of the line beyond the border of {grid}.",
    )


class PartsUnclear(Invalid):
    slug = "parts-unclear"
    title: ClassVar[Words] = Words(
        zh="划分后的各部分对应不上", en="It is not clear which part is which"
    )
    advice: ClassVar[Words] = Words(
        zh="线把网格切成 {pieces} 块，要分出 {parts} 个新网格：请为每个新网格指出其中一点（at），"
        "并且互不在同一块内。",
        en="The line cuts {pieces} pieces, and {parts} new grids are asked for: name a point "
        "(at) in a piece of its own for each.",
    )


class NothingLeft(Invalid):
    slug = "no-ground-left"
    title: ClassVar[Words] = Words(zh="网格将不剩任何区域", en="A grid would have no ground left")
    advice: ClassVar[Words] = Words(
        zh="网格 {grid} 将不足 {least_m2} 平方米：如要取消它，请改用合并或停用。",
        en="{grid} would have less than {least_m2} m2: to end it, merge or retire it.",
    )


class NothingMoves(Invalid):
    slug = "no-ground-moves"
    title: ClassVar[Words] = Words(zh="没有区域发生变化", en="No ground would change hands")
    advice: ClassVar[Words] = Words(
        zh="所画的区域或边界与网格 {grid} 不相交，请核对位置和坐标系。",
        en="What was drawn does not meet {grid}; check the place and the coordinate system.",
    )


def joined(shapes: Sequence[BaseGeometry]) -> MultiPolygon:
    """Join shapes into one."""
    return multipolygon(shapely.union_all(shapes_of(shapes)))


def split_by_line(
    whole: MultiPolygon,
    line: LineString,
    *,
    keep: Point | None,
    new: Sequence[Point | None],
    grid: str,
) -> list[MultiPolygon]:
    """Cut a grid by a line: first the part that keeps being it, then the new ones, in order.

    The piece that holds `keep` stays, or else the largest. One new grid gets all other pieces;
    of several, each gets the piece its point lies in, and what no point names stays with the old.
    Raises LineDoesNotCut and PartsUnclear.
    """
    pieces = _faces([whole.boundary, line], whole)
    if len(pieces) <= len(whole.geoms):
        raise LineDoesNotCut(grid=grid, errors=[])
    stays = int(np.argmax(area_m2(pieces))) if keep is None else _nearest(pieces, keep)
    owners = np.zeros(len(pieces), dtype=int)
    if len(new) == 1 and new[0] is None:
        owners[:] = 1
    else:
        named = [stays, *(_nearest(pieces, at) for at in new if at is not None)]
        if len(set(named)) <= len(new):
            raise PartsUnclear(pieces=len(pieces), parts=len(new), errors=[])
        owners[named] = range(len(named))
    owners[stays] = 0
    return _gathered(pieces, owners, 1 + len(new))


def split_by_shapes(
    whole: MultiPolygon, drawn: Sequence[MultiPolygon], *, sliver_m2: float
) -> list[MultiPolygon]:
    """Cut a grid along drawn shapes: first what is left of it, then what each of them takes.

    What is drawn outside of the grid takes nothing; ground drawn twice goes to the first that
    takes it. A scrap of less than `sliver_m2` that would be left alone goes with its neighbour.
    """
    pieces = _faces([whole.boundary, *(shape.boundary for shape in drawn)], whole)
    owners = np.zeros(len(pieces), dtype=int)
    for number in range(len(drawn), 0, -1):
        owners[_inside(pieces, drawn[number - 1])] = number
    return _gathered(pieces, _tidied(pieces, owners, sliver_m2), 1 + len(drawn))


def move_area(
    losing: MultiPolygon,
    gaining: MultiPolygon,
    area: MultiPolygon,
    *,
    sliver_m2: float,
    grid: str,
) -> tuple[MultiPolygon, MultiPolygon]:
    """Give what lies in an area from one grid to another; return both with their new shapes.

    Raises NothingMoves when the area does not meet the grid that loses.
    """
    pieces = _faces([losing.boundary, area.boundary], losing)
    owners = _inside(pieces, area).astype(int)
    stays, goes = _gathered(pieces, _tidied(pieces, owners, sliver_m2), 2)
    if _size(goes) < LEAST_M2:
        raise NothingMoves(grid=grid, errors=[])
    return stays, joined([gaining, goes])


def new_border(
    one: MultiPolygon, other: MultiPolygon, line: LineString, *, grid: str
) -> tuple[MultiPolygon, MultiPolygon]:
    """Give two grids a new common border; return both with their new shapes.

    The largest piece of each stays with it; what the line cuts off goes to the other, and what it
    does not touch stays where it was. Raises LineDoesNotCut when the line does not part them.
    """
    both = joined([one, other])
    pieces = _faces([both.boundary, line], both)
    of_one = area_m2(shapely.intersection(pieces, one))
    of_other = area_m2(shapely.intersection(pieces, other))
    heart, other_heart = int(np.argmax(of_one)), int(np.argmax(of_other))
    if heart == other_heart:
        raise LineDoesNotCut(grid=grid, errors=[])
    touched = shapely.distance(pieces, line) < _HAIR
    owners = np.where((of_other > of_one) ^ touched, 1, 0)
    owners[heart], owners[other_heart] = 0, 1
    stays, goes = _gathered(pieces, owners, 2)
    return stays, goes


# A hair in degrees (a tenth of a millimetre): what is this near touches.
_HAIR = 1e-9


def _faces(lines: Sequence[BaseGeometry], within: MultiPolygon) -> Shapes:
    """Cut the ground of a shape along lines into pieces that meet in the very same vertices."""
    noded = shapely.union_all(shapes_of(lines))
    pieces = shapely.get_parts(shapely.polygonize([noded]))
    return np.asarray(pieces[_inside(pieces, within)])


def _inside(pieces: Shapes, shape: MultiPolygon) -> NDArray[np.bool_]:
    shapely.prepare(shape)
    return np.asarray(shapely.contains_properly(shape, shapely.point_on_surface(pieces)))


def _nearest(pieces: Shapes, point: Point) -> int:
    return int(np.argmin(shapely.distance(pieces, point)))


def _gathered(pieces: Shapes, owners: NDArray[np.int_], count: int) -> list[MultiPolygon]:
    return [joined(list(pieces[owners == owner])) for owner in range(count)]


def _tidied(pieces: Shapes, owners: NDArray[np.int_], sliver_m2: float) -> NDArray[np.int_]:
    """Let scraps that touch nothing of their owner's go with the neighbour they touch longest.

    What is drawn by hand along a border never meets it exactly.
    """
    tidied = owners.copy()
    tree = shapely.STRtree(pieces)
    for at in np.flatnonzero(area_m2(pieces) < sliver_m2):
        beside = tree.query(pieces[at], predicate="touches")
        lengths = shapely.length(shapely.intersection(pieces[beside], pieces[at]))
        shared = np.bincount(owners[beside], lengths, minlength=1)
        if shared.any() and not shared[owners[at] : owners[at] + 1].any():
            tidied[at] = int(np.argmax(shared))
    return tidied


def _size(shape: MultiPolygon) -> float:
    return float(area_m2(shapes_of([shape]))[0])
