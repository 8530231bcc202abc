"""A server that is killed in the middle of an upload: the phone goes on from where it really is."""

import asyncio
import sys
from contextlib import suppress

import httpx
from sqlalchemy import select, text

from app.auth import tokens
from app.auth.keys import KeyRing
from app.auth.rules import Role
from app.core.clock import wall
from app.demo.processes import Process, free_port
from app.evidence.models import Evidence
from app.evidence.service.receiving import PIECE
from app.evidence.storage import Storage
from tests.make.auth import caller_for, make_org_unit
from tests.make.evidence import Upload, photo
from tests.make.technicians import make_technician
from tests.make.visits import Phone, make_assigned_order

AT_ONCE = 64 * 1024


async def ready(http, process):
    while True:
        assert process.alive(), process.tail()
        with suppress(httpx.TransportError):
            if (await http.get("/healthz")).status_code == 200:
                return
        await asyncio.sleep(0.05)


async def arranged(database, clock, settings, http):
    """A technician who holds an order, and a phone with a good token."""
    async with database.begin() as tx:
        unit = await make_org_unit(tx)
        technician = await make_technician(tx, org_unit=unit)
        order = await make_assigned_order(tx, technician, now=wall())
        await tx.execute(text("UPDATE work_order SET state = 'acknowledged'"))
    caller = caller_for(Role.TECHNICIAN, unit, technician_id=technician.id)
    token = tokens.issue(KeyRing.load(settings.signing_keys), settings, caller, wall())
    return Phone(http, {"authorization": f"Bearer {token}"}, clock, technician), order


async def test_an_upload_outlives_the_server_byte_for_byte(
    real_database, real_http, clock, settings, tmp_path
):
    url = real_database.engine.url.set(drivername="postgresql")
    port = free_port()
    server = Process(
        "api",
        [sys.executable, "-m", "app.cli", "serve", "--port", str(port)],
        {
            "DATABASE_URL": url.render_as_string(hide_password=False),
            "YINGWEI_SIGNING_KEYS": str(settings.signing_keys),
            "YINGWEI_EVIDENCE_FOLDER": str(settings.evidence_folder),
            "YINGWEI_LOG_LEVEL": "WARNING",
        },
        tmp_path / "api.log",
    )
    data = photo(900, 700, kind="PNG", compress_level=0)
    sent, stalled = 3 * PIECE + PIECE // 2, asyncio.Event()
    assert len(data) > sent + PIECE

    async def trickling():
        for begins in range(0, sent, AT_ONCE):
            yield data[begins : min(begins + AT_ONCE, sent)]
        stalled.set()
        await asyncio.sleep(60)

    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as http:
        phone, order = await arranged(real_database, clock, settings, http)
        going = Upload(phone, order, data)
        server.start()
        try:
            await ready(http, server)
            assert (await going.announce()).status_code == 201
            sending = asyncio.create_task(going.send(trickling(), 0))
            await stalled.wait()
            await until_stored(real_database, sent - 2 * PIECE)
        finally:
            server.kill()
        sending.cancel()
        with suppress(httpx.TransportError, asyncio.CancelledError):
            await sending
    # Another server takes over: a piece is lost at most, and what was still on its way into it.
    phone.http = real_http
    there = await going.stands()
    assert sent - 2 * PIECE <= there <= sent
    assert (await going.send(data[there:], there)).status_code == 204
    assert await going.stands() == len(data)
    async with real_database.read() as read:
        assert (await read.scalars(select(Evidence))).one().state == "stored"
    assert await Storage.of(settings).read(going.id, "sent") == data


async def until_stored(database, received):
    async with database.read() as read:
        for _ in range(2_000):
            if await read.scalar(text("SELECT received FROM evidence")) >= received:
                return
            await asyncio.sleep(0.01)
    raise AssertionError("the pieces are not stored as they come")
