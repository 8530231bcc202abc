"""Who sees whom: by every door that could tell, the name behind an order is the holder's alone."""

import re

import pytest

from app.auth.rules import Role
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_address, make_contact, make_customer, make_subscription
from tests.make.visits import make_assigned_order, make_phone

# What of the customer nobody else may read; the compound and the building they may.
SECRETS = ("王小明", "15412341234", "1203", "07318881234")

# Doors that tell of one customer, order or visit, and those that list, draw or give out many.
ABOUT_ONE = re.compile(r"\{(customer_id|customer|order_id|work_order_id|visit_id)\}")
OF_MANY = {
    "/v1/work-orders",
    "/v1/my/day",
    "/v1/board",
    "/v1/check-ins/marked",
    "/v1/evidence/outstanding",
    "/v1/activation-overrides",
    "/v1/promises/overdue",
    "/v1/promises/at-risk",
    "/v1/escalations",
    "/v1/escalations/mine",
    "/v1/compensations",
    "/v1/sales",
    "/v1/sales-leads",
    "/v1/competitor-notes",
    "/v1/recoveries",
    "/v1/my/recoveries",
    "/v1/repeat-faults",
    "/v1/follow-ups",
    "/v1/follow-up-calls",
    "/v1/retention-cases",
    "/v1/my/retention-cases",
    "/v1/former-customers",
    "/v1/special-terms",
    "/v1/messages",
    "/v1/order-syncs",
    "/v1/privacy/requests",
    "/v1/tiles/orders/0/0/0.mvt",
}


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def held(tx, app, http, clock, branch):
    """A customer whose order a technician has at the door, and that technician's phone."""
    customer = await make_customer(
        tx, org_unit=branch, code="KH-1", name="王小明", phone="15412341234"
    )
    await make_address(tx, customer)
    await make_subscription(tx, customer, service_number="07318881234")
    await make_contact(tx, customer, at=clock.now())
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    visit_id = await phone.restore(order)
    return {
        "phone": phone,
        "customer_id": customer.id,
        "customer": customer.id,
        "order_id": order.id,
        "work_order_id": order.id,
        "visit_id": visit_id,
    }


@pytest.fixture
async def callers(tx, app, http, clock, branch):
    """Everybody who is not the holder, by a word for them."""
    colleague = await make_phone(tx, app, http, clock, org_unit=branch)
    made = {"colleague": colleague.headers}
    for word, role, unit in (
        ("supervisor", Role.SUPERVISOR, branch),
        ("elsewhere", Role.SUPERVISOR, await make_org_unit(tx)),
    ):
        account = await make_account(tx, unit, role=role)
        made[word] = bearer(app, caller_for(role, unit, account_id=account.id))
    return made


def doors(app, held):
    document = app.openapi()["paths"]
    paths = [path for path, operations in document.items() if "get" in operations]
    return [
        re.sub(r"\{(\w+)\}", lambda found: str(held[found[1]]), path)
        for path in paths
        if ABOUT_ONE.search(path)
    ] + sorted({*OF_MANY, "/v1/customers?code=KH-1", "/v1/customers?service_number=07318881234"})


async def test_nobody_but_the_holder_reads_who_it_is(app, http, held, callers):
    for who, headers in callers.items():
        # A service is known to supervisors by its number; a colleague has nothing to do with it.
        hidden = SECRETS if who in ("colleague", "elsewhere") else SECRETS[:-1]
        leaks = []
        for url in doors(app, held):
            answer = await http.get(url, headers=headers)
            assert answer.status_code < 500, (url, answer.text)
            told = answer.text.replace(url, "")
            leaks += [(who, url, secret) for secret in hidden if secret in told]
        assert leaks == []
    phone = held["phone"]
    told_by = {
        url
        for url in doors(app, held)
        if "王小明" in (await phone.http.get(url, headers=phone.headers)).text
    }
    # Both leave an entry in the trail: a look at the card, and taking the order on.
    assert told_by == {f"/v1/customers/{held['customer_id']}/context", "/v1/my/day"}
