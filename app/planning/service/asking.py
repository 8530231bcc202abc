"""Asking for a plan, stopping one, and throwing a draft away."""

import hashlib
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core import jobs
from app.core.clock import wall
from app.core.db import is_broken
from app.core.errors import SameIdOtherContent
from app.dispatch.rules import DayOutOfRange
from app.planning import rules
from app.planning.models import DayPlan
from app.planning.queries import plans as queries
from app.planning.rules import PlanNotReady, PlanState, PlanUnderWay
from app.planning.rules.wishes import Wish
from app.workorders import queries as workorders
from app.workorders.queries import Unit
from app.workorders.rules import UnknownOrgUnit

SILENT = timedelta(seconds=60)
"""A run that has told nothing for so long (of real time) is not waited for when it is stopped."""


async def unit_of(session: AsyncSession, caller: Caller, code: str | None) -> Unit:
    """Find an org unit of the caller's subtree by its code, or the caller's own.

    Raises UnknownOrgUnit.
    """
    if code is None:
        units = await workorders.org_units(session, ids={caller.org_unit_id})
        return units.by_id[caller.org_unit_id]
    unit = (await workorders.org_units(session, codes={code})).by_code.get(code)
    if unit is None or not unit.path.startswith(caller.org_path):
        raise UnknownOrgUnit(
            code=code, errors=[{"field": "org_unit", "message": "no such org unit in your area"}]
        )
    return unit


async def ask(
    tx: AsyncSession,
    wish: Wish,
    unit: Unit,
    caller: Caller | None,
    *,
    now: datetime,
    told: bool = True,
) -> tuple[DayPlan, bool]:
    """Ask for a plan; the second value tells whether it is new.

    It is told as "plan.asked", so that a worker makes it, unless the caller does so.

    Raises SameIdOtherContent, DayOutOfRange, NotFound (the base) and PlanUnderWay: one run a day
    for an org unit, those above and those within.
    """
    content = orjson.dumps([wish, unit.id], option=orjson.OPT_SORT_KEYS)
    content_hash = hashlib.sha256(content).hexdigest()
    await queries.alone_on(tx, wish.day)
    known = await tx.get(DayPlan, wish.id, populate_existing=True)
    if known is not None:
        if known.content_hash != content_hash:
            raise SameIdOtherContent(id=wish.id)
        return known, False
    today = now.astimezone(unit.zone).date()
    last = today + timedelta(days=rules.FARTHEST_DAYS)
    if not today <= wish.day <= last:
        raise DayOutOfRange(first=today, last=last, errors=[])
    other = await queries.under_way(tx, wish.day, unit.path)
    if other is not None:
        raise PlanUnderWay(plan_id=other.id, org_unit=other.code)
    if wish.base_id is not None:
        base = await queries.for_change(tx, wish.base_id, caller)
        if base.day != wish.day:
            raise rules.PlansOfDifferentDays()
    plan = DayPlan(
        id=wish.id,
        org_unit_id=unit.id,
        day=wish.day,
        kind=wish.kind,
        state=PlanState.WAITING,
        reason=wish.reason,
        content_hash=content_hash,
        asked=wish.asked(),
        asked_at=now,
        asked_by=caller.account_id if caller else None,
        base_id=wish.base_id,
        progress={},
        score={},
    )
    tx.add(plan)
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_day_plan", error):
            raise SameIdOtherContent(id=wish.id) from error
        raise
    if told:
        await jobs.tell(tx, "plan.asked", plan_id=plan.id)
    return plan, True


async def stop(tx: AsyncSession, plan_id: UUID, caller: Caller, *, now: datetime) -> DayPlan:
    """Ask a run to stop: its best so far becomes a draft. One that has not begun is discarded, and
    one that nobody works at any more has failed. A plan that is made already stays as it is.

    Raises NotFound.
    """
    plan = await queries.for_change(tx, plan_id, caller)
    if plan.state is PlanState.WAITING:
        plan.state, plan.finished_at = PlanState.DISCARDED, now
    if plan.state is PlanState.RUNNING:
        plan.stop_asked_at = plan.stop_asked_at or now
        heard = plan.progress.get("heard_at")
        if heard is not None and wall() - datetime.fromisoformat(heard) > SILENT:
            plan.state, plan.finished_at = PlanState.FAILED, now
            plan.progress = {**plan.progress, "error": "the run has not been heard of"}
    await tx.flush()
    return plan


async def discard(tx: AsyncSession, plan_id: UUID, caller: Caller, *, now: datetime) -> DayPlan:
    """Throw a draft away; one thrown away already stays so. Raises NotFound or PlanNotReady."""
    plan = await queries.for_change(tx, plan_id, caller)
    if plan.state is PlanState.DISCARDED:
        return plan
    if plan.state is not PlanState.DRAFT:
        raise PlanNotReady(state=plan.state, needs=[PlanState.DRAFT])
    plan.state, plan.finished_at = PlanState.DISCARDED, plan.finished_at or now
    await tx.flush()
    return plan
