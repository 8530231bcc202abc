"""Redrawing grids over HTTP: what each command does, and what its preview had said."""

import pytest
from sqlalchemy import select

from app.core import parameter_values
from app.grids import locating
from app.grids.boundaries import LOOKED
from app.grids.models import Grid, GridBoundary
from app.workorders import queries as workorders
from tests.make.auth import make_org_unit
from tests.make.counting import counted
from tests.make.grids import make_grid
from tests.make.redraw import (
    ACROSS,
    EAST,
    MIDDLE,
    NORTH,
    SIDE,
    SOUTH,
    WEST,
    command,
    line,
    part,
    seen,
    square,
)

# A square of a hundredth of a degree here, in m2 on the ellipsoid.
WHOLE = pytest.approx(1_080_942, abs=1)
HALF = pytest.approx(540_471, abs=1)


def grounds(told):
    """What becomes of each grid, by code, and what it gains and loses."""
    return {
        one["code"]: (one["becomes"], round(one["gained_m2"]), round(one["lost_m2"]))
        for one in told["grids"]
    }


async def both(land, body):
    """Preview a command and carry it out: the figures are the same."""
    told = await land.supervisor.preview(body)
    made = await land.supervisor.make(body)
    assert made["told"] == {name: told[name] for name in made["told"]}
    return told, made


async def places(land, *points):
    """The codes of the grids at points, as anybody is told."""
    sent = [{"lon": lon, "lat": lat, "coordsys": "wgs84"} for lon, lat in points]
    answer = await land.supervisor.http.post(
        "/v1/grids/locate", json={"points": sent}, headers=land.supervisor.headers
    )
    return [place["grid_code"] for place in answer.json()["places"]]


IN_A_WEST, IN_A_EAST, IN_B = (
    (WEST + 0.002, SOUTH + 0.005),
    (EAST - 0.002, SOUTH + 0.005),
    (
        EAST + 0.005,
        SOUTH + 0.005,
    ),
)


# --- what each command does -----------------------------------------------------------------------


async def test_reshape_gives_a_new_boundary(land):
    told, made = await both(land, command("reshape", land.a, boundary=square(WEST, MIDDLE)))
    assert grounds(told) == {"A": ("changed", 0, HALF)}
    (gap,) = told["gaps"]
    assert (gap["area_m2"], gap["beside"], gap["beside_elsewhere"]) == (HALF, ["A", "B"], 0)
    assert [one["code"] for one in told["warnings"]] == ["gap"]
    assert await places(land, IN_A_WEST, IN_A_EAST, IN_B) == ["A", None, "B"]
    shown = await land.supervisor.read(f"/grids/{land.a.id}?coordsys=wgs84")
    assert shown["boundary"] == told["shapes"][0]["boundary"]
    assert (made["kind"], made["relocation"]["state"]) == ("reshape", "done")


async def test_reshape_repairs_what_is_drawn_and_says_so(land):
    bow = square(WEST, EAST)
    bow["coordinates"][0][1:3] = bow["coordinates"][0][2:0:-1]
    told, _ = await both(land, command("reshape", land.a, boundary=bow))
    (note,) = told["notes"]
    assert (note["code"], note["path"]) == ("repaired", "/boundary")
    shapes = await land.supervisor.read(f"/grids/{land.a.id}/boundaries")
    assert [one["code"] for one in shapes["boundaries"][0]["notes"]] == ["repaired"]


async def test_a_boundary_is_drawn_in_the_system_it_declares(land):
    drawn = square(WEST, EAST)
    await land.supervisor.make(command("reshape", land.a, boundary=drawn, coordsys="gcj02"))
    shown = await land.supervisor.read(f"/grids/{land.a.id}?coordsys=gcj02")
    corners = shown["boundary"]["coordinates"][0][0]
    for corner in drawn["coordinates"][0]:
        assert any(corner == pytest.approx(other, abs=1e-6) for other in corners)
    assert await places(land, (EAST - 0.001, SOUTH + 0.005)) == [None]  # half a kilometre off


async def test_split_by_a_line_keeps_the_code_for_the_part_that_is_named(land):
    body = command("split", land.a, line=ACROSS, keep=list(IN_A_WEST), parts=[part("A2")])
    told, _ = await both(land, body)
    assert grounds(told) == {"A": ("changed", 0, HALF), "A2": ("new", HALF, 0)}
    assert (told["overlaps"], told["gaps"], told["warnings"]) == ([], [], [])
    assert await places(land, IN_A_WEST, IN_A_EAST) == ["A", "A2"]
    assert body["parts"][0]["id"] == str(await land.id_of("A2"))


async def test_split_by_a_line_keeps_the_code_for_the_largest_part(land):
    cut = line((EAST - 0.003, SOUTH - 0.001), (EAST - 0.003, NORTH + 0.001))
    await both(land, command("split", land.a, line=cut, parts=[part("A2")]))
    assert await places(land, IN_A_WEST, IN_A_EAST) == ["A", "A2"]


async def test_split_by_a_line_into_three(land):
    # In from the south, out in the north, and back: three strips.
    cut = line(
        (WEST + 0.003, SOUTH - 0.001),
        (WEST + 0.003, NORTH + 0.001),
        (WEST + 0.006, NORTH + 0.001),
        (WEST + 0.006, SOUTH - 0.001),
    )
    parts = [
        part("A2", at=[WEST + 0.004, SOUTH + 0.005]),
        part("A3", at=[WEST + 0.001, SOUTH + 0.005]),
    ]
    await both(land, command("split", land.a, line=cut, parts=parts))
    lons = [WEST + 0.001, WEST + 0.004, WEST + 0.008]
    assert await places(land, *((lon, SOUTH + 0.005) for lon in lons)) == ["A3", "A2", "A"]


async def test_split_along_shapes_leaves_the_rest_to_the_old(land):
    # Drawn by hand: a little beyond the border in the west, a little short of it in the south.
    corner = square(WEST - 0.001, MIDDLE, SOUTH + 1e-7, SOUTH + SIDE / 2)
    told, _ = await both(land, command("split", land.a, parts=[part("A2", boundary=corner)]))
    assert await places(land, (WEST + 0.001, SOUTH + 0.001), IN_A_EAST) == ["A2", "A"]
    assert [one["code"] for one in told["warnings"]] == ["outside"]
    assert sum(one["lost_m2"] for one in told["grids"]) == pytest.approx(
        sum(one["gained_m2"] for one in told["grids"]), abs=0.1
    )


async def test_merge_retires_the_others(land):
    body = command("merge", land.a, others=[seen(land.b)])
    told, _ = await both(land, body)
    assert grounds(told) == {"A": ("changed", WHOLE, 0), "B": ("retired", 0, WHOLE)}
    assert (told["overlaps"], told["gaps"], told["warnings"]) == ([], [], [])
    assert await places(land, IN_A_WEST, IN_B) == ["A", "A"]
    listed = await land.supervisor.read("/grids")
    assert [grid["code"] for grid in listed["grids"]] == ["A"]


async def test_merging_grids_that_do_not_touch_warns(land):
    far = await make_grid(land.tx, org_unit=land.branch, code="C", lon=EAST + 2 * SIDE, lat=SOUTH)
    told = await land.supervisor.preview(command("merge", land.a, others=[seen(far)]))
    assert [one["code"] for one in told["warnings"]] == ["in-pieces"]
    assert told["warnings"][0]["en"] == "A would consist of 2 pieces that do not touch"


async def test_move_border_gives_an_area_to_the_neighbour(land):
    # Drawn by hand, a centimetre short of the common border: the scrap goes along.
    area = square(EAST - 0.004, EAST - 1e-7, SOUTH - 0.001, NORTH + 0.001)
    told, _ = await both(land, command("move_border", land.a, neighbour=seen(land.b), area=area))
    moved = pytest.approx(432_377, abs=2)
    assert grounds(told) == {"A": ("changed", 0, moved), "B": ("changed", moved, 0)}
    assert (told["overlaps"], told["gaps"], told["warnings"]) == ([], [], [])
    assert await places(land, IN_A_WEST, IN_A_EAST, IN_B) == ["A", "B", "B"]


async def test_move_border_to_a_new_line_may_go_both_ways(land):
    new = line((EAST - 0.004, SOUTH - 0.001), (EAST + 0.004, NORTH + 0.001))
    told, _ = await both(land, command("move_border", land.a, neighbour=seen(land.b), line=new))
    assert {code: one[0] for code, one in grounds(told).items()} == {"A": "changed", "B": "changed"}
    points = [(EAST - 0.001, SOUTH + 0.001), (EAST + 0.001, NORTH - 0.001)]
    assert await places(land, *points) == ["B", "A"]


async def test_retire_without_an_heir_leaves_a_gap(land):
    told, _ = await both(land, command("retire", land.a))
    assert grounds(told) == {"A": ("retired", 0, WHOLE)}
    assert [(gap["area_m2"], gap["beside"]) for gap in told["gaps"]] == [(WHOLE, ["B"])]
    assert await places(land, IN_A_WEST, IN_B) == [None, "B"]


async def test_retire_with_an_heir_is_like_a_merge(land):
    await both(land, command("retire", land.a, heir=seen(land.b)))
    assert await places(land, IN_A_WEST, IN_B) == ["B", "B"]


# --- overlaps -------------------------------------------------------------------------------------

OVER_B = square(WEST, EAST + SIDE / 2)


async def test_a_large_new_overlap_is_refused_unless_it_is_accepted(land):
    body = command("reshape", land.a, boundary=OVER_B)
    told = await land.supervisor.preview(body)
    assert told["needs_accept_overlap"]
    assert [(one["neighbour_code"], one["area_m2"]) for one in told["overlaps"]] == [("B", HALF)]
    problem = await land.supervisor.refused(body)
    assert problem["type"] == "urn:yingwei:problem:grids-would-overlap"
    assert problem["facts"] == {"area_m2": HALF, "limit_m2": 10_000, "others": ["B"]}
    await land.supervisor.make({**body, "accept_overlap": True})
    assert await places(land, (EAST + 0.001, SOUTH + 0.005)) == ["A"]  # deeper in A


async def test_slivers_are_normal(land):
    told, _ = await both(land, command("reshape", land.a, boundary=square(WEST, EAST + 1e-5)))
    assert [one["area_m2"] for one in told["overlaps"]] == [pytest.approx(1081, abs=1)]
    assert not told["needs_accept_overlap"]


async def test_grids_of_others_are_counted_and_not_named(land):
    elsewhere = await make_org_unit(land.tx, parent=land.district)
    land.b.org_unit_id = elsewhere.id
    await land.tx.flush()
    body = command("reshape", land.a, boundary=OVER_B)
    told = await land.supervisor.preview(body)
    assert told["overlaps"] == []
    assert told["overlaps_elsewhere"] == {"grids": 1, "area_m2": HALF}
    assert (await land.supervisor.refused(body))["facts"]["others"] == ["+1"]
    assert "B" not in str(told["warnings"])


async def test_what_overlaps_already_is_not_new(land):
    await make_grid(land.tx, org_unit=land.branch, code="C", lon=WEST, lat=SOUTH, side=SIDE)
    body = command("split", land.a, line=ACROSS, parts=[part("A2")])
    told, _ = await both(land, body)
    assert (told["overlaps"], told["warnings"]) == ([], [])


# --- versions and repeats -------------------------------------------------------------------------


async def test_the_same_command_again_is_answered_like_the_first(land):
    body = command("split", land.a, line=ACROSS, parts=[part("A2")])
    first = await land.supervisor.make(body)
    assert await land.supervisor.make(body) == first
    assert len((await land.tx.scalars(select(Grid))).all()) == 3
    problem = await land.supervisor.refused({**body, "reason": "another"})
    assert problem["type"].endswith(":same-id-other-content")


async def test_every_redrawing_counts_the_version(land):
    await land.supervisor.make(command("reshape", land.a, boundary=square(WEST, MIDDLE)))
    shown = await land.supervisor.read(f"/grids/{land.a.id}")
    assert shown["version"] == 2
    body = command("merge", land.a, others=[seen(land.b)])
    body["grid"] = seen(land.a, shown["version"])
    await land.supervisor.make(body)
    versions = dict((await land.tx.execute(select(Grid.code, Grid.version))).all())
    assert versions == {"A": 3, "B": 2}


async def test_a_boundary_knows_the_change_that_made_it(land):
    made = await land.supervisor.make(command("reshape", land.a, boundary=square(WEST, MIDDLE)))
    ids = await land.tx.scalars(
        select(GridBoundary.change_id).where(GridBoundary.grid_id == land.a.id)
    )
    assert set(map(str, ids)) == {made["id"], "None"}


async def test_a_grid_made_a_moment_ago_can_be_previewed(land, database):
    """What is only shown may go by a map that is a second old, which does not know the grid."""
    await land.supervisor.preview(command("retire", land.a))
    held = database.cache.get(LOOKED)
    fresh = await make_grid(land.tx, org_unit=land.branch, code="C", lon=EAST, lat=NORTH)
    database.cache[LOOKED] = held
    told = await land.supervisor.preview(command("merge", land.b, others=[seen(fresh)]))
    assert [one["code"] for one in told["grids"]] == ["B", "C"]


# --- what it costs --------------------------------------------------------------------------------


async def test_statements_do_not_grow_with_what_lies_in_it(land, database, monkeypatch):
    # However slow the machine, nothing that was read a moment ago is read again.
    for module in (locating, parameter_values, workorders):
        monkeypatch.setattr(module, "STALE_AFTER_SECONDS", 600.0)
    body = command("split", land.a, line=ACROSS, parts=[part("A2")])
    counts = []
    for _ in range(3):  # the first time, a process reads the map and the parameters
        with counted(database) as statements:
            await land.supervisor.preview(body)
        counts.append(len(statements))
        for n in range(10):
            await land.address(WEST + n * SIDE / 10)
    assert counts[1] == counts[2] <= 8
