"""What was done too late for an order is known to whoever has to do with it now, and what was sent
only to whom its customer is shown: a phone that follows knows the same as one that begins anew."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app.auth.models import AuditEntry
from app.core.db import new_id
from app.sync.service import turning
from app.sync.service.reading import ACTIONS_SHOWN
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.auth import make_org_unit
from tests.make.customers import make_customer
from tests.make.visits import TODAY, make_assigned_order, make_phone
from tests.sync.stores import Store

NOTE = "门禁密码 4711"


@pytest.fixture
async def phones(real_database, real_app, real_http, clock):
    """Whose order it was, who has it by now, who is asked to help, and one more."""
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx)
        return [await make_phone(tx, real_app, real_http, clock, org_unit=unit) for _ in "1234"]


@pytest.fixture
async def order(real_database, phones, clock):
    """An order that has gone from the first to the second, who has not taken it on yet."""
    first, second, *_ = phones
    async with real_database.begin() as tx:
        customer = await make_customer(tx, org_unit_id=first.technician.org_unit_id)
        order = await make_assigned_order(tx, first.technician, customer, now=clock.now())
    await given_to(real_database, second, order, clock)
    return order


async def given_to(database, phone, order, clock) -> None:
    async with database.begin() as tx:
        known = await tx.get_one(WorkOrder, order.id)
        to = {"holder_id": phone.technician.id, "planned_day": TODAY}
        await take_step(tx, known, Step.ASSIGN, now=clock.now(), **to)


async def completes(phone, order, clock) -> str:
    """Let a phone tell late that it has completed an order; return the action's id."""
    at = {"device_at": clock.now().isoformat()}
    visit_id = str(new_id())
    done = [
        {"type": "visits_set_out", "payload": {"id": visit_id, "work_order_id": str(order.id)}},
        {
            "type": "visits_complete",
            "payload": {"visit_id": visit_id, "outcome_code": "fixed", "note": NOTE},
        },
    ]
    actions = [{"id": str(new_id()), **at, **one} for one in done]
    changes = {"actions": {"created": actions, "updated": [], "deleted": []}}
    answer = await phone.http.post("/v1/sync", json={"changes": changes}, headers=phone.headers)
    told = answer.json()["verdicts"][-1]
    assert (told["verdict"], told["judgement"]) == ("conflict", "before"), told
    return str(actions[-1]["id"])


async def asked_to_help(phone, other, order) -> str:
    """Let a technician ask another to help with an order; return the path of that."""
    path = f"/v1/work-orders/{order.id}/assistants"
    body = {"id": str(new_id()), "technician": other.technician.code, "minutes": 30}
    answer = await phone.http.post(path, json=body, headers=phone.headers)
    assert answer.status_code == 201, answer.text
    return f"{path}/{body['id']}"


async def knows(store: Store) -> dict[str, Any]:
    """Let a phone pull what is new, and give the actions of others that it knows by then, the same
    as a phone that begins anew."""
    await store.pull()
    fresh = Store(store.phone)
    await fresh.pull()
    known = [{name: rows for name, rows in one.tables.items() if rows} for one in (store, fresh)]
    assert known[0] == known[1]
    return {one["id"]: one for one in store["actions"].values() if not one["own"]}


async def said_to(store: Store, done: str) -> str | None:
    """Give what a phone is told that was sent."""
    said: str | None = (await knows(store))[done]["payload"]
    return said


async def reads_of(database, done: str) -> int:
    """Count how often it was shown to somebody what was sent, by the audit trail."""
    async with database.read() as read:
        entries = await read.scalars(select(AuditEntry).where(AuditEntry.purpose.is_not(None)))
        return sum(f"action:{done}" in (one.fields or ()) for one in entries)


async def test_who_helps_is_told_too_and_what_was_sent_is_for_whom_the_customer_is_shown(
    real_database, phones, order, clock
):
    first, second, third, _ = phones
    has_it, helps = Store(second, tags=True), Store(third, tags=True)
    help_path = await asked_to_help(second, third, order)
    assert await knows(has_it) == await knows(helps) == {}
    done = await completes(first, order, clock)
    for store in (has_it, helps):
        seen = (await knows(store))[done]
        assert (seen["verdict"], seen["judgement"]) == ("conflict", "before")
        assert (seen["technician_name"], seen["payload"]) == (first.technician.name, None)
    assert await reads_of(real_database, done) == 0

    # From acknowledging and from joining on the customer is shown, and this with them.
    await second.acknowledge(order)
    assert NOTE in (await said_to(has_it, done) or "")
    assert await said_to(helps, done) is None
    assert await reads_of(real_database, done) == 2  # to the phone that follows, and to a fresh one
    await third.http.post(f"{help_path}/join", json={}, headers=third.headers)
    assert NOTE in (await said_to(helps, done) or "")
    ended = await second.http.post(f"{help_path}/end", json={}, headers=second.headers)
    assert ended.status_code == 200, ended.text
    assert await knows(helps) == {}

    # It leaves with the customer: after the grace, and with the order at last.
    await second.complete(await second.restore(order))
    assert NOTE in (await said_to(has_it, done) or "")
    for passes, told in ((timedelta(hours=3), {done: None}), (timedelta(days=3), {})):
        async with real_database.begin() as tx:
            await turning.turn(tx, clock.now())
        clock.tick(passes)
        async with real_database.begin() as tx:
            await turning.turn(tx, clock.now())
        assert {key: one["payload"] for key, one in (await knows(has_it)).items()} == told


async def test_it_goes_with_the_order_and_leaves_everybody_in_the_end(
    real_database, phones, order, clock
):
    first, second, third, fourth = phones
    had_it, helps, has_it = (Store(one, tags=True) for one in (second, third, fourth))
    await second.acknowledge(order)
    done = await completes(first, order, clock)
    assert NOTE in (await said_to(had_it, done) or "")
    await given_to(real_database, fourth, order, clock)
    await asked_to_help(fourth, third, order)
    assert await knows(had_it) == {}
    assert await said_to(has_it, done) is None
    assert await said_to(helps, done) is None
    async with real_database.begin() as tx:
        await turning.turn(tx, clock.now())
    clock.tick(ACTIONS_SHOWN + timedelta(minutes=1))
    async with real_database.begin() as tx:
        await turning.turn(tx, clock.now())
    for store in (had_it, helps, has_it):
        assert await knows(store) == {}
