"""What is offered at a door, from real rows to the words on the phone, and what is kept of it."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from app.core.db import new_id
from app.core.parameter_values import ParameterValue
from app.customers.rules import InteractionKind
from app.suggestions.models import ContactSlot, Suggestion, SuggestionDecision
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.make.counting import counted
from tests.make.customers import make_contact, make_customer, make_subscription
from tests.make.visits import TODAY, make_assigned_order, make_phone

pytestmark = pytest.mark.usefixtures("line", "catalogue")


async def asked(phone, visit_id, lang="en"):
    answer = await phone.post(f"/visits/{visit_id}/suggestions", lang=lang)
    assert answer.status_code == 200, answer.text
    return answer.json()


def why(read):
    return {one["offering_code"]: one["code"] for one in read["held_back"]}


def shown(read):
    return [one["offering_code"] for one in read["offers"]]


async def count(tx, kind):
    return await tx.scalar(select(func.count()).select_from(kind))


# --- what the phone is told -----------------------------------------------------------------------


async def test_nothing_before_the_repair_is_restored_and_three_offers_after(phone, order):
    visit_id = await phone.arrive(order)
    before = await asked(phone, visit_id)
    assert before["offers"] == []
    assert before["nothing_because"] == {
        "code": "not_restored",
        "words": "The repair is not marked restored: first the fault",
    }
    assert why(before) == dict.fromkeys(
        ["FTTH-1000", "FTTR-2", "TV-4K", "CAMERA", "CARD-2ND", "RENEW-12"], "not_restored"
    )
    await phone.post(f"/visits/{visit_id}/restored")
    after = await asked(phone, visit_id)
    assert after["nothing_because"] is None
    assert shown(after) == ["FTTH-1000", "FTTR-2", "TV-4K"]
    assert [one["rank"] for one in after["offers"]] == [1, 2, 3]
    assert why(after) == {
        "CAMERA": "others_fit_better",
        "CARD-2ND": "not_worth_a_contact",
        "RENEW-12": "no_renewal_due",
    }


async def test_an_offer_has_all_that_is_needed_to_make_it(phone, order):
    visit_id = await phone.restore(order)
    english = await asked(phone, visit_id, "en")
    chinese = await asked(phone, visit_id, "zh")
    wifi = english["offers"][1]
    assert {name: wifi[name] for name in wifi if name not in ("suggestion_id", "reasons")} == {
        "rank": 2,
        "offering_code": "FTTR-2",
        "name": "Fibre to the room",
        "category": "home_wifi",
        "business_type": "incentive",
        "on_site": "sell",
        "coordination": "enhance",
        "left_to": None,
        "monthly_price_fen": 2900,
        "one_off_price_fen": 19900,
        "contract_months": 0,
        "commission_fen": 5000,
        "talk_track": {
            "opening": "Your line works again; please try it first.",
            "benefit": "Your line can do a gigabit.",
            "price": "29 yuan a month, 199 yuan once.",
            "exit_line": "If you do not need it, that is fine; nothing changes for you.",
        },
        "install_now": {
            "needed": True,
            "possible": True,
            "minutes": 45,
            "code": None,
            "words": None,
        },
    }
    assert wifi["reasons"] == [
        {"code": "expected", "words": "About 15% of such customers accept"},
        {"code": "after_a_fault", "words": "They have just had a fault: go gently"},
    ]
    assert chinese["offers"][1]["name"] == "全屋光纤"
    assert chinese["offers"][1]["reasons"][0]["words"] == "同类客户约有 15% 会接受"
    assert chinese["held_back"][0]["words"] != english["held_back"][0]["words"]
    assert chinese["decision_id"] == english["decision_id"]


@pytest.mark.parametrize("work_type", [WorkType.INSTALL, WorkType.CARE])
async def test_where_nothing_is_broken_offers_come_at_once(tx, phone, customer, clock, work_type):
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=work_type
    )
    assert shown(await asked(phone, await phone.set_out(order)))


@pytest.mark.parametrize(("hours_later", "held"), [(23, False), (25, True)])
async def test_a_call_on_another_day_about_a_repair_still_to_be_done_is_a_second_fault(
    tx, phone, customer, clock, hours_later, held
):
    reported_at = ago(clock, 2)
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), reported_at=reported_at
    )
    called_at = reported_at + timedelta(hours=hours_later)
    await make_contact(tx, customer, at=called_at, kind=InteractionKind.FAULT)
    read = await asked(phone, await phone.restore(order))
    assert (read["nothing_because"] or {}).get("code") == ("repeat_fault" if held else None)
    assert bool(shown(read)) is not held


@pytest.mark.parametrize(("called_before", "held"), [(25, True), (10.5, False)])
async def test_a_call_and_a_repair_are_two_faults_unless_it_is_the_call_about_it(
    tx, phone, customer, clock, called_before, held
):
    await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), reported_at=ago(clock, 10)
    )
    await make_contact(tx, customer, at=ago(clock, called_before), kind=InteractionKind.FAULT)
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE
    )
    read = await asked(phone, await phone.set_out(order))
    codes = {one["code"] for one in read["held_back"]}
    assert ("repeat_fault" in codes) is held
    assert bool(shown(read)) is not held


# --- each fact is read from its rows --------------------------------------------------------------


def ago(clock, days):
    return clock.now() - timedelta(days=days)


async def do_not_disturb(tx, customer, phone, clock):
    customer.do_not_disturb = True


async def arrears(tx, customer, phone, clock):
    customer.arrears_fen = 500


async def no_arrears(tx, customer, phone, clock):
    customer.arrears_fen = 0


async def complaint(tx, customer, phone, clock, closed=None):
    await make_contact(
        tx, customer, at=ago(clock, 400), kind=InteractionKind.COMPLAINT, closed_at=closed
    )


async def complaint_closed(tx, customer, phone, clock):
    await complaint(tx, customer, phone, clock, closed=ago(clock, 13))


async def complaint_long_closed(tx, customer, phone, clock):
    await complaint(tx, customer, phone, clock, closed=ago(clock, 15))


async def earlier_fault_call(tx, customer, phone, clock):
    await make_contact(tx, customer, at=ago(clock, 20), kind=InteractionKind.FAULT)


async def call_about_this_fault(tx, customer, phone, clock):
    await make_contact(tx, customer, at=ago(clock, 0.1), kind=InteractionKind.FAULT)


async def fault_long_ago(tx, customer, phone, clock):
    await make_contact(tx, customer, at=ago(clock, 31), kind=InteractionKind.FAULT)


async def earlier_repair(tx, customer, phone, clock):
    await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), reported_at=ago(clock, 20)
    )


async def open_install(tx, customer, phone, clock):
    await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=WorkType.INSTALL
    )


async def cancelled_install(tx, customer, phone, clock):
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=WorkType.INSTALL
    )
    await take_step(tx, order, Step.CANCEL, now=clock.now())


async def somebody_elses_fault(tx, customer, phone, clock):
    other = await make_customer(tx)
    await make_contact(tx, other, at=ago(clock, 2), kind=InteractionKind.FAULT)
    await make_contact(tx, other, at=ago(clock, 2))


async def sold_to(tx, customer, clock, *days):
    for many in days:
        await make_contact(tx, customer, at=ago(clock, many))


async def three_in_a_month(tx, customer, phone, clock):
    await sold_to(tx, customer, clock, 9, 17, 29)


async def two_in_a_month(tx, customer, phone, clock):
    await sold_to(tx, customer, clock, 9, 17, 31)


async def twelve_in_a_year(tx, customer, phone, clock):
    await sold_to(tx, customer, clock, *range(31, 31 + 12 * 27, 27))


async def eleven_in_a_year(tx, customer, phone, clock):
    await sold_to(tx, customer, clock, *range(31, 31 + 11 * 27, 27), 366)


async def sold_last_week(tx, customer, phone, clock):
    await sold_to(tx, customer, clock, 6)


async def sold_a_week_ago(tx, customer, phone, clock):
    await sold_to(tx, customer, clock, 7)


async def several_words_in_one_visit(tx, customer, phone, clock):
    visit = new_id()
    for minutes in range(5):
        at = ago(clock, 10) + timedelta(minutes=minutes)
        await make_contact(tx, customer, at=at, work_order_id=visit)


async def service_contacts(tx, customer, phone, clock):
    for _ in range(5):
        await make_contact(tx, customer, at=ago(clock, 2), kind=InteractionKind.SERVICE)


@pytest.mark.parametrize(
    ("arrange", "code"),
    [
        (do_not_disturb, "do_not_disturb"),
        (arrears, "arrears"),
        (no_arrears, None),
        (complaint, "complaint_open"),
        (complaint_closed, "complaint_recent"),
        (complaint_long_closed, None),
        (earlier_fault_call, "repeat_fault"),
        (call_about_this_fault, None),
        (fault_long_ago, None),
        (earlier_repair, "repeat_fault"),
        (open_install, "order_pending"),
        (cancelled_install, None),
        (somebody_elses_fault, None),
        (three_in_a_month, "contacts_month"),
        (two_in_a_month, None),
        (twelve_in_a_year, "contacts_year"),
        (eleven_in_a_year, None),
        (sold_last_week, "contact_gap"),
        (sold_a_week_ago, None),
        (several_words_in_one_visit, None),
        (service_contacts, None),
    ],
)
async def test_what_is_known_of_the_customer_decides(
    tx, phone, customer, order, clock, arrange, code
):
    await arrange(tx, customer, phone, clock)
    await tx.flush()
    read = await asked(phone, await phone.restore(order))
    if code is None:
        assert shown(read) == ["FTTH-1000", "FTTR-2", "TV-4K"]
    else:
        assert shown(read) == []
        assert read["nothing_because"]["code"] == code
        assert why(read)["FTTR-2"] == code


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"offering_code": "FTTH-1000", "speed_mbps": 1000}, "already_held"),
        ({"speed_mbps": 1000}, "not_faster"),
        ({"ended_on": TODAY}, None),
        ({"started_on": date(2026, 3, 3)}, None),
    ],
)
async def test_the_lines_that_run_decide(tx, phone, line, order, changes, code):
    for name, value in changes.items():
        setattr(line, name, value)
    await tx.flush()
    read = await asked(phone, await phone.restore(order))
    assert why(read).get("FTTH-1000") == code
    # Without a line that runs, what needs one cannot be had.
    wifi = "requires_other" if code is None else None
    assert why(read).get("FTTR-2") == wifi


async def test_a_renewal_is_offered_when_the_contract_ends(tx, phone, line, order):
    line.contract_ends_on = date(2026, 4, 1)
    await tx.flush()
    read = await asked(phone, await phone.restore(order))
    # 0.2 x 60,000 x 1.3 x 0.8 for the faster line, 0.3 x 30,000 x 1.3 x 0.8 for the renewal
    assert shown(read) == ["FTTH-1000", "RENEW-12", "FTTR-2"]
    assert {"code": "contract_ends_soon", "words": "The contract ends in 30 days"} in read[
        "offers"
    ][1]["reasons"]
    assert read["offers"][1]["on_site"] == "standard_only"


# --- what is kept ---------------------------------------------------------------------------------


async def test_each_candidate_is_stored_with_parts_that_add_up(tx, phone, order):
    read = await asked(phone, await phone.restore(order))
    decision = await tx.get(SuggestionDecision, read["decision_id"])
    assert (decision.policy, decision.held_back) == ("rules-2", None)
    assert decision.facts["restored"] is True
    assert decision.facts["speed_mbps"] == 300
    rows = (await tx.scalars(select(Suggestion).where(Suggestion.decision_id == decision.id))).all()
    assert len(rows) == 6
    for row in rows:
        assert sum(part["fen"] for part in row.reasons) == row.score_fen
        assert (row.rank is None) == (row.held_back is not None)
    best = next(row for row in rows if row.rank == 1)
    assert best.score_fen == round(0.2 * 60_000 * 0.8) - 300


async def test_asking_again_with_nothing_changed_is_answered_from_what_was_stored(
    tx, phone, order, clock, database
):
    visit_id = await phone.restore(order)
    first = await asked(phone, visit_id)
    clock.tick(timedelta(hours=2))
    with counted(database) as sent:
        again = await asked(phone, visit_id)
    assert again == first
    assert (await count(tx, SuggestionDecision), await count(tx, Suggestion)) == (1, 6)
    # Four of them are for what can be installed now: it is never remembered, and phones are told
    # as of when it was said.
    assert len(sent) <= 13, sent
    written = [one for one in sent if one.startswith(("INSERT", "UPDATE", "DELETE"))]
    assert [one.split()[2] for one in written] == ["install_answer"], sent


async def test_a_fact_that_changes_makes_a_new_decision(tx, phone, customer, order):
    visit_id = await phone.arrive(order)
    seen = [await asked(phone, visit_id)]
    await phone.post(f"/visits/{visit_id}/restored")
    seen.append(await asked(phone, visit_id))
    customer.do_not_disturb = True
    await tx.flush()
    seen.append(await asked(phone, visit_id))
    assert [shown(one) != [] for one in seen] == [False, True, False]
    assert len({one["decision_id"] for one in seen}) == 3
    # What was decided before stays as it was.
    assert await count(tx, Suggestion) == 18


async def test_over_all_its_decisions_a_visit_shows_no_more_than_three_different_offers(
    tx, phone, customer, order
):
    visit_id = await phone.restore(order)
    assert shown(await asked(phone, visit_id)) == ["FTTH-1000", "FTTR-2", "TV-4K"]
    television = await make_subscription(
        tx, customer, offering_code="TV-4K", category="tv", speed_mbps=None
    )
    again = await asked(phone, visit_id, "en")
    # The camera would be the fourth; what was shown may be shown again.
    assert shown(again) == ["FTTH-1000", "FTTR-2"]
    assert {one["offering_code"]: one["words"] for one in again["held_back"]}["CAMERA"] == (
        "Enough others were already shown in this visit"
    )
    assert await asked(phone, visit_id, "en") == again
    television.ended_on = TODAY
    await tx.flush()
    assert shown(await asked(phone, visit_id)) == ["FTTH-1000", "FTTR-2", "TV-4K"]


async def test_what_a_visit_has_not_shown_yet_comes_as_far_as_there_is_room(
    tx, phone, customer, order
):
    held = [
        await make_subscription(
            tx, customer, offering_code=code, category=category, speed_mbps=speed
        )
        for code, category, speed in (
            ("FTTR-2", "home_wifi", None),
            ("FTTH-1000", "broadband", 1000),
        )
    ]
    visit_id = await phone.restore(order)
    assert shown(await asked(phone, visit_id)) == ["TV-4K", "CAMERA"]
    for service in held:
        service.ended_on = TODAY
    await tx.flush()
    again = await asked(phone, visit_id)
    # One of the two that are worth more than what was shown already has a place.
    assert shown(again) == ["FTTH-1000", "TV-4K", "CAMERA"]
    assert why(again)["FTTR-2"] == "others_fit_better"


async def test_the_numbers_are_parameters_with_a_date(tx, phone, customer, order, clock, branch):
    await sold_to(tx, customer, clock, 8)
    for path, value in (("", 99), (branch.path, 1)):
        tx.add(
            ParameterValue(
                name="suggestions.contacts_month",
                org_path=path,
                valid_from=ago(clock, 1),
                value=value,
            )
        )
    tx.add(
        ParameterValue(
            name="suggestions.shown",
            org_path="",
            valid_from=clock.now() + timedelta(days=1),
            value=1,
        )
    )
    await tx.flush()
    read = await asked(phone, await phone.restore(order))
    assert read["nothing_because"]["code"] == "contacts_month"


# --- the contact slot -----------------------------------------------------------------------------


async def test_what_is_on_one_screen_keeps_others_from_selling(
    tx, app, http, phone, customer, order, clock, branch
):
    visit_id = await phone.restore(order)
    assert shown(await asked(phone, visit_id))
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    care = await make_assigned_order(
        tx, other.technician, customer, now=clock.now(), work_type=WorkType.CARE
    )
    theirs = await other.arrive(care)
    assert (await asked(other, theirs))["nothing_because"]["code"] == "slot_taken"
    # The first technician may ask again, and it ends by itself after a day.
    assert shown(await asked(phone, visit_id))
    clock.tick(timedelta(hours=24, seconds=1))
    assert shown(await asked(other, theirs))


async def test_a_visit_given_up_frees_the_slot(tx, phone, order, customer, clock):
    care = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE
    )
    visit_id = await phone.arrive(care)
    assert shown(await asked(phone, visit_id))
    await phone.post(f"/visits/{visit_id}/hand-back", cause="other")
    assert await count(tx, ContactSlot) == 0


async def test_where_nothing_is_shown_no_slot_is_held(tx, phone, order):
    await asked(phone, await phone.arrive(order))
    assert await count(tx, ContactSlot) == 0


# --- refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lang", "title"), [("zh", "本次上门已结束"), ("en", "This visit has ended")]
)
async def test_after_the_visit_nothing_is_offered(phone, order, lang, title):
    visit_id = await phone.restore(order)
    await phone.complete(visit_id)
    refused = await phone.post(f"/visits/{visit_id}/suggestions", lang=lang)
    assert refused.status_code == 409
    assert refused.json()["title"] == title
    assert refused.json()["facts"]["outcome"] == "completed"


async def test_a_cancelled_order_ends_the_offers_too(tx, phone, order, clock):
    visit_id = await phone.restore(order)
    held = await tx.get(WorkOrder, order.id, populate_existing=True)
    await take_step(tx, held, Step.CANCEL, now=clock.now())
    refused = await phone.post(f"/visits/{visit_id}/suggestions")
    assert (refused.status_code, refused.json()["facts"]["outcome"]) == (409, "cancelled")


@pytest.mark.parametrize(
    ("lang", "title"), [("zh", "工单未关联客户"), ("en", "This order names no known customer")]
)
async def test_without_a_customer_nothing_can_be_suggested(tx, phone, clock, lang, title):
    order = await make_assigned_order(tx, phone.technician, now=clock.now())
    refused = await phone.post(f"/visits/{await phone.restore(order)}/suggestions", lang=lang)
    assert (refused.status_code, refused.json()["title"]) == (409, title)
