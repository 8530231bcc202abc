"""What customers ask for: who may write it down for them, and that it holds with the answer."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.customers.models import ContactConsent, Customer
from app.customers.rules import Channel, ConsentState, Said, consents_of, may_offer_on
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


async def test_at_the_door_a_customer_is_left_alone_and_only_others_lift_it(
    tx, app, http, clock, customer, branch
):
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    url = f"/v1/customers/{customer.id}/do-not-disturb"

    async def put(on, who=phone.headers, **body):
        return await http.put(url, json={"on": on, **body}, headers=who)

    # Without an order of theirs neither way, not even within the own branch.
    assert [(await put(on)).status_code for on in (True, False)] == [404, 404]
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    assert (await put(True)).status_code == 404  # assigned is not yet at the door
    visit_id = await phone.restore(order)
    on = await put(True)
    assert (on.status_code, on.json()["on"]) == (200, True)
    for lang, words in (("en", "a supervisor"), ("zh", "班组长")):
        off = await put(False, {**phone.headers, "accept-language": lang})
        assert (off.status_code, off.json()["type"]) == (
            403,
            "urn:yingwei:problem:kept-undisturbed",
        )
        assert words in off.json()["detail"]
    await tx.refresh(customer)
    assert customer.do_not_disturb is True
    account = await make_account(tx, branch, role=Role.SUPERVISOR)
    supervisor = bearer(app, caller_for(Role.SUPERVISOR, branch, account_id=account.id))
    assert (await put(False, supervisor)).json()["on"] is False
    # What was said at the door counts also when the phone had no network until long after.
    clock.tick(timedelta(minutes=1))
    said = clock.now().isoformat()
    await phone.complete(visit_id)
    clock.tick(timedelta(hours=8))
    assert (await put(True)).status_code == 404
    assert (await put(True, device_at=said)).json()["on"] is True


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


def said(state, *channels, hour=9, **more):
    return Said(channels, ConsentState(state), datetime(2026, 3, 2, hour, tzinfo=UTC), **more)


@pytest.mark.parametrize(
    ("told", "allowed", "refused"),
    [
        ([], set(), set()),
        ([said("given", Channel.SMS)], {Channel.SMS}, set()),
        (
            [said("given", Channel.SMS), said("withdrawn", *Channel, hour=10)],
            set(),
            set(Channel),
        ),
        # What arrives late and was said earlier undoes nothing.
        ([said("withdrawn", Channel.SMS, hour=10), said("given", Channel.SMS)], set(), {"sms"}),
        # At one moment the withdrawal wins, in whatever order the two come.
        ([said("withdrawn", Channel.SMS), said("given", Channel.SMS)], set(), {"sms"}),
        ([said("given", Channel.SMS), said("withdrawn", Channel.SMS)], set(), {"sms"}),
    ],
)
def test_what_was_said_last_holds(told, allowed, refused):
    last = consents_of(told)
    assert {c for c, one in last.items() if one.state is ConsentState.GIVEN} == allowed
    assert {c for c, one in last.items() if one.state is ConsentState.WITHDRAWN} == refused


@pytest.mark.parametrize(
    ("channel", "allowed", "refused", "quiet", "may"),
    [
        (Channel.VISIT, (), (), False, True),
        (Channel.PHONE, (), (), False, False),  # silence is refusal
        (Channel.SMS, (Channel.SMS,), (), False, True),
        (Channel.SMS, (Channel.SMS,), (), True, False),
        (Channel.VISIT, (), (Channel.VISIT,), False, False),
    ],
)
def test_where_offers_may_be_made(channel, allowed, refused, quiet, may):
    assert may_offer_on(channel, allowed=allowed, refused=refused, do_not_disturb=quiet) is may


async def test_consent_is_kept_with_its_proof_and_withdrawn_in_the_same_second(
    tx, app, http, clock, customer, branch
):
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    order = await make_assigned_order(tx, phone.technician, customer, now=clock.now())
    url = f"/customers/{customer.id}/consents"
    given: dict[str, Any] = {
        "id": str(new_id()),
        "channels": ["phone", "sms"],
        "state": "given",
        "proof": "signature",
        "reference": "E-1",
    }
    assert (await phone.post(url, **given)).status_code == 404
    await phone.acknowledge(order)
    bare = await phone.post(url, **{**given, "reference": None})
    assert (bare.status_code, bare.json()["facts"]["errors"][0]["field"]) == (422, "reference")
    assert await tx.scalar(select(func.count()).select_from(ContactConsent)) == 0
    first = await phone.post(url, **given)
    assert first.status_code == 200, first.text
    assert (await phone.post(url, **given)).json() == first.json()
    other = await phone.post(url, **{**given, "channels": ["app"]})
    assert (other.status_code, other.json()["type"]) == (
        409,
        "urn:yingwei:problem:same-id-other-content",
    )
    clock.tick(timedelta(minutes=1))
    gone = await phone.post(url, id=str(new_id()), channels=["visit", "sms"], state="withdrawn")
    stand = {one["channel"]: one for one in gone.json()["channels"]}
    assert (stand["phone"]["may_offer"], stand["sms"]["may_offer"]) == (True, False)
    assert stand["visit"] == {"channel": "visit", "state": "withdrawn", "may_offer": False}
    assert (await phone.get(url)).json() == gone.json()
    assert [one["reference"] for one in gone.json()["said"]] == [None, "E-1"]
    # Whoever decides what to offer at a door sees it in the customer's row.
    await tx.refresh(customer)
    assert (customer.channels_allowed, customer.channels_refused) == (["phone"], ["sms", "visit"])
