"""Years later: which grids there were at a moment, in which shape, and whose they were."""

from datetime import date, timedelta

import pytest

from app.core.db import new_id
from app.grids.models import GridContract
from app.grids.rules import GridStage, MembershipKind
from app.workorders.rules import State
from tests.make.counting import counted
from tests.make.grids import make_membership
from tests.make.redraw import ACROSS, EAST, MIDDLE, SIDE, SOUTH, WEST, command, part, seen, square
from tests.make.technicians import make_technician
from tests.make.workorders import make_work_order


@pytest.fixture
async def story(land, clock):
    """On Monday A is Li's; on Wednesday it is split; on Friday B takes it over and it retires."""
    monday = clock.now()
    li = await make_technician(land.tx, org_unit=land.branch, name="李卫")
    wang = await make_technician(land.tx, org_unit=land.branch, name="王强")
    await make_membership(land.tx, land.a, li)
    await make_membership(land.tx, land.b, wang)
    land.tx.add(GridContract(grid_id=land.a.id, stage=GridStage.PILOT, valid_from=date(2025, 1, 1)))
    await land.tx.flush()
    clock.tick(timedelta(days=2))
    wednesday = clock.now()
    split = await land.supervisor.make(
        command("split", land.a, line=ACROSS, keep=[WEST, SOUTH], parts=[part("A2")])
    )
    clock.tick(timedelta(days=2))
    friday = clock.now()
    body = command("merge", land.b, others=[seen(land.a, 2)])
    merged = await land.supervisor.make(body)
    clock.tick(timedelta(days=700))
    return {
        "monday": monday,
        "wednesday": wednesday,
        "friday": friday,
        "split": split,
        "merged": merged,
    }


def at(moment, path):
    """A path as of a moment."""
    return f"{path}?coordsys=wgs84&at={moment.isoformat().replace('+00:00', 'Z')}"


def east_of(grid):
    """How far east a grid reaches."""
    rings = grid["boundary"]["coordinates"]
    return max(lon for polygon in rings for ring in polygon for lon, _ in ring)


@pytest.mark.parametrize(
    ("when", "hours", "codes"),
    [
        ("monday", 0, ["A", "B"]),
        ("wednesday", -1, ["A", "B"]),
        ("wednesday", 0, ["A", "A2", "B"]),
        ("friday", -1, ["A", "A2", "B"]),
        ("friday", 0, ["A2", "B"]),
        ("monday", -24 * 1000, []),
    ],
)
async def test_the_grids_of_a_moment_are_listed(land, story, when, hours, codes):
    page = await land.supervisor.read(at(story[when] + timedelta(hours=hours), "/grids"))
    assert [grid["code"] for grid in page["grids"]] == codes


async def test_a_grid_that_retired_still_answers_for_then(land, story):
    path = f"/grids/{land.a.id}"
    then = await land.supervisor.read(at(story["monday"], path))
    assert (then["code"], then["stage"], east_of(then)) == ("A", "pilot", pytest.approx(EAST))
    assert [(one["technician_name"], one["kind"]) for one in then["members"]] == [
        ("李卫", "primary")
    ]
    assert (then["shaped_to"], then["change_id"]) == ("2026-03-04T01:00:00Z", None)
    later = await land.supervisor.read(at(story["wednesday"], path))
    assert (east_of(later), later["change_id"]) == (pytest.approx(MIDDLE), story["split"]["id"])
    now = await land.supervisor.read(path)
    assert (now["boundary"], now["members"]) == (None, [])
    assert now["retired_at"] == "2026-03-06T01:00:00Z"
    gone = await land.supervisor.get(at(story["friday"], path))
    assert gone.status_code == 404


async def test_who_looked_after_it_is_told_by_the_local_day(land, story):
    path = f"/grids/{land.b.id}"
    for when, names in (
        ("wednesday", [("王强", "primary")]),
        ("friday", [("王强", "primary"), ("李卫", "backup")]),
    ):
        shown = await land.supervisor.read(at(story[when], path))
        assert [(one["technician_name"], one["kind"]) for one in shown["members"]] == names


async def test_the_history_of_a_grid_names_the_changes(land, story):
    shapes = (await land.supervisor.read(f"/grids/{land.a.id}/boundaries"))["boundaries"]
    assert [one["change_id"] for one in shapes] == [story["split"]["id"], None]
    changes = (await land.supervisor.read(f"/grid-changes?grid_id={land.a.id}"))["changes"]
    assert [(one["id"], one["kind"]) for one in changes] == [
        (story["merged"]["id"], "merge"),
        (story["split"]["id"], "split"),
    ]
    people = (await land.supervisor.read(f"/grids/{land.a.id}/memberships"))["memberships"]
    assert [(one["kind"], one["valid_to"]) for one in people] == [("primary", "2026-03-06")]


async def test_an_order_says_years_later_which_grid_it_was_and_whose(land, clock):
    li = await make_technician(land.tx, org_unit=land.branch, name="李卫")
    await make_membership(land.tx, land.a, li, kind=MembershipKind.PRIMARY)
    done = await make_work_order(
        land.tx,
        id=new_id(),
        now=clock.now(),
        org_unit=land.branch,
        grid_id=land.a.id,
        point=(EAST - 0.001, SOUTH + 0.005),
        state=State.COMPLETED,
    )
    clock.tick(timedelta(days=30))
    await land.supervisor.make(command("retire", land.a, heir=seen(land.b)))
    clock.tick(timedelta(days=1000))
    order = await land.supervisor.read(f"/work-orders/{done.id}")
    assert order["grid_id"] == str(land.a.id)
    grid = await land.supervisor.read(
        f"/grids/{order['grid_id']}?coordsys=wgs84&at={order['received_at']}"
    )
    assert (grid["code"], east_of(grid)) == ("A", pytest.approx(EAST))
    assert [one["technician_name"] for one in grid["members"]] == ["李卫"]


async def test_the_moment_says_its_time_zone(land):
    answer = await land.supervisor.get("/grids?at=2026-03-02T08:00:00")
    assert answer.status_code == 422


async def test_the_past_costs_as_much_as_the_present(land, story, database):
    counts = []
    for path in (f"/grids/{land.b.id}", at(story["monday"], f"/grids/{land.b.id}")):
        with counted(database) as statements:
            await land.supervisor.read(path)
        counts.append(len(statements))
    assert counts == [2, 2]


async def test_a_boundary_drawn_twice_in_one_moment_is_the_later_one(land, clock):
    for version, boundary in ((1, square(WEST, MIDDLE)), (2, square(WEST, EAST - SIDE / 4))):
        body = command("reshape", land.a, boundary=boundary)
        body["grid"] = seen(land.a, version)
        await land.supervisor.make(body)
    shown = await land.supervisor.read(at(clock.now(), f"/grids/{land.a.id}"))
    assert east_of(shown) == pytest.approx(EAST - SIDE / 4)
