"""What the customer said: taken down once, late ones too, and counted only when it was pitched."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import select

from app.core.db import new_id
from app.core.errors import Invalid
from app.customers.models import Interaction
from app.customers.rules import InteractionKind
from app.suggestions.models import ContactSlot, Suggestion, SuggestionAnswer
from app.suggestions.rules import AnswerKind, DeclineReason, complete_answer, said_at
from app.worktypes.rules import WorkType
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
        ("declined", {"reason": "has_it_elsewhere", "competitor": "隔壁运营商 500M 59元"}),
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
    for name in ("reason", "competitor", "later_on"):
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
