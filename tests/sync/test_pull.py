"""What a phone is told when it pulls: its own rows, no more than it may see, and what has left."""

from datetime import timedelta

import orjson
import pytest
from sqlalchemy import select, text

from app.auth.models import AuditEntry, OrgUnit
from app.core.db import new_id
from app.grids.models import GridMembership
from app.sync import rules
from app.sync.rules.tables import Table
from app.sync.service import turning
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.catalog import make_offering
from tests.make.customers import make_customer
from tests.make.grids import make_grid
from tests.make.terminals import make_terminal
from tests.make.visits import TODAY, make_assigned_order, make_phone
from tests.sync.stores import Store


@pytest.fixture
async def phone(tx, app, http, clock):
    return await make_phone(tx, app, http, clock)


async def test_a_phone_follows_an_order_until_it_leaves_again(tx, phone, clock):
    customer = await make_customer(tx)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await tx.commit()
    store = Store(phone)
    await store.pull()
    row = store["work_orders"][str(order.id)]
    assert (row["state"], row["masked"], row["coordsys"]) == ("assigned", True, "gcj02")
    assert row["allowed"] == '["acknowledge","decline","transfer"]'
    assert store["customers"] == {}

    visit_id = await phone.arrive(order)
    await store.pull()
    row = store["work_orders"][str(order.id)]
    assert (row["state"], row["masked"], row["visit_id"]) == ("on_site", False, str(visit_id))
    assert store["visits"][str(visit_id)]["work_order_id"] == str(order.id)
    shown = store["customers"][str(customer.id)]
    assert (shown["name"], shown["visible_until"]) == (customer.name, None)
    seen = (await tx.scalars(select(AuditEntry).where(AuditEntry.action == "sync_pull"))).one()
    assert (seen.subject_id, seen.purpose) == (customer.id, f"work_order:{order.id}")
    assert "phone" in (seen.fields or [])

    taken = await phone.complete(visit_id)
    await store.pull()
    until = store["customers"][str(customer.id)]["visible_until"]
    assert until is not None
    # An order says so itself: it may be of nobody who is known.
    assert store["work_orders"][str(order.id)]["visible_until"] == until
    assert taken["state"] == store["work_orders"][str(order.id)]["state"] == "completed"

    # What ends with the grace is told with the next pull after it.
    clock.tick(timedelta(hours=2, minutes=1))
    await turning.turn(tx, clock.now())
    await tx.commit()
    await store.pull()
    assert store["customers"] == {}
    assert store["work_orders"][str(order.id)]["contact_phone"] == "154****1234"

    clock.tick(timedelta(days=2))
    await turning.turn(tx, clock.now())
    await tx.commit()
    await store.pull()
    assert store["work_orders"] == store["visits"] == {}


async def test_what_a_phone_needs_beside_orders_is_there(tx, phone, clock):
    mine, offering = phone.technician.id, await make_offering(tx)
    grid = await make_grid(tx)
    tx.add(GridMembership(grid_id=grid.id, technician_id=mine, kind="primary", valid_from=TODAY))
    unit = await tx.get_one(OrgUnit, phone.technician.org_unit_id)
    terminal = await make_terminal(tx, unit, technician_id=mine)
    await tx.commit()
    store = Store(phone)
    await store.pull(coordsys="wgs84")
    assert store["offerings"][str(offering.id)]["code"] == offering.code
    assert store["terminals"][str(terminal.id)]["serial_number"] == terminal.serial_number
    assert store["grids"][str(grid.id)]["boundary"].startswith('{"type":"MultiPolygon"')
    await tx.execute(text("UPDATE grid_membership SET valid_to = valid_from"))
    await tx.commit()
    await store.pull()
    assert store["grids"] == {}


async def test_an_order_names_its_grid_as_it_is_called_now(tx, phone, clock):
    grid = await make_grid(tx)
    customer = await make_customer(tx)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await tx.execute(
        text("UPDATE work_order SET grid_id = :grid WHERE id = :id"),
        {"grid": grid.id, "id": order.id},
    )
    await tx.commit()
    store = Store(phone)
    await store.pull()
    assert store["work_orders"][str(order.id)]["grid_name"] == grid.name
    await tx.execute(text("UPDATE grid SET name = '新河西' WHERE id = :id"), {"id": grid.id})
    await tx.commit()
    await store.pull()
    assert store["work_orders"][str(order.id)]["grid_name"] == "新河西"


async def given_to(tx, order, phone, clock):
    found = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    whose = {"holder_id": phone.technician.id, "planned_day": TODAY}
    await take_step(tx, found, Step.ASSIGN, now=clock.now(), **whose)


async def test_a_moved_order_leaves_one_phone_and_comes_to_another(tx, app, http, phone, clock):
    customer = await make_customer(tx)
    other = await make_phone(tx, app, http, clock)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await tx.commit()
    await phone.acknowledge(order)
    old, new = Store(phone), Store(other)
    for store in (old, new):
        await store.pull()
    assert str(customer.id) in old["customers"]
    await given_to(tx, order, other, clock)
    await tx.commit()
    for store in (old, new):
        await store.pull()
    assert old["work_orders"] == old["customers"] == {}
    assert list(new["work_orders"]) == [str(order.id)]
    # An order that comes back brings all that hangs on it.
    await given_to(tx, order, phone, clock)
    await tx.commit()
    for store in (old, new):
        await store.pull()
    fresh = Store(phone)
    await fresh.pull()
    assert old.tables.items() >= {k: v for k, v in fresh.tables.items() if v}.items()
    assert new["work_orders"] == {}


async def test_cursors_that_cannot_be_gone_on_from_are_told_to_begin_anew(tx, phone):
    store = Store(phone)
    await store.pull()
    await tx.execute(text("INSERT INTO sync_moment VALUES (2 ^ 41, now())"))
    await tx.commit()
    answer = await store.ask()
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:yingwei:problem:resync-needed")
    await tx.execute(text("DELETE FROM sync_moment"))
    await tx.commit()
    assert store.cursor is not None
    # One from before a dump was restored, and one that is ahead of the database.
    for cursor in (store.cursor ^ (1 << 43), store.cursor + 1_000_000):
        store.cursor = cursor
        assert (await store.ask()).status_code == 410


async def test_versions_of_the_phones_tables(tx, phone, monkeypatch, clock):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await tx.commit()
    newer = {**rules.TABLES, "days": Table(since=5), "work_orders": Table(1, {"skills": 3})}
    monkeypatch.setattr(
        rules, "tables_for", lambda version, known=rules.tables_for: known(version, newer)
    )
    store = Store(phone)
    answer = await store.ask(schema_version=1)
    assert (answer.status_code, answer.json()["type"]) == (426, "urn:yingwei:problem:phone-too-old")
    assert answer.headers["upgrade"].startswith("yingwei-tables/")
    old = (await store.ask(schema_version=2)).json()["changes"]
    assert "days" not in old and "skills" not in old["work_orders"]["updated"][0]
    store.keep(await store.ask(schema_version=4))
    moved_on = (await store.ask(schema_version=5)).json()["changes"]
    assert "offerings" not in moved_on
    asked = '{"from":4,"tables":["days"],"columns":[{"table":"offerings","columns":["x"]}]}'
    migrated = (await store.ask(schema_version=5, migration=asked)).json()["changes"]
    assert {"days", "offerings"} <= migrated.keys()
    assert str(order.id) == store["work_orders"][str(order.id)]["id"]
    assert (await store.ask(migration="{")).status_code == 422
    assert (await store.ask(migration='{"tables":7}')).status_code == 422


async def test_a_phone_whose_app_has_grown_since_is_told_what_has_left_it_too(
    real_database, real_app, real_http, clock
):
    """The new version's tables come in full, and only write over what is on the phone."""
    async with real_database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
        other = await make_phone(tx, real_app, real_http, clock)
        order = await make_assigned_order(tx, phone.technician, now=clock.now())
    await phone.acknowledge(order)
    store = Store(phone)
    await store.pull()
    async with real_database.begin() as tx:
        known = await tx.get_one(WorkOrder, order.id)
        await take_step(
            tx,
            known,
            Step.ASSIGN,
            now=clock.now(),
            holder_id=other.technician.id,
            planned_day=TODAY,
        )
    added = [{"table": "work_orders", "columns": ["nothing_because"]}]
    migration = orjson.dumps({"from": 3, "tables": [], "columns": added}).decode()
    store.keep(await store.ask(migration=migration))
    assert store["work_orders"] == {}


async def test_a_closed_account_is_told_nothing(tx, phone):
    store = Store(phone)
    await store.pull()
    await tx.execute(text("UPDATE account SET active = false"))
    await tx.commit()
    answer = await store.ask()
    assert (answer.status_code, answer.json()["type"]) == (
        403,
        "urn:yingwei:problem:access-revoked",
    )
    assert (await store.ask(last_pulled_at=str(new_id()))).status_code == 422
