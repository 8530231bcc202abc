"""`yingwei policy`: the registry as a table, learning and evaluations with a bar, and steps."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any, TypeVar
from uuid import UUID

from rich.console import Console
from rich.progress import (
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.queries import caller_by_username
from app.auth.rules import Caller, Role, username_of
from app.core.clock import clock_from
from app.core.db import Database, open_database
from app.core.errors import Forbidden
from app.core.parameter_values import parameters_in_force
from app.core.settings import Settings
from app.policies.models import PolicyEvaluation, PolicyStep
from app.policies.queries import days, registry
from app.policies.rules import StepState
from app.policies.rules.fairness import Fared, Shown, shown
from app.policies.rules.parameters import GROUP_SHOWN_LEAST
from app.policies.rules.replay import Method
from app.policies.service import evaluating, promoting
from app.policies.service.learning import top_zone
from app.policies.service.night import Night, night
from app.suggestions.models import PolicyModel
from app.suggestions.rules.exploring import RULES_ONLY
from app.suggestions.rules.model import PolicyState
from app.suggestions.service.months import after

T = TypeVar("T")
ACTION = "command_line_policy"
SHOWN = 20


def show(settings: Settings, console: Console | None = None) -> None:
    """Print who decides, what has drifted, and the latest models."""
    console = console or Console()

    async def read(database: Database) -> None:
        now = clock_from(settings.clock).now()
        async with database.read() as session:
            only = (await parameters_in_force(session)).number(RULES_ONLY, now)
            live = await registry.live(session)
            open_alarm = await registry.open_alarm(session)
            rows = await registry.page(session, kind=None, state=None, after=None, size=SHOWN)
        if only:
            console.print("the switch is on: rules alone decide")
        console.print(f"live: {live.version if live else 'none, the experts’ rates decide'}")
        if open_alarm is not None:
            said, seen = open_alarm.figures["predicted"], open_alarm.figures["observed"]
            console.print(
                f"drift since {open_alarm.at:%Y-%m-%d}: {said:.1%} predicted, {seen:.1%} observed"
            )
        console.print(_models(rows[:SHOWN]))

    asyncio.run(_with(settings, read))


def groups(settings: Settings, day: date | None, console: Console | None = None) -> None:
    """Print how groups of customers fared in the month of a local day, or in this one."""
    console = console or Console()
    now = clock_from(settings.clock).now()

    async def read(database: Database) -> tuple[date, list[Shown]]:
        async with database.read() as session:
            first = (day or now.astimezone(await top_zone(session)).date()).replace(day=1)
            least = (await parameters_in_force(session)).number(GROUP_SHOWN_LEAST, now)
            fared = await days.groups(session, "", first, after(first) - timedelta(days=1))
        return first, shown(fared, least)

    month, found = asyncio.run(_with(settings, read))
    table = Table("group", "visits", "offered", "accepted of pitched", "cancelled of accepted")
    table.title = f"{month:%Y-%m}"
    for column in table.columns[1:]:
        column.justify = "right"
    for one in found:
        table.add_row(f"{one.kind} {one.group}", *_fared(one.fared))
    console.print(table)


def _fared(one: Fared | None) -> tuple[str, ...]:
    if one is None:
        return ("too few", "", "", "")
    return (
        f"{one.visits:,}",
        _share(one.offered, one.visits),
        _share(one.accepted, one.pitched),
        _share(one.cancelled, one.accepted),
    )


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""


def learn(settings: Settings, *, quiet: bool = False, console: Console | None = None) -> Night:
    """Do what is not done of the last night's work, and print what it brought and what failed."""
    console = console or Console(quiet=quiet)

    async def do(database: Database) -> Night:
        with _progress(console, quiet) as progress:
            bar = progress.add_task("rows read", total=None)
            return await night(
                database,
                clock_from(settings.clock).now(),
                lambda rows: progress.update(bar, advance=rows),
            )

    done = asyncio.run(_with(settings, do))
    if done.failed:
        console.print(f"failed, and to be tried again: {', '.join(done.failed)}")
    if done.learned is None:
        console.print("the last night is learned from, or somebody is at it")
    else:
        model = done.learned.model
        learned = ", ".join(model.figures["learned"]) or "none, the experts’ rates stay"
        console.print(
            f"{model.version}: {done.learned.answers:,} answers; offers learned about: {learned}"
        )
    if done.evaluation is not None:
        console.print(_estimates(done.evaluation))
        console.print("it is live now" if done.followed else "it stays a candidate")
    if done.drift is not None and done.drift.alarmed:
        console.print(
            f"drift: {done.drift.predicted:.1%} predicted, {done.drift.observed:.1%} observed"
        )
    if done.card is not None:
        tested = done.card.figures["tested"]
        console.print(
            f"{done.card.version}: AUC {_number(tested['auc'], 3)}, of the card before "
            f"{_number(tested['auc_before'], 3)}; it is {done.card.state}"
        )
    return done


def evaluate(settings: Settings, version: str, console: Console | None = None) -> None:
    """Judge a model on the last season's log, and print what each policy would have earned."""
    console = console or Console()
    now = clock_from(settings.clock).now()

    async def do(database: Database) -> PolicyEvaluation | None:
        async with database.begin() as tx:
            audit.acting(tx, ACTION)
            asked, _ = await evaluating.ask(
                tx, version, since=None, until=None, account_id=None, now=now
            )
        with _progress(console, False) as progress:
            bar = progress.add_task("rows read", total=None)
            async with database.begin() as tx:
                audit.acting(tx, ACTION)
                return await evaluating.work_out(
                    tx, asked.id, now, lambda rows: progress.update(bar, advance=rows)
                )

    done = asyncio.run(_with(settings, do))
    if done is None:
        console.print("a worker is at it already")
        return
    console.print(_estimates(done))
    assert done.result is not None
    answers = done.result["answers"] or {}
    console.print(
        f"against guards: {done.result['violations']} of {done.result['pitched']:,} pitched;"
        " calibration error on "
        f"{answers.get('answers', 0):,} later answers: {answers.get('calibration_error')}"
    )


def work_out(settings: Settings, evaluation_id: UUID) -> None:
    """Work out an evaluation that waits; what a worker starts as a process of its own."""

    async def do(database: Database) -> None:
        async with database.begin() as tx:
            audit.acting(tx, "policies.evaluate")
            await evaluating.work_out(tx, evaluation_id, clock_from(settings.clock).now())

    asyncio.run(_with(settings, do))


def promote(settings: Settings, version: str, to: PolicyState, reason: str, by: str) -> str:
    """Let a model take a step in an administrator's name; the answer says what it waits for.

    Raises what `promoting.promote` raises, and Forbidden for who is no administrator.
    """

    async def step(tx: AsyncSession, caller: Caller) -> PolicyStep:
        now = clock_from(settings.clock).now()
        if to is PolicyState.RETIRED:
            return await promoting.retire(tx, version, reason, caller, now)
        return await promoting.promote(tx, version, to, reason, caller, now)

    taken = asyncio.run(_with(settings, lambda database: _as(database, by, step)))
    if taken.state is StepState.WAITING:
        return f"{version} waits for a second person to agree that it is {to}"
    return f"{version} is {to} now"


def switch(settings: Settings, rules_only: bool, by: str) -> str:
    """Let rules alone decide, or the policies again, in an administrator's name."""

    async def do(tx: AsyncSession, caller: Caller) -> None:
        await promoting.switch(tx, rules_only, caller, clock_from(settings.clock).now())

    asyncio.run(_with(settings, lambda database: _as(database, by, do)))
    return "rules alone decide now" if rules_only else "policies decide again"


async def _as(
    database: Database, username: str, do: Callable[[AsyncSession, Caller], Awaitable[T]]
) -> T:
    async with database.begin() as tx:
        caller = await caller_by_username(tx, username_of(username))
        if caller.role is not Role.ADMIN or "parameters:write" not in caller.scopes:
            raise Forbidden(needs="admin + parameters:write")
        audit.acting(tx, ACTION, caller)
        return await do(tx, caller)


async def _with(settings: Settings, do: Callable[[Database], Awaitable[T]]) -> T:
    database = open_database(settings)
    database.before_commit = audit.record
    try:
        return await do(database)
    finally:
        await database.close()


def _progress(console: Console, quiet: bool) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=quiet,
    )


def _models(rows: Any) -> Table:
    table = Table("version", "kind", "state", "learned until", "rows", "AUC", "calibration error")
    table.columns[0].no_wrap = True
    for column in table.columns[4:]:
        column.justify = "right"
    for row in rows:
        table.add_row(*_model(row))
    return table


def _model(row: PolicyModel) -> tuple[str, ...]:
    tested = row.figures.get("tested") or {}
    return (
        row.version,
        row.kind,
        row.state,
        f"{row.trained_until:%Y-%m-%d %H:%M}" if row.trained_until else "",
        f"{row.rows:,}",
        _number(tested.get("auc"), 3),
        _number(tested.get("calibration_error"), 3),
    )


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _estimates(done: PolicyEvaluation) -> Table:
    """Write what each policy would have earned, in yuan a decision, with its 95 % interval."""
    result = done.result or {}
    table = Table("policy", *(one.value.upper() for one in Method), "effective decisions")
    for column in table.columns[1:]:
        column.justify = "right"
    for name, one in result["policies"].items():
        table.add_row(
            f"{name} ({result['current']})" if name == "current" else name,
            *(_interval(one[method.value]) for method in Method),
            f"{one['effective']:,.0f} of {one['decisions']:,}",
        )
    table.add_section()
    table.add_row("gain over current", "", "", _interval(result["gain"]), "")
    return table


def _interval(one: dict[str, float]) -> str:
    value, low, high = (one[name] / 100 for name in ("value", "low", "high"))
    return f"{value:.2f} ({low:.2f} to {high:.2f})"
