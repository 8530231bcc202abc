"""What planning does after a commit, and from time to time: plans are made, the rest of a day is
planned anew when something has happened in it, and days gone by are added up."""

from datetime import date, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.jobs import Worker, tell
from app.core.parameter_values import parameters_in_force
from app.planning import rules
from app.planning.rules import PlanKind, PlanUnderWay
from app.planning.service import events, making, making_anew, replanning, tally, warming
from app.workorders.queries import org_units


async def make_plan(worker: Worker, plan_id: str) -> None:
    """Make a plan; when its worker dies another one makes it again, from the same inputs."""
    if await replanning.kind_of(worker.database, UUID(plan_id)) is PlanKind.EVENT:
        await making_anew.make(worker.database, worker.clock, UUID(plan_id))
    else:
        await making.make(worker.database, worker.clock, UUID(plan_id))


async def warm_up(worker: Worker) -> None:
    """Have the planning kernel loaded before the first plan is asked for."""
    await warming.warm()


async def add_up(worker: Worker) -> None:
    """Add up every night whose ways are learned from, each in a transaction of its own."""
    while True:
        now = worker.clock.now()
        async with worker.database.read() as read:
            if not await tally.is_due(read, now):
                return
        async with worker.database.begin() as tx:
            audit.acting(tx, "planning.add_up")
            if not await tally.add_up(tx, now):
                return


# --- events ---------------------------------------------------------------------------------------

# While another plan of the unit is made, what has happened waits for so long (of real time).
AGAIN = timedelta(seconds=5)


async def look_around(worker: Worker, technician_id: str = "") -> None:
    """Look for what has happened in the days under way: leave, long visits, urgent orders.

    `technician_id` is whose leave was told; all else that has happened is found on the way.
    """
    async with worker.database.begin() as tx:
        audit.acting(tx, "planning.look_around")
        now = worker.clock.now()
        numbers = await parameters_in_force(tx)
        units = await org_units(tx)
        for org_unit_id, day in sorted(await events.look(tx, now=now)):
            settle = numbers.number(rules.SETTLE, now, units.by_id[org_unit_id].path)
            await _wait_for_more(tx, org_unit_id, day, timedelta(seconds=settle))


async def replan(worker: Worker, org_unit_id: str, day: str) -> None:
    """Ask for a plan for what has happened in an org unit's day; later when one is being made."""
    unit, when = UUID(org_unit_id), date.fromisoformat(day)
    async with worker.database.begin() as tx:
        audit.acting(tx, "planning.replan")
        try:
            async with tx.begin_nested():
                await replanning.for_events(tx, unit, when, now=worker.clock.now())
        except PlanUnderWay:
            await _wait_for_more(tx, unit, when, AGAIN)


async def _wait_for_more(tx: AsyncSession, org_unit_id: UUID, day: date, delay: timedelta) -> None:
    await tell(tx, "day.disturbed", delay=delay, priority=-1, org_unit_id=org_unit_id, day=day)
