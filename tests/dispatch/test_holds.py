"""A slot held, confirmed, released or left to expire over HTTP; orders taken in with a hold."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch import jobs
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import HoldState
from app.grids.rules import MembershipKind
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from tests.dispatch.appointing import Desk, at
from tests.make.counting import counted
from tests.make.dispatch import make_territory, ndjson, order
from tests.make.slots import holding, make_slots, search

TUESDAY = date(2026, 3, 3)


@pytest.fixture
async def land(tx):
    """A grid whose primary has room for two visits of an hour a day."""
    land = await make_territory(tx, grids=2)
    await land.add_technician(land.grids[0], daily_minutes=150)
    await make_slots(tx)
    return land


@pytest.fixture
def here(land):
    return land.point_in(land.grids[0])


@pytest.fixture
def crm(app, http, land) -> Desk:
    """The upstream system."""
    return Desk(app, http, land)


@pytest.fixture
def promised(tx, land):
    """What the primary's Tuesday holds."""

    async def read(person=0):
        return await availability.promised(tx, land.people[person].id, TUESDAY)

    return read


@pytest.fixture
def taken_in(crm, here):
    """Take an install in without an appointment, for the Tuesday at the earliest."""

    async def send(number=1, **fields):
        body = order(f"F-{number}", point=here, work_type="install", **fields)
        answer = await crm.post("/work-orders", body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return send


def problem(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def test_a_held_slot_takes_its_minutes_from_the_day(crm, here, land, promised):
    held = await crm.hold(holding(here))
    assert (held["state"], held["expires_at"]) == ("held", "2026-03-02T01:10:00Z")
    assert held["technician_id"] == str(land.people[0].id)
    assert (held["begins_at"], held["ends_at"]) == ("2026-03-03T02:00:00Z", "2026-03-03T04:00:00Z")
    assert await promised() == Promised(60, 1)
    read = await crm.get(f"/appointments/holds/{held['id']}")
    assert read.json() == held


async def test_the_same_hold_again_is_the_first_and_other_content_is_refused(crm, here, promised):
    body = holding(here)
    held = await crm.hold(body)
    again = await crm.post("/appointments/holds", body)
    assert (again.status_code, again.json()) == (200, held)
    other = await crm.post("/appointments/holds", {**body, "slot": "s14"})
    assert problem(other) == "same-id-other-content"
    assert await promised() == Promised(60, 1)


async def test_what_is_held_is_free_for_nobody_else_until_it_expires(crm, here, clock, promised):
    for slot in ("s10", "s14"):
        await crm.hold(holding(here, slot=slot))
    ask = search(here, last_day="2026-03-04")
    assert (await crm.slots(ask))["03 s16"]["not_offered"] == "full"
    refused = await crm.post("/appointments/holds", holding(here, slot="s16"))
    assert (refused.status_code, problem(refused)) == (409, "slot-not-offered")
    facts = refused.json()["facts"]
    assert (facts["why"], facts["why_zh"]) == ("full", "已约满")
    assert [(one["day"], one["slot"], one["grade"]) for one in facts["alternatives"]] == [
        ("2026-03-04", "s08", "green"),
        ("2026-03-04", "s10", "green"),
        ("2026-03-04", "s14", "green"),
    ]
    clock.tick(timedelta(minutes=10))
    assert (await crm.slots(ask))["03 s16"]["not_offered"] is None
    await crm.hold(holding(here, slot="s16"))
    assert await promised() == Promised(60, 1)


async def test_orders_without_an_appointment_go_round_what_is_held(crm, here, taken_in, clock):
    await crm.hold(holding(here, slot="s10"))
    await crm.hold(holding(here, slot="s14"))
    monday = [await taken_in(number) for number in range(2)]
    assert {one["planned_day"] for one in monday} == {"2026-03-02"}
    assert (await taken_in(2))["planned_day"] == "2026-03-04"
    clock.tick(timedelta(minutes=10))
    assert (await taken_in(3))["planned_day"] == "2026-03-03"


async def test_a_released_slot_is_free_at_once(crm, here, promised):
    held = await crm.hold(holding(here))
    for _ in range(2):
        answer = await crm.post(f"/appointments/holds/{held['id']}/release")
        assert (answer.status_code, answer.json()["state"]) == (200, "released")
    assert await promised() == NOTHING
    await crm.hold(holding(here))


async def test_the_periodic_job_ends_what_is_over(
    tx, database, settings, crm, here, clock, promised
):
    held = [await crm.hold(holding(here, slot=slot)) for slot in ("s10", "s14")]
    worker = Worker(settings, clock, database)
    clock.tick(timedelta(minutes=9))
    await jobs.end_holds(worker)
    assert await promised() == Promised(120, 2)
    clock.tick(timedelta(minutes=1))
    shown = await crm.get(f"/appointments/holds/{held[0]['id']}")
    assert shown.json()["state"] == "expired"  # before any job has run
    await jobs.end_holds(worker)
    await jobs.end_holds(worker)
    assert await promised() == NOTHING
    states = await tx.scalars(select(AppointmentHold.state))
    assert set(states) == {HoldState.EXPIRED}


# --- confirmed ------------------------------------------------------------------------------------


async def test_a_confirmed_hold_is_the_orders_appointment(crm, here, land, taken_in, promised):
    placed = await taken_in()
    assert placed["planned_day"] == "2026-03-02"
    held = await crm.hold(holding(here))
    body = {"work_order_id": placed["id"]}
    for _ in range(2):
        answer = await crm.post(f"/appointments/holds/{held['id']}/confirm", body)
        assert answer.status_code == 200, answer.text
    made = answer.json()
    assert (made["state"], made["holder_id"]) == ("assigned", str(land.people[0].id))
    assert made["planned_day"] == "2026-03-03"
    assert made["appointment_from"] == "2026-03-03T02:00:00Z"
    assert made["changes"] == made["counts"] == []
    assert await promised() == Promised(60, 1)
    history = (await crm.get(f"/work-orders/{placed['id']}/history")).json()["events"]
    assert history[-1]["facts"]["appointment"]["from"] == "2026-03-03T02:00:00+00:00"
    shown = (await crm.get(f"/appointments/holds/{held['id']}")).json()
    assert (shown["state"], shown["work_order_id"]) == ("confirmed", placed["id"])
    released = await crm.post(f"/appointments/holds/{held['id']}/release")
    assert problem(released) == "hold-over"


async def test_an_order_that_nobody_had_gets_a_holder_with_its_appointment(
    crm, here, land, taken_in
):
    placed = await taken_in(skills=["fibre"])
    assert placed["state"] == "unplaced"
    await land.add_technician(land.grids[0], MembershipKind.BACKUP, skills={"fibre": 1})
    held = await crm.hold(holding(work_order_id=placed["id"]))
    answer = await crm.post(
        f"/appointments/holds/{held['id']}/confirm", {"work_order_id": placed["id"]}
    )
    assert answer.json()["holder_id"] == str(land.people[1].id)


async def test_a_second_appointment_needs_a_cause(crm, here, taken_in):
    placed = await taken_in(
        appointment_from="2026-03-03T10:00:00+08:00", appointment_until="2026-03-03T12:00:00+08:00"
    )
    held = await crm.hold(holding(here, slot="s14"))
    answer = await crm.post(
        f"/appointments/holds/{held['id']}/confirm", {"work_order_id": placed["id"]}
    )
    assert problem(answer) == "appointment-stands"


async def expired(crm, held, placed, clock):
    clock.tick(timedelta(minutes=10))
    return "hold-over"


async def released(crm, held, placed, clock):
    await crm.post(f"/appointments/holds/{held['id']}/release")
    return "hold-over"


async def used(crm, held, placed, clock):
    await crm.post(f"/appointments/holds/{held['id']}/confirm", {"work_order_id": placed["id"]})
    return "hold-over"


@pytest.mark.parametrize("happened", [expired, released, used])
async def test_a_hold_that_is_over_cannot_be_confirmed(crm, here, taken_in, clock, happened):
    placed, other = await taken_in(1), await taken_in(2)
    held = await crm.hold(holding(here))
    told = await happened(crm, held, placed, clock)
    body = {"work_order_id": other["id"]}
    answer = await crm.post(f"/appointments/holds/{held['id']}/confirm", body)
    assert (answer.status_code, problem(answer)) == (409, told)


async def test_a_hold_for_something_else_is_refused(crm, here, taken_in):
    repair = await crm.post("/work-orders", order("R-1", point=here))
    held = await crm.hold(holding(here))
    body = {"work_order_id": repair.json()["id"]}
    answer = await crm.post(f"/appointments/holds/{held['id']}/confirm", body)
    assert problem(answer) == "hold-does-not-fit"
    assert answer.json()["facts"]["differs"] == ["work_type"]


async def test_who_falls_ill_before_the_confirmation_is_replaced(tx, crm, here, land, taken_in):
    placed = await taken_in()
    held = await crm.hold(holding(here))
    await land.add_technician(land.grids[0], MembershipKind.BACKUP)
    await fall_ill(tx, land.people[0])
    answer = await crm.post(
        f"/appointments/holds/{held['id']}/confirm", {"work_order_id": placed["id"]}
    )
    assert answer.json()["holder_id"] == str(land.people[1].id)
    assert await availability.promised(tx, land.people[0].id, TUESDAY) == NOTHING


async def test_when_nobody_is_left_the_confirmation_is_refused_with_others(
    tx, crm, here, land, taken_in, promised
):
    placed = await taken_in()
    held = await crm.hold(holding(here))
    await fall_ill(tx, land.people[0])
    answer = await crm.post(
        f"/appointments/holds/{held['id']}/confirm", {"work_order_id": placed["id"]}
    )
    assert problem(answer) == "slot-not-offered"
    assert answer.json()["facts"]["why"] == "nobody_on_shift"
    assert answer.json()["facts"]["alternatives"][0]["day"] == "2026-03-04"
    assert await promised() == Promised(60, 1)  # nothing has changed, the hold runs on


async def fall_ill(tx, person):
    leave = Leave(
        technician_id=person.id,
        starts_at=at("3 00:00"),
        ends_at=at("4 00:00"),
        cause=LeaveCause.ILLNESS,
    )
    tx.add(leave)
    await tx.flush()


# --- taken in with a hold -------------------------------------------------------------------------


async def test_an_order_may_be_taken_in_with_its_hold(crm, here, land, promised):
    held = await crm.hold(holding(here))
    body = order(point=here, work_type="install", appointment_hold_id=held["id"])
    placed = (await crm.post("/work-orders", body)).json()
    assert (placed["holder_id"], placed["planned_day"]) == (str(land.people[0].id), "2026-03-03")
    assert await promised() == Promised(60, 1)
    again = await crm.post("/work-orders", body)
    assert (again.status_code, again.json()) == (200, placed)
    shown = (await crm.get(f"/work-orders/{placed['id']}/appointment")).json()
    assert shown["appointment_until"] == "2026-03-03T04:00:00Z"
    second = await crm.post("/work-orders", {**body, "external_id": "F-2"})
    assert problem(second) == "hold-over"


async def test_a_hold_keeps_its_minutes_from_other_orders_of_the_same_file(crm, here, promised):
    """The file's first orders would fill the day, if what is held for the last one were free."""
    held = await crm.hold(holding(here))
    orders = [
        order(
            f"F-{number}",
            point=here,
            work_type="install",
            appointment_from="2026-03-03T08:00:00+08:00",
            appointment_until="2026-03-03T18:00:00+08:00",
        )
        for number in range(2)
    ]
    last = order("F-9", point=here, work_type="install", appointment_hold_id=held["id"])
    headers = {**crm.headers, "content-type": "application/x-ndjson"}
    answer = await crm.http.post(
        "/v1/work-orders/bulk", content=ndjson(*orders, last), headers=headers
    )
    verdicts = [
        line.split(b'"verdict":"')[1].split(b'"')[0] for line in answer.content.splitlines()
    ]
    assert verdicts == [b"placed", b"unplaced", b"placed"]
    assert await promised() == Promised(120, 2)


@pytest.mark.parametrize("fault", ["unknown", "expired", "longer"])
async def test_an_order_whose_hold_will_not_do_is_refused(crm, here, clock, fault):
    held = await crm.hold(holding(here))
    fields = {"appointment_hold_id": held["id"]}
    told = "hold-over"
    if fault == "unknown":
        fields, told = {"appointment_hold_id": str(new_id())}, "unknown-hold"
    elif fault == "expired":
        clock.tick(timedelta(minutes=10))
    else:
        fields, told = {**fields, "estimated_minutes": 61}, "hold-does-not-fit"
    answer = await crm.post("/work-orders", order(point=here, work_type="install", **fields))
    assert problem(answer) == told


# --- others' and none -----------------------------------------------------------------------------


async def test_a_hold_of_another_unit_is_not_there(tx, app, http, crm, here):
    held = await crm.hold(holding(here))
    others = Desk(app, http, await make_territory(tx), Role.SUPERVISOR)
    for answer in (
        await others.get(f"/appointments/holds/{held['id']}"),
        await others.post(f"/appointments/holds/{held['id']}/release"),
        await others.post(
            f"/appointments/holds/{held['id']}/confirm", {"work_order_id": held["id"]}
        ),
    ):
        assert answer.status_code == 404


async def test_a_slot_that_does_not_exist_cannot_be_held(crm, here):
    answer = await crm.post("/appointments/holds", holding(here, slot="s11"))
    assert answer.status_code == 422


async def test_the_slot_of_now_is_held_and_leaves_room_for_the_rest(crm, here, promised, land, tx):
    held = await crm.hold(holding(here, slot="now", day="2026-03-02"))
    assert held["ends_at"] == "2026-03-02T02:00:00Z"
    assert await availability.promised(tx, land.people[0].id, date(2026, 3, 2)) == Promised(60, 1)


async def test_a_hold_costs_a_bounded_number_of_statements(database, crm, here, land):
    await crm.hold(holding(here))
    with counted(database) as seen:
        await crm.hold(holding(here, slot="s14"))
    assert len(seen) <= 20
