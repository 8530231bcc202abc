"""What a door must know of a customer beside their lines: each fact, from rows to the refusal."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.core.db import new_id
from app.customers.rules import InteractionKind
from app.sales.models import Sale
from app.suggestions.models import SalesLead
from app.suggestions.rules.leads import LeadState, LeadTo
from app.terminals.rules import TerminalKind
from app.worktypes.rules import WorkType
from tests.make.catalog import make_offering
from tests.make.customers import AS_OF, make_address, make_contact, make_customer, make_subscription
from tests.make.retention import make_leaver
from tests.make.terminals import make_terminal
from tests.make.visits import TODAY, make_assigned_order
from tests.suggestions.test_deciding import ago, asked, shown, why

pytestmark = pytest.mark.usefixtures("line", "catalogue")


async def test_who_is_on_the_list_of_bad_debts_is_sold_nothing(tx, phone, customer, order):
    customer.blacklisted = True
    await tx.flush()
    read = await asked(phone, await phone.restore(order))
    assert (shown(read), read["nothing_because"]["code"]) == ([], "blacklisted")


@pytest.mark.parametrize(("hours", "held"), [(1, True), (24, False), (-1, False)])
async def test_other_service_of_the_day_holds_back_for_the_day(
    tx, phone, customer, order, clock, hours, held
):
    at = clock.now() - timedelta(hours=hours)
    await make_contact(tx, customer, at=at, kind=InteractionKind.SERVICE)
    read = await asked(phone, await phone.restore(order))
    assert ((read["nothing_because"] or {}).get("code") == "served_today") is held


async def test_service_of_this_very_visit_holds_nothing_back(tx, phone, customer, order, clock):
    await make_contact(
        tx,
        customer,
        at=clock.now() - timedelta(minutes=1),
        kind=InteractionKind.SERVICE,
        work_order_id=order.id,
    )
    assert shown(await asked(phone, await phone.restore(order)))


@pytest.mark.parametrize(
    ("state", "held"),
    [(LeadState.OPEN, True), (LeadState.TAKEN, True), (LeadState.LOST, False)],
)
async def test_what_another_channel_offers_is_not_offered_here(
    tx, phone, customer, order, clock, state, held
):
    tx.add(
        SalesLead(
            id=new_id(),
            org_unit_id=customer.org_unit_id,
            customer_id=customer.id,
            suggestion_id=new_id(),
            offering_code="FTTR-2",
            technician_id=phone.technician.id,
            handed_to=LeadTo.SHOP,
            state=state,
            at=ago(clock, 20),
            device_at=ago(clock, 20),
            changed_at=ago(clock, 20),
        )
    )
    await tx.flush()
    read = await asked(phone, await phone.restore(order))
    assert (why(read).get("FTTR-2") == "offered_elsewhere") is held
    assert "FTTH-1000" in shown(read)


@pytest.mark.parametrize(
    ("work_type", "left", "code"),
    [
        (WorkType.REMOVE, {}, "not_invited"),
        (WorkType.CARE, {}, None),
        (WorkType.CARE, {"refused": True}, "win_back_refused"),
        (WorkType.INSTALL, {"refused": True}, "win_back_refused"),
        (WorkType.CARE, {"refused": True, "returned_on": TODAY}, None),
        (WorkType.REMOVE, {"returned_on": TODAY}, None),
    ],
)
async def test_who_has_left_is_sold_nothing_uninvited_nor_after_a_no(
    tx, phone, customer, line, clock, work_type, left, code
):
    line.ended_on = TODAY - timedelta(days=40)
    refused = left.pop("refused", False)
    await make_leaver(
        tx,
        customer,
        left_on=line.ended_on,
        now=clock.now(),
        refused_at=ago(clock, 3) if refused else None,
        **left,
    )
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=work_type
    )
    read = await asked(phone, await phone.set_out(order))
    assert (read["nothing_because"] or {}).get("code") == code
    assert ("FTTH-1000" in shown(read)) is (code is None)


async def test_a_device_that_is_there_is_not_offered_again(tx, phone, customer, order, branch):
    await make_offering(
        tx, code="MESH", category="wifi", excludes=["wifi_repeater"], margin_12m_fen=90_000
    )
    visit_id = await phone.restore(order)
    assert "MESH" in shown(await asked(phone, visit_id))
    await make_terminal(tx, branch, customer_id=customer.id, kind=TerminalKind.WIFI_REPEATER)
    assert why(await asked(phone, visit_id))["MESH"] == "already_held"


@pytest.mark.parametrize(
    ("days", "kind", "channel", "held"),
    [
        ((5, 40, 89), InteractionKind.SERVICE, "phone", False),
        ((5, 40, 91), InteractionKind.SERVICE, "phone", True),
        ((5, 40, 89), InteractionKind.SERVICE, "shop", True),
        ((50, 60, 70), InteractionKind.SALES, "phone", True),
    ],
)
async def test_who_calls_often_is_shown_how_to_help_themselves(
    tx, phone, customer, order, clock, days, kind, channel, held
):
    await make_offering(
        tx,
        code="HELP",
        category="help",
        business_type="service",
        monthly_price_fen=0,
        margin_12m_fen=90_000,
        levers=["cost_to_serve"],
    )
    for many in days:
        await make_contact(tx, customer, at=ago(clock, many), kind=kind, channel=channel)
    read = await asked(phone, await phone.restore(order))
    assert (why(read).get("HELP") == "few_calls") is held
    assert ("HELP" in shown(read)) is not held


@pytest.mark.parametrize(
    ("days", "code"),
    [
        ((9, 17, 29), "contacts_month"),
        (range(31, 31 + 12 * 27, 27), "contacts_year"),
        ((9, 17, 31), None),
    ],
)
async def test_contacts_of_a_month_and_of_a_year_count_for_the_address(
    tx, phone, customer, order, clock, days, code
):
    other = await make_customer(tx)
    await make_address(tx, other)
    for place, many in enumerate(days):
        await make_contact(tx, other if place % 2 else customer, at=ago(clock, many))
    read = await asked(phone, await phone.restore(order))
    assert (read["nothing_because"] or {}).get("code") == code


# --- what became true after the offer -------------------------------------------------------------


async def answered(phone, suggestion_id, clock):
    told = await phone.post(
        f"/suggestions/{suggestion_id}/answer",
        id=str(new_id()),
        answer="accepted",
        device_at=clock.now().isoformat(),
    )
    return told.json()


def refuse_visits(customer):
    customer.channels_refused = ["visit"]


def owe_for_good(customer):
    customer.blacklisted = True


@pytest.mark.parametrize(
    ("change", "guard"), [(refuse_visits, "do_not_disturb"), (owe_for_good, "blacklisted")]
)
async def test_a_refused_channel_or_a_bad_debt_holds_at_the_door_and_at_the_sale(
    tx, phone, customer, order, clock, change, guard
):
    visit_id = await phone.restore(order)
    best = (await asked(phone, visit_id))["offers"][0]
    change(customer)
    await tx.flush()
    told = await answered(phone, best["suggestion_id"], clock)
    assert (told["answer"], told["opens_sale"], told["held_back"]) == ("accepted", False, guard)
    item = {"offering_code": best["offering_code"], "quantity": 1}
    sale = await phone.post(
        "/sales",
        id=str(new_id()),
        visit_id=str(visit_id),
        items=[{**item, "suggestion_id": best["suggestion_id"]}],
    )
    assert sale.json()["type"].endswith("offer-held-back-meanwhile")
    assert sale.json()["facts"]["reason"] == guard
    assert await tx.scalar(select(func.count()).select_from(Sale)) == 0
    read = await asked(phone, visit_id)
    assert (shown(read), read["nothing_because"]["code"]) == ([], guard)


async def test_the_newest_measurement_decides_whether_more_speed_is_offered(
    tx, phone, customer, line, catalogue, order, clock
):
    visit_id = await phone.restore(order)

    async def measured(**told):
        kept = await phone.http.put(
            f"/v1/visits/{visit_id}/progress",
            json={"measurements": told, "device_at": clock.now().isoformat()},
            headers=phone.headers,
        )
        assert kept.status_code == 200, kept.text
        read = await asked(phone, visit_id)
        card = (await phone.get(f"/customers/{customer.id}/context")).json()["measured"]
        return why(read).get("FTTH-1000"), card["download_mbps"], card["as_of"] is not None

    # Other measurements say nothing of the speed, and nothing measured is not nothing.
    assert await measured(optical_rx_power_dbm=-21) == (None, None, False)
    assert await measured(download_mbps=96.5) == ("line_falls_short", 96.5, True)
    assert await measured(download_mbps=0) == ("line_falls_short", 0.0, True)
    clock.tick(timedelta(minutes=5))
    assert await measured(download_mbps=291) == (None, 291.0, True)
    card = (await phone.get(f"/customers/{customer.id}/context")).json()["measured"]
    at = clock.now().isoformat().replace("+00:00", "Z")
    assert (card["source"], card["as_of"], card["package_mbps"]) == ("visit", at, 300)


@pytest.fixture
async def here(tx, customer, phone, clock):
    """An order at a home of two: its line does 300 Mbit/s at most, and its contract ends soon."""
    today = clock.now().date()
    here = await make_address(
        tx, customer, standard_address="碧波园3栋2单元1203室", max_speed_mbps=300, port_free=False
    )
    there = await make_address(
        tx,
        customer,
        standard_address="滨江园1栋1单元101室",
        max_speed_mbps=2000,
        port_free=True,
        checked_at=AS_OF + timedelta(days=1),
    )
    for number, home, days in (("S-HERE", here, 10), ("S-THERE", there, 700)):
        await make_subscription(
            tx,
            customer,
            service_number=number,
            service_address_id=home.id,
            speed_mbps=300,
            contract_ends_on=today + timedelta(days=days),
        )
    return await make_assigned_order(
        tx,
        phone.technician,
        customer,
        now=clock.now(),
        service_number="S-HERE",
        address=here.standard_address,
    )


async def test_of_two_homes_the_line_at_this_door_says_what_can_be_had_and_when_it_ends(
    phone, here
):
    read = await asked(phone, await phone.restore(here))
    assert "RENEW-12" in shown(read)
    assert why(read)["FTTH-1000"] == "line_too_slow"
