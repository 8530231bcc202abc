"""What leaves phones as time passes or by another number, and what is remembered no longer."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.core.db import new_id
from app.core.errors import Invalid
from app.core.jobs import Worker
from app.core.parameter_values import ParameterValue
from app.grids.rules import MembershipKind
from app.sales.rules import Line
from app.suggestions.queries import choosing
from app.sync import jobs, rules
from app.sync.queries import feed
from app.sync.rules.tables import Kind
from app.sync.service import turning
from app.technicians.models import TechnicianDay
from seed.city import HERE
from seed.dated import load_levers
from tests.make.auth import bearer, make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_customer
from tests.make.grids import make_grid, make_membership
from tests.make.horizon import others_are_done
from tests.make.sales import make_door, make_draft
from tests.make.visits import TODAY, Phone, make_assigned_order, make_phone
from tests.sync.stores import Store

HALF_A_MINUTE = timedelta(seconds=30)


@pytest.fixture
async def phone(tx, app, http, clock):
    return await make_phone(tx, app, http, clock)


@pytest.fixture
def later(tx, clock):
    """Let time pass with nothing new but what its passing brings; every half a minute a worker
    would look."""

    async def later(by=timedelta(), looks=1):
        # Within one transaction, as here, everything is told again and again.
        await tx.execute(text("UPDATE sync_row SET xid = 0"))
        await tx.commit()
        clock.tick(by)
        for _ in range(looks):
            clock.tick(HALF_A_MINUTE)
            await turning.turn(tx, clock.now())
            await tx.commit()

    return later


@pytest.fixture
def number(tx, database, clock):
    """Set a number of the operator's, or of a unit of theirs, from now on."""

    async def number(name, value, **where):
        tx.add(ParameterValue(name=name, valid_from=clock.now(), value=value, **where))
        await tx.commit()
        database.cache.pop("parameters", None)

    return number


@pytest.mark.parametrize(
    ("came_back", "returned"),
    [
        ("UPDATE sale_item SET reversed_at = now() WHERE offering_code = 'TV-4K'", [False, True]),
        ("UPDATE sale SET reversed_at = now()", [True, True]),
    ],
    ids=["one thing", "the whole sale"],
)
async def test_what_came_back_of_a_sale_is_told(tx, app, http, clock, came_back, returned):
    for code in ("SPEED-1000", "TV-4K"):
        await make_offering(tx, code=code)
    door = await make_door(tx, now=clock.now())
    door.order.planned_day = TODAY
    lines = [Line("SPEED-1000", 1), Line("TV-4K", 1)]
    sale = await make_draft(tx, door, now=clock.now(), lines=lines)
    await tx.commit()
    store = Store(Phone(http, bearer(app, door.seller), clock, door.technician))
    await store.pull()

    def told():
        return [item["returned"] for item in json.loads(store["sales"][str(sale.id)]["items"])]

    assert told() == [False, False]
    # Within one transaction, as here, nothing is news twice.
    await tx.execute(text("UPDATE sync_row SET xid = 0"))
    await tx.execute(text(came_back))
    await tx.commit()
    assert "sales" in await store.pull()
    assert told() == returned


async def test_a_sale_leaves_after_its_days(tx, app, http, clock, later):
    offering = await make_offering(tx)
    door = await make_door(tx, now=clock.now())
    door.order.planned_day = TODAY
    sale = await make_draft(tx, door, now=clock.now(), lines=[Line(offering.code, 1)])
    await turning.turn(tx, clock.now())
    await tx.commit()
    store = Store(Phone(http, bearer(app, door.seller), clock, door.technician))
    await store.pull()
    assert list(store["sales"]) == [str(sale.id)]
    for _ in range(3):
        await later(timedelta(days=11, hours=15))
    assert "sales" not in await store.pull()
    await later(timedelta(hours=4))
    assert (await store.pull())["sales"]["deleted"] == [str(sale.id)]


async def test_an_action_leaves_after_thirty_days(tx, phone, clock, later):
    action = {"id": str(new_id()), "type": "?", "device_at": clock.now().isoformat()}
    changes = {"actions": {"created": [action]}}
    await phone.http.post("/v1/sync", json={"changes": changes}, headers=phone.headers)
    await turning.turn(tx, clock.now())
    store = Store(phone)
    await store.pull()
    assert list(store["actions"]) == [action["id"]]
    for _ in range(2):
        await later(timedelta(days=14, hours=23))
    assert await store.pull() == {}
    await later(timedelta(hours=3))
    assert (await store.pull())["actions"]["deleted"] == [action["id"]]


async def test_grids_and_routes_begin_and_end_with_a_day(tx, phone, clock, later):
    mine, tomorrow = phone.technician, TODAY + timedelta(days=1)
    ends, begins = await make_grid(tx), await make_grid(tx)
    await make_membership(tx, ends, mine, valid_to=tomorrow)
    await make_membership(tx, begins, mine, kind=MembershipKind.BACKUP)
    await make_membership(tx, begins, mine, valid_from=tomorrow)
    for day in (TODAY, tomorrow):
        tx.add(TechnicianDay(technician_id=mine.id, day=day, route=[new_id()]))
    await tx.flush()
    await turning.turn(tx, clock.now())
    store = Store(phone)
    await store.pull()
    assert store["grids"].keys() == {str(ends.id), str(begins.id)}
    assert store["grids"][str(begins.id)]["membership"] == "backup"
    assert store["days"].keys() == {TODAY.isoformat(), tomorrow.isoformat()}
    await later(timedelta(hours=14, minutes=59))
    assert await store.pull() == {}
    await later(timedelta(minutes=2))
    await store.pull()
    assert store["grids"].keys() == {str(begins.id)}
    assert store["grids"][str(begins.id)]["membership"] == "primary"
    assert store["days"].keys() == {tomorrow.isoformat()}


async def test_what_stays_for_another_span_is_told_by_it(tx, phone, clock, later, number):
    customer = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await turning.turn(tx, clock.now())
    await tx.commit()
    await phone.complete(await phone.restore(order))
    over = clock.now()
    store = Store(phone)
    await store.pull()

    def until():
        return store["customers"][str(customer.id)]["visible_until"]

    assert until() == (over + timedelta(hours=2)).isoformat()
    # The next look finds another number, and the one after it tells phones.
    await number("visits.contact_grace_hours", 4.0)
    await later()
    assert await store.pull() == {}
    await later()
    await store.pull()
    assert until() == (over + timedelta(hours=4)).isoformat()
    await later(timedelta(hours=3))
    assert await store.pull() == {}
    await number("visits.contact_grace_hours", 2.0)
    await later(looks=2)
    await store.pull()
    assert store["customers"] == {}
    # What became longer brings back what has left by the shorter one.
    await number("visits.contact_grace_hours", 4.0)
    await later(looks=2)
    await store.pull()
    assert until() == (over + timedelta(hours=4)).isoformat()

    await later(timedelta(hours=30))
    await store.pull()
    assert list(store["work_orders"]) == [str(order.id)]
    for days, there in ((1.0, []), (3.0, [str(order.id)])):
        await number("sync.closed_days", days)
        await later(looks=2)
        await store.pull()
        assert list(store["work_orders"]) == there
        await later(looks=2)
        assert await store.pull() == {}


@pytest.mark.parametrize(
    ("name", "value", "still", "over", "table"),
    [
        ("visits.contact_grace_hours", 6.0, timedelta(hours=5), timedelta(hours=2), "customers"),
        ("sync.closed_days", 5.0, timedelta(days=4), timedelta(days=2), "work_orders"),
    ],
)
async def test_what_somebody_did_for_another_branch_leaves_by_the_numbers_of_their_own(
    tx, app, http, clock, later, number, name, value, still, over, table
):
    city = await make_org_unit(tx)
    home, host = [await make_org_unit(tx, parent=city) for _ in range(2)]
    phone = await make_phone(tx, app, http, clock, org_unit=home)
    customer = await make_customer(tx, org_unit=host)
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), org_unit_id=host.id
    )
    await number(name, value, org_path=home.path)
    await turning.turn(tx, clock.now())
    await phone.complete(await phone.restore(order))
    store = Store(phone)
    await store.pull()
    await later(still)
    await store.pull()
    assert store[table]
    await later(over)
    await store.pull()
    assert store[table] == {}


@pytest.mark.parametrize("hours", [2, -2], ids=["ahead", "behind"])
async def test_what_leaves_by_a_workers_clock_that_is_wrong_leaves_all_the_same(
    tx, phone, clock, hours
):
    ahead = timedelta(hours=hours)
    customer = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await turning.turn(tx, clock.now() + ahead)
    await tx.commit()
    await phone.complete(await phone.restore(order))
    over, store = clock.now(), Store(phone)
    await store.pull()
    assert list(store["customers"]) == [str(customer.id)]

    async def turned(worker_at):
        """Let the worker look at a moment of its own clock, and pull a second later."""
        await tx.execute(text("UPDATE sync_row SET xid = 0"))
        await tx.commit()
        clock.set(worker_at - ahead)
        await turning.turn(tx, worker_at)
        await tx.commit()
        clock.tick(timedelta(seconds=1))
        await store.pull()
        fresh = Store(phone)
        await fresh.pull()
        assert (fresh["customers"], fresh["work_orders"]) == (
            store["customers"],
            store["work_orders"],
        )

    # The grace of two hours is over, and then the two days of the order.
    await turned(over + timedelta(hours=2, minutes=1))
    assert store["customers"] == {}
    assert store["work_orders"][str(order.id)]["masked"]
    await turned(over + timedelta(days=2, minutes=1))
    assert store["work_orders"] == {}


# --- with real commits ----------------------------------------------------------------------------


async def test_how_long_a_phone_may_go_without_the_server_is_told_to_the_unit(
    real_database, real_app, real_http, clock
):
    worker = Worker(real_app.state.settings, clock, real_database)
    async with real_database.begin() as tx:
        phones = [await make_phone(tx, real_app, real_http, clock) for _ in "12"]
    await jobs.turn(worker)
    stores = [Store(phone, tags=True) for phone in phones]
    await others_are_done(real_database)
    for store in stores:
        await store.pull()
    async with real_database.begin() as tx:
        path = await tx.scalar(
            text("SELECT path FROM org_unit WHERE id = :id"),
            {"id": phones[0].technician.org_unit_id},
        )
        given = {"name": "sync.offline_hours", "org_path": path, "value": 8.0}
        tx.add(ParameterValue(valid_from=clock.now(), **given))
    real_database.cache.pop("parameters")
    for expected in ([304, 304], [200, 304]):
        clock.tick(HALF_A_MINUTE)
        await jobs.turn(worker)
        answers = [await store.ask() for store in stores]
        assert [one.status_code for one in answers] == expected
    assert (answers[0].json()["changes"], answers[0].json()["offline_hours"]) == ({}, 8.0)
    stores[0].keep(answers[0])
    await others_are_done(real_database)
    await stores[0].pull()
    clock.tick(HALF_A_MINUTE)
    await jobs.turn(worker)
    assert (await stores[0].ask()).status_code == 304


async def test_whose_offers_are_is_told_a_unit_at_a_time(real_database, real_app, real_http, clock):
    worker = Worker(real_app.state.settings, clock, real_database)
    lines = text("SELECT xid FROM sync_row WHERE kind = 'suggestion'")
    async with real_database.begin() as tx:
        for phone in [await make_phone(tx, real_app, real_http, clock) for _ in "12"]:
            customer = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
            order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
            await feed.touch(tx, [(phone.technician.id, Kind.SUGGESTION, order.id)])
    await jobs.turn(worker)
    async with real_database.begin() as tx:
        [written] = set(await tx.scalars(lines))
        await load_levers(tx, (HERE / "levers.yaml").read_text(encoding="utf-8"))
    choosing.forget(real_database)
    for transactions in (1, 2):
        clock.tick(HALF_A_MINUTE)
        await jobs.turn(worker)
        async with real_database.read() as read:
            told = set(await read.scalars(lines))
        assert len(told) == transactions
    assert written not in told


async def test_a_cursor_is_understood_for_as_long_as_changes_are_kept(
    real_database, real_app, real_http, clock
):
    worker = Worker(real_app.state.settings, clock, real_database)
    async with real_database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
    # The first pull there ever is begins an epoch.
    store = Store(phone)
    await store.pull()
    await jobs.turn(worker)
    await store.pull()
    clock.tick(timedelta(days=1))
    async with real_database.begin() as tx:
        await feed.touch(tx, [(phone.technician.id, Kind.TERMINAL, new_id())])
    await jobs.turn(worker)

    async def known():
        await jobs.forget(worker)
        async with real_database.read() as read:
            lines = await read.scalar(text("SELECT count(*) FROM sync_row"))
        return (await store.ask()).status_code, lines

    clock.tick(timedelta(days=94))
    assert await known() == (200, 1)
    async with real_database.begin() as tx:
        tx.add(ParameterValue(name="sync.kept_days", valid_from=clock.now(), value=96.0))
    real_database.cache.pop("parameters")
    clock.tick(timedelta(hours=23))
    assert await known() == (200, 1)
    clock.tick(timedelta(hours=2))
    assert await known() == (410, 0)
    # A vacation and an illness after it are no reason to begin anew.
    assert rules.KEPT_DAYS.checked(90.0) == 90.0
    with pytest.raises(Invalid):
        rules.KEPT_DAYS.checked(89.9)


async def test_whose_phone_has_an_order_is_known_for_as_long_as_somebody_holds_it(
    real_database, real_app, real_http, clock
):
    worker = Worker(real_app.state.settings, clock, real_database)
    async with real_database.begin() as tx:
        phone, other = [await make_phone(tx, real_app, real_http, clock) for _ in "12"]
        customer = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
        kept, moved, gone = [
            await make_assigned_order(tx, phone.technician, customer, now=clock.now())
            for _ in range(3)
        ]
    for order in (kept, moved):
        await phone.acknowledge(order)
    async with real_database.begin() as tx:
        await tx.execute(
            text("UPDATE work_order SET holder_id = :holder WHERE id = :id"),
            {"holder": other.technician.id, "id": moved.id},
        )
        await tx.execute(
            text("UPDATE work_order SET state = 'cancelled' WHERE id = :id"), {"id": gone.id}
        )
    # The first pull there ever is begins an epoch.
    store = Store(phone)
    await store.pull()
    for _ in range(3):
        await jobs.turn(worker)
        clock.tick(timedelta(days=48))
    await others_are_done(real_database)
    await store.pull()
    await jobs.forget(worker)
    async with real_database.read() as read:
        lines = await read.execute(text("SELECT kind, row_id FROM sync_row WHERE kind <> 'day'"))
        known = {row_id for kind, row_id in lines}
    assert known >= {kept.id, moved.id, customer.id} and gone.id not in known

    # What changes of a customer still finds the phone that shows them.
    assert store["customers"].keys() == {str(customer.id)}
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE customer SET arrears_fen = 700"))
    await store.pull()
    assert store["customers"][str(customer.id)]["arrears_fen"] == 700
    # What is done too late with an order of somebody else's by now is judged.
    visit_id, done_at = str(new_id()), clock.now().isoformat()
    actions = [
        {"id": str(new_id()), "type": kind, "payload": payload, "device_at": done_at}
        for kind, payload in (
            ("visits_set_out", {"id": visit_id, "work_order_id": str(moved.id)}),
            ("visits_complete", {"visit_id": visit_id, "outcome_code": "fixed"}),
        )
    ]
    body = {"changes": {"actions": {"created": actions}}}
    answer = await phone.http.post("/v1/sync", json=body, headers=phone.headers)
    assert [one["judgement"] for one in answer.json()["verdicts"]] == [None, "after"]
