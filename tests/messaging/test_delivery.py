"""Messages: what they say, each handed over under its own id, and forgotten after a while."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.outside import Failed, Failure
from app.core.parameter_values import ParameterValue
from app.messaging import queries, rules, service
from app.messaging.models import Message
from app.messaging.rules import FailReason, MessageKind, MessageState
from tests.conftest import MONDAY_NINE
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.messaging import PaperMessaging, make_message

TIME_LIMIT = 1.0


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
def paper():
    return PaperMessaging()


@pytest.fixture
def read(tx):
    """Read a message as it stands."""

    async def one(message_id):
        found = select(Message).where(Message.id == message_id)
        return (await tx.scalars(found.execution_options(populate_existing=True))).one()

    return one


@pytest.fixture
def deliver(database, paper, tx):
    """Do what the job of a message does; `later` lets its wait pass first."""

    async def once(message_id, later=False):
        if later:
            await tx.execute(text("UPDATE message SET next_try_at = now() - interval '1 s'"))
        await tx.commit()
        await service.deliver(database.begin, paper, message_id, time_limit=TIME_LIMIT)

    return once


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MessageKind)
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_kind_has_a_text_in_both_languages_that_fits_two_text_messages(kind, lang):
    facts = {"code": "482913", "minutes": 30, "link": "https://example.org/s/8f21a9c4"}
    price = {"zh": "每月 ¥29.00，合约期 24 个月", "en": "¥29.00 a month, for 24 months"}[lang]
    facts |= {"items": "FTTR ×1", "price": price, "reference": "3821", "days": 7}
    facts |= {"number": 2, "yes": "Y3821 / Y0417", "no": "N3821 / N0417"}
    said = rules.text_of(kind, facts, lang)
    assert "{" not in said
    assert len(said) <= 160


@pytest.mark.parametrize(
    "written, number",
    [
        ("13812341234", "13812341234"),
        ("138 1234-1234", "13812341234"),
        ("(0755) 2612 3456", "075526123456"),
        ("+8613812341234", "+8613812341234"),
        ("", None),
        ("none", None),
        ("110a", None),
    ],
)
def test_numbers_are_read_as_people_write_them(written, number):
    assert rules.number_of(written) == number


def test_every_reason_has_words():
    assert set(rules.FAIL_WORDS) == set(FailReason)


# --- delivery -------------------------------------------------------------------------------------


async def test_a_message_is_handed_over_once_under_its_own_id(tx, branch, paper, deliver, read):
    message_id = await make_message(tx, branch)
    jobs = "SELECT args FROM procrastinate_jobs WHERE task_name = 'message.asked'"
    # The job names the message, and neither whom it goes to nor what it says.
    assert list(await tx.scalars(text(jobs))) == [{"message_id": str(message_id)}]
    await deliver(message_id)
    await deliver(message_id)
    ((known, to, said),) = paper.sent
    assert (known, to) == (message_id, "13812341234")
    assert "482913" in said
    message = await read(message_id)
    assert (message.state, message.provider_id) == (MessageState.SENT, "paper-1")
    assert message.attempts == 1


async def test_a_try_that_failed_is_tried_again_when_the_provider_wants(
    tx, branch, paper, deliver, read
):
    paper.to_raise = [Failed(Failure.NOT_SENT, "HTTP 429", timedelta(seconds=300))]
    message_id = await make_message(tx, branch)
    await deliver(message_id)
    message = await read(message_id)
    assert message.state is MessageState.WAITING
    wait = (message.next_try_at - message.created_at).total_seconds()
    assert 300 <= wait < 330
    await deliver(message_id)
    assert len(paper.sent) == 1, "it is not due yet"
    await deliver(message_id, later=True)
    assert (await read(message_id)).state is MessageState.SENT
    assert {sent[0] for sent in paper.sent} == {message_id}


async def test_a_refusal_ends_it_and_the_number_is_masked_in_what_was_said(
    tx, branch, paper, deliver, read
):
    paper.to_raise = [Failed(Failure.REFUSED, "HTTP 400 13812341234 is blocked")]
    message_id = await make_message(tx, branch)
    await deliver(message_id)
    message = await read(message_id)
    assert (message.state, message.fail_reason) == (MessageState.FAILED, FailReason.REFUSED)
    assert message.last_error == "HTTP 400 138****1234 is blocked"


async def test_after_so_many_tries_it_is_given_up(tx, branch, paper, deliver, read):
    tx.add(ParameterValue(name="messaging.tries", valid_from=MONDAY_NINE, value=2))
    paper.to_raise = [Failed(Failure.UNKNOWN, "timed_out")] * 2
    message_id = await make_message(tx, branch)
    await deliver(message_id)
    await deliver(message_id, later=True)
    message = await read(message_id)
    assert (message.state, message.fail_reason) == (MessageState.FAILED, FailReason.TRIES_USED_UP)


@pytest.mark.parametrize(
    ("useful_for", "age"), [(None, "25 hours"), (timedelta(minutes=30), "31 minutes")]
)
async def test_what_is_too_old_to_be_of_use_is_not_sent(
    tx, branch, paper, deliver, read, useful_for, age
):
    message_id = await make_message(tx, branch, useful_for=useful_for)
    await tx.execute(
        text("UPDATE message SET created_at = now() - CAST(:age AS interval)"), {"age": age}
    )
    await deliver(message_id)
    assert (await read(message_id)).fail_reason is FailReason.TOO_LATE
    assert not paper.sent


async def test_a_worker_that_died_leaves_the_message_to_the_next_one(tx, branch, deliver, paper):
    message_id = await make_message(tx, branch)
    await tx.commit()
    assert await service._claim(tx, message_id, TIME_LIMIT) is not None
    await tx.commit()
    assert message_id not in await queries.due(tx, 10)
    await deliver(message_id, later=True)
    assert len(paper.sent) == 1


async def test_number_and_text_are_forgotten_some_days_after_the_end(tx, branch, deliver, read):
    ended, waiting = await make_message(tx, branch), await make_message(tx, branch)
    await deliver(ended)
    long_ago = "now() - interval '8 d'"
    await tx.execute(text(f"UPDATE message SET created_at = {long_ago}"))
    await tx.execute(text(f"UPDATE message SET ended_at = {long_ago} WHERE state = 'sent'"))
    await service.forget(tx)
    one = await read(ended)
    assert (one.recipient, one.body) == (None, None)
    assert (await read(waiting)).recipient is not None


# --- what a supervisor sees -----------------------------------------------------------------------


async def test_a_supervisor_sees_what_waits_and_what_failed_masked(
    tx, app, http, branch, paper, deliver
):
    await make_message(tx, branch)
    await make_message(tx, branch, to="unknown")
    refused = await make_message(tx, branch)
    paper.to_raise = [Failed(Failure.REFUSED, "HTTP 400")]
    await deliver(refused)
    await make_message(tx, await make_org_unit(tx), to="no number either")
    await tx.commit()
    me = bearer(app, caller_for(Role.SUPERVISOR, branch))
    state = (await http.get("/v1/messages/state", headers=me)).json()
    assert state["waiting_since"] is not None
    assert {**state, "waiting_since": None} == {
        "provider_set": False,
        "waiting": 1,
        "waiting_since": None,
        "failed_today": 2,
    }
    seen, token = [], None
    while True:
        query = {"size": 1, **({"page_token": token} if token else {})}
        page = (await http.get("/v1/messages", params=query, headers=me)).json()
        seen += page["messages"]
        token = page["next_page_token"]
        if token is None:
            break
    assert [(one["recipient"], one["fail_reason"]) for one in seen] == [
        ("138****1234", "refused"),
        (None, "no_number"),
    ]
    assert seen[1]["words"] == "There is no number to send it to"
    waiting = await http.get("/v1/messages", params={"state": "waiting"}, headers=me)
    assert [one["state"] for one in waiting.json()["messages"]] == ["waiting"]


async def test_a_technician_does_not_see_the_messages(app, http, branch):
    me = bearer(app, caller_for(Role.TECHNICIAN, branch))
    assert (await http.get("/v1/messages/state", headers=me)).status_code == 403
