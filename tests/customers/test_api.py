"""Customers over HTTP: masked, found by number alone, and left in peace the same second."""

from itertools import product

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from app.customers import rules
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.technicians import make_technician


@pytest.mark.parametrize(
    ("name", "masked"), [("王小明", "王**"), ("欧阳娜娜", "欧**"), ("Ann Lee", "A**"), ("", "")]
)
def test_names_are_reduced(name, masked):
    assert rules.masked_name(name) == masked


@pytest.mark.parametrize(
    ("phone", "masked"),
    [("15412341234", "154****1234"), ("073188881234", "073****1234"), ("8881234", "****")],
)
def test_telephone_numbers_are_masked(phone, masked):
    assert rules.masked_phone(phone) == masked


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def supervisor(app, tx, branch):
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    return bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))


@pytest.fixture
async def technician(app, tx, branch):
    person = await make_technician(tx, org_unit=branch)
    account = await make_account(tx, branch, role=Role.TECHNICIAN, technician_id=person.id)
    return bearer(
        app,
        caller_for(Role.TECHNICIAN, branch, account_id=account.id, technician_id=person.id),
    )


@pytest.fixture
async def customer(tx, branch):
    made = await make_customer(tx, org_unit=branch, code="C1", name="王小明", phone="15412341234")
    await make_address(tx, made)
    await make_subscription(tx, made, service_number="S1")
    return made


async def test_nothing_personal_leaves(http, customer, supervisor, technician):
    urls = (f"/v1/customers/{customer.id}", "/v1/customers?code=C1")
    for url, who in product(urls, (supervisor, technician)):
        answer = await http.get(url, headers=who)
        assert answer.status_code == 200
        for secret in ("小明", "15412341234", "1203", "2单元", "112.6"):
            assert secret not in answer.text
        assert "王**" in answer.text
        assert "154****1234" in answer.text
        assert "碧波园3栋" in answer.text


async def test_found_by_code_or_service_number_exactly(http, customer, supervisor):
    async def found(**wanted):
        answer = await http.get("/v1/customers", params=wanted, headers=supervisor)
        return [one["code"] for one in answer.json()["customers"]]

    assert await found(code="C1") == ["C1"]
    assert await found(service_number="S1") == ["C1"]
    assert await found(code="C") == []
    assert await found(service_number="S9") == []


@pytest.mark.parametrize(
    "query", ["", "?code=C1&service_number=S1", "?name=王", "?code=", "?code=%25"]
)
async def test_there_is_no_other_search(http, customer, supervisor, query):
    answer = await http.get(f"/v1/customers{query}", headers=supervisor)
    assert answer.status_code == 422


async def test_other_peoples_customers_are_not_there(http, tx, supervisor):
    other = await make_customer(tx, code="C2")
    await make_subscription(tx, other, service_number="S2")
    absent = await http.get(f"/v1/customers/{new_id()}", headers=supervisor)
    theirs = await http.get(f"/v1/customers/{other.id}", headers=supervisor)
    assert theirs.status_code == absent.status_code == 404
    its_own = {"instance": "", "request_id": ""}
    assert {**theirs.json(), **its_own} == {**absent.json(), **its_own}
    for query in ("code=C2", "service_number=S2"):
        found = await http.get(f"/v1/customers?{query}", headers=supervisor)
        assert found.json() == {"customers": []}
    switch = await http.put(
        f"/v1/customers/{other.id}/do-not-disturb", json={"on": True}, headers=supervisor
    )
    assert switch.status_code == 404


async def test_do_not_disturb_is_in_force_with_the_answer(http, clock, customer, supervisor):
    url = f"/v1/customers/{customer.id}/do-not-disturb"
    on = await http.put(url, json={"on": True}, headers=supervisor)
    assert on.json() == {
        "customer_id": str(customer.id),
        "on": True,
        "since": clock.now().isoformat().replace("+00:00", "Z"),
    }
    read = await http.get(f"/v1/customers/{customer.id}", headers=supervisor)
    assert read.json()["do_not_disturb"] is True
    # Again, an hour later: it stands since it was moved, not since it was last touched.
    clock.tick(clock.now() - clock.now().replace(hour=0))
    again = await http.put(url, json={"on": True}, headers=supervisor)
    assert again.json() == on.json()
    off = await http.put(url, json={"on": False}, headers=supervisor)
    assert off.json()["on"] is False


async def test_an_ordering_system_does_not_read_customers(app, http, customer, branch):
    caller = caller_for(Role.INTEGRATION, branch)
    answer = await http.get(f"/v1/customers/{customer.id}", headers=bearer(app, caller))
    assert answer.status_code == 403
