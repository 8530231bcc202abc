"""Making a plan: read the day, keep what was read, search, and write the draft down.

Like a bulk intake it is many transactions: the plan is seen to run, its inputs are kept before the
search begins, and the search itself holds no connection. Killed at any moment it can be made
again, from its inputs when it has them.
"""

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any
from uuid import UUID

import orjson

from app.auth import audit
from app.core.clock import Clock, wall
from app.core.db import Database
from app.core.errors import Unavailable
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.dispatch.solver import Plan, judge
from app.dispatch.solver.districts import solve_districts
from app.dispatch.solver.solve import Budget, Found, solve
from app.planning.models import DayPlan
from app.planning.queries import plans as queries
from app.planning.rules import (
    LEAST_SECONDS,
    MOST_SECONDS,
    SECONDS_AN_ORDER,
    PlanState,
)
from app.planning.rules.districts import District, pack, unpack
from app.planning.rules.drafts import Draft, Score, draft_of
from app.planning.rules.starting import after, start_of
from app.planning.service.reading import read_districts
from app.workorders import queries as workorders

Told = Callable[[dict[str, Any]], None]
Prepare = Callable[[Sequence[District]], Sequence[District]]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to search, and the seed. Where somebody waits for the plan, `wall_seconds` bounds it
    on a busy machine too."""

    seed: int
    cpu_seconds: float | None
    iterations: int | None
    wall_seconds: float | None = None


@dataclass
class Progress:
    """How far a search is; changed by its thread, read by whoever tells of it.

    Districts that are not done count with what is in force.
    """

    districts: int = 0
    done: int = 0
    before: int = 0
    cost: int = 0
    unplaced: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def told(self, began: float) -> dict[str, Any]:
        """Say it in plain values."""
        return {
            "districts": self.districts,
            "done": self.done,
            "cost_before": self.before,
            "cost": self.cost,
            "unplaced": self.unplaced,
            "seconds": round(time.monotonic() - began, 1),
            "heard_at": wall().isoformat(),
        }


async def make(
    database: Database,
    clock: Clock,
    plan_id: UUID,
    *,
    every: float = 1.0,
    told: Told = lambda _progress: None,
    stopping: Callable[[], bool] = lambda: False,
    prepare: Prepare = lambda districts: districts,
) -> PlanState | None:
    """Make a plan that is asked for; say what became of it, None when it is made already.

    `every` so many seconds its progress is written and told, and it is heard whether it shall
    stop; `stopping` may say so too. `prepare` may change what is to be planned after it was read.
    What cannot be planned has failed and says why; when the database cannot be reached Unavailable
    is raised, and the plan can be made again.
    """
    asked = await _begin(database, clock, plan_id)
    if asked is None:
        return None
    began = time.monotonic()
    try:
        districts = await _inputs(database, clock, asked, prepare)
        effort = await _effort(database, clock, asked, districts)
        progress = Progress()
        search = asyncio.create_task(asyncio.to_thread(_search, districts, effort, progress))
        try:
            while not search.done():
                await asyncio.wait([search], timeout=every)
                told(progress.told(began))
                if stopping() or not await _tell(database, plan_id, progress, began):
                    progress.stop.set()
        finally:
            # Also when the worker ends: a thread that nobody waits for would go on for minutes.
            progress.stop.set()
        plans = await search
        drafts = await asyncio.to_thread(_drafts, districts, plans)
        return await _keep(database, clock, plan_id, drafts, progress.told(began))
    except (Unavailable, asyncio.CancelledError):
        raise
    except Exception as error:  # noqa: BLE001 - said in the plan; another try would end alike
        log.exception("a plan failed", plan_id=str(plan_id))
        await _fail(database, clock, plan_id, error)
        return PlanState.FAILED


async def make_again(database: Database, plan_id: UUID) -> list[Draft]:
    """Make a plan again from what it was made from, without writing anything.

    Counted in iterations it is the same to the last visit. Raises ValueError when the inputs are
    not there any more, or of another version.
    """
    async with database.read() as read:
        plan = await read.get_one(DayPlan, plan_id)
        packed = await queries.inputs_of(read, plan_id)
    if packed is None:
        raise ValueError("what this plan was made from is not kept any more")
    effort = Effort(**plan.asked["effort"])
    districts = await asyncio.to_thread(unpack, packed)
    plans = await asyncio.to_thread(_search, districts, effort, Progress())
    return await asyncio.to_thread(_drafts, districts, plans)


async def _begin(database: Database, clock: Clock, plan_id: UUID) -> DayPlan | None:
    async with database.begin() as tx:
        audit.acting(tx, "planning.make")
        plan = await queries.for_change(tx, plan_id)
        if not queries.is_live(plan.state):
            return None
        plan.state, plan.started_at = PlanState.RUNNING, plan.started_at or clock.now()
        plan.progress = {**plan.progress, "heard_at": wall().isoformat()}
        return plan


async def _inputs(
    database: Database, clock: Clock, plan: DayPlan, prepare: Prepare
) -> Sequence[District]:
    """Read the day, or what was read of it before; it is kept before the search begins."""
    async with database.read() as read:
        packed = await queries.inputs_of(read, plan.id)
        if packed is not None:
            return await asyncio.to_thread(unpack, packed)
        unit = (await workorders.org_units(read, ids={plan.org_unit_id})).by_id[plan.org_unit_id]
        districts: Sequence[District] = await read_districts(
            read, unit.path, plan.day, zone=unit.zone, now=clock.now()
        )
        if plan.base_id is not None:
            routes = await queries.routes_in(read, plan.base_id)
            districts = [replace(one, warm=after(one, routes)) for one in districts]
    districts = prepare(districts)
    packed = await asyncio.to_thread(pack, districts)
    async with database.begin() as tx:
        audit.acting(tx, "planning.make")
        kept = await queries.for_change(tx, plan.id)
        kept.inputs = packed
    return districts


async def _effort(
    database: Database, clock: Clock, plan: DayPlan, districts: Sequence[District]
) -> Effort:
    """Say how long to search, and keep it with the plan."""
    seconds, iterations = plan.asked.get("cpu_seconds"), plan.asked.get("iterations")
    if seconds is None and iterations is None:
        async with database.read() as read:
            each = (await parameters_in_force(read)).number(SECONDS_AN_ORDER, clock.now())
        orders = sum(district.orders for district in districts)
        seconds = min(MOST_SECONDS, max(LEAST_SECONDS, orders * each))
    wall = plan.asked.get("wall_seconds")
    effort = Effort(int(plan.asked.get("seed", 0)), seconds, iterations, wall)
    async with database.begin() as tx:
        audit.acting(tx, "planning.make")
        kept = await queries.for_change(tx, plan.id)
        kept.asked = {**kept.asked, "effort": asdict(effort)}
    return effort


def _search(districts: Sequence[District], effort: Effort, progress: Progress) -> list[Plan]:
    """Search in processes; a single district is searched here, without the time to begin one."""
    problems = [district.problem for district in districts]
    warm = [start_of(district) for district in districts]
    before = [_cost_in_force(district) for district in districts]
    progress.districts = len(districts)
    progress.before = progress.cost = sum(cost for cost, _ in before)
    progress.unplaced = sum(unplaced for _, unplaced in before)

    def on_done(number: int, found: Found) -> None:
        district, (cost, unplaced) = districts[number], before[number]
        placed = {visit for route in found.plan for visit in route if visit < district.orders}
        progress.done += 1
        progress.cost += found.cost - cost
        progress.unplaced += district.orders - len(placed) - unplaced

    until = time.monotonic() + (effort.wall_seconds or math.inf)
    if len(problems) == 1:
        found = solve(
            problems[0],
            Budget(iterations=effort.iterations, seconds=effort.cpu_seconds),
            seed=effort.seed,
            warm=warm[0],
            clock=time.thread_time,
            stop=lambda: progress.stop.is_set() or time.monotonic() > until,
        )
        on_done(0, found)
        return [found.plan]
    return [
        found.plan
        for found in solve_districts(
            problems,
            effort.cpu_seconds,
            iterations=effort.iterations,
            seed=effort.seed,
            warm=warm,
            workers=min(len(os.sched_getaffinity(0)), len(problems) or 1),
            stop=progress.stop.is_set,
            on_done=on_done,
        )
    ]


def _cost_in_force(district: District) -> tuple[int, int]:
    """What is in force costs, and how many orders have nobody."""
    verdict = judge(district.problem, district.current)
    blocks = [visit for visit in verdict.unplaced if visit >= district.orders]
    blocked = sum(int(district.problem.visits.unplaced[visit]) for visit in blocks)
    return verdict.bill.total - blocked, len(verdict.unplaced) - len(blocks)


def _drafts(districts: Sequence[District], plans: Sequence[Plan]) -> list[Draft]:
    return [draft_of(district, plan) for district, plan in zip(districts, plans, strict=True)]


async def _tell(database: Database, plan_id: UUID, progress: Progress, began: float) -> bool:
    """Write how far it is; say whether to go on. A database that is away for a moment is no
    reason to stop."""
    try:
        async with database.begin() as tx:
            text = orjson.dumps(progress.told(began)).decode()
            stop = await queries.tell_progress(tx, plan_id, text)
    except Unavailable:
        return True
    return stop is False


async def _keep(
    database: Database,
    clock: Clock,
    plan_id: UUID,
    drafts: Sequence[Draft],
    progress: dict[str, Any],
) -> PlanState:
    """Write a draft down, unless the plan has come to another end meanwhile."""
    async with database.begin() as tx:
        audit.acting(tx, "planning.make")
        plan = await queries.for_change(tx, plan_id)
        if plan.state is not PlanState.RUNNING:
            return plan.state
        await queries.write(
            tx,
            plan_id,
            (route for draft in drafts for route in draft.routes),
            (visit for draft in drafts for visit in draft.visits),
        )
        plan.state, plan.finished_at = PlanState.DRAFT, clock.now()
        plan.progress = progress
        plan.score = {
            "plan": asdict(sum((draft.score for draft in drafts), Score())),
            "before": asdict(sum((draft.before for draft in drafts), Score())),
        }
        await tx.flush()
    return PlanState.DRAFT


async def _fail(database: Database, clock: Clock, plan_id: UUID, error: Exception) -> None:
    async with database.begin() as tx:
        audit.acting(tx, "planning.make")
        plan = await queries.for_change(tx, plan_id)
        if queries.is_live(plan.state):
            plan.state, plan.finished_at = PlanState.FAILED, clock.now()
            said = f"{type(error).__name__}: {error}"
            plan.progress = {**plan.progress, "error": said[:500]}
