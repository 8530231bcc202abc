"""A clock that was never set, or is far ahead, stops neither the phone it is in nor any other."""

import psycopg
import pytest
from alembic import command

from app.core.db import libpq_url, new_id, open_database
from app.core.settings import Settings
from app.migrating import config, upgrade
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.conftest import assembled, http_on
from tests.make.evidence import Upload, photo
from tests.make.visits import TODAY, make_assigned_order, make_phone
from tests.sync.stores import Store

# As .NET, Java and Go write "no time" east of Greenwich, and a year of four digits that is meant to
# be none. In UTC they are of the year 1 BC and of the year 10000.
NEVER_SET, BEYOND = "0001-01-01T00:00:00+08:00", "9999-12-31T23:59:59-08:00"
ENDS = pytest.mark.parametrize("end", [NEVER_SET, BEYOND])


async def push(phone, kind, device_at, **payload):
    """Let a phone push one thing that was done; give its verdict."""
    action = {"id": str(new_id()), "type": kind, "payload": payload, "device_at": device_at}
    body = {"changes": {"actions": {"created": [action]}}, "sent_at": device_at}
    answer = await phone.http.post("/v1/sync", json=body, headers=phone.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()["verdicts"][0]


@ENDS
async def test_what_was_done_by_it_is_taken_and_told(tx, app, http, clock, end):
    phone, other = [await make_phone(tx, app, http, clock) for _ in range(2)]
    mine, gone = [
        await make_assigned_order(tx, phone.technician, now=clock.now()) for _ in range(2)
    ]
    await tx.commit()
    done = await push(phone, "visits_acknowledge", end, work_order_id=str(mine.id))
    assert done["verdict"] == "applied"
    # One that came too late is told to whoever has the order by then, with when it was done.
    visit_id = await phone.arrive(gone)
    order = await tx.get_one(WorkOrder, gone.id, populate_existing=True)
    to = other.technician.id
    await take_step(tx, order, Step.TRANSFER, now=clock.now(), holder_id=to, planned_day=TODAY)
    await tx.commit()
    late = await push(phone, "visits_complete", end, visit_id=str(visit_id), outcome_code="fixed")
    assert late["verdict"] == "conflict"
    for one in (phone, other):
        store = Store(one)
        await store.pull()
        assert late["id"] in store["actions"]


@ENDS
async def test_a_step_that_names_such_a_moment_is_refused_and_keeps_nothing_back(
    tx, app, http, clock, end
):
    phone = await make_phone(tx, app, http, clock)
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    visit_id = await phone.arrive(order)
    until = {"cause": "customer_absent", "resume_at": end}
    assert (await phone.post(f"/visits/{visit_id}/suspend", **until)).status_code == 422
    now = clock.now().isoformat()
    refused = await push(phone, "visits_suspend", now, visit_id=str(visit_id), **until)
    assert refused["verdict"] == "refused"
    for path in ("/sync", "/my/day"):
        assert (await phone.get(path)).status_code == 200


@ENDS
async def test_a_picture_of_a_camera_without_a_clock_is_taken_and_told(tx, app, http, clock, end):
    phone = await make_phone(tx, app, http, clock)
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    await phone.arrive(order)
    picture = Upload(phone, order, photo(seed=3))
    assert (await picture.announce(taken_at=end)).status_code == 201
    store = Store(phone)
    await store.pull()
    assert str(picture.id) in store["photos"]


async def test_what_was_stored_before_is_read_again_after_an_upgrade(databases, clock):
    with databases.clone() as url:
        command.downgrade(config(url), "0108")
        database = open_database(Settings(database_url=url))
        app = assembled(Settings(database_url=url), clock=clock, database=database)
        try:
            async with app.router.lifespan_context(app), http_on(app) as http:
                async with database.begin() as tx:
                    phone = await make_phone(tx, app, http, clock)
                    order = await make_assigned_order(tx, phone.technician, now=clock.now())
                visit_id = await phone.arrive(order)
                await Upload(phone, order, photo(seed=3)).announce()
                await push(phone, "visits_acknowledge", clock.now().isoformat())
                with psycopg.connect(libpq_url(url)) as connection:
                    for statement in (
                        f"UPDATE visit SET resume_at = '{BEYOND}'",
                        f"UPDATE evidence SET taken_at = '{NEVER_SET}'",
                        f"UPDATE sync_action SET device_at = '{BEYOND}', received_at = now()",
                    ):
                        connection.execute(statement)
                upgrade(url)
                assert (await phone.get("/sync")).status_code == 200
                await phone.complete(visit_id)
        finally:
            await database.close()
