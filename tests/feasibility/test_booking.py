"""What is sold at a door and takes too long for now is installed in a slot that the sale books."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.auth.models import Account
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import HoldState
from app.sales import jobs
from app.sales.models import Sale
from app.technicians import availability
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_customer
from tests.make.dispatch import order
from tests.make.feasibility import make_install_door
from tests.make.sales import make_door
from tests.make.technicians import make_loan, make_technician
from tests.make.visits import LAT, LON, TODAY, at, make_assigned_order

TOMORROW = TODAY + timedelta(days=1)


def slug(answer):
    return answer.json()["type"].rpartition(":")[2]


@pytest.fixture
async def book(door, tx):
    """Book a slot for something that takes more than two hours, tomorrow morning unless told."""
    await make_offering(tx, code="LONG", install_minutes=130, skill="fibre")
    await tx.commit()

    async def ask(*codes, **fields):
        when = {"day": TOMORROW.isoformat(), "slot": "s08", **fields}
        return await door.book(*codes or ("LONG",), **when)

    return ask


@pytest.fixture
async def draft(door):
    """Put a sale together that names a slot, and leave it a draft."""

    async def make(hold_id, code="LONG", **headers):
        body = {
            "id": str(new_id()),
            "visit_id": str(door.visit_id),
            "items": [{"offering_code": code}],
            "appointment_hold_id": hold_id,
        }
        headers = {**door.phone.headers, **headers}
        return await door.phone.http.post("/v1/sales", json=body, headers=headers)

    return make


async def minutes(door, day=TOMORROW):
    return (await availability.promised(door.tx, door.phone.technician.id, day)).minutes


async def test_the_next_best_time_is_booked_and_the_install_order_takes_its_place(
    door, tx, app, http, clock, book
):
    best = (await door.answer("LONG"))["next_best"]
    when = {"id": str(new_id()), "day": best["day"], "slot": best["slot"]}
    first = await book(**when)
    assert (first.status_code, (await book(**when)).json()) == (201, first.json())
    assert slug(await book("WIFI-CHECK", **when)) == "same-id-other-content"
    booked = first.json()
    assert (booked["state"], booked["begins_at"]) == ("held", best["begins_at"])
    assert await minutes(door, TODAY) == 60 + 130
    sale = await door.sell("LONG", appointment_hold_id=booked["id"])
    assert sale["appointment_hold_id"] == booked["id"]
    assert (sale["install_order_id"], sale["install_not_now"]) == (None, [])
    # It is kept until it begins, and for whoever sends the install.
    clock.tick(timedelta(hours=1))
    await door.phone.complete(door.visit_id)
    crm = bearer(app, caller_for(Role.INTEGRATION, door.branch))
    body = order(
        point=at(LON, LAT),
        work_type="install",
        estimated_minutes=None,
        appointment_hold_id=booked["id"],
    )
    placed = await http.post("/v1/work-orders", json=body, headers=crm)
    assert placed.status_code == 201, placed.text
    assert placed.json()["planned_day"] == best["day"]
    held = await tx.get_one(AppointmentHold, booked["id"], populate_existing=True)
    assert (held.state, str(held.work_order_id)) == (HoldState.CONFIRMED, placed.json()["id"])


@pytest.mark.parametrize("why", ["over", "too_short"])
async def test_what_cannot_be_kept_leaves_the_sale_without_an_appointment(door, clock, book, why):
    booked = (await book("WIFI-CHECK" if why == "too_short" else "LONG")).json()
    if why == "over":
        clock.tick(timedelta(minutes=31))
    sale = await door.sell("LONG", appointment_hold_id=booked["id"])
    assert (sale["state"], sale["appointment_hold_id"]) == ("confirmed", None)
    assert sale["install_not_now"] == ["appointment_over"]


async def test_the_slot_of_a_sale_that_came_to_nothing_is_given_back(
    door, tx, clock, settings, database, book
):
    booked = (await book()).json()
    sale = await door.sell("LONG", appointment_hold_id=booked["id"])
    assert await minutes(door) == 130
    worker = Worker(settings, clock, database)
    await jobs.give_slots_back(worker)
    assert await minutes(door) == 130
    row = await tx.get_one(Sale, sale["id"], populate_existing=True)
    row.state = "rejected"
    await tx.commit()
    for _ in range(2):
        await jobs.give_slots_back(worker)
    assert await minutes(door) == 0


async def test_the_slot_of_what_came_back_is_given_back_though_the_rest_stands(
    door, tx, clock, settings, database, book
):
    booked = (await book()).json()
    sale = await door.sell("LONG", "TV-4K", appointment_hold_id=booked["id"])
    back = "UPDATE sale_item SET reversed_at = now() WHERE offering_code = :code"
    worker = Worker(settings, clock, database)
    for code, left in (("TV-4K", 130), ("LONG", 0)):
        await tx.execute(text(back), {"code": code})
        await tx.commit()
        await jobs.give_slots_back(worker)
        assert await minutes(door) == left
    assert (await tx.get_one(Sale, sale["id"])).reversed_at is None


async def test_a_slot_goes_over_to_the_sale_that_took_the_place_of_a_cancelled_one(
    door, clock, settings, database, book, draft
):
    booked = (await book()).json()
    worker = Worker(settings, clock, database)
    first = (await draft(booked["id"])).json()
    headers = door.phone.headers
    await door.phone.http.post(f"/v1/sales/{first['id']}/cancel", headers=headers)
    sale = (await draft(booked["id"])).json()
    await jobs.give_slots_back(worker)
    confirmed = (await door.confirm(sale)).json()
    assert (confirmed["state"], confirmed["appointment_hold_id"]) == ("confirmed", booked["id"])
    await jobs.give_slots_back(worker)
    assert await minutes(door) == 130


async def test_a_slot_is_for_one_sale_at_a_time(door, tx, clock, settings, database, book, draft):
    booked = (await book()).json()
    first = (await draft(booked["id"])).json()
    for state in ("draft", "confirmed"):
        second = await draft(booked["id"], "WIFI-CHECK", **{"accept-language": "zh"})
        assert (second.status_code, slug(second)) == (409, "slot-of-another-sale")
        assert second.json()["facts"] == {"sale_id": first["id"], "state": state}
        assert first["id"] in second.json()["detail"] and "另约时段" in second.json()["detail"]
        await door.confirm(first)
    # What has come to nothing has its slot no more, and several of them give it free.
    await tx.execute(text("UPDATE sale SET state = 'rejected'"))
    await tx.commit()
    second = (await draft(booked["id"])).json()
    url = f"/v1/sales/{second['id']}/cancel"
    assert (await door.phone.http.post(url, headers=door.phone.headers)).status_code == 200
    await jobs.give_slots_back(Worker(settings, clock, database))
    assert await minutes(door) == 0


@pytest.mark.parametrize(("whose", "status"), [("the same", 201), ("a neighbour's", 422)])
async def test_a_slot_is_for_the_door_at_which_it_was_booked(
    door, tx, clock, book, draft, whose, status
):
    booked = (await book()).json()
    await door.phone.complete(door.visit_id)
    customer = (
        door.customer if whose == "the same" else await make_customer(tx, org_unit=door.branch)
    )
    order = await make_assigned_order(
        tx, door.phone.technician, customer, now=clock.now(), grid_id=door.grid.id
    )
    await tx.commit()
    door.visit_id = await door.phone.restore(order)
    made = await draft(booked["id"])
    assert made.status_code == status, made.text
    if status == 422:
        [error] = made.json()["facts"]["errors"]
        assert error["field"] == "appointment_hold_id"


async def test_it_is_kept_while_a_second_yes_is_waited_for(door, tx, app, http, clock, book):
    door.customer.elderly = True
    await tx.commit()
    booked = (await book()).json()
    sale = await door.sell("LONG", appointment_hold_id=booked["id"])
    assert sale["state"] == "second_confirmation"
    clock.tick(timedelta(hours=5))
    boss = bearer(app, caller_for(Role.SUPERVISOR, door.branch))
    url = f"/v1/sales/{sale['id']}/second-confirmation"
    said = {"agreed": True, "note": "his daughter agrees"}
    agreed = (await http.post(url, json=said, headers=boss)).json()
    assert (agreed["state"], agreed["appointment_hold_id"]) == ("confirmed", booked["id"])
    ledger = (await http.get(f"/v1/sales/{sale['id']}/ledger", headers=boss)).json()["steps"]
    (step,) = [one for one in ledger if one["step"] == "install_booked"]
    assert step["facts"]["begins_at"] == "2026-03-03T00:00:00+00:00"


async def test_whoever_is_lent_books_the_next_best_time_of_the_branch_at_whose_door_they_stand(
    tx, app, http, clock
):
    door = await make_install_door(tx, app, http, clock)
    await make_offering(tx, code="LONG", install_minutes=130, skill="fibre")
    # The branch has people of its own, too few of them today.
    for _ in range(2):
        await make_technician(tx, org_unit=door.branch, skills={"fibre": 3})
    home, lent = await make_org_unit(tx), door.phone.technician
    lent.org_unit_id = home.id
    await make_loan(tx, lent, door.branch, first=TODAY, now=clock.now())
    account = (await tx.scalars(select(Account).filter_by(technician_id=lent.id))).one()
    account.org_unit_id = home.id
    me = caller_for(Role.TECHNICIAN, home, account_id=account.id, technician_id=lent.id)
    door.phone.headers = bearer(app, me)
    await tx.commit()
    await door.arrive()
    best = (await door.answer("LONG"))["next_best"]
    booked = await door.book("LONG", day=best["day"], slot=best["slot"])
    assert booked.status_code == 201, booked.text
    assert booked.json()["begins_at"] == best["begins_at"]
    sale = await door.sell("LONG", appointment_hold_id=booked.json()["id"])
    assert sale["appointment_hold_id"] == booked.json()["id"]


async def test_what_cannot_be_booked_and_whose_slot_it_is(door, tx, app, http, clock, book):
    assert slug(await book("TV-4K")) == "nothing-to-install"
    assert slug(await book(slot="s99")) == "invalid"
    await make_offering(tx, code="FTTR", install_minutes=60, skill="fttr")
    await tx.commit()
    assert slug(await book("FTTR")) == "slot-not-offered"
    booked = (await book()).json()
    colleague = await make_door(tx, now=clock.now(), branch=door.branch)
    colleague.order.grid_id = door.grid.id
    await tx.commit()
    reserved = {"reservation_id": str(new_id())}
    for visit_id, headers, fields in (
        (colleague.visit.id, bearer(app, colleague.seller), {}),
        (door.visit_id, door.phone.headers, reserved),
    ):
        item = {"offering_code": "LONG"}
        body = {"id": str(new_id()), "visit_id": str(visit_id), "items": [item], **fields}
        url, booking = "/v1/sales", {"appointment_hold_id": booked["id"]}
        assert slug(await http.post(url, json={**body, **booking}, headers=headers)) == "invalid"
    body = {"id": str(new_id()), "visit_id": str(colleague.visit.id), "items": [item]}
    made = await http.post(url, json=body, headers=bearer(app, colleague.seller))
    assert made.status_code == 201
