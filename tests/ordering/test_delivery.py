"""Sales on their way to a real process that misbehaves: each arrives once, whatever it does.

The simulator is the other side, the API is served on a real port for its callbacks, and the
worker's own steps (the job of a confirmed sale, the sweep of every second) do the delivering.
"""

import asyncio
from collections import Counter

import httpx
import psycopg
import pytest

from app.auth.keys import KeyRing
from app.core.errors import Unavailable
from app.ordering.client.listing import read_listed
from app.ordering.delivery import SyncState
from app.sales.rules import Discount, Line, SaleState
from tests.make.retention import make_terms, make_toolkit
from tests.make.sales import jobs_of
from tests.ordering.conftest import QUICK, TOKEN
from tests.ordering.delivering import finish, once_each, work_off


@pytest.fixture
def simulator(stand):
    return stand.simulator


# --- the whole way --------------------------------------------------------------------------------


async def test_a_sale_goes_all_the_way_by_its_job_and_callbacks(desk, simulator, stored):
    sale_id = await desk.sell((Line("SPEED-1000", 1), Line("TV-4K", 2)))
    await work_off(desk)
    async with desk.database.read() as read:
        assert await jobs_of(read) == []
    await finish(desk, [sale_id])
    sync, sale = await desk.sync(sale_id), await desk.sale(sale_id)
    assert (sync.state, sync.attempts, sync.last_error) == (SyncState.FINISHED, 1, None)
    assert sale.state is SaleState.COMPLETED
    assert None not in (sale.sent_at, sale.acknowledged_at, sale.completed_at)
    assert stored() == once_each([sale_id])
    (order,) = simulator.orders(str(sale_id))
    assert (order["id"], order["posts"]) == (sync.remote_id, 1)
    first, *rest = [each.verdict for each in await desk.callbacks()]
    # The first event may be quicker than the answer to our request.
    assert first in ("same", "move")
    assert rest == ["move", "move"]


async def test_what_is_sold_on_special_terms_is_told_and_kept_there(desk, simulator, tmp_path):
    async with desk.database.begin() as tx:
        await make_toolkit(tx, offers=["SPEED-1000"])
        keys = KeyRing.load(tmp_path / "keys")
        _, code = await make_terms(tx, desk.door.customer, "SPEED-1000", keys, now=desk.clock.now())
    lines = (Line("SPEED-1000", 1, approval_code=code), Line("TV-4K", 1))
    sale_id = await desk.sell(lines)
    await work_off(desk)
    url = f"{simulator.base_url}/productOrder/{(await desk.sync(sale_id)).remote_id}"
    async with httpx.AsyncClient(headers={"authorization": f"Bearer {TOKEN}"}) as there:
        listed = read_listed((await there.get(url)).json())
    monthly = {line.offering_code: (line.monthly_fen, line.discounts) for line in listed.lines}
    assert monthly == {"SPEED-1000": (12900, (Discount(20, 6),)), "TV-4K": (2000, ())}


async def test_a_claim_whose_commit_failed_is_claimed_again(desk, stored):
    sale_id = await desk.sell()
    as_it_was = desk.database.before_commit

    async def cut(session, request):
        desk.database.before_commit = as_it_was
        raise psycopg.OperationalError("the connection was cut")

    desk.database.before_commit = cut
    with pytest.raises(Unavailable):
        await desk.send(sale_id)
    # The same worker is asked again, and must not think that it has the sale already.
    await desk.send(sale_id)
    await finish(desk, [sale_id])
    assert stored() == once_each([sale_id])


async def test_many_sales_at_once_go_all_the_way(desk, stored):
    sale_ids = [await desk.sell() for _ in range(15)]
    await work_off(desk)
    await finish(desk, sale_ids)
    assert set(await desk.states(sale_ids)) == {"completed"}
    assert stored() == once_each(sale_ids)


# --- one fault at a time --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dials", "error", "taken", "posts"),
    [
        # Not taken: it is looked for in vain and sent again.
        ({"error_before": 1}, "server_error", False, 2),
        ({"too_many": 1}, "busy", False, 2),
        # Taken, though we do not know: it is looked for and found.
        ({"error_after": 1}, "server_error", True, 1),
        ({"hang_after": 1}, "timed_out", True, 1),
        ({"cut_after": 1}, "cut", True, 1),
        ({"cut_midway": 1}, "cut", True, 1),
        # Taken, and said so in other words.
        ({"accepted": 1}, None, True, 1),
        ({"absolute_href": False}, None, True, 1),
    ],
)
async def test_a_fault_of_the_first_request(desk, dials, error, taken, posts, simulator, stored):
    """Callbacks are off, so that nothing but our own looking finds out."""
    sale_id = await desk.sell()
    simulator.dial(**QUICK, **dials, callback_lost=1)
    await desk.send(sale_id)
    sync = await desk.sync(sale_id)
    assert len(stored()) == taken
    if error is None:
        assert sync.state is SyncState.DELIVERED
    else:
        assert (sync.state, sync.attempts) == (SyncState.WAITING, 1)
        assert (sync.last_error or "").startswith(error)
    simulator.dial(**QUICK, callback_lost=1)
    await finish(desk, [sale_id])
    assert (await desk.sale(sale_id)).state is SaleState.COMPLETED
    assert stored() == once_each([sale_id])
    assert simulator.posts(str(sale_id)) == posts


async def test_reading_fails_for_a_while_too(desk, simulator):
    sale_id = await desk.sell()
    simulator.dial(**QUICK, hang_after=1, error_on_read=1, callback_lost=1)
    await desk.send(sale_id)
    for _ in range(3):
        await desk.make_due(sale_id)
        await desk.sweep()
    sync = await desk.sync(sale_id)
    assert (sync.attempts, sync.tries_not_sent, sync.tries_unknown) == (4, 3, 1)
    simulator.dial(**QUICK, callback_lost=1)
    await finish(desk, [sale_id])
    assert (await desk.sale(sale_id)).state is SaleState.COMPLETED
    assert simulator.posts(str(sale_id)) == 1


async def test_the_other_side_is_down_for_a_while(desk, simulator, stored, stand):
    sale_ids = [await desk.sell() for _ in range(5)]
    simulator.stop()
    await work_off(desk)
    for sale_id in sale_ids:
        sync = await desk.sync(sale_id)
        assert (sync.state, sync.tries_not_sent) == (SyncState.WAITING, 1)
        assert (sync.last_error or "").startswith("unreachable")
    simulator.start(stand.options(), **QUICK)
    await finish(desk, sale_ids)
    assert set(await desk.states(sale_ids)) == {"completed"}
    assert stored() == once_each(sale_ids)


async def test_credentials_that_are_not_accepted_lose_nothing(desk, simulator, stored, stand):
    sale_id = await desk.sell()
    simulator.stop()
    simulator.start(stand.options("a new one that nobody told us"), **QUICK)
    await desk.send(sale_id)
    assert ((await desk.sync(sale_id)).last_error or "").startswith("sign_in")
    simulator.stop()
    simulator.start(stand.options(), **QUICK)
    await finish(desk, [sale_id])
    assert stored() == once_each([sale_id])


# --- how orders end, heard and asked --------------------------------------------------------------


@pytest.mark.parametrize("heard", [True, False], ids=["by callbacks", "by asking"])
@pytest.mark.parametrize(
    ("dials", "remote_state", "sale_state"),
    [
        ({}, "completed", "completed"),
        ({"held": 1}, "completed", "completed"),
        ({"rejected": 1}, "rejected", "rejected"),
        ({"cancelled": 1}, "cancelled", "cancelled"),
        ({"failed": 1}, "failed", "rejected"),
        ({"partial": 1}, "partial", "completed"),
    ],
)
async def test_each_end_of_an_order(
    desk, dials, remote_state, sale_state, heard, simulator, stored
):
    simulator.dial(**QUICK, **dials, callback_lost=0 if heard else 1)
    sale_id = await desk.sell((Line("SPEED-1000", 1), Line("TV-4K", 1)))
    await desk.send(sale_id)
    await finish(desk, [sale_id])
    sync, sale = await desk.sync(sale_id), await desk.sale(sale_id)
    assert (sync.state, sync.remote_state) == (SyncState.FINISHED, remote_state)
    assert sale.state.value == sale_state
    assert (sale.rejected_reason is not None) is (sale_state in ("rejected", "cancelled"))
    assert bool(await desk.callbacks()) is heard
    assert stored() == once_each([sale_id])


@pytest.mark.parametrize(
    "dials",
    [
        {"callback_duplicate": 1},
        {"callback_late": 1, "callback_late_seconds": 0.5},
        {"callback_out_of_order": 1, "held": 1},
        {"callback_lost": 0.5},
    ],
    ids=lambda dials: next(iter(dials)),
)
async def test_callbacks_that_come_wrongly_end_rightly(desk, dials, simulator, stored):
    simulator.dial(**QUICK, **dials)
    sale_ids = [await desk.sell() for _ in range(8)]
    await work_off(desk)
    await finish(desk, sale_ids)
    assert set(await desk.states(sale_ids)) == {"completed"}
    assert stored() == once_each(sale_ids)
    if "callback_duplicate" in dials:
        # Each event is sent twice and counts once; the last may come after an order that was asked
        # for has ended.
        events = 3 * len(sale_ids)
        async with asyncio.timeout(20):
            while (  # noqa: ASYNC110 - the other side could not tell us
                len(await desk.callbacks()) < events
                or simulator.counts()["events"].get("callback_duplicate", 0) < events
            ):
                await asyncio.sleep(0.05)
        assert len(await desk.callbacks()) == events
        assert simulator.counts()["events"]["callback_duplicate"] == events
    verdicts = Counter(each.verdict for each in await desk.callbacks())
    assert not verdicts.keys() & {"received", "not_ours", "contradicts"}
