"""Who goes first: what was confirmed just now and what has waited share the courier by a rule."""

import asyncio
import contextlib
from typing import cast
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.clock import SystemClock, wall
from app.core.db import new_id
from app.core.jobs import Worker, taken_along, tell
from app.core.settings import Settings
from app.ordering import service
from app.ordering.client import OrderingClient
from app.ordering.courier import Courier, Taken, delivering, reaching
from app.ordering.courier.reaching import reserve
from app.ordering.delivery import SyncState
from app.ordering.jobs import ask_due
from app.ordering.rules import Cause, NotSent, RemoteState
from app.ordering.service import Attempt
from app.ordering.service.claiming import Doing
from tests.make.sales import jobs_of
from tests.ordering.delivering import SHORT, make_desk, remote, seconds_between, set_numbers
from tests.ordering.waiting import until


class NoDatabase:
    """Stands where claims are only looked at."""

    @contextlib.asynccontextmanager
    async def begin(self):
        yield None


@pytest.fixture
async def claims(monkeypatch):
    """The claims of a courier, each a list of sales, in their order; jobs wait as they are put."""
    made: list[list[object]] = []
    jobs: list[object] = []

    async def claim_many(tx, sale_ids, **how):
        made.append(list(sale_ids))
        await asyncio.sleep(0)
        return {}

    async def along(tx, event, most):
        found, jobs[:] = jobs[:most], jobs[most:]
        return [{"sale_id": str(each)} for each in found]

    async def deliver(*args, **how):
        return None

    monkeypatch.setattr(service, "claim_many", claim_many)
    monkeypatch.setattr(service, "deliver", deliver)
    monkeypatch.setattr(delivering, "taken_along", along)
    worker = cast(Worker, _Bench(Settings(), SystemClock(), NoDatabase()))
    courier = Courier(worker, cast(OrderingClient, _NoClient()))

    async def all_pass(endpoint):
        return True

    monkeypatch.setattr(courier.breakers, "lets_pass", all_pass)
    async with courier:
        yield courier, made, jobs


class _Bench:
    def __init__(self, settings, clock, database):
        self.settings, self.clock, self.database = settings, clock, database


class _NoClient:
    codec = None

    async def aclose(self):
        return None


async def test_a_new_sale_is_in_the_next_claim_however_many_wait(claims):
    courier, made, _ = claims
    fresh = new_id()
    async with asyncio.TaskGroup() as group:
        backlog = group.create_task(courier.take_waiting([new_id() for _ in range(5_000)]))
        while len(made) < 3:  # noqa: ASYNC110 - claims tell nobody
            await asyncio.sleep(0)
        claimed = group.create_task(courier.take(fresh))
        await asyncio.sleep(0)
        before = len(made)
    assert claimed.result() is Taken.NOT_PLAIN
    assert next(number for number, ids in enumerate(made) if fresh in ids) <= before
    assert len(backlog.result()) == 5_000


async def test_what_has_waited_gets_one_place_of_four_while_new_sales_keep_coming(claims):
    courier, made, jobs = claims
    jobs += [new_id() for _ in range(200)]
    waiting = [new_id() for _ in range(100)]
    first = new_id()
    await asyncio.gather(courier.take_waiting(waiting), courier.take(first))
    await courier.rest()
    full = [ids for ids in made if len(ids) == 32][1:6]
    assert len(full) == 5
    # The oldest job brings as many others along as there is room for.
    assert [sum(each in set(waiting) for each in ids) for ids in full] == [8] * 5
    assert jobs == []
    assert sum(map(len, made)) == 301


@pytest.fixture
async def exchanging(claims, monkeypatch):
    """Lets 32 sales be sent to a side that answers after so many seconds; returns how many of them
    were under way at once at most, and in how many seconds all were."""
    courier, _, _ = claims
    under_way: list[UUID] = []
    most = 0

    async def claim_many(tx, sale_ids, **how):
        return {each: Attempt(each, Doing.SEND, None, None, 1, wall()) for each in sale_ids}

    async def settle(ended):
        return None

    async def send(seconds):
        async def outcome_of(client, attempt):
            nonlocal most
            under_way.append(attempt.sale_id)
            most = max(most, len(under_way))
            await asyncio.sleep(seconds)
            under_way.remove(attempt.sale_id)
            return [remote()]

        monkeypatch.setattr(service, "outcome_of", outcome_of)
        began = asyncio.get_running_loop().time()
        await courier.take_waiting([new_id() for _ in range(32)])
        await courier.rest()
        return most, asyncio.get_running_loop().time() - began

    monkeypatch.setattr(service, "claim_many", claim_many)
    monkeypatch.setattr(courier, "_settle", settle)
    return send


async def test_a_side_that_answers_at_once_is_asked_by_few_connections(exchanging, monkeypatch):
    monkeypatch.setattr(delivering, "_LANE_SECONDS", 30.0)  # however slow the machine
    most, _ = await exchanging(0)
    assert most == delivering._LANES


async def test_a_side_that_takes_long_is_asked_as_much_at_once_as_is_set(exchanging):
    most, seconds = await exchanging(1.0)
    assert most == 32
    assert seconds < 3.0  # one after the other, six at a time, they would take six


async def test_jobs_that_are_taken_along_are_gone_only_if_it_commits(database, clock, settings):
    desk = await make_desk(database, clock, settings)
    sale_ids = [str(await desk.sell()) for _ in range(3)]
    async with desk.database.begin() as tx:
        await tell(tx, "message.asked", message_id="7")
        await tell(tx, "sale.confirmed", lock="x", sale_id="locked")

    class Changed(Exception):
        pass

    with contextlib.suppress(Changed):
        async with desk.database.begin() as tx:
            assert len(await taken_along(tx, "sale.confirmed", 10)) == 3
            raise Changed
    async with desk.database.begin() as tx:
        assert await jobs_of(tx) == [*sale_ids, "locked"]
        assert await taken_along(tx, "sale.confirmed", 0) == []
        first = await taken_along(tx, "sale.confirmed", 2)
        assert [facts["sale_id"] for facts in first] == sale_ids[:2]
    async with desk.database.begin() as tx:
        assert await jobs_of(tx) == [sale_ids[2], "locked"]
        assert await jobs_of(tx, "message.asked") == [None]


async def test_a_sale_that_came_along_goes_all_the_way(desk, stored):
    """One job is done, and the others are gone with it."""
    sale_ids = [await desk.sell() for _ in range(5)]
    await desk.send(sale_ids[0])
    assert set(stored()) == set(map(str, sale_ids))
    async with desk.database.read() as read:
        assert await jobs_of(read) == []


async def test_a_sweep_of_questions_takes_as_long_as_the_pace_allows(desk, stand, monkeypatch):
    sale_ids = [await desk.sell() for _ in range(10)]
    await asyncio.gather(*(desk.send(each) for each in sale_ids))
    await until(stand.at_rest, "rest")
    async with desk.database.begin() as tx:
        await tx.execute(text("UPDATE order_sync SET state = 'delivered', next_try_at = now()"))
    now = asyncio.get_running_loop().time
    left = []

    class Watched(OrderingClient):
        async def exchange(self, *args, **how):
            left.append(now())
            return await super().exchange(*args, **how)

    monkeypatch.setattr(reaching, "OrderingClient", Watched)
    # Patient enough that without a pace they would leave side by side.
    numbers = {"ordering_requests_per_second": 20, "ordering_timeout_seconds": 10}
    worker = Worker(desk.settings.model_copy(update=numbers), desk.clock, desk.database)
    try:
        began = now()
        await ask_due(worker)
    finally:
        await worker.close()
    # The first may have been held up, the others have not caught up with it.
    assert left[-1] - began >= 9 / 20 and left[-1] - left[0] >= 0.25
    assert (len(left), await desk.unfinished(sale_ids)) == (10, 0)


async def test_being_held_up_on_our_side_counts_for_nothing(desk):
    """However often it comes about, nobody has to look at it."""
    sale_id = await desk.sell()
    async with desk.database.begin() as tx:
        await set_numbers(tx, {"ordering.tries_not_sent": 1})
    for _ in range(2):
        await desk.settle(await desk.claimed(sale_id), NotSent(Cause.TOO_LATE))
        sync = await desk.sync(sale_id)
        assert (sync.state, sync.tries_not_sent) == (SyncState.WAITING, 0)
        assert sync.last_cause is Cause.TOO_LATE
        await desk.make_due(sale_id)


async def delivered(desk):
    """Have an order taken whose question is due."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote(f"R-{sale_id}", RemoteState.HELD)])
    await desk.make_due(sale_id)
    return sale_id


async def test_a_question_that_was_held_up_on_our_side_is_asked_soon(desk):
    """However old the order is: it was not asked whether it has ended."""
    sale_id = await delivered(desk)
    async with desk.database.begin() as tx:
        long_ago = "UPDATE order_sync SET created_at = created_at - interval '31 days'"
        await tx.execute(text(long_ago))
    for _ in range(2):
        await desk.settle(await desk.claimed(sale_id), NotSent(Cause.TOO_LATE))
        sync = await desk.sync(sale_id)
        assert (sync.state, sync.last_cause) == (SyncState.DELIVERED, Cause.TOO_LATE)
        # Like anything else that is tried for the first time again.
        soon = SHORT["ordering.first_delay_seconds"] * 1.5
        assert seconds_between(sync.last_tried_at, sync.next_try_at) <= soon
        await desk.make_due(sale_id)
    # Once it was asked, it counts for how long it has gone on.
    held = remote(f"R-{sale_id}", RemoteState.HELD)
    await desk.settle(await desk.claimed(sale_id), [held])
    assert (await desk.sync(sale_id)).last_cause is Cause.NEVER_ENDED


async def test_where_one_question_finds_no_turn_the_others_stay_due(desk):
    """None of them is claimed only to be put off again."""
    sale_ids = [await delivered(desk) for _ in range(10)]
    numbers = {"ordering_requests_per_second": 1, "ordering_timeout_seconds": 8}
    settings = desk.settings.model_copy(update=numbers)
    assert await reserve(desk.database, settings.ordering_url, 30.0, 1.0) == 0
    worker = Worker(settings, desk.clock, desk.database)
    try:
        await ask_due(worker)
    finally:
        await worker.close()
    causes = [(await desk.sync(sale_id)).last_cause for sale_id in sale_ids]
    assert (causes.count(Cause.TOO_LATE), causes.count(None)) == (1, 9)
