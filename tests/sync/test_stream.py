"""The stream of a phone, on a real server and with real commits."""

import asyncio
import contextlib
import dataclasses
from datetime import timedelta
from unittest.mock import patch

import httpx
import pytest
from sqlalchemy import text

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import new_id
from app.core.events import EventStream, event
from app.sync.queries import feed
from app.sync.rules.cursor import Cursor
from app.sync.rules.live import MOST_NAMED, ChangedTables, told_of
from app.sync.rules.tables import EVERYBODY, Kind
from tests.conftest import nobody_has_a_connection_of
from tests.make.auth import bearer, caller_for
from tests.make.streams import PATIENCE, Listener, served
from tests.make.visits import make_assigned_order, make_phone


@pytest.fixture
async def server(real_app):
    async with served(real_app) as address:
        yield address
        real_app.state.news.stop()


@pytest.fixture
async def phone(real_app, real_http, real_database, clock):
    async with real_database.begin() as tx:
        return await make_phone(tx, real_app, real_http, clock)


@pytest.fixture
def listen(server, phone):
    """Listen as a phone does."""

    @contextlib.asynccontextmanager
    async def listen(since=None, name="phone-1", headers=None):
        headers = {**(headers or phone.headers), "x-device-id": name}
        if since is not None:
            headers["last-event-id"] = str(since)
        async with (
            httpx.AsyncClient(timeout=PATIENCE) as client,
            client.stream("GET", f"{server}/v1/stream", headers=headers) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            assert answer.headers["content-type"].startswith("text/event-stream")
            yield Listener(answer)

    return listen


@pytest.fixture
def touch(real_database):
    """Commit that something may have changed for somebody."""

    async def touch(technician_id, kind=Kind.TERMINAL, row_id=None):
        row_id = row_id or new_id()
        async with real_database.begin() as tx:
            await feed.touch(tx, [(technician_id, kind, row_id)])
        return row_id

    return touch


async def over(listener):
    last = await listener.next()
    with pytest.raises(AssertionError, match="ended"):
        await listener.next()
    return last.name, last.data


async def test_it_tells_what_is_committed_and_goes_on_where_it_was_interrupted(
    listen, phone, real_database, touch, clock
):
    mine = phone.technician.id
    async with listen() as listener:
        assert (await listener.next()).name == "reset"
        async with real_database.begin() as tx:
            order = await make_assigned_order(tx, phone.technician, now=clock.now())
        told = await listener.next()
        assert told.name == "changed"
        assert {"photos", "suggestions", "visits", "work_orders"} <= set(told.data["tables"])
        assert told.data["ids"]["work_orders"] == [str(order.id)]
        # Of others it hears nothing, of everybody it does.
        await touch(new_id())
        offering = await touch(EVERYBODY, Kind.OFFERING)
        event = await listener.next()
        assert event.data == {"tables": ["offerings"], "ids": {"offerings": [str(offering)]}}
    missed = await touch(mine)
    async with listen(since=event.id) as listener:
        event = await listener.next()
        # What other transactions outlast, also those of other databases, may be told again.
        assert event.data["ids"]["terminals"] == [str(missed)]
    # A pull's timestamp is as good, and whoever has missed nothing is told nothing.
    pulled = (await phone.get("/sync")).json()["timestamp"]
    with patch("app.core.events.HEARTBEAT", 0.05):
        async with listen(since=pulled) as listener:
            assert int(await listener.heartbeat()) >= pulled
    # What is not understood is answered like nothing.
    for since in (Cursor(1, 2**40).number, 2**60, 7):
        async with listen(since=since) as listener:
            assert (await listener.next()).name == "reset"


async def test_what_was_told_hides_nothing_behind_it(
    listen, phone, real_database, touch, monkeypatch
):
    monkeypatch.setattr(feed, "LINES", 2)
    written, go_on = asyncio.Event(), asyncio.Event()

    async def slowly():
        async with real_database.begin() as tx:
            await tx.execute(text("SELECT pg_current_xact_id()"))
            written.set()
            await go_on.wait()

    slow = asyncio.create_task(slowly())
    await written.wait()
    async with listen() as listener:
        await listener.next()
        # While a transaction goes on, everything since it began is looked at again and again.
        for _ in range(5):
            await touch(phone.technician.id)
            assert (await listener.next()).data["tables"] == ["terminals"]
    go_on.set()
    await slow


async def test_a_phone_has_one_stream_the_newest(listen, real_app, real_database):
    async with listen() as first, listen(name="phone-2") as beside:
        await first.next()
        await beside.next()
        async with listen() as second:
            assert await over(first) == ("end", {"reason": "replaced"})
            assert (await second.next()).name == "reset"
            # One that was begun at another process is found by looking.
            async with real_database.begin() as tx:
                await tx.execute(
                    text(
                        "UPDATE device_stream AS s SET process_id = gen_random_uuid()"
                        " FROM device AS d WHERE d.id = s.device_id AND d.name = 'phone-2'"
                    )
                )
            real_app.state.live._hurry.set()
            assert await over(beside) == ("end", {"reason": "replaced"})
    # Streams that are over are not there any more, and neither are those who look after them.
    while real_app.state.live._streams or real_app.state.live._closed:
        real_app.state.live._hurry.set()
        await asyncio.sleep(0.02)
    async with real_database.read() as read:
        left = await read.scalars(text("SELECT process_id FROM device_stream"))
        assert real_app.state.live._process_id not in set(left)


async def test_it_ends_with_the_token_with_the_sign_in_and_with_the_server(
    listen, real_app, real_database, phone
):
    with patch("app.auth.tokens.good_until", return_value=wall()):
        async with listen() as listener:
            assert await over(listener) == ("end", {"reason": "expired"})
    session_id = new_id()
    async with real_database.begin() as tx:
        [(account_id, unit_id)] = await tx.execute(
            text("SELECT id, org_unit_id FROM account WHERE technician_id = :id"),
            {"id": phone.technician.id},
        )
        await tx.execute(
            text(
                "INSERT INTO refresh_token (id, account_id, family_id, token_hash, scopes,"
                " expires_at) VALUES (gen_random_uuid(), :account, :family, 'x', '{}', :until)"
            ),
            {"account": account_id, "family": session_id, "until": wall() + timedelta(days=1)},
        )
        unit = (
            await tx.execute(text("SELECT id, path FROM org_unit WHERE id = :id"), {"id": unit_id})
        ).one()
    caller = caller_for(
        Role.TECHNICIAN, unit, account_id=account_id, technician_id=phone.technician.id
    )
    headers = bearer(real_app, dataclasses.replace(caller, session_id=session_id))
    live = real_app.state.live
    async with listen(headers=headers) as listener:
        await listener.next()
        live._hurry.set()
        await asyncio.sleep(0.05)
        async with real_database.begin() as tx:
            await tx.execute(text("UPDATE refresh_token SET revoked_at = now()"))
        live._hurry.set()
        assert await over(listener) == ("end", {"reason": "signed_out"})
    async with listen() as listener:
        await listener.next()
        real_app.state.news.stop()
        assert await over(listener) == ("end", {"reason": "server_stops"})


async def test_a_phone_that_is_to_be_emptied_is_told_at_once(
    listen, server, phone, real_app, real_database
):
    async with listen() as listener:
        await listener.next()
        async with real_database.begin() as tx:
            [(wipe_id,)] = await tx.execute(
                text(
                    "INSERT INTO device_wipe (id, device_id, asked_at, asked_by, reason)"
                    " SELECT gen_random_uuid(), id, now(), account_id, 'lost' FROM device"
                    " RETURNING id"
                )
            )
        assert await over(listener) == ("wipe", {"wipe_id": str(wipe_id)})
    async with httpx.AsyncClient() as client:
        headers = {**phone.headers, "x-device-id": "phone-1", "accept-language": "en"}
        refused = await client.get(f"{server}/v1/stream", headers=headers)
        assert (refused.status_code, refused.json()["facts"]["wipe_id"]) == (403, str(wipe_id))
        async with real_database.begin() as tx:
            await tx.execute(text("UPDATE account SET active = false"))
        refused = await client.get(f"{server}/v1/stream", headers=phone.headers)
        assert refused.json()["type"].endswith("access-revoked")
        elsewhere = OrgUnit(id=new_id(), path="gd.")
        supervisor = bearer(real_app, caller_for(Role.SUPERVISOR, elsewhere))
        assert (await client.get(f"{server}/v1/stream", headers=supervisor)).status_code == 403
        assert (await client.get(f"{server}/v1/stream")).status_code == 401


async def test_there_are_only_so_many_at_once(server, listen, phone, real_app):
    with patch.object(real_app.state.live, "_most", 1):
        async with listen() as listener:
            await listener.next()
            async with httpx.AsyncClient() as client:
                headers = {**phone.headers, "x-device-id": "phone-2"}
                refused = await client.get(f"{server}/v1/stream", headers=headers)
                assert (refused.status_code, refused.headers["retry-after"]) == (503, "30")


# --- without a database ---------------------------------------------------------------------------


async def forever():
    """Wait for what never comes."""
    await asyncio.Event().wait()


async def test_a_reader_who_does_not_take_what_is_there_is_left():
    given = []

    async def events():
        try:
            while True:
                given.append(event("changed", {}))
                yield given[-1]
        finally:
            given.append(b"over")

    async def send(message):
        if len(given) > 3:
            await forever()

    async with asyncio.timeout(5):
        await EventStream(events(), stalled=0.05)({"type": "http"}, forever, send)
    assert (len(given), given[-1]) == (5, b"over")


async def test_whoever_hangs_up_is_not_waited_for():
    sent, read = [], asyncio.Event()

    async def events():
        yield event("reset", {})
        read.set()
        await forever()

    async def receive():
        await read.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    async with asyncio.timeout(5):
        await EventStream(events())({"type": "http"}, receive, send)
    assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]


async def test_a_look_that_nobody_waits_for_any_more_ends_with_the_server(
    listen, real_app, real_database, monkeypatch
):
    begun = asyncio.Event()

    async def takes_for_ever(driver, asked):
        begun.set()
        await forever()

    monkeypatch.setattr(feed, "look", takes_for_ever)
    async with listen():
        await begun.wait()
    async with asyncio.timeout(5):
        await real_app.state.live.close()
    nobody_has_a_connection_of(real_database)


ONE, TWO = new_id(), new_id()


@pytest.mark.parametrize(
    ("lines", "cut", "told"),
    [
        ([], False, ChangedTables([], {})),
        (
            [(Kind.TERMINAL, ONE, 1), (Kind.TERMINAL, TWO, 1), (Kind.DAY, ONE, 1)],
            False,
            ChangedTables(["days", "terminals"], {"terminals": sorted([str(ONE), str(TWO)])}),
        ),
        (
            [(Kind.HOLDING, ONE, 1)],
            False,
            ChangedTables(
                ["photos", "suggestions", "visits", "work_orders"], {"work_orders": [str(ONE)]}
            ),
        ),
        (
            [(Kind.SUGGESTION, ONE, 1)],
            False,
            ChangedTables(
                ["suggestions", "work_orders"],
                {"suggestions": [str(ONE)], "work_orders": [str(ONE)]},
            ),
        ),
        ([(Kind.TERMINAL, ONE, 1)], True, ChangedTables(["terminals"], {})),
        (
            [(Kind.SALE, new_id(), 1) for _ in range(MOST_NAMED + 1)],
            False,
            ChangedTables(["sales"], {}),
        ),
        # A wipe is no table.
        ([(Kind.DEVICE, ONE, 1)], False, ChangedTables([], {})),
    ],
)
def test_what_an_event_names(lines, cut, told):
    assert told_of(lines, cut=cut) == told
