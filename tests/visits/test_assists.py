"""Two technicians on one order: one holds it and takes the steps, the other helps."""

import pytest
from sqlalchemy import func, select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.visits.jobs import end_assists
from app.visits.models import WorkAssist
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.customers import make_customer
from tests.make.technicians import make_technician
from tests.make.visits import TODAY, make_assigned_order, make_phone


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def helper(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def order(tx, phone, clock, branch):
    customer = await make_customer(tx, org_unit=branch)
    return await make_assigned_order(tx, phone.technician, customer, now=clock.now())


async def post(phone, url, **body):
    return await phone.http.post(f"/v1{url}", json=body, headers=phone.headers)


async def test_somebody_helps_with_an_order_and_is_free_again_when_it_is_done(
    tx, clock, settings, database, phone, helper, order
):
    await phone.acknowledge(order)
    url = f"/work-orders/{order.id}/assistants"
    body = {"id": str(new_id()), "technician": helper.technician.code, "minutes": 45}
    asked = await post(phone, url, **body)
    assert asked.status_code == 201, asked.text
    assert (await post(phone, url, **body)).json() == asked.json()
    assert (await post(phone, url, **{**body, "minutes": 50})).status_code == 409
    again = await post(phone, url, **{**body, "id": str(new_id())})
    assert again.json()["type"] == "urn:yingwei:problem:assists-already"
    assert await availability.promised(tx, helper.technician.id, TODAY) == Promised(45, 1)

    # It stands in the helper's day, masked until they have joined, and without steps.
    [row] = (await helper.get("/my/day")).json()["orders"]
    assert (row["id"], row["assisting"], row["allowed"]) == (str(order.id), True, [])
    assert (row["masked"], row["contact_name"]) == (True, "王**")
    context = f"/customers/{order.customer_id}/context?work_order_id={order.id}"
    assert (await helper.get(context)).status_code == 404
    assert (await post(phone, f"{url}/{body['id']}/join")).status_code == 404
    reads = select(func.count()).where(
        AuditEntry.action == "visits_join_as_assistant", AuditEntry.subject_id.is_not(None)
    )
    before = await tx.scalar(reads)
    assert (await post(helper, f"{url}/{body['id']}/join")).status_code == 200
    assert await tx.scalar(reads) == before + 1
    [row] = (await helper.get("/my/day")).json()["orders"]
    assert (row["masked"], row["contact_name"]) == (False, "王小明")
    assert (await helper.get(context)).json()["masked"] is False
    assert (await helper.get(f"/work-orders/{order.id}/visits")).status_code == 200
    # Only the holder takes steps.
    assert (
        await helper.post("/visits", id=str(new_id()), work_order_id=str(order.id))
    ).status_code == 404

    visit_id = new_id()
    await phone.post("/visits", id=str(visit_id), work_order_id=str(order.id))
    await phone.post(
        f"/visits/{visit_id}/check-in", point={"lon": 112.6, "lat": 28.9, "coordsys": "wgs84"}
    )
    await phone.complete(visit_id)
    assert (await helper.get("/my/day")).json()["orders"] == []
    worker = Worker(settings, clock, database)
    for _ in range(2):
        await end_assists(worker)
    assert await availability.promised(tx, helper.technician.id, TODAY) == NOTHING


async def test_a_supervisor_asks_and_ends_and_others_do_not_see_it(
    tx, app, http, branch, helper, order
):
    url = f"/v1/work-orders/{order.id}/assistants"
    ours = bearer(app, caller_for(Role.SUPERVISOR, branch))
    theirs = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    body = {"id": str(new_id()), "technician": str(helper.technician.id)}
    assert (await http.post(url, json=body, headers=theirs)).status_code == 404
    assert await tx.scalar(select(func.count()).select_from(WorkAssist)) == 0
    assert (await http.post(url, json=body, headers=ours)).json()["minutes"] == 60
    [shown] = (await http.get(url, headers=ours)).json()["assistants"]
    assert (shown["technician_code"], shown["joined_at"]) == (helper.technician.code, None)
    assert (await http.get(url, headers=theirs)).status_code == 404
    assert (await http.post(f"{url}/{body['id']}/end", headers=theirs)).status_code == 404
    ended = await http.post(f"{url}/{body['id']}/end", headers=ours)
    assert ended.json()["ended_at"] is not None
    assert (await http.post(f"{url}/{body['id']}/end", headers=ours)).json() == ended.json()
    assert await availability.promised(tx, helper.technician.id, TODAY) == NOTHING
    late = await post(helper, f"/work-orders/{order.id}/assistants/{body['id']}/join")
    assert late.json()["type"] == "urn:yingwei:problem:assist-ended"


async def test_who_is_not_at_work_cannot_help_and_nobody_helps_with_what_nobody_holds(
    tx, app, http, clock, branch, phone, order
):
    off = await make_technician(tx, org_unit=branch, weekdays=range(5, 7))
    body = {"id": str(new_id()), "technician": off.code}
    refused = await post(phone, f"/work-orders/{order.id}/assistants", **body)
    assert refused.json()["type"] == "urn:yingwei:problem:colleague-cannot-take"
    await phone.post(f"/work-orders/{order.id}/decline", cause="other")
    refused = await http.post(
        f"/v1/work-orders/{order.id}/assistants",
        json=body,
        headers=bearer(app, caller_for(Role.SUPERVISOR, branch)),
    )
    assert refused.json()["type"] == "urn:yingwei:problem:nothing-to-assist-with"
    assert await tx.scalar(select(func.count()).select_from(WorkAssist)) == 0
