"""`yingwei travel`: what an administrator sees of a night's learning, and of asking about roads."""

import asyncio
import contextlib
import io
from datetime import date, timedelta

import orjson
from rich.console import Console
from sqlalchemy import select

from app.core.clock import CompressedClock, wall
from app.core.settings import Settings
from app.travel import command
from app.travel.models import TravelRoad
from tests.conftest import MONDAY_NINE
from tests.make.dispatch import make_territory
from tests.make.history import History, drive_days

WEEK = [date(2026, 3, 1) - timedelta(days=back) for back in range(4, -1, -1)]


async def test_it_tells_how_many_ways_and_how_much_better(real_database, tmp_path):
    async with real_database.begin() as tx:
        land = await make_territory(tx, grids=2)
        people = [await land.add_technician(None) for _ in range(6)]
        history = History()
        drive_days(history, land.grids, people, WEEK, lambda *_: 0.8)
        await history.write(tx)
    clock = CompressedClock(MONDAY_NINE, wall(), 1.0, timedelta(days=1))
    url = real_database.engine.url.render_as_string(hide_password=False)
    settings = Settings(database_url=url, signing_keys=tmp_path / "keys", clock=clock.text())
    said = io.StringIO()
    learned = await command._learn(settings, Console(file=said, width=120))
    assert [one.trips for one in learned] == [6 * 7] * 5
    assert "5 nights, 210 ways" in said.getvalue()
    assert "4 pairs of grids" in said.getvalue()
    rows = [line.split("│") for line in said.getvalue().splitlines() if "2026-" in line]
    days = {row[1].strip(): [int(cell.split()[0]) for cell in row[4:6]] for row in rows}
    first, last = days["2026-02-25"], days["2026-03-01"]
    assert first[0] == first[1]
    assert last[1] < last[0] / 2
    said.truncate(0)
    assert await command._learn(settings, Console(file=said, width=120)) == []
    assert "every night that is over is learned from" in said.getvalue()


@contextlib.asynccontextmanager
async def serving(durations):
    """Serve one answer of OSRM's to every request; gives the address."""

    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        body = orjson.dumps({"code": "Ok", "durations": [durations]})
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_roads_are_asked_about_at_once(real_database, tmp_path):
    async with real_database.begin() as tx:
        await make_territory(tx, grids=2)
    url = real_database.engine.url.render_as_string(hide_password=False)
    said = io.StringIO()
    async with serving([240.0]) as engine:
        settings = Settings(database_url=url, signing_keys=tmp_path / "keys", routing_url=engine)
        assert await command._roads(settings, Console(file=said, width=120))
    assert "the roads from 2 grids are known" in said.getvalue()
    async with real_database.read() as read:
        assert len(list(await read.scalars(select(TravelRoad)))) == 2


async def test_without_an_engine_or_an_answer_it_says_so(real_database, tmp_path):
    async with real_database.begin() as tx:
        await make_territory(tx, grids=2)
    url = real_database.engine.url.render_as_string(hide_password=False)
    said = io.StringIO()
    settings = Settings(database_url=url, signing_keys=tmp_path / "keys")
    assert not await command._roads(settings, Console(file=said, width=120))
    assert "YINGWEI_ROUTING_URL" in said.getvalue()
    away = settings.model_copy(update={"routing_url": "http://127.0.0.1:9"})
    assert not await command._roads(away, Console(file=said, width=120))
    assert "does not answer (no answer: ConnectError)" in said.getvalue()
