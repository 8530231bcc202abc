"""What was sold in a visit, and waits for its install, stands in the way of nothing else there."""

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, text, update

from app.auth.rules import Role
from app.core.db import new_id
from app.core.parameter_values import ParameterValue
from app.customers.models import Customer, Subscription
from app.grids.rules import MembershipKind
from app.suggestions.queries import Own, ledger_of
from app.suggestions.rules.exploring import HOLDOUT
from app.suggestions.rules.limits import Limits
from app.terminals.rules import Pool
from app.visits.models import Visit
from app.visits.rules import Outcome
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for
from tests.make.catalog import make_offering
from tests.make.customers import make_subscription
from tests.make.dispatch import order as order_body
from tests.make.grids import make_membership
from tests.make.sales import consent_body
from tests.make.visits import LAT, LON, TODAY, at, make_assigned_order, make_phone, taken
from tests.make.workorders import make_work_order
from tests.sales.conftest import slug


@pytest.fixture
async def box(tx, door):
    """A box for the television, for who has a line; fitted in a quarter of an hour."""
    await make_offering(
        tx,
        code="TV-BOX",
        category="tv",
        requires=["broadband"],
        skill="fibre",
        install_minutes=15,
    )
    await tx.commit()


@pytest.fixture
async def line_sold(door, box):
    """A faster line was sold in the visit, and its install is the technician's own by now."""
    sale = await door.sell("SPEED-2000")
    assert sale["install_order_id"] is not None
    return sale


async def put_together(door, code, **item):
    return await door.phone.http.post(
        "/v1/sales",
        json={
            "id": str(new_id()),
            "visit_id": str(door.visit_id),
            "items": [{"offering_code": code, **item}],
        },
        headers={**door.phone.headers, "accept-language": "en"},
    )


def codes(said):
    return [no["code"] for no in said["noes"]]


async def test_a_line_and_then_a_box_are_sold_and_installed_in_one_visit(door, line_sold):
    said = await door.answer("TV-BOX")
    assert (said["can_sell"], said["can_install_now"]) == (True, True)
    second = await door.sell("TV-BOX")
    assert second["install_order_id"] not in (None, line_sold["install_order_id"])


async def test_what_the_first_sale_holds_is_gone_for_the_second(door, line_sold, tx):
    before = (await door.feasibility("TV-BOX")).json()["free_minutes"]
    await make_offering(
        tx, code="CAMERA", category="camera", install_minutes=15, terminal_kind="ont_gateway"
    )
    await make_offering(tx, code="LONG", category="care", install_minutes=int(before) + 1)
    await tx.commit()
    camera = await door.answer("CAMERA")
    assert (camera["can_sell"], codes(camera)) == (True, ["not_in_the_van"])
    assert camera["serial_numbers"] == []
    assert (await door.answer("LONG"))["noes"] != []
    await door.sell("TV-BOX")
    after = (await door.feasibility("CAMERA")).json()["free_minutes"]
    assert after <= before - 15


async def test_a_new_line_brings_what_the_box_needs_and_keeps_out_another_one(door, box, tx):
    await tx.execute(delete(Subscription))
    await make_offering(tx, code="LINE", install_minutes=40)
    await make_offering(
        tx, code="LINE-B", category="leased", speed_mbps=500, excludes=["broadband"]
    )
    await tx.commit()
    assert slug(await put_together(door, "TV-BOX")) == "cannot-be-had"
    await door.sell("LINE")
    assert (await put_together(door, "TV-BOX")).status_code == 201
    again = await put_together(door, "LINE-B")
    assert again.json()["facts"]["codes"] == ["order_pending"]


@pytest.mark.parametrize("code", ["SPEED-2000", "SPEED-1000"])
async def test_the_same_thing_or_one_of_its_kind_is_not_sold_twice(door, line_sold, tx, code):
    await make_offering(tx, code="SPEED-1000", requires=["broadband"], speed_mbps=1000)
    await tx.commit()
    said = await door.answer(code)
    assert (said["can_sell"], codes(said)[0]) == (False, "order_pending")
    refused = await put_together(door, code)
    assert slug(refused) == "cannot-be-had"
    assert refused.json()["facts"]["codes"] == ["order_pending"]


async def test_an_order_of_another_channel_stands_in_the_way_of_everything(
    door, line_sold, tx, clock
):
    await make_work_order(
        tx,
        now=clock.now(),
        org_unit=door.branch,
        customer_id=door.customer.id,
        work_type=WorkType.RELOCATE,
    )
    await tx.commit()
    assert "order_pending" in codes(await door.answer("TV-BOX"))
    refused = await put_together(door, "TV-BOX")
    assert refused.json()["facts"]["codes"] == ["order_pending"]


async def test_a_sale_that_arrives_after_the_visit_is_judged_alike(door, line_sold, clock, tx):
    """The install may be in other hands by then: it was sold in this visit all the same."""
    await door.phone.complete(door.visit_id)
    await tx.execute(
        update(WorkOrder)
        .where(WorkOrder.id == line_sold["install_order_id"])
        .values(holder_id=None, state=State.LOCATED)
    )
    await tx.commit()
    clock.tick(timedelta(hours=1))
    assert (await put_together(door, "TV-BOX")).status_code == 201
    assert slug(await put_together(door, "SPEED-2000")) == "cannot-be-had"


async def test_what_was_suggested_is_sold_beside_it(door, box, tx):
    """The gates are asked again for what was suggested, and answer alike."""
    tx.add(ParameterValue(name=HOLDOUT.name, valid_from=date(2026, 2, 1), value=0))
    worth = "UPDATE product_offering SET margin_12m_fen = 60000, expert_rate = 0.2"
    await tx.execute(text(f"{worth} WHERE code = 'TV-BOX'"))
    await tx.commit()
    offers = (await door.phone.post(f"/visits/{door.visit_id}/suggestions")).json()["offers"]
    [offer] = [one for one in offers if one["offering_code"] == "TV-BOX"]
    await door.sell("SPEED-2000")
    taken = await put_together(door, "TV-BOX", suggestion_id=offer["suggestion_id"])
    assert taken.status_code == 201, taken.text


# --- of which visit it is -------------------------------------------------------------------------


@pytest.fixture
async def without_line(door, box, tx):
    """Nothing is held at the door; a new line is to be had."""
    await tx.execute(delete(Subscription))
    await make_offering(tx, code="LINE", install_minutes=40)
    await tx.commit()


async def to_another(door, tx, app, http, clock):
    """Take the order out of the technician's hands, and let another one arrive at its door."""
    other = await make_phone(tx, app, http, clock, org_unit=door.branch, skills={"fibre": 3})
    await make_membership(tx, door.grid, other.technician, kind=MembershipKind.BACKUP)
    await tx.execute(
        update(Visit)
        .where(Visit.id == door.visit_id)
        .values(ended_at=clock.now(), outcome=Outcome.HANDED_BACK)
    )
    order = await tx.get_one(WorkOrder, door.order.id, populate_existing=True)
    order.holder_id, order.state = None, State.LOCATED
    await tx.flush()
    technician_id = other.technician.id
    await take_step(
        tx, order, Step.ASSIGN, now=clock.now(), holder_id=technician_id, planned_day=TODAY
    )
    await tx.commit()
    door.phone = other
    return await door.arrive()


async def test_what_another_visit_of_the_order_sold_is_an_order_like_any_other(
    door, without_line, tx, app, http, clock
):
    """Its install is in other hands: nothing is fitted now to a line that is not there."""
    sold = await door.sell("LINE")
    assert sold["install_order_id"] is not None
    await to_another(door, tx, app, http, clock)
    assert codes(await door.answer("TV-BOX"))[:2] == ["requires_other", "order_pending"]
    refused = await put_together(door, "TV-BOX")
    assert refused.json()["facts"]["codes"] == ["requires_other", "order_pending"]


async def test_the_ledger_goes_by_the_visit_too_and_ahead_of_one_by_the_order(
    door, line_sold, tx, app, http, clock
):
    """What was suggested is held against it again when it is answered, and when it is sold."""
    first = door.visit_id
    await to_another(door, tx, app, http, clock)
    found = {}
    for visit_id in (first, door.visit_id, None):
        own = Own(work_order_id=door.order.id, visit_id=visit_id)
        known = (tx, door.customer.id, Limits(), clock.now(), ZoneInfo("Asia/Shanghai"))
        found[visit_id] = (await ledger_of(*known, own=own)).order_pending
    assert found == {first: False, door.visit_id: True, None: False}


async def test_what_was_suggested_and_is_sold_already_is_not_agreed_to_again(door, tx):
    tx.add(ParameterValue(name=HOLDOUT.name, valid_from=date(2026, 2, 1), value=0))
    worth = "UPDATE product_offering SET margin_12m_fen = 60000, expert_rate = 0.2"
    await tx.execute(text(f"{worth} WHERE code = 'TV-4K'"))
    await tx.commit()
    offers = (await door.phone.post(f"/visits/{door.visit_id}/suggestions")).json()["offers"]
    [offer] = [one for one in offers if one["offering_code"] == "TV-4K"]
    await door.sell("TV-4K")
    said = await door.phone.post(
        f"/suggestions/{offer['suggestion_id']}/answer", id=str(new_id()), answer="accepted"
    )
    assert (said.json()["opens_sale"], said.json()["held_back"]) == (False, "order_pending")


async def test_in_the_visit_of_the_install_it_is_not_sold_again(door, line_sold, tx):
    await door.phone.complete(door.visit_id)
    install = await tx.get_one(WorkOrder, line_sold["install_order_id"])
    door.visit_id = new_id()
    body = {"id": str(door.visit_id), "work_order_id": str(install.id)}
    taken(await door.phone.post("/visits", **body))
    taken(await door.phone.post(f"/visits/{door.visit_id}/check-in", point=at(LON, LAT)))
    assert codes(await door.answer("SPEED-2000"))[0] == "order_pending"
    refused = await put_together(door, "SPEED-2000")
    assert refused.json()["facts"]["codes"] == ["order_pending"]
    assert (await put_together(door, "TV-BOX")).status_code == 201


# --- however it is to be installed ----------------------------------------------------------------


async def for_tomorrow(door, tx):
    day = (TODAY + timedelta(days=1)).isoformat()
    booked = (await door.book("SPEED-2000", day=day, slot="s08")).json()
    sale = await door.sell("SPEED-2000", appointment_hold_id=booked["id"])
    assert (sale["install_order_id"], sale["install_not_now"]) == (None, [])
    return sale


async def not_now(door, tx):
    door.gateway.technician_id, door.gateway.pool = None, Pool.WAREHOUSE
    await tx.commit()
    sale = await door.sell("SPEED-2000")
    assert sale["install_not_now"] == ["not_in_the_van"]
    return sale


async def agreed_to_by_one(door, tx):
    door.customer.elderly = True
    await tx.commit()
    made = (await put_together(door, "SPEED-2000")).json()
    consent = consent_body(door.phone.clock.now(), made["shown_sha256"])
    contact = {"second_contact": {"phone": "13900001111", "relation": "child"}}
    answer = await door.phone.http.post(
        f"/v1/sales/{made['id']}/confirm", json=consent | contact, headers=door.phone.headers
    )
    assert answer.json()["state"] == "second_confirmation", answer.text
    return answer.json()


@pytest.mark.parametrize("sell", [for_tomorrow, not_now, agreed_to_by_one])
async def test_what_waits_for_another_time_is_not_sold_twice(door, box, tx, sell):
    await sell(door, tx)
    assert codes(await door.answer("SPEED-2000"))[0] == "order_pending"
    refused = await put_together(door, "SPEED-2000")
    assert refused.json()["facts"]["codes"] == ["order_pending"]
    assert (await put_together(door, "TV-BOX")).status_code == 201


async def test_what_needs_no_install_is_not_sold_twice(door, tx):
    await make_offering(tx, code="TV-KIDS", category="kids", requires=["TV-4K"])
    await tx.commit()
    await door.sell("TV-4K")
    refused = await put_together(door, "TV-4K")
    assert refused.json()["facts"]["codes"] == ["order_pending"]
    # It brings what others require.
    assert (await put_together(door, "TV-KIDS")).status_code == 201


@pytest.mark.parametrize("sell", [for_tomorrow, agreed_to_by_one])
async def test_what_is_not_brought_in_this_visit_brings_nothing_yet(door, box, tx, sell):
    """Nothing is fitted now to a line that comes tomorrow, or perhaps never."""
    new = "UPDATE product_offering SET requires = '{}', speed_mbps = NULL"
    await tx.execute(text(f"{new} WHERE code = 'SPEED-2000'"))
    await tx.execute(delete(Subscription))
    await tx.commit()
    await sell(door, tx)
    refused = await put_together(door, "TV-BOX")
    assert refused.json()["facts"]["codes"] == ["requires_other"]
    assert refused.json()["facts"]["noes"][0]["facts"] == {"missing": ["broadband"]}


async def test_of_two_drafts_of_the_same_one_is_agreed_to(door):
    """A draft holds up nothing: the customer has not said yes."""
    one, two = [(await put_together(door, "TV-4K")).json() for _ in range(2)]
    assert (await door.confirm(one)).status_code == 200
    assert slug(await door.confirm(two)) == "cannot-be-had"
    # The phone that did not hear the answer sends it again.
    assert (await door.confirm(one)).status_code == 200


@pytest.mark.parametrize(
    "taken_back",
    [
        "UPDATE sale SET state = 'cancelled'",
        "UPDATE sale SET state = 'rejected'",
        "UPDATE sale SET reversed_at = made_at",
        "UPDATE sale_item SET reversed_at = now()",
        "UPDATE sale_item SET removed_at = now()",
    ],
)
async def test_what_was_taken_back_may_be_sold_again(door, tx, taken_back):
    await door.sell("TV-4K")
    assert slug(await put_together(door, "TV-4K")) == "cannot-be-had"
    await tx.execute(text(taken_back))
    await tx.commit()
    assert (await put_together(door, "TV-4K")).status_code == 201


async def test_what_has_arrived_counts_as_what_they_hold(door, line_sold, tx):
    await make_offering(tx, code="SPEED-3000", requires=["broadband"])
    await make_subscription(tx, door.customer, offering_code="SPEED-2000", speed_mbps=2000)
    await tx.commit()
    assert codes(await door.answer("SPEED-2000"))[0] == "already_held"
    assert (await put_together(door, "SPEED-3000")).status_code == 201


# --- as its install order comes -------------------------------------------------------------------


@pytest.fixture
def install_comes(door, app, http):
    """Let the ordering system send the install of what was sold, or another one; gives its id."""

    async def send(sale=None, **fields):
        body = order_body(
            point=at(LON, LAT),
            work_type="install",
            estimated_minutes=None,
            customer_code=door.customer.code,
            appointment_hold_id=sale and sale["appointment_hold_id"],
            **fields,
        )
        crm = bearer(app, caller_for(Role.INTEGRATION, door.branch))
        return taken(await http.post("/v1/work-orders", json=body, headers=crm))["id"]

    return send


@pytest.mark.parametrize("sell", [for_tomorrow, not_now])
async def test_an_install_order_that_comes_for_what_was_sold_holds_up_only_its_like(
    door, box, tx, clock, install_comes, sell
):
    """Also where it names no slot, since none was booked; and for what arrives after the visit."""
    await install_comes(await sell(door, tx))
    assert "order_pending" not in codes(await door.answer("TV-BOX"))
    assert codes(await door.answer("SPEED-2000"))[0] == "order_pending"
    await door.phone.complete(door.visit_id)
    clock.tick(timedelta(hours=1))
    assert (await put_together(door, "TV-BOX")).status_code == 201
    refused = await put_together(door, "SPEED-2000")
    assert refused.json()["facts"]["codes"] == ["order_pending"]


async def test_what_was_suggested_is_sold_though_the_install_order_of_another_sale_has_come(
    door, box, tx, install_comes
):
    tx.add(ParameterValue(name=HOLDOUT.name, valid_from=date(2026, 2, 1), value=0))
    worth = "UPDATE product_offering SET margin_12m_fen = 60000, expert_rate = 0.2"
    await tx.execute(text(f"{worth} WHERE code = 'TV-BOX'"))
    await tx.commit()
    offers = (await door.phone.post(f"/visits/{door.visit_id}/suggestions")).json()["offers"]
    [offer] = [one for one in offers if one["offering_code"] == "TV-BOX"]
    await install_comes(await for_tomorrow(door, tx))
    made = await put_together(door, "TV-BOX", suggestion_id=offer["suggestion_id"])
    assert made.status_code == 201, made.text


@pytest.mark.parametrize("work_type", [WorkType.RELOCATE, WorkType.INSTALL])
async def test_any_other_order_that_comes_holds_up_everything(
    door, box, tx, clock, install_comes, work_type
):
    """What was sold is installed by the order that has taken its slot."""
    await install_comes(await for_tomorrow(door, tx))
    await make_work_order(
        tx,
        now=clock.now(),
        org_unit=door.branch,
        customer_id=door.customer.id,
        work_type=work_type,
    )
    await tx.commit()
    assert codes(await door.answer("TV-BOX"))[0] == "order_pending"


async def test_at_the_door_of_a_booked_install_it_is_not_sold_again_and_brings_what_others_need(
    door, without_line, tx, clock, install_comes
):
    day = (TODAY + timedelta(days=1)).isoformat()
    booked = (await door.book("LINE", day=day, slot="s08")).json()
    install_id = await install_comes(await door.sell("LINE", appointment_hold_id=booked["id"]))
    await door.phone.complete(door.visit_id)
    clock.tick(timedelta(days=1))
    install = await tx.get_one(WorkOrder, install_id)
    assert install.holder_id == door.phone.technician.id
    door.visit_id = await door.phone.arrive(install)
    assert codes(await door.answer("LINE"))[0] == "order_pending"
    refused = await put_together(door, "LINE")
    assert refused.json()["facts"]["codes"] == ["order_pending"]
    assert (await put_together(door, "TV-BOX")).status_code == 201


# --- in another visit -----------------------------------------------------------------------------


@pytest.fixture
def come_again(door, tx, clock):
    """Come to the same customer once more, for another fault."""

    async def come():
        await door.phone.complete(door.visit_id)
        door.order = await make_assigned_order(
            tx, door.phone.technician, door.customer, now=clock.now(), grid_id=door.grid.id
        )
        await tx.commit()
        return await door.arrive()

    return come


@pytest.mark.parametrize("sell", [for_tomorrow, not_now, agreed_to_by_one])
async def test_what_an_earlier_visit_sold_and_has_not_come_is_not_sold_again(
    door, box, tx, come_again, sell
):
    await sell(door, tx)
    await come_again()
    assert codes(await door.answer("SPEED-2000"))[0] == "order_pending"
    refused = await put_together(door, "SPEED-2000")
    assert refused.json()["facts"]["codes"] == ["order_pending"]
    assert (await put_together(door, "TV-BOX")).status_code == 201


async def test_what_an_earlier_visit_sold_brings_nothing_before_it_has_come(door, tx, come_again):
    await make_offering(tx, code="TV-KIDS", category="kids", requires=["TV-4K"])
    await tx.commit()
    await door.sell("TV-4K")
    await come_again()
    refused = await put_together(door, "TV-KIDS")
    assert refused.json()["facts"]["codes"] == ["requires_other"]


DONE = "UPDATE sale SET state = 'completed', completed_at = confirmed_at + interval '1 minute'"


@pytest.mark.parametrize(
    "over",
    [
        "UPDATE sale SET state = 'cancelled'",
        "UPDATE sale SET reversed_at = made_at",
        "UPDATE sale_item SET reversed_at = now()",
        # It was there, and has ended.
        "INSERT INTO subscription (id, customer_id, service_number, offering_code, category,"
        " monthly_price_fen, started_on, ended_on, as_of) SELECT gen_random_uuid(), customer_id,"
        " 'S1', 'TV-4K', 'tv', 2000, '2026-03-02', '2026-03-03', now() FROM sale",
    ],
)
async def test_what_came_to_nothing_or_has_ended_may_be_sold_in_another_visit(
    door, tx, clock, come_again, over
):
    await door.sell("TV-4K")
    await come_again()
    assert slug(await put_together(door, "TV-4K")) == "cannot-be-had"
    await tx.execute(text(over))
    await tx.commit()
    clock.tick(timedelta(days=2))
    assert (await put_together(door, "TV-4K")).status_code == 201


async def test_once_it_is_done_what_the_crm_says_afterwards_counts(door, tx, clock, come_again):
    """A thing that is no service never shows as one; until they have spoken of their services,
    nobody knows, whatever they said of the customer."""
    await door.sell("TV-4K")
    await tx.execute(text(DONE))
    await come_again()
    later = clock.now() + timedelta(hours=1)
    await tx.execute(update(Customer).where(Customer.id == door.customer.id).values(as_of=later))
    await tx.commit()
    assert slug(await put_together(door, "TV-4K")) == "cannot-be-had"
    theirs = Subscription.customer_id == door.customer.id
    await tx.execute(update(Subscription).where(theirs).values(as_of=later))
    await tx.commit()
    assert (await put_together(door, "TV-4K")).status_code == 201


async def test_of_who_has_no_services_it_counts_what_is_said_of_the_customer(
    door, tx, clock, come_again
):
    await tx.execute(delete(Subscription))
    await door.sell("TV-4K")
    await tx.execute(text(DONE))
    await come_again()
    assert slug(await put_together(door, "TV-4K")) == "cannot-be-had"
    later = clock.now() + timedelta(hours=1)
    await tx.execute(update(Customer).where(Customer.id == door.customer.id).values(as_of=later))
    await tx.commit()
    assert (await put_together(door, "TV-4K")).status_code == 201


# --- what excludes what ---------------------------------------------------------------------------


@pytest.mark.parametrize("excluded", ["CAM-IN", "video", "camera"])
async def test_what_was_sold_may_exclude_what_says_nothing_of_it(door, tx, excluded):
    """By its code, its category or its kind of device; within one sale it is refused as well."""
    await make_offering(tx, code="ALARM", category="alarm", excludes=[excluded])
    await make_offering(tx, code="CAM-IN", category="video", terminal_kind="camera")
    await tx.commit()
    await door.sell("ALARM")
    assert codes(await door.answer("CAM-IN"))[0] == "order_pending"
    refused = await put_together(door, "CAM-IN")
    assert refused.json()["facts"]["codes"] == ["order_pending"]
