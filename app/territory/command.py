"""`yingwei grids relocate`: the customers' addresses follow the map, with a bar."""

import asyncio

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from app.auth import audit
from app.core.clock import clock_from
from app.core.db import open_database
from app.core.settings import Settings
from app.territory.queries import relocation as queries
from app.territory.service.relocation import Relocation

ACTION = "command_line_grids_relocate"


def relocate(settings: Settings, console: Console | None = None) -> int:
    """Find the grids of all addresses that wait, those of changes that nobody has followed too.

    Workers may be at it at the same time. Stopped in the middle, it goes on the next time. Returns
    how many addresses it has located.
    """
    return asyncio.run(_relocate(settings, console or Console()))


async def _relocate(settings: Settings, console: Console) -> int:
    database, clock = open_database(settings), clock_from(settings.clock)
    database.before_commit = audit.record
    relocation = Relocation(database, clock, ACTION)
    try:
        async with database.read() as read:
            changes = await queries.not_begun(read)
        with console.status("looking for what the latest changes of the map concern"):
            for change in changes:
                await relocation.follow(change)
        async with database.read() as read:
            total = await queries.left(read)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("addresses", total=total)
            relocation.done = lambda count: progress.advance(task, count)
            count = await relocation.run()
    finally:
        await database.close()
    console.print(f"{count:,} addresses located anew; nothing is left")
    return count
