"""Processes whose clocks differ by hours serve one phone as one server does."""

from datetime import timedelta
from typing import Any

import pytest

from app.core.clock import FixedClock
from app.core.db import new_id
from app.core.jobs import Worker
from app.sync import jobs
from tests.conftest import MONDAY_NINE, assembled, http_on
from tests.make.customers import make_address, make_customer
from tests.make.visits import LAT, LON, at, make_assigned_order, make_phone, taken
from tests.sync.stores import Store

HOURS = timedelta(hours=2)


@pytest.fixture
async def servers(real_database, settings):
    """Two processes of the API on one database, the second of which is two hours behind."""
    first = assembled(settings, clock=FixedClock(MONDAY_NINE + HOURS), database=real_database)
    second = assembled(settings, clock=FixedClock(MONDAY_NINE), database=real_database)
    async with (
        first.router.lifespan_context(first),
        second.router.lifespan_context(second),
        http_on(first) as ahead,
        http_on(second) as behind,
    ):
        yield first, ahead, behind


@pytest.mark.parametrize("ahead_first", [True, False], ids=["ahead first", "behind first"])
async def test_a_visit_goes_on_at_a_process_whose_clock_is_another(
    real_database, servers, clock, ahead_first
):
    """Each step is taken at one process and told by the other, in turns."""
    app, ahead, behind = servers
    async with real_database.begin() as tx:
        phone = await make_phone(tx, app, ahead, clock)
        customer = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
        await make_address(tx, customer)
        order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    visit_id, store = str(new_id()), Store(phone, tags=True)
    walk: list[tuple[str, dict[str, Any], str]] = [
        (f"/work-orders/{order.id}/acknowledge", {}, "acknowledged"),
        ("/visits", {"id": visit_id, "work_order_id": str(order.id)}, "en_route"),
        (f"/visits/{visit_id}/check-in", {"point": at(LON, LAT)}, "on_site"),
        (f"/visits/{visit_id}/restored", {}, "on_site"),
        (f"/visits/{visit_id}/complete", {"outcome_code": "fixed"}, "completed"),
    ]
    here, there = (ahead, behind) if ahead_first else (behind, ahead)
    for url, body, state in walk:
        phone.http = here
        taken(await phone.post(url, **body))
        phone.http = there
        await store.pull()
        assert store["work_orders"][str(order.id)]["state"] == state
        assert str(customer.id) in store["customers"]
        # Either knows the cursor of the other.
        phone.http = here
        await store.pull()
        here, there = there, here
    for http in (ahead, behind):
        phone.http = http
        fresh = Store(phone)
        await fresh.pull()
        for table in ("work_orders", "visits"):
            assert fresh[table] == store[table]


async def test_what_a_process_behind_tells_after_one_ahead_has_let_it_go_stays_gone(
    real_database, servers, clock
):
    """The worker by whose clock the grace is over runs ahead; the phone is served by one behind."""
    app, ahead, behind = servers
    async with real_database.begin() as tx:
        phone = await make_phone(tx, app, behind, clock)
        customer = await make_customer(tx, org_unit_id=phone.technician.org_unit_id)
        order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    await phone.complete(await phone.restore(order))
    store = Store(phone, tags=True)
    await store.pull()
    late = Worker(app.state.settings, FixedClock(MONDAY_NINE - timedelta(minutes=1)), real_database)
    await jobs.turn(late)
    # The grace of two hours is over by the worker that is ahead, and has just begun by the other.
    early_clock = FixedClock(MONDAY_NINE + HOURS + timedelta(minutes=2))
    early = Worker(app.state.settings, early_clock, real_database)
    await jobs.turn(early)
    await store.pull()
    assert str(customer.id) not in store["customers"]
    phone.http = ahead
    await store.pull()
    phone.http = behind
    await store.pull()
    assert str(customer.id) not in store["customers"]
    fresh = Store(phone)
    await fresh.pull()
    assert str(customer.id) not in fresh["customers"]
