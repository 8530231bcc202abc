"""A list wins over polygons, and among lists the narrowest line."""

import pytest

from app.grids.rules import ListKind, Lists, Where, district_of

NS, FT = "gd.sz.ns.", "gd.sz.ft."
PREFIX, BUILDING, COMPOUND = ListKind.PREFIX, ListKind.BUILDING, ListKind.COMPOUND


def address(standard=None, locality=None, building=None, district=NS):
    return Where(district, standard, locality, building)


LINES = [
    (COMPOUND, NS, "碧波园", "", 1),
    (BUILDING, NS, "碧波园", "3栋", 2),
    (PREFIX, NS, "澄湖市南浦区碧波路1", "", 3),
    (PREFIX, NS, "澄湖市南浦区碧波路18号碧波园", "", 4),
    (PREFIX, NS, "澄湖市南浦区碧波路18号碧波园3栋2单元", "", 5),
    (COMPOUND, FT, "海棠里", "", 6),
    (COMPOUND, "gd.sz.", "海棠里", "", 7),
]


@pytest.mark.parametrize(
    "where, grid",
    [
        (address(locality="碧波园"), 1),
        (address(locality=" 碧波 园 "), 1),
        (address(locality="碧波园", building="3栋"), 2),
        (address(locality="碧波园", building="3 栋"), 2),
        (address(locality="碧波园", building="4栋"), 1),
        (address("澄湖市南浦区碧波路18号碧波园4栋101室", "碧波园", "4栋"), 4),
        (address("澄湖市 南浦区 碧波路18号 碧波园 3栋 2单元 1203室", "碧波园", "3栋"), 5),
        # A prefix does not end inside a number: 路1 speaks for 路1号 and not for 路18号.
        (address("澄湖市南浦区碧波路1号"), 3),
        (address("澄湖市南浦区碧波路1"), 3),
        (address("澄湖市南浦区碧波路18号"), None),
        (address("澄湖市南浦区碧波路18号", "碧波园"), 1),
        (address("澄湖市"), None),
        (address(), None),
        (address(locality="碧波"), None),
        # Names come again elsewhere: each district has its own, then those of units above it.
        (address(locality="碧波园", district=FT), None),
        (address(locality="海棠里", district=FT), 6),
        (address(locality="海棠里", district=NS), 7),
        (address(locality="海棠里", district="gd.gz.th."), None),
    ],
)
def test_the_narrowest_line_speaks(where, grid):
    assert Lists(LINES).grid_of(where, "") == grid
    assert Lists(LINES[::-1]).grid_of(where, "") == grid


@pytest.mark.parametrize(
    "district, drawn, grid",
    [
        ("gd.sz.", FT, 6),
        ("gd.sz.", NS, 7),
        ("", FT, 6),
        ("", "", None),
        ("gd.sz.", "", 7),
        ("gd.gz.", FT, None),  # drawn in another city than the one it is said to be in
        (NS, FT, 7),
    ],
)
def test_above_the_districts_that_of_the_grid_drawn_there_stands_in(district, drawn, grid):
    assert Lists(LINES).grid_of(address(locality="海棠里", district=district), drawn) == grid


@pytest.mark.parametrize(
    "path, district",
    [("gd.sz.ns.b01.c1.", NS), (NS, NS), ("gd.sz.", "gd.sz."), ("east.", "east."), ("", "")],
)
def test_the_district_of_an_org_unit(path, district):
    assert district_of(path) == district


@pytest.mark.parametrize(
    "path, speak",
    [("gd.sz.ft.b01.", True), ("gd.sz.", True), ("gd.", True), ("gd.sz.ba.", True), ("hn.", False)],
)
def test_where_any_line_may_speak(path, speak):
    assert Lists(LINES).speak_within(path) is speak
    assert Lists([]).speak_within(path) is False
