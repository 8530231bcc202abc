"""The command line of the simulated week: `python -m benchmarks.week --technicians 20`.

On a database of its own that is thrown away. The exit code is 1 when a rule was broken; the words
then give the seed and the story of the order.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter

import httpx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from app.core.clock import FixedClock
from app.core.cluster import Cluster
from app.core.db import open_database
from app.core.jobs import Worker
from app.core.settings import Settings
from app.main import create_app
from app.migrating import upgrade
from benchmarks.week.simulation import DayCounts, Fault, Scale, Week
from benchmarks.week.town import ZONE, make_branch

MONDAY_SEVEN = datetime(2026, 3, 2, 7, 0, tzinfo=ZONE).astimezone(UTC)
SHOWN = (
    "arrived",
    "appointments",
    "completed",
    "cancelled",
    "declined",
    "handed back",
    "leaves",
    "replans",
    "moved by hand",
    "moves undone",
)
WIDTH = 8


def show(console: Console, days: Sequence[DayCounts], plans: int) -> None:
    """Print what happened, a row a day."""
    table = Table(title="A week of a branch 一周")
    table.add_column("day")
    for name in SHOWN:
        table.add_column(name, justify="right")
    table.add_column("windows kept", no_wrap=True)
    table.add_column("plan / before")
    for day in days:
        counts = day.counts
        kept = counts["appointments met"]
        lost = sum(n for name, n in counts.items() if name.startswith("appointments late"))
        lost += sum(n for name, n in counts.items() if name.startswith("appointments missed"))
        share = kept / (kept + lost) if kept + lost else 1.0
        bar = "█" * round(share * WIDTH)
        cost, before = counts["planned cost"], counts["cost before"]
        table.add_row(
            f"{day.day:%a %d}",
            *(str(counts[name]) for name in SHOWN),
            f"{bar.ljust(WIDTH, '·')} {kept}/{kept + lost}",
            f"{cost / before:.2f}" if before else "-",
        )
    console.print(table)
    for day in days:
        for name, number in sorted(day.counts.items()):
            if name.startswith(("appointments late", "appointments missed", "refused", "no slot")):
                console.print(f"{day.day:%a %d}: {name}: {number}", highlight=False)
    console.print(
        f"No rule was broken; {plans} plans made again from their inputs are the same.",
        highlight=False,
    )


async def play(url: str, folder: Path, given: argparse.Namespace, console: Console) -> None:
    """Play the week on a migrated database. Raises Fault."""
    settings = Settings(database_url=url, signing_keys=folder / "keys", log_level="ERROR")
    clock, database = FixedClock(MONDAY_SEVEN), open_database(settings)
    app = create_app(settings, clock=clock, database=database)
    scale = Scale(given.orders, max(4, given.orders // 3), given.iterations, given.days)
    try:
        async with app.router.lifespan_context(app):
            async with database.begin() as tx:
                branch = await make_branch(tx, app, clock, technicians=given.technicians)
            worker = Worker(settings, clock, database)
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            with Progress(console=console, transient=True) as progress:
                task = progress.add_task("the week", total=given.days)

                def told(_day: date) -> None:
                    progress.advance(task)

                async with httpx.AsyncClient(
                    transport=transport, base_url="http://yingwei.test"
                ) as http:
                    week = Week(http, worker, clock, branch, seed=given.seed, scale=scale)
                    days = await week.play(told)
        show(console, days, len(week.plans))
    finally:
        await database.close()


def main() -> int:
    """Play a week and say what happened."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.week", description=__doc__)
    parser.add_argument("--technicians", type=int, default=8)
    parser.add_argument("--orders", type=int, default=25, help="a day")
    parser.add_argument("--days", type=int, default=7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=2_000, help="of each morning's search")
    given = parser.parse_args()
    # The table needs more than the eighty columns that a file or a pipe is taken to have.
    console, began = Console(width=max(Console().width, 140)), perf_counter()
    with Cluster.throw_away() as cluster, tempfile.TemporaryDirectory() as folder:
        url = cluster.create_database("week")
        upgrade(url)
        try:
            asyncio.run(play(url, Path(folder), given, console))
        except Fault as fault:
            console.print(str(fault), highlight=False, markup=False)
            return 1
    console.print(f"{perf_counter() - began:.0f} seconds", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
