"""`yingwei policy`: the registry as a table, learning and evaluations with a bar, and steps."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

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
from app.policies.rules import EvaluationState, StepState
from app.policies.rules.fairness import Fared, Shown, shown
from app.policies.rules.parameters import GROUP_SHOWN_LEAST
from app.policies.rules.replay import Method
from app.policies.schemas import EvaluationOut
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


def evaluate(
    settings: Settings,
    version: str,
    *,
    since: date | None = None,
    until: date | None = None,
    as_json: bool = False,
    console: Console | None = None,
) -> None:
    """Judge a model on the log from one local day to another (the last excluded), or of the last
    season, and print what each policy would have earned; as JSON in the shape of the API.

    Where a worker is at it already, its figures are waited for. Raises NotFound and
    ChurnDecidesNothing.
    """
    console = console or Console()
    now = clock_from(settings.clock).now()

    async def do(database: Database) -> PolicyEvaluation:
        with _progress(console, as_json) as progress:
            bar = progress.add_task("rows read", total=None)
            # Asked and worked out in one transaction, no worker sees that it was asked before it is
            # done; but somebody else may have asked for the same.
            async with database.begin() as tx:
                audit.acting(tx, ACTION)
                zone = await top_zone(tx)
                asked, _ = await evaluating.ask(
                    tx,
                    version,
                    since=_begin(since, zone),
                    until=_begin(until, zone),
                    account_id=None,
                    now=now,
                )
                done = await evaluating.work_out(
                    tx, asked.id, now, lambda rows: progress.update(bar, advance=rows)
                )
            return done or await _ended(database, asked.id)

    done = asyncio.run(_with(settings, do))
    if as_json:
        print(EvaluationOut.of(done, version).model_dump_json(indent=1))
        return
    if done.result is None:
        console.print(f"it could not be worked out: {done.error}")
        return
    console.print(f"judged on {done.since:%Y-%m-%d %H:%M} to {done.until:%Y-%m-%d %H:%M} UTC")
    console.print(_estimates(done))
    answers = done.result["answers"] or {}
    console.print(
        f"against guards: {done.result['violations']} of {done.result['pitched']:,} pitched;"
        " calibration error on "
        f"{answers.get('answers', 0):,} later answers: {answers.get('calibration_error')}"
    )


def _begin(day: date | None, zone: ZoneInfo) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), zone).astimezone(UTC)


async def _ended(database: Database, evaluation_id: UUID) -> PolicyEvaluation:
    """Wait until somebody else has worked an evaluation out, or given it up."""
    while True:
        async with database.read() as read:
            row = await read.get_one(PolicyEvaluation, evaluation_id)
        if row.state is not EvaluationState.WAITING:
            return row
        await asyncio.sleep(1)


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
    table = Table(
        "version",
        "kind",
        "state",
        "learned from (UTC)",
        "until",
        "rows",
        "AUC",
        "calibration error",
    )
    table.columns[0].no_wrap = True
    for column in table.columns[5:]:
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
        f"{row.trained_from:%Y-%m-%d %H:%M}" if row.trained_from else "",
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
