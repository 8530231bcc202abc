"""The API is killed with SIGKILL in the middle of a push: started again, it carries each action out
once, and the phone loses nothing."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import text

from app.core.clock import CompressedClock, wall
from app.phone.drawings import signature
from app.phone.line import NoSignal
from app.phone.rules import Stage
from app.phone.store import Store
from tests.conftest import MONDAY_NINE
from tests.make.catalog import make_offering
from tests.make.customers import make_customer
from tests.make.phones import make_reference_phone
from tests.make.processes import Api
from tests.make.races import until_waiting
from tests.make.visits import LAT, LON, at, make_assigned_order, make_phone

# What there is of each thing that was done.
EFFECTS = """
    SELECT 'step ' || step, count(*) FROM work_order_event WHERE device_at IS NOT NULL GROUP BY step
    UNION ALL SELECT 'visit', count(*) FROM visit
    UNION ALL SELECT 'note', count(*) FROM visit WHERE note = '换了光猫'
    UNION ALL SELECT 'sale ' || state, count(*) FROM sale GROUP BY state
    UNION ALL SELECT 'sold', count(*) FROM sale_item
    UNION ALL SELECT 'picture ' || state, count(*) FROM evidence GROUP BY state
    UNION ALL SELECT 'sale to be ordered', count(*) FROM procrastinate_jobs
        WHERE task_name = 'sale.confirmed'
    UNION ALL SELECT 'action ' || verdict, count(*) FROM sync_action GROUP BY verdict
"""
ONCE = {
    "step acknowledge": 1,
    "step travel": 1,
    "step check_in": 1,
    "step restore": 1,
    "step complete": 1,
    "visit": 1,
    "note": 1,
    "sale confirmed": 1,
    "sold": 1,
    "picture stored": 1,
    "sale to be ordered": 1,
    "action applied": 9,
}


class Network(httpx.AsyncBaseTransport):
    """A network that remembers what was pushed; with `dies` the API is killed as soon as it has
    answered a push, and whatever it answers is lost."""

    def __init__(self, api):
        self.to, self.api, self.dies, self.pushed = httpx.AsyncHTTPTransport(), api, False, []

    async def handle_async_request(self, request):
        push = (request.method, request.url.path) == ("POST", "/v1/sync")
        if push:
            self.pushed.append(request)
        answer = await self.to.handle_async_request(request)
        if push and self.dies:
            self.api.process.kill()
            await answer.aclose()
            raise httpx.ReadError("the answer was lost")
        return answer


async def test_each_action_has_one_effect_whenever_the_api_is_killed(
    real_database, real_app, real_http, clock, tmp_path
):
    async with real_database.begin() as tx:
        hand = await make_phone(tx, real_app, real_http, clock)
        customer, offering = await make_customer(tx), await make_offering(tx)
        order = await make_assigned_order(tx, hand.technician, customer, now=clock.now())
    url = real_database.engine.url.set(drivername="postgresql")
    day = CompressedClock(MONDAY_NINE, wall(), 1.0, timedelta(hours=1))
    # What waits for the lock is not given up while the API starts again, however slow the machine.
    patient = {"YINGWEI_STATEMENT_TIMEOUT_SECONDS": "240"}
    api = Api(url.render_as_string(hide_password=False), day, tmp_path, **patient)
    network = Network(api)
    async with (
        AsyncExitStack() as ends,
        httpx.AsyncClient(transport=network, base_url=api.url) as http,
    ):
        ends.push_async_callback(network.to.aclose)
        ends.callback(api.process.kill)
        phone = make_reference_phone(tmp_path, hand, http, store=Store(tmp_path / "phone"))

        async def pushed_again():
            """Send the first push once more, as a network does that was late with it."""
            first = network.pushed[0]
            headers = {k: v for k, v in first.headers.items() if k != "content-length"}
            return await http.post("/v1/sync", content=first.content, headers=headers)

        await api.start()
        await phone.sync()
        order_id = str(order.id)
        for step in ("take", "go"):
            phone.step(step, order_id)
        phone.step("arrive", order_id, point=at(LON, LAT))
        phone.step("restored", order_id)
        phone.sell(
            order_id, [offering.code], signature=signature("1"), strokes=b"1", stroke_count=9
        )
        phone.step("note", order_id, checked=[], note="换了光猫")
        phone.step("finish", order_id, outcome_code="fixed")
        waiting = phone.store.done(waiting=True)

        # Killed with half of the actions carried out, while the next one waits for a lock. What the
        # dead had begun goes on to wait in the database, and keeps waiting who comes again.
        async with real_database.begin() as holding:
            await holding.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            await holding.execute(text("LOCK TABLE sale IN SHARE MODE"))
            syncing = asyncio.create_task(phone.sync())
            await until_waiting(real_database)
            await asyncio.to_thread(api.process.kill)
            with pytest.raises(NoSignal):
                await syncing
            await api.start()
            network.dies = True
            both = [asyncio.create_task(phone.sync()), asyncio.create_task(pushed_again())]
            await until_waiting(real_database, number=3)
            assert await effects(real_database) == {}
        # Killed when it has committed one of the two, and nobody hears of it.
        lost = await asyncio.gather(*both, return_exceptions=True)
        assert isinstance(lost[0], NoSignal) and isinstance(lost[1], httpx.TransportError), lost
        assert phone.store.done(waiting=True) == waiting
        assert (await effects(real_database))["action applied"] == len(waiting) == 9

        # Another process goes on in its place.
        network.to, network.dies = real_http._transport, False
        clock.tick(timedelta(minutes=10))
        _, *answers = await asyncio.gather(phone.sync(), pushed_again(), pushed_again())
        for answer in answers:
            assert {one["verdict"] for one in answer.json()["verdicts"]} == {"duplicate"}
        assert {one.stage for one in phone.store.done()} == {Stage.APPLIED}
        assert phone.store.pictures() == []
        assert await effects(real_database) == ONCE

        # It knows what a phone knows that begins anew.
        await phone.sync()
        fresh = make_reference_phone(tmp_path, hand, http, store=Store(tmp_path / "fresh"))
        await fresh.sync()
        assert phone.order(order_id).state == "completed"
        assert phone.store.tables() == fresh.store.tables()


async def effects(database):
    """Count what there is of what was done."""
    async with database.read() as read:
        found = await read.execute(text(EFFECTS))
        return {what: number for what, number in found if number}
