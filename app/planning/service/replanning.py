"""Planning the rest of a day anew: for what has happened, or because a supervisor asks for it."""

from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.db import Database, new_id
from app.core.parameter_values import parameters_in_force
from app.planning import rules
from app.planning.models import DayPlan, PlanEvent
from app.planning.queries import events as queries
from app.planning.rules import EventKind, Happened, PlanKind, PlanState
from app.planning.rules.events import read, written
from app.planning.rules.wishes import Wish
from app.planning.service.asking import ask, unit_of
from app.workorders import queries as workorders
from app.workorders.queries import Unit


async def for_events(
    tx: AsyncSession, org_unit_id: UUID, day: date, *, now: datetime
) -> DayPlan | None:
    """Ask for a plan for all that waits for one in an org unit's local day.

    None when nothing waits, or the day is over. Raises PlanUnderWay.
    """
    units = await workorders.org_units(tx, ids=[org_unit_id])
    unit = units.by_id[org_unit_id]
    events = await queries.waiting(tx, org_unit_id, day)
    if not events or now.astimezone(unit.zone).date() != day:
        return None
    reason = rules.why_said([queries.as_happened(event) for event in events]).zh
    wish = Wish(id=new_id(), day=day, kind=PlanKind.EVENT, reason=reason[:2000])
    plan, _ = await ask(tx, wish, unit, None, now=now)
    await _made_for(tx, plan, unit, events, now=now)
    return plan


async def by_hand(
    tx: AsyncSession,
    plan_id: UUID,
    caller: Caller,
    *,
    org_unit: str | None,
    reason: str,
    now: datetime,
) -> tuple[DayPlan, bool]:
    """Ask for a plan of the rest of today as a supervisor wishes; the second value tells whether
    it is new. What waits for a plan is dealt with as well.

    Raises UnknownOrgUnit, SameIdOtherContent and PlanUnderWay.
    """
    unit = await unit_of(tx, caller, org_unit)
    asked_before = await tx.get(DayPlan, plan_id)
    # Sent again after midnight it is still the plan of the day before.
    day = asked_before.day if asked_before else now.astimezone(unit.zone).date()
    wish = Wish(id=plan_id, day=day, kind=PlanKind.EVENT, reason=reason)
    plan, new = await ask(tx, wish, unit, caller, now=now)
    if new:
        wished = Happened(unit.id, EventKind.BY_HAND, str(plan_id), facts={"reason": reason})
        events = await queries.waiting(tx, unit.id, day)
        await _made_for(tx, plan, unit, events, wished, now=now)
    return plan, new


async def _made_for(
    tx: AsyncSession,
    plan: DayPlan,
    unit: Unit,
    events: Sequence[PlanEvent],
    *wished: Happened,
    now: datetime,
) -> None:
    """Write down what a plan is made for: what waits, and what drafts that nobody has published
    were made for, since it takes their place."""
    trigger = list(wished)
    for draft in await drafts_before(tx, plan):
        trigger += [event for event in trigger_of(draft) if event.kind is not EventKind.LONG_VISIT]
    trigger += [queries.as_happened(event) for event in events]
    for event in events:
        event.plan_id = plan.id
    numbers = await parameters_in_force(tx)
    if iterations := numbers.whole(rules.ITERATIONS, now, unit.path):
        effort: dict[str, float] = {"iterations": iterations}
    else:
        seconds = numbers.number(rules.CPU_SECONDS, now, unit.path)
        # Somebody waits: on a busy machine the search is shorter, not the wait longer.
        effort = {"cpu_seconds": seconds, "wall_seconds": seconds}
    plan.asked = {**plan.asked, **effort, "trigger": [written(event) for event in trigger]}
    await tx.flush()


async def drafts_before(tx: AsyncSession, plan: DayPlan) -> Sequence[DayPlan]:
    """Lock the other drafts of the rest of a plan's day, those asked for first coming first."""
    found = await tx.scalars(
        select(DayPlan)
        .where(
            DayPlan.org_unit_id == plan.org_unit_id,
            DayPlan.day == plan.day,
            DayPlan.kind == PlanKind.EVENT,
            DayPlan.state == PlanState.DRAFT,
            DayPlan.id != plan.id,
        )
        .order_by(DayPlan.asked_at)
        .with_for_update()
    )
    return found.all()


def trigger_of(plan: DayPlan) -> list[Happened]:
    """Read what a plan was made for."""
    return [read(kept) for kept in plan.asked.get("trigger", ())]


async def kind_of(database: Database, plan_id: UUID) -> PlanKind | None:
    """Say what a plan is made for; None when there is none."""
    async with database.read() as session:
        return await session.scalar(select(DayPlan.kind).where(DayPlan.id == plan_id))
