"""A day's suggestions taken ahead by a phone that will be offline at the door."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import database_of, new_id
from app.customers.rules import Channel
from app.policies.models import PolicyDay
from app.policies.service import adding_up
from app.suggestions.models import ContactSlot, SuggestionDecision
from app.suggestions.rules.ahead import Door, ShowWhen, show_when, valid_until
from app.suggestions.rules.contacts import ContactRefused
from app.suggestions.rules.limits import Limits
from app.suggestions.service import reserve
from app.visits.models import Visit
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.make.auth import caller_for, make_account
from tests.make.counting import counted
from tests.make.customers import make_address, make_customer, make_subscription
from tests.make.visits import TODAY, make_assigned_order, make_phone

ZONE = ZoneInfo("Asia/Shanghai")
SIX = datetime(2026, 3, 2, 6, tzinfo=ZONE)


def hour(value: float, day: int = 2) -> datetime:
    return datetime(2026, 3, day, tzinfo=ZONE) + timedelta(hours=value)


@pytest.mark.parametrize(
    ("visit", "now", "over", "until"),
    [
        (True, 6, None, hour(6, day=3)),
        (True, 6, 12, hour(6, day=3)),
        (False, 6, None, hour(20)),
        (False, 6, 12, hour(14)),
        (False, 15, 12, hour(17)),  # who is late already still comes
        (False, 6, 23, hour(20)),
        (False, 15, None, hour(24)),
        (False, 23, 12, hour(24)),
    ],
)
def test_what_was_decided_is_valid_until(visit, now, over, until):
    door = Door(
        visit_id=new_id() if visit else None,
        work_order_id=new_id(),
        customer_id=new_id(),
        technician_id=new_id(),
        began_at=SIX,
        work_type="repair",
        reported_at=SIX,
        restored=True,
        order_pending=False,
        other_repairs_at=(),
        org_path="",
        zone=ZONE,
        over_at=over and hour(over),
    )
    assert valid_until(door, Limits(), hour(now)) == until


def test_ahead_of_a_repair_what_may_be_shown_waits_for_it():
    assert show_when(None, "repair") is ShowWhen.RESTORED
    assert show_when(None, "install") is ShowWhen.AT_ONCE
    assert show_when(new_id(), "repair") is ShowWhen.AT_ONCE


async def ahead(phone):
    answer = await phone.post("/my/day/suggestions")
    assert answer.status_code == 200, answer.text
    return {one["work_order_id"]: one["suggestions"] for one in answer.json()["visits"]}


async def slots(tx):
    columns = (ContactSlot.visit_id, ContactSlot.work_order_id, ContactSlot.held_until)
    return (await tx.execute(select(*columns))).all()


async def said(phone, offer, **more):
    body = {"id": str(new_id()), "answer": "accepted", **more}
    answer = await phone.post(f"/suggestions/{offer['suggestion_id']}/answer", **body)
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.fixture
async def others(tx, branch, phone, line, catalogue, clock):
    """Three more customers on a line, each with an order of today."""
    made = []
    for number in range(3):
        customer = await make_customer(tx, org_unit=branch)
        await make_address(tx, customer, standard_address=f"碧波园9栋1单元{number}01室")
        await make_subscription(tx, customer)
        made.append(
            await make_assigned_order(
                tx, phone.technician, customer, now=clock.now(), work_type=WorkType.INSTALL
            )
        )
    return made


async def test_a_phone_shows_offline_what_it_took_ahead_and_tells_late(
    tx, phone, order, line, catalogue, clock
):
    taken = (await ahead(phone))[str(order.id)]
    assert taken["show_when"] == "restored"
    assert [one["offering_code"] for one in taken["offers"]] == ["FTTH-1000", "FTTR-2", "TV-4K"]
    assert (await ahead(phone))[str(order.id)] == taken
    held = (await slots(tx))[0]
    assert held.work_order_id == order.id
    assert held.held_until == datetime.fromisoformat(taken["valid_until"])
    # Offline it was pitched before the repair had succeeded: that is taken down, and opens no sale.
    first, second = taken["offers"][:2]
    early = await said(phone, first)
    assert (early["held_back"], early["opens_sale"]) == ("not_restored", False)
    assert await slots(tx) == []
    # Hours later the visit is told of, and the answer to what was shown in it.
    visit_id = await phone.restore(order)
    clock.tick(timedelta(hours=30))
    late = await said(phone, second, device_at=(clock.now() - timedelta(hours=29)).isoformat())
    assert (late["held_back"], late["opens_sale"]) == (None, True)
    body = {
        "id": str(new_id()),
        "visit_id": str(visit_id),
        "items": [{"offering_code": "FTTR-2", "suggestion_id": second["suggestion_id"]}],
    }
    sold = await phone.post("/sales", **body)
    assert sold.status_code == 201, sold.text


async def test_what_is_said_when_it_was_not_to_be_shown_any_more_opens_no_sale(
    phone, order, line, catalogue, clock
):
    """However late an answer arrives, it counts when it was said."""
    taken = (await ahead(phone))[str(order.id)]
    first, second = taken["offers"][:2]
    visit_id = await phone.restore(order)
    until = datetime.fromisoformat(taken["valid_until"])
    clock.tick(timedelta(days=20))
    in_time = await said(phone, first, device_at=(until - timedelta(minutes=1)).isoformat())
    assert (in_time["held_back"], in_time["opens_sale"]) == (None, True)
    late = await said(phone, second, device_at=until.isoformat())
    assert (late["held_back"], late["opens_sale"]) == ("said_too_late", False)
    assert late["answer"] == "accepted" and late["held_back_words"]
    # What is told afterwards without an answer takes back none.
    after = (until + timedelta(minutes=1)).isoformat()
    await said(phone, second, device_at=after, answer=None, pitched=True)
    item = {"offering_code": second["offering_code"], "suggestion_id": second["suggestion_id"]}
    sale = await phone.post("/sales", id=str(new_id()), visit_id=str(visit_id), items=[item])
    assert (sale.status_code, sale.json()["facts"]["reason"]) == (409, "said_too_late")


async def test_a_sale_waits_for_the_repair_and_for_its_own_visit(tx, phone, order, others):
    taken = await ahead(phone)
    mine = taken[str(order.id)]["offers"][0]
    strange = taken[str(others[0].id)]["offers"][0]
    visit_id = await phone.arrive(order)

    async def sell(offer):
        items = [{"offering_code": offer["offering_code"], "suggestion_id": offer["suggestion_id"]}]
        return await phone.post("/sales", id=str(new_id()), visit_id=str(visit_id), items=items)

    refused = await sell(mine)
    assert (refused.status_code, refused.json()["facts"]["reason"]) == (409, "not_restored")
    assert (await sell(strange)).status_code == 422


async def test_opening_the_visit_takes_the_place_of_what_was_taken_ahead(
    tx, phone, order, line, catalogue
):
    taken = (await ahead(phone))[str(order.id)]
    visit_id = await phone.arrive(order)
    assert str(order.id) not in await ahead(phone)
    opened = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    assert opened["nothing_because"]["code"] == "not_restored"
    assert opened["decision_id"] != taken["decision_id"]
    assert await slots(tx) == []
    await phone.post(f"/visits/{visit_id}/restored")
    again = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    assert [one["offering_code"] for one in again["offers"]] == ["FTTH-1000", "FTTR-2", "TV-4K"]
    assert again["show_when"] == "at_once"
    assert [(one.visit_id, one.work_order_id) for one in await slots(tx)] == [(visit_id, None)]


async def test_a_day_costs_as_many_statements_as_a_visit(tx, app, phone, order, others):
    database = database_of(tx)
    await ahead(phone)
    once: list[int] = []
    for orders in ([order], [order, *others]):
        for one in (order, *others):
            one.planned_day = TODAY if one in orders else TODAY + timedelta(days=1)
        await tx.flush()
        with counted(database) as seen:
            assert len(await ahead(phone)) == len(orders)
        once.append(len(seen))
    # Of many it is asked besides who shares a home.
    assert once[1] <= once[0] + 1


async def test_of_two_doors_of_one_home_the_first_may_sell(
    tx, phone, order, customer, line, catalogue, clock
):
    second = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE, priority=4
    )
    taken = await ahead(phone)
    assert taken[str(order.id)]["offers"]
    assert taken[str(second.id)]["nothing_because"]["code"] == "slot_taken"
    assert await ahead(phone) == taken


async def test_what_is_held_ahead_ends_with_the_window_the_order_and_the_holder(
    tx, app, http, phone, branch, order, customer, line, catalogue, clock
):
    account = await make_account(tx, branch, role=Role.INTEGRATION)
    system = caller_for(Role.INTEGRATION, branch, account_id=account.id)

    async def refused(now) -> str | None:
        nested = await tx.begin_nested()
        try:
            await reserve(
                tx,
                new_id(),
                customer.id,
                system,
                channel=Channel.SHOP,
                subject="SPRING",
                now=now,
            )
        except ContactRefused as problem:
            return str(problem.facts["reason"])
        finally:
            await nested.rollback()
        return None

    order.work_type = WorkType.CARE  # a fault that is open would forbid it by itself
    await tx.flush()
    taken = (await ahead(phone))[str(order.id)]
    assert await refused(clock.now()) == "slot_taken"
    assert await refused(datetime.fromisoformat(taken["valid_until"])) is None
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    await take_step(
        tx,
        order,
        Step.ASSIGN,
        now=clock.now(),
        holder_id=other.technician.id,
        planned_day=TODAY,
    )
    assert await refused(clock.now()) is None
    # Whoever has it now may take it ahead, too, and nobody else sees it.
    assert (await ahead(other))[str(order.id)]["offers"]
    assert str(order.id) not in await ahead(phone)
    assert await refused(clock.now()) == "slot_taken"


async def test_a_customer_who_changes_their_mind_is_heard(
    tx, phone, order, customer, line, catalogue
):
    taken = (await ahead(phone))[str(order.id)]
    customer.do_not_disturb = True
    await tx.flush()
    asked = (await ahead(phone))[str(order.id)]
    assert asked["nothing_because"]["code"] == "do_not_disturb"
    assert await slots(tx) == []
    await phone.restore(order)
    answer = await said(phone, taken["offers"][0])
    assert answer["held_back"] == "do_not_disturb"
    assert await tx.scalar(select(func.count()).select_from(SuggestionDecision)) == 2


async def test_an_order_without_a_customer_is_left_out(tx, phone, clock, catalogue):
    await make_assigned_order(tx, phone.technician, now=clock.now())
    assert await ahead(phone) == {}
    assert await tx.scalar(select(func.count()).select_from(Visit)) == 0
    assert await tx.scalar(select(func.count()).select_from(WorkOrder)) == 1


@pytest.mark.parametrize("came", [True, False])
async def test_a_door_asked_about_ahead_and_at_the_visit_is_one_visit_in_the_figures(
    tx, phone, order, line, catalogue, clock, came
):
    """And a door that nobody came to is none."""
    for _ in "12":
        assert (await ahead(phone))[str(order.id)]["offers"]
        line.speed_mbps += 1  # so that the second time is another decision
        await tx.flush()
    if came:
        visit_id = await phone.restore(order)
        assert (await phone.post(f"/visits/{visit_id}/suggestions")).json()["offers"]
        await phone.complete(visit_id)
    assert await tx.scalar(select(func.count()).select_from(SuggestionDecision)) == 2 + came
    clock.tick(timedelta(days=1))
    await adding_up.add_up(tx, clock.now(), clock.now())
    visits = select(func.sum(PolicyDay.whole)).where(PolicyDay.metric == "value_per_visit")
    assert await tx.scalar(visits) == (1 if came else None)
