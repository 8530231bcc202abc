"""`make test-phones`: WatermelonDB's own client on four phones over a bad network.

Each seed has a database and an API process of its own. The exit code is 0 when every seed adds up,
or when this machine has no node or no network to install what phones need.
"""

import argparse
import asyncio
import secrets
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import httpx
from rich import box
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from app import tables  # noqa: F401 - the world needs every room's tables
from app.core.cluster import Cluster
from app.core.db import open_database
from app.core.settings import Settings
from app.migrating import upgrade
from tests.phones.network import Fate
from tests.phones.phones import ROOT, Missing, install
from tests.phones.play import Outcome, play
from tests.phones.world import World, make_world

TEMPLATE = "phones"
FAULTS_SHOWN = 12


def main() -> int:
    """Play the seeds one after the other, and show what became of them."""
    parser = argparse.ArgumentParser(prog="make test-phones", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="how many; 1 is the first")
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--rounds", type=int, default=60, help="how many rounds each")
    wishes = parser.parse_args()
    console = Console()
    # The table is read in files as well, where nobody says how wide they are.
    console.width = max(console.width, 112)
    try:
        with console.status("installing what phones need"):
            install()
    except Missing as why:
        console.print(f"[yellow]Skipped: {why}[/yellow]")
        return 0
    folder = ROOT / ".local" / f"phones-{secrets.token_hex(4)}"
    folder.mkdir(parents=True)
    outcomes = []
    with Cluster(ROOT / ".local" / "test", durable=False) as cluster:
        name = f"{TEMPLATE}_{secrets.token_hex(4)}"
        try:
            with console.status("building the world"):
                world = asyncio.run(_world(cluster.create_database(name)))
            columns = (TextColumn("seed {task.description}"), BarColumn(), MofNCompleteColumn())
            with Progress(*columns, TimeElapsedColumn(), console=console) as progress:
                for seed in range(wishes.first, wishes.first + wishes.seeds):
                    task = progress.add_task(str(seed), total=wishes.rounds)
                    told = partial(_told, progress, task)
                    outcome = _seed(cluster, name, world, seed, wishes.rounds, folder, told)
                    outcomes.append(outcome)
                    progress.console.print(_line(outcome))
                    for fault in outcome.faults[:FAULTS_SHOWN]:
                        progress.console.print(f"seed {seed}: {fault}", style="red", markup=False)
        finally:
            cluster.drop_database(name)
    _show(console, outcomes)
    failed = any(outcome.faults for outcome in outcomes)
    if failed:
        console.print(f"[red]Not all adds up; the phones' files and logs are in {folder}[/red]")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    return int(failed)


def _told(progress: Progress, task: TaskID, rounds: int) -> None:
    progress.update(task, completed=rounds)


async def _world(url: str) -> World:
    await asyncio.to_thread(upgrade, url)
    database = open_database(Settings(database_url=url))
    try:
        async with database.begin() as tx:
            return await make_world(tx)
    finally:
        await database.close()


def _seed(
    cluster: Cluster,
    template: str,
    world: World,
    seed: int,
    rounds: int,
    folder: Path,
    told: Callable[[int], None],
) -> Outcome:
    name = f"{template}_{seed}"
    url = cluster.create_database(name, template=template)
    its = folder / str(seed)
    its.mkdir()
    try:
        return asyncio.run(play(url, world, seed, rounds, its, told))
    except (RuntimeError, OSError, TimeoutError, httpx.HTTPError) as error:
        return Outcome(seed, rounds, faults=[f"it could not be played to its end: {error!r}"])
    finally:
        cluster.drop_database(name)


def _line(outcome: Outcome) -> str:
    equal = "all equal" if not outcome.faults else f"{len(outcome.faults)} faults"
    played = f"{outcome.fates.total()} requests, {outcome.actions} actions, {outcome.moved} moved"
    return f"seed {outcome.seed}: {equal}; {played}, {outcome.seconds:.0f} s"


def _show(console: Console, outcomes: list[Outcome]) -> None:
    table = Table(
        title="WatermelonDB on four phones",
        title_justify="left",
        caption="lost: requests + answers; doubled: at once + replayed later; syncs: tried, failed;"
        " emptied: phones lost + accounts closed, and how often phones emptied themselves;"
        " verdicts: applied, conflict, refused",
        caption_justify="left",
        padding=(0, 0, 0, 1),
        box=box.SIMPLE_HEAD,
    )
    names = (
        "seed rounds requests lost doubled restarts syncs moved emptied actions verdicts equal? s"
    )
    for name in names.split():
        table.add_column(name, justify="right")
    for one in outcomes:
        fates, said = one.fates, one.verdicts
        table.add_row(
            str(one.seed),
            str(one.rounds),
            str(fates.total()),
            f"{fates[Fate.REQUEST_LOST]}+{fates[Fate.ANSWER_LOST]}",
            f"{fates[Fate.TWICE]}+{fates[Fate.REPLAYED]}",
            str(one.restarts),
            f"{one.counts['syncs']}, {one.counts['failed']}",
            str(one.moved),
            f"{one.wiped}+{one.closed}, {one.counts['emptied']}",
            str(one.actions),
            f"{said['applied']}, {said['conflict']}, {said['refused']}",
            "[green]yes[/green]" if not one.faults else f"[red]{len(one.faults)}[/red]",
            f"{one.seconds:.0f}",
        )
    console.print(table)
    for name, counted in (
        ("answers", sum((one.statuses for one in outcomes), Counter[int]())),
        ("applied", sum((one.types for one in outcomes), Counter[str]())),
        ("not applied", sum((one.codes for one in outcomes), Counter[str]())),
    ):
        console.print(f"{name}: {', '.join(f'{what} {n}' for what, n in counted.most_common())}")
    sold, rows = sum(one.sold_fen for one in outcomes), sum(one.rows for one in outcomes)
    console.print(f"{rows:,} rows compared; {sold / 100:,.2f} yuan a month sold, alike everywhere")


if __name__ == "__main__":
    sys.exit(main())
