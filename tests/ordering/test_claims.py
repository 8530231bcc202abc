"""An attempt is recorded before its first byte leaves, and nobody else works on its sale.

The steps are taken by hand here, so that a test can stand at any point between them.
"""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.core import clock as core_clock
from app.core.db import new_id
from app.core.errors import NotFound
from app.ordering import service
from app.ordering.client import OrderingClient, api
from app.ordering.delivery import SyncState
from app.ordering.rules import Cause, NotSent, Refused, RemoteState, Unknown
from app.ordering.service import Doing, claiming
from app.sales.rules import SaleState
from tests.make.races import until_waiting
from tests.make.sales import make_draft
from tests.ordering.delivering import TIME_LIMIT, make_desk, remote, seconds_between

WAITING, SENDING, DELIVERED = SyncState.WAITING, SyncState.SENDING, SyncState.DELIVERED
FINISHED, PARKED = SyncState.FINISHED, SyncState.PARKED
MINUTE = timedelta(minutes=1)


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


# --- claiming -------------------------------------------------------------------------------------


async def test_a_claim_says_what_is_sent_and_until_when_nobody_else_may(desk):
    sale_id = await desk.sell()
    attempt = await desk.claimed(sale_id)
    sync = await desk.sync(sale_id)
    assert (attempt.doing, attempt.number) == (Doing.SEND, 1)
    assert (sync.state, sync.attempts, sync.tries_unknown) == (SENDING, 1, 0)
    assert sync.body is not None
    assert sync.body["externalId"] == str(sale_id)
    # Three exchanges' time, and the time the other side may still be at work: 30 s by default.
    assert seconds_between(sync.last_tried_at, sync.next_try_at) == 3 * TIME_LIMIT + 30
    assert (await desk.sale(sale_id)).state is SaleState.CONFIRMED


async def test_nobody_claims_what_is_claimed(desk):
    sale_id = await desk.sell()
    await desk.claimed(sale_id)
    assert await desk.claim(sale_id) is None
    assert (await desk.sync(sale_id)).attempts == 1
    assert await desk.due() == []


async def test_a_claim_that_is_rolled_back_was_none(desk):
    sale_id = await desk.sell()

    async def die():
        async with desk.database.begin() as tx:
            await service.claim(tx, sale_id, time_limit=TIME_LIMIT, business_now=desk.clock.now())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    assert (await desk.claimed(sale_id)).doing is Doing.SEND


async def test_after_a_lease_has_run_out_the_order_is_looked_for(desk):
    """Whoever had claimed it has died: before its first byte, after its last, nobody knows."""
    sale_id = await desk.sell()
    await desk.claimed(sale_id)
    await desk.make_due(sale_id)
    assert await desk.due() == [sale_id]
    attempt = await desk.claimed(sale_id)
    sync = await desk.sync(sale_id)
    assert (attempt.doing, attempt.number) == (Doing.LOOK_THEN_SEND, 2)
    assert (sync.state, sync.tries_unknown) == (SENDING, 1)
    assert (sync.last_error or "").startswith("never_told")


async def test_a_sale_that_kills_every_worker_is_parked_at_last(desk):
    sale_id = await desk.sell()
    for _ in range(12):
        await desk.claimed(sale_id)
        await desk.make_due(sale_id)
    assert await desk.claim(sale_id) is None
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.attempts, sync.next_try_at) == (PARKED, 12, None)
    assert (await desk.sale(sale_id)).state is SaleState.CONFIRMED


async def test_a_first_attempt_that_comes_late_looks_first(desk):
    """The database may have been restored to a time before an attempt that it has forgotten."""
    prompt, late = await desk.sell(), await desk.sell()
    assert (await desk.claimed(prompt)).doing is Doing.SEND
    desk.clock.tick(timedelta(seconds=6))
    assert (await desk.claimed(late)).doing is Doing.LOOK_THEN_SEND


async def test_only_confirmed_sales_are_delivered(desk):
    async with desk.database.begin() as tx:
        draft = await make_draft(tx, desk.door, now=desk.clock.now())
    for sale_id in (draft.id, new_id()):
        with pytest.raises(NotFound):
            await desk.claim(sale_id)


async def test_an_order_that_no_system_could_take_waits_for_a_person(desk):
    sale_id = await desk.sell()
    async with desk.database.begin() as tx:
        await tx.execute(text("UPDATE customer SET code = ''"))
    assert await desk.claim(sale_id) is None
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.attempts) == (PARKED, 0)
    assert sync.last_error == "Correct: customer.id."


@pytest.mark.parametrize("ahead", [timedelta(hours=2), timedelta(hours=-2)])
async def test_a_worker_whose_clock_is_wrong_ends_nobodys_lease(desk, monkeypatch, ahead):
    """Workers may stand on many machines; a lease is told and read by the database's clock."""
    sale_id = await desk.sell()
    await desk.claimed(sale_id)
    monkeypatch.setattr(claiming, "wall", lambda: core_clock.wall() + ahead)
    assert await desk.claim(sale_id) is None
    assert await desk.due() == []
    other = await desk.sell()
    await desk.claimed(other)
    sync = await desk.sync(other)
    assert seconds_between(sync.last_tried_at, sync.next_try_at) == 3 * TIME_LIMIT + 30
    assert abs(seconds_between(sync.last_tried_at, core_clock.wall())) < 60


async def test_what_was_held_up_beyond_its_lease_is_not_sent(desk, simulator, monkeypatch):
    """The process was stopped between the claim and the first byte, and somebody else may have
    looked for the order by now."""
    sale_id = await desk.sell()
    attempt = await desk.claimed(sale_id)
    held_up = core_clock.wall() + timedelta(seconds=2 * TIME_LIMIT)
    monkeypatch.setattr(api, "wall", lambda: held_up)
    async with OrderingClient(simulator.base_url, time_limit=TIME_LIMIT) as client:
        with pytest.raises(NotSent) as refused:
            await service.exchange(client, attempt)
        assert refused.value.cause is Cause.TOO_LATE
        assert simulator.posts(str(sale_id)) == 0
        # Just in time is in time, however long the test itself has taken by now.
        monkeypatch.setattr(api, "wall", lambda: attempt.send_before)
        (placed,) = await service.exchange(client, attempt)
    assert placed.external_id == str(sale_id)


async def test_two_workers_claim_one_sale_and_one_of_them_gets_it(real_database, clock, settings):
    """Also the very first claim, when there is no row yet that could be locked."""
    desk = await make_desk(real_database, clock, settings)
    for again in (False, True):
        sale_id = await desk.sell()
        if again:
            await desk.claimed(sale_id)
            await desk.make_due(sale_id)
        async with real_database.begin() as tx:
            first = await service.claim(
                tx, sale_id, time_limit=TIME_LIMIT, business_now=clock.now()
            )
            second = asyncio.create_task(desk.claim(sale_id))
            await until_waiting(real_database)
        assert first is not None
        assert await second is None
        assert (await desk.sync(sale_id)).attempts == first.number


async def test_many_workers_claim_one_sale(real_database, clock, settings):
    desk = await make_desk(real_database, clock, settings)
    sale_id = await desk.sell()
    claims = await asyncio.gather(*(desk.claim(sale_id) for _ in range(15)))
    assert len([claim for claim in claims if claim]) == 1


# --- settling -------------------------------------------------------------------------------------


async def test_a_delivered_order_moves_the_sale(desk):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote(state=None)])
    sync, sale = await desk.sync(sale_id), await desk.sale(sale_id)
    assert (sync.state, sync.remote_id, sync.remote_state) == (DELIVERED, "00000001", None)
    assert (sale.state, sale.sent_at) == (SaleState.SENT, desk.clock.now())
    # Nobody calls: we ask after half a minute.
    assert 25 < seconds_between(sync.last_tried_at, sync.next_try_at) < 35


@pytest.mark.parametrize(
    ("failed", "state", "error", "wait", "counted"),
    [
        (NotSent(Cause.UNREACHABLE), WAITING, "unreachable: ", (2, 3), (1, 0)),
        (NotSent(Cause.BUSY, retry_after=MINUTE), WAITING, "busy: ", (60, 61), (1, 0)),
        (Unknown(Cause.TIMED_OUT, said="slow"), WAITING, "timed_out: slow", (30, 31), (0, 1)),
        (Unknown(Cause.SERVER_ERROR), WAITING, "server_error: ", (30, 31), (0, 1)),
        (Refused(Cause.REFUSED, said="no port"), PARKED, "refused: no port", None, (1, 0)),
    ],
)
async def test_each_failure_has_its_meaning(desk, failed, state, error, wait, counted):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), failed)
    sync = await desk.sync(sale_id)
    assert sync.state is state
    assert (sync.last_error or "").startswith(error)
    assert (sync.tries_not_sent, sync.tries_unknown) == counted
    if wait is None:
        assert sync.next_try_at is None
    else:
        assert wait[0] <= seconds_between(sync.last_tried_at, sync.next_try_at) <= wait[1]
    assert (await desk.sale(sale_id)).state is SaleState.CONFIRMED


async def test_an_outage_of_hours_uses_up_no_patience_with_what_may_have_been_taken(desk):
    """First a time-out, then nothing answers at all, a hundred times; then a second time-out."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
    for _ in range(100):
        await desk.make_due(sale_id)
        await desk.settle(await desk.claimed(sale_id), NotSent(Cause.UNREACHABLE))
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.tries_not_sent, sync.tries_unknown) == (WAITING, 100, 2)


async def test_a_look_that_nobody_answers_has_sent_nothing(desk, simulator):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
    await desk.make_due(sale_id)
    simulator.dial(error_on_read=1)
    async with OrderingClient(simulator.base_url, time_limit=TIME_LIMIT) as client:
        with pytest.raises(NotSent) as failed:
            await service.exchange(client, await desk.claimed(sale_id))
    assert failed.value.cause is Cause.SERVER_ERROR
    assert simulator.posts(str(sale_id)) == 0


async def test_a_look_that_cannot_be_trusted_is_not_counted_as_nothing(desk, raw_server):
    """A server that ignores the filter would be asked in vain for ever, if it were."""
    stranger = b'[{"id":"1","externalId":"somebody-else"}]'
    raw_server.answer = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n%s" % (len(stranger), stranger)
    )
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
    await desk.make_due(sale_id)
    async with OrderingClient(raw_server.url, time_limit=TIME_LIMIT) as client:
        with pytest.raises(Unknown) as failed:
            await service.exchange(client, await desk.claimed(sale_id))
    assert failed.value.cause is Cause.FILTER_IGNORED


async def test_a_late_failure_of_an_earlier_attempt_is_not_believed(desk):
    sale_id = await desk.sell()
    first = await desk.claimed(sale_id)
    await desk.make_due(sale_id)
    await desk.claimed(sale_id)
    await desk.settle(first, Refused(Cause.REFUSED))
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.attempts, sync.tries_not_sent) == (SENDING, 2, 0)


async def test_a_late_success_of_an_earlier_attempt_is_believed(desk):
    """Its worker was slow to tell; meanwhile another one gave up. The order is there."""
    sale_id = await desk.sell()
    first = await desk.claimed(sale_id)
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), Refused(Cause.REFUSED, said="known already"))
    assert (await desk.sync(sale_id)).state is PARKED
    await desk.settle(first, [remote()])
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.remote_id, sync.last_error) == (DELIVERED, "00000001", None)
    assert (await desk.sale(sale_id)).state is SaleState.ACKNOWLEDGED


async def test_a_failed_question_about_a_delivered_order_changes_only_the_next_one(desk):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    await desk.make_due(sale_id)
    attempt = await desk.claimed(sale_id)
    assert (attempt.doing, attempt.remote_id) == (Doing.ASK, "00000001")
    await desk.settle(attempt, Unknown(Cause.TIMED_OUT))
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.attempts, sync.tries_unknown) == (DELIVERED, 1, 0)
    assert 25 < seconds_between(sync.last_tried_at, sync.next_try_at) < 35
    assert (await desk.sale(sale_id)).state is SaleState.ACKNOWLEDGED


async def test_a_delivered_order_that_is_gone_waits_for_a_person(desk):
    """Nothing is sent a second time by itself: who took it away may have had a reason."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), [])
    sync = await desk.sync(sale_id)
    assert sync.state is PARKED
    assert "not known to the ordering system any more" in (sync.last_error or "")


async def test_a_doubled_order_is_kept_in_sight(desk):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote("1"), remote("2"), remote("3")])
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), [remote("1", RemoteState.COMPLETED)])
    sync = await desk.sync(sale_id)
    assert (sync.remote_id, sync.doubles, sync.state) == ("1", ["2", "3"], FINISHED)
    assert (await desk.sale(sale_id)).state is SaleState.COMPLETED
