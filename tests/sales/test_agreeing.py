"""Customers agree by a code or a reply; those who are protected need somebody else's yes."""

import asyncio
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select, text

from app.alerts.models import Alert
from app.alerts.rules import AlertKind
from app.auth.rules import Role
from app.catalog.rules import BusinessType
from app.core.clock import wall
from app.core.db import new_id
from app.core.jobs import Worker
from app.messaging import service as messaging
from app.messaging.models import Message, MessageReply
from app.messaging.rules import MessageKind, masked_number
from app.privacy import service as privacy
from app.real_name.models import RealNameCheck
from app.real_name.rules import AgeGroup, DocumentKind, RealNameState
from app.sales import jobs, queries
from app.sales.models import ConsentRequest, Sale, SaleEvent, SecondConfirmation
from app.sales.rules import Line, SaleState
from app.sync.queries.pushing import lock_orders
from tests.make.acceptance import another, texts_about
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.catalog import make_offering
from tests.make.consent import OTP, REPLY, code_told, reference_told, request_body, write_back
from tests.make.privacy import ago
from tests.make.races import last_to_see_a_deadlock, until_waiting
from tests.make.sales import agree, consent_body, jobs_of, make_door, make_draft, shown
from tests.ordering.delivering import set_numbers
from tests.sales.conftest import fill_catalogue, slug

CONTACT = {"phone": "13900001111", "relation": "child"}


async def steps(tx, sale_id):
    rows = await tx.scalars(
        select(SaleEvent.step).where(SaleEvent.sale_id == sale_id).order_by(SaleEvent.id)
    )
    return [step.value for step in rows if step.value != "put_together"]


async def standing(tx, sale_id):
    return await tx.scalar(select(Sale.state).where(Sale.id == sale_id))


def otp(asked, code, clock, **fields):
    consent = {"kind": "otp", "given_at": clock.now().isoformat()}
    return {"consent": {**consent, "request_id": asked["id"], "code": code}, **fields}


def by_reply(asked, clock):
    given_at = clock.now().isoformat()
    return {"consent": {"kind": "sms_reply", "given_at": given_at, "request_id": asked["id"]}}


async def signed(tx, clock, sale_id, **fields):
    return consent_body(clock.now(), await shown(tx, sale_id)) | fields


# --- by a code ------------------------------------------------------------------------------------


async def test_a_code_that_the_customer_tells_confirms_once(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    asked = request_body()
    first = await post(f"/{draft.id}/consent-requests", asked)
    assert first.status_code == 201, first.text
    assert (first.json()["state"], first.json()["left"]) == ("asked", 4)
    assert (await post(f"/{draft.id}/consent-requests", asked)).json() == first.json()
    (said,) = await texts_about(tx, OTP, draft.id)
    assert "¥129.00" in said and "¥50.00" in said and "×1" in said
    code = await code_told(tx, draft.id)
    row = await tx.get_one(ConsentRequest, asked["id"])
    assert code not in str(row.digest) and row.recipient == door.customer.phone

    wrong = await post(f"/{draft.id}/confirm", otp(asked, another(code), clock))
    assert (wrong.status_code, slug(wrong)) == (409, "consent-code-wrong")
    assert wrong.json()["facts"]["tries_left"] == 4
    assert await jobs_of(tx) == []
    right = otp(asked, code, clock)
    confirmed = await post(f"/{draft.id}/confirm", right)
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "confirmed")
    assert (await post(f"/{draft.id}/confirm", right)).json() == confirmed.json()
    assert await jobs_of(tx) == [str(draft.id)]
    assert await steps(tx, draft.id) == ["consent_asked", "consented", "confirmed"]
    sale = await tx.get_one(Sale, draft.id, populate_existing=True)
    assert code not in str(sale.consent_evidence)


async def test_a_code_is_tried_so_often_and_a_new_one_takes_its_place(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    asked = request_body()
    await post(f"/{draft.id}/consent-requests", asked)
    code = await code_told(tx, draft.id)
    said = [
        slug(await post(f"/{draft.id}/confirm", otp(asked, another(code, by), clock)))
        for by in range(1, 6)
    ]
    assert said == ["consent-code-wrong"] * 4 + ["consent-code-spent"]
    assert slug(await post(f"/{draft.id}/confirm", otp(asked, code, clock))) == "consent-code-spent"
    second = request_body(language="en")
    await post(f"/{draft.id}/consent-requests", second)
    assert slug(await post(f"/{draft.id}/confirm", otp(asked, code, clock))) == "consent-void"
    clock.tick(timedelta(minutes=31))
    late = otp(second, await code_told(tx, draft.id), clock)
    assert slug(await post(f"/{draft.id}/confirm", late)) == "consent-expired"
    for _ in range(3):
        assert (await post(f"/{draft.id}/consent-requests", request_body())).status_code == 201
    enough = await post(f"/{draft.id}/consent-requests", request_body())
    assert (enough.status_code, slug(enough)) == (429, "consent-asked-enough")
    assert 0 < enough.json()["facts"]["retry_after"] <= 3600
    assert await jobs_of(tx) == []


async def test_a_code_is_good_for_its_own_sale_alone(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    other = await make_draft(tx, door, now=clock.now(), lines=[Line("TV-4K", 1)])
    asked = request_body()
    await post(f"/{draft.id}/consent-requests", asked)
    code = await code_told(tx, draft.id)
    assert (await post(f"/{other.id}/confirm", otp(asked, code, clock))).status_code == 404
    again = await post(f"/{other.id}/consent-requests", asked)
    assert slug(again) == "same-id-other-content"
    stranger = (await make_door(tx, now=clock.now(), branch=door.branch)).seller
    answer = await post(f"/{draft.id}/consent-requests", request_body(), by=stranger)
    assert answer.status_code == 404
    assert await tx.scalar(select(func.count()).select_from(ConsentRequest)) == 1
    assert await jobs_of(tx) == []


async def test_a_price_that_changed_makes_what_was_asked_void(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    asked = request_body()
    await post(f"/{draft.id}/consent-requests", asked)
    await tx.execute(
        text("UPDATE product_offering SET monthly_price_fen = 9900 WHERE code = 'SPEED-1000'")
    )
    await tx.execute(text("UPDATE catalogue_mark SET mark = gen_random_uuid()"))
    body = otp(asked, await code_told(tx, draft.id), clock)
    answer = await post(f"/{draft.id}/confirm", body)
    assert slug(answer) == "price-changed"
    again = await post(f"/{draft.id}/consent-requests", request_body())
    (change,) = again.json()["facts"]["prices"]
    assert (change["seen_fen"], change["now_fen"]) == (12900, 9900)
    assert await jobs_of(tx) == []


async def test_who_has_no_number_of_their_own_signs(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    door.technician.phone = "15412340000"
    for number in ("07318881234", door.technician.phone):
        door.customer.phone = number
        await tx.flush()
        answer = await post(f"/{draft.id}/consent-requests", request_body())
        assert slug(answer) == "no-number-for-consent"
    assert await tx.scalar(select(func.count()).select_from(Message)) == 0


async def test_two_phones_with_one_code_have_one_effect(real_database, real_app, real_http, clock):
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        door = await make_door(tx, now=clock.now())
        draft = await make_draft(tx, door, now=clock.now())
    headers = bearer(real_app, door.seller)
    url = f"/v1/sales/{draft.id}"
    asked = request_body()
    await real_http.post(f"{url}/consent-requests", json=asked, headers=headers)
    async with real_database.read() as read:
        body = otp(asked, await code_told(read, draft.id), clock)
    answers = await asyncio.gather(
        *(real_http.post(f"{url}/confirm", json=body, headers=headers) for _ in range(4))
    )
    assert [answer.status_code for answer in answers] == [200] * 4
    async with real_database.read() as read:
        assert await jobs_of(read) == [str(draft.id)]
        assert (await steps(read, draft.id)).count("consented") == 1


# --- by a reply -----------------------------------------------------------------------------------


async def test_a_reply_that_really_came_confirms(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    asked = request_body("sms_reply")
    await post(f"/{draft.id}/consent-requests", asked)
    early = await post(f"/{draft.id}/confirm", by_reply(asked, clock))
    assert (early.status_code, slug(early)) == (409, "consent-not-given")
    reference = await reference_told(tx, draft.id)
    number = door.customer.phone
    for strange in ("hm?", f"Y{another(reference)[-4:]}"):
        assert await write_back(tx, number, strange, now=clock.now()) is None
    assert await write_back(tx, "13700000000", f"Y{reference}", now=clock.now()) is None
    too_late = wall() + timedelta(minutes=31)
    assert await write_back(tx, number, "Y", now=clock.now(), said_at=too_late) is None
    taken = await write_back(tx, f"+86{number}", f"y {reference}.", now=clock.now(), reply_id="R1")
    assert str(taken) == asked["id"]
    assert await write_back(tx, number, "N", now=clock.now(), reply_id="R1") is None
    confirmed = await post(f"/{draft.id}/confirm", by_reply(asked, clock))
    assert confirmed.json()["state"] == "confirmed"
    assert await jobs_of(tx) == [str(draft.id)]
    assert await tx.scalar(select(func.count()).where(MessageReply.provider_id == "R1")) == 1


async def test_what_proves_consent_outlives_its_messages_until_its_own_time_is_over(
    app, http, post, door, tx, clock, database
):
    draft = await make_draft(tx, door, now=clock.now())
    asked = request_body("sms_reply")
    await post(f"/{draft.id}/consent-requests", asked)
    reference = await reference_told(tx, draft.id)
    await write_back(tx, door.customer.phone, f"Y{reference}", now=clock.now(), reply_id="R1")
    code = request_body("otp")
    await post(f"/{draft.id}/consent-requests", code)
    (said,) = await texts_about(tx, REPLY, draft.id)
    for change in (
        "message SET state = 'sent', provider_id = 'M1', next_try_at = NULL, ended_at = now()",
        "message SET ended_at = ended_at - interval '8 days'",
        "message_reply SET created_at = now() - interval '8 days'",
    ):
        await tx.execute(text(f"UPDATE {change}"))
    await messaging.forget(tx)
    assert await texts_about(tx, REPLY, draft.id) == [""]
    assert await tx.scalar(select(MessageReply.body)) is None

    async def proofs(by):
        headers = bearer(app, by)
        return await http.get(f"/v1/sales/{draft.id}/consent-proofs", headers=headers)

    boss = caller_for(Role.SUPERVISOR, door.branch)
    by_code, by_words = (await proofs(boss)).json()["proofs"]
    assert (by_words["request_id"], by_words["state"]) == (asked["id"], "agreed")
    assert (by_words["asked_text"], by_words["reply_text"]) == (said, f"Y{reference}")
    assert (by_words["sent_as"], by_words["replied_as"]) == ("M1", "R1")
    assert by_words["number"] == masked_number(door.customer.phone)
    assert "******" in by_code["asked_text"] and "¥129.00" in by_code["asked_text"]
    assert (await proofs(door.seller)).status_code == 403
    stranger = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    assert (await proofs(stranger)).status_code == 404

    # The first request is older by now than the operator keeps what proves consent.
    older = text("UPDATE consent_request SET created_at = :at WHERE id = :id")
    await tx.execute(older, {"at": ago(1096), "id": asked["id"]})
    assert (await privacy.sweep(database, now=wall()))["sale_consents"] == 1
    by_code, by_words = (await proofs(boss)).json()["proofs"]
    assert {by_words[each] for each in ("number", "asked_text", "reply_text")} == {None}
    assert by_code["asked_text"] and by_code["number"]


async def test_who_says_no_is_not_sold_to(app, http, post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    asked = request_body("sms_reply")
    await post(f"/{draft.id}/consent-requests", asked)
    await write_back(tx, door.customer.phone, "不同意。", now=clock.now())
    answer = await post(f"/{draft.id}/confirm", by_reply(asked, clock))
    assert slug(answer) == "consent-declined"
    url = f"/v1/sales/{draft.id}/consent-requests"
    (told,) = (await http.get(url, headers=bearer(app, door.seller))).json()["requests"]
    assert (told["state"], told["answered_at"] is not None) == ("declined", True)
    assert await jobs_of(tx) == []


@pytest.mark.parametrize("older", ["out of time", "cancelled", "signed"])
async def test_a_plain_yes_is_heard_though_an_older_request_was_never_answered(
    post, door, tx, clock, older
):
    before = await make_draft(tx, door, now=clock.now(), lines=[Line("TV-4K", 1)])
    await post(f"/{before.id}/consent-requests", request_body("sms_reply"))
    if older == "out of time":
        await tx.execute(
            text("UPDATE consent_request SET created_at = created_at - interval '31 minutes'")
        )
    elif older == "cancelled":
        await post(f"/{before.id}/cancel")
    else:
        await post(f"/{before.id}/confirm", await signed(tx, clock, before.id))
    draft = await make_draft(tx, door, now=clock.now())
    asked = request_body("sms_reply")
    await post(f"/{draft.id}/consent-requests", asked)
    answered = await write_back(tx, door.customer.phone, "同意", now=clock.now())
    assert str(answered) == asked["id"]
    confirmed = await post(f"/{draft.id}/confirm", by_reply(asked, clock))
    assert confirmed.json()["state"] == "confirmed"
    assert await texts_about(tx, MessageKind.CONSENT_WHICH, draft.id) == []


async def test_who_is_asked_of_two_sales_is_told_once_by_which_number_to_answer(
    post, door, tx, clock
):
    drafts = [
        await make_draft(tx, door, now=clock.now(), lines=[Line(code, 1)])
        for code in ("SPEED-1000", "TV-4K")
    ]
    asked = []
    for draft in drafts:
        asked.append(request_body("sms_reply"))
        await post(f"/{draft.id}/consent-requests", asked[-1])
        clock.tick(timedelta(minutes=1))
    older, newer = [await reference_told(tx, draft.id) for draft in drafts]
    number = door.customer.phone
    for said, reply_id in (("Y", "R1"), ("Y", "R1"), ("不同意", "R2")):
        assert await write_back(tx, number, said, now=clock.now(), reply_id=reply_id) is None
    (told,) = (
        await tx.scalars(select(Message).where(Message.kind == MessageKind.CONSENT_WHICH))
    ).all()
    assert told.recipient == number and "2 项" in (told.body or "")
    assert all(each in (told.body or "") for each in (f"Y{older}", f"Y{newer}", f"N{newer}"))
    assert await write_back(tx, number, f"N{newer}", now=clock.now()) is not None
    # One is left, and needs no number any more.
    assert str(await write_back(tx, number, "Y", now=clock.now())) == asked[0]["id"]
    assert len(await texts_about(tx, MessageKind.CONSENT_WHICH, drafts[1].id)) == 1


async def test_a_no_is_undone_by_a_later_yes_and_by_nothing_else(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    await post(f"/{draft.id}/consent-requests", request_body("sms_reply"))
    await write_back(tx, door.customer.phone, "不同意", now=clock.now())
    said_no_at = clock.now().isoformat()
    # Asking once more is no answer, and neither is a signature in its place.
    for _ in range(2):
        answer = await post(f"/{draft.id}/confirm", await signed(tx, clock, draft.id))
        assert (answer.status_code, slug(answer)) == (409, "consent-declined")
        assert answer.json()["facts"] == {"answered_at": said_no_at}
        clock.tick(timedelta(minutes=1))
        asked = request_body("sms_reply")
        await post(f"/{draft.id}/consent-requests", asked)
    assert await jobs_of(tx) == []
    await write_back(tx, door.customer.phone, "同意", now=clock.now())
    confirmed = await post(f"/{draft.id}/confirm", by_reply(asked, clock))
    assert confirmed.json()["state"] == "confirmed"


async def test_a_no_after_a_yes_counts_whatever_is_shown_to_prove_the_yes(post, door, tx, clock):
    draft = await make_draft(tx, door, now=clock.now())
    agreed, declined = request_body("sms_reply"), request_body("sms_reply")
    for asked, said in ((agreed, "Y"), (declined, "N")):
        await post(f"/{draft.id}/consent-requests", asked)
        await write_back(tx, door.customer.phone, said, now=clock.now())
        clock.tick(timedelta(minutes=1))
    for body in (by_reply(agreed, clock), await signed(tx, clock, draft.id)):
        assert slug(await post(f"/{draft.id}/confirm", body)) == "consent-declined"
    # A code that they tell afterwards is a yes.
    asked = request_body()
    await post(f"/{draft.id}/consent-requests", asked)
    right = otp(asked, await code_told(tx, draft.id), clock)
    assert (await post(f"/{draft.id}/confirm", right)).json()["state"] == "confirmed"


# --- a yes that no phone brings in ----------------------------------------------------------------


@pytest.fixture
def worker(settings, clock, database):
    return Worker(settings, clock, database)


@pytest.fixture
def agreed(post, door, tx, clock):
    """Put a sale together to which the customer says yes by message."""

    async def make(**fields):
        draft = await make_draft(tx, door, now=clock.now(), **fields)
        asked = request_body("sms_reply")
        await post(f"/{draft.id}/consent-requests", asked)
        reference = await reference_told(tx, draft.id)
        await write_back(tx, door.customer.phone, f"Y{reference}", now=clock.now())
        return draft, asked

    return make


async def test_a_yes_whose_phone_is_broken_is_confirmed_after_a_while(
    post, tx, clock, worker, agreed
):
    draft, asked = await agreed()
    said_at = by_reply(asked, clock)
    for minutes, state in (
        (9, SaleState.DRAFT),
        (1, SaleState.CONFIRMED),
        (1, SaleState.CONFIRMED),
    ):
        clock.tick(timedelta(minutes=minutes))
        await jobs.confirm_agreed(worker)
        assert await standing(tx, draft.id) is state
    assert await jobs_of(tx) == [str(draft.id)]
    assert await steps(tx, draft.id) == ["consent_asked", "consented", "confirmed"]
    by = select(SaleEvent.account_id).where(SaleEvent.step == "consented")
    assert await tx.scalar(by) is None
    # The phone that comes back with the same yes is answered as if it had been first.
    answer = await post(f"/{draft.id}/confirm", said_at)
    assert (answer.status_code, answer.json()["consent_kind"]) == (200, "sms_reply")
    assert await jobs_of(tx) == [str(draft.id)]


async def test_a_yes_of_a_customer_who_is_protected_still_waits_for_somebody_else(
    tx, clock, worker, agreed, protected
):
    draft, _ = await agreed()
    clock.tick(timedelta(minutes=10))
    await jobs.confirm_agreed(worker)
    assert await standing(tx, draft.id) is SaleState.SECOND_CONFIRMATION
    assert await jobs_of(tx) == []


@pytest.mark.parametrize(
    ("why", "code"),
    [
        ("UPDATE product_offering SET monthly_price_fen = 9900", "price-changed"),
        ("UPDATE account SET active = false", "no-account"),
        (None, "another-sale-since"),
    ],
)
async def test_a_yes_that_cannot_be_confirmed_is_left_to_a_person(
    post, door, tx, clock, worker, agreed, why, code
):
    draft, asked = await agreed()
    if why is not None:
        await tx.execute(text(why))
        await tx.execute(text("UPDATE catalogue_mark SET mark = gen_random_uuid()"))
    else:
        clock.tick(timedelta(minutes=1))
        await make_draft(tx, door, now=clock.now(), lines=[Line("TV-4K", 1)])
    clock.tick(timedelta(minutes=10))
    for _ in range(2):
        await jobs.confirm_agreed(worker)
    assert await standing(tx, draft.id) is SaleState.DRAFT
    assert await steps(tx, draft.id) == ["consent_asked", "left_unconfirmed"]
    facts = select(SaleEvent.facts).where(SaleEvent.step == "left_unconfirmed")
    assert await tx.scalar(facts) == {"request_id": asked["id"], "code": code}
    alerts = select(Alert.figure).where(
        Alert.kind == AlertKind.SALES_LEFT_UNCONFIRMED, Alert.ended_at.is_(None)
    )
    await jobs.alert(worker)
    assert (await tx.scalars(alerts)).all() == [1]
    await post(f"/{draft.id}/cancel")
    await jobs.alert(worker)
    assert (await tx.scalars(alerts)).all() == []


async def test_what_was_taken_back_by_message_afterwards_is_nobodys_task(
    post, door, tx, clock, worker, agreed
):
    draft, _ = await agreed()
    clock.tick(timedelta(minutes=1))
    await post(f"/{draft.id}/consent-requests", request_body("sms_reply"))
    await write_back(tx, door.customer.phone, "不办", now=clock.now())
    clock.tick(timedelta(minutes=10))
    await jobs.confirm_agreed(worker)
    assert await steps(tx, draft.id) == ["consent_asked"] * 2


@pytest.mark.parametrize("brought_by", ["worker", "phone"])
@pytest.mark.parametrize("said", ["N{reference}", "不同意"])
async def test_a_no_to_the_same_message_takes_the_yes_back_until_something_was_made_of_it(
    post, door, tx, clock, worker, agreed, brought_by, said
):
    draft, asked = await agreed()
    clock.tick(timedelta(minutes=2))
    no = said.format(reference=await reference_told(tx, draft.id))
    for _ in range(2):
        await write_back(tx, door.customer.phone, no, now=clock.now(), reply_id="R-no")
    clock.tick(timedelta(minutes=9))
    await jobs.confirm_agreed(worker)
    if brought_by == "phone":
        for body in (by_reply(asked, clock), await signed(tx, clock, draft.id)):
            assert slug(await post(f"/{draft.id}/confirm", body)) == "consent-declined"
    assert await standing(tx, draft.id) is SaleState.DRAFT
    assert await jobs_of(tx) == []


async def test_who_agreed_to_two_messages_of_a_sale_says_no_to_the_sale(
    post, door, tx, clock, worker, agreed
):
    draft, _ = await agreed()
    first = await reference_told(tx, draft.id)
    clock.tick(timedelta(minutes=1))
    await post(f"/{draft.id}/consent-requests", request_body("sms_reply"))
    await write_back(tx, door.customer.phone, "Y", now=clock.now())
    assert await write_back(tx, door.customer.phone, f"N{first}", now=clock.now()) is not None
    clock.tick(timedelta(minutes=10))
    await jobs.confirm_agreed(worker)
    assert await standing(tx, draft.id) is SaleState.DRAFT


@pytest.mark.parametrize("why", ["it was said before", "the sale was made"])
async def test_a_no_that_is_not_the_last_word_changes_nothing(tx, door, clock, worker, agreed, why):
    draft, _ = await agreed()
    said_at = wall() - timedelta(minutes=1)
    clock.tick(timedelta(minutes=10))
    if why == "the sale was made":
        await jobs.confirm_agreed(worker)
        said_at = wall()
    assert await write_back(tx, door.customer.phone, "N", now=clock.now(), said_at=said_at) is None
    await jobs.confirm_agreed(worker)
    assert await standing(tx, draft.id) is SaleState.CONFIRMED


async def test_workers_and_the_phone_with_one_yes_have_one_effect(
    real_database, real_app, real_http, clock, settings
):
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        door = await make_door(tx, now=clock.now())
        draft = await make_draft(tx, door, now=clock.now())
    headers = bearer(real_app, door.seller)
    url = f"/v1/sales/{draft.id}"
    asked = request_body("sms_reply")
    await real_http.post(f"{url}/consent-requests", json=asked, headers=headers)
    async with real_database.begin() as tx:
        await write_back(tx, door.customer.phone, "Y", now=clock.now())
    clock.tick(timedelta(minutes=10))
    body = by_reply(asked, clock)
    workers = [Worker(settings, clock, real_database) for _ in range(2)]
    answers = await asyncio.gather(
        *(real_http.post(f"{url}/confirm", json=body, headers=headers) for _ in range(2)),
        *(jobs.confirm_agreed(each) for each in workers),
    )
    assert [answer.status_code for answer in answers if answer is not None] == [200] * 2
    async with real_database.read() as read:
        assert await jobs_of(read) == [str(draft.id)]
        assert await steps(read, draft.id) == ["consent_asked", "consented", "confirmed"]


async def test_of_a_worker_and_a_push_that_wait_for_each_other_the_worker_begins_anew(
    real_database, real_app, real_http, clock, settings
):
    """A phone's push holds the order of the visit and goes on to the sale; who confirms without the
    phone holds the sale, and needs the order so that nothing is sold twice in the visit."""
    async with real_database.begin() as tx:
        await fill_catalogue(tx)
        door = await make_door(tx, now=clock.now())
        draft = await make_draft(tx, door, now=clock.now())
    asked, headers = request_body("sms_reply"), bearer(real_app, door.seller)
    url = f"/v1/sales/{draft.id}/consent-requests"
    await real_http.post(url, json=asked, headers=headers)
    async with real_database.begin() as tx:
        await write_back(tx, door.customer.phone, "Y", now=clock.now())
    clock.tick(timedelta(minutes=10))
    async with real_database.begin() as push:
        await last_to_see_a_deadlock(push)
        await lock_orders(push, door.technician.id, [door.order.id])
        job = asyncio.create_task(jobs.confirm_agreed(Worker(settings, clock, real_database)))
        await until_waiting(real_database)
        await queries.for_change(push, draft.id)
    await job
    async with real_database.read() as read:
        assert await standing(read, draft.id) is SaleState.CONFIRMED


async def test_the_provider_alone_tells_of_replies(app, http, settings, tx):
    body = {
        "replies": [{"id": "R7", "from": "13812341234", "text": "Y", "said_at": wall().isoformat()}]
    }
    assert (await http.post("/v1/messages/replies", json=body)).status_code == 401
    agreed = settings.model_copy(update={"messaging_callback_token": SecretStr("agreed")})
    app.state.settings = agreed
    forged = {"authorization": "Bearer other"}
    assert (await http.post("/v1/messages/replies", json=body, headers=forged)).status_code == 401
    assert await tx.scalar(select(func.count()).select_from(MessageReply)) == 0
    known = {"authorization": "Bearer agreed"}
    for _ in range(2):
        answer = await http.post("/v1/messages/replies", json=body, headers=known)
        assert answer.status_code == 204
    assert await tx.scalar(select(func.count()).select_from(MessageReply)) == 1
    count = "SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'message.replied'"
    assert await tx.scalar(text(count)) == 1


# --- face to face ---------------------------------------------------------------------------------


def checked(door, clock, **fields):
    return RealNameCheck(
        **{
            "org_unit_id": door.branch.id,
            "customer_id": door.customer.id,
            "visit_id": door.visit.id,
            "technician_id": door.technician.id,
            "document": DocumentKind.RESIDENT_ID,
            "state": RealNameState.PASSED,
            "asked_at": clock.now(),
            "device_at": clock.now(),
            "checked_at": clock.now(),
            "valid_until": clock.now() + timedelta(days=180),
            **fields,
        }
    )


async def test_what_is_sensitive_is_sold_to_whom_was_identified_in_this_visit(
    post, door, tx, clock
):
    await make_offering(tx, code="MOVE-NUMBER", business_type=BusinessType.SENSITIVE)
    draft = await make_draft(tx, door, now=clock.now(), lines=[Line("MOVE-NUMBER", 1)])
    asked = await post(f"/{draft.id}/consent-requests", request_body())
    assert (asked.status_code, slug(asked)) == (409, "real-name-needed")
    assert str(door.visit.id) in asked.json()["detail"]
    elsewhere = await make_door(tx, now=clock.now(), branch=door.branch)
    tx.add(checked(door, clock, visit_id=elsewhere.visit.id))
    await tx.flush()
    body = await signed(tx, clock, draft.id)
    assert slug(await post(f"/{draft.id}/confirm", body)) == "real-name-needed"
    clock.tick(timedelta(minutes=1))
    tx.add(checked(door, clock))
    await tx.flush()
    assert (await post(f"/{draft.id}/confirm", body)).json()["state"] == "confirmed"


DAYS = timedelta(days=1)


@pytest.mark.parametrize(
    ("holds_line", "sold", "check", "wanted", "refusal"),
    [
        (False, "LINE-500", {}, 1, None),
        (False, "LINE-500", None, 1, "real-name-needed"),
        (False, "LINE-500", {"valid_until": -DAYS}, 1, "real-name-needed"),
        (False, "LINE-500", {"state": RealNameState.UNKNOWN}, 1, "real-name-needed"),
        (False, "LINE-500", None, 0, None),
        (False, "TV-4K", None, 1, None),
        (True, "LINE-500", None, 1, None),
        (True, "LINE-500", None, 2, "real-name-needed"),
        # A check that did not pass stands in the way of everything.
        (True, "TV-4K", {"state": RealNameState.FAILED}, 0, "real-name-failed"),
    ],
)
async def test_what_needs_a_real_name_is_not_sold_without_one(
    post, door, tx, clock, holds_line, sold, check, wanted, refusal
):
    await make_offering(tx, code="LINE-500", speed_mbps=500)
    await set_numbers(tx, {"feasibility.real_name_wanted": wanted})
    if not holds_line:
        await tx.execute(text("UPDATE subscription SET ended_on = '2026-03-01'"))
    if check is not None:
        until = clock.now() + check.get("valid_until", DAYS)
        tx.add(checked(door, clock, **{**check, "valid_until": until}))
    draft = await make_draft(tx, door, now=clock.now(), lines=[Line(sold, 1)])
    asked = await post(f"/{draft.id}/consent-requests", request_body())
    answer = await post(f"/{draft.id}/confirm", await signed(tx, clock, draft.id))
    if refusal is None:
        assert (asked.status_code, answer.json()["state"]) == (201, "confirmed")
    else:
        assert (slug(asked), slug(answer)) == (refusal, refusal)
        assert answer.json()["facts"]["offerings"] == [sold]
        assert await steps(tx, draft.id) == []


# --- a second time --------------------------------------------------------------------------------


@pytest.fixture
async def protected(door, tx):
    door.customer.elderly = True
    await tx.flush()
    return door


@pytest.fixture
def supervise(app, http, door, tx):
    async def send(method, path, body=None, *, unit=None):
        account = await make_account(tx, unit or door.branch, role=Role.SUPERVISOR)
        by = caller_for(Role.SUPERVISOR, unit or door.branch, account_id=account.id)
        return await http.request(method, f"/v1{path}", json=body, headers=bearer(app, by))

    return send


async def test_a_second_contact_agrees_before_a_sale_to_the_elderly_counts(
    post, protected, tx, clock, supervise
):
    draft = await make_draft(tx, protected, now=clock.now())
    body = await signed(tx, clock, draft.id, second_contact=CONTACT)
    waits = await post(f"/{draft.id}/confirm", body)
    assert waits.json()["state"] == "second_confirmation"
    second = waits.json()["second_confirmation"]
    assert (second["reason"], second["channel"], second["state"]) == ("elderly", "message", "due")
    assert (await post(f"/{draft.id}/confirm", body)).json() == waits.json()
    again = await post(f"/{draft.id}/consent-requests", request_body())
    assert slug(again) == "sale-step-refused"
    assert await jobs_of(tx) == []
    reference = await reference_told(tx, draft.id, MessageKind.SECOND_CONFIRMATION)
    assert await write_back(tx, protected.customer.phone, "Y", now=clock.now()) is None
    clock.tick(timedelta(days=2))
    await write_back(tx, CONTACT["phone"], f"Y{reference}", now=clock.now())
    await tx.flush()
    assert await standing(tx, draft.id) is SaleState.CONFIRMED
    assert await jobs_of(tx) == [str(draft.id)]
    assert await steps(tx, draft.id) == [
        "consented",
        "second_confirmation_due",
        "second_confirmed",
        "confirmed",
    ]
    since, until = (clock.now() + timedelta(days=days) for days in (-9, 1))
    query = f"asked_from={since:%Y-%m-%dT%H:%M:%SZ}&asked_until={until:%Y-%m-%dT%H:%M:%SZ}"
    told = (await supervise("GET", f"/second-confirmations/report?{query}")).json()
    assert told == {
        "asked": 1,
        "given": 1,
        "counts": [{"reason": "elderly", "state": "given", "number": 1, "hours": 48.0}],
    }


@pytest.mark.parametrize("how", ["refused", "lapsed", "withdrawn"])
async def test_without_a_second_yes_the_sale_is_cancelled_with_words(
    post, protected, tx, clock, how, settings, database
):
    draft = await make_draft(tx, protected, now=clock.now())
    await post(f"/{draft.id}/confirm", await signed(tx, clock, draft.id, second_contact=CONTACT))
    if how == "refused":
        await write_back(tx, CONTACT["phone"], "不同意", now=clock.now())
    elif how == "withdrawn":
        assert (await post(f"/{draft.id}/cancel")).json()["state"] == "cancelled"
    else:
        worker = Worker(settings, clock, database)
        for days in (6, 2, 1):
            clock.tick(timedelta(days=days))
            await jobs.look_after_consent(worker)
            waits = await standing(tx, draft.id) is SaleState.SECOND_CONFIRMATION
            assert waits is (days == 6)
    await tx.flush()
    sale = await tx.get_one(Sale, draft.id, populate_existing=True)
    assert sale.state is SaleState.CANCELLED and "已" in (sale.rejected_reason or "")
    assert len(await texts_about(tx, MessageKind.SALE_CANCELLED, draft.id)) == 1
    assert (await steps(tx, draft.id))[-1] == "cancelled"
    assert await jobs_of(tx) == []


async def test_without_a_contact_the_office_calls_back_and_writes_it_down(
    post, protected, tx, clock, supervise
):
    draft = await make_draft(tx, protected, now=clock.now())
    await post(f"/{draft.id}/confirm", await signed(tx, clock, draft.id))
    (due,) = (await supervise("GET", "/second-confirmations?state=due")).json()[
        "second_confirmations"
    ]
    assert (due["sale_id"], due["channel"]) == (str(draft.id), "call")
    url = f"/sales/{draft.id}/second-confirmation"
    body = {"agreed": True, "note": "电话回访其女儿，同意办理"}
    elsewhere = await make_org_unit(tx)
    assert (await supervise("POST", url, body, unit=elsewhere)).status_code == 404
    assert (await post(f"/{draft.id}/second-confirmation", body)).status_code == 403
    assert (await supervise("POST", url, body)).json()["state"] == "confirmed"
    again = await supervise("POST", url, {**body, "agreed": False})
    assert (again.status_code, slug(again)) == (409, "no-second-confirmation")
    assert await jobs_of(tx) == [str(draft.id)]


@pytest.mark.parametrize(
    ("age_group", "contact", "fits"),
    [
        (AgeGroup.ADULT, None, "confirmed"),
        (AgeGroup.MINOR, {**CONTACT, "relation": "parent"}, "second_confirmation"),
        (AgeGroup.MINOR, {**CONTACT, "relation": "spouse"}, None),
        (AgeGroup.ELDERLY, {**CONTACT, "phone": "13812341234"}, None),
        (AgeGroup.ELDERLY, {**CONTACT, "phone": "07318881234"}, None),
    ],
)
async def test_who_may_be_the_second_contact(post, door, tx, clock, age_group, contact, fits):
    """The age was read off a document that was checked; the customer's number will not do."""
    door.customer.phone = "13812341234"
    tx.add(checked(door, clock, age_group=age_group))
    draft = await make_draft(tx, door, now=clock.now())
    body = await signed(tx, clock, draft.id, second_contact=contact)
    answer = await post(f"/{draft.id}/confirm", body)
    if fits is not None:
        assert answer.json()["state"] == fits
    else:
        assert (answer.status_code, slug(answer)) == (422, "second-contact-not-fit")
        assert await tx.scalar(select(func.count()).select_from(SecondConfirmation)) == 0


# --- signatures -----------------------------------------------------------------------------------


async def test_a_signature_whose_picture_never_comes_is_somebodys_task(
    post, door, tx, clock, supervise
):
    draft = await make_draft(tx, door, now=clock.now())
    await agree(tx, door, draft.id, now=clock.now())
    assert await queries.settle_signatures(tx, clock.now() + timedelta(hours=71)) == []
    clock.tick(timedelta(hours=73))
    assert await queries.settle_signatures(tx, clock.now()) == [draft.id]
    (missing,) = (await supervise("GET", "/sales/signatures/missing")).json()["signatures"]
    assert (missing["sale_id"], missing["stroke_count"]) == (str(draft.id), 14)
    await tx.execute(
        text(
            "INSERT INTO evidence (id, work_order_id, org_unit_id, technician_id, requirement,"
            " kind, sha256, bytes, upload_metadata, state, announced_at, expires_at, stored_at)"
            " VALUES (:id, :order, :unit, :who, 'other', 'signature', :sha, 9, '', 'stored',"
            " now(), now(), now())"
        ),
        {
            "id": new_id(),
            "order": door.order.id,
            "unit": door.branch.id,
            "who": door.technician.id,
            "sha": missing["image_sha256"],
        },
    )
    (signature,) = (await queries.signatures_of(tx, [draft.id])).values()
    assert signature.arrived
    assert await queries.settle_signatures(tx, clock.now()) == []
    assert (await supervise("GET", "/sales/signatures/missing")).json()["signatures"] == []
