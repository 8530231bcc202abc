"""Whoever was erased stays erased, whatever comes in later and whatever runs at night."""

import base64
import json
from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, update

from app.auth.rules import Role
from app.core.db import fetched, new_id
from app.customers.loading import load_addresses, load_contacts, load_subscriptions
from app.customers.models import CustomerMonth, Subscription
from app.customers.months import load_months
from app.lifecycle.models import CustomerLifecycle
from app.lifecycle.service import running
from app.privacy.queries import exported_rows
from app.privacy.rules import StillServed
from app.privacy.service.erasing import erase
from app.retention.loading import load_leavers
from app.sales.rules import SaleState
from app.sync.models import SyncAction
from app.terminals.loading import load_terminals
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.conftest import MONDAY_NINE
from tests.make.auth import caller_for, make_account, make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_customer, make_subscription
from tests.make.evidence import Upload, photo
from tests.make.sales import make_confirmed, make_door
from tests.make.standing import make_card
from tests.make.visits import TODAY, make_assigned_order, make_phone


async def keeper_of(tx, unit):
    account = await make_account(tx, unit, role=Role.ADMIN)
    return caller_for(Role.ADMIN, unit, account_id=account.id)


# Each file names two customers in the same words, and `*` where the lines must differ.
FILES = {
    load_contacts: (
        "external_id,customer,at,channel,kind,subject",
        "C*,{},2026-02-01T10:00:00+08:00,phone,service,x",
    ),
    load_addresses: ("code,customer,standard_address,locality", "A*,{},碧波路1号,碧波园"),
    load_months: ("month,customer,as_of,income_fen", "2026-01,{},2026-03-05T00:00:00+08:00,9900"),
    load_subscriptions: (
        "service_number,customer,as_of,offering_code,category,monthly_price_fen,started_on",
        "S*,{},2026-03-05T00:00:00+08:00,BB,broadband,9900,2025-01-01",
    ),
    load_leavers: ("customer,left_on,reason", "{},2026-02-01,price"),
    load_terminals: (
        "serial_number,org_unit,kind,model,pool,customer",
        "SN-000*,gd,camera,H1,customer,{}",
    ),
}


@pytest.mark.parametrize("load", FILES, ids=lambda load: load.__name__)
async def test_a_file_that_still_names_who_was_erased_is_loaded_for_all_others(tx, clock, load):
    unit = await make_org_unit(tx, code="gd")
    gone = await make_customer(tx, org_unit=unit, code="KH-1")
    await make_customer(tx, org_unit=unit, code="KH-2")
    await erase(tx, gone.id, await keeper_of(tx, unit), now=clock.now())
    heading, line = FILES[load]
    lines = [line.replace("*", code[-1]).format(code) for code in ("KH-1", "KH-2", "KH-3")]
    report = await load(tx, [f"{one}\n" for one in (heading, *lines)], skip_refused=True)
    assert (report.inserted, report.unchanged, report.refused) == (1, 1, 1)
    assert [bad.line for bad in report.bad] == [4]


async def test_the_night_makes_no_profile_of_who_was_erased(real_database):
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx)
        await make_card(tx)
        gone = await make_customer(tx, org_unit=unit)
        await make_subscription(tx, gone, ended_on=date(2026, 2, 1))
        for month in (9, 10, 11, 12):
            day = date(2025, month, 1)
            tx.add(
                CustomerMonth(customer_id=gone.id, month=day, income_fen=9900, as_of=MONDAY_NINE)
            )
        keeper = await keeper_of(tx, unit)
    await running.run(real_database, MONDAY_NINE, action="test")
    async with real_database.begin() as tx:
        assert (await tx.scalar(select(CustomerLifecycle.customer_id))) == gone.id
        await erase(tx, gone.id, keeper, now=MONDAY_NINE)
    await running.run(real_database, MONDAY_NINE + timedelta(days=1), action="test")
    async with real_database.begin() as tx:
        assert await tx.scalar(select(CustomerLifecycle)) is None


@pytest.mark.parametrize("state", SaleState)
async def test_who_still_has_something_coming_is_not_erased(tx, clock, state):
    door = await make_door(tx, now=clock.now())
    await make_offering(tx, code="SPEED-1000")
    sale = await make_confirmed(tx, door, now=clock.now())
    sale.state = state
    # Nothing else of theirs goes on.
    await tx.execute(update(WorkOrder).values(state=State.COMPLETED))
    await tx.execute(update(Subscription).values(ended_on=date(2026, 3, 1)))
    keeper = await keeper_of(tx, door.branch)
    if state in (SaleState.DRAFT, SaleState.REJECTED, SaleState.COMPLETED, SaleState.CANCELLED):
        assert await erase(tx, door.customer.id, keeper, now=clock.now())
    else:
        with pytest.raises(StillServed) as refused:
            await erase(tx, door.customer.id, keeper, now=clock.now())
        assert refused.value.facts == {"reasons": "open_sales", "open_sales": 1}


async def said_of(tx, customer) -> str:
    """Give all that is kept of what phones sent about a customer, by whatever it names."""
    kept = await exported_rows(tx, customer.id)
    rows = [*kept["sync_action"], *kept["evidence"]]
    rows += await fetched(tx, "SELECT payload, facts FROM sync_action", {})
    return json.dumps(rows, ensure_ascii=False, default=str)


@pytest.fixture
async def away(tx, app, http, clock):
    """Whose order somebody else has done since, while their phone was out of reach."""
    unit = await make_org_unit(tx, code="gd")
    customer = await make_customer(tx, org_unit=unit, name="王小明", phone="15412341234")
    await make_subscription(tx, customer, ended_on=date(2026, 3, 1))
    mine, other = [await make_phone(tx, app, http, clock, org_unit=unit) for _ in range(2)]
    order = await make_assigned_order(tx, mine.technician, customer, now=clock.now())
    await mine.acknowledge(order)
    begun = Upload(mine, order, photo(seed=2))
    assert (await begun.announce(filename="王小明家.jpg")).status_code == 201
    held = await tx.get_one(WorkOrder, order.id, populate_existing=True)
    to = other.technician.id
    await take_step(tx, held, Step.ASSIGN, now=clock.now(), holder_id=to, planned_day=TODAY)
    await tx.commit()
    await other.complete(await other.restore(order))
    clock.tick(timedelta(hours=3))
    await erase(tx, customer.id, await keeper_of(tx, unit), now=clock.now())
    await tx.commit()
    return mine, customer, order, begun


async def test_what_a_phone_brings_home_after_its_customer_was_erased_is_not_kept(tx, clock, away):
    phone, customer, order, _ = away
    visit_id, header = str(new_id()), base64.b64encode(str(order.id).encode()).decode()
    pushes = [
        [("visits_set_out", {"id": visit_id, "work_order_id": str(order.id), "note": "王小明"})],
        # What belongs to it may come with a later push.
        [
            (
                "visits_complete",
                {"visit_id": visit_id, "outcome_code": "fixed", "note": "王小明家光猫已换"},
            ),
            (
                "customers_consent",
                {"customer_id": str(customer.id), "state": "given", "reference": "王小明"},
            ),
            (
                "evidence_upload_create",
                {"metadata": f"work_order_id {header},filename 546L5bCP5piO"},
            ),
        ],
    ]
    for said in pushes:
        rows = [
            {
                "id": str(new_id()),
                "type": kind,
                "device_at": clock.now().isoformat(),
                "payload": told,
            }
            for kind, told in said
        ]
        body = {"changes": {"actions": {"created": rows}}}
        answer = await phone.http.post("/v1/sync", json=body, headers=phone.headers)
        assert answer.status_code == 200, answer.text
        # What is answered is what the phone has to know.
        assert {one["verdict"] for one in answer.json()["verdicts"]} <= {"conflict", "refused"}
    kept = await said_of(tx, customer)
    assert [one for one in ("王小明", "546L5bCP5piO") if one in kept] == []
    assert await tx.scalar(select(func.count()).select_from(SyncAction)) == 4


async def test_no_picture_of_who_was_erased_is_taken_in(tx, away):
    phone, customer, order, begun = away
    assert (await Upload(phone, order, photo(seed=1)).announce()).status_code == 404
    # What was on its way is awaited no more.
    sent = await begun.send(begun.data, 0)
    assert (sent.status_code, sent.json()["type"]) == (410, "urn:yingwei:problem:upload-gone")
    assert "王小明" not in await said_of(tx, customer)
