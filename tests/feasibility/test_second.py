"""A sale to somebody who is protected: what it takes stays reserved until somebody else agrees."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.auth import audit
from app.auth.models import Account, AuditEntry
from app.core.db import new_id
from app.feasibility.models import InstallReservation
from app.messaging.rules import MessageKind
from app.sales.models import SaleEvent
from app.workorders.models import WorkOrder
from tests.make.consent import reference_told, write_back
from tests.make.sales import consent_body

CONTACT = {"phone": "13900001111", "relation": "child"}


@pytest.fixture
async def waiting(door, tx, clock):
    """A sale to somebody elderly, agreed to by them and not yet by their child."""
    door.customer.elderly = True
    await tx.commit()
    return await _waiting(door, clock)


async def _waiting(door, clock, *codes):
    items = [{"offering_code": code} for code in codes or ["SPEED-2000"]]
    body = {"id": str(new_id()), "visit_id": str(door.visit_id), "items": items}
    sale = (await door.phone.post("/sales", **body)).json()
    consent = consent_body(clock.now(), sale["shown_sha256"]) | {"second_contact": CONTACT}
    answer = await door.phone.http.post(
        f"/v1/sales/{sale['id']}/confirm", json=consent, headers=door.phone.headers
    )
    assert answer.json()["state"] == "second_confirmation", answer.text
    return answer.json()


async def replied(door, tx, clock, sale, word="Y"):
    reference = await reference_told(tx, sale["id"], MessageKind.SECOND_CONFIRMATION)
    await write_back(tx, CONTACT["phone"], f"{word}{reference}", now=clock.now())
    return (await door.phone.get(f"/sales/{sale['id']}")).json()


async def reservation_of(door, sale):
    return (await door.phone.get(f"/install-reservations/{sale['reservation_id']}")).json()


async def test_a_yes_while_the_technician_is_there_orders_the_install(door, waiting, tx, clock):
    kept = await reservation_of(door, waiting)
    assert (kept["state"], kept["serial_numbers"]) == ("held", [door.gateway.serial_number])
    assert (waiting["install_order_id"], waiting["install_not_now"]) == (None, [])
    clock.tick(timedelta(minutes=50))  # longer than anything is reserved otherwise
    sale = await replied(door, tx, clock, waiting)
    assert (sale["state"], sale["install_not_now"]) == ("confirmed", [])
    install = await tx.get(WorkOrder, sale["install_order_id"])
    assert install is not None and install.holder_id == door.phone.technician.id
    assert (await reservation_of(door, sale))["state"] == "used"
    # Whoever wrote back is not shown the customer's data; the technician is.
    await audit.record(tx, None)
    shown = select(Account.technician_id).join(AuditEntry, AuditEntry.account_id == Account.id)
    readers = await tx.scalars(shown.where(AuditEntry.purpose == f"work_order:{install.id}"))
    assert list(readers) == [door.phone.technician.id]


async def test_a_yes_that_comes_too_late_says_so(door, waiting, tx, clock):
    await door.phone.complete(door.visit_id)
    sale = await replied(door, tx, clock, waiting)
    assert (sale["state"], sale["install_order_id"]) == ("confirmed", None)
    assert sale["install_not_now"] == ["not_at_the_door"]
    step = select(SaleEvent.facts).where(SaleEvent.step == "install_not_now")
    assert await tx.scalar(step) == {"codes": ["not_at_the_door"]}


async def test_a_no_gives_free_what_was_kept(door, waiting, tx, clock):
    sale = await replied(door, tx, clock, waiting, "N")
    assert (sale["state"], sale["install_order_id"]) == ("cancelled", None)
    assert (await reservation_of(door, sale))["state"] == "released"
    # What was free again can be had by the next one at once.
    assert (await door.answer("SPEED-2000"))["can_install_now"]


async def test_what_cannot_be_had_now_is_not_kept_and_the_sale_waits_all_the_same(door, tx, clock):
    door.customer.elderly, door.gateway.technician_id = True, None
    door.gateway.pool = "warehouse"
    await tx.commit()
    sale = await _waiting(door, clock)
    assert sale["reservation_id"] is None
    assert await tx.scalar(select(InstallReservation.id)) is None
    assert (await replied(door, tx, clock, sale))["install_not_now"] == ["not_in_the_van"]
