"""Comparing a plan with another one, or with what is in force."""

from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import NotFound
from app.planning.queries import plans as queries
from app.planning.rules import PlanNotReady, PlansOfDifferentDays, PlanState

CURRENT = "current"


class Figures(NamedTuple):
    """Two scores side by side, as they are kept; `other_id` is null for what is in force."""

    plan: dict[str, Any]
    other: dict[str, Any]
    other_id: UUID | None


async def figures(session: AsyncSession, plan_id: UUID, other: str, caller: Caller) -> Figures:
    """Read the figures of a plan and of another one, or of what was in force when it was made.

    Raises NotFound, PlanNotReady for a plan that is not made, and PlansOfDifferentDays.
    """
    plan = await queries.one(session, plan_id, caller)
    if "plan" not in plan.score:
        raise PlanNotReady(state=plan.state, needs=[PlanState.DRAFT, PlanState.PUBLISHED])
    if other == CURRENT:
        return Figures(plan.score["plan"], plan.score["before"], None)
    try:
        other_id = UUID(other)
    except ValueError:
        raise NotFound(plan_id=other) from None
    against = await queries.one(session, other_id, caller)
    if "plan" not in against.score:
        raise PlanNotReady(state=against.state, needs=[PlanState.DRAFT, PlanState.PUBLISHED])
    if (against.day, against.org_unit_id) != (plan.day, plan.org_unit_id):
        raise PlansOfDifferentDays()
    return Figures(plan.score["plan"], against.score["plan"], other_id)
