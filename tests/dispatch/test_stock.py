"""Terminals: only who has in the van what an order needs gets it, and nobody gets more of them."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch import jobs
from app.dispatch.rules.vans import Van
from app.dispatch.schemas.intake import OrderIn
from app.dispatch.service.intake import take_in
from app.grids.rules import MembershipKind
from app.workorders import queries
from app.workorders.rules import Sender, State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account
from tests.make.counting import counted
from tests.make.dispatch import Territory, make_territory, ndjson, order
from tests.make.races import until_waiting
from tests.make.terminals import make_terminal

ONT, CAMERA = "ont_gateway", "camera"


@pytest.fixture
async def land(tx) -> Territory:
    """A grid with a primary, whose van is empty, and a backup."""
    territory = await make_territory(tx)
    await territory.add_technician(territory.grids[0])
    await territory.add_technician(territory.grids[0], MembershipKind.BACKUP)
    return territory


@pytest.fixture
def stock(tx, land):
    """Book ONTs, or others, into somebody's van."""

    async def book(technician, number=1, **fields):
        return [
            await make_terminal(tx, land.org_unit, technician_id=technician.id, **fields)
            for _ in range(number)
        ]

    return book


@pytest.fixture
def send(app, http, land):
    """Send an order to be done in the grid, as the upstream system."""

    async def post(name, *terminals, status=201, **fields):
        body = order(name, point=land.point_in(land.grids[0]), terminals=terminals, **fields)
        headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
        answer = await http.post("/v1/work-orders", json=body, headers=headers)
        assert answer.status_code == status, answer.text
        return answer.json()

    return post


@pytest.fixture
def get(app, http, land):
    async def read(path):
        headers = bearer(app, caller_for(Role.SUPERVISOR, land.org_unit))
        return (await http.get(f"/v1/work-orders{path}", headers=headers)).json()

    return read


# --- what is left in a van ------------------------------------------------------------------------

FIRST, SECOND = new_id(), new_id()


def van() -> Van:
    """Two ONTs and a camera, of which one order needs an ONT and the camera."""
    return Van(Counter({ONT: 1, CAMERA: 0}), {FIRST: (ONT, CAMERA)})


@pytest.mark.parametrize(
    ("terminals", "without", "enough"),
    [
        ((), None, True),
        ((ONT,), None, True),
        ((ONT, ONT), None, False),
        ((ONT, CAMERA), None, False),
        ((ONT, ONT, CAMERA), FIRST, True),
        ((ONT, CAMERA), SECOND, False),
        (("set_top_box",), FIRST, False),
    ],
)
def test_what_a_van_holds_besides_what_is_needed(terminals, without, enough):
    assert van().holds(terminals, without) is enough


def test_what_is_taken_is_gone_and_what_leaves_comes_back():
    one = van()
    one.take((ONT,))
    assert not one.holds((ONT,))
    one.give_back(FIRST)
    one.give_back(FIRST)  # it can leave only once
    assert one.holds((ONT, CAMERA))
    assert not one.holds((ONT, ONT))


def test_a_van_emptied_meanwhile_is_noticed():
    one = van()
    one.take((ONT,))
    assert not one.overdrawn(van())
    assert one.overdrawn(Van(Counter({ONT: 0, CAMERA: 1})))


# --- placing --------------------------------------------------------------------------------------


async def test_only_who_has_it_in_the_van_gets_the_order(land, send, get, stock):
    _primary, backup = land.people
    await stock(backup)
    first = await send("F-1", ONT)
    assert first["holder_id"] == str(backup.id)
    assert (await get(f"/{first['id']}"))["terminals"] == [ONT]
    decision = await get(f"/{first['id']}/decision")
    assert [one["passed_over"] for one in decision["candidates"]] == ["no_stock", None]
    # The one there was is needed now, on whatever day.
    second = await send("F-2", ONT)
    assert (second["state"], second["unplaced_reason"]) == ("unplaced", "no_stock")
    assert (await send("F-3"))["holder_id"] == str(land.people[0].id)


async def test_once_it_is_in_a_van_the_order_is_placed(
    tx, land, send, stock, settings, clock, database
):
    primary, _backup = land.people
    waits = await send("F-1", ONT, ONT)
    worker = Worker(settings, clock, database)
    await stock(primary)
    clock.tick(timedelta(hours=1))
    await jobs.place_waiting(worker)
    row = await queries.for_change(tx, waits["id"])
    assert row.state is State.UNPLACED
    await stock(primary)
    clock.tick(timedelta(hours=1))
    await jobs.place_waiting(worker)
    await tx.refresh(row)
    assert (row.state, row.holder_id) == (State.ASSIGNED, primary.id)


async def test_a_file_takes_each_terminal_once(app, http, land, stock):
    primary, backup = land.people
    await stock(primary, 2)
    await stock(backup, 1)
    point = land.point_in(land.grids[0])
    lines = ndjson(*(order(f"F-{n}", point=point, terminals=[ONT]) for n in range(5)))
    headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
    answer = await http.post("/v1/work-orders/bulk", content=lines, headers=headers)
    assert answer.content.count(b'"placed"') == 3
    assert answer.content.count(b'"no_stock"') == 2


async def test_what_needs_none_costs_no_statement_more(land, send, stock, database):
    await stock(land.people[0], 10)
    await send("F-0")
    with counted(database) as without:
        await send("F-1")
    with counted(database) as one:
        await send("F-2", ONT)
    with counted(database) as many:
        await send("F-3", ONT, ONT, ONT)
    # The vans are read, closed to others, and read again.
    assert len(one) == len(many) == len(without) + 3
    assert not any("FROM terminal" in statement for statement in without)


async def test_sent_again_it_is_the_same_order(send, clock):
    await send("F-1")
    assert await send("F-1", status=200)
    await send("F-2", ONT)
    assert await send("F-2", ONT, status=200)
    refused = await send("F-2", ONT, ONT, status=409)
    assert refused["type"] == "urn:yingwei:problem:same-order-other-content"
    left_out, empty = order("F-3"), order("F-3", terminals=[])
    hashes = {OrderIn(**one).draft(clock.now()).content_hash for one in (left_out, empty)}
    assert len(hashes) == 1


async def test_what_gives_way_to_urgent_work_leaves_its_terminal(tx, send, land, stock):
    primary, _backup = land.people
    await stock(primary)
    lesser = await send("F-1", ONT, priority=4)
    urgent = await send("F-2", ONT, priority=1)
    assert (urgent["holder_id"], urgent["planned_day"]) == (str(primary.id), "2026-03-02")
    gone = await queries.for_change(tx, lesser["id"])
    assert (gone.state, gone.unplaced_reason) == (State.UNPLACED, "no_stock")


async def test_what_gives_way_to_work_that_needs_none_is_asked_for_its_own(tx, send, land, stock):
    primary, backup = land.people
    primary.daily_minutes = 75
    await stock(primary, kind=CAMERA)
    lesser = await send("F-1", CAMERA, priority=4)
    backup.active = False
    await tx.flush()
    assert (await send("F-2", priority=1))["holder_id"] == str(primary.id)
    gone = await queries.for_change(tx, lesser["id"])
    # Their own camera is free again for tomorrow.
    assert (gone.holder_id, str(gone.planned_day)) == (primary.id, "2026-03-03")


async def test_what_is_done_or_cancelled_needs_none_any_more(tx, send, stock, land, clock):
    await stock(land.people[0])
    first = await send("F-1", ONT)
    row = await queries.for_change(tx, first["id"])
    await take_step(tx, row, Step.CANCEL, now=clock.now())
    await tx.flush()
    assert (await send("F-2", ONT))["state"] == "assigned"


# --- two at once ----------------------------------------------------------------------------------


async def test_of_two_who_want_the_last_one_on_different_days_one_gets_it(
    real_app, real_http, real_database, clock
):
    """No day's lock stands between them: the first is not committed when the second looks."""
    async with real_database.begin() as tx:
        land = await make_territory(tx)
        technician = await land.add_technician(land.grids[0])
        await make_terminal(tx, land.org_unit, technician_id=technician.id)
        account = await make_account(tx, land.org_unit, role=Role.INTEGRATION)
    caller = caller_for(Role.INTEGRATION, land.org_unit, account_id=account.id)

    def install(name, day):
        return order(
            name,
            # Orders at one point would wait for each other there.
            point=land.point_in(land.grids[0], east=day / 10),
            terminals=[ONT],
            appointment_from=f"2026-03-{day:02d}T14:00:00+08:00",
            appointment_until=f"2026-03-{day:02d}T16:00:00+08:00",
        )

    sender = Sender(account.id, land.org_unit.id, land.org_unit.path)
    async with real_database.begin() as tx:
        draft = OrderIn(**install("F-1", 3)).draft(clock.now())
        [first] = await take_in(tx, [draft], sender, now=clock.now())
        second = asyncio.create_task(
            real_http.post(
                "/v1/work-orders", json=install("F-2", 4), headers=bearer(real_app, caller)
            )
        )
        await until_waiting(real_database)
    assert first.verdict == "placed"
    assert (await second).json()["unplaced_reason"] == "no_stock"
