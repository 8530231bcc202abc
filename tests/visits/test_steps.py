"""A technician's steps over HTTP: a whole visit, each refusal, and what a lost answer leads to."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.geo import CoordSys, from_wgs84
from app.customers.models import Interaction
from app.technicians.models import TechnicianDay
from app.visits.models import Visit
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.customers import make_customer
from tests.make.visits import LAT, LON, TODAY, at, make_assigned_order, make_phone


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def customer(tx, branch):
    return await make_customer(tx, org_unit=branch)


@pytest.fixture
async def order(tx, phone, customer, clock):
    return await make_assigned_order(tx, phone.technician, customer, now=clock.now())


async def seen(tx, kind, key):
    return await tx.get(kind, key, populate_existing=True)


async def events(tx, order):
    rows = await tx.scalars(
        select(WorkOrderEvent)
        .where(WorkOrderEvent.work_order_id == order.id)
        .order_by(WorkOrderEvent.id)
    )
    return list(rows)


# --- a whole visit --------------------------------------------------------------------------------


async def test_a_repair_from_acknowledging_to_leaving(tx, phone, order, customer, clock):
    minutes = await seen(tx, TechnicianDay, (phone.technician.id, TODAY))
    assert (minutes.committed_minutes, minutes.orders) == (60, 1)
    answer = await phone.acknowledge(order)
    assert answer["state"] == "acknowledged"
    assert answer["allowed"] == ["travel", "hand_back", "transfer"]
    visit_id = str(new_id())
    answer = (await phone.post("/visits", id=visit_id, work_order_id=str(order.id))).json()
    assert (answer["visit_id"], answer["state"]) == (visit_id, "en_route")
    clock.tick(timedelta(minutes=20))
    answer = (
        await phone.post(f"/visits/{visit_id}/check-in", point=at(LON, LAT + 0.001), accuracy_m=12)
    ).json()
    assert answer["state"] == "on_site"
    assert answer["distance_m"] == pytest.approx(111.2, abs=0.1)
    assert answer["far"] is False
    answer = (
        await phone.post(
            f"/visits/{visit_id}/suspend",
            cause="customer_absent",
            resume_at=(clock.now() + timedelta(hours=1)).isoformat(),
        )
    ).json()
    assert (answer["state"], answer["reason"]) == ("suspended", "customer_absent")
    clock.tick(timedelta(hours=1))
    assert (await phone.post(f"/visits/{visit_id}/resume")).json()["state"] == "on_site"
    answer = (await phone.post(f"/visits/{visit_id}/restored")).json()
    assert answer["allowed"] == ["suspend", "restore", "complete", "hand_back", "transfer"]
    restored_at = clock.now()
    clock.tick(timedelta(minutes=5))
    answer = (
        await phone.post(
            f"/visits/{visit_id}/complete",
            outcome_code="fixed",
            measurements={"optical_rx_power_dbm": -19.4},
            note="更换光猫",
        )
    ).json()
    assert (answer["state"], answer["allowed"]) == ("completed", [])

    visit = await seen(tx, Visit, visit_id)
    assert (visit.outcome, visit.outcome_code) == ("completed", "fixed")
    assert visit.check_in_distance_m == pytest.approx(111.2, abs=0.1)
    assert (visit.checked_in_at, visit.check_in_accuracy_m, visit.far_reason) == (
        clock.now() - timedelta(hours=1, minutes=5),
        12.0,
        None,
    )
    assert (visit.restored_at, visit.ended_at) == (restored_at, clock.now())
    assert (visit.suspend_cause, visit.resume_at) == (None, None)
    assert visit.measurements == {"optical_rx_power_dbm": -19.4}
    done = await seen(tx, WorkOrder, order.id)
    assert (done.completed_at, done.outcome_code, done.restored_at) == (
        clock.now(),
        "fixed",
        restored_at,
    )
    # The minutes are free again, and the visit is a service contact of the customer.
    minutes = await seen(tx, TechnicianDay, (phone.technician.id, TODAY))
    assert (minutes.committed_minutes, minutes.orders) == (0, 0)
    contact = (await tx.scalars(select(Interaction))).one()
    assert (contact.customer_id, contact.kind, contact.subject, contact.outcome) == (
        customer.id,
        "service",
        "repair",
        "fixed",
    )
    assert (contact.technician_id, contact.work_order_id) == (phone.technician.id, order.id)
    assert [event.step for event in await events(tx, order)] == [
        "assign",
        "acknowledge",
        "travel",
        "check_in",
        "suspend",
        "resume",
        "restore",
        "complete",
    ]


async def test_the_phones_time_is_kept_beside_the_servers(tx, phone, order, clock):
    wrong = clock.now() - timedelta(hours=2)
    answer = await phone.post(f"/work-orders/{order.id}/acknowledge", device_at=wrong.isoformat())
    assert answer.status_code == 200
    event = (await events(tx, order))[-1]
    assert (event.at, event.device_at) == (clock.now(), wrong)
    assert event.technician_id == phone.technician.id
    assert event.account_id is not None


async def test_completing_a_repair_says_that_it_works_again(tx, phone, order, clock):
    visit_id = await phone.arrive(order)
    await phone.complete(visit_id, "fixed")
    assert (await seen(tx, Visit, visit_id)).restored_at == clock.now()
    assert (await seen(tx, WorkOrder, order.id)).restored_at == clock.now()


async def test_the_customers_own_equipment_restores_nothing(tx, phone, order):
    visit_id = await phone.arrive(order)
    await phone.complete(visit_id, "customer_equipment")
    assert (await seen(tx, Visit, visit_id)).restored_at is None


async def test_acknowledging_is_the_moment_the_contact_is_shown(tx, phone, order, customer):
    await phone.acknowledge(order)
    await phone.acknowledge(order)
    shown = (await tx.scalars(select(AuditEntry).where(AuditEntry.purpose.is_not(None)))).one()
    assert (shown.subject_kind, shown.subject_id) == ("customer", customer.id)
    assert shown.purpose == f"work_order:{order.id}"
    assert shown.fields == ["contact_name", "contact_phone", "service_number"]


# --- giving it up ---------------------------------------------------------------------------------


async def freed(tx):
    rows = await tx.connection()
    found = await rows.exec_driver_sql(
        "SELECT args FROM procrastinate_jobs WHERE task_name = 'workorder.freed'"
    )
    return [row.args for row in found]


async def test_declining_gives_the_order_to_somebody_else(tx, phone, order):
    answer = (await phone.post(f"/work-orders/{order.id}/decline", cause="no_time")).json()
    assert (answer["state"], answer["allowed"], answer["visit_id"]) == ("located", [], None)
    free = await seen(tx, WorkOrder, order.id)
    assert (free.state, free.holder_id, free.planned_day) == (State.LOCATED, None, None)
    assert await freed(tx) == [{"order_id": str(order.id), "declined_by": str(phone.technician.id)}]


@pytest.mark.parametrize("begun", ["acknowledge", "set_out", "arrive"])
async def test_handing_back_ends_what_has_begun(tx, phone, order, begun, clock):
    result = await getattr(phone, begun)(order)
    if begun == "acknowledge":
        url, visit_id = f"/work-orders/{order.id}/hand-back", None
    else:
        url, visit_id = f"/visits/{result}/hand-back", result
    answer = (await phone.post(url, cause="resource_missing", note="无端口")).json()
    assert (answer["state"], answer["reason"]) == ("located", "resource_missing")
    assert answer["visit_id"] == (str(visit_id) if visit_id else None)
    assert (await seen(tx, WorkOrder, order.id)).holder_id is None
    assert len(await freed(tx)) == 1
    if visit_id:
        visit = await seen(tx, Visit, visit_id)
        assert (visit.outcome, visit.outcome_code, visit.note, visit.ended_at) == (
            "handed_back",
            "resource_missing",
            "无端口",
            clock.now(),
        )


async def test_an_order_handed_back_by_its_own_doorway_ends_the_visit_too(tx, phone, order):
    visit_id = await phone.arrive(order)
    answer = await phone.post(f"/work-orders/{order.id}/hand-back", cause="wrong_skill")
    assert answer.json()["visit_id"] == str(visit_id)
    assert (await seen(tx, Visit, visit_id)).outcome == "handed_back"


async def test_a_second_visit_is_another_one(tx, phone, order, clock):
    first = await phone.arrive(order)
    await phone.post(f"/visits/{first}/hand-back", cause="customer_absent")
    back = await seen(tx, WorkOrder, order.id)
    await take_step(
        tx,
        back,
        Step.ASSIGN,
        now=clock.now(),
        holder_id=phone.technician.id,
        planned_day=TODAY,
    )
    clock.tick(timedelta(hours=1))
    second = await phone.arrive(order)
    # A step in the visit that is over does not move the order, though the order would allow it.
    late = await phone.post(f"/visits/{first}/complete", outcome_code="fixed")
    assert late.status_code == 409
    assert late.json()["type"] == "urn:yingwei:problem:visit-ended"
    assert late.json()["facts"]["outcome"] == "handed_back"
    await phone.complete(second)
    assert (await seen(tx, Visit, first)).outcome == "handed_back"


# --- sent twice -----------------------------------------------------------------------------------


STEPS = ["acknowledge", "set_out", "check-in", "suspend", "resume", "restored", "complete"]


async def test_each_step_sent_twice_is_taken_once_and_answered_alike(tx, phone, order, clock):
    visit_id = str(new_id())
    bodies: dict[str, tuple[str, dict[str, Any]]] = {
        "acknowledge": (f"/work-orders/{order.id}/acknowledge", {}),
        "set_out": ("/visits", {"id": visit_id, "work_order_id": str(order.id)}),
        "check-in": (f"/visits/{visit_id}/check-in", {"point": at(LON, LAT)}),
        "suspend": (
            f"/visits/{visit_id}/suspend",
            {"cause": "other", "resume_at": "2026-03-02T15:00:00+08:00"},
        ),
        "resume": (f"/visits/{visit_id}/resume", {}),
        "restored": (f"/visits/{visit_id}/restored", {}),
        "complete": (
            f"/visits/{visit_id}/complete",
            {"outcome_code": "fixed", "measurements": {"latency_ms": 9.5}, "note": "好了"},
        ),
    }
    sent = []
    for name in STEPS:
        url, body = bodies[name]
        body = {**body, "device_at": clock.now().isoformat()}
        first = await phone.post(url, **body)
        assert first.status_code in (200, 201), first.text
        clock.tick(timedelta(seconds=1))
        again = await phone.post(url, **body)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        # A double tap: the phone's clock has gone on by the time of the second finger.
        tapped = await phone.post(url, **{**body, "device_at": clock.now().isoformat()})
        assert (tapped.status_code, tapped.json()) == (first.status_code, first.json())
        sent.append((url, body, first))
    # Hours later, in any order, the phone still gets what it was answered at the time.
    clock.tick(timedelta(hours=5))
    for url, body, first in reversed(sent):
        again = await phone.post(url, **body)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
    taken = [event.step for event in await events(tx, order)]
    assert len(taken) == len(set(taken)) == 1 + len(STEPS)
    assert len((await tx.scalars(select(Interaction))).all()) == 1


@pytest.mark.parametrize("step", ["decline", "hand-back"])
async def test_giving_up_twice_is_answered_alike_though_somebody_else_has_it(
    tx, phone, order, step, clock, app, http, branch
):
    if step == "hand-back":
        await phone.acknowledge(order)
    sent = clock.now().isoformat()
    cause = "wrong_skill"
    url = f"/work-orders/{order.id}/{step}"
    first = await phone.post(url, cause=cause, device_at=sent)
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    moved = await seen(tx, WorkOrder, order.id)
    await take_step(
        tx,
        moved,
        Step.ASSIGN,
        now=clock.now(),
        holder_id=other.technician.id,
        planned_day=TODAY,
    )
    again = await phone.post(url, cause=cause, device_at=sent)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(await freed(tx)) == 1
    # Anything new is not theirs to do.
    clock.tick(timedelta(minutes=1))
    fresh = await phone.post(url, cause=cause)
    assert fresh.status_code == 404


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arranged", "path", "body", "state", "step", "allowed"),
    [
        (None, "/visits", {}, "assigned", "travel", ["acknowledge", "decline", "transfer"]),
        ("acknowledge", "decline", {"cause": "other"}, "acknowledged", "decline", None),
        ("set_out", "complete", {"outcome_code": "fixed"}, "en_route", "complete", None),
        ("set_out", "restored", {}, "en_route", "restore", ["check_in", "hand_back", "transfer"]),
        ("arrive", "check-in", {"point": at(LON + 0.0001, LAT)}, "on_site", "check_in", None),
        ("arrive", "resume", {}, "on_site", "resume", None),
    ],
)
async def test_a_step_out_of_turn_names_the_state_it_met(
    phone, order, clock, arranged, path, body, state, step, allowed
):
    result = await getattr(phone, arranged)(order) if arranged else None
    clock.tick(timedelta(minutes=1))
    url = {
        "/visits": "/visits",
        "decline": f"/work-orders/{order.id}/decline",
    }.get(path, f"/visits/{result}/{path}")
    if path == "/visits":
        body = {"id": str(new_id()), "work_order_id": str(order.id)}
    zh = await phone.post(url, lang="zh", **body)
    en = await phone.post(url, lang="en", **body)
    for answer in (zh, en):
        assert answer.status_code == 409
        told = answer.json()
        assert told["type"] == "urn:yingwei:problem:step-refused"
        assert (told["facts"]["state"], told["facts"]["step"]) == (state, step)
        if allowed is not None:
            assert told["facts"]["allowed"] == allowed
        assert not {"assign", "cancel", "archive"} & set(told["facts"]["allowed"])
    assert zh.json()["title"] == "工单当前状态不能执行该步骤"
    assert en.json()["title"] == "This order is not ready for that step"
    assert state in zh.json()["detail"]


async def test_only_a_repair_has_something_to_restore(tx, phone, clock):
    order = await make_assigned_order(
        tx, phone.technician, now=clock.now(), work_type=WorkType.INSTALL
    )
    visit_id = await phone.arrive(order)
    refused = await phone.post(f"/visits/{visit_id}/restored")
    assert refused.status_code == 409
    assert "restore" not in refused.json()["facts"]["allowed"]


async def test_after_the_end_a_step_meets_the_end(phone, order, clock):
    visit_id = await phone.arrive(order)
    await phone.complete(visit_id)
    clock.tick(timedelta(minutes=1))
    late: list[tuple[str, dict[str, Any]]] = [
        ("restored", {}),
        ("complete", {"outcome_code": "no_fault_found"}),
    ]
    for path, body in late:
        refused = await phone.post(f"/visits/{visit_id}/{path}", **body)
        assert refused.status_code == 409
        assert refused.json()["facts"]["state"] == "completed"
        assert refused.json()["facts"]["allowed"] == []


async def test_a_cancelled_order_says_so_at_the_door(tx, phone, order, clock):
    visit_id = await phone.arrive(order)
    held = await seen(tx, WorkOrder, order.id)
    await take_step(tx, held, Step.CANCEL, now=clock.now(), reason="customer_withdrew")
    refused = await phone.post(f"/visits/{visit_id}/complete", outcome_code="fixed")
    assert (refused.status_code, refused.json()["facts"]["state"]) == (409, "cancelled")


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_one_order_at_a_time(tx, phone, order, clock, lang):
    await phone.set_out(order)
    second = await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.acknowledge(second)
    body = {"id": str(new_id()), "work_order_id": str(second.id)}
    refused = await phone.post("/visits", lang=lang, **body)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:yingwei:problem:one-order-at-a-time"
    assert (
        refused.json()["title"] == {"zh": "一次只能处理一个工单", "en": "One order at a time"}[lang]
    )


async def test_while_one_is_suspended_another_may_be_done(tx, phone, order, clock):
    first = await phone.arrive(order)
    later = (clock.now() + timedelta(hours=2)).isoformat()
    await phone.post(f"/visits/{first}/suspend", cause="urgent_order", resume_at=later)
    second = await make_assigned_order(tx, phone.technician, now=clock.now())
    visit_id = await phone.arrive(second)
    clock.tick(timedelta(minutes=1))
    refused = await phone.post(f"/visits/{first}/resume")
    assert refused.json()["type"] == "urn:yingwei:problem:one-order-at-a-time"
    await phone.complete(visit_id)
    assert (await phone.post(f"/visits/{first}/resume")).status_code == 200


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_far_from_the_address_a_reason_is_needed_and_kept(tx, phone, order, lang):
    visit_id = await phone.set_out(order)
    url, body = f"/visits/{visit_id}/check-in", {"point": at(LON, LAT + 0.01)}
    refused = await phone.post(url, lang=lang, **body)
    assert refused.status_code == 409
    told = refused.json()
    assert told["type"] == "urn:yingwei:problem:far-from-address"
    assert told["facts"] == {"distance_m": 1112, "limit_m": 300}
    assert "1112" in told["detail"]
    answer = await phone.post(url, **body, far_reason="address_point_wrong")
    assert answer.status_code == 200
    assert answer.json()["far"] is True
    visit = await seen(tx, Visit, visit_id)
    assert visit.far_reason == "address_point_wrong"
    assert visit.check_in_distance_m == pytest.approx(1112, abs=1)


async def test_a_map_position_is_converted_before_it_is_measured(phone, order):
    # The order's address as a Chinese map shows it, some 550 m beside WGS-84.
    lon, lat = from_wgs84(LON, LAT, CoordSys.GCJ02)
    visit_id = await phone.set_out(order)
    answer = await phone.post(f"/visits/{visit_id}/check-in", point=at(lon, lat, "gcj02"))
    assert answer.json()["distance_m"] < 1


async def test_an_address_without_a_point_has_no_distance(tx, phone, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now(), point=None)
    visit_id = await phone.set_out(order)
    answer = await phone.post(f"/visits/{visit_id}/check-in", point=at(LON, LAT))
    assert (answer.json()["distance_m"], answer.json()["far"]) == (None, False)


async def test_an_id_stands_for_one_visit(tx, phone, order, clock):
    visit_id = await phone.set_out(order)
    await phone.post(f"/visits/{visit_id}/hand-back", cause="other")
    second = await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.acknowledge(second)
    refused = await phone.post("/visits", id=str(visit_id), work_order_id=str(second.id))
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:yingwei:problem:same-id-other-content"


async def test_somebody_elses_order_and_visit_are_not_there(tx, app, http, clock, phone, order):
    visit_id = await phone.arrive(order)
    other = await make_phone(tx, app, http, clock)
    waiting = await make_assigned_order(tx, phone.technician, now=clock.now())
    doorways: list[tuple[str, dict[str, Any]]] = [
        (f"/work-orders/{waiting.id}/acknowledge", {}),
        (f"/work-orders/{waiting.id}/decline", {"cause": "other"}),
        (f"/work-orders/{new_id()}/acknowledge", {}),
        ("/visits", {"id": str(new_id()), "work_order_id": str(waiting.id)}),
        (f"/visits/{visit_id}/check-in", {"point": at(LON, LAT)}),
        (f"/visits/{visit_id}/restored", {}),
        (f"/visits/{visit_id}/complete", {"outcome_code": "fixed"}),
        (f"/visits/{visit_id}/hand-back", {"cause": "other"}),
        (f"/visits/{visit_id}/suggestions", {}),
    ]
    for path, body in doorways:
        answer = await other.post(path, **body)
        assert answer.status_code == 404, path
        assert answer.json()["facts"] == {}


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("complete", {"outcome_code": "installed"}, "outcome_code"),
        ("complete", {"outcome_code": "gone_fishing"}, "outcome_code"),
        ("complete", {"outcome_code": "fixed", "measurements": {"optical": 1}}, "measurements"),
        ("suspend", {"cause": "other", "resume_at": "2026-03-02T08:00:00+08:00"}, "resume_at"),
        ("suspend", {"cause": "bored", "resume_at": "2026-03-02T12:00:00+08:00"}, "cause"),
        ("check-in", {"point": {"lon": 112.6, "lat": 28.9}}, "point.coordsys"),
        ("restored", {"device_at": "2026-03-02T08:00:00"}, "device_at"),
        ("hand-back", {"cause": "other", "state": "completed"}, "state"),
    ],
)
async def test_what_is_not_understood_is_named(phone, order, path, body, field):
    visit_id = await phone.arrive(order)
    refused = await phone.post(f"/visits/{visit_id}/{path}", **body)
    assert refused.status_code == 422
    assert refused.json()["facts"]["errors"][0]["field"].startswith(field)


async def test_an_account_that_is_no_technicians_cannot_work(tx, app, http, clock, order, branch):
    headers = bearer(app, caller_for(Role.TECHNICIAN, branch))
    body = {"device_at": clock.now().isoformat()}
    url = f"/v1/work-orders/{order.id}/acknowledge"
    assert (await http.post(url, json=body, headers=headers)).status_code == 403
    supervisor = bearer(app, caller_for(Role.SUPERVISOR, branch))
    assert (await http.post(url, json=body, headers=supervisor)).status_code == 403
