"""`yingwei reconcile`: a day is compared with the ordering system now, with a bar."""

import asyncio
from datetime import date, timedelta

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from sqlalchemy import select

from app.auth import audit
from app.auth.models import OrgUnit
from app.core.clock import clock_from
from app.core.db import new_id, open_database
from app.core.errors import NotFound
from app.core.jobs import Worker
from app.core.settings import Settings
from app.reconciliation import queries, service
from app.reconciliation.queries import Sum
from app.reconciliation.rules import NoOrderingSystem
from app.reconciliation.service.asking import root

ACTION = "command_line_reconcile"


def run(
    settings: Settings,
    *,
    day: date | None,
    org_unit_code: str,
    console: Console | None = None,
) -> list[Sum] | None:
    """Compare a day, yesterday unless given, for a unit or for all, and print what it came to.

    None where somebody else is at that day. Workers do the same every night. Raises NotFound,
    NoOrderingSystem and OrderingFailed.
    """
    if not settings.ordering_url:
        raise NoOrderingSystem()
    return asyncio.run(compare(settings, day, org_unit_code, console or Console()))


async def compare(
    settings: Settings, day: date | None, org_unit_code: str, console: Console
) -> list[Sum] | None:
    """Do what `run` does, within a loop that runs already."""
    database, clock = open_database(settings), clock_from(settings.clock)
    database.before_commit = audit.record
    worker = Worker(settings, clock, database)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    try:
        async with database.begin() as tx:
            audit.acting(tx, ACTION)
            top = await root(tx)
            unit = await tx.scalar(
                select(OrgUnit).where(
                    OrgUnit.code == org_unit_code
                    if org_unit_code
                    else OrgUnit.id == (top[0] if top else None)
                )
            )
            if unit is None or top is None:
                raise NotFound(org_unit=org_unit_code)
            day = day or clock.now().astimezone(top[1]).date() - timedelta(days=1)
            row = await service.ask(
                tx,
                run_id=new_id(),
                day=day,
                org_unit_id=unit.id,
                org_path=unit.path,
                by=None,
                now=clock.now(),
            )
        with Progress(*columns, console=console) as progress:
            task = progress.add_task(f"orders of {day}", total=None)

            def tell(done: int, of: int | None) -> None:
                progress.update(task, completed=done, total=of)

            ran = await service.run(worker, row.id, progress=tell)
        if ran is None:
            console.print("somebody else is at that day; nothing was done here")
            return None
        async with database.read() as read:
            found = await queries.sums(read, day, unit.path)
    finally:
        await worker.close()
        await database.close()
    console.print(_table(day, found))
    return found


def _table(day: date, found: list[Sum]) -> Table:
    table = Table(title=f"Sales of {day} and the ordering system 对账")
    for name in ("unit", "sales", "equal", "healed", "open", "explained", "nobody's", "open"):
        table.add_column(name, justify="left" if name == "unit" else "right")
    for each in found:
        counts = (
            each.sales,
            each.equal,
            each.healed,
            each.open,
            each.explained,
            each.orders,
            each.orders_open,
        )
        table.add_row(each.org_unit_code, *(f"{count:,}" for count in counts))
    return table
