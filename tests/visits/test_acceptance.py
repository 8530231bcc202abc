"""The acceptance code over HTTP: only the customer can read it, and few guesses are judged."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.auth.models import AuditEntry
from app.core.db import new_id
from app.messaging.models import Message
from app.messaging.rules import MessageKind
from app.visits.models import AcceptanceCode, Visit
from app.workorders.models import WorkOrder, WorkOrderEvent
from tests.make.acceptance import another, code_on_telephone, texts_about
from tests.make.customers import make_customer
from tests.make.visits import make_assigned_order, make_phone, taken
from tests.make.worktypes import content, make_template

# It is only complete when the customer has told a code.
ACCEPTED = content(checklist=[], measurements=[], acceptance="code")


@pytest.fixture
async def phone(tx, app, http, clock):
    return await make_phone(tx, app, http, clock)


@pytest.fixture
def order_for(tx, phone, clock):
    """Make an order that is only complete when the customer has told a code."""

    async def make(**fields):
        template = await make_template(tx, content=ACCEPTED)
        customer = await make_customer(tx)
        given = {"now": clock.now(), "template_id": template.id, **fields}
        return await make_assigned_order(tx, phone.technician, customer, **given)

    return make


def slug(answer):
    return answer.json()["type"].removeprefix("urn:yingwei:problem:")


async def ask(phone, visit_id, code_id=None):
    url = f"/v1/visits/{visit_id}/acceptance-code"
    body = {"id": str(code_id or new_id())}
    return await phone.http.post(url, json=body, headers=phone.headers)


async def tell(phone, visit_id, code, **more):
    return await phone.post(f"/visits/{visit_id}/acceptance-code/check", code=code, **more)


async def count(tx, kind):
    return await tx.scalar(select(func.count()).select_from(kind))


async def test_the_customer_tells_the_code_and_the_order_is_complete(tx, phone, order_for, clock):
    order = await order_for()
    visit_id = await phone.arrive(order)
    code_id = new_id()
    sent = await ask(phone, visit_id, code_id)
    assert sent.status_code == 201, sent.text
    said = sent.json()
    assert (said["sent_to"], said["left"]) == ("154****1234", 2)
    code = await code_on_telephone(tx, visit_id)
    # A phone that lost the answer asks again with the same id, and the customer has one message.
    assert (await ask(phone, visit_id, code_id)).json() == said
    assert len(await texts_about(tx, MessageKind.ACCEPTANCE_CODE, visit_id)) == 1

    refused = await phone.post(f"/visits/{visit_id}/complete", outcome_code="fixed")
    assert (refused.status_code, slug(refused)) == (409, "not-complete")
    (missing,) = refused.json()["facts"]["missing"]
    assert (missing["wanting"], missing["code"]) == ("acceptance", "code")

    wrong = await tell(phone, visit_id, another(code))
    assert (wrong.status_code, slug(wrong)) == (409, "acceptance-code-wrong")
    assert wrong.json()["facts"] == {"tries_left": 4}
    assert (await tell(phone, visit_id, another(code))).json()["facts"] == {"tries_left": 4}
    assert (await tell(phone, visit_id, another(code, 2))).json()["facts"] == {"tries_left": 3}

    right = await tell(phone, visit_id, code)
    assert (right.status_code, right.json()["visit_id"]) == (200, str(visit_id))
    clock.tick(timedelta(minutes=1))
    assert (await tell(phone, visit_id, code)).json() == right.json()
    assert slug(await ask(phone, visit_id)) == "accepted-already"
    await phone.complete(visit_id)
    visit = await tx.get_one(Visit, visit_id, populate_existing=True)
    assert visit.accepted_at is not None
    assert (await tell(phone, visit_id, code)).json() == right.json()

    # Nothing but the message holds the code.
    kept = [str(vars(row)) for row in await tx.scalars(select(WorkOrderEvent))]
    kept += [str(vars(row)) for row in await tx.scalars(select(AuditEntry))]
    kept += [str(vars(row)) for row in await tx.scalars(select(AcceptanceCode))]
    kept += [sent.text, refused.text, wrong.text, right.text]
    kept.append((await phone.get("/my/day")).text)
    assert not [text for text in kept if code in text]


async def test_an_offline_phone_sends_the_code_with_the_completion(tx, phone, order_for, clock):
    visit_id = await phone.arrive(await order_for())
    await ask(phone, visit_id)
    code = await code_on_telephone(tx, visit_id)
    clock.tick(timedelta(minutes=10))
    typed_at = clock.now().isoformat()
    clock.tick(timedelta(hours=5))
    url = f"/visits/{visit_id}/complete"
    body = {"outcome_code": "fixed", "device_at": typed_at}

    wrong = await phone.post(url, **body, acceptance_code=another(code))
    assert (wrong.status_code, slug(wrong)) == (409, "acceptance-code-wrong")
    (row,) = await tx.scalars(select(AcceptanceCode).execution_options(populate_existing=True))
    assert len(row.wrong) == 1  # the completion was refused, the try is counted
    assert slug(await tell(phone, visit_id, code)) == "acceptance-code-expired"

    done = taken(await phone.post(url, **body, acceptance_code=code))
    assert done["state"] == "completed"
    clock.tick(timedelta(hours=1))
    assert taken(await phone.post(url, **body, acceptance_code=code)) == done


async def test_after_too_many_tries_a_new_code_is_sent(tx, phone, order_for, clock):
    visit_id = await phone.arrive(await order_for())
    assert slug(await tell(phone, visit_id, "123456")) == "no-acceptance-code-sent"
    await ask(phone, visit_id)
    first = await code_on_telephone(tx, visit_id)
    slugs = [slug(await tell(phone, visit_id, another(first, by))) for by in range(1, 6)]
    assert slugs == ["acceptance-code-wrong"] * 4 + ["acceptance-code-spent"]
    assert slug(await tell(phone, visit_id, first)) == "acceptance-code-spent"

    soon = await ask(phone, visit_id)
    assert (soon.status_code, soon.headers["retry-after"]) == (429, "60")
    assert slug(soon) == "acceptance-code-sent-just-now"
    for left in (1, 0):
        clock.tick(timedelta(seconds=60))
        assert (await ask(phone, visit_id)).json()["left"] == left
    clock.tick(timedelta(seconds=60))
    enough = await ask(phone, visit_id)
    assert (enough.status_code, slug(enough)) == (409, "acceptance-codes-sent-enough")
    assert await count(tx, AcceptanceCode) == await count(tx, Message) == 3
    last = await code_on_telephone(tx, visit_id)
    if last != first:
        assert slug(await tell(phone, visit_id, first)) == "acceptance-code-wrong"
    assert (await tell(phone, visit_id, last)).status_code == 200


async def test_where_and_to_whom_no_code_is_sent(tx, app, http, phone, order_for, clock):
    order = await order_for(contact_phone="0731-88812345")
    visit_id = await phone.set_out(order)
    assert slug(await ask(phone, visit_id)) == "no-number-for-messages"
    await tx.execute(update(WorkOrder).values(contact_phone="15412341234"))
    early = await ask(phone, visit_id)
    assert (early.status_code, slug(early)) == (409, "step-refused")
    assert slug(await tell(phone, visit_id, "123456")) == "step-refused"
    stranger = await make_phone(tx, app, http, clock)
    assert (await ask(stranger, visit_id)).status_code == 404
    assert (await tell(stranger, visit_id, "123456")).status_code == 404
    assert (await tell(phone, visit_id, "12345")).status_code == 422
    taken(await phone.post(f"/work-orders/{order.id}/hand-back", cause="customer_absent"))
    assert (await ask(phone, visit_id)).status_code == 404
    assert await count(tx, AcceptanceCode) == await count(tx, Message) == 0


async def test_an_id_stands_for_one_code(tx, phone, order_for, clock):
    used = new_id()
    first = await phone.arrive(await order_for())
    await ask(phone, first, used)
    code = await code_on_telephone(tx, first)
    await tell(phone, first, code)
    await phone.complete(first)
    assert slug(await ask(phone, first)) == "visit-ended"
    second = await phone.arrive(await order_for())
    assert slug(await ask(phone, second, used)) == "same-id-other-content"
    # What was told at one door opens no other.
    await ask(phone, second)
    if await code_on_telephone(tx, second) != code:
        assert slug(await tell(phone, second, code)) == "acceptance-code-wrong"


async def test_two_phones_at_the_last_try_get_one_between_them(
    real_database, real_app, real_http, clock
):
    async with real_database.begin() as tx:
        phone = await make_phone(tx, real_app, real_http, clock)
        template = await make_template(tx, content=ACCEPTED)
        order = await make_assigned_order(
            tx, phone.technician, now=clock.now(), template_id=template.id
        )
    visit_id = await phone.arrive(order)
    await ask(phone, visit_id)
    async with real_database.begin() as tx:
        code = await code_on_telephone(tx, visit_id)
        (row,) = await tx.scalars(select(AcceptanceCode))
        row.wrong = [b"1", b"2", b"3", b"4"]
    answers = await asyncio.gather(
        tell(phone, visit_id, another(code)), tell(phone, visit_id, code)
    )
    async with real_database.read() as read:
        (row,) = await read.scalars(select(AcceptanceCode))
    if answers[1].status_code == 200:
        assert row.accepted_at is not None and len(row.wrong) == 4
        assert slug(answers[0]) == "acceptance-code-wrong"
    else:
        assert row.accepted_at is None and len(row.wrong) == 5
        assert [slug(answer) for answer in answers] == ["acceptance-code-spent"] * 2
