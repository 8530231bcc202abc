"""What is sold on an approval code alone: open with one, at the door and in the install, and not
without."""

from datetime import date, timedelta

import pytest

from app.auth.keys import KeyRing
from app.core.db import new_id
from app.lifecycle.rules import Tier
from app.messaging.rules import MessageKind
from app.suggestions.models import SuggestionLever
from app.workorders.models import WorkOrder
from tests.make.catalog import make_offering
from tests.make.consent import reference_told, write_back
from tests.make.lifecycle import make_lifecycle
from tests.make.retention import make_terms, make_toolkit
from tests.make.sales import consent_body
from tests.sales.conftest import slug

CONTACT = {"phone": "13900001111", "relation": "child"}


@pytest.fixture
async def managers(door, tx):
    """A better line that the account manager alone sells to a customer of this tier."""
    await make_offering(
        tx,
        code="SPEED-VIP",
        requires=["broadband"],
        levers=["income"],
        install_minutes=40,
        skill="fibre",
    )
    tx.add(
        SuggestionLever(
            id=new_id(),
            code="income",
            lever="income",
            org_path="",
            manager_tiers=["A"],
            valid_from=date(2020, 1, 1),
        )
    )
    await make_lifecycle(tx, door.customer, tier=Tier.A)
    await make_toolkit(tx, offers=["SPEED-VIP"])
    await tx.commit()


@pytest.fixture
async def stay(door, tx):
    """An offering that keeps somebody on special terms, and is installed."""
    await make_offering(
        tx,
        code="STAY",
        category="stay",
        business_type="retention",
        levers=["retention"],
        install_minutes=20,
        skill="fibre",
    )
    await make_toolkit(tx, offers=["STAY"])
    await tx.commit()


@pytest.fixture
def approve(door, tx, tmp_path, clock):
    keys = KeyRing.load(tmp_path / "keys")

    async def approved(offering_code):
        _, code = await make_terms(tx, door.customer, offering_code, keys, now=clock.now())
        await tx.commit()
        return code

    return approved


async def put_together(door, *items, **given):
    body = {"id": str(new_id()), "visit_id": str(door.visit_id), "items": list(items), **given}
    return await door.phone.http.post("/v1/sales", json=body, headers=door.phone.headers)


async def sold(door, offering_code, code, **given):
    """Sell on a code, and let the customer sign."""
    made = await put_together(
        door, {"offering_code": offering_code, "approval_code": code}, **given
    )
    assert made.status_code == 201, made.text
    return (await door.confirm(made.json())).json()


async def sold_to_protected(door, clock, offering_code, code):
    item = {"offering_code": offering_code, "approval_code": code}
    made = (await put_together(door, item)).json()
    consent = consent_body(clock.now(), made["shown_sha256"]) | {"second_contact": CONTACT}
    url = f"/v1/sales/{made['id']}/confirm"
    answer = await door.phone.http.post(url, json=consent, headers=door.phone.headers)
    assert answer.json()["state"] == "second_confirmation", answer.text
    return answer.json()


def codes(said):
    return [no["code"] for no in said["noes"]]


async def test_what_is_sold_on_a_code_is_installed_in_the_same_visit(door, managers, approve, tx):
    assert codes(await door.answer("SPEED-VIP")) == ["not_sold_here"]
    code = await approve("SPEED-VIP")
    assert (await door.answer("SPEED-VIP"))["can_install_now"]
    sale = await sold(door, "SPEED-VIP", code)
    assert sale["install_not_now"] == []
    install = await tx.get(WorkOrder, sale["install_order_id"])
    assert install.holder_id == door.phone.technician.id


async def test_so_it_is_once_the_reservation_has_lapsed(door, managers, approve, clock):
    code = await approve("SPEED-VIP")
    reserved = (await door.reserve("SPEED-VIP")).json()
    clock.tick(timedelta(minutes=31))
    sale = await sold(door, "SPEED-VIP", code, reservation_id=reserved["id"])
    assert (sale["install_order_id"] is not None, sale["install_not_now"]) == (True, [])


@pytest.mark.parametrize("later", [timedelta(minutes=5), timedelta(minutes=70)])
async def test_so_it_is_after_somebody_else_has_agreed(door, managers, approve, tx, clock, later):
    """The second yes may come when what was kept is over."""
    door.customer.elderly = True
    sale = await sold_to_protected(door, clock, "SPEED-VIP", await approve("SPEED-VIP"))
    assert sale["reservation_id"] is not None
    clock.tick(later)
    reference = await reference_told(tx, sale["id"], MessageKind.SECOND_CONFIRMATION)
    await write_back(tx, CONTACT["phone"], f"Y{reference}", now=clock.now())
    sale = (await door.phone.get(f"/sales/{sale['id']}")).json()
    assert (sale["install_order_id"] is not None, sale["install_not_now"]) == (True, [])


async def test_what_needs_approval_is_not_sold_without_a_code(door, stay, approve):
    said = await door.answer("STAY")
    assert (said["can_sell"], codes(said)) == (False, ["needs_approval"])
    refused = await put_together(door, {"offering_code": "STAY"})
    assert (refused.status_code, slug(refused)) == (409, "cannot-be-had")
    assert refused.json()["facts"]["codes"] == ["needs_approval"]
    # That terms are approved opens their price, and not that of the catalogue beside it.
    code = await approve("STAY")
    beside = [{"offering_code": "STAY", "approval_code": code}, {"offering_code": "STAY"}]
    for items in (beside[1:], beside):
        refused = await put_together(door, *items)
        assert refused.json()["facts"]["codes"] == ["needs_approval"]


async def test_a_code_opens_what_needs_approval(door, stay, approve):
    code = await approve("STAY")
    said = await door.answer("STAY")
    assert (said["can_sell"], said["can_install_now"], codes(said)) == (True, True, [])
    reserved = await door.reserve("STAY")
    assert reserved.status_code == 201, reserved.text
    sale = await sold(door, "STAY", code, reservation_id=reserved.json()["id"])
    assert (sale["state"], sale["install_not_now"]) == ("confirmed", [])
    assert sale["install_order_id"] is not None
