"""The cursor on real connections: nothing that commits late is missed, and no news costs little."""

import asyncio
import contextlib
import json
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import text

from app.auth.models import OrgUnit
from app.core.db import new_id
from app.core.jobs import Worker
from app.customers.loading import load_addresses, load_customers
from app.sync import jobs
from app.sync.jobs import customers_loaded, forget
from app.sync.queries import feed
from app.sync.rules import cursor_of
from app.sync.rules.tables import EVERYBODY, Kind
from app.sync.service import turning
from app.terminals.loading import load_terminals
from tests.make.counting import counted
from tests.make.customers import make_address, make_customer
from tests.make.horizon import others_are_done
from tests.make.terminals import make_terminal
from tests.make.visits import TODAY, make_assigned_order, make_phone
from tests.sync.stores import Store


@pytest.fixture
async def phone(real_database, real_app, real_http, clock):
    async with real_database.begin() as tx:
        return await make_phone(tx, real_app, real_http, clock)


async def assigned(tx, phone, clock, days=0):
    day = TODAY + timedelta(days)
    return await make_assigned_order(tx, phone.technician, now=clock.now(), planned_day=day)


async def told_until_known(store, database) -> int:
    """Pull until there is no news, and return how many statements it took to say so.

    A cursor moves with the oldest transaction of all databases of the cluster, other tests' too,
    and what lies beyond it is told once more when it does.
    """
    for _ in range(100):
        with counted(database) as sent:
            if (await store.ask()).status_code == 304:
                return len(sent)
        await store.pull()
        await asyncio.sleep(0.05)
    pytest.fail("what is known already is told without an end")


async def test_whom_a_phone_begins_to_show_while_customers_are_loaded_is_told_as_loaded(
    real_database, real_app, phone, clock
):
    async with real_database.begin() as tx:
        unit_id = phone.technician.org_unit_id
        customer = await make_customer(tx, org_unit_id=unit_id, arrears_fen=100)
        unit = await tx.get_one(OrgUnit, unit_id)
    file = [
        "code,as_of,org_unit,name,phone,arrears_fen\n",
        f"{customer.code},{clock.now().isoformat()},{unit.code},王小明,15400001234,700\n",
    ]
    store = Store(phone, tags=True)
    await store.pull()

    def owes():
        return store["customers"][str(customer.id)]["arrears_fen"]

    async with real_database.begin() as load:
        await load.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await load_customers(load, file)
        async with real_database.begin() as tx:
            order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
        await phone.acknowledge(order)
        await store.pull()
        assert owes() == 100
        assert (await store.ask()).status_code == 304
    async with real_database.begin() as tx:
        [told] = await tx.scalars(
            text("SELECT args FROM procrastinate_jobs WHERE task_name = 'customers.loaded'")
        )
    await customers_loaded(Worker(real_app.state.settings, clock, real_database), **told)
    await store.pull()
    assert owes() == 700


async def test_nothing_that_commits_late_is_missed(
    real_database, real_app, phone, clock, monkeypatch
):
    store = Store(phone, tags=True)
    await store.pull()
    written, go_on = asyncio.Event(), asyncio.Event()
    xids: list[int] = []

    async def slowly():
        async with real_database.begin() as tx:
            await tx.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            order = await assigned(tx, phone, clock, days=1)
            xids.append(int(await tx.scalar(text("SELECT pg_current_xact_id()::text")) or 0))
            written.set()
            await go_on.wait()
        return str(order.id)

    slow = asyncio.create_task(slowly())
    await written.wait()
    async with real_database.begin() as tx:
        quick = str((await assigned(tx, phone, clock)).id)
    # While the slow one goes on the cursor stays before it, and the tag says that this is known.
    # It takes two looks, which go out together: where there is news, and at the phone.
    assert await told_until_known(store, real_database) == 2
    assert list(store["work_orders"]) == [quick]
    assert cursor_of(store.cursor or 0).xid <= xids[0]
    go_on.set()
    late = await slow
    assert (await store.ask()).status_code == 200
    await told_until_known(store, real_database)
    assert list(store["work_orders"]) == [quick, late]

    # Long lists come in pages, and a phone that was away gets all of them.
    monkeypatch.setattr(feed, "PAGE", 4)
    for _ in range(3):
        async with real_database.begin() as tx:
            for _ in range(3):
                await assigned(tx, phone, clock)
    await others_are_done(real_database)
    answer = await store.ask()
    assert answer.json()["has_more"]
    await store.pull()
    assert len(store["work_orders"]) == 11
    # What one transaction wrote for everybody comes whole, also where something follows it.
    many = {str(new_id()) for _ in range(7)}
    async with real_database.begin() as tx:
        await feed.touch(tx, [(EVERYBODY, Kind.OFFERING, UUID(one)) for one in many])
    async with real_database.begin() as tx:
        await feed.touch(tx, [(phone.technician.id, Kind.TERMINAL, new_id())])
    await others_are_done(real_database)
    gone = set()
    while (answer := await store.ask()).status_code == 200:
        gone.update(store.keep(answer).get("offerings", {"deleted": []})["deleted"])
    assert gone == many

    # A dump that was restored is another database, whatever its numbers are.
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE sync_epoch SET cluster = cluster - 1"))
        # It had written much more.
        await tx.execute(text("UPDATE sync_row SET xid = xid + (2 ^ 37)::bigint"))
    real_database.cache.clear()
    store.tags = False
    assert (await store.ask()).status_code == 410
    store = Store(phone, tags=True)
    await store.pull()
    assert len(store["work_orders"]) == 11
    # What was written in the other life is no news in this one, and is settled by and by.
    await told_until_known(store, real_database)
    async with real_database.begin() as tx:
        before = await tx.scalar(text("SELECT count(*) FROM sync_row"))
        order = await assigned(tx, phone, clock)
    changes = store.keep(await store.ask())
    assert [one["id"] for one in changes["work_orders"]["updated"]] == [str(order.id)]
    monkeypatch.setattr(turning, "ROUND", 5)
    await forget(Worker(real_app.state.settings, clock, real_database))
    async with real_database.read() as read:
        settled = await read.scalar(text("SELECT count(*) FROM sync_row WHERE xid = 0"))
    assert settled == before


async def test_a_technicians_step_does_not_wait_for_a_load_and_no_phone_misses_what_it_brought(
    real_database, real_app, phone, clock, monkeypatch
):
    async with real_database.begin() as tx:
        unit = await tx.get_one(OrgUnit, phone.technician.org_unit_id)
        customers = [await make_customer(tx, org_unit_id=unit.id) for _ in range(5)]
        addresses = [await make_address(tx, one) for one in customers]
        shown = [
            await make_assigned_order(tx, phone.technician, one, now=clock.now())
            for one in customers[:4]
        ]
        again = await make_assigned_order(tx, phone.technician, customers[0], now=clock.now())
    for order in shown:
        await phone.acknowledge(order)
    store = Store(phone, tags=True)
    await store.pull()
    file = ["code,as_of,org_unit,name,phone,arrears_fen\n"] + [
        f"{one.code},{clock.now().isoformat()},{unit.code},王小明,15400001234,700\n"
        for one in customers
    ]
    # What stood at the second customer's address is the fifth's by now, whom no phone shows.
    homes = ["code,customer,standard_address,locality\n"]
    homes += [f"{addresses[1].code},{customers[4].code},碧波园9栋,碧波园\n"]

    async with real_database.begin() as load:
        await load.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await load_customers(load, file)
        await load_addresses(load, homes)
        # All lines are written and none is committed: who has these customers works on.
        async with asyncio.timeout(10):
            await phone.complete(await phone.restore(again))
    # A worker dies after its first few customers, and another one goes on.
    monkeypatch.setattr(jobs, "LOADED_AT_ONCE", 2)
    worker = Worker(real_app.state.settings, clock, real_database)
    async with real_database.begin() as tx:
        told = await tx.scalars(
            text("SELECT args FROM procrastinate_jobs WHERE task_name = 'customers.loaded'")
        )
        first = told.all()[0]
        assert await feed.tell_of_loaded(tx, 2) == 2
    with contextlib.suppress(ZeroDivisionError):
        async with real_database.begin() as tx:
            await feed.tell_of_loaded(tx, 2)
            raise ZeroDivisionError
    await customers_loaded(worker, **first)
    await store.pull()
    assert [store["customers"][str(one.id)]["arrears_fen"] for one in customers[:4]] == [700] * 4
    assert store["customers"][str(customers[1].id)]["standard_address"] is None
    assert store["customers"][str(customers[2].id)]["standard_address"] is not None
    async with real_database.read() as read:
        assert await read.scalar(text("SELECT count(*) FROM sync_loaded")) == 0


async def test_a_technicians_step_does_not_wait_for_a_load_of_what_stands_at_customers(
    real_database, real_app, phone, clock
):
    async with real_database.begin() as tx:
        unit = await tx.get_one(OrgUnit, phone.technician.org_unit_id)
        gives, gets, new, other = [
            await make_customer(tx, org_unit_id=unit.id, code=f"C{number}") for number in range(4)
        ]
        for serial_number, customer in (("SN1", gives), ("SN2", other)):
            await make_terminal(
                tx, unit, serial_number=serial_number, customer_id=customer.id, model="HG-1"
            )
        shown = [
            await make_assigned_order(tx, phone.technician, one, now=clock.now())
            for one in (gives, gets, new)
        ]
        again = [
            await make_assigned_order(tx, phone.technician, one, now=clock.now())
            for one in (gives, gets, new)
        ]
    for order in shown:
        await phone.acknowledge(order)
    store = Store(phone, tags=True)
    await store.pull()

    def at_home(customer):
        said = json.loads(store["customers"][str(customer.id)]["terminals"])
        return [(one["serial_number"], one["model"]) for one in said]

    assert [at_home(one) for one in (gives, gets, new)] == [[("SN1", "HG-1")], [], []]
    file = ["serial_number,org_unit,kind,model,pool,technician,customer\n"] + [
        f"{serial_number},{unit.code},ont_gateway,HG-2,customer,,{customer.code}\n"
        for serial_number, customer in (("SN1", gets), ("SN2", other), ("SN3", new))
    ]
    async with real_database.begin() as load:
        await load.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        await load_terminals(load, file)
        async with asyncio.timeout(10):
            for order in again:
                await phone.complete(await phone.restore(order))
    async with real_database.begin() as tx:
        [told] = await tx.scalars(
            text("SELECT args FROM procrastinate_jobs WHERE task_name = 'customers.loaded'")
        )
        # Of whom no phone shows nobody is told.
        noted = await tx.scalars(text("SELECT customer_id FROM sync_loaded"))
        assert set(noted) == {gives.id, gets.id, new.id}
    await store.pull()
    await customers_loaded(Worker(real_app.state.settings, clock, real_database), **told)
    await store.pull()
    assert [at_home(one) for one in (gives, gets, new)] == [
        [],
        [("SN1", "HG-2")],
        [("SN3", "HG-2")],
    ]
