"""`yingwei travel`: nights that are over are learned from and roads are asked about, with a bar."""

import asyncio
from contextlib import aclosing
from datetime import timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from app.auth import audit
from app.core.clock import clock_from
from app.core.db import Database, open_database
from app.core.settings import Settings
from app.travel import service
from app.travel.queries import nights as queries
from app.travel.roads import Roads, RoadsUnavailable
from app.travel.service import Learning

ACTION = "command_line_travel_learn"

# Days of which the table tells, the latest ones.
SHOWN_DAYS = 14


def learn(settings: Settings, console: Console | None = None) -> list[Learning]:
    """Learn from every night that is over and not done, and print what that brought.

    Workers do the same by themselves, night by night; whoever finds another at it lets it be.
    """
    return asyncio.run(_learn(settings, console or Console()))


def roads(settings: Settings, console: Console | None = None) -> bool:
    """Ask the routing engine about the roads from every grid of which nobody has asked for long.

    False when there is no engine in the settings, or it does not answer; it is said why.
    """
    return asyncio.run(_roads(settings, console or Console()))


async def _roads(settings: Settings, console: Console) -> bool:
    if not settings.routing_url:
        console.print("no routing engine: set YINGWEI_ROUTING_URL (and YINGWEI_ROUTING_ENGINE)")
        return False
    database, now = open_database(settings), clock_from(settings.clock).now()
    database.before_commit = audit.record
    try:
        async with database.read() as read:
            left = await service.roads_left(read, now)
        asked = 0
        with Progress(*_columns(), console=console) as progress:
            bar = progress.add_task("grids", total=left)
            async with aclosing(Roads.of(settings)) as engine:
                while more := await service.ask_roads(database, engine, now):
                    asked += more
                    progress.update(bar, completed=asked)
    except RoadsUnavailable as error:
        console.print(f"the routing engine does not answer ({error}); what is known stays known")
        return False
    finally:
        await database.close()
    console.print(f"the roads from {asked:,} grids are known, from the next night's learning on")
    return True


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )


async def _learn(settings: Settings, console: Console) -> list[Learning]:
    database, now = open_database(settings), clock_from(settings.clock).now()
    database.before_commit = audit.record
    learned: list[Learning] = []
    try:
        with Progress(*_columns(), console=console) as progress:
            bar = progress.add_task("nights", total=None)
            while True:
                async with database.begin() as tx:
                    audit.acting(tx, ACTION)
                    one = await service.learn(tx, now)
                if one is None:
                    break
                learned.append(one)
                # How many there are is known once the first of them is.
                async with database.read() as read:
                    left = await service.due(read, now)
                total = len(learned) + (left.nights if left else 0)
                progress.update(bar, completed=len(learned), total=total)
            progress.update(bar, completed=len(learned), total=len(learned))
        await _tell(database, console, learned)
    finally:
        await database.close()
    return learned


async def _tell(database: Database, console: Console, learned: list[Learning]) -> None:
    async with database.read() as read:
        known = await queries.counts(read)
        if not learned:
            console.print("every night that is over is learned from, or somebody is at it")
            rows = []
        else:
            latest = learned[-1].until.date()
            rows = list(await queries.errors(read, latest - timedelta(days=SHOWN_DAYS)))
    trips, cut = service.total(learned)
    console.print(
        f"{len(learned)} nights, {trips:,} ways, {cut:,} of them left out; known: {known.pairs:,} "
        f"pairs of grids, {known.pairs_by_hour:,} of pairs by hour, {known.units:,} org units"
    )
    if not rows:
        return
    table = Table("day", "ways", "left out", "off by distance", "off as expected")
    for column in table.columns[1:]:
        column.justify = "right"
    for row in rows:
        table.add_row(
            str(row.day),
            f"{row.trips:,}",
            f"{row.cut:,}",
            _seconds(row.by_distance),
            _seconds(row.expected),
        )
    console.print(table)
    console.print(
        "off: by how many seconds a way was longer or shorter, in the median; as expected: by what "
        "was learned in the nights before it"
    )


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f} s"
