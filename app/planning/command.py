"""`yingwei plan`: a day planned from the command line, with a bar and what it comes to."""

import asyncio
import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import date
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from app.auth import audit
from app.core.clock import Clock, clock_from
from app.core.db import Database, new_id, open_database
from app.core.errors import NotFound
from app.core.settings import Settings
from app.planning.models import DayPlan
from app.planning.queries import plans as queries
from app.planning.rules import PlanState
from app.planning.rules.drafts import Draft, Score
from app.planning.rules.wishes import Wish
from app.planning.service import asking
from app.planning.service.making import make, make_again
from app.planning.service.publishing import publish
from app.workorders import queries as workorders

ACTION = "command_line_plan"


class PlanFailed(RuntimeError):
    """The plan could not be made; the message says why."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is to be planned, and how."""

    org_unit_code: str
    day: date | None = None
    seconds: float | None = None
    iterations: int | None = None
    seed: int = 0
    publishes: bool = False


def plan(settings: Settings, options: Options, console: Console | None = None) -> DayPlan:
    """Plan a day of an org unit (tomorrow unless told) and print what it comes to.

    Ctrl-C ends the search; the best so far is the draft. Raises NotFound for an org unit, a
    Problem when the day cannot be planned, and PlanFailed.
    """
    return asyncio.run(_plan(settings, options, console or Console()))


def again(settings: Settings, plan_id: UUID, console: Console | None = None) -> bool:
    """Make a plan again from what it was made from; tell, and print, whether it is the same.

    Nothing is written. Raises ValueError when its inputs are not kept any more.
    """
    return asyncio.run(_again(settings, plan_id, console or Console()))


async def _plan(settings: Settings, options: Options, console: Console) -> DayPlan:
    database, clock = open_database(settings), clock_from(settings.clock)
    database.before_commit = audit.record
    try:
        plan_id = await _ask(database, clock, options)
        state = await _make(database, clock, plan_id, console)
        if state is PlanState.DRAFT and options.publishes:
            async with database.begin() as tx:
                audit.acting(tx, ACTION)
                await publish(tx, plan_id, None, now=clock.now())
        async with database.read() as read:
            made = await read.get_one(DayPlan, plan_id)
    finally:
        await database.close()
    if made.state is PlanState.FAILED:
        raise PlanFailed(str(made.progress.get("error")))
    _print(console, made)
    return made


async def _ask(database: Database, clock: Clock, options: Options) -> UUID:
    now, plan_id = clock.now(), new_id()
    async with database.begin() as tx:
        audit.acting(tx, ACTION)
        units = await workorders.org_units(tx, codes={options.org_unit_code})
        unit = units.by_code.get(options.org_unit_code)
        if unit is None:
            raise NotFound(org_unit=options.org_unit_code)
        day = options.day or date.fromordinal(now.astimezone(unit.zone).toordinal() + 1)
        wish = Wish(
            id=plan_id,
            day=day,
            seed=options.seed,
            cpu_seconds=options.seconds,
            iterations=options.iterations,
        )
        # No worker is told of it: it is made here.
        await asking.ask(tx, wish, unit, None, now=now, told=False)
    return plan_id


async def _make(
    database: Database, clock: Clock, plan_id: UUID, console: Console
) -> PlanState | None:
    stopping = asyncio.Event()
    # Only the main thread of a Unix process can; elsewhere Ctrl-C simply ends it.
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopping.set)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total} districts"),
        TextColumn("{task.fields[cost]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("reading", total=None, cost="")

        def told(how_far: dict[str, Any]) -> None:
            before, cost = how_far["cost_before"], how_far["cost"]
            share = f"cost {cost / before:.0%} of now" if before else ""
            progress.update(
                task,
                description="searching",
                total=how_far["districts"] or None,
                completed=how_far["done"],
                cost=f"{share}, {how_far['unplaced']} unplaced",
            )

        return await make(database, clock, plan_id, every=0.5, told=told, stopping=stopping.is_set)


def _print(console: Console, made: DayPlan) -> None:
    score, before = Score(**made.score["plan"]), Score(**made.score["before"])
    table = Table(title=f"{made.day} · {made.id} · {made.state.value}")
    for name in ("", "in force", "plan"):
        table.add_column(name, justify="left" if not name else "right")
    for name, shown in _LINES:
        table.add_row(name, shown(before), shown(score))
    table.add_row("orders that change hands", "", f"{score.moved + score.given:,}")
    console.print(table)
    published = made.score.get("published")
    if published:
        console.print(
            f"published: {published['taken']:,} orders given, {published['taken_back']:,} taken"
            f" back, {published['left']:,} left as they were"
        )


def _share(kept: int, owned: int) -> str:
    return f"{kept / owned:.1%}" if owned else "-"


_LINES: tuple[tuple[str, Callable[[Score], str]], ...] = (
    ("technicians", lambda score: f"{score.technicians:,}"),
    ("orders placed", lambda score: f"{score.placed:,} of {score.orders:,}"),
    ("orders unplaced", lambda score: f"{score.unplaced:,}"),
    ("kilometres", lambda score: f"{score.metres / 1000:,.0f}"),
    ("hours on the way", lambda score: f"{score.travel / 3600:,.1f}"),
    ("late orders", lambda score: f"{score.late_orders:,}"),
    ("minutes late", lambda score: f"{score.late // 60:,}"),
    ("by the grid's owner", lambda score: _share(score.kept, score.owned)),
    ("minutes of overtime", lambda score: f"{score.overtime // 60:,}"),
    ("cost, hours", lambda score: f"{score.cost / 3600:,.1f}"),
)


async def _again(settings: Settings, plan_id: UUID, console: Console) -> bool:
    database = open_database(settings)
    try:
        async with database.read() as read:
            made = await read.get(DayPlan, plan_id)
            if made is None or "plan" not in made.score:
                raise NotFound(plan_id=plan_id)
            routes = await queries.routes_in(read, plan_id)
        with console.status("making it again"):
            drafts = await make_again(database, plan_id)
    finally:
        await database.close()
    score = sum((draft.score for draft in drafts), Score())
    same = _routes(drafts) == routes
    kept = Score(**made.score["plan"])
    table = Table(title=f"{made.day} · {plan_id}")
    for name in ("", "as it was", "again"):
        table.add_column(name, justify="left" if not name else "right")
    for each in fields(Score):
        table.add_row(
            each.name.replace("_", " "),
            f"{getattr(kept, each.name):,}",
            f"{getattr(score, each.name):,}",
        )
    console.print(table)
    console.print("the same to the last visit" if same else "not the same")
    return same


def _routes(drafts: list[Draft]) -> dict[UUID, list[UUID]]:
    routes: dict[UUID, list[UUID]] = {}
    for draft in drafts:
        for visit in draft.visits:
            if visit.technician_id is not None:
                routes.setdefault(visit.technician_id, []).append(visit.order_id)
    return routes
