"""An order that its holder passes on to a colleague of the same branch."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.dispatch.models import DispatchPin
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from app.visits.models import Visit
from app.workorders.models import WorkOrder, WorkOrderEvent
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order, make_phone, taken

TODAY = date(2026, 3, 2)


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def other(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def order(tx, phone, clock):
    return await make_assigned_order(tx, phone.technician, now=clock.now())


async def test_an_order_is_passed_on_at_the_door_and_the_visit_ends(
    tx, app, http, clock, branch, phone, other, order
):
    visit_id = await phone.arrive(order)
    body = {"to": other.technician.code, "cause": "wrong_skill", "note": "需高空作业"}
    answer = taken(await phone.post(f"/work-orders/{order.id}/transfer", **body))
    assert (answer["step"], answer["state"], answer["allowed"]) == ("transfer", "assigned", [])
    # The same again, also when the colleague has gone on with it.
    await other.acknowledge(order)
    assert taken(await phone.post(f"/work-orders/{order.id}/transfer", **body)) == answer
    visit = await tx.get_one(Visit, visit_id, populate_existing=True)
    assert (visit.outcome, visit.outcome_code, visit.note) == (
        "handed_over",
        "wrong_skill",
        "需高空作业",
    )
    found = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    assert (found.holder_id, found.state) == (other.technician.id, "acknowledged")
    assert await availability.promised(tx, phone.technician.id, TODAY) == NOTHING
    assert await availability.promised(tx, other.technician.id, TODAY) == Promised(60, 1)
    assert (await tx.get_one(DispatchPin, order.id)).technician_id == other.technician.id
    seen = (await other.get(f"/work-orders/{order.id}/visits")).json()["visits"]
    assert [one["outcome"] for one in seen] == ["handed_over"]
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch))
    why = (await http.get(f"/v1/work-orders/{order.id}/decision", headers=headers)).json()
    assert (why["reason"], why["reason_words"]["zh"]) == ("passed_on", "由同事转来")


async def test_an_order_that_was_not_begun_is_passed_on_and_undone_by_passing_it_back(
    tx, phone, other, order, clock
):
    taken(
        await phone.post(
            f"/work-orders/{order.id}/transfer", to=str(other.technician.id), cause="nearer"
        )
    )
    clock.tick(timedelta(minutes=1))
    taken(
        await other.post(
            f"/work-orders/{order.id}/transfer", to=phone.technician.code, cause="no_time"
        )
    )
    found = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    assert found.holder_id == phone.technician.id
    assert await availability.promised(tx, other.technician.id, TODAY) == NOTHING


@pytest.mark.parametrize(
    ("who", "problem", "why"),
    [
        ("unskilled", "colleague-cannot-take", "no_skill"),
        ("off", "colleague-cannot-take", "not_on_shift"),
        ("on leave", "colleague-cannot-take", "on_leave"),
        ("inactive", "unknown-colleague", None),
        ("elsewhere", "unknown-colleague", None),
        ("oneself", "unknown-colleague", None),
    ],
)
async def test_who_cannot_take_it_is_refused_with_the_reason_and_nothing_is_written(
    tx, clock, branch, phone, who, problem, why
):
    given = {"org_unit": branch, "skills": {} if who == "unskilled" else {"fibre": 3}}
    if who == "off":
        given["weekdays"] = range(5, 7)
    if who == "inactive":
        given["active"] = False
    if who == "elsewhere":
        given["org_unit"] = await make_org_unit(tx)
    colleague = phone.technician if who == "oneself" else await make_technician(tx, **given)
    if who == "on leave":
        tx.add(
            Leave(
                technician_id=colleague.id,
                starts_at=clock.now() - timedelta(hours=2),
                ends_at=clock.now() + timedelta(hours=12),
                cause=LeaveCause.ILLNESS,
            )
        )
        await tx.flush()
    order = await make_assigned_order(
        tx, phone.technician, now=clock.now(), skills=["fibre"], external_id="F-9"
    )
    events = select(func.count()).select_from(WorkOrderEvent)
    before = await tx.scalar(events)
    answer = await phone.post(
        f"/work-orders/{order.id}/transfer", to=colleague.code, cause="off_duty"
    )
    assert answer.status_code == (409 if why else 422)
    assert answer.json()["type"] == f"urn:yingwei:problem:{problem}"
    if why:
        assert answer.json()["facts"]["why"] == why
    found = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    assert (found.holder_id, await tx.scalar(events)) == (phone.technician.id, before)


async def test_colleagues_are_listed_with_their_time_and_why_not(
    tx, clock, branch, phone, other, order
):
    await make_assigned_order(tx, other.technician, now=clock.now(), estimated_minutes=120)
    free = await make_technician(tx, org_unit=branch, name="周强")
    off = await make_technician(tx, org_unit=branch, weekdays=range(5, 7))
    answer = await phone.get(f"/work-orders/{order.id}/colleagues", **{"accept-language": "zh"})
    rows = answer.json()["colleagues"]
    assert [(one["code"], one["can_take"]) for one in rows] == [
        (free.code, True),
        (other.technician.code, True),
        (off.code, False),
    ]
    assert rows[0]["free_minutes"] > rows[1]["free_minutes"] > 0
    assert (rows[2]["why_not"], rows[2]["why_not_words"]) == ("not_on_shift", "不当班")
    assert (await other.get(f"/work-orders/{order.id}/colleagues")).status_code == 404
    assert (
        await other.post(f"/work-orders/{order.id}/transfer", to="T", cause="other")
    ).status_code == 404
