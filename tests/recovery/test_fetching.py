"""Terminals become due, are fetched by an order or on the way, and are counted, over HTTP."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.recovery import jobs
from app.recovery.models import Recovery, RecoveryRequest
from app.terminals.models import Terminal
from app.terminals.queries import for_change
from app.terminals.rules import Handling, Place, Pool, TerminalKind, Why
from app.terminals.service import How, book, booking
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_subscription
from tests.make.visits import at, make_assigned_order, taken
from tests.make.worktypes import content, make_template

BOX, CAMERA = TerminalKind.SET_TOP_BOX, TerminalKind.CAMERA
TODAY, DAYS = date(2026, 3, 2), timedelta(days=7)


async def remove_template(tx):
    closing = {"code": "removed", "words": {"zh": "拆机", "en": "removed"}}
    owed = {**closing, "code": "owed", "waives": ["terminals"]}
    return await make_template(
        tx,
        content=content(
            WorkType.REMOVE,
            checklist=[],
            measurements=[],
            recovers="all",
            closing_codes=[closing, owed],
        ),
    )


async def at_the_door(town, phone, order):
    visit_id = await phone.set_out(order)
    point = town.land.point_in(town.land.grids[0])
    answer = await phone.post(f"/visits/{visit_id}/check-in", point=at(point["lon"], point["lat"]))
    taken(answer)
    return visit_id


async def scan(phone, visit_id, serial):
    taken(
        await phone.post(
            f"/visits/{visit_id}/terminals",
            id=str(new_id()),
            action="taken_away",
            serial_number=serial,
        )
    )


async def test_a_pickup_is_asked_for_fetched_by_scanning_and_counted(town, tx, clock):
    await remove_template(tx)
    for serial, kind in (("ONT1", TerminalKind.ONT_GATEWAY), ("BOX1", BOX), ("CAM1", CAMERA)):
        await town.terminal(serial, kind)
    crm = await town.headers(Role.INTEGRATION)
    answer = await town.ask(crm)
    assert answer.status_code == 201, answer.text
    # Cameras were sold, unless an operator says otherwise.
    assert [one["serial_number"] for one in answer.json()["terminals"]] == ["BOX1", "ONT1"]
    again = await town.ask(crm)
    assert (again.status_code, again.json()) == (201, answer.json())
    other = await town.ask(crm, cause="downgrade")
    assert (other.status_code, other.json()["facts"]["external_id"]) == (409, "R-1")
    # What is due already does not become due twice, and what is scrapped elsewhere is not due.
    more = await town.ask(
        crm,
        external_id="R-2",
        terminals=[
            {"serial_number": "sn: box1", "kind": "set_top_box"},
            {"serial_number": "NEVERSEEN", "kind": "set_top_box"},
        ],
    )
    assert [one["serial_number"] for one in more.json()["terminals"]] == ["NEVERSEEN"]
    assert await tx.scalar(select(func.count()).select_from(RecoveryRequest)) == 2

    recovery, _ = await town.pickup()
    for _ in range(2):
        await jobs.asked(town.worker, str(recovery.id))
    recovery, order = await town.pickup()
    assert (order.work_type, order.source, order.state) == ("remove", "yingwei", "assigned")
    assert (order.due_at, order.holder_id) == (clock.now() + DAYS, town.people[0].id)
    assert (order.estimated_minutes, order.customer_id) == (15, town.customer.id)
    assert order.summary == "上门回收终端：光猫×1、机顶盒×2"
    assert recovery.orders == 1

    boss = await town.headers(Role.SUPERVISOR)
    (row,) = (await town.http.get("/v1/recoveries", headers=boss)).json()["items"]
    assert (row["customer_name"], row["overdue"], len(row["terminals"])) == ("王**", False, 3)
    found = await town.http.get("/v1/recoveries?overdue=true", headers=boss)
    assert found.json()["items"] == []
    url = f"/v1/customers/{town.customer.id}/due-back"
    listed = (await town.http.get(url, headers=boss)).json()["items"]
    assert {one["work_order_id"] for one in listed} == {str(order.id)}

    phone = await town.phone(town.people[0])
    visit_id = await at_the_door(town, phone, order)
    card = (await phone.get(f"/customers/{town.customer.id}/context")).json()
    assert [(one["serial_number"], one["cause"]) for one in card["terminals"]["due_back"]] == [
        ("BOX1", "removal"),
        ("NEVERSEEN", "removal"),
        ("ONT1", "removal"),
    ]
    await scan(phone, visit_id, "ONT1")
    refused = await phone.post(f"/visits/{visit_id}/complete", outcome_code="removed")
    missing = refused.json()["facts"]["missing"]
    assert [(one["wanting"], one["code"]) for one in missing] == [
        ("terminal_recovered", "BOX1"),
        ("terminal_recovered", "NEVERSEEN"),
    ]
    # Until the visit ends a scan can be undone, so nothing is back yet.
    await town.look_around()
    assert {state for _, state in (await town.due()).values()} == {"open"}
    await scan(phone, visit_id, "BOX1")
    taken(await phone.post(f"/visits/{visit_id}/complete", outcome_code="owed"))
    for _ in range(2):
        await jobs.order_completed(town.worker, str(order.id))
    assert await town.due() == {
        "ONT1": ("removal", "recovered"),
        "BOX1": ("removal", "recovered"),
        "NEVERSEEN": ("removal", "open"),
    }
    # What is left is fetched by another order.
    await town.look_around()
    recovery, second = await town.pickup()
    assert (second.id != order.id, recovery.orders) == (True, 2)

    clock.tick(DAYS)
    found = await town.http.get("/v1/recoveries?overdue=true", headers=boss)
    assert [one["overdue"] for one in found.json()["items"]] == [True]
    params = {"since": "2026-03-01", "until": "2026-03-31"}
    rates = (await town.http.get("/v1/recovery-rates", params=params, headers=boss)).json()
    shown = {one["key"]: one["recovery_rate"] for one in rates["items"]}
    assert shown["ont_gateway"] == {"rate": 1.0, "numerator": 1, "denominator": 1}
    assert shown["set_top_box"] == {"rate": 0.5, "numerator": 1, "denominator": 2}
    params["by"] = "technician"
    rates = (await town.http.get("/v1/recovery-rates", params=params, headers=boss)).json()
    assert sum(one["pickup_on_time_rate"]["numerator"] for one in rates["items"]) == 2
    params = {"since": "2026-03-02", "until": "2026-03-01"}
    wrong = await town.http.get("/v1/recovery-rates", params=params, headers=boss)
    assert wrong.status_code == 422


async def test_others_neither_ask_nor_see(town, tx):
    await town.terminal("ONT1")
    elsewhere = await make_org_unit(tx)
    stranger = await town.headers(Role.SUPERVISOR, elsewhere)
    assert (await town.ask(stranger)).status_code == 404
    assert (await town.ask(stranger, service_number="S1")).status_code == 422
    phone = await town.phone(town.people[0])
    assert (await town.ask(phone.headers)).status_code == 403
    assert await tx.scalar(select(func.count()).select_from(Recovery)) == 0
    await town.ask(await town.headers(Role.INTEGRATION))
    recovery, _ = await town.pickup()
    assert (await town.http.get("/v1/recoveries", headers=stranger)).json()["items"] == []
    for url in (f"/v1/recoveries/{recovery.id}", f"/v1/customers/{town.customer.id}/due-back"):
        assert (await town.http.get(url, headers=stranger)).status_code == 404
    (due,) = (await town.http.get("/v1/recoveries", headers=await town.headers(Role.ADMIN))).json()[
        "items"
    ][0]["terminals"]
    url = f"/v1/due-backs/{due['id']}/write-off"
    answer = await town.http.post(url, json={"cause": "refused"}, headers=stranger)
    assert answer.status_code == 404
    assert await town.due() == {"ONT1": ("removal", "open")}


# --- what makes it due ----------------------------------------------------------------------------


async def test_what_a_removal_leaves_is_due_unless_something_still_needs_it(town, tx, clock):
    await make_offering(tx, code="LINE", category="broadband", terminal_kind="ont_gateway")
    await make_offering(
        tx, code="TV", category="tv", terminal_kind="set_top_box", requires=["broadband"]
    )
    await make_subscription(tx, town.customer, service_number="L1")
    await make_subscription(tx, town.customer, service_number="T1", category="tv")
    await town.terminal("ONT1")
    await town.terminal("BOX1", BOX)
    order = await make_assigned_order(
        tx,
        town.people[0],
        town.customer,
        now=clock.now(),
        work_type=WorkType.REMOVE,
        service_number="T1",
        point=None,
    )
    phone = await town.phone(town.people[0])
    await phone.complete(await at_the_door(town, phone, order), "removed")
    for _ in range(2):
        await jobs.order_completed(town.worker, str(order.id))
    assert await town.due() == {"BOX1": ("removal", "open")}


async def test_a_service_that_changes_leaves_what_nothing_needs(town, tx):
    await make_offering(tx, code="LINE", category="broadband", terminal_kind="ont_gateway")
    await make_offering(
        tx, code="TV", category="tv", terminal_kind="set_top_box", requires=["broadband"]
    )
    line = await make_subscription(tx, town.customer)
    tv = await make_subscription(tx, town.customer, category="tv", offering_code="TV")
    await town.terminal("ONT1")
    await town.terminal("BOX1", BOX)
    line.speed_mbps = 100
    await tx.flush()
    await town.look_around()
    assert await town.due() == {}
    tv.category, tv.offering_code, tv.monthly_price_fen = "broadband", "LINE", 100
    await tx.flush()
    for _ in range(2):
        await town.look_around()
    assert await town.due() == {"BOX1": ("downgrade", "open")}
    # One that ends in a week is looked at then.
    line.ended_on = tv.ended_on = TODAY + timedelta(days=8)
    await tx.flush()
    await town.look_around()
    assert len(await town.due()) == 1
    town.clock.tick(timedelta(days=8))
    await town.look_around()
    assert (await town.due())["ONT1"] == ("removal", "open")
    # One pick-up and one order for both.
    recovery, order = await town.pickup()
    assert (recovery.orders, order is not None) == (1, True)


async def test_the_older_of_two_gateways_of_a_line_is_due(town, tx, clock):
    order = await make_assigned_order(
        tx,
        town.people[0],
        town.customer,
        now=clock.now(),
        work_type=WorkType.INSTALL,
        service_number="L1",
        point=None,
    )
    await town.terminal("OLD1", service_number="L1")
    await town.terminal("ELSE1", service_number="L2")
    van = await town.terminal("NEW1")
    van.pool, van.customer_id, van.technician_id = Pool.VAN, None, town.people[0].id
    await tx.flush()
    phone = await town.phone(town.people[0])
    visit_id = await at_the_door(town, phone, order)
    fitted = {"id": str(new_id()), "action": "fitted", "serial_number": "NEW1"}
    taken(await phone.post(f"/visits/{visit_id}/terminals", **fitted))
    await phone.complete(visit_id, "installed")
    await jobs.order_completed(town.worker, str(order.id))
    assert await town.due() == {"OLD1": ("swap", "open")}


# --- on the way -----------------------------------------------------------------------------------


@pytest.fixture
async def pickup(town):
    await town.terminal("ONT1")
    await town.ask(await town.headers(Role.INTEGRATION))
    recovery, _ = await town.pickup()
    await jobs.asked(town.worker, str(recovery.id))
    return await town.pickup()


async def test_a_pickup_on_the_way_is_offered_masked_and_taken_by_one(town, tx, clock, pickup):
    recovery, order = pickup
    holder, neighbour = [await town.phone(person) for person in town.people]
    # The holder goes there tomorrow, and somebody else is around the corner today.
    order.planned_day = TODAY + timedelta(days=1)
    near = town.land.point_in(town.land.grids[0], north=0.55)
    await make_assigned_order(tx, town.people[1], now=clock.now(), point=(near["lon"], near["lat"]))
    await tx.flush()
    offered = (await neighbour.get("/my/recoveries")).json()["items"]
    assert offered == [
        {
            "id": str(recovery.id),
            "locality": "碧波园",
            "distance_m": 50,
            "due_at": offered[0]["due_at"],
            "terminals": 1,
            "estimated_minutes": 15,
        }
    ]
    url = f"/recoveries/{recovery.id}/take"
    first = await neighbour.http.post(f"/v1{url}", headers=neighbour.headers)
    assert first.status_code == 200, first.text
    assert (first.json()["work_order_id"], first.json()["planned_day"]) == (
        str(order.id),
        "2026-03-02",
    )
    again = await neighbour.http.post(f"/v1{url}", headers=neighbour.headers)
    assert again.json() == first.json()
    told = await holder.http.post(f"/v1{url}", headers=holder.headers)
    assert (told.status_code, told.json()["type"]) == (409, "urn:yingwei:problem:recovery-taken")
    _, order = await town.pickup()
    assert (order.holder_id, order.planned_day) == (town.people[1].id, TODAY)
    assert (await neighbour.get("/my/recoveries")).json()["items"] == []
    assert [one["id"] for one in (await neighbour.get("/my/day")).json()["orders"]].count(
        str(order.id)
    ) == 1


async def test_far_away_nothing_is_offered(town, tx, clock, pickup):
    _, order = pickup
    order.planned_day = TODAY + timedelta(days=1)
    far = town.land.point_in(town.land.grids[1], east=0.99)
    await make_assigned_order(tx, town.people[1], now=clock.now(), point=(far["lon"], far["lat"]))
    phone = await town.phone(town.people[1])
    assert (await phone.get("/my/recoveries")).json()["items"] == []


# --- how it ends ----------------------------------------------------------------------------------


async def test_what_the_customer_brings_back_lets_its_order_go(town, tx, clock, pickup):
    held = (await for_change(tx, ["ONT1"]))["ONT1"]
    depot = Place(Pool.RECOVERED, town.land.org_unit.id)
    await book(tx, [booking(held, Handling.TAKE, depot)], How(Why.HANDED_IN, clock.now()))
    for _ in range(2):
        await town.look_around()
    recovery, order = await town.pickup()
    assert (recovery.closed_at, order.state) == (clock.now(), State.CANCELLED)
    assert await town.due() == {"ONT1": ("removal", "recovered")}
    phone = await town.phone(town.people[0])
    over = await phone.http.post(f"/v1/recoveries/{recovery.id}/take", headers=phone.headers)
    assert over.json()["type"] == "urn:yingwei:problem:recovery-over"


@pytest.mark.parametrize(
    ("how", "cause", "state", "pool", "counted"),
    [
        ("write-off", "customer_lost_it", "written_off", Pool.LOST, 1),
        ("keep", "service_goes_on", "cancelled", Pool.CUSTOMER, 0),
    ],
)
async def test_a_supervisor_settles_what_does_not_come_back(
    town, tx, pickup, how, cause, state, pool, counted
):
    boss = await town.headers(Role.SUPERVISOR)
    (row,) = (await town.http.get("/v1/recoveries", headers=boss)).json()["items"]
    url = f"/v1/due-backs/{row['terminals'][0]['id']}/{how}"
    for _ in range(2):
        answer = await town.http.post(url, json={"cause": cause}, headers=boss)
        assert answer.status_code == 200, answer.text
    assert answer.json()["terminals"][0]["state"] == state
    other = {"cause": "destroyed" if how == "write-off" else "sold"}
    answer = await town.http.post(url, json=other, headers=boss)
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:yingwei:problem:not-due-back")
    terminal = await tx.scalar(
        select(Terminal)
        .where(Terminal.serial_number == "ONT1")
        .execution_options(populate_existing=True)
    )
    assert terminal.pool is pool
    recovery, order = await town.pickup()
    assert (recovery.closed_at is not None, order.state) == (True, State.CANCELLED)
    params = {"since": "2026-03-01", "until": "2026-03-31"}
    rates = (await town.http.get("/v1/recovery-rates", params=params, headers=boss)).json()
    assert rates["items"][0]["recovery_rate"]["denominator"] == counted
    assert (await town.http.get("/v1/recoveries", headers=boss)).json()["items"] == []
    found = await town.http.get("/v1/recoveries?closed_too=true", headers=boss)
    assert len(found.json()["items"]) == 1


async def test_an_order_that_somebody_has_cancelled_is_not_made_again(town, tx, clock, pickup):
    _, order = pickup
    boss = await town.headers(Role.SUPERVISOR)
    body = {"reason": "customer_withdrew"}
    await town.http.post(f"/v1/work-orders/{order.id}/cancel", json=body, headers=boss)
    await town.look_around()
    assert (await tx.scalar(select(func.count()).select_from(WorkOrder))) == 1
    # What becomes due afterwards is fetched, and what was left with it.
    await town.terminal("BOX1", BOX)
    await town.ask(await town.headers(Role.INTEGRATION), external_id="R-2")
    await town.look_around()
    recovery, second = await town.pickup()
    assert (second.state, recovery.orders) == (State.ASSIGNED, 2)
    assert second.summary == "上门回收终端：光猫×1、机顶盒×1"
