"""What the customer said: taken down once, late ones too, and counted only when it was pitched."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, select

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Invalid
from app.core.parameter_values import ParameterValue, parameters_in_force
from app.customers.models import Interaction
from app.customers.rules import Channel, InteractionKind
from app.lifecycle.models import LifecycleDue
from app.lifecycle.queries import facts_of
from app.outages.models import Outage
from app.outages.rules import OutageState, PlaceKind
from app.retention.queries import levers
from app.sales.models import Sale
from app.suggestions.models import (
    ContactSlot,
    SalesLead,
    Suggestion,
    SuggestionAnswer,
    SuggestionDecision,
    SuggestionGate,
)
from app.suggestions.queries import answers_of, forget
from app.suggestions.rules import AnswerKind, DeclineReason, HeldBack
from app.suggestions.rules.answering import complete_answer, said_at, was_pitched
from app.suggestions.rules.limits import limits_in_force
from app.suggestions.rules.silence import silence_of
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_address, make_contact, make_subscription
from tests.make.lifecycle import make_lifecycle
from tests.make.sales import consent_body
from tests.make.technicians import make_technician
from tests.make.visits import make_assigned_order, make_phone

NINE = datetime(2026, 3, 2, 1, tzinfo=UTC)


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reason", "later_on", "fields"),
    [
        (AnswerKind.ACCEPTED, None, None, []),
        (AnswerKind.NOT_PITCHED, None, None, []),
        (AnswerKind.DECLINED, DeclineReason.PRICE, None, []),
        (AnswerKind.LATER, None, date(2026, 3, 3), []),
        (AnswerKind.DECLINED, None, None, ["reason"]),
        (AnswerKind.ACCEPTED, DeclineReason.PRICE, None, ["reason"]),
        (AnswerKind.LATER, None, None, ["later_on"]),
        (AnswerKind.LATER, None, date(2026, 3, 2), ["later_on"]),
        (AnswerKind.LATER, DeclineReason.PRICE, date(2026, 3, 1), ["reason", "later_on"]),
        (AnswerKind.DECLINED, None, date(2026, 3, 9), ["reason", "later_on"]),
        (AnswerKind.DECLINED, DeclineReason.NOT_NOW, date(2026, 3, 9), []),
        (AnswerKind.DECLINED, DeclineReason.PRICE, date(2026, 3, 9), ["later_on"]),
        (AnswerKind.HANDED_OVER, None, None, ["answer"]),
        (AnswerKind.ABSENT, None, None, []),
        (None, None, None, []),
    ],
)
def test_an_answer_says_what_its_kind_needs(answer, reason, later_on, fields):
    if not fields:
        complete_answer(answer, reason, later_on, NINE.date())
        return
    with pytest.raises(Invalid) as refused:
        complete_answer(answer, reason, later_on, NINE.date())
    assert [error["field"] for error in refused.value.facts["errors"]] == fields


@pytest.mark.parametrize(("device", "believed"), [(-3.0, 0.0), (0.5, 0.5), (2.0, 2.0), (9.0, 2.0)])
def test_a_phones_clock_is_believed_between_showing_and_now(device, believed):
    def at(hours: float) -> datetime:
        return NINE + timedelta(hours=hours)

    assert said_at(at(device), shown_at=NINE, now=at(2)) == at(believed)


@pytest.mark.parametrize(
    ("answer", "pitched", "was"),
    [
        (None, True, True),
        (None, False, None),
        (None, None, None),
        (AnswerKind.ACCEPTED, None, True),
        (AnswerKind.ACCEPTED, True, True),
        (AnswerKind.ACCEPTED, False, None),
        (AnswerKind.NOT_PITCHED, None, False),
        (AnswerKind.ABSENT, False, False),
        (AnswerKind.ABSENT, True, None),
    ],
)
def test_what_was_pitched_fits_what_was_said(answer, pitched, was):
    if was is not None:
        assert was_pitched(answer, pitched) is was
        return
    with pytest.raises(Invalid) as refused:
        was_pitched(answer, pitched)
    assert refused.value.facts["errors"][0]["field"] == "pitched"


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
async def visit_id(phone, order, line, catalogue):
    return await phone.restore(order)


@pytest.fixture
async def read(phone, visit_id):
    return (await phone.post(f"/visits/{visit_id}/suggestions")).json()


@pytest.fixture
async def best(read):
    return read["offers"][0]["suggestion_id"]


async def say(phone, suggestion_id, answer, *, lang="en", **body):
    body.setdefault("id", str(new_id()))
    return await phone.post(
        f"/suggestions/{suggestion_id}/answer", lang=lang, answer=answer, **body
    )


async def ledger(tx):
    rows = await tx.scalars(
        select(Interaction)
        .where(Interaction.kind == InteractionKind.SALES)
        .order_by(Interaction.id)
    )
    return list(rows)


@pytest.mark.parametrize(
    ("answer", "more"),
    [
        ("accepted", {}),
        ("declined", {"reason": "has_it_elsewhere"}),
        ("later", {"later_on": "2026-05-01"}),
    ],
)
async def test_what_was_pitched_is_a_contact(tx, phone, order, customer, best, clock, answer, more):
    clock.tick(timedelta(minutes=3))
    told = await say(phone, best, answer, **more)
    assert told.status_code == 200, told.text
    kept = told.json()
    assert kept["suggestion_id"] == best
    assert kept["answer"] == answer
    for name in ("reason", "later_on"):
        assert kept[name] == more.get(name)
    (contact,) = await ledger(tx)
    assert (contact.customer_id, contact.work_order_id) == (customer.id, order.id)
    assert (contact.channel, contact.subject, contact.outcome) == ("visit", "FTTH-1000", answer)
    assert contact.at == clock.now()
    # From here on the ledger counts it, no longer the slot.
    assert (await tx.scalars(select(ContactSlot))).all() == []


async def test_what_was_only_shown_is_no_contact(tx, phone, visit_id, read, best):
    assert (await say(phone, best, "not_pitched")).status_code == 200
    assert await ledger(tx) == []
    again = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    assert again == read


async def test_after_a_pitch_this_visit_sells_no_more_and_the_next_not_for_a_week(
    tx, phone, customer, visit_id, best, clock
):
    await say(phone, best, "declined", reason="no_need")

    async def asked(visit):
        read = (await phone.post(f"/visits/{visit}/suggestions")).json()
        return {one["offering_code"]: one["code"] for one in read["held_back"]}

    assert (await asked(visit_id))["TV-4K"] == "pitched_in_this_visit"
    await phone.complete(visit_id)
    expected = [
        (0, "TV-4K", "contact_gap"),
        (6, "TV-4K", "contact_gap"),
        (8, "FTTH-1000", "declined_recently"),
        (60, "FTTH-1000", "declined_recently"),
        (91, "FTTH-1000", None),
    ]
    passed = 0
    for days, code, held in expected:
        clock.tick(timedelta(days=days - passed))
        passed = days
        order = await make_assigned_order(
            tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE
        )
        visit = await phone.arrive(order)
        assert (await asked(visit)).get(code) == held, days
        await phone.post(f"/visits/{visit}/hand-back", cause="other")


async def test_who_says_they_are_not_satisfied_is_left_alone_like_who_complained(
    tx, phone, customer, visit_id, best, clock
):
    await make_lifecycle(tx, customer)
    zero = ParameterValue(
        name="suggestions.contact_gap_days", org_path="", valid_from=clock.now(), value=0
    )
    tx.add(zero)
    await tx.flush()
    said = await say(phone, best, "declined", reason="dissatisfied")
    assert said.status_code == 200, said.text
    await phone.complete(visit_id)
    # Where they stand is looked at before the night.
    assert list(await tx.scalars(select(LifecycleDue.customer_id))) == [customer.id]

    async def asked_after(days):
        clock.tick(timedelta(days=days))
        order = await make_assigned_order(
            tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE
        )
        visit = await phone.set_out(order)
        card = (await phone.get(f"/customers/{customer.id}/context")).json()
        told = (await phone.post(f"/visits/{visit}/suggestions", lang="en")).json()
        await phone.post(f"/visits/{visit}/hand-back", cause="other")
        return card["faults"], told

    faults, told = await asked_after(13)
    assert (faults["dissatisfied_in_90_days"], faults["dissatisfied_on"]) == (1, "2026-03-02")
    assert faults["source"] and faults["as_of"]
    assert told["nothing_because"] == {
        "code": "dissatisfied",
        "words": "They said lately that they are not satisfied with us",
    }
    _, told = await asked_after(1)
    assert told["offers"] and told["nothing_because"] is None


async def test_who_declines_several_offers_in_one_visit_said_once_that_they_are_not_satisfied(
    tx, phone, customer, visit_id, best, clock
):
    told = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    for offer in told["offers"][:2]:
        await say(phone, offer["suggestion_id"], "declined", reason="dissatisfied")
    known = (await facts_of(tx, [customer.id], clock.now()))[customer.id]
    assert (len(told["offers"][:2]), known.dissatisfied) == (2, 1)
    card = (await phone.get(f"/customers/{customer.id}/context")).json()
    assert card["faults"]["dissatisfied_in_90_days"] == 1


async def test_who_takes_back_that_they_are_not_satisfied_did_not_say_so(
    tx, phone, customer, best, clock
):
    for minutes, reason in enumerate(("dissatisfied", "price")):
        clock.tick(timedelta(minutes=minutes))
        await say(phone, best, "declined", reason=reason)
    known = (await facts_of(tx, [customer.id], clock.now()))[customer.id]
    assert known.dissatisfied == 0


async def test_later_means_that_day(tx, phone, customer, visit_id, best, clock):
    await say(phone, best, "later", later_on="2026-05-01")
    await phone.complete(visit_id)
    for day, held in [("2026-04-30", "asked_for_later"), ("2026-05-01", None)]:
        clock.set(datetime.fromisoformat(f"{day}T09:00:00+08:00"))
        order = await make_assigned_order(
            tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE
        )
        visit = await phone.arrive(order)
        told = (await phone.post(f"/visits/{visit}/suggestions")).json()
        codes = {one["offering_code"]: one["code"] for one in told["held_back"]}
        assert codes.get("FTTH-1000") == held
        await phone.post(f"/visits/{visit}/hand-back", cause="other")


@pytest.mark.parametrize("late", [False, True], ids=["as said", "the mistake arrives last"])
async def test_what_was_said_last_counts(tx, phone, customer, visit_id, best, clock, late):
    """A technician who said "declined" by mistake corrects it; the ledger keeps one visit."""
    mistaken = {"reason": "price", "device_at": clock.now().isoformat()}
    if not late:
        await say(phone, best, "declined", **mistaken)
    clock.tick(timedelta(minutes=1))
    await say(phone, best, "accepted")
    if late:
        clock.tick(timedelta(minutes=1))
        await say(phone, best, "declined", **mistaken)
    rows = (await phone.get("/sync?schema_version=4")).json()["changes"]["suggestions"]["updated"]
    assert {one["answer"] for one in rows if one["id"] == str(best)} == {"accepted"}
    answers = (await tx.scalars(select(SuggestionAnswer))).all()
    assert len(answers) == 2
    await phone.complete(visit_id)
    clock.tick(timedelta(days=8))
    order = await make_assigned_order(
        tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE
    )
    told = (await phone.post(f"/visits/{await phone.arrive(order)}/suggestions")).json()
    codes = {one["offering_code"]: one["code"] for one in told["held_back"]}
    assert codes["FTTH-1000"] == "just_accepted"
    facts = (await tx.scalars(select(SuggestionAnswer.answer))).all()
    assert set(facts) == {"declined", "accepted"}
    # The contact that the mistake has left in the ledger is no refusal.
    newest = select(SuggestionDecision.facts).order_by(SuggestionDecision.id.desc()).limit(1)
    assert (await tx.scalar(newest))["refusals"] == 0
    assert "TV-4K" in {one["offering_code"] for one in told["offers"]}


async def test_an_answer_from_an_offline_phone_counts_when_it_was_given(
    tx, phone, visit_id, best, clock
):
    said = clock.now() + timedelta(minutes=10)
    clock.tick(timedelta(minutes=20))
    await phone.complete(visit_id)
    clock.tick(timedelta(days=2))
    told = await say(phone, best, "accepted", device_at=said.isoformat())
    assert told.status_code == 200
    assert datetime.fromisoformat(told.json()["at"]) == said
    assert [contact.at for contact in await ledger(tx)] == [said]


async def test_sent_twice_it_is_one_answer_and_one_contact(tx, phone, best, clock):
    body = {
        "id": str(new_id()),
        "reason": "price",
        "device_at": clock.now().isoformat(),
    }
    first = await say(phone, best, "declined", **body)
    clock.tick(timedelta(days=1))
    again = await say(phone, best, "declined", **body)
    assert (again.status_code, again.json()) == (first.status_code, first.json())
    assert len(await ledger(tx)) == 1
    for lang, title in [
        ("zh", "同一编号已用于不同内容"),
        ("en", "This id already stands for other content"),
    ]:
        other = await say(phone, best, "declined", lang=lang, **{**body, "reason": "no_need"})
        assert (other.status_code, other.json()["title"]) == (409, title)


async def test_an_id_used_for_another_suggestion_is_refused(phone, read, clock):
    first, second = (one["suggestion_id"] for one in read["offers"][:2])
    body = {"id": str(new_id()), "device_at": clock.now().isoformat()}
    await say(phone, first, "not_pitched", **body)
    refused = await say(phone, second, "not_pitched", **body)
    assert refused.json()["type"] == "urn:yingwei:problem:same-id-other-content"


@pytest.mark.parametrize(("lang", "title"), [("zh", "该推荐未展示"), ("en", "not shown")])
async def test_what_was_held_back_cannot_have_been_answered(tx, phone, read, visit_id, lang, title):
    held = await tx.scalar(select(Suggestion.id).where(Suggestion.offering_code == "RENEW-12"))
    refused = await say(phone, held, "accepted", lang=lang)
    assert refused.status_code == 409
    assert title in refused.json()["title"]
    assert refused.json()["facts"] == {"offering": "RENEW-12", "held_back": "no_renewal_due"}
    assert await ledger(tx) == []


async def test_somebody_elses_suggestion_is_not_there(tx, app, http, clock, branch, best):
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    for suggestion_id in (best, new_id()):
        answer = await say(other, suggestion_id, "accepted")
        assert (answer.status_code, answer.json()["facts"]) == (404, {})


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"answer": "declined"}, "reason"),
        ({"answer": "later"}, "later_on"),
        ({"answer": "maybe"}, "answer"),
        ({"answer": "accepted", "pitched": False}, "pitched"),
        ({"answer": "accepted", "device_at": "2026-03-02T09:00:00"}, "device_at"),
    ],
)
async def test_what_is_not_understood_is_named(phone, best, body, field):
    refused = await say(phone, best, **body)
    assert refused.status_code == 422
    assert refused.json()["facts"]["errors"][0]["field"] == field


@pytest.mark.parametrize("answer", ["absent", "not_pitched"])
async def test_who_was_not_spoken_to_was_not_contacted(tx, phone, best, answer):
    told = (await say(phone, best, answer)).json()
    assert (told["pitched"], told["opens_sale"]) == (False, False)
    assert await ledger(tx) == []


async def test_a_pitch_is_told_before_its_answer(tx, phone, best, clock):
    told = (await say(phone, best, None, pitched=True)).json()
    assert (told["answer"], told["pitched"], told["opens_sale"]) == (None, True, False)
    assert len(await ledger(tx)) == 1
    clock.tick(timedelta(minutes=1))
    assert (await say(phone, best, "accepted")).json()["opens_sale"] is True


async def test_a_note_of_a_competitor_is_for_supervisors(tx, app, http, phone, best, branch):
    body = {
        "id": str(new_id()),
        "reason": "has_it_elsewhere",
        "competitor": {"who": "隔壁运营商", "monthly_price_fen": 5900, "until": "2026-12-31"},
        "device_at": "2026-03-02T09:10:00+08:00",
    }
    told = await say(phone, best, "declined", **body)
    assert told.json()["competitor"] == "隔壁运营商"
    assert (await say(phone, best, "declined", **body)).json() == told.json()
    body["competitor"] = {"who": "隔壁运营商", "monthly_price_fen": 6900}
    other = await say(phone, best, "declined", **body)
    assert other.json()["type"].endswith("same-id-other-content")
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch))
    listed = (await http.get("/v1/competitor-notes", headers=headers)).json()
    (note,) = listed["notes"]
    assert (note["who"], note["monthly_price_fen"]) == ("隔壁运营商", 5900)
    assert (note["offer"], note["until"]) == (None, "2026-12-31")
    elsewhere = await http.get(f"/v1/competitor-notes?grid_id={new_id()}", headers=headers)
    assert elsewhere.json()["notes"] == []


@pytest.mark.parametrize("guard", ["do_not_disturb", "arrears", "complaint_open"])
async def test_a_guard_that_became_true_in_between_wins(
    tx, phone, customer, visit_id, best, clock, guard
):
    said = clock.now() + timedelta(minutes=1)
    clock.tick(timedelta(hours=1))
    if guard == "complaint_open":
        await make_contact(tx, customer, at=clock.now(), kind=InteractionKind.COMPLAINT)
    customer.do_not_disturb = guard == "do_not_disturb"
    customer.arrears_fen = 100 if guard == "arrears" else None
    await tx.flush()
    told = (await say(phone, best, "accepted", device_at=said.isoformat())).json()
    assert (told["answer"], told["opens_sale"], told["held_back"]) == ("accepted", False, guard)
    assert told["held_back_words"]
    assert [contact.at for contact in await ledger(tx)] == [said]
    item = {"offering_code": "FTTH-1000", "quantity": 1}
    # On credit nothing is sold to who owes, not even what they ask for by themselves.
    for suggestion, status in [(best, 409), (None, 409 if guard == "arrears" else 201)]:
        items = [{**item, "suggestion_id": suggestion} if suggestion else item]
        sale = await phone.post("/sales", id=str(new_id()), visit_id=str(visit_id), items=items)
        assert sale.status_code == status, sale.text
    sold = await tx.scalar(select(func.count()).select_from(Sale))
    assert sold == (0 if guard == "arrears" else 1)


async def bought_in_the_app(tx, customer, now):
    await make_contact(
        tx,
        customer,
        at=now,
        kind=InteractionKind.SALES,
        channel=Channel.APP,
        offering_code="FTTH-1000",
        outcome="accepted",
    )


async def held_by_now(tx, customer, now):
    await make_subscription(tx, customer, offering_code="FTTH-1000", started_on=now.date())


async def ordered_elsewhere(tx, customer, now):
    await another_order(tx, customer, now, work_type=WorkType.INSTALL)


async def out_of_order(tx, customer, now):
    await make_address(tx, customer, code="A2", olt_port="OLT-01/1/3")
    outage = Outage(
        org_unit_id=customer.org_unit_id,
        place_kind=PlaceKind.PORT,
        place_key="OLT-01/1/3",
        name="x",
        state=OutageState.CONFIRMED,
        since=now,
        found_at=now,
        last_report_at=now,
    )
    tx.add(outage)
    await tx.flush()


async def complained_and_was_heard(tx, customer, now):
    at = now - timedelta(minutes=20)
    await make_contact(tx, customer, at=at, kind=InteractionKind.COMPLAINT, closed_at=now)


async def unchanged(tx, customer, now):
    """Nothing that another channel has brought about."""


async def another_order(tx, customer, now, **fields):
    unit = await tx.get_one(OrgUnit, customer.org_unit_id)
    other = await make_technician(tx, org_unit=unit)
    return await make_assigned_order(tx, other, customer, now=now, **fields)


MEANWHILE = [
    (unchanged, None),
    (bought_in_the_app, "just_accepted"),
    (held_by_now, "already_held"),
    (ordered_elsewhere, "order_pending"),
    (out_of_order, "outage"),
    (complained_and_was_heard, "complaint_recent"),
]


async def test_a_fault_that_returns_after_a_yes_wins_over_it(tx, phone, customer, best, clock):
    said = clock.now() + timedelta(minutes=1)
    for days, guard in ((0, None), (2, "repeat_fault")):
        # Within a day it is the fault that was just repaired, of which they call once more.
        clock.tick(timedelta(days=days, hours=2))
        await make_contact(tx, customer, at=clock.now(), kind=InteractionKind.FAULT)
        told = (await say(phone, best, "accepted", device_at=said.isoformat())).json()
        assert (told["opens_sale"], told["held_back"]) == (guard is None, guard)


@pytest.mark.parametrize(("happens", "guard"), MEANWHILE)
async def test_what_was_accepted_offline_is_not_sold_once_more(
    tx, phone, customer, visit_id, best, clock, happens, guard
):
    """Accepted at ten, bought in the app at noon, and heard of from the phone in the evening."""
    said = clock.now() + timedelta(minutes=1)
    clock.tick(timedelta(hours=2))
    await happens(tx, customer, clock.now())
    clock.tick(timedelta(hours=1))
    told = (await say(phone, best, "accepted", device_at=said.isoformat())).json()
    assert (told["opens_sale"], told["held_back"]) == (guard is None, guard)
    assert (told["held_back_words"] is None) == (guard is None)
    items = [{"offering_code": "FTTH-1000", "suggestion_id": best}]
    sale = await phone.post("/sales", id=str(new_id()), visit_id=str(visit_id), items=items)
    if guard is None:
        assert sale.status_code == 201, sale.text
        return
    assert sale.json()["type"].endswith("offer-held-back-meanwhile")
    assert sale.json()["facts"]["reason"] == guard


@pytest.mark.parametrize(("happens", "guard"), MEANWHILE)
async def test_a_draft_sells_nothing_and_lets_nothing_through(
    tx, phone, customer, visit_id, best, clock, happens, guard
):
    """Put together and not agreed to: what has come between holds back the answer and a sale that
    is put together anew, as it would without the draft."""
    items = [{"offering_code": "FTTH-1000", "suggestion_id": best}]
    sold, said = {"visit_id": str(visit_id), "items": items}, clock.now().isoformat()
    draft = await phone.post("/sales", id=str(new_id()), **sold)
    assert draft.json()["state"] == "draft"
    clock.tick(timedelta(hours=1))
    await happens(tx, customer, clock.now())
    told = (await say(phone, best, "accepted", device_at=said)).json()
    assert (told["opens_sale"], told["held_back"]) == (guard is None, guard)
    anew = await phone.post("/sales", id=str(new_id()), **sold)
    assert anew.status_code == (201 if guard is None else 409), anew.text
    assert guard is None or anew.json()["facts"]["reason"] == guard


async def test_a_gate_that_is_switched_off_holds_back_no_answer(
    tx, database, phone, customer, best, clock
):
    off = {"code": HeldBack.COMPLAINT_RECENT, "version": 1, "valid_from": date(2026, 1, 1)}
    tx.add(SuggestionGate(**off, in_force=False))
    await tx.flush()
    forget(database)
    await complained_and_was_heard(tx, customer, clock.now())
    assert (await say(phone, best, "accepted")).json()["opens_sale"] is True


async def test_an_answer_that_comes_after_its_sale_is_not_held_back_by_it(
    tx, phone, customer, visit_id, best, clock
):
    said = clock.now().isoformat()
    items = [{"offering_code": "FTTH-1000", "suggestion_id": best}]
    sale = await phone.post("/sales", id=str(new_id()), visit_id=str(visit_id), items=items)
    agreed = consent_body(clock.now(), sale.json()["shown_sha256"])
    confirm = f"/v1/sales/{sale.json()['id']}/confirm"
    sold = await phone.http.post(confirm, json=agreed, headers=phone.headers)
    assert sold.json()["state"] == "confirmed", sold.text
    clock.tick(timedelta(hours=3))
    await ordered_elsewhere(tx, customer, clock.now())
    await held_by_now(tx, customer, clock.now())
    assert (await say(phone, best, "accepted", device_at=said)).json()["held_back"] is None


async def do_not_disturb(tx, customer, now):
    customer.do_not_disturb = True
    await tx.flush()


async def visits_refused(tx, customer, now):
    customer.channels_refused = ["visit"]
    await tx.flush()


async def complains(tx, customer, now):
    await make_contact(tx, customer, at=now, kind=InteractionKind.COMPLAINT)


@pytest.mark.parametrize(
    ("happens", "guard"),
    [
        (do_not_disturb, "do_not_disturb"),
        (visits_refused, "do_not_disturb"),
        (complains, "complaint_open"),
        (bought_in_the_app, "just_accepted"),
    ],
)
async def test_who_asked_for_peace_meanwhile_is_not_handed_over(
    tx, phone, customer, best, clock, happens, guard
):
    said = clock.now() + timedelta(minutes=1)
    clock.tick(timedelta(hours=5))
    await happens(tx, customer, clock.now())
    body = {
        "id": str(new_id()),
        "handed_to": "account_manager",
        "note": "wants a quote",
        "device_at": said.isoformat(),
    }
    path = f"/suggestions/{best}/hand-over"
    told = await phone.post(path, **body)
    assert told.status_code == 200, told.text
    kept = told.json()
    assert (kept["id"], kept["answer"], kept["held_back"]) == (body["id"], "handed_over", guard)
    assert (kept["lead"], kept["opens_sale"]) == (None, False)
    assert kept["held_back_words"]
    assert datetime.fromisoformat(kept["at"]) == said
    assert await tx.scalar(select(func.count()).select_from(SalesLead)) == 0
    assert "handed_over" in [contact.outcome for contact in await ledger(tx)]
    # Sent again it is the same, also when nothing stands in the way any more.
    customer.do_not_disturb, customer.channels_refused = False, []
    await tx.flush()
    assert (await phone.post(path, **body)).json() == kept
    other = await phone.post(path, **{**body, "device_at": clock.now().isoformat()})
    assert other.json()["type"].endswith("same-id-other-content")


@pytest.mark.parametrize(
    ("hour", "day", "status"),
    [
        ("2026-03-02T07:30:00+08:00", "2026-03-02", 422),  # in London it is still the day before
        ("2026-03-02T07:30:00+08:00", "2026-03-03", 200),
        ("2026-03-02T23:30:00+08:00", "2026-03-02", 422),
        ("2026-03-02T23:30:00+08:00", "2026-03-03", 200),
    ],
)
async def test_a_day_to_come_is_one_of_the_units_own_calendar(
    phone, order, line, catalogue, clock, hour, day, status
):
    clock.set(datetime.fromisoformat(hour))
    visit_id = await phone.restore(order)
    read = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    told = await say(phone, read["offers"][0]["suggestion_id"], "later", later_on=day)
    assert told.status_code == status, told.text


async def test_an_offer_is_handed_over_once_and_a_supervisor_sees_to_it(
    tx, app, http, phone, visit_id, read, best, branch, clock
):
    body = {"id": str(new_id()), "handed_to": "account_manager", "note": "wants a quote"}
    body["device_at"] = clock.now().isoformat()
    path = f"/suggestions/{best}/hand-over"
    handed = await phone.post(path, **body)
    assert (handed.status_code, handed.json()["lead"]["state"]) == (200, "open")
    assert (handed.json()["answer"], handed.json()["held_back"]) == ("handed_over", None)
    assert (await phone.post(path, **body)).json() == handed.json()
    other = await phone.post(path, **{**body, "note": "no"})
    assert other.json()["type"].endswith("same-id-other-content")
    second = await phone.post(path, **{**body, "id": str(new_id())})
    assert (second.status_code, second.json()["facts"]["offering"]) == (409, "FTTH-1000")
    assert [contact.outcome for contact in await ledger(tx)] == ["handed_over"]
    held = await tx.scalar(select(Suggestion.id).where(Suggestion.offering_code == "RENEW-12"))
    refused = await phone.post(f"/suggestions/{held}/hand-over", **{**body, "id": str(new_id())})
    assert refused.json()["type"].endswith("suggestion-not-shown")
    headers = bearer(app, await account_of(tx, Role.SUPERVISOR, branch))
    told = (await phone.post(f"/visits/{visit_id}/suggestions")).json()
    held = {one["offering_code"]: one["code"] for one in told["held_back"]}
    assert held["FTTH-1000"] == "offered_elsewhere"
    listed = (await http.get("/v1/sales-leads?state=open", headers=headers)).json()
    assert [one["id"] for one in listed["leads"]] == [body["id"]]
    url = f"/v1/sales-leads/{body['id']}"
    for state, status in [("taken", 200), ("taken", 200), ("won", 200), ("lost", 409)]:
        moved = await http.patch(url, json={"state": state}, headers=headers)
        assert moved.status_code == status, moved.text
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    assert (await http.patch(url, json={"state": "won"}, headers=stranger)).status_code == 404


async def account_of(tx, role, branch):
    account = await make_account(tx, branch, role=role)
    return caller_for(role, branch, account_id=account.id)


async def test_a_no_is_heard_though_its_pitch_was_told_by_a_clock_that_was_ahead(
    tx, phone, best, customer, clock, branch
):
    """Without a network: pitched, and refused after the clock was set right by two hours."""
    shown = clock.now()
    clock.tick(timedelta(hours=4))
    ahead = (shown + timedelta(minutes=125)).isoformat()
    await say(phone, best, None, pitched=True, device_at=ahead)
    right = (shown + timedelta(minutes=10)).isoformat()
    await say(phone, best, "declined", reason="dissatisfied", device_at=right)
    limits = limits_in_force(await parameters_in_force(tx), clock.now(), branch.path)
    heard = (await answers_of(tx, [customer.id], limits, clock.now()))[customer.id]
    said = [one.spoken(ZoneInfo("Asia/Shanghai")) for one in heard]
    assert silence_of(said, clock.now().date(), limits).refusals == 1
    # Told again that it was pitched, and by a clock that is ahead, they are as dissatisfied.
    again = await say(phone, best, None, pitched=True, device_at=clock.now().isoformat())
    assert again.status_code == 200, again.text
    assert (await facts_of(tx, [customer.id], clock.now()))[customer.id].dissatisfied == 1


async def test_the_visit_in_which_it_was_sold_is_no_call_about_it(
    tx, phone, visit_id, best, clock, branch, customer
):
    assert (await say(phone, best, "accepted")).status_code == 200
    at, day = clock.now(), timedelta(days=1)
    clock.tick(timedelta(minutes=10))
    await phone.complete(visit_id)
    clock.tick(40 * day)
    month = levers.Period([branch.id], at - day, at + day, (at - day).date(), (at + day).date())
    found = (await levers.offers(tx, month, now=clock.now()))[None]
    assert (found.accepted_long_ago, found.called) == (1, 0)
    await make_contact(tx, customer, at=at + 9 * day, kind=InteractionKind.SERVICE)
    found = (await levers.offers(tx, month, now=clock.now()))[None]
    assert (found.accepted_long_ago, found.called) == (1, 1)
