"""The card for the door: who sees whom, masked or in full, what each look leaves behind."""

import gzip
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.customers.rules import InteractionKind
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.counting import counted
from tests.make.customers import (
    AS_OF,
    make_address,
    make_contact,
    make_customer,
    make_subscription,
)
from tests.make.terminals import make_terminal
from tests.make.visits import make_assigned_order, make_phone


@pytest.fixture
async def province(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def branch(tx, province):
    return await make_org_unit(tx, parent=province)


@pytest.fixture
async def phone(tx, app, http, clock, branch):
    return await make_phone(tx, app, http, clock, org_unit=branch)


@pytest.fixture
async def customer(tx, branch, clock):
    made = await make_customer(
        tx,
        org_unit=branch,
        name="王小明",
        phone="15412341234",
        activated_on=date(2024, 1, 15),
        monthly_usage_gb=320,
        elderly=True,
    )
    address = await make_address(tx, made, olt_port="OLT-3/0/7")
    await make_subscription(
        tx,
        made,
        service_address_id=address.id,
        service_number="07318881234",
        contract_ends_on=date(2026, 4, 1),
    )
    await make_subscription(
        tx, made, offering_code="TV-4K", category="tv", speed_mbps=None, monthly_price_fen=2000
    )
    await make_terminal(
        tx,
        branch,
        customer_id=made.id,
        serial_number="SN-HOME",
        service_number="07318881234",
        placed_at=datetime(2024, 2, 1, 2, tzinfo=UTC),
    )
    await make_contact(tx, made, at=clock.now() - timedelta(days=20), outcome="declined")
    await make_contact(tx, made, at=clock.now() - timedelta(days=3), kind=InteractionKind.FAULT)
    return made


@pytest.fixture
async def order(tx, phone, customer, clock):
    return await make_assigned_order(tx, phone.technician, customer, now=clock.now())


async def looks(tx):
    rows = await tx.scalars(
        select(AuditEntry)
        .where(AuditEntry.action == "visits_customer_context")
        .order_by(AuditEntry.id)
    )
    return list(rows)


async def test_the_holder_sees_whom_they_meet(tx, phone, customer, order, clock):
    await make_assigned_order(
        tx,
        phone.technician,
        customer,
        now=clock.now(),
        work_type=WorkType.INSTALL,
        external_id="I-1",
    )
    await phone.acknowledge(order)
    answer = await phone.get(f"/customers/{customer.id}/context?work_order_id={order.id}")
    assert answer.status_code == 200, answer.text
    card = answer.json()
    assert card["masked"] is False
    assert (card["identity"]["name"], card["identity"]["phone"]) == ("王小明", "15412341234")
    assert card["identity"]["elderly"] is True
    assert card["services"]["contract_ends_on"] == "2026-04-01"
    held = card["services"]["held"]
    assert [one["offering_code"] for one in held] == ["BB-300", "TV-4K"]
    assert (held[0]["service_number"], held[0]["speed_mbps"]) == ("07318881234", 300)
    assert held[0]["contract_days_left"] == 30
    assert card["tenure"]["months"] == 25
    # Not known is not nothing.
    assert card["payment"]["arrears_fen"] is None
    assert card["usage"]["monthly_usage_gb"] == 320
    assert card["do_not_disturb"]["on"] is False
    assert card["faults"]["in_90_days"] == 1
    assert card["contacts"]["sales_in_30_days"] == 1
    assert card["contacts"]["last_sales_outcome"] == "declined"
    assert card["lines"][0]["olt_port"] == "OLT-3/0/7"
    assert card["lines"][0]["max_speed_mbps"] == 1000
    assert "1203室" in card["lines"][0]["address"]
    assert card["terminals"]["at_home"] == [
        {
            "serial_number": "SN-HOME",
            "kind": "ont_gateway",
            "model": "HG-8145",
            "service_number": "07318881234",
            "since": "2024-02-01T02:00:00Z",
        }
    ]
    assert {one["external_id"] for one in card["open_orders"]["orders"]} == {
        order.external_id,
        "I-1",
    }
    assert len(gzip.compress(answer.content)) < 8_000


async def test_every_block_says_since_when_and_who_says_so(phone, customer, order, clock):
    await phone.acknowledge(order)
    card = (await phone.get(f"/customers/{customer.id}/context")).json()
    blocks = [value for value in card.values() if isinstance(value, dict)] + card["lines"]
    assert len(blocks) == 19
    for block in blocks:
        assert block["source"] in {"crm", "yingwei", "resource_inventory", "visit"}
    # What was never worked out, decided or recorded has no moment either: not known is not zero.
    unknown = {name for name, one in card.items() if isinstance(one, dict) and not one["as_of"]}
    assert unknown == {"lifecycle", "former", "recommendation", "measured"}
    assert card["measured"]["download_mbps"] is None
    assert card["lifecycle"]["stage"] is card["lifecycle"]["hidden_high_value"] is None
    assert card["open_orders"]["as_of"] == clock.now().isoformat().replace("+00:00", "Z")
    assert card["identity"]["as_of"] == AS_OF.isoformat().replace("+00:00", "Z")


async def test_each_look_leaves_an_audit_entry(tx, phone, customer, order):
    await phone.acknowledge(order)
    for _ in range(2):
        await phone.get(f"/customers/{customer.id}/context")
    first, second = await looks(tx)
    assert first.id != second.id
    for entry in (first, second):
        assert (entry.subject_kind, entry.subject_id) == ("customer", customer.id)
        assert (entry.role, entry.purpose) == ("technician", f"work_order:{order.id}")
        assert {"name", "phone", "standard_address"} <= set(entry.fields)
        assert entry.changes == []


async def test_from_acknowledging_until_the_grace_is_over(tx, phone, customer, order, clock):
    url = f"/customers/{customer.id}/context"
    assert (await phone.get(url)).status_code == 404
    visit_id = await phone.arrive(order)
    assert (await phone.get(url)).status_code == 200
    await phone.complete(visit_id)
    clock.tick(timedelta(hours=2))
    assert (await phone.get(url)).status_code == 200
    clock.tick(timedelta(seconds=1))
    assert (await phone.get(url)).status_code == 404
    assert len(await looks(tx)) == 2


async def test_who_handed_it_back_sees_nobody(tx, phone, customer, order):
    await phone.acknowledge(order)
    await phone.post(f"/work-orders/{order.id}/hand-back", cause="other")
    assert (await phone.get(f"/customers/{customer.id}/context")).status_code == 404
    assert await looks(tx) == []


async def test_another_order_does_not_open_the_door(tx, phone, customer, order, branch, clock):
    await phone.acknowledge(order)
    stranger = await make_customer(tx, org_unit=branch)
    mine = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    for url in (
        f"/customers/{stranger.id}/context",
        f"/customers/{stranger.id}/context?work_order_id={order.id}",
        f"/customers/{customer.id}/context?work_order_id={mine.id}",  # assigned, not acknowledged
        f"/customers/{customer.id}/context?work_order_id={new_id()}",
        f"/customers/{new_id()}/context",
    ):
        answer = await phone.get(url)
        assert (answer.status_code, answer.json()["facts"]) == (404, {}), url
    assert await looks(tx) == []


async def test_a_colleague_sees_nobody(tx, app, http, clock, phone, customer, order, branch):
    await phone.acknowledge(order)
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    assert (await other.get(f"/customers/{customer.id}/context")).status_code == 404


@pytest.mark.parametrize(
    ("role", "where", "status"),
    [
        (Role.SUPERVISOR, "branch", 200),
        (Role.SUPERVISOR, "province", 200),
        (Role.SUPERVISOR, "elsewhere", 404),
        (Role.ADMIN, "province", 200),
        (Role.ADMIN, "elsewhere", 404),
        (Role.INTEGRATION, "province", 403),
    ],
)
async def test_others_see_them_masked_or_not_at_all(
    tx, app, http, customer, order, branch, province, role, where, status
):
    order.summary = "宽带断网, 联系 154-1234-1234"
    await tx.flush()
    unit = {"branch": branch, "province": province}.get(where) or await make_org_unit(tx)
    account = await make_account(tx, unit, role=role)
    headers = bearer(app, caller_for(role, unit, account_id=account.id))
    answer = await http.get(f"/v1/customers/{customer.id}/context", headers=headers)
    assert answer.status_code == status
    for secret in ("王小明", "15412341234", "154-1234-1234", "07318881234", "1203室"):
        assert secret not in answer.text
    if status == 200:
        card = answer.json()
        summaries = [one["summary"] for one in card["open_orders"]["orders"]]
        assert "宽带断网, 联系 154****1234" in summaries
        assert card["masked"] is True
        assert card["terminals"]["at_home"][0]["service_number"] == "073****1234"
        assert (card["identity"]["name"], card["identity"]["phone"]) == ("王**", "154****1234")
        assert card["lines"][0]["address"] == "碧波园3栋"
    assert await looks(tx) == []


async def test_it_costs_three_statements_and_the_audit_entry(phone, customer, order, database):
    await phone.acknowledge(order)
    url = f"/customers/{customer.id}/context"
    await phone.get(url)
    with counted(database) as sent:
        assert (await phone.get(url)).status_code == 200
    reads = [statement for statement in sent if not statement.startswith("INSERT")]
    assert len(reads) == 3, reads
    assert [s.split("(")[0] for s in sent if s.startswith("INSERT")] == ["INSERT INTO audit_entry "]


async def test_what_was_sold_to_others_at_the_address_says_why_nothing_is_offered(
    tx, phone, branch, clock
):
    customer, neighbour = [await make_customer(tx, org_unit=branch) for _ in range(2)]
    for one in (customer, neighbour):
        await make_address(tx, one)
    for days in (9, 17, 25):
        visit = new_id()
        for minutes in (0, 5):
            at = clock.now() - timedelta(days=days, minutes=minutes)
            await make_contact(tx, neighbour, at=at, work_order_id=visit)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    visit_id = await phone.restore(order)
    told = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    assert told["nothing_because"]["code"] == "contacts_month"
    contacts = (await phone.get(f"/customers/{customer.id}/context")).json()["contacts"]
    # The customer heard nothing themselves; what counts are the three visits to their home.
    own = (contacts["sales_in_30_days"], contacts["last_sales_on"])
    assert (contacts["home_sales_in_30_days"], contacts["home_sales_in_365_days"]) == (3, 3)
    assert (own, contacts["home_last_sales_on"]) == ((0, None), "2026-02-21")
