"""Two phones and double taps, on real connections through the whole application."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import func, select

from app.core.db import new_id
from app.customers.models import Interaction
from app.visits.models import Visit
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.acceptance import code_on_telephone
from tests.make.customers import make_customer
from tests.make.pools import with_connections
from tests.make.visits import LAT, LON, TODAY, at, make_assigned_order, make_phone


@pytest.fixture
async def phone(real_database, real_app, real_http, clock):
    async with real_database.begin() as tx:
        return await make_phone(tx, real_app, real_http, clock)


async def made(real_database, phone, clock, **fields):
    async with real_database.begin() as tx:
        customer = await make_customer(tx)
        return await make_assigned_order(tx, phone.technician, customer, now=clock.now(), **fields)


async def at_once(*calls):
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(call) for call in calls]
    return [task.result() for task in tasks]


async def count(database, kind, *where):
    async with database.read() as read:
        return await read.scalar(select(func.count()).select_from(kind).where(*where))


async def test_a_double_tap_takes_each_step_once(real_database, phone, clock):
    order = await made(real_database, phone, clock)
    visit_id = str(new_id())
    walk: list[tuple[str, dict[str, Any]]] = [
        (f"/work-orders/{order.id}/acknowledge", {}),
        ("/visits", {"id": visit_id, "work_order_id": str(order.id)}),
        (f"/visits/{visit_id}/check-in", {"point": at(LON, LAT)}),
        (f"/visits/{visit_id}/restored", {}),
        (f"/visits/{visit_id}/complete", {"outcome_code": "fixed"}),
    ]
    for url, body in walk:
        answers = await at_once(*(phone.post(url, **body) for _ in range(4)))
        assert {answer.status_code for answer in answers} <= {200, 201}, answers[0].text
        assert len({answer.text for answer in answers}) == 1
    taken = WorkOrderEvent.work_order_id == order.id
    assert await count(real_database, WorkOrderEvent, taken) == 1 + len(walk)
    assert await count(real_database, Interaction) == 1
    assert await count(real_database, Visit) == 1


async def test_two_phones_of_one_technician_set_out_for_two_orders(real_database, phone, clock):
    orders = [await made(real_database, phone, clock) for _ in range(2)]
    for order in orders:
        await phone.acknowledge(order)
    answers = await at_once(
        *(phone.post("/visits", id=str(new_id()), work_order_id=str(order.id)) for order in orders)
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["type"] == "urn:yingwei:problem:one-order-at-a-time"
    assert await count(real_database, Visit) == 1


async def test_one_id_for_two_orders_at_once_stands_for_one(
    real_database, real_app, real_http, phone, clock
):
    async with real_database.begin() as tx:
        other = await make_phone(tx, real_app, real_http, clock)
    first = await made(real_database, phone, clock)
    second = await made(real_database, other, clock)
    await phone.acknowledge(first)
    await other.acknowledge(second)
    visit_id = str(new_id())
    answers = await at_once(
        phone.post("/visits", id=visit_id, work_order_id=str(first.id)),
        other.post("/visits", id=visit_id, work_order_id=str(second.id)),
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["type"] == "urn:yingwei:problem:same-id-other-content"
    assert await count(real_database, WorkOrder, WorkOrder.state == State.EN_ROUTE) == 1


async def test_acknowledging_and_declining_at_once_only_one_happens(real_database, phone, clock):
    order = await made(real_database, phone, clock)
    answers = await at_once(
        phone.post(f"/work-orders/{order.id}/acknowledge"),
        phone.post(f"/work-orders/{order.id}/decline", cause="no_time"),
    )
    assert {answer.status_code for answer in answers} <= {200, 404, 409}
    assert sum(answer.status_code == 200 for answer in answers) == 1
    steps = WorkOrderEvent.step.in_([Step.ACKNOWLEDGE, Step.DECLINE])
    assert await count(real_database, WorkOrderEvent, steps) == 1


async def test_a_dispatcher_and_the_technician_at_once(
    real_database, real_app, real_http, phone, clock
):
    """Reassigned while the technician sets out: whoever comes second meets the first."""
    async with real_database.begin() as tx:
        other = await make_phone(tx, real_app, real_http, clock)
    order = await made(real_database, phone, clock)
    await phone.acknowledge(order)
    async with real_database.begin() as tx:
        held = await tx.get_one(WorkOrder, order.id, with_for_update=True)
        setting_out = asyncio.create_task(
            phone.post("/visits", id=str(new_id()), work_order_id=str(order.id))
        )
        await take_step(
            tx,
            held,
            Step.ASSIGN,
            now=clock.now(),
            holder_id=other.technician.id,
            planned_day=TODAY,
        )
    assert (await setting_out).status_code == 404
    assert await count(real_database, Visit) == 0
    await other.acknowledge(order)


async def test_a_morning_of_phones_does_not_wait_for_itself(
    real_database, real_app, real_http, settings, clock
):
    """More phones than connections, at a process that has just begun: nobody who reads the day, or
    tells the customer's code, holds a connection and waits for another."""
    async with real_database.begin() as tx:
        phones = [await make_phone(tx, real_app, real_http, clock) for _ in range(6)]
    codes = []
    for phone in phones:
        visit_id = await phone.restore(await made(real_database, phone, clock))
        url = f"/v1/visits/{visit_id}/acceptance-code"
        await real_http.post(url, json={"id": str(new_id())}, headers=phone.headers)
        async with real_database.read() as read:
            codes.append((visit_id, await code_on_telephone(read, visit_id)))
    async with with_connections(2, real_database, settings, clock) as http:
        for phone in phones:
            phone.http = http
        days = await at_once(*(phone.get("/my/day") for phone in phones))
        assert [one.status_code for one in days] == [200] * 6
        for phone in phones:
            phone.headers = {**phone.headers, "idempotency-key": str(new_id())}
        done = await at_once(
            *(
                phone.post(
                    f"/visits/{visit_id}/complete", outcome_code="fixed", acceptance_code=code
                )
                for phone, (visit_id, code) in zip(phones, codes, strict=True)
            )
        )
        assert [one.status_code for one in done] == [200] * 6
