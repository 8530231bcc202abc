"""A point that orders of many localities share is a geocoder's stand-in, and nobody goes there."""

from datetime import date

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.jobs import Worker
from app.dispatch import jobs
from app.dispatch.models import PointLocality, SharedPoint
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.workorders import queries
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.dispatch import Territory, make_territory, ndjson, order

TODAY = date(2026, 3, 2)
LIMIT = 8


@pytest.fixture
async def land(tx) -> Territory:
    """One grid with a primary."""
    territory = await make_territory(tx)
    await territory.add_technician(territory.grids[0])
    return territory


@pytest.fixture
def call(app, http, land):
    """Call as somebody of the branch, or of another unit; send bytes or JSON."""

    async def request(method, path, body=None, *, role=Role.SUPERVISOR, unit=None):
        headers = bearer(app, caller_for(role, unit or land.org_unit))
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await http.request(method, f"/v1{path}", headers=headers, **sent)

    return request


@pytest.fixture
def send(call):
    async def post(*orders):
        return await call("POST", "/work-orders/bulk", ndjson(*orders), role=Role.INTEGRATION)

    return post


def streets(land, first, last, **fields):
    """Orders of as many streets, all at one point."""
    point = land.point_in(land.grids[0])
    return [
        order(f"F-{n}", point=point, locality=f"Street {n}", **fields)
        for n in range(first, last + 1)
    ]


async def states(tx):
    rows = await tx.execute(
        select(WorkOrder.state, WorkOrder.unplaced_reason, func.count()).group_by(
            WorkOrder.state, WorkOrder.unplaced_reason
        )
    )
    return {(state.value, reason and reason.value): count for state, reason, count in rows}


async def test_below_the_limit_a_point_is_like_any_other(land, send, tx):
    await send(*streets(land, 1, LIMIT - 1))
    assert await states(tx) == {("assigned", None): LIMIT - 1}


async def test_orders_of_one_place_may_share_a_point(land, send, tx):
    point = land.point_in(land.grids[0])
    names = ["碧波园", "碧波园", None]
    await send(
        *(
            order(f"F-{n}", point=point, locality=names[n % 3], estimated_minutes=5)
            for n in range(20)
        )
    )
    assert await states(tx) == {("assigned", None): 20}


async def test_case_makes_no_other_locality(land, send, tx):
    point = land.point_in(land.grids[0])
    await send(*(order(f"F-{n}", point=point, locality=name) for n, name in enumerate(["A", "a"])))
    assert await tx.scalar(select(func.count()).select_from(PointLocality)) == 1


async def test_in_one_file_none_of_its_orders_is_placed(land, send, tx):
    await send(*streets(land, 1, LIMIT))
    assert await states(tx) == {("unplaced", "shared_point"): LIMIT}
    assert await availability.promised(tx, land.people[0].id, TODAY) == NOTHING


async def test_earlier_orders_come_back_and_their_minutes_are_free_again(land, send, tx, clock):
    await send(*streets(land, 1, LIMIT - 1, estimated_minutes=30))
    [begun, acknowledged, *_] = (
        await tx.scalars(select(WorkOrder).order_by(WorkOrder.external_id))
    ).all()
    for row, steps in (
        (begun, (Step.ACKNOWLEDGE, Step.TRAVEL)),
        (acknowledged, (Step.ACKNOWLEDGE,)),
    ):
        for step in steps:
            await take_step(tx, row, step, now=clock.now())
    await send(*streets(land, LIMIT, LIMIT))
    assert await states(tx) == {("unplaced", "shared_point"): LIMIT - 1, ("en_route", None): 1}
    # Only the order that the technician is on the way to keeps its minutes.
    assert await availability.promised(tx, land.people[0].id, TODAY) == Promised(30, 1)
    [*_, last] = await queries.history(tx, acknowledged.id)
    assert (last.step, last.from_state, last.to_state, last.reason) == (
        "unplace",
        "acknowledged",
        "unplaced",
        "shared_point",
    )


async def test_later_orders_are_unplaced_at_once_and_no_longer_counted(land, send, tx):
    await send(*streets(land, 1, LIMIT))
    await send(*streets(land, LIMIT + 1, LIMIT + 4))
    assert await states(tx) == {("unplaced", "shared_point"): LIMIT + 4}
    assert await tx.scalar(select(func.count()).select_from(PointLocality)) == LIMIT


async def test_other_points_are_not_touched(land, send, tx):
    near = land.point_in(land.grids[0], east=0.5001)
    await send(*streets(land, 1, LIMIT), order("G-1", point=near, locality="Street 1"))
    assert (await states(tx))["assigned", None] == 1


# --- a person says that it is real ----------------------------------------------------------------


async def test_supervisors_see_where_orders_wait(land, send, call, tx):
    await send(*streets(land, 1, LIMIT))
    point = land.point_in(land.grids[0])
    [shown] = (await call("GET", "/shared-points")).json()["points"]
    assert shown == {
        "lon_e6": round(point["lon"] * 1e6),
        "lat_e6": round(point["lat"] * 1e6),
        "localities": LIMIT,
        "orders": LIMIT,
        "flagged_at": "2026-03-02T01:00:00Z",
        "trusted_at": None,
    }
    stranger = await make_org_unit(tx)
    assert (await call("GET", "/shared-points", unit=stranger)).json() == {"points": []}


async def trusted(call, land, **options):
    lon, lat = (round(land.point_in(land.grids[0])[axis] * 1e6) for axis in ("lon", "lat"))
    return await call("POST", f"/shared-points/{lon}/{lat}/trust", **options)


async def test_a_trusted_point_is_placed_after_all(land, send, call, tx, app, settings, database):
    await send(*streets(land, 1, LIMIT, estimated_minutes=30))
    answer = await trusted(call, land)
    assert answer.status_code == 200
    assert answer.json()["trusted_at"] == "2026-03-02T01:00:00Z"
    [facts] = (
        await tx.execute(
            text("SELECT args FROM procrastinate_jobs WHERE task_name = 'point.trusted'")
        )
    ).scalars()
    await jobs.place_trusted(Worker(settings, app.state.clock, database), **facts)
    assert await states(tx) == {("assigned", None): LIMIT}
    assert await availability.promised(tx, land.people[0].id, TODAY) == Promised(30 * LIMIT, LIMIT)


async def test_orders_to_a_trusted_point_are_placed_at_once(land, send, call, tx):
    await send(*streets(land, 1, LIMIT))
    await trusted(call, land)
    await send(*streets(land, LIMIT + 1, LIMIT + 9, estimated_minutes=5))
    assert (await states(tx))["assigned", None] == 9


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.INTEGRATION])
async def test_who_may_not_trust(land, send, call, role):
    await send(*streets(land, 1, LIMIT))
    assert (await trusted(call, land, role=role)).status_code == 403


async def test_a_point_where_nothing_of_mine_waits_is_not_found(land, send, call, tx):
    assert (await trusted(call, land)).status_code == 404
    await send(*streets(land, 1, LIMIT))
    stranger = await make_org_unit(tx)
    assert (await trusted(call, land, unit=stranger)).status_code == 404
    assert await tx.scalar(select(SharedPoint.trusted_at)) is None


async def test_an_order_given_by_hand_stays_with_its_holder(land, send, call, tx):
    await send(*streets(land, 1, LIMIT))
    row = (await tx.scalars(select(WorkOrder).limit(1))).one()
    given = await call(
        "POST",
        f"/work-orders/{row.id}/assign",
        {
            "technician_id": str(land.people[0].id),
            "day": "2026-03-02",
            "reason": "the customer told us the way",
            "version": row.version,
        },
    )
    assert given.status_code == 200
    await send(*streets(land, LIMIT + 1, LIMIT + 1))
    await tx.refresh(row)
    assert row.state is State.ASSIGNED
