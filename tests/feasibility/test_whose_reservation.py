"""What a sale names as reserved is that sale's: another sale of the visit has its own beside it."""

from datetime import timedelta

import pytest

from app.core.db import new_id
from app.messaging.rules import MessageKind
from app.workorders.models import WorkOrder
from tests.make.catalog import make_offering
from tests.make.consent import reference_told, write_back
from tests.make.sales import consent_body
from tests.sales.conftest import slug

CONTACT = {"phone": "13900001111", "relation": "child"}


@pytest.fixture
async def offers(door, tx):
    """A box for the television, a camera that takes the gateway too, and what takes longer."""
    await make_offering(tx, code="TV-BOX", category="tv", skill="fibre", install_minutes=15)
    await make_offering(
        tx, code="CAMERA", category="camera", install_minutes=15, terminal_kind="ont_gateway"
    )
    await make_offering(tx, code="WIRING", category="wiring", skill="fibre", install_minutes=50)
    await make_offering(tx, code="LONG", category="house", skill="fibre", install_minutes=130)
    await tx.commit()


@pytest.fixture
async def drafted(door, offers):
    """A draft for which 40 minutes and the only gateway are reserved; it is not signed yet."""
    reserved = (await door.reserve("SPEED-2000")).json()
    answer = await put_together(door, "SPEED-2000", reservation_id=reserved["id"])
    assert answer.status_code == 201, answer.text
    return answer.json()


@pytest.fixture
async def waiting(door, offers, tx, clock):
    """A sale to somebody elderly, which waits for their child and keeps what it takes."""
    door.customer.elderly = True
    await tx.commit()
    return await agreed(door, clock, "SPEED-2000")


async def put_together(door, code, **given):
    body = {
        "id": str(new_id()),
        "visit_id": str(door.visit_id),
        "items": [{"offering_code": code}],
        **given,
    }
    return await door.phone.http.post("/v1/sales", json=body, headers=door.phone.headers)


async def agreed(door, clock, code, **given):
    """Sell to a protected customer, for whom somebody close has still to agree."""
    made = (await put_together(door, code, **given)).json()
    consent = consent_body(clock.now(), made["shown_sha256"]) | {"second_contact": CONTACT}
    url = f"/v1/sales/{made['id']}/confirm"
    answer = await door.phone.http.post(url, json=consent, headers=door.phone.headers)
    assert answer.json()["state"] == "second_confirmation", answer.text
    return answer.json()


async def replied(door, tx, clock, sale):
    reference = await reference_told(tx, sale["id"], MessageKind.SECOND_CONFIRMATION)
    await write_back(tx, CONTACT["phone"], f"Y{reference}", now=clock.now())
    return (await door.phone.get(f"/sales/{sale['id']}")).json()


async def reserved_for(door, sale):
    """What is reserved for a sale: its state, minutes and serial numbers."""
    told = (await door.phone.get(f"/install-reservations/{sale['reservation_id']}")).json()
    return told["state"], told["minutes"], told["serial_numbers"]


async def install_of(tx, sale):
    return await tx.get(WorkOrder, sale["install_order_id"])


def codes(said):
    return [no["code"] for no in said["noes"]]


async def test_another_sale_is_installed_with_what_it_takes_itself(door, drafted, tx):
    second = await door.sell("TV-BOX")
    box = await install_of(tx, second)
    assert (box.estimated_minutes, box.terminals) == (15, [])
    first = (await door.confirm(drafted)).json()
    line = await install_of(tx, first)
    assert (line.estimated_minutes, line.terminals) == (40, ["ont_gateway"])
    assert (await reserved_for(door, first))[0] == "used"


async def test_what_it_holds_is_gone_for_another_sale_which_says_so(door, drafted):
    camera = await door.answer("CAMERA")
    assert (camera["can_sell"], codes(camera)) == (True, ["not_in_the_van"])
    assert camera["serial_numbers"] == []
    refused = await door.reserve("CAMERA")
    assert (refused.status_code, slug(refused)) == (409, "install-not-feasible")
    assert refused.json()["facts"]["codes"] == ["not_in_the_van"]
    # So are its minutes; there is another time for what takes many.
    refused = await door.reserve("WIRING")
    assert refused.json()["facts"]["codes"] == ["promise_in_the_way"]
    assert refused.json()["facts"]["next_best"]["slot"] == "s14"
    second = await door.sell("CAMERA")
    assert second["install_not_now"] == ["not_in_the_van"]
    assert (await reserved_for(door, drafted))[0] == "held"


async def test_another_sale_has_a_reservation_beside_it(door, drafted):
    first = (await door.reserve("WIFI-CHECK")).json()
    # The one that no sale names gives way to a new one, as ever.
    second = (await door.reserve("TV-BOX")).json()
    states = [
        (await door.phone.get(f"/install-reservations/{one['id']}")).json()["state"]
        for one in (first, second)
    ]
    assert states == ["released", "held"]
    assert await reserved_for(door, drafted) == ("held", 40, [door.gateway.serial_number])
    box = await door.sell("TV-BOX", reservation_id=second["id"])
    line = (await door.confirm(drafted)).json()
    assert None not in (box["install_order_id"], line["install_order_id"])


async def test_it_is_named_by_one_sale_at_a_time(door, drafted, clock):
    named = {"reservation_id": drafted["reservation_id"]}
    refused = await put_together(door, "TV-BOX", **named)
    assert (refused.status_code, slug(refused)) == (409, "reservation-of-another-sale")
    facts = refused.json()["facts"]
    assert (facts["sale_id"], facts["state"]) == (drafted["id"], "draft")
    await door.phone.http.post(f"/v1/sales/{drafted['id']}/cancel", headers=door.phone.headers)
    again = await put_together(door, "SPEED-2000", **named)
    assert again.status_code == 201, again.text
    # What is over is nobody's.
    clock.tick(timedelta(minutes=30))
    assert (await put_together(door, "TV-BOX", **named)).status_code == 201


async def test_a_cancelled_draft_leaves_it_to_the_visit(door, drafted):
    await door.phone.http.post(f"/v1/sales/{drafted['id']}/cancel", headers=door.phone.headers)
    assert (await door.answer("CAMERA"))["can_install_now"]
    assert (await door.answer("WIRING"))["can_install_now"]
    assert (await door.sell("SPEED-2000"))["install_order_id"] is not None
    assert (await reserved_for(door, drafted))[0] == "used"


async def test_a_sale_that_waits_keeps_it_whatever_becomes_of_another(door, waiting, tx, clock):
    second = await agreed(door, clock, "TV-BOX")
    assert second["reservation_id"] != waiting["reservation_id"]
    assert await reserved_for(door, second) == ("held", 15, [])
    await door.phone.http.post(f"/v1/sales/{second['id']}/cancel", headers=door.phone.headers)
    assert (await reserved_for(door, second))[0] == "released"
    assert await reserved_for(door, waiting) == ("held", 40, [door.gateway.serial_number])
    line = await install_of(tx, await replied(door, tx, clock, waiting))
    assert (line.estimated_minutes, line.terminals) == (40, ["ont_gateway"])


async def test_of_two_that_wait_each_has_its_own_whoever_is_agreed_to_first(
    door, waiting, tx, clock
):
    second = await agreed(door, clock, "TV-BOX")
    box = await install_of(tx, await replied(door, tx, clock, second))
    line = await install_of(tx, await replied(door, tx, clock, waiting))
    assert (box.estimated_minutes, line.estimated_minutes) == (15, 40)
    assert (box.terminals, line.terminals) == ([], ["ont_gateway"])


async def test_what_cannot_be_installed_now_takes_nothing_from_the_visit(door, offers):
    """What is reserved for something that is still being talked about stays reserved."""
    reserved = (await door.reserve("SPEED-2000")).json()
    assert (await door.sell("LONG"))["install_not_now"] == ["too_long_for_now"]
    line = await put_together(door, "SPEED-2000", reservation_id=reserved["id"])
    assert await reserved_for(door, line.json()) == ("held", 40, [door.gateway.serial_number])


async def test_what_was_reserved_for_a_sale_and_is_not_enough_gives_way_to_what_it_takes(
    door, offers
):
    reserved = (await door.reserve("TV-BOX")).json()
    sale = await door.sell("SPEED-2000", reservation_id=reserved["id"])
    assert sale["install_order_id"] is not None
    assert (await reserved_for(door, {"reservation_id": reserved["id"]}))[0] == "released"
