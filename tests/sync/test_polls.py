"""Polls that bring nothing: answered from memory, and never a moment longer than they are true."""

import asyncio
import io

import pytest
from sqlalchemy import text

from app.core.errors import Unavailable
from tests.make.commands import told
from tests.make.counting import counted
from tests.make.visits import make_assigned_order, make_phone
from tests.sync.stores import Store


@pytest.fixture
async def phone(real_database, real_app, real_http, clock):
    async with real_database.begin() as tx:
        return await make_phone(tx, real_app, real_http, clock)


async def asked(store, times=1):
    return [one.status_code for one in await asyncio.gather(*(store.ask() for _ in range(times)))]


async def test_a_poll_is_answered_from_memory_until_there_is_news(
    real_app, real_database, phone, clock, monkeypatch
):
    store = Store(phone, tags=True)
    await store.pull()
    # The first is looked at in full, the second by whoever has news, and so are fifty together.
    for _ in range(2):
        assert await asked(store) == [304]
    with counted(real_database) as sent:
        assert await asked(store, 50) == [304] * 50
    assert len(sent) == 1
    answer = await store.ask()
    assert answer.headers["etag"] == store.etag and answer.headers["x-request-id"]

    async with real_database.begin() as tx:
        order = await make_assigned_order(tx, phone.technician, now=clock.now())
    assert await asked(store) == [200]
    await store.pull()
    assert list(store["work_orders"]) == [str(order.id)]
    assert await asked(store) == await asked(store) == [304]

    # A token that is over is not let in by what is remembered of it.
    real_app.state.keys.proved.clear()
    real_app.state.polls._settings = real_app.state.settings.model_copy(update={"issuer": "x"})
    assert await asked(store) == [304]
    real_app.state.polls._settings = real_app.state.settings

    # What cannot be known is asked of the database, and that is not there.
    def lost(request=None, *, fresh=False):
        raise Unavailable(retry_after=2, reason="57P01")

    assert await asked(store) == [304]
    with monkeypatch.context() as patch:
        for way in ("hot", "begin"):
            patch.setattr(real_database, way, lost)
        assert await asked(store) == [503]
    assert await asked(store) == await asked(store) == [304]

    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE account SET active = false"))
    assert await asked(store) == [403]
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE account SET active = true"))
    await store.pull()
    assert await asked(store) == [304]

    # A wipe is news as soon as it is asked for, whether a worker is there or not.
    await real_app.state.seen.write_down(real_database)
    async with real_database.begin() as tx:
        await tx.execute(
            text(
                "INSERT INTO device_wipe (id, device_id, asked_at, asked_by, reason)"
                " SELECT gen_random_uuid(), id, now(), account_id, 'lost' FROM device"
            )
        )
    assert await asked(store) == [403]
    async with real_database.begin() as tx:
        await tx.execute(text("UPDATE device_wipe SET withdrawn_at = now()"))
    await store.pull()
    assert await asked(store) == await asked(store) == [304]

    # Put back to an earlier moment of itself, a database does not know of it; its operator does.
    env = {"DATABASE_URL": real_database.engine.url.render_as_string(hide_password=False)}
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    ended = await told("sync", "begin-anew", env=env)
    assert (ended.returncode, await asked(store)) == (1, [304])
    ended = await told("sync", "begin-anew", "--yes", env=env)
    assert (ended.returncode, ended.stdout.split()[0]) == (0, "epoch:")
    assert await asked(store) == [410]
