"""A branch's rest of a day planned anew after an event: how long it takes, and what it moves.

A branch of thirty people with 150 visits is planned in the morning and lives until 11:20; then
somebody is ill from noon on, a visit runs long, and an urgent order finds nobody. The yardstick is
what would happen without a plan: the orders of whoever is away are taken back and placed one after
the other (`place_again`), everything else stays. Both are scored by the planning kernel's judge.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from statistics import median
from time import perf_counter, process_time
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.clock import FixedClock
from app.core.db import Database, open_database
from app.core.settings import Settings
from app.dispatch.service.again import place_again
from app.dispatch.solver import Plan, judge
from app.dispatch.solver.solve import Budget, kept, solve
from app.grids import locating
from app.planning.queries.changes import changes_of
from app.planning.rules import PlanState
from app.planning.rules.changes import counted
from app.planning.rules.districts import District
from app.planning.rules.events import away, behind
from app.planning.rules.replanning import freed
from app.planning.service import events, making_anew, replanning
from app.planning.service.reading import read_districts
from app.technicians import availability
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import UnplacedReason
from app.workorders.service import unplace_all
from benchmarks.branch import DAY, MORNING, NOW, SHANGHAI, Branch, Scale, at, write
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Stand, settle

FULL = Scale()
QUICK = Scale(branches=1, technicians=8, orders=36, morning_seconds=0.5)


@dataclass
class Run:
    """One event: seconds from it to the draft by wall and processor, of the process and of
    PostgreSQL; what the plans cost in hours; and what changes."""

    seconds: float
    cpu: float
    postgres: float
    cost: float
    cost_inserted: float
    cost_as_it_is: float
    unplaced: int
    unplaced_inserted: int
    unplaced_as_it_is: int
    moved: int
    others: int
    others_moved: int


# --- the morning, and what has become of it -------------------------------------------------------


async def _district(session: Any, branch: Branch, now: datetime) -> District:
    districts = await read_districts(session, branch.path, DAY, zone=SHANGHAI, now=now)
    [found] = [one for one in districts if one.org_unit_id == branch.id]
    return found


async def _live_until_now(database: Database, branch: Branch, scale: Scale) -> None:
    """Plan the branch's morning, and let it go as planned until now."""
    async with database.read() as session:
        morning = await _district(session, branch, MORNING)
    budget = Budget(seconds=scale.morning_seconds)
    plan = solve(morning.problem, budget, clock=process_time).plan
    rows: list[dict[str, Any]] = []
    for column, day in enumerate(judge(morning.problem, plan).days):
        for stop in day.stops:
            if stop.visit < morning.orders:
                begins = datetime.fromtimestamp(morning.origin + stop.begin, UTC)
                ends = datetime.fromtimestamp(morning.origin + stop.end, UTC)
                state = "assigned" if begins > NOW else "on_site" if ends > NOW else "completed"
                rows.append(
                    {
                        "id": morning.facts[stop.visit].order_id,
                        "holder_id": morning.technician_ids[column],
                        "state": state,
                        "begins": begins,
                        "ends": ends if state == "completed" else None,
                    }
                )
    async with database.begin() as tx:
        await tx.execute(_HELD, rows)
        await tx.execute(_ARRIVED, [row for row in rows if row["state"] == "on_site"])
        await tx.execute(_PROMISED, {"unit": branch.id})
        routes: dict[tuple[UUID, date], list[UUID]] = {}
        for row in rows:
            routes.setdefault((row["holder_id"], DAY), []).append(row["id"])
        await availability.write_routes(tx, routes)


_HELD = text(
    "UPDATE work_order SET state = :state, holder_id = :holder_id, planned_day = '2026-03-02',"
    " completed_at = :ends WHERE id = :id AND :begins IS NOT NULL"
)
_ARRIVED = text(
    "INSERT INTO work_order_event (id, work_order_id, at, step, from_state, to_state)"
    " VALUES (gen_random_uuid(), :id, :begins, 'check_in', 'en_route', 'on_site')"
)
_PROMISED = text(
    "INSERT INTO technician_day (technician_id, day, committed_minutes, orders)"
    " SELECT holder_id, planned_day, sum(estimated_minutes), count(*) FROM work_order"
    " WHERE org_unit_id = :unit AND state IN ('assigned', 'on_site') GROUP BY 1, 2"
)
_WHO = text(
    "SELECT holder_id FROM work_order WHERE org_unit_id = :unit AND state = 'assigned'"
    " GROUP BY holder_id ORDER BY count(*) DESC, holder_id LIMIT 1"
)
_ILL = text(
    "INSERT INTO leave (id, technician_id, starts_at, ends_at, cause)"
    " VALUES (gen_random_uuid(), :who, :begins, :ends, 'illness')"
)
_URGENT = text(
    "INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type,"
    " priority, state, unplaced_reason, address, summary, point, grid_id, skills,"
    " estimated_minutes, due_at, reported_at, received_at)"
    " SELECT gen_random_uuid(), org_unit_id, 'crm', external_id || '-urgent', '', 'repair', 1,"
    " 'unplaced', 'no_minutes_left', address, summary, point, grid_id, skills, 60,"
    " CAST(:due AS timestamptz), received_at, received_at"
    " FROM work_order WHERE org_unit_id = :unit ORDER BY id LIMIT 1"
)


async def _something_happens(database: Database, branch: Branch) -> UUID:
    """Whoever has most to do is ill from noon on, and an urgent order finds nobody."""
    async with database.begin() as tx:
        who: UUID = (await tx.execute(_WHO, {"unit": branch.id})).scalar_one()
        await tx.execute(_ILL, {"who": who, "begins": at(12), "ends": at(18)})
        await tx.execute(_URGENT, {"unit": branch.id, "due": at(15)})
    return who


# --- measuring ------------------------------------------------------------------------------------


class _OnlyTried(Exception):
    """Rolls a transaction back."""


async def _inserted(database: Database, branch: Branch, who: UUID) -> District:
    """Place the orders of whoever is away one by one, and read what the day is then."""
    found: list[District] = []
    try:
        async with database.begin() as tx:
            await locating.for_keeps(tx)
            orders = await workorders.all_for_change(
                tx,
                WorkOrder.org_unit_id == branch.id,
                ((WorkOrder.holder_id == who) & (WorkOrder.state == "assigned"))
                | (WorkOrder.state == "unplaced"),
            )
            held = [order for order in orders if order.holder_id is not None]
            reason = UnplacedReason.NOBODY_ON_SHIFT
            relieved = await unplace_all(tx, held, reason, now=NOW)
            await availability.change(tx, relieved)
            await place_again(tx, orders, now=NOW)
            await tx.flush()
            found.append(await _district(tx, branch, NOW))
            raise _OnlyTried
    except _OnlyTried:
        return found[0]


def _as_plan(district: District, free: District) -> Plan:
    """What is in force in one reading of a day, as a plan of another."""
    number = {fact.order_id: row for row, fact in enumerate(free.facts)}
    routes = dict(zip(district.technician_ids, district.current, strict=True))
    return tuple(
        tuple(
            number[district.facts[visit].order_id]
            for visit in routes.get(who, ())
            if district.facts[visit].order_id in number
        )
        for who in free.technician_ids
    )


def _cost(free: District, plan: Plan) -> tuple[float, int]:
    """What a plan costs in hours, with what breaks a hard rule taken out of it, and how many
    orders have nobody."""
    holds = kept(free.problem, plan)
    placed = sum(visit < free.orders for route in holds for visit in route)
    return judge(free.problem, holds).bill.total / 3600, free.orders - placed


async def _measure(stand: Stand, database: Database, branch: Branch) -> Run:
    clock = FixedClock(NOW)
    who = await _something_happens(database, branch)
    began, cpu, postgres = perf_counter(), process_time(), stand.postgres_cpu()
    async with database.begin() as tx:
        assert await events.look(tx, now=NOW) == {(branch.id, DAY)}
    async with database.begin() as tx:
        plan = await replanning.for_events(tx, branch.id, DAY, now=NOW)
    assert plan is not None
    assert await making_anew.make(database, clock, plan.id) is PlanState.DRAFT
    spent = (
        perf_counter() - began,
        process_time() - cpu,
        stand.postgres_cpu() - postgres,
    )
    async with database.read() as read:
        trigger = replanning.trigger_of(plan)
        changes = await changes_of(read, plan.id)
        counts = counted([row.change for row in changes], trigger)
        district = await _district(read, branch, NOW)
    free = freed(district, away(trigger), behind(trigger))
    routes: dict[UUID, list[tuple[int, UUID]]] = {}
    for row in changes:
        if row.change.after is not None and row.place is not None:
            routes.setdefault(row.change.after.technician_id, []).append(
                (row.place, row.change.order_id)
            )
    number = {fact.order_id: row for row, fact in enumerate(free.facts)}
    made = tuple(
        tuple(number[order_id] for _, order_id in sorted(routes.get(one, ())))
        for one in free.technician_ids
    )
    inserted = await _inserted(database, branch, who)
    cost, unplaced = _cost(free, made)
    cost_inserted, unplaced_inserted = _cost(free, _as_plan(inserted, free))
    as_it_is, unplaced_as_it_is = _cost(free, free.current)
    return Run(
        *spent,
        cost,
        cost_inserted,
        as_it_is,
        unplaced,
        unplaced_inserted,
        unplaced_as_it_is,
        counts.moved,
        counts.others,
        counts.others_moved,
    )


async def measure(stand: Stand, plan: Scale) -> list[Figure]:
    """Measure, print, and return the figures that have marks."""
    url = stand.database("replan")
    with stand.progress() as progress:
        task = progress.add_task("replanning", total=2 * plan.branches + 1)
        branches = write(url, plan)
        database = open_database(Settings(database_url=url))
        try:
            progress.advance(task)
            for branch in branches:
                await _live_until_now(database, branch, plan)
                progress.advance(task)
            settle(url)
            runs = []
            for branch in branches:
                runs.append(await _measure(stand, database, branch))
                progress.advance(task)
        finally:
            await database.close()
    stand.drop("replan")
    return _report(stand, plan, runs)


def _report(stand: Stand, plan: Scale, runs: list[Run]) -> list[Figure]:
    def of(name: str) -> float:
        return float(median(getattr(run, name) for run in runs))

    others = sum(run.others for run in runs)
    share = 100 * sum(run.others_moved for run in runs) / max(1, others)
    ratio = sum(run.cost for run in runs) / sum(run.cost_inserted for run in runs)
    table(
        stand.console,
        f"The rest of a day anew: {plan.branches} branches of {plan.technicians} people and"
        f" {plan.orders} orders, medians",
        ["", "planned anew", "placed one by one", "as it is"],
        [
            ["cost, h", *map(shown, (of("cost"), of("cost_inserted"), of("cost_as_it_is")))],
            [
                "orders nobody has",
                shown(of("unplaced")),
                shown(of("unplaced_inserted")),
                shown(of("unplaced_as_it_is")),
            ],
            ["visits moved", shown(of("moved")), "", ""],
            [f"of {others} others' visits moved, %", shown(share), "0", ""],
            ["from the event to the draft, ms", milliseconds(of("seconds")), "", ""],
            ["  longest, ms", milliseconds(max(run.seconds for run in runs)), "", ""],
            ["  CPU of the process, ms", milliseconds(of("cpu")), "", ""],
            ["  CPU of PostgreSQL, ms", milliseconds(of("postgres")), "", ""],
        ],
    )
    return [
        Figure("replanning: event to draft, median", of("seconds"), "s", at_most=3.0),
        Figure("replanning: others' visits moved", share, "%", at_most=5.0),
        Figure("replanning: cost against placing one by one", ratio, "x", at_most=1.0),
    ]
