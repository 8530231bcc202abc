"""What the customer said: taken down once, late ones too, and counted only when it was pitched."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Invalid
from app.customers.models import Interaction
from app.customers.rules import InteractionKind
from app.sales.models import Sale
from app.suggestions.models import ContactSlot, Suggestion, SuggestionAnswer, SuggestionDecision
from app.suggestions.rules import AnswerKind, DeclineReason
from app.suggestions.rules.answering import complete_answer, said_at, was_pitched
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_contact
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
        complete_answer(answer, reason, later_on, NINE)
        return
    with pytest.raises(Invalid) as refused:
        complete_answer(answer, reason, later_on, NINE)
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


async def test_the_newest_answer_counts(tx, phone, customer, visit_id, best, clock):
    """A technician who said "declined" by mistake corrects it; the ledger keeps one visit."""
    await say(phone, best, "declined", reason="price")
    clock.tick(timedelta(minutes=1))
    await say(phone, best, "accepted")
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


async def test_an_offer_is_handed_over_once_and_a_supervisor_sees_to_it(
    tx, app, http, phone, visit_id, read, best, branch, clock
):
    body = {"id": str(new_id()), "handed_to": "account_manager", "note": "wants a quote"}
    body["device_at"] = clock.now().isoformat()
    path = f"/suggestions/{best}/hand-over"
    lead = await phone.post(path, **body)
    assert (lead.status_code, lead.json()["state"]) == (200, "open")
    assert (await phone.post(path, **body)).json() == lead.json()
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
