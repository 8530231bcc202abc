"""Appointments moved over HTTP: with a cause, never without the customer, and how often."""

from datetime import date, datetime, timedelta

import pytest

from app.auth.rules import Role
from app.grids.rules import MembershipKind
from app.promises.rules import ProofKind, StopCause
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.workorders import queries
from app.workorders.rules import Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.dispatch.appointing import Desk
from tests.make.dispatch import make_territory, order
from tests.make.promises import make_stop_rule
from tests.make.slots import holding, make_slots
from tests.make.workorders import make_promise

TUESDAY, WEDNESDAY = date(2026, 3, 3), date(2026, 3, 4)


@pytest.fixture
async def land(tx):
    """A grid with a primary, who has room for one visit a day, and a backup."""
    land = await make_territory(tx)
    await land.add_technician(land.grids[0], daily_minutes=80)
    await land.add_technician(land.grids[0], MembershipKind.BACKUP)
    await make_slots(tx)
    return land


@pytest.fixture
def crm(app, http, land) -> Desk:
    return Desk(app, http, land)


@pytest.fixture
def boss(app, http, land) -> Desk:
    return Desk(app, http, land, Role.SUPERVISOR)


@pytest.fixture
async def promised(tx):
    """An install is promised within three days; the customer's own wishes stop that clock."""
    await make_promise(tx, work_type=WorkType.INSTALL, cut_off=None, hours_after=72.0)
    await make_stop_rule(tx, StopCause.CUSTOMER_REQUEST, ProofKind.APPOINTMENT)


@pytest.fixture
async def placed(crm, land):
    """An install with an appointment on Tuesday from ten to twelve, which the primary has."""
    body = order(
        point=land.point_in(land.grids[0]),
        work_type="install",
        appointment_from="2026-03-03T10:00:00+08:00",
        appointment_until="2026-03-03T12:00:00+08:00",
    )
    return (await crm.post("/work-orders", body)).json()


@pytest.fixture
def move(placed):
    """Hold a slot for the order and move its appointment there."""

    async def do(desk, slot="s14", day="2026-03-03", **fields):
        held = await desk.hold(holding(work_order_id=placed["id"], slot=slot, day=day))
        body = {
            "hold_id": held["id"],
            "cause": "customer_request",
            "agreed_with_customer": True,
            **fields,
        }
        return await desk.post(f"/work-orders/{placed['id']}/reschedule", body)

    return do


def problem(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def test_the_holder_keeps_it_on_the_same_full_day(tx, crm, land, placed, move):
    """The primary's day has room for this order alone, which makes room for itself."""
    assert placed["holder_id"] == str(land.people[0].id)
    answer = await move(crm)
    assert answer.status_code == 200, answer.text
    moved = answer.json()
    assert (moved["holder_id"], moved["planned_day"]) == (placed["holder_id"], "2026-03-03")
    assert moved["appointment_from"] == "2026-03-03T06:00:00Z"
    assert await availability.promised(tx, land.people[0].id, TUESDAY) == Promised(60, 1)


async def test_another_day_takes_the_minutes_along(tx, crm, land, placed, move):
    moved = (await move(crm, day="2026-03-04")).json()
    assert (moved["holder_id"], moved["planned_day"]) == (placed["holder_id"], "2026-03-04")
    assert await availability.promised(tx, land.people[0].id, TUESDAY) == NOTHING
    assert await availability.promised(tx, land.people[0].id, WEDNESDAY) == Promised(60, 1)


async def test_when_the_holder_cannot_somebody_else_does(tx, crm, land, placed, move):
    blocking = order(
        "F-2",
        point=land.point_in(land.grids[0]),
        appointment_from="2026-03-04T08:00:00+08:00",
        appointment_until="2026-03-04T10:00:00+08:00",
    )
    await crm.post("/work-orders", blocking)
    moved = (await move(crm, day="2026-03-04")).json()
    assert moved["holder_id"] == str(land.people[1].id)
    assert moved["changes"][0]["technician_before_id"] == placed["holder_id"]
    assert moved["changes"][0]["technician_id"] == str(land.people[1].id)


async def test_the_event_tells_what_was_and_what_is(boss, placed, move):
    await move(boss, cause="weather", note="台风")
    history = (await boss.get(f"/work-orders/{placed['id']}/history")).json()["events"]
    told = history[-1]
    assert (told["step"], told["reason"]) == ("assign", "台风")
    assert told["account_id"] is not None
    assert told["facts"]["cause"] == "weather"
    assert told["facts"]["fault"] == "outside"
    assert told["facts"]["before"]["from"] == "2026-03-03T02:00:00+00:00"
    assert told["facts"]["appointment"]["from"] == "2026-03-03T06:00:00+00:00"
    shown = (await boss.get(f"/work-orders/{placed['id']}/appointment")).json()
    assert shown["counts"] == [{"cause": "weather", "times": 1}]
    [change] = shown["changes"]
    assert (change["before_from"], change["after_from"]) == (
        "2026-03-03T02:00:00Z",
        "2026-03-03T06:00:00Z",
    )
    assert change["cause_words"] == {"zh": "天气原因", "en": "the weather"}


async def test_the_operators_own_fault_moves_it_once(crm, boss, move):
    assert (await move(crm, "s14", cause="network_fault")).status_code == 200
    refused = await move(crm, "s16", cause="resource_missing", override=True, note="no port")
    assert (refused.status_code, problem(refused)) == (409, "rescheduled-too-often")
    assert refused.json()["facts"] == {"times": 1, "most": 1}
    assert problem(await move(boss, "s16", cause="network_fault")) == "rescheduled-too-often"
    insisted = await move(boss, "s16", cause="network_fault", override=True, note="cut again")
    assert insisted.status_code == 200
    assert [one["overridden"] for one in insisted.json()["changes"]] == [False, True]
    assert insisted.json()["counts"] == [{"cause": "network_fault", "times": 2}]


async def test_the_customer_may_move_it_as_often_as_they_like(crm, move):
    for slot in ("s14", "s16", "s08"):
        answer = await move(crm, slot)
    assert answer.json()["counts"] == [{"cause": "customer_request", "times": 3}]


async def test_never_without_the_customer(crm, placed, move):
    answer = await move(crm, agreed_with_customer=False)
    assert (answer.status_code, problem(answer)) == (422, "customer-not-asked")
    shown = (await crm.get(f"/work-orders/{placed['id']}/appointment")).json()
    assert shown["appointment_from"] == "2026-03-03T02:00:00Z"


async def test_an_order_has_one_hold_at_a_time(tx, crm, land, placed):
    held = [
        await crm.hold(holding(work_order_id=placed["id"], slot=slot, day="2026-03-04"))
        for slot in ("s10", "s14", "s16")
    ]
    shown = [(await crm.get(f"/appointments/holds/{one['id']}")).json() for one in held]
    assert [one["state"] for one in shown] == ["released", "released", "held"]
    assert {one["technician_id"] for one in shown} == {placed["holder_id"]}
    assert await availability.promised(tx, land.people[0].id, WEDNESDAY) == Promised(60, 1)


async def test_sent_again_it_counts_once(crm, placed):
    held = await crm.hold(holding(work_order_id=placed["id"], slot="s14"))
    body = {"hold_id": held["id"], "cause": "weather", "agreed_with_customer": True}
    first = await crm.post(f"/work-orders/{placed['id']}/reschedule", body)
    again = await crm.post(f"/work-orders/{placed['id']}/reschedule", body)
    assert first.json() == again.json()


async def test_an_order_under_way_is_not_moved(tx, crm, placed, move, clock):
    row = await queries.for_change(tx, placed["id"])
    for step in (Step.ACKNOWLEDGE, Step.TRAVEL):
        await take_step(tx, row, step, now=clock.now())
    assert problem(await move(crm)) == "step-refused"


async def test_an_order_without_an_appointment_has_nothing_to_move(crm, land):
    placed = await crm.post(
        "/work-orders", order("F-7", point=land.point_in(land.grids[0]), work_type="install")
    )
    held = await crm.hold(holding(work_order_id=placed.json()["id"]))
    answer = await crm.post(
        f"/work-orders/{placed.json()['id']}/reschedule",
        {"hold_id": held["id"], "cause": "weather", "agreed_with_customer": True},
    )
    assert problem(answer) == "no-appointment"


async def test_an_order_of_another_unit_is_not_there(tx, app, http, placed):
    others = Desk(app, http, await make_territory(tx), Role.SUPERVISOR)
    body = {"hold_id": placed["id"], "cause": "weather", "agreed_with_customer": True}
    for answer in (
        await others.post(f"/work-orders/{placed['id']}/reschedule", body),
        await others.get(f"/work-orders/{placed['id']}/appointment"),
        await others.post("/appointments/holds", holding(work_order_id=placed["id"])),
    ):
        assert answer.status_code == 404


async def test_what_the_customer_moves_moves_what_is_promised(crm, promised, placed, move):
    due = datetime.fromisoformat(placed["due_at"])
    moved = (await move(crm, day="2026-03-04")).json()
    # From ten on Tuesday to two on Wednesday: until ten nobody would have come anyway.
    assert datetime.fromisoformat(moved["due_at"]) == due + timedelta(hours=28)
    # It comes forward again, and what was given is taken back.
    moved = (await move(crm, slot="s16", day="2026-03-03")).json()
    assert datetime.fromisoformat(moved["due_at"]) == due + timedelta(hours=6)


async def test_the_operators_fault_moves_the_appointment_and_not_the_promise(
    boss, promised, placed, move
):
    moved = (await move(boss, day="2026-03-04", cause="network_fault")).json()
    assert moved["due_at"] == placed["due_at"]
    events = (await boss.get(f"/work-orders/{placed['id']}/history")).json()["events"]
    assert events[-1]["facts"]["clock"] == "runs"
