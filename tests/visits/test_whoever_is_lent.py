"""At the door of another branch's customer whoever is lent there does what they do at home."""

import pytest

from app.core.db import new_id
from tests.make.auth import make_org_unit
from tests.make.customers import make_address, make_customer
from tests.make.technicians import make_loan
from tests.make.visits import TODAY, make_assigned_order, make_phone


@pytest.fixture
async def branches(tx):
    """The branch that a technician is of, and its neighbour."""
    city = await make_org_unit(tx, parent=await make_org_unit(tx))
    return [await make_org_unit(tx, parent=city) for _ in range(2)]


@pytest.fixture(params=["at home", "lent"])
async def door(request, tx, app, http, clock, branches):
    """A technician on site at a customer's of their own branch, or of one that they are lent to."""
    home, host = branches
    phone = await make_phone(tx, app, http, clock, org_unit=home)
    unit = host if request.param == "lent" else home
    if unit is host:
        await make_loan(tx, phone.technician, host, first=TODAY, now=clock.now())
    customer = await make_customer(tx, org_unit=unit)
    await make_address(tx, customer)
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), org_unit_id=unit.id
    )
    await tx.commit()
    await phone.restore(order)
    return phone, customer, order


async def ask(phone, method, url, body):
    if method == "POST":
        body = {"id": str(new_id()), **body}
    return await phone.http.request(method, f"/v1{url}", json=body, headers=phone.headers)


@pytest.mark.parametrize(
    ("method", "url", "body"),
    [
        ("PUT", "/customers/{customer}/do-not-disturb", {"on": True}),
        ("PUT", "/customers/{customer}/personal-offers", {"on": False}),
        ("POST", "/customers/{customer}/consents", {"channels": ["phone"], "state": "withdrawn"}),
        ("GET", "/customers/{customer}/consents", None),
        ("GET", "/customers/{customer}/context", None),
        ("GET", "/customers/{customer}/real-name", None),
        ("GET", "/work-orders/{order}/evidence", None),
    ],
)
async def test_they_write_down_what_a_customer_says_and_see_the_door_they_stand_at(
    door, method, url, body
):
    phone, customer, order = door
    answer = await ask(phone, method, url.format(customer=customer.id, order=order.id), body)
    assert answer.status_code in (200, 201), answer.text


async def test_they_write_it_down_without_a_network_too(door, clock):
    phone, customer, _ = door
    action = {
        "id": str(new_id()),
        "type": "customers_do_not_disturb",
        "payload": {"customer_id": str(customer.id), "on": True},
        "device_at": clock.now().isoformat(),
    }
    body = {"changes": {"actions": {"created": [action]}}}
    answer = await phone.http.post("/v1/sync", json=body, headers=phone.headers)
    [told] = answer.json()["verdicts"]
    assert (told["verdict"], told["code"]) == ("applied", None)


async def test_to_be_lent_to_a_branch_alone_opens_none_of_its_customers(
    tx, app, http, clock, branches
):
    home, host = branches
    phone, there = [await make_phone(tx, app, http, clock, org_unit=unit) for unit in (home, host)]
    await make_loan(tx, phone.technician, host, first=TODAY, now=clock.now())
    customer = await make_customer(tx, org_unit=host)
    order = await make_assigned_order(tx, there.technician, customer, now=clock.now())
    await tx.commit()
    await there.restore(order)
    for method, url, body in (
        ("PUT", f"/customers/{customer.id}/do-not-disturb", {"on": True}),
        ("GET", f"/customers/{customer.id}/consents", None),
        ("GET", f"/work-orders/{order.id}/evidence", None),
    ):
        assert (await ask(phone, method, url, body)).status_code == 404
