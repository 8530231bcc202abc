"""What went wrong with deliveries, told in words, and what a supervisor does about it."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, text

from app.auth.models import AuditEntry
from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Invalid
from app.ordering import alerting
from app.ordering.correcting import check_start
from app.ordering.delivery import SyncState
from app.ordering.models import OrderAttempt, OrderCorrection
from app.ordering.rules import (
    CAUSE_ADVICE,
    CAUSE_WORDS,
    Cause,
    NotSent,
    Refused,
    RemoteState,
    Unknown,
)
from app.ordering.service import Doing
from app.ordering.troubles import masked_body
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.ordering.delivering import make_desk, remote, set_numbers


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
async def ask(app, http, desk, tx):
    """Ask as a supervisor of the branch, or as another caller."""
    account = await make_account(tx, desk.door.branch, role=Role.SUPERVISOR)

    async def send(method, path, *, by=None, json=None, lang="en", **query):
        by = by or caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)
        headers = {**bearer(app, by), "accept-language": lang}
        return await http.request(method, f"/v1{path}", params=query, json=json, headers=headers)

    return send


async def refused(desk, said="no such place"):
    sale_id = await desk.sell()
    failed = Refused(Cause.REFUSED, said=said, answered=422, sent_as="r-1")
    await desk.settle(await desk.claimed(sale_id), failed)
    return await desk.sync(sale_id)


def test_every_cause_has_words_and_advice_in_both_languages():
    assert set(CAUSE_WORDS) == set(CAUSE_ADVICE) == set(Cause)
    assert all(words.zh and words.en for words in [*CAUSE_WORDS.values(), *CAUSE_ADVICE.values()])


def test_a_body_is_shown_without_name_address_and_note():
    shown = masked_body(
        {
            "externalId": "s-1",
            "note": [{"text": "call 13812341234"}],
            "relatedParty": [
                {"id": "C-1", "name": "王小明", "@referredType": "Customer"},
                {"id": "T-1", "name": "李卫", "@referredType": "Individual"},
            ],
            "place": {
                "place": {
                    "id": "A-1",
                    "name": "碧波路18号碧波园3栋2单元1203室",
                    "@referredType": "GeographicAddress",
                }
            },
        }
    )
    assert shown["relatedParty"][0] == {"id": "C-1", "name": "王**", "@referredType": "Customer"}
    assert shown["relatedParty"][1]["name"] == "李卫"
    assert shown["place"]["place"]["name"] == "碧波路18号碧波园3栋*"
    assert (shown["note"], shown["externalId"]) == ("***", "s-1")


async def test_a_delivery_tells_what_was_sent_and_how_each_attempt_failed(ask, desk, tx):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), NotSent(Cause.BUSY, said="wait", answered=429))
    listed = (await ask("GET", "/order-syncs", failed=True)).json()["order_syncs"]
    assert [(row["state"], row["cause"]) for row in listed] == [("waiting", "busy")]
    await desk.make_due(sale_id)
    failed = Refused(Cause.REFUSED, said="no such place", answered=422, sent_as="r-1")
    await desk.settle(await desk.claimed(sale_id), failed)
    sync = await desk.sync(sale_id)
    story = (await ask("GET", f"/order-syncs/{sync.id}", lang="zh")).json()
    assert (story["why"], story["state"]) == ("订单系统拒绝了订单", "parked")
    assert "更正" in story["advice"]
    told = [(each["number"], each["trying"], each["cause"]) for each in story["failed_attempts"]]
    assert told == [(2, "look_then_send", "refused"), (1, "send", "busy")]
    assert story["failed_attempts"][0]["answered"] == 422
    assert story["failed_attempts"][0]["sent_as"] == "r-1"
    party = story["body"]["relatedParty"][0]
    assert party["name"].endswith("**")
    assert story["body"]["externalId"] == str(sale_id)
    # Word for word it is shown too, and that is written down.
    whole = await ask("GET", f"/order-syncs/{sync.id}/body")
    assert whole.json()["body"]["relatedParty"][0]["name"] == desk.door.customer.name
    read = select(AuditEntry.purpose).where(AuditEntry.subject_id == desk.door.customer.id)
    assert f"order_sync:{sync.id}" in (await tx.scalars(read)).all()
    # What arrives is no trouble any more.
    await ask("POST", f"/order-syncs/{sync.id}/retry")
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), [remote()])
    assert (await ask("GET", "/order-syncs", failed=True)).json()["order_syncs"] == []
    summary = (await ask("GET", "/order-syncs/summary")).json()
    assert summary == {"troubles": [], "standstills": []}


async def test_a_success_leaves_no_row_beside_the_delivery(desk, tx):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    assert await tx.scalar(select(func.count()).select_from(OrderAttempt)) == 0


async def test_what_is_corrected_is_sent_and_the_sale_stays_as_agreed(ask, desk, tx):
    sync = await refused(desk)
    before = (await desk.sale(sync.sale_id)).content_hash
    body = {
        "id": str(new_id()),
        "address_number": "A-88002",
        "note": "请走北门",
        "requested_start": (desk.clock.now() + timedelta(days=1)).isoformat(),
        "reason": "地址编号有误",
    }
    path = f"/order-syncs/{sync.id}/correct"
    answer = await ask("POST", path, json=body)
    assert (answer.status_code, answer.json()["state"]) == (200, "waiting")
    await desk.make_due(sync.sale_id)
    attempt = await desk.claimed(sync.sale_id)
    assert attempt.order is not None and attempt.order.items[0].place is not None
    assert (attempt.doing, attempt.order.note) == (Doing.LOOK_THEN_SEND, "请走北门")
    assert attempt.order.items[0].place.id == "A-88002"
    assert attempt.order.requested_start == desk.clock.now() + timedelta(days=1)
    sale = await desk.sale(sync.sale_id)
    assert (sale.content_hash, sale.note) == (before, None)
    # The same again is answered alike, also while it is being sent; other content is not.
    assert (await ask("POST", path, json=body)).json()["state"] == "sending"
    other = await ask("POST", path, json={**body, "note": "请走南门"})
    assert other.json()["type"].endswith("same-id-other-content")
    late = await ask("POST", path, json={**body, "id": str(new_id())})
    assert late.json()["type"].endswith("order-sync-too-late-to-correct")
    (kept,) = (await tx.scalars(select(OrderCorrection))).all()
    assert kept.body_before["productOrderItem"][0]["product"]["place"][0]["id"] != "A-88002"
    assert kept.changes["address_number"] == {"from": None, "to": "A-88002"}


@pytest.mark.parametrize(
    "values, problem",
    [
        ({}, "order-correction-empty"),
        ({"note": ""}, "invalid"),
        ({"items": [{"offering_code": "TV-4K"}]}, "invalid"),
        ({"requested_start": "2020-01-01T00:00:00Z"}, "invalid"),
    ],
)
async def test_what_may_not_be_corrected_is_refused_and_nothing_is_written(
    ask, desk, tx, values, problem
):
    sync = await refused(desk)
    body = {"id": str(new_id()), "reason": "x", **values}
    answer = await ask("POST", f"/order-syncs/{sync.id}/correct", json=body)
    assert answer.json()["type"].endswith(problem)
    assert (await desk.sync(sync.sale_id)).state is SyncState.PARKED
    assert await tx.scalar(select(func.count()).select_from(OrderCorrection)) == 0


def test_a_start_far_away_is_a_slip_of_the_hand(clock):
    check_start(None, clock.now())
    with pytest.raises(Invalid):
        check_start(clock.now() + timedelta(days=400), clock.now())


async def test_what_is_given_up_cancels_the_sale_with_the_reason(ask, desk):
    sync = await refused(desk)
    path = f"/order-syncs/{sync.id}/give-up"
    for _ in range(2):
        answer = await ask("POST", path, json={"reason": "cannot_be_served", "note": "无端口"})
        assert (answer.status_code, answer.json()["state"]) == (200, "given_up")
    other = await ask("POST", path, json={"reason": "other"})
    assert other.json()["type"].endswith("order-sync-given-up-otherwise")
    sale = await desk.sale(sync.sale_id)
    assert (sale.state, sale.rejected_reason, sale.sent_at) == (
        "cancelled",
        "无法提供服务 / It cannot be served",
        None,
    )
    assert await desk.claim(sync.sale_id) is None
    # What goes on by itself is nobody's to give up.
    sale_id = await desk.sell()
    await desk.claimed(sale_id)
    on_its_way = await desk.sync(sale_id)
    answer = await ask("POST", f"/order-syncs/{on_its_way.id}/give-up", json={"reason": "other"})
    assert answer.json()["type"].endswith("order-sync-not-parked")


async def test_many_of_one_cause_are_taken_up_together(ask, desk):
    several = [await refused(desk) for _ in range(3)]
    lost = await desk.sell()
    for _ in range(12):
        await desk.settle(await desk.claimed(lost), Unknown(Cause.TIMED_OUT))
        await desk.make_due(lost)
    troubles = (await ask("GET", "/order-syncs/summary")).json()["troubles"]
    assert [(each["cause"], each["count"]) for each in troubles] == [
        ("refused", 3),
        ("timed_out", 1),
    ]
    first = await ask("POST", "/order-syncs/retry", json={"cause": "refused", "most": 2})
    assert first.json() == {"taken_up": 2, "left": 1}
    second = await ask("POST", "/order-syncs/retry", json={"cause": "refused"})
    assert second.json() == {"taken_up": 1, "left": 0}
    states = {(await desk.sync(each.sale_id)).state for each in several}
    assert states == {SyncState.WAITING}
    assert (await desk.sync(lost)).state is SyncState.PARKED


@pytest.mark.parametrize("action", ["", "/body", "/retry", "/correct", "/give-up"])
async def test_somebody_elses_delivery_is_not_found(ask, desk, tx, action):
    sync = await refused(desk)
    elsewhere = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    bodies = {
        "/correct": {"id": str(new_id()), "note": "x", "reason": "x"},
        "/give-up": {"reason": "other"},
    }
    method = "GET" if action in ("", "/body") else "POST"
    path = f"/order-syncs/{sync.id}{action}"
    answer = await ask(method, path, by=elsewhere, json=bodies.get(action))
    assert answer.status_code == 404
    assert (await desk.sync(sync.sale_id)).state is SyncState.PARKED
    many = await ask("POST", "/order-syncs/retry", by=elsewhere, json={"cause": "refused"})
    assert many.json() == {"taken_up": 0, "left": 0}


async def test_supervisors_are_alerted_to_lag_and_failures_until_they_are_over(
    ask, desk, tx, clock
):
    await set_numbers(tx, {"ordering.alert_failed": 2, "ordering.alert_lag_seconds": 60})
    desk.database.cache.clear()
    async with desk.database.begin() as session:
        assert await alerting.look(session, clock.now()) == 0
    for _ in range(2):
        await refused(desk)
    slow = await desk.sell()
    clock.tick(timedelta(minutes=5))

    async def look():
        async with desk.database.begin() as session:
            return await alerting.look(session, clock.now())

    assert [await look(), await look()] == [2, 0]
    alerts = (await ask("GET", "/alerts")).json()["alerts"]
    found = {(each["kind"], each["figure"]) for each in alerts}
    assert found == {("order_lag", 300), ("orders_failed", 2)}
    # Once it has arrived and is old, the lag is over.
    await desk.settle(await desk.claimed(slow), [remote()])
    clock.tick(timedelta(minutes=61))
    assert await look() == 1
    assert [each["kind"] for each in (await ask("GET", "/alerts")).json()["alerts"]] == [
        "orders_failed"
    ]


async def test_forged_callbacks_are_counted_and_alerted_to_until_they_end(
    ask, desk, http, app, tx, clock
):
    await set_numbers(tx, {"ordering.alert_turned_away": 3})
    desk.database.cache.clear()

    async def knock(times):
        for _ in range(times):
            headers = {"authorization": "Bearer forged"}
            answer = await http.post("/v1/ordering/callbacks", json={}, headers=headers)
            assert answer.status_code == 401
        await app.state.strangers.write_down()

    async def look():
        async with desk.database.begin() as session:
            await alerting.look(session, clock.now())
        alerts = (await ask("GET", "/alerts")).json()["alerts"]
        return [(each["kind"], each["figure"]) for each in alerts]

    await knock(2)
    assert await look() == []
    clock.tick(timedelta(minutes=5))
    await knock(2)
    assert await look() == [("callbacks_turned_away", 4)]
    clock.tick(timedelta(minutes=29))
    assert await look() == []


async def test_those_at_the_top_hear_of_an_ordering_system_that_is_not_reached(
    ask, desk, tx, clock
):
    async def look():
        async with desk.database.begin() as session:
            await alerting.look(session, clock.now())
        alerts = (await ask("GET", "/alerts")).json()["alerts"]
        return {(each["kind"], each["subject"], each["figure"]) for each in alerts}

    await tx.execute(text(_LEFT_ALONE), {"open": 9, "failing": 14})
    assert await look() == set()
    await tx.execute(text("TRUNCATE ordering_endpoint, ordering_listener"))
    await tx.execute(text(_LEFT_ALONE), {"open": 11, "failing": 16})
    assert await look() == {
        ("ordering_left_alone", "ask", 11),
        ("callbacks_not_registered", "", 16),
    }
    # A listener of a system that is no more is nobody's trouble.
    await tx.execute(text("UPDATE ordering_endpoint SET open_until = NULL, opened_at = NULL"))
    await tx.execute(
        text(
            "INSERT INTO ordering_listener (id, base_url, callback, next_try_at)"
            " VALUES (gen_random_uuid(), 'http://new/', 'c', now() + interval '1 min')"
        )
    )
    assert await look() == set()


_LEFT_ALONE = """
WITH opened AS (
    INSERT INTO ordering_endpoint (name, opened_at, open_until)
    VALUES ('ask', clock_timestamp() - make_interval(mins => :open), clock_timestamp())
)
INSERT INTO ordering_listener (id, base_url, callback, next_try_at, failing_since)
VALUES (gen_random_uuid(), 'http://old/', 'c', now(),
        clock_timestamp() - make_interval(mins => :failing))
"""


async def test_metrics_tell_of_lag_and_failures(ask, desk, http, clock):
    await refused(desk)
    told = (await http.get("/metrics")).text
    assert 'yingwei_order_sync_failed{cause="refused"} 1.0' in told
    assert 'yingwei_order_sync_failed{cause="cut"} 0.0' in told
    await desk.sell()
    clock.tick(timedelta(seconds=40))
    assert "yingwei_order_sync_lag_p95 40.0" in (await http.get("/metrics")).text


async def test_failed_deliveries_are_found_by_their_index(desk):
    async with desk.database.begin() as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await tx.scalars(
            text(
                "EXPLAIN SELECT id FROM order_sync WHERE org_unit_id = gen_random_uuid() AND"
                " last_cause IS NOT NULL AND state IN ('waiting', 'sending', 'parked', 'finished')"
                " ORDER BY created_at DESC, id DESC LIMIT 50"
            )
        )
        assert any("ix_order_sync_trouble" in line for line in plan)


# --- what never ends ------------------------------------------------------------------------------


async def test_an_order_that_never_ends_becomes_a_persons_and_a_retry_asks_once_more(desk, ask, tx):
    sale_id = await desk.sell()
    waits = remote(external_id=str(sale_id), state=RemoteState.HELD)
    await desk.settle(await desk.claimed(sale_id), [waits])
    back = "UPDATE order_sync SET created_at = created_at - make_interval(days => :days)"
    for days, state in ((29, SyncState.DELIVERED), (2, SyncState.PARKED)):
        await tx.execute(text(back), {"days": days})
        await desk.make_due(sale_id)
        attempt = await desk.claimed(sale_id)
        assert attempt.doing is Doing.ASK
        await desk.settle(attempt, [waits])
        sync = await desk.sync(sale_id)
        assert sync.state is state
    assert (sync.last_cause, sync.next_try_at) == (Cause.NEVER_ENDED, None)
    assert sync.last_error == "after 31 days it is still held"
    (trouble,) = (await ask("GET", "/order-syncs", failed=True)).json()["order_syncs"]
    assert trouble["state"] == "parked"
    assert (await ask("POST", f"/order-syncs/{sync.id}/retry")).status_code == 200
    await desk.make_due(sale_id)
    done = remote(external_id=str(sale_id), state=RemoteState.COMPLETED)
    await desk.settle(await desk.claimed(sale_id), [done])
    assert (await desk.sync(sale_id)).state is SyncState.FINISHED
