"""What lies in grids follows when they are redrawn: people, open orders, lists, addresses."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.jobs import Worker
from app.dispatch import jobs as dispatch
from app.grids.models import GridContract, GridListEntry, GridMembership
from app.grids.rules import GridStage, ListKind, district_of
from app.technicians import availability
from app.technicians.availability import Promised
from app.workorders import queries as workorders
from app.workorders.rules import State, Step, UnplacedReason
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.grids import make_grid, make_membership
from tests.make.redraw import (
    ACROSS,
    EAST,
    MIDDLE,
    NORTH,
    SIDE,
    SOUTH,
    WEST,
    command,
    part,
    seen,
    square,
)
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)
IN_WEST, IN_EAST, IN_B = (
    (WEST + 0.002, SOUTH + 0.005),
    (EAST - 0.002, SOUTH + 0.005),
    (EAST + 0.005, SOUTH + 0.005),
)


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    """The worker's process, on the rolled-back database."""
    return Worker(settings, clock, database)


async def split(land, **fields):
    """Cut A in the middle: A keeps the western half, A2 gets the eastern one."""
    body = command("split", land.a, line=ACROSS, keep=list(IN_WEST), parts=[part("A2")], **fields)
    return await land.supervisor.make(body)


async def freed(tx):
    """The orders that dispatch was told to place anew."""
    jobs = "SELECT args ->> 'order_id' FROM procrastinate_jobs WHERE task_name = :event ORDER BY id"
    return list(await tx.scalars(text(jobs), {"event": "workorder.freed"}))


# --- people ---------------------------------------------------------------------------------------


async def people(land):
    """Who looks after which grid: (technician's name, kind, from, to) by code."""
    found = {}
    for code in ("A", "A2", "B"):
        grid_id = await land.tx.scalar(
            text("SELECT id FROM grid WHERE code = :code").bindparams(code=code)
        )
        rows = await land.tx.scalars(
            select(GridMembership)
            .where(GridMembership.grid_id == grid_id)
            .order_by(GridMembership.kind.desc(), GridMembership.rank)
            .execution_options(populate_existing=True)
        )
        found[code] = [(one.technician_id, one.kind, one.valid_from, one.valid_to) for one in rows]
    return found


async def test_no_part_of_a_split_is_vacant(land):
    li = await make_technician(land.tx, org_unit=land.branch)
    await make_membership(land.tx, land.a, li, ratio=50)
    made = await split(land)
    assert made["told"]["members"] == {
        "affected": 1,
        "changes": [
            {
                "technician_id": str(li.id),
                "technician_code": li.code,
                "grid_code": "A2",
                "kind": "primary",
                "rank": 1,
                "becomes": "copied",
                "valid_from": "2026-03-02",
                "valid_to": None,
            }
        ],
    }
    assert await people(land) == {
        "A": [(li.id, "primary", date(2025, 1, 1), None)],
        "A2": [(li.id, "primary", TODAY, None)],
        "B": [],
    }
    assert set(await land.tx.scalars(select(GridMembership.ratio))) == {50}


@pytest.mark.parametrize("kind", ["merge", "retire"])
async def test_the_absorbed_become_backups(land, kind):
    li, wang = [await make_technician(land.tx, org_unit=land.branch) for _ in range(2)]
    await make_membership(land.tx, land.a, li)
    await make_membership(land.tx, land.b, wang)
    if kind == "merge":
        await land.supervisor.make(command("merge", land.a, others=[seen(land.b)]))
    else:
        await land.supervisor.make(command("retire", land.b, heir=seen(land.a)))
    assert await people(land) == {
        "A": [
            (li.id, "primary", date(2025, 1, 1), None),
            (wang.id, "backup", TODAY, None),
        ],
        "A2": [],
        "B": [(wang.id, "primary", date(2025, 1, 1), TODAY)],
    }


async def test_the_day_is_that_of_the_grids_org_unit(land, clock):
    land.branch.time_zone = "Pacific/Kiritimati"
    clock.set(datetime(2026, 3, 2, 11, 0, tzinfo=UTC))  # there it is one in the morning, tomorrow
    li = await make_technician(land.tx, org_unit=land.branch)
    await make_membership(land.tx, land.a, li)
    await land.supervisor.make(command("retire", land.a))
    assert (await people(land))["A"] == [(li.id, "primary", date(2025, 1, 1), date(2026, 3, 3))]


async def test_contracts_end_with_the_grid(land):
    for grid, since in ((land.a, date(2025, 1, 1)), (land.b, date(2025, 1, 1))):
        land.tx.add(GridContract(grid_id=grid.id, stage=GridStage.CONTRACTED, valid_from=since))
    await land.tx.flush()
    await land.supervisor.make(command("merge", land.a, others=[seen(land.b)]))
    ends = dict((await land.tx.execute(select(GridContract.grid_id, GridContract.valid_to))).all())
    assert ends == {land.a.id: None, land.b.id: TODAY}


# --- open orders ----------------------------------------------------------------------------------


async def order_in(land, clock, grid, point, **fields):
    """Add an order that lies in a grid."""
    given = {"org_unit": land.branch, "state": State.LOCATED, "grid_id": grid.id, **fields}
    return await make_work_order(land.tx, now=clock.now(), point=point, **given)


async def events_of(land, order):
    """An order's events: step, states, and facts."""
    rows = await workorders.history(land.tx, order.id)
    return [(row.step, row.from_state, row.to_state, row.reason, row.facts) for row in rows]


async def test_who_holds_an_order_keeps_it_and_the_event_says_why_it_lies_elsewhere(land, clock):
    li = await make_technician(land.tx, org_unit=land.branch)
    order = await make_assigned_order(
        land.tx,
        li,
        now=clock.now(),
        point=IN_EAST,
        grid_id=land.a.id,
        appointment_from=clock.now(),
        appointment_until=clock.now() + timedelta(hours=2),
    )
    made = await split(land)
    assert made["told"]["orders"] == {
        "affected": 1,
        "by_state": {"assigned": 1},
        "change_grid": 1,
        "without_grid": 0,
        "with_appointment": 1,
    }
    await land.tx.refresh(order)
    a2 = await land.id_of("A2")
    assert (order.grid_id, order.holder_id, order.state) == (a2, li.id, State.ASSIGNED)
    assert (await events_of(land, order))[-1] == (
        Step.LOCATE,
        State.ASSIGNED,
        State.ASSIGNED,
        "split",
        {"from_grid_id": str(land.a.id), "grid_id": str(a2), "change_id": made["id"]},
    )
    assert await availability.promised(land.tx, li.id, TODAY) == Promised(60, 1)
    assert await freed(land.tx) == []


async def test_an_order_that_waits_is_tried_anew_with_the_new_people(land, clock, worker):
    order = await order_in(land, clock, land.a, IN_EAST)
    await split(land)
    assert await freed(land.tx) == [str(order.id)]
    wang = await make_technician(land.tx, org_unit=land.branch)
    a2 = await land.id_of("A2")
    await land.tx.execute(
        text(
            "INSERT INTO grid_membership (id, grid_id, technician_id, kind, valid_from)"
            " VALUES (gen_random_uuid(), :grid, :who, 'primary', '2025-01-01')"
        ),
        {"grid": a2, "who": wang.id},
    )
    await dispatch.place_anew(worker, order_id=str(order.id))
    await land.tx.refresh(order)
    assert (order.grid_id, order.holder_id) == (a2, wang.id)


async def test_an_order_in_no_grid_any_more_waits_for_one(land, clock, worker):
    waiting = await order_in(land, clock, land.a, IN_WEST)
    li = await make_technician(land.tx, org_unit=land.branch)
    held = await make_assigned_order(land.tx, li, now=clock.now(), point=IN_WEST, grid_id=land.a.id)
    made = await land.supervisor.make(command("retire", land.a))
    assert made["told"]["orders"]["without_grid"] == 2
    assert [one["code"] for one in made["told"]["warnings"]] == ["gap", "orders-without-grid"]
    for order in (waiting, held):
        await land.tx.refresh(order)
    assert (waiting.grid_id, held.grid_id, held.holder_id) == (None, None, li.id)
    await dispatch.place_anew(worker, order_id=str(waiting.id))
    await land.tx.refresh(waiting)
    assert (waiting.state, waiting.unplaced_reason) == (State.UNPLACED, UnplacedReason.NO_GRID)


async def test_an_order_that_had_no_grid_is_placed_when_one_is_drawn_there(land, clock, worker):
    order = await order_in(
        land,
        clock,
        land.a,
        (WEST - 0.002, SOUTH + 0.005),
        grid_id=None,
        state=State.UNPLACED,
        unplaced_reason=UnplacedReason.NO_GRID,
    )
    li = await make_technician(land.tx, org_unit=land.branch)
    await make_membership(land.tx, land.a, li)
    await land.supervisor.make(command("reshape", land.a, boundary=square(WEST - 0.005, EAST)))
    assert await freed(land.tx) == [str(order.id)]
    await dispatch.place_anew(worker, order_id=str(order.id))
    await land.tx.refresh(order)
    assert (order.grid_id, order.holder_id) == (land.a.id, li.id)


@pytest.mark.parametrize("state", [State.COMPLETED, State.ARCHIVED, State.CANCELLED])
async def test_closed_orders_keep_their_grid(land, clock, state):
    order = await order_in(land, clock, land.a, IN_EAST, state=state)
    await split(land)
    await land.tx.refresh(order)
    assert order.grid_id == land.a.id
    assert await events_of(land, order) == []


@pytest.mark.parametrize("reason", [UnplacedReason.NO_POINT, UnplacedReason.SHARED_POINT])
async def test_an_order_whose_point_says_nothing_is_left_alone(land, clock, reason):
    point = None if reason is UnplacedReason.NO_POINT else IN_EAST
    order = await order_in(
        land, clock, land.a, point, grid_id=None, state=State.UNPLACED, unplaced_reason=reason
    )
    await split(land)
    await land.tx.refresh(order)
    assert (order.grid_id, order.unplaced_reason) == (None, reason)
    assert await freed(land.tx) == []


async def test_an_order_goes_along_to_the_next_branch_but_never_out_of_its_district(
    land, clock, app
):
    near = await make_org_unit(land.tx, parent=land.district)
    city = await land.tx.get(type(land.district), land.district.parent_id)
    far = await make_org_unit(land.tx, parent=await make_org_unit(land.tx, parent=city))
    li = await make_technician(land.tx, org_unit=land.branch)
    order = await make_assigned_order(
        land.tx, li, now=clock.now(), point=IN_EAST, grid_id=land.a.id
    )
    north = await make_grid(land.tx, org_unit=near, code="N", lon=MIDDLE, lat=NORTH, side=SIDE)
    account = await make_account(land.tx, land.province, role=Role.SUPERVISOR)
    above = caller_for(Role.SUPERVISOR, land.province, account_id=account.id)
    land.supervisor.headers = bearer(app, above)
    area = square(MIDDLE, EAST + 0.001, SOUTH - 0.001)
    await land.supervisor.make(command("move_border", land.a, neighbour=seen(north), area=area))
    await land.tx.refresh(order)
    assert (order.grid_id, order.org_unit_id, order.holder_id) == (north.id, near.id, li.id)
    west = await make_grid(land.tx, org_unit=far, code="W", lon=WEST, lat=NORTH, side=0.002)
    body = command("move_border", north, neighbour=seen(west), area=area)
    body["grid"]["version"] = 2
    made = await land.supervisor.make(body)
    await land.tx.refresh(order)
    assert (order.grid_id, order.org_unit_id, order.holder_id) == (None, near.id, li.id)
    assert made["told"]["orders"]["without_grid"] == 1


async def test_a_border_that_has_come_near_is_said_of_an_order_that_stays(land, clock):
    order = await order_in(land, clock, land.a, (MIDDLE - 0.0001, SOUTH + 0.005))
    made = await split(land)
    await land.tx.refresh(order)
    assert (order.grid_id, order.near_border) == (land.a.id, True)
    assert made["told"]["orders"]["change_grid"] == 0
    assert await events_of(land, order) == []


# --- addresses ------------------------------------------------------------------------------------


async def test_addresses_have_followed_when_the_command_is_answered(land):
    west, east, other = [await land.address(lon, lat) for lon, lat in (IN_WEST, IN_EAST, IN_B)]
    made = await split(land)
    assert made["told"]["addresses"] == {"affected": 2, "change_grid": 1, "without_grid": 0}
    assert [await land.grid_of(one) for one in (west, east, other)] == ["A", "A2", "?"]
    relocation = made["relocation"]
    assert (relocation["state"], relocation["addresses"], relocation["left"]) == ("done", 2, 0)
    area = square(MIDDLE, EAST)
    body = command("move_border", land.a, neighbour=seen(land.b), area=area)
    body["grid"] = {"id": str(await land.id_of("A2")), "version": 1}
    body["area"] = square(EAST - 0.003, EAST + 0.001)
    await land.supervisor.make(body)
    assert [await land.grid_of(one) for one in (west, east, other)] == ["A", "B", "B"]


async def test_an_address_near_a_new_border_is_in_doubt(land):
    address = await land.address(MIDDLE - 0.0001)
    await split(land)
    near = await land.tx.scalar(text("SELECT near_border FROM address_grid"))
    assert (await land.grid_of(address), near) == ("A", True)


async def test_addresses_left_in_no_grid_are_warned_of(land):
    address = await land.address(*IN_WEST)
    made = await land.supervisor.make(command("retire", land.a))
    assert made["told"]["addresses"] == {"affected": 1, "change_grid": 1, "without_grid": 1}
    assert made["told"]["warnings"][-1]["en"] == "1 addresses would be in no grid"
    assert await land.grid_of(address) is None


# --- lists ----------------------------------------------------------------------------------------


async def listed(land, grid, name):
    """Let a grid's list name a compound of the district."""
    land.tx.add(
        GridListEntry(
            grid_id=grid.id,
            kind=ListKind.COMPOUND,
            district_path=district_of(land.branch.path),
            name=name,
            valid_from=datetime(2025, 1, 1, tzinfo=UTC),
        )
    )
    await land.tx.flush()


async def test_the_heir_takes_the_list_over(land):
    await listed(land, land.b, "湖畔里")
    address = await land.address(*IN_WEST, locality="湖畔里")
    await land.supervisor.make(command("merge", land.a, others=[seen(land.b)]))
    lines = (
        await land.tx.execute(
            select(GridListEntry.grid_id, GridListEntry.name, GridListEntry.valid_to).order_by(
                GridListEntry.valid_from
            )
        )
    ).all()
    assert [(row.grid_id, row.name) for row in lines] == [
        (land.b.id, "湖畔里"),
        (land.a.id, "湖畔里"),
    ]
    assert lines[0].valid_to is not None
    assert lines[1].valid_to is None
    row = (await land.tx.execute(text("SELECT grid_id, listed FROM address_grid"))).one()
    assert (await land.grid_of(address), row.grid_id, row.listed) == ("A", land.a.id, True)


async def test_without_an_heir_the_list_ends(land):
    await listed(land, land.b, "湖畔里")
    address = await land.address(*IN_WEST, locality="湖畔里")
    await split(land)
    assert await land.grid_of(address) == "B"  # a list comes before a polygon
    await land.supervisor.make(command("retire", land.b))
    assert await land.grid_of(address) == "A"
    assert None not in set(await land.tx.scalars(select(GridListEntry.valid_to)))
