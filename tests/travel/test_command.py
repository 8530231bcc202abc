"""`yingwei travel learn`: what a supervisor's administrator sees of a night's learning."""

import io
from datetime import date, timedelta

from rich.console import Console

from app.core.clock import CompressedClock, wall
from app.core.settings import Settings
from app.travel import command
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
