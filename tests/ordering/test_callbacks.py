"""Events that the ordering system sends: proved, kept, and counted once, whenever they come."""

from datetime import timedelta

import pytest
from psycopg.errors import DeadlockDetected
from pydantic import SecretStr
from sqlalchemy.exc import DBAPIError

from app.core.db import new_id, unavailable
from app.core.settings import Settings
from app.ordering.delivery import SyncState
from app.ordering.rules import Cause, RemoteState, Unknown
from app.sales.rules import SaleState
from tests.conftest import assembled, http_on
from tests.make.sales import make_draft
from tests.ordering.delivering import event, make_desk, remote

URL = "/v1/ordering/callbacks"
TOKEN = "agreed-between-us"

DELIVERED, FINISHED = SyncState.DELIVERED, SyncState.FINISHED


@pytest.fixture
def settings(database_url, tmp_path):
    return Settings(
        database_url=database_url,
        signing_keys=tmp_path / "keys",
        log_level="WARNING",
        ordering_callback_token=SecretStr(TOKEN),
    )


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
def call(http):
    """Call as the ordering system does."""

    async def send(body, token=TOKEN):
        headers = {"authorization": f"Bearer {token}"}
        return await http.post(URL, json=body, headers=headers)

    return send


@pytest.fixture
async def delivered(desk):
    """A sale whose order the other side has acknowledged."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    return sale_id


# --- who calls ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer"},
        {"authorization": "Bearer wrong"},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": f"Basic {TOKEN}"},
        {"authorization": "Bearer 令牌".encode()},
    ],
)
async def test_a_forged_call_is_turned_away_and_changes_nothing(http, desk, delivered, headers):
    answer = await http.post(URL, json=event(delivered, "completed"), headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert (await desk.sale(delivered)).state is SaleState.ACKNOWLEDGED
    assert await desk.callbacks() == []


async def test_without_an_agreed_token_nobody_can_call(database, clock, database_url, tmp_path):
    bare = Settings(database_url=database_url, signing_keys=tmp_path / "keys")
    app = assembled(bare, clock=clock, database=database)
    async with app.router.lifespan_context(app), http_on(app) as http:
        for headers in ({}, {"authorization": "Bearer "}, {"authorization": "Bearer x"}):
            assert (await http.post(URL, json={}, headers=headers)).status_code == 401


# --- what comes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b"17",
        b"null",
        b"{}",
        b'{"event": []}',
        b'{"event": {}}',
        b'{"event": {"productOrder": null}}',
        b'{"event": {"productOrder": {"state": "completed"}}}',
        b'{"event": {"productOrder": {"id": "' + b"9" * 201 + b'"}}}',
        b'{"event": {"productOrder": {"id": "1", "note": "a\\u0000b"}}}',
        b'{"event": {"productOrder": {"id": "1", "note": "\\ud800"}}}',
        b'{"event": {"productOrder": {"id": "1", "note": "\xff"}}}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
async def test_what_is_no_event_is_refused_and_forgotten(http, desk, body):
    answer = await http.post(URL, content=body, headers={"authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 400
    assert answer.json()["type"] == "urn:yingwei:problem:malformed"
    assert await desk.callbacks() == []


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        ({"state": {"in": "progress"}}, "no_state"),
        ({"state": 7}, "no_state"),
        ({"state": "on a journey"}, "no_state"),
        ({"note": "text", "productOrderItem": {"id": 1}, "cancellationReason": ["a"]}, "move"),
        ({"orderDate": "yesterday", "href": "http://[", "completionDate": 17}, "move"),
        ({"externalId": 17}, "not_ours"),
        ({"externalId": "00000000-0000-0000-0000-000000000000"}, "not_ours"),
        ({"externalId": "王小明的订单"}, "not_ours"),
    ],
)
async def test_odd_news_is_kept_and_harms_nothing(call, desk, delivered, said, verdict):
    body = event(delivered)
    body["event"]["productOrder"] |= said
    assert (await call(body)).status_code == 204
    (callback,) = await desk.callbacks()
    assert (callback.verdict, callback.body) == (verdict, body)
    assert (await desk.sale(delivered)).state is SaleState.ACKNOWLEDGED


async def test_what_is_too_large_is_not_read_to_its_end(http, desk):
    sent = 0

    async def endless():
        nonlocal sent
        yield b'{"event": "'
        while sent < 64:
            sent += 1
            yield b"x" * 64 * 1024

    headers = {"authorization": f"Bearer {TOKEN}"}
    answer = await http.post(URL, content=endless(), headers=headers)
    assert answer.status_code == 413
    assert sent < 8
    assert await desk.callbacks() == []


def _by_a_statement():
    raise DBAPIError("UPDATE order_sync ...", {}, DeadlockDetected())


def _by_a_transaction():
    raise unavailable(DeadlockDetected()) from DeadlockDetected()


@pytest.mark.parametrize("collide", [_by_a_statement, _by_a_transaction])
async def test_a_callback_that_collides_with_others_is_heard_once_more(
    app, call, desk, delivered, monkeypatch, collide
):
    hear, tries = app.state.ear.hear, []

    async def collides_twice(heard, now):
        tries.append(heard.event.id)
        if len(tries) < 3:
            collide()
        await hear(heard, now)

    monkeypatch.setattr(app.state.ear, "hear", collides_twice)
    assert (await call(event(delivered, "completed"))).status_code == 204
    assert len(tries) == 3
    assert (await desk.sale(delivered)).state is SaleState.COMPLETED


async def test_an_event_of_an_order_that_is_not_ours_is_kept(call, desk, delivered):
    for stranger in (new_id(), "S-2026-17"):
        assert (await call(event(stranger, remote_id="77"))).status_code == 204
    callbacks = await desk.callbacks()
    assert [(each.verdict, each.order_sync_id) for each in callbacks] == [("not_ours", None)] * 2
    assert (await desk.sync(delivered)).remote_state == "acknowledged"


async def test_a_draft_is_not_confirmed_by_an_event_about_it(call, desk):
    async with desk.database.begin() as tx:
        draft = await make_draft(tx, desk.door, now=desk.clock.now())
    assert (await call(event(draft.id, "completed"))).status_code == 204
    assert (await desk.sale(draft.id)).state is SaleState.DRAFT
    assert [each.verdict for each in await desk.callbacks()] == ["not_ours"]


# --- what it does ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "sale_state", "sync_state"),
    [
        ("acknowledged", SaleState.ACKNOWLEDGED, DELIVERED),
        ("inProgress", SaleState.ACKNOWLEDGED, DELIVERED),
        ("pending", SaleState.ACKNOWLEDGED, DELIVERED),
        ("held", SaleState.ACKNOWLEDGED, DELIVERED),
        ("assessingCancellation", SaleState.ACKNOWLEDGED, DELIVERED),
        ("pendingCancellation", SaleState.ACKNOWLEDGED, DELIVERED),
        ("partial", SaleState.ACKNOWLEDGED, FINISHED),
        ("completed", SaleState.COMPLETED, FINISHED),
        ("failed", SaleState.REJECTED, FINISHED),
        ("rejected", SaleState.REJECTED, FINISHED),
        ("cancelled", SaleState.CANCELLED, FINISHED),
    ],
)
async def test_each_state_of_an_order_makes_a_state_of_the_sale(
    call, desk, delivered, state, sale_state, sync_state
):
    body = event(delivered, state)
    order = body["event"]["productOrder"]
    order["note"] = [{"author": "CRM", "text": "no free port"}]
    order["productOrderItem"] = [{"id": "1", "state": state}]
    assert (await call(body)).status_code == 204
    sync, sale = await desk.sync(delivered), await desk.sale(delivered)
    assert (sync.state, sync.remote_state, sale.state) == (sync_state, state, sale_state)
    assert (sync.next_try_at is None) is (sync_state is FINISHED)
    refused = sale_state in (SaleState.REJECTED, SaleState.CANCELLED)
    assert sale.rejected_reason == ("no free port" if refused else None)


async def test_an_event_twice_has_one_effect(call, desk, delivered):
    body = event(delivered, "completed")
    first = await call(body)
    completed_at = (await desk.sale(delivered)).completed_at
    desk.clock.tick(timedelta(hours=1))
    again = await call(body)
    assert (first.status_code, again.status_code) == (204, 204)
    assert [each.verdict for each in await desk.callbacks()] == ["move"]
    assert (await desk.sale(delivered)).completed_at == completed_at


async def test_events_without_an_id_of_their_own_are_told_apart_by_what_they_say(
    call, desk, delivered
):
    body = event(delivered, "inProgress")
    del body["eventId"]
    for each in (body, body, {**body, "eventTime": "2026-03-02T05:00:00Z"}):
        assert (await call(each)).status_code == 204
    assert [each.verdict for each in await desk.callbacks()] == ["move", "same"]


async def test_an_id_longer_than_an_index_can_hold_is_told_apart_too(call, desk, delivered):
    long = event(delivered, "inProgress", eventId="e" * 5000)
    other = event(delivered, "completed", eventId="e" * 5000)
    for each in (long, long, other):
        assert (await call(each)).status_code == 204
    assert [each.verdict for each in await desk.callbacks()] == ["move", "move"]


@pytest.mark.parametrize(
    ("came", "verdicts", "ends"),
    [
        # Late: the order has moved on.
        ([("completed", 2), ("inProgress", 1)], ["move", "stale"], "completed"),
        ([("completed", 2), ("acknowledged", 0)], ["move", "stale"], "completed"),
        # Out of order between states that follow each other either way: the later one counts.
        ([("held", 2), ("inProgress", 1)], ["move", "stale"], "held"),
        ([("held", 2), ("inProgress", 3)], ["move", "move"], "inProgress"),
        # Lost in between.
        ([("completed", 9)], ["move"], "completed"),
        # Two ends: the first is kept, a person is told.
        ([("completed", 1), ("cancelled", 2)], ["move", "contradicts"], "completed"),
    ],
)
async def test_events_find_their_place_whatever_their_order(
    call, desk, delivered, came, verdicts, ends
):
    for state, minutes in came:
        assert (await call(event(delivered, state, minutes=minutes))).status_code == 204
    sync = await desk.sync(delivered)
    assert [each.verdict for each in await desk.callbacks()] == verdicts
    assert sync.remote_state == ends
    assert ("ended twice" in (sync.last_error or "")) is ("contradicts" in verdicts)


async def test_where_the_place_of_an_event_cannot_be_told_we_ask(call, desk, delivered):
    await call(event(delivered, "held"))
    await call(event(delivered, "inProgress"))  # of the same minute
    assert [each.verdict for each in await desk.callbacks()] == ["move", "look"]
    assert await desk.due() == [delivered]


async def test_an_event_may_come_before_our_own_request_is_answered(call, desk):
    """The other side is quicker with its event than with its answer to the POST."""
    sale_id = await desk.sell()
    attempt = await desk.claimed(sale_id)
    assert (await call(event(sale_id, "inProgress"))).status_code == 204
    assert (await desk.sync(sale_id)).state is DELIVERED
    await desk.settle(attempt, [remote(state=RemoteState.ACKNOWLEDGED)])
    sync, sale = await desk.sync(sale_id), await desk.sale(sale_id)
    assert (sync.state, sync.remote_state, sync.doubles) == (DELIVERED, "inProgress", [])
    assert sale.state is SaleState.ACKNOWLEDGED


@pytest.mark.parametrize("state", ["inProgress", "completed"])
async def test_an_event_answers_the_question_that_a_time_out_left(call, desk, state):
    """No second attempt is made: the event says that the order is there."""
    sale_id = await desk.sell()
    attempt = await desk.claimed(sale_id)
    assert (await call(event(sale_id, state))).status_code == 204
    before = await desk.sync(sale_id)
    await desk.settle(attempt, Unknown(Cause.TIMED_OUT))
    after = await desk.sync(sale_id)
    assert (after.state, after.remote_state) == (before.state, state)
    assert (after.next_try_at, after.last_error, after.attempts) == (before.next_try_at, None, 1)


async def test_an_event_takes_a_parked_delivery_out_of_the_queue(call, desk):
    sale_id = await desk.sell()
    for _ in range(12):
        await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
        await desk.make_due(sale_id)
    assert (await desk.sync(sale_id)).state is SyncState.PARKED
    await call(event(sale_id, "inProgress"))
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.last_error) == (DELIVERED, None)


async def test_an_event_without_our_id_is_known_by_theirs(call, desk, delivered):
    body = event(delivered, "completed")
    del body["event"]["productOrder"]["externalId"]
    assert (await call(body)).status_code == 204
    assert (await desk.sale(delivered)).state is SaleState.COMPLETED


async def test_an_event_without_our_id_that_comes_too_soon_is_made_up_for_by_asking(call, desk):
    sale_id = await desk.sell()
    attempt = await desk.claimed(sale_id)
    body = event(sale_id, "completed")
    del body["event"]["productOrder"]["externalId"]
    assert (await call(body)).status_code == 204
    assert [each.verdict for each in await desk.callbacks()] == ["not_ours"]
    await desk.settle(attempt, [remote()])
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), [remote(state=RemoteState.COMPLETED)])
    assert (await desk.sale(sale_id)).state is SaleState.COMPLETED


async def test_an_event_of_a_second_order_with_our_id_shows_the_double(call, desk, delivered):
    assert (await call(event(delivered, "completed", remote_id="00000002"))).status_code == 204
    sync = await desk.sync(delivered)
    assert (sync.doubles, sync.state, sync.remote_state) == (
        ["00000002"],
        DELIVERED,
        "acknowledged",
    )
    assert [each.verdict for each in await desk.callbacks()] == ["contradicts"]
    assert (await desk.sale(delivered)).state is SaleState.ACKNOWLEDGED
