"""Making a plan of the rest of a day, and publishing it where the policy says so."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.core.clock import Clock
from app.core.db import Database
from app.core.parameter_values import parameters_in_force
from app.planning import rules
from app.planning.models import DayPlan
from app.planning.queries import plans
from app.planning.queries.changes import changes_of
from app.planning.rules import PlanState
from app.planning.rules.changes import applies
from app.planning.rules.districts import District
from app.planning.rules.events import away, behind
from app.planning.rules.replanning import freed
from app.planning.service import making
from app.planning.service.publishing import publish
from app.planning.service.replanning import drafts_before, trigger_of
from app.workorders import queries as workorders


async def make(database: Database, clock: Clock, plan_id: UUID) -> PlanState | None:
    """Make a plan of the rest of a day, and publish it where the policy says so."""
    async with database.read() as session:
        plan = await session.get_one(DayPlan, plan_id)
    trigger = trigger_of(plan)

    def prepare(districts: Sequence[District]) -> list[District]:
        return [freed(district, away(trigger), behind(trigger)) for district in districts]

    made = await making.make(database, clock, plan_id, prepare=prepare)
    async with database.begin() as tx:
        audit.acting(tx, "planning.replan")
        published = await _finish(tx, plan_id, now=clock.now())
    return PlanState.PUBLISHED if published else made


async def _finish(tx: AsyncSession, plan_id: UUID, *, now: datetime) -> bool:
    """Let a new draft take the place of older ones; publish it if the policy says so, and tell
    whether it was."""
    plan = await plans.for_change(tx, plan_id)
    if plan.state is not PlanState.DRAFT:
        return False
    for older in await drafts_before(tx, plan):
        if older.asked_at <= plan.asked_at:
            older.state = PlanState.DISCARDED
    numbers = await parameters_in_force(tx)
    path = (await workorders.org_units(tx, ids=[plan.org_unit_id])).by_id[plan.org_unit_id].path
    changes = [row.change for row in await changes_of(tx, plan_id)]
    policy = numbers.whole(rules.POLICY, now, path)
    if not applies(policy, numbers.whole(rules.POLICY_MOST, now, path), changes):
        return False
    await publish(tx, plan_id, None, now=now)
    return True
