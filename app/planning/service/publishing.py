"""Publishing a plan: its orders change hands and its routes are written, all in one transaction."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.dispatch.queries import take_from_vans, vans, windows
from app.dispatch.rules import BY_PLAN, Candidate, Choice, Kind, Tried
from app.dispatch.rules.vans import Van
from app.dispatch.service.decisions import Decided, write_decisions
from app.planning.models import DayPlan
from app.planning.queries import districts
from app.planning.queries import plans as queries
from app.planning.queries import publishing as statements
from app.planning.rules import LeftReason, PlanNotReady, PlanOver, PlanState
from app.planning.rules.publishing import Around, changes, whys_left
from app.technicians import availability
from app.technicians.availability import NOTHING, DayOf, Promised
from app.workorders import queries as workorders
from app.workorders.queries import Unit
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import Moved, take_steps


@dataclass(slots=True)
class _Applied:
    """What a plan does to orders, gathered before anything is written."""

    moved: list[Moved] = field(default_factory=list)
    left: dict[UUID, LeftReason] = field(default_factory=dict)
    minutes: dict[DayOf, Promised] = field(default_factory=dict)
    decided: list[Decided] = field(default_factory=list)

    def promise(self, day: DayOf, minutes: int, number: int) -> None:
        known = self.minutes.get(day, NOTHING)
        self.minutes[day] = Promised(known.minutes + minutes, known.orders + number)


async def publish(
    tx: AsyncSession, plan_id: UUID, caller: Caller | None, *, now: datetime
) -> DayPlan:
    """Let a draft be the plan of its day; one that is published already is answered alike.

    Orders that were changed, pinned or begun since the plan was made are left as they are, each
    with its reason; the rest changes hands as planned. An order without a place in the plan is
    taken from its holder only when nobody can do it at all on that day. Booked windows stay what
    they are. Plans of the day that were published for the same org unit, or one within it, are
    replaced.

    Raises NotFound, PlanNotReady and PlanOver.
    """
    plan = await queries.for_change(tx, plan_id, caller)
    if plan.state is PlanState.PUBLISHED:
        return plan
    if plan.state is not PlanState.DRAFT:
        raise PlanNotReady(state=plan.state, needs=[PlanState.DRAFT])
    unit = (await workorders.org_units(tx, ids={plan.org_unit_id})).by_id[plan.org_unit_id]
    if plan.day < now.astimezone(unit.zone).date():
        raise PlanOver(day=plan.day)
    visits = await statements.visits(tx, plan_id)
    wanted = {visit.work_order_id: visit for visit in visits if changes(visit)}
    people = await statements.technicians(tx, plan_id)
    locked = await statements.lock_orders(tx, wanted)
    await availability.lock(tx, set(_days(plan, people, locked.values())))
    around = await _around(tx, plan, unit, visits, wanted, locked, now)
    account_id = caller.account_id if caller else None
    applied = _apply(plan, wanted, locked, around)
    await take_steps(tx, applied.moved, now=now, account_id=account_id)
    await availability.change(tx, applied.minutes)
    await availability.write_routes(tx, _routes(plan, people, visits, applied.left))
    await write_decisions(tx, applied.decided, at=now, account_id=account_id)
    await statements.write_left(tx, plan_id, applied.left)
    await queries.replace_published(tx, plan_id, plan.day, unit.path)
    plan.state, plan.published_at, plan.published_by = PlanState.PUBLISHED, now, account_id
    taken = sum(one.step is Step.ASSIGN for one in applied.moved)
    plan.score = {
        **plan.score,
        "published": {
            "taken": taken,
            "taken_back": len(applied.moved) - taken,
            "left": len(applied.left),
        },
    }
    await tx.flush()
    return plan


def _days(plan: DayPlan, people: Iterable[UUID], locked: Iterable[Row[Any]]) -> Iterable[DayOf]:
    """All days that may change: everybody's, and those that orders are taken from."""
    for technician_id in people:
        yield technician_id, plan.day
    for order in locked:
        if order.holder_id is not None and order.planned_day is not None:
            yield order.holder_id, order.planned_day


async def _around(
    tx: AsyncSession,
    plan: DayPlan,
    unit: Unit,
    visits: Sequence[Row[Any]],
    wanted: Mapping[UUID, Row[Any]],
    locked: Mapping[UUID, Row[Any]],
    now: datetime,
) -> Around:
    """Look again at those who get something: who is here, on leave, newly booked, and what is in
    their vans."""
    gaining = {one.technician_id for one in wanted.values() if one.technician_id is not None}
    times = [one.begins_at for one in wanted.values() if one.begins_at is not None]
    first = min(times, default=now)
    here = await districts.people(tx, unit.path, plan.day)
    booked = await windows(
        tx, gaining, [plan.day], now=now, without=[one.work_order_id for one in visits]
    )
    return Around(
        here=frozenset(one.technician_id for one in here),
        leave=await statements.leave(tx, gaining, first, first + timedelta(days=2)),
        booked=frozenset(who for (who, _), appointments in booked.items() if appointments),
        vans=await _vans(tx, wanted, locked),
    )


async def _vans(
    tx: AsyncSession, wanted: Mapping[UUID, Row[Any]], locked: Mapping[UUID, Row[Any]]
) -> dict[UUID, Van]:
    """Read the vans that orders which need terminals leave or go to; mostly there are none."""
    needing = [one for one in wanted if locked[one].terminals]
    people = {wanted[one].technician_id for one in needing}
    people |= {locked[one].holder_id for one in needing}
    ids = {one for one in people if one is not None}
    await take_from_vans(tx, ids)
    return await vans(tx, ids) if ids else {}


def _apply(
    plan: DayPlan,
    wanted: Mapping[UUID, Row[Any]],
    locked: Mapping[UUID, Row[Any]],
    around: Around,
) -> _Applied:
    """Decide order by order what the plan still does."""
    applied, whys = _Applied(), whys_left(wanted, locked, around)
    for order_id, planned in wanted.items():
        order, why = locked[order_id], whys[order_id]
        if why is not None:
            applied.left[order_id] = why
            continue
        if order.holder_id is not None and order.planned_day is not None:
            applied.promise((order.holder_id, order.planned_day), -order.estimated_minutes, -1)
        came_from, facts = State(order.state), {"plan_id": str(plan.id)}
        if planned.technician_id is not None:
            who = planned.technician_id
            applied.promise((who, plan.day), order.estimated_minutes, 1)
            facts |= {"technician_id": str(who), "planned_day": plan.day.isoformat()}
            applied.moved.append(
                Moved(order_id, came_from, Step.ASSIGN, who, plan.day, facts=facts, reason=BY_PLAN)
            )
            candidate = Candidate(who, Kind(planned.belongs), 1, 0.0)
            choice = Choice(candidate, plan.day, None, [Tried(candidate, None)], 0)
            applied.decided.append(Decided(order_id, order.grid_id, choice, BY_PLAN))
        else:
            unplaced = UnplacedReason(planned.unplaced_reason)
            applied.moved.append(
                Moved(
                    order_id,
                    came_from,
                    Step.UNPLACE,
                    unplaced_reason=unplaced,
                    facts=facts,
                    reason=unplaced.value,
                )
            )
            applied.decided.append(Decided(order_id, order.grid_id, None, unplaced.value))
    return applied


def _routes(
    plan: DayPlan,
    people: Iterable[UUID],
    visits: Iterable[Row[Any]],
    left: Mapping[UUID, LeftReason],
) -> dict[DayOf, list[UUID]]:
    """The routes as the plan says; what is left as it was has its place, if any, elsewhere."""
    routes: dict[DayOf, list[UUID]] = {(one, plan.day): [] for one in people}
    for visit in visits:
        if visit.technician_id is not None and visit.work_order_id not in left:
            routes[visit.technician_id, plan.day].append(visit.work_order_id)
    return routes
