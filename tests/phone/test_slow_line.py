"""The first sync over a slow line that breaks: the phone asks again, and takes all or nothing."""

import asyncio
import secrets
from datetime import timedelta

import httpx
import orjson
import pytest
from sqlalchemy import text

from app.core.clock import CompressedClock, wall
from app.phone import line
from app.phone.line import NoSignal
from app.phone.store import Store
from tests.conftest import MONDAY_NINE
from tests.make.phones import make_reference_phone
from tests.make.visits import make_assigned_order, make_phone
from tests.phones.network import ANEW, SlowLine
from tests.phones.play import serving

SLOW = 20_000
# That a database's process does nothing, in a transaction that it has begun.
WAITS_IN_A_TRANSACTION = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND state LIKE 'idle in transaction%'
"""


async def test_the_first_sync_comes_to_its_end_over_a_slow_line_that_breaks(
    real_database, real_app, real_http, clock, tmp_path, monkeypatch
):
    async with real_database.begin() as tx:
        hand = await make_phone(tx, real_app, real_http, clock)
        orders = [
            # Words that cannot be packed.
            await make_assigned_order(
                tx, hand.technician, now=clock.now(), summary=secrets.token_hex(1200)
            )
            for _ in range(40)
        ]
    # A line that falls silent is given up sooner than on a real phone.
    monkeypatch.setattr(line, "PATIENCE", httpx.Timeout(1.0))
    url = real_database.engine.url.set(drivername="postgresql")
    day = CompressedClock(MONDAY_NINE, wall(), 1.0, timedelta(hours=1))
    async with (
        serving(url.render_as_string(hide_password=False), day, tmp_path) as api_url,
        SlowLine(api_url, SLOW, breaks=[25_000, 100, -30_000]).served() as slow,
        httpx.AsyncClient(base_url=slow.url, limits=ANEW) as http,
    ):
        for _ in range(3):
            phone = make_reference_phone(tmp_path, hand, http, store=Store(tmp_path))
            with pytest.raises(NoSignal):
                await phone.sync()
            # Of what came there is nothing, and what is asked next is the first sync again.
            assert phone.store["cursor"] is None and phone.store.rows("work_orders") == {}
            async with real_database.read() as read:
                assert await read.scalar(text(WAITS_IN_A_TRANSACTION)) == 0
            phone.store.close()
        began = wall()
        phone = make_reference_phone(tmp_path, hand, http, store=Store(tmp_path))
        done = await phone.sync()
    answer = slow.came[3]
    assert b"content-encoding: " in answer.partition(b"\r\n\r\n")[0].lower()
    # It was a slow line indeed, on which the whole took longer than the phone waits for a word.
    assert wall() - began > timedelta(seconds=len(answer) / SLOW * 0.9) > timedelta(seconds=2)
    assert done.anew
    assert set(phone.store.rows("work_orders")) == {str(one.id) for one in orders}


@pytest.mark.parametrize("path", ["/v1/sync", "/v1/work-orders/{id}/acknowledge"])
async def test_nothing_is_held_in_the_database_while_a_slow_phone_is_still_sending(
    real_database, real_app, real_http, clock, tmp_path, path
):
    async with real_database.begin() as tx:
        hand = await make_phone(tx, real_app, real_http, clock)
        order = await make_assigned_order(tx, hand.technician, now=clock.now())
    said = {"changes": {}} if path == "/v1/sync" else {"device_at": clock.now().isoformat()}
    body = orjson.dumps(said)
    head = [
        f"POST {path.format(id=order.id)} HTTP/1.1",
        "host: yingwei",
        f"authorization: {hand.headers['authorization']}",
        "content-type: application/json",
        f"idempotency-key: {order.id}",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    url = real_database.engine.url.set(drivername="postgresql")
    day = CompressedClock(MONDAY_NINE, wall(), 1.0, timedelta(hours=1))
    async with serving(url.render_as_string(hide_password=False), day, tmp_path) as api_url:
        api = httpx.URL(api_url)
        answer, sending = await asyncio.open_connection(api.host, api.port)
        sending.write("\r\n".join([*head, "", ""]).encode() + body[:5])
        await sending.drain()
        for _ in range(5):
            await asyncio.sleep(0.1)
            async with real_database.read() as read:
                assert await read.scalar(text(WAITS_IN_A_TRANSACTION)) == 0
        sending.write(body[5:])
        assert (await answer.read()).startswith(b"HTTP/1.1 200")
        sending.close()
