"""A run over all customers: slice by slice, each in a short transaction of its own.

A run that is stopped goes on under its own id the next time. A slice that was done already finds
nothing that differs, so the end is the same as if nothing had happened.
"""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import Executable, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core import jobs, nights
from app.core.db import Database, fetched, new_id
from app.core.nights import Night
from app.core.parameter_values import parameters_in_force
from app.lifecycle.models import LifecycleRun
from app.lifecycle.queries.cuts import cut_anew
from app.lifecycle.rules import NIGHT_HOUR
from app.lifecycle.service.judging import Basis, Told, basis, judge_slice

WORK = "lifecycle"
SLICE = 20_000
# So many slices at once: what two processors can do.
AT_ONCE = 2

_FIRST = UUID(int=0)
_LAST = UUID(int=2**128 - 1)
_EDGES = """
    SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS nth FROM customer) AS c
    WHERE nth %% %(size)s = 0 ORDER BY id
"""
_COUNT = "SELECT count(*) FROM customer"


class Ran(NamedTuple):
    """What a run over all customers found."""

    run_id: UUID
    told: Told


# Told after each slice: how many customers it was, and how many there are.
Progress = Callable[[int, int], None]


def _silent(done: int, of: int) -> None:
    """Tell nobody."""


async def run(
    database: Database,
    now: datetime,
    *,
    action: str,
    progress: Progress = _silent,
    size: int = SLICE,
    night: datetime | None = None,
) -> Ran | None:
    """Tell where all customers stand; None when somebody is at it already.

    `night` is the cut of the night that is done by it, if one is.
    """
    async with database.begin() as keeper:
        audit.acting(keeper, action)
        if not await nights.alone(keeper, WORK):
            return None
        await keeper.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        async with database.begin() as tx:
            audit.acting(tx, action)
            by, edges, total = await _begin(tx, now, size)
        told = await _slices(database, by, edges, action, progress, total)
        async with database.begin() as tx:
            audit.acting(tx, action)
            await _finish(tx, by, told, now, night)
    return Ran(by.run_id, told)


async def _begin(tx: AsyncSession, now: datetime, size: int) -> tuple[Basis, list[UUID], int]:
    """Cut the tiers anew, and go on with a run that was stopped or begin one."""
    await tx.execute(_LONG)
    left = select(LifecycleRun.id).where(LifecycleRun.finished_at.is_(None))
    run_id = await tx.scalar(left.order_by(LifecycleRun.id.desc()).limit(1))
    if run_id is None:
        run_id = new_id()
        tx.add(LifecycleRun(id=run_id, at=now))
        await tx.flush()
    by = await basis(tx, now, run_id)
    await cut_anew(tx, by.units, now)
    edges = [edge for (edge,) in await fetched(tx, _EDGES, {"size": size})]
    ((total,),) = await fetched(tx, _COUNT, {})
    return by, [*edges, _LAST], total


_LONG = text(
    "SELECT set_config('statement_timeout', '0', true), set_config('work_mem', '256MB', true)"
)


async def _slices(
    database: Database,
    by: Basis,
    edges: list[UUID],
    action: str,
    progress: Progress,
    total: int,
) -> Told:
    waiting = list(zip([_FIRST, *edges], edges, strict=False))[::-1]
    sums = [0, 0, 0, 0]

    async def work() -> None:
        while waiting:
            after, upto = waiting.pop()
            async with database.begin() as tx:
                audit.acting(tx, action)
                told = await judge_slice(tx, by, after, upto)
                await tx.execute(_added(by, told))
            for nth, count in enumerate(told):
                sums[nth] += count
            progress(told.customers, total)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(work())
    return Told(*sums)


def _added(by: Basis, told: Told) -> Executable:
    """Add to the run what a slice brought, last in its transaction, as others do the same."""
    return (
        update(LifecycleRun)
        .where(LifecycleRun.id == by.run_id)
        .values(
            written=LifecycleRun.written + told.written,
            changes=LifecycleRun.changes + told.changes,
            warnings=LifecycleRun.warnings + told.warnings,
        )
        .execution_options(synchronize_session=False)
    )


async def _finish(
    tx: AsyncSession, by: Basis, told: Told, now: datetime, night: datetime | None
) -> None:
    run_row = await tx.get_one(LifecycleRun, by.run_id)
    run_row.finished_at = now
    run_row.customers = told.customers
    if night is not None:
        tx.add(Night(work=WORK, until=night, done_at=now, facts=told._asdict()))
    if run_row.warnings:
        await jobs.tell(tx, "lifecycle.warned", run_id=by.run_id)


# --- the night ------------------------------------------------------------------------------------

_ZONE = "SELECT time_zone FROM org_unit ORDER BY length(path) LIMIT 1"


async def due(session: AsyncSession, now: datetime) -> datetime | None:
    """Say which night's cut is to be done; None when the last one is, or there is nobody yet."""
    zones = await fetched(session, _ZONE, {})
    if not zones:
        return None
    hour = (await parameters_in_force(session)).whole(NIGHT_HOUR, now)
    cut = nights.last_cut(now, ZoneInfo(zones[0][0]), hour)
    done = await nights.done_until(session, WORK)
    return None if done is not None and done >= cut else cut
