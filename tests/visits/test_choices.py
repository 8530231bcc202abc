"""What customers ask for: who may write it down for them, and that it holds with the answer."""

import pytest
from sqlalchemy import select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.customers.models import Customer
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_customer
from tests.make.visits import make_assigned_order, make_phone


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def customer(tx, branch):
    return await make_customer(tx, org_unit=branch)


async def test_offers_for_everybody_are_chosen_at_the_door(tx, app, http, clock, customer, branch):
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    url = f"/v1/customers/{customer.id}/personal-offers"

    async def put(on):
        return await http.put(url, json={"on": on}, headers=phone.headers)

    assert (await put(False)).status_code == 404  # assigned is not yet at the door
    await tx.refresh(customer)
    assert customer.personal_offers is True
    await phone.acknowledge(order)
    off = await put(False)
    assert (off.status_code, off.json()["on"]) == (200, False)
    assert (await put(False)).json() == off.json()
    (entry,) = await tx.scalars(
        select(AuditEntry).where(AuditEntry.action == "customers_personal_offers")
    )
    (change,) = entry.changes
    assert change["values"]["personal_offers"] == [True, False]


@pytest.mark.parametrize(
    ("role", "here", "status"),
    [
        (Role.SUPERVISOR, True, 200),
        (Role.SUPERVISOR, False, 404),
        (Role.INTEGRATION, True, 200),
        (Role.INTEGRATION, False, 404),
    ],
)
async def test_others_choose_for_the_customers_of_their_area(
    tx, app, http, customer, branch, role, here, status
):
    unit = branch if here else await make_org_unit(tx)
    account = await make_account(tx, unit, role=role)
    headers = bearer(app, caller_for(role, unit, account_id=account.id))
    for switch in ("personal-offers", "do-not-disturb"):
        url = f"/v1/customers/{customer.id}/{switch}"
        answer = await http.put(url, json={"on": False}, headers=headers)
        assert answer.status_code == status
    held = await tx.scalar(select(Customer.personal_offers).where(Customer.id == customer.id))
    assert held is (status == 404)
