"""What the simulator acknowledged outlives SIGKILL, and so does what it still has to do."""

import asyncio
import signal

import httpx

from app.ordering.client.codec_v4 import body_of
from tests.ordering.conftest import bare_answer
from tests.ordering.factory import make_order
from tests.ordering.waiting import until


async def post(http: httpx.AsyncClient, external_id: str) -> bool:
    """Send an order; says whether it was acknowledged."""
    order = body_of(make_order(external_id=external_id))
    try:
        return (await http.post("/productOrder", json=order)).status_code == 201
    except httpx.TransportError:
        return False


async def test_nothing_acknowledged_is_lost_when_it_is_killed_under_load(make_simulator):
    simulator = make_simulator()
    simulator.start()
    acknowledged: set[str] = set()
    running = True

    async def caller(name: str) -> None:
        number = 0
        while running:
            number += 1
            if await post(http, f"{name}-{number}"):
                acknowledged.add(f"{name}-{number}")
            else:
                await asyncio.sleep(0.01)

    async with (
        httpx.AsyncClient(base_url=simulator.base_url, timeout=30) as http,
        asyncio.TaskGroup() as callers,
    ):
        for name in "abcd":
            callers.create_task(caller(name))
        try:
            await until(lambda: len(acknowledged) >= 20, "load")
        finally:
            simulator.kill()
            running = False
    simulator.start()
    stored = [each["externalId"] for each in simulator.orders()]
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))
    # An order whose acknowledgement was under way may be there; never more than one a caller.
    assert len(set(stored) - acknowledged) <= 4


async def test_orders_move_on_and_callbacks_are_sent_after_a_restart(make_simulator, raw_server):
    simulator = make_simulator()
    options = {"callback_url": raw_server.url}
    dials = {"seconds_to_start": 1, "seconds_to_complete": 1.2, "callback_retry_seconds": 0.3}
    raw_server.answer = bare_answer(503)
    simulator.start(options, **dials)
    async with httpx.AsyncClient(base_url=simulator.base_url) as http:
        assert await post(http, "s-1")
    # The first event was refused and waits for its next try; the order waits for its time.
    await until(lambda: raw_server.received, "the first try")
    simulator.kill()
    raw_server.received.clear()
    raw_server.answer = bare_answer(204)
    simulator.start(options, **dials)
    await until(lambda: len(raw_server.received) >= 3, "the third event")
    await until(lambda: simulator.counts()["callbacks_waiting"] == 0, "the last delivery")
    told = [event["event"]["productOrder"]["state"] for event in raw_server.events()]
    # The kill may have come between a delivery and its note, so an event may come twice.
    assert list(dict.fromkeys(told)) == ["acknowledged", "inProgress", "completed"]
    assert [each["state"] for each in simulator.orders()] == ["completed"]


async def test_the_count_of_posts_goes_on_after_a_restart(make_simulator):
    """So the nth POST of an order draws the same fault whether or not it was killed before."""
    simulator = make_simulator()
    simulator.start(error_before=1)
    async with httpx.AsyncClient(base_url=simulator.base_url) as http:
        assert not await post(http, "s-1")
        simulator.kill()
        simulator.start()
        assert await post(http, "s-1")
    assert simulator.posts("s-1") == 2


async def test_a_simulator_with_hanging_requests_stops_when_asked(make_simulator):
    simulator = make_simulator()
    simulator.start(hang_after=1)
    async with httpx.AsyncClient(base_url=simulator.base_url, timeout=30) as http:
        hanging = asyncio.create_task(post(http, "s-1"))
        await until(simulator.orders, "storing the order")
        began = asyncio.get_running_loop().time()
        await asyncio.to_thread(simulator.end, signal.SIGTERM)
        assert asyncio.get_running_loop().time() - began < 8
        assert not await hanging
