"""Why a command is refused: each reason has a name, its facts, and no trace is left."""

import pytest
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.grids.models import Grid, GridChange
from app.territory.rules.drawing import LIMITS
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.grids import make_grid
from tests.make.redraw import (
    ACROSS,
    EAST,
    MIDDLE,
    NORTH,
    SIDE,
    SOUTH,
    WEST,
    Supervisor,
    command,
    line,
    part,
    seen,
    square,
)

SHORT = line((MIDDLE, SOUTH + 0.001), (MIDDLE, NORTH + 0.001))
FAR = square(WEST + 1, EAST + 1)


def commands(land):
    """A command by the name of what it is refused for, and what is said of it."""
    return {
        "line-does-not-cut": command("split", land.a, line=SHORT, parts=[part("A2")]),
        "parts-unclear": command("split", land.a, line=ACROSS, parts=[part("A2"), part("A3")]),
        "no-ground-left": command(
            "move_border", land.a, neighbour=seen(land.b), area=square(WEST - 0.1, EAST + 0.1)
        ),
        "no-ground-moves": command("move_border", land.a, neighbour=seen(land.b), area=FAR),
        "same-grid-twice": command("merge", land.a, others=[seen(land.b), seen(land.b)]),
        "grid-code-taken": command("split", land.a, line=ACROSS, parts=[part("B")]),
        "boundary-refused": command("reshape", land.a, boundary=square(SOUTH, NORTH, WEST, EAST)),
    }


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("line-does-not-cut", "Draw both ends of the line beyond the border of A."),
        ("parts-unclear", "The line cuts 2 pieces, and 2 new grids are asked for: name"),
        ("no-ground-left", "A would have less than 1.0 m2: to end it, merge or retire it."),
        ("no-ground-moves", "What was drawn does not meet A; check the place"),
        ("same-grid-twice", "Name each grid and each new code once."),
        ("grid-code-taken", "Choose other codes for the new grids: B."),
        ("boundary-refused", "Mend boundary and send again: (28.91, 112.61) has an unlikely"),
    ],
)
async def test_a_refusal_says_why_and_changes_nothing(land, name, words):
    body = commands(land)[name]
    problem = await land.supervisor.refused(body)
    assert problem["type"] == f"urn:yingwei:problem:{name}"
    assert problem["detail"].startswith(words)
    previewed = (await land.supervisor.post(body, preview=True)).json()
    assert previewed["detail"] == problem["detail"]
    assert (await land.tx.scalars(select(GridChange))).all() == []
    versions = await land.tx.scalars(select(Grid.version))
    assert set(versions) == {1}


async def test_findings_say_where_in_the_request(land):
    open_ring = square(WEST, MIDDLE)
    open_ring["coordinates"][0].pop()
    body = command("split", land.a, parts=[part("A2", boundary=open_ring)])
    problem = await land.supervisor.refused(body)
    (finding,) = problem["facts"]["findings"]
    assert finding["code"] == "ring-open"
    assert finding["path"] == "/parts/0/boundary/coordinates/0"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"kind": "reform"}, ""),
        ({"reason": " "}, "reason"),
        ({"coordsys": None}, "coordsys"),
        ({"colour": "red"}, "colour"),
        ({"line": None}, ""),
        ({"parts": []}, "parts"),
        ({"line": {"type": "LineString", "coordinates": [[112.6, 28.9]]}}, "line"),
        ({"line": {"type": "LineString", "coordinates": [[1e9, 0], [1, 1]]}}, "line"),
    ],
)
async def test_what_is_not_a_command_is_invalid(land, change, field):
    body = {**command("split", land.a, line=ACROSS, parts=[part("A2")]), **change}
    problem = await land.supervisor.refused(body)
    assert problem["status"] == 422
    assert any(field in error["field"] for error in problem["facts"]["errors"])


async def test_a_boundary_of_too_many_vertices_is_too_large(land):
    ring = [[WEST + n * 1e-8, SOUTH] for n in range(LIMITS.vertices)]
    shape = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    answer = await land.supervisor.post(command("reshape", land.a, boundary=shape))
    assert answer.status_code == 413


async def test_whoever_has_not_seen_the_latest_is_told_who_changed_what(land):
    await land.supervisor.make(command("reshape", land.a, boundary=square(WEST, MIDDLE)))
    problem = await land.supervisor.refused(command("retire", land.a))
    assert problem["type"] == "urn:yingwei:problem:grid-changed-meanwhile"
    assert problem["detail"] == (
        "A is at version 2 now (reshape by li-banzhang at 2026-03-02 01:00 UTC: 新楼交付); "
        "look again and preview anew."
    )
    assert problem["facts"]["version"] == 2


async def test_a_retired_grid_is_redrawn_no_more(land):
    await land.supervisor.make(command("merge", land.a, others=[seen(land.b)]))
    body = command("reshape", land.b, boundary=square(EAST, EAST + SIDE))
    problem = await land.supervisor.refused(body)
    assert problem["type"] == "urn:yingwei:problem:grid-retired"
    assert "merge by li-banzhang" in problem["detail"]
    body["grid"]["version"] = 2
    assert (await land.supervisor.refused(body))["type"].endswith(":grid-retired")


async def test_a_grid_without_a_boundary_is_drawn_first(land):
    bare = Grid(id=new_id(), org_unit_id=land.branch.id, code="C", name="C", kind=land.a.kind)
    land.tx.add(bare)
    await land.tx.flush()
    problem = await land.supervisor.refused(command("merge", land.a, others=[seen(bare)]))
    assert problem["type"].endswith(":grid-without-ground")
    far = square(EAST + 2 * SIDE, EAST + 3 * SIDE)
    told = await land.supervisor.make(command("reshape", bare, boundary=far))
    assert told["told"]["grids"][0]["area_before_m2"] == 0


# --- who may --------------------------------------------------------------------------------------


@pytest.fixture
async def stranger(land, app, http):
    """A supervisor of another branch, and a grid of theirs."""
    branch = await make_org_unit(land.tx, parent=land.district)
    account = await make_account(land.tx, branch, role=Role.SUPERVISOR)
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))
    grid = await make_grid(
        land.tx, org_unit=branch, code="X", lon=EAST + SIDE, lat=SOUTH, side=SIDE
    )
    return Supervisor(http, headers), grid


async def test_the_grids_of_others_are_not_found_by_any_door(land, stranger):
    other, theirs = stranger
    made = await land.supervisor.make(command("reshape", land.a, boundary=square(WEST, MIDDLE)))
    for body in (
        command("reshape", land.a, boundary=square(WEST, EAST)),
        command("split", land.a, line=ACROSS, parts=[part("Y")]),
        command("merge", theirs, others=[seen(land.a)]),
        command("merge", land.a, others=[seen(theirs)]),
        command("move_border", theirs, neighbour=seen(land.a), area=square(WEST, EAST)),
        command("retire", theirs, heir=seen(land.a)),
    ):
        for preview in (True, False):
            answer = await other.post(body, preview=preview)
            assert answer.status_code == 404, answer.text
            assert "li-banzhang" not in answer.text
    for path in (
        f"/grid-changes/{made['id']}",
        f"/grids/{land.a.id}",
        f"/grids/{land.a.id}?at=2026-01-01T00:00:00Z",
        f"/grids/{land.a.id}/boundaries",
    ):
        assert (await other.get(path)).status_code == 404
    for path in ("/grid-changes", f"/grid-changes?grid_id={land.a.id}"):
        assert (await other.read(path))["changes"] == []
    listed = await other.read("/grids?at=2026-01-01T00:00:00Z")
    assert [grid["code"] for grid in listed["grids"]] == ["X"]


async def test_a_change_of_two_branches_belongs_to_their_district(land, stranger, app, http):
    other, theirs = stranger
    account = await make_account(land.tx, land.district, role=Role.SUPERVISOR)
    headers = bearer(app, caller_for(Role.SUPERVISOR, land.district, account_id=account.id))
    above = Supervisor(http, headers)
    made = await above.make(command("merge", land.b, others=[seen(theirs)]))
    assert made["org_unit_id"] == str(land.district.id)
    assert (await above.read(f"/grid-changes/{made['id']}"))["told"] == made["told"]
    for one in (land.supervisor, other):
        assert (await one.get(f"/grid-changes/{made['id']}")).status_code == 404


async def test_a_technician_redraws_nothing(land, app, http):
    caller = caller_for(Role.TECHNICIAN, land.branch)
    answer = await Supervisor(http, bearer(app, caller)).post(command("retire", land.a))
    assert answer.status_code == 403


async def test_an_id_of_somebody_elses_change_is_taken(land, stranger):
    other, theirs = stranger
    body = command("reshape", land.a, boundary=square(WEST, MIDDLE))
    await land.supervisor.make(body)
    problem = await other.refused({**body, "grid": seen(theirs)})
    assert problem["type"].endswith(":same-id-other-content")


# --- the list of changes --------------------------------------------------------------------------


async def test_changes_are_listed_the_latest_first(land, clock):
    first = await land.supervisor.make(command("reshape", land.a, boundary=square(WEST, MIDDLE)))
    second = await land.supervisor.make(
        command("reshape", land.b, boundary=square(EAST, EAST + SIDE / 2))
    )
    page = await land.supervisor.read("/grid-changes?size=1")
    assert [one["id"] for one in page["changes"]] == [second["id"]]
    rest = await land.supervisor.read(f"/grid-changes?page_token={page['next_page_token']}")
    assert [one["id"] for one in rest["changes"]] == [first["id"]]
    of_a = await land.supervisor.read(f"/grid-changes?grid_id={land.a.id}")
    assert [one["id"] for one in of_a["changes"]] == [first["id"]]
