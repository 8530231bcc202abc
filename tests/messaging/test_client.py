"""The client against a running simulator with each dial, and a worker that hands messages over."""

from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import select

from app.core.db import new_id
from app.core.jobs import Worker
from app.core.outside import Failed, Failure
from app.messaging import jobs
from app.messaging.client import MessagingClient
from app.messaging.models import Message, MessageReply
from app.messaging.rules import MessageKind
from app.messaging.simulator import BASE_PATH, Dials, create_simulator
from tests.make.auth import make_org_unit
from tests.make.messaging import make_message
from tests.make.platforms import served

TOKEN = "we-carry-this"
HELLO: dict[str, Any] = {
    "to": "13812341234",
    "text": "您的验收码是 482913",
    "kind": MessageKind.ACCEPTANCE_CODE,
}


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    """A provider that is simulated in this process."""
    app = create_simulator(tmp_path_factory.mktemp("provider") / "m.db", Dials(), token=TOKEN)
    with served(app) as origin:
        yield app, origin


@pytest.fixture
def dial(provider):
    app, _ = provider
    app.state.dials = Dials()
    app.state.memory.db.execute("DELETE FROM messages")

    def set_all(**dials):
        app.state.dials = Dials(**dials)

    return set_all


@pytest.fixture
def inbox(provider):
    """Read what a phone got."""
    _, origin = provider

    async def read(number="13812341234"):
        async with httpx.AsyncClient(base_url=origin) as phone:
            return [
                each["text"] for each in (await phone.get(f"/inbox/{number}")).json()["messages"]
            ]

    return read


@pytest.fixture
async def client(provider, dial):
    _, origin = provider
    async with MessagingClient(origin + BASE_PATH, token=TOKEN, time_limit=1.5) as client:
        yield client


async def test_a_phone_gets_a_message_once_however_often_it_is_sent(client, inbox):
    message_id = new_id()
    first = await client.send(message_id, **HELLO)
    assert first is not None
    assert await client.send(message_id, **HELLO) == first
    assert await inbox() == [HELLO["text"]]
    assert await inbox("13800000000") == []


@pytest.mark.parametrize(
    "dials, failure, got",
    [
        ({"too_many": 1, "retry_after_seconds": 9}, Failure.NOT_SENT, 0),
        ({"error_before": 1}, Failure.UNKNOWN, 0),
        ({"error_after": 1}, Failure.UNKNOWN, 1),
        ({"hang_after": 1}, Failure.UNKNOWN, 1),
        ({"cut_after": 1}, Failure.UNKNOWN, 1),
        ({"refused": 1}, Failure.REFUSED, 0),
    ],
)
async def test_every_fault_gets_its_meaning_and_a_second_try_doubles_nothing(
    client, dial, inbox, dials, failure, got
):
    dial(**dials)
    message_id = new_id()
    with pytest.raises(Failed) as failed:
        await client.send(message_id, **HELLO)
    assert failed.value.failure is failure
    assert len(await inbox()) == got
    if "too_many" in dials:
        assert failed.value.retry_after is not None
        assert failed.value.retry_after.total_seconds() == 9
    dial()
    await client.send(message_id, **HELLO)
    assert len(await inbox()) == 1


async def test_strangers_cannot_send(provider, dial, inbox):
    _, origin = provider
    async with MessagingClient(origin + BASE_PATH, token="wrong", time_limit=1) as stranger:
        with pytest.raises(Failed) as failed:
            await stranger.send(new_id(), **HELLO)
    assert failed.value.failure is Failure.NOT_SENT
    assert await inbox() == []


async def test_a_worker_hands_over_what_was_asked_for_and_sweeps_what_was_left(
    provider, dial, inbox, settings, clock, database, tx
):
    _, origin = provider
    unset = Worker(settings, clock, database)
    branch = await make_org_unit(tx)
    first = await make_message(tx, branch)
    await make_message(tx, branch)
    await tx.commit()
    await jobs.deliver(unset, message_id=str(first))
    await jobs.sweep(unset)
    assert await inbox() == [], "without a provider messages wait"
    knowing = {"messaging_url": origin + BASE_PATH, "messaging_token": SecretStr(TOKEN)}
    worker = Worker(settings.model_copy(update=knowing), clock, database)
    await jobs.deliver(worker, message_id=str(first))
    assert len(await inbox()) == 1
    await jobs.sweep(worker)
    await jobs.sweep(worker)
    assert len(await inbox()) == 2
    await jobs.forget(worker)
    await worker._ends.aclose()


async def test_what_a_customer_writes_back_is_read_once(
    tx, database, settings, clock, provider, dial
):
    _, origin = provider
    told = {"messaging_url": origin + BASE_PATH, "messaging_token": SecretStr(TOKEN)}
    worker = Worker(settings.model_copy(update=told), clock, database)
    async with httpx.AsyncClient(base_url=origin) as phone:
        assert (await phone.post("/inbox/13812341234/replies", json={})).status_code == 400
        for words in ("同意", "Y3821"):
            answer = await phone.post("/inbox/13812341234/replies", json={"text": words})
            assert answer.status_code == 202
            await jobs.poll(worker)
            await jobs.poll(worker)
    await worker._ends.aclose()
    read = await tx.scalars(select(MessageReply).order_by(MessageReply.position))
    assert [(one.sender, one.body) for one in read] == [
        ("13812341234", "同意"),
        ("13812341234", "Y3821"),
    ]


async def test_a_provider_that_is_away_is_asked_again_the_next_time(
    tx, database, settings, clock, provider, dial
):
    _, origin = provider
    told = {"messaging_url": origin + "/elsewhere", "messaging_token": SecretStr(TOKEN)}
    worker = Worker(settings.model_copy(update=told), clock, database)
    await jobs.poll(worker)
    await worker._ends.aclose()
    assert (await tx.scalars(select(MessageReply))).all() == []


@pytest.mark.parametrize("log_format", ["console", "json"])
async def test_on_the_console_a_message_is_told_and_in_gathered_logs_not_what_it_says(
    tx, clock, settings, database, monkeypatch, log_format
):
    lines = []
    told = SimpleNamespace(info=lambda event, **facts: lines.append({"event": event, **facts}))
    monkeypatch.setattr("app.messaging.client.log", told)
    given = {"messaging_url": "console:", "log_format": log_format}
    worker = Worker(settings.model_copy(update=given), clock, database)
    message_id = await make_message(tx, await make_org_unit(tx))
    await tx.commit()
    await jobs.poll(worker)
    await jobs.deliver(worker, message_id=str(message_id))
    await jobs.sweep(worker)
    (line,) = lines
    assert (line["kind"], line["to"]) == ("acceptance_code", "138****1234")
    assert ("482913" in str(line)) is (log_format == "console")
    message = await tx.get_one(Message, message_id, populate_existing=True)
    assert (message.state, message.provider_id) == ("sent", None)
