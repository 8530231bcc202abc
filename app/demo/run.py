"""`yingwei demo`: database, city, processes, the day, the account; then serving until Ctrl-C."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from datetime import time as clock_time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from app import tables  # noqa: F401 - loading the city needs every room's tables
from app.core.clock import AwaitedClock, Clock, CompressedClock, wall
from app.core.cluster import Cluster
from app.core.db import open_database
from app.core.settings import Settings
from app.demo.account import Account
from app.demo.day import Day
from app.demo.learning import begin_with_experts
from app.demo.offices import Arrival
from app.demo.play import Cast, play
from app.demo.processes import House, Misbehaviour, free_port, house, is_free
from app.migrating import upgrade
from seed import city as cities
from seed.city import City
from seed.day import Residents, working_day
from seed.load import load_city
from seed.people import ZONE

STARTS, LENGTH = clock_time(7, 30), timedelta(hours=11)
WISHED_PORT = 8000
# The other side of the demo misbehaves a little, as real ordering systems do.
DIALS = {
    "error_before": 0.03,
    "error_after": 0.02,
    "cut_after": 0.02,
    "too_many": 0.02,
    "accepted": 0.2,
    "callback_lost": 0.05,
    "callback_duplicate": 0.1,
    "callback_late": 0.1,
    "callback_late_seconds": 2,
    "seconds_to_start": 0.3,
    "seconds_to_complete": 1.5,
}
# So does the platform that opens lines, and now and then there is no light at a port.
PLATFORM_DIALS = {
    "error_before": 0.03,
    "error_after": 0.02,
    "cut_after": 0.02,
    "seconds_to_finish": 0.3,
    "no_light": 0.06,
    "platform_busy": 0.03,
}
PROVIDER_DIALS = {"error_before": 0.02, "error_after": 0.01}
# And the system that checks documents knows some names otherwise.
REGISTER_DIALS = {"error_after": 0.02, "mismatch": 0.04}
# And what the register of lines says now and then is not what the customer's record said.
LINE_DIALS = {"error_before": 0.02, "slow": 0.03, "no_free_port": 0.02}


@dataclass(frozen=True)
class Wishes:
    """How the demo is to be played: see `yingwei demo --help`."""

    keep: bool
    seconds: float
    orders: int
    technicians: int
    folder: Path
    port: int | None


def run(wishes: Wishes) -> int:
    """Play the demo's day in about `seconds` and give an exit code: 0 when all is accounted for.

    With `keep` the database stays in `folder` and everything goes on serving until Ctrl-C;
    otherwise all of it is thrown away after the day. DATABASE_URL set means that database.
    """
    # Started in the background by a shell, Ctrl-C would be ignored and nothing would stop the demo.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    console = Console()
    if not wishes.keep:
        wishes = replace(wishes, folder=Path(tempfile.mkdtemp(prefix="yingwei-demo-")))
    try:
        with _database(wishes.folder, keep=wishes.keep, console=console) as url:
            return _run(url, console, wishes)
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running 已停止")
        return 130
    finally:
        if not wishes.keep:
            shutil.rmtree(wishes.folder, ignore_errors=True)


def _run(url: str, console: Console, wishes: Wishes) -> int:
    folder = wishes.folder
    with console.status("bringing the tables up to date"):
        upgrade(url)
    city = cities.build()
    asyncio.run(_load(url, city, console))
    hour = _Hour(folder / "hour.json")
    clock = hour.clock()
    others = (DIALS, PLATFORM_DIALS, PROVIDER_DIALS, REGISTER_DIALS, LINE_DIALS)
    dials = Misbehaviour(*(json.dumps(each) for each in others))
    chosen = wishes.port or (WISHED_PORT if is_free(WISHED_PORT) else free_port())
    with house(
        database_url=url, clock=clock.text(), folder=folder, port=chosen, dials=dials
    ) as running:
        speed = LENGTH.total_seconds() / wishes.seconds
        day = Day(clock, hour.starts, hour.starts + LENGTH, speed)
        account = asyncio.run(_play(running, city, day, hour, console, wishes))
        if wishes.keep:
            _say_where(console, running)
            _serve(running, hour, clock, console)
        return 0 if not account.faults else 1


async def _play(
    running: House, city: City, day: Day, hour: "_Hour", console: Console, wishes: Wishes
) -> Account:
    messages = working_day(city, orders=wishes.orders)
    names: dict[str, list[str]] = {}
    for account in city.accounts:
        names.setdefault(account.role.value, []).append(account.username)
    cast = Cast(
        technicians=[] if hour.played else _some(names["technician"], wishes.technicians),
        supervisors=[] if hour.played else names["supervisor"],
        integration=names["integration"][0],
        admin=names["admin"][0],
        password=cities.DEMO_PASSWORD,
        phones=wishes.folder / "phones",
        arrivals=[
            Arrival(message.at, dict(message.body), contradicts=message.contradicts)
            for message in messages
        ],
        customers=Residents(city, messages),
    )
    keeping = asyncio.create_task(hour.keep(day.clock))
    try:
        found = await play(
            running, cast, day, console, seed=city.seed, begin=lambda: hour.begin(day)
        )
        hour.played = True
        return found
    finally:
        keeping.cancel()


def _some(names: Sequence[str], number: int) -> list[str]:
    """Choose so many, of all branches: their people stand one branch after the other."""
    return [names[nth * len(names) // number] for nth in range(number)]


async def _load(url: str, city: City, console: Console) -> None:
    """Load the demo city; what is there already is left as it is."""
    database = open_database(Settings(database_url=url))
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("the demo city")

            def step(what: str, number: int, steps: int) -> None:
                progress.update(task, description=what, completed=number - 1, total=steps)

            reports = await load_city(database, city, progress=step)
        starts = datetime.combine(cities.DAY, STARTS, ZONE)
        await begin_with_experts(database, starts.astimezone(UTC), console)
    finally:
        await database.close()
    made = sum(report.inserted for report in reports)
    console.print(
        f"the demo city: {len(city.grids)} grids, {len(city.technicians)} technicians,"
        f" {len(city.households):,} customers ({made:,} rows new)"
    )


@contextlib.contextmanager
def _database(folder: Path, *, keep: bool, console: Console) -> Iterator[str]:
    """Give the address of the demo's database: DATABASE_URL's, or one in a private cluster."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given
        return

    def say(words: str) -> None:
        console.print(f"[dim]{words}[/dim]")

    if keep:
        with Cluster(folder / "pg", say=say) as cluster:
            yield cluster.create_database("yingwei")
    else:
        with Cluster.throw_away(say=say) as cluster:
            yield cluster.create_database("yingwei")


class _Hour:
    """The demo's hour, written down every second, so that a day cut off goes on where it was."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.starts = datetime.combine(cities.DAY, STARTS, ZONE)
        # Once everybody has gone home there is nothing left to play, only to show.
        self.played = False

    def clock(self) -> AwaitedClock:
        """Make the clock for what is left of the day, which stands until it begins."""
        now = self.starts
        if self._path.exists():
            written = json.loads(self._path.read_text())
            now, self.played = datetime.fromisoformat(written["now"]), written["played"]
        path = self._path.with_name("clock")
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        return AwaitedClock(now.astimezone(UTC), path)

    def begin(self, day: Day) -> None:
        """Let the clock of a day go on from where it stands until the day is over."""
        assert isinstance(day.clock, AwaitedClock)
        left = max(day.ends - day.clock.starts, timedelta())
        day.clock.begin(CompressedClock(day.clock.starts, wall(), day.speed, left))

    def write(self, now: datetime) -> None:
        """Write the hour down, whole or not at all."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps({"now": now.isoformat(), "played": self.played}))
        fresh.replace(self._path)

    async def keep(self, clock: Clock) -> None:
        """Write the hour down from time to time until cancelled."""
        while True:
            self.write(clock.now())
            await asyncio.sleep(1)


def _say_where(console: Console, running: House) -> None:
    console.print(
        f"\nThe API serves at [bold]{running.api_url}[/bold] — its description:"
        f" {running.api_url}/docs\n"
        f"  supervisor 班组长   supervisor-b01 / {cities.DEMO_PASSWORD}\n"
        f"  technician 装维人员 t001 / {cities.DEMO_PASSWORD}\n"
        f"  administrator       admin / {cities.DEMO_PASSWORD}\n"
        f"The ordering simulator:   {running.ordering_url}\n"
        f"The activation simulator: {running.activation_url}\n"
        f"The messaging simulator:  {running.messaging_url} — a phone: /inbox/{{number}}\n"
        f"The real-name simulator:  {running.real_name_url}\n"
        f"The serviceability simulator: {running.serviceability_url}\n"
        "Stop with Ctrl-C. 按 Ctrl-C 停止。"
    )


def _serve(running: House, hour: _Hour, clock: Clock, console: Console) -> None:
    """Keep serving until Ctrl-C, starting again what has died."""
    while True:
        time.sleep(1)
        hour.write(clock.now())
        for process in running.processes:
            if not process.alive():
                console.print(f"[yellow]{process.name} died; starting it again[/yellow]")
                running.start(process)
