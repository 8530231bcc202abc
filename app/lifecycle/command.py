"""`yingwei lifecycle run`: where all customers stand is told now, with a bar."""

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
from app.lifecycle.service import running
from app.lifecycle.service.running import Ran

ACTION = "command_line_lifecycle_run"


def run(settings: Settings, console: Console | None = None) -> Ran | None:
    """Tell where all customers stand and print what that brought; None where others are at it.

    Workers do the same every night. Stopped in the middle, it goes on the next time.
    """
    return asyncio.run(_run(settings, console or Console()))


async def _run(settings: Settings, console: Console) -> Ran | None:
    database, now = open_database(settings), clock_from(settings.clock).now()
    database.before_commit = audit.record
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        with Progress(*columns, console=console) as progress:
            task = progress.add_task("customers", total=None)

            def tell(done: int, of: int) -> None:
                progress.update(task, total=of)
                progress.advance(task, done)

            ran = await running.run(database, now, action=ACTION, progress=tell)
    finally:
        await database.close()
    if ran is None:
        console.print("somebody else is at it; nothing was done here")
        return None
    told = ran.told
    console.print(
        f"{told.customers:,} customers: {told.written:,} written, {told.changes:,} changes,"
        f" {told.warnings:,} warnings"
    )
    return ran
