"""The geometry of redrawing: nothing is lost or doubled, whatever is drawn over a grid."""

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from shapely import LineString, MultiPolygon, Point, box

from app.core.db import new_id
from app.grids.index import GridIndex, Territory, drawn
from app.grids.layers.shapes import area_m2, multipolygon, shapes_of
from app.territory.rules import redraw
from tests.make.redraw import EAST, MIDDLE, NORTH, SIDE, SOUTH, WEST

WHOLE = MultiPolygon([box(WEST, SOUTH, EAST, NORTH)])
NEXT = MultiPolygon([box(EAST, SOUTH, EAST + SIDE, NORTH)])
# A horseshoe that opens to the east: a line from north to south cuts off two ends at once.
HORSESHOE = multipolygon(WHOLE - box(MIDDLE, SOUTH + SIDE / 3, EAST, NORTH - SIDE / 3))


def area(*shapes):
    return float(area_m2(shapes_of(shapes)).sum())


def vertical(lon, *more):
    return LineString([(lon, SOUTH - 0.001), (lon, NORTH + 0.001), *more])


# --- lines ----------------------------------------------------------------------------------------


def test_one_new_part_gets_all_that_the_line_cuts_off():
    stays, goes = redraw.split_by_line(
        HORSESHOE, vertical(MIDDLE + 0.001), keep=None, new=[None], grid="A"
    )
    assert (len(stays.geoms), len(goes.geoms)) == (1, 2)
    assert area(stays, goes) == pytest.approx(area(HORSESHOE), abs=0.01)


def test_of_several_new_parts_each_names_its_piece_and_the_rest_stays():
    north_end = Point(EAST - 0.001, NORTH - 0.001)
    stays, goes = redraw.split_by_line(
        HORSESHOE, vertical(MIDDLE + 0.001), keep=None, new=[north_end], grid="A"
    )
    assert goes.contains(north_end)
    assert stays.contains(Point(EAST - 0.001, SOUTH + 0.001))


@pytest.mark.parametrize(
    "line",
    [
        LineString([(MIDDLE, SOUTH - 0.001), (MIDDLE, NORTH - 0.001)]),  # ends inside
        LineString([(WEST - 0.002, SOUTH), (WEST - 0.001, NORTH)]),  # beside it
        LineString([(WEST, SOUTH), (EAST, SOUTH)]),  # along the border
    ],
)
def test_a_line_that_does_not_cut_is_refused(line):
    with pytest.raises(redraw.LineDoesNotCut):
        redraw.split_by_line(WHOLE, line, keep=None, new=[None], grid="A")


@pytest.mark.parametrize(
    "new",
    [
        [None, None],
        [Point(WEST + 0.001, SOUTH + 0.001), None],
        [Point(WEST + 0.001, SOUTH + 0.001), Point(WEST + 0.002, SOUTH + 0.001)],
        [Point(EAST - 0.001, SOUTH + 0.001)],  # it is the largest, and stays
    ],
)
def test_parts_that_cannot_be_told_apart_are_refused(new):
    with pytest.raises(redraw.PartsUnclear):
        redraw.split_by_line(WHOLE, vertical(WEST + 0.003), keep=None, new=new, grid="A")


def test_a_new_border_moves_across_a_street_too():
    across = MultiPolygon([box(EAST + 0.0003, SOUTH, EAST + SIDE, NORTH)])
    left, right = redraw.new_border(WHOLE, across, vertical(EAST - 0.002), grid="A")
    assert left.bounds[2] == pytest.approx(EAST - 0.002)
    assert right.contains(Point(EAST - 0.001, MIDDLE - WEST + SOUTH))
    assert area(left, right) == pytest.approx(area(WHOLE, across), abs=0.01)


def test_a_piece_that_the_new_border_does_not_touch_stays():
    island = box(WEST - 0.01, SOUTH, WEST - 0.008, NORTH)
    left, right = redraw.new_border(
        MultiPolygon([*WHOLE.geoms, island]), NEXT, vertical(EAST - 0.002), grid="A"
    )
    assert left.contains(island.centroid)
    assert not right.intersects(island)


@pytest.mark.parametrize("lon", [WEST - 0.001, EAST + SIDE + 0.001])
def test_a_border_that_parts_nothing_is_refused(lon):
    with pytest.raises(redraw.LineDoesNotCut):
        redraw.new_border(WHOLE, NEXT, vertical(lon), grid="A")


# --- shapes ---------------------------------------------------------------------------------------


def test_ground_drawn_twice_goes_to_the_first():
    first = MultiPolygon([box(WEST, SOUTH, MIDDLE, NORTH)])
    second = MultiPolygon([box(MIDDLE - 0.001, SOUTH, EAST - 0.001, NORTH)])
    parts = redraw.split_by_shapes(WHOLE, [first, second], sliver_m2=0)
    assert area(*parts) == pytest.approx(area(WHOLE), abs=0.01)
    assert parts[1].equals(first)
    assert area(shapely.intersection(parts[1], parts[2])) == 0


def test_a_scrap_left_along_the_border_goes_with_its_neighbour():
    # A metre short of the common border, by hand.
    strip = MultiPolygon([box(EAST - 0.002, SOUTH - 0.001, EAST - 1e-5, NORTH + 0.001)])
    for sliver, pieces in ((100, 2), (2000, 1)):
        left, right = redraw.move_area(WHOLE, NEXT, strip, sliver_m2=sliver, grid="A")
        assert len(left.geoms) == pieces
        assert area(left, right) == pytest.approx(area(WHOLE, NEXT), abs=0.01)


def test_a_small_piece_that_was_there_before_stays():
    island = box(EAST + 0.02, SOUTH, EAST + 0.02001, SOUTH + 1e-5)
    grid = MultiPolygon([*WHOLE.geoms, island])
    left, _ = redraw.move_area(
        grid, NEXT, MultiPolygon([box(MIDDLE, SOUTH, EAST, NORTH)]), sliver_m2=100, grid="A"
    )
    assert left.contains(island.centroid)


def test_an_area_elsewhere_moves_nothing():
    with pytest.raises(redraw.NothingMoves):
        redraw.move_area(WHOLE, NEXT, NEXT, sliver_m2=100, grid="A")


# --- properties -----------------------------------------------------------------------------------

shares = st.floats(-0.2, 1.2, allow_nan=False)
points = st.tuples(shares, shares).map(
    lambda share: (WEST + SIDE * share[0], SOUTH + SIDE * share[1])
)
lines = st.lists(points, min_size=2, max_size=6, unique=True).map(LineString)
blobs = (
    st.lists(points, min_size=4, max_size=7, unique=True)
    .map(lambda known: shapely.MultiPoint(known).convex_hull)
    .filter(lambda hull: hull.geom_type == "Polygon" and hull.area > 1e-9)
    .map(multipolygon)
)


def index_of(*shapes):
    """An index of grids with these shapes, by place."""
    ids = [new_id() for _ in shapes]
    unit = new_id()
    grids = [Territory(id, f"G{n}", unit, "gd.") for n, id in enumerate(ids)]
    made = drawn(ids, shapely.to_wkb(shapes_of(shapes)).tolist())
    return GridIndex(new_id(), grids, dict(zip(ids, made, strict=True)), {})


def located(known, *shapes):
    """In which of the shapes points lie, -1 for none; and how many of them cover each."""
    lons, lats = [lon for lon, _ in known], [lat for _, lat in known]
    covers = [shapely.intersects_xy(shape, lons, lats) for shape in shapes]
    return index_of(*shapes).locate(lons, lats, near_m=0).grid, np.sum(covers, axis=0)


@settings(max_examples=60, deadline=None)
@given(grid=st.sampled_from([WHOLE, HORSESHOE]), line=lines, known=st.lists(points, min_size=1))
def test_locate_is_stable_under_a_split_by_a_line_and_a_merge(grid, line, known):
    try:
        parts = redraw.split_by_line(grid, line, keep=None, new=[None], grid="A")
    except redraw.LineDoesNotCut:
        assume(False)
    stable(grid, parts, known)


@settings(max_examples=60, deadline=None)
@given(shapes=st.lists(blobs, min_size=1, max_size=3), known=st.lists(points, min_size=1))
def test_locate_is_stable_under_a_split_along_shapes_and_a_merge(shapes, known):
    stable(WHOLE, redraw.split_by_shapes(WHOLE, shapes, sliver_m2=100), known)


def stable(grid, parts, known):
    """A point inside is in exactly one part, and merging them again changes nothing."""
    parts = [part for part in parts if not part.is_empty]
    edges = shapely.union_all([grid.boundary, *(part.boundary for part in parts)])
    known = [point for point in known if edges.distance(Point(point)) > 1e-9]
    before, _ = located(known, grid)
    after, covers = located(known, *parts)
    assert ((after >= 0) == (before >= 0)).all()
    assert (covers == (before >= 0)).all()
    again, _ = located(known, redraw.joined(parts))
    assert (again == before).all()
    assert area(*parts) == pytest.approx(area(grid), abs=0.05)


@settings(max_examples=60, deadline=None)
@given(area_drawn=blobs, known=st.lists(points, min_size=1))
def test_a_border_that_moves_loses_nothing_between_two_grids(area_drawn, known):
    try:
        left, right = redraw.move_area(WHOLE, NEXT, area_drawn, sliver_m2=100, grid="A")
    except redraw.NothingMoves:
        assume(False)
    shapes = [shape for shape in (left, right) if not shape.is_empty]
    edges = shapely.union_all([WHOLE.boundary, NEXT.boundary, *(one.boundary for one in shapes)])
    known = [point for point in known if edges.distance(Point(point)) > 1e-9]
    before, _ = located(known, WHOLE, NEXT)
    after, covers = located(known, *shapes)
    assert ((after >= 0) == (before >= 0)).all()
    assert (covers == (before >= 0)).all()
