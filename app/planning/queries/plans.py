"""Plans: one, a page of them, their routes and visits; and how a plan is written down."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import subtree
from app.auth.models import OrgUnit
from app.auth.rules import Caller
from app.core.db import Rows, put
from app.core.errors import NotFound
from app.planning.models import DayPlan, PlanRoute, PlanVisit
from app.planning.rules import UNDER_WAY, PlanState
from app.planning.rules.drafts import Route, Visit
from app.technicians.models import Technician
from app.workorders.models import WorkOrder

PLAN = (
    DayPlan.id,
    DayPlan.org_unit_id,
    OrgUnit.code.label("org_unit"),
    DayPlan.day,
    DayPlan.kind,
    DayPlan.state,
    DayPlan.reason,
    DayPlan.asked,
    DayPlan.asked_at,
    DayPlan.started_at,
    DayPlan.stop_asked_at,
    DayPlan.finished_at,
    DayPlan.published_at,
    DayPlan.base_id,
    DayPlan.progress,
    DayPlan.score,
)
_PLAN = select(*PLAN).join(OrgUnit, OrgUnit.id == DayPlan.org_unit_id)


async def one(session: AsyncSession, plan_id: UUID, caller: Caller) -> Row[Any]:
    """Read a plan of the caller's subtree. Raises NotFound."""
    found = (
        await session.execute(
            _PLAN.where(DayPlan.id == plan_id, subtree(DayPlan.org_unit_id, caller))
        )
    ).one_or_none()
    if found is None:
        raise NotFound(plan_id=plan_id)
    return found


async def page(
    session: AsyncSession,
    caller: Caller,
    *,
    org_unit_id: UUID | None,
    day: date | None,
    after: tuple[datetime, UUID] | None,
    size: int,
) -> Sequence[Row[Any]]:
    """List plans of the caller's subtree, newest first, one more than asked for."""
    query = _PLAN.where(subtree(DayPlan.org_unit_id, caller))
    if org_unit_id is not None:
        query = query.where(DayPlan.org_unit_id == org_unit_id)
    if day is not None:
        query = query.where(DayPlan.day == day)
    if after is not None:
        query = query.where(tuple_(DayPlan.asked_at, DayPlan.id) < after)
    query = query.order_by(DayPlan.asked_at.desc(), DayPlan.id.desc()).limit(size + 1)
    return (await session.execute(query)).all()


async def for_change(tx: AsyncSession, plan_id: UUID, caller: Caller | None = None) -> DayPlan:
    """Take a plan under its row lock. Raises NotFound."""
    mine = () if caller is None else (subtree(DayPlan.org_unit_id, caller),)
    found = await tx.scalar(
        select(DayPlan)
        .where(DayPlan.id == plan_id, *mine)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if found is None:
        raise NotFound(plan_id=plan_id)
    return found


# Held until the transaction ends by whoever begins to plan a day.
_ALONE = text(
    "SELECT pg_advisory_xact_lock(hashtext('planning'), CAST(:day AS date) - '2000-01-01')"
)


async def alone_on(tx: AsyncSession, day: date) -> None:
    """Wait for others who begin to plan a day, whatever the org unit."""
    await tx.execute(_ALONE, {"day": day})


async def under_way(tx: AsyncSession, day: date, org_path: str) -> Row[Any] | None:
    """Find a plan under way of a day for a unit within, or above, an org unit."""
    around = or_(OrgUnit.path.startswith(org_path, autoescape=True), _prefixes(org_path))
    query = (
        select(DayPlan.id, OrgUnit.code)
        .join(OrgUnit, OrgUnit.id == DayPlan.org_unit_id)
        .where(DayPlan.day == day, DayPlan.state.in_(UNDER_WAY), around)
        .limit(1)
    )
    found: Row[Any] | None = (await tx.execute(query)).first()  # type: ignore[assignment]
    return found


def _prefixes(org_path: str) -> Any:
    codes = org_path.rstrip(".").split(".")
    return OrgUnit.path.in_(
        ["".join(f"{code}." for code in codes[: n + 1]) for n in range(len(codes))]
    )


_REPLACED = text(
    """
    UPDATE day_plan SET state = 'replaced'
    WHERE day = :day AND state = 'published' AND id <> :plan_id
        AND org_unit_id IN (SELECT id FROM org_unit WHERE starts_with(path, :org_path))
    RETURNING id
    """
)


async def replace_published(
    tx: AsyncSession, plan_id: UUID, day: date, org_path: str
) -> Sequence[UUID]:
    """Let the plans of a day that were published for a subtree be replaced by a newer one."""
    given = {"plan_id": plan_id, "day": day, "org_path": org_path}
    return (await tx.scalars(_REPLACED, given)).all()


# A run that has ended otherwise meanwhile is told so by nothing coming back.
_PROGRESS = text(
    """
    UPDATE day_plan SET progress = CAST(:progress AS jsonb)
    WHERE id = :plan_id AND state = 'running' RETURNING stop_asked_at IS NOT NULL AS stop
    """
)


async def tell_progress(tx: AsyncSession, plan_id: UUID, progress: str) -> bool | None:
    """Write how far a plan is; say whether it shall stop. None when it does not run any more."""
    row = (await tx.execute(_PROGRESS, {"plan_id": plan_id, "progress": progress})).first()
    return None if row is None else bool(row.stop)


_ROUTE = Route._fields
_VISIT = ("work_order_id", *Visit._fields[1:])


async def write(
    tx: AsyncSession, plan_id: UUID, routes: Iterable[Route], visits: Iterable[Visit]
) -> None:
    """Write a plan's routes and visits, in place of those it had."""
    for table in (PlanVisit, PlanRoute):
        await tx.execute(delete(table).where(table.plan_id == plan_id))
    await put(
        tx,
        Rows("plan_route", _columns(_ROUTE), [(plan_id, *route) for route in routes]),
        Rows(
            "plan_visit",
            _columns(_VISIT),
            [(plan_id, *(_plain(one) for one in visit)) for visit in visits],
        ),
    )


def _columns(names: Iterable[str]) -> str:
    return " ".join(("plan_id", *names))


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value


async def routes_page(
    session: AsyncSession,
    plan_id: UUID,
    *,
    technician_id: UUID | None,
    after: UUID | None,
    size: int,
) -> Sequence[Row[Any]]:
    """List a plan's routes with their technicians, one more than asked for."""
    query = (
        select(
            *(getattr(PlanRoute, name) for name in _ROUTE),
            Technician.code.label("technician"),
            Technician.name,
        )
        .join(Technician, Technician.id == PlanRoute.technician_id)
        .where(PlanRoute.plan_id == plan_id)
    )
    if technician_id is not None:
        query = query.where(PlanRoute.technician_id == technician_id)
    if after is not None:
        query = query.where(PlanRoute.technician_id > after)
    query = query.order_by(PlanRoute.technician_id).limit(size + 1)
    found: Sequence[Any] = (await session.execute(query)).all()
    return found


_SEEN = (
    *(getattr(PlanVisit, name) for name in _VISIT),
    PlanVisit.left_reason,
    WorkOrder.external_id,
    WorkOrder.work_type,
    WorkOrder.priority,
    WorkOrder.appointment_from,
    WorkOrder.appointment_until,
    WorkOrder.due_at,
    WorkOrder.holder_id,
)
_VISITS = select(*_SEEN).join(WorkOrder, WorkOrder.id == PlanVisit.work_order_id)


async def visits_of(
    session: AsyncSession, plan_id: UUID, technician_ids: Iterable[UUID]
) -> Sequence[Row[Any]]:
    """Read the visits of some technicians in a plan, in the order of their days."""
    query = _VISITS.where(
        PlanVisit.plan_id == plan_id, PlanVisit.technician_id.in_(list(technician_ids))
    ).order_by(PlanVisit.technician_id, PlanVisit.place)
    return (await session.execute(query)).all()


async def unplaced_page(
    session: AsyncSession, plan_id: UUID, *, after: tuple[int, UUID] | None, size: int
) -> Sequence[Row[Any]]:
    """List the orders that a plan has nobody for, the most urgent first, one more than asked."""
    query = _VISITS.where(PlanVisit.plan_id == plan_id, PlanVisit.technician_id.is_(None))
    if after is not None:
        query = query.where(tuple_(WorkOrder.priority, PlanVisit.work_order_id) > after)
    query = query.order_by(WorkOrder.priority, PlanVisit.work_order_id).limit(size + 1)
    return (await session.execute(query)).all()


async def left_page(
    session: AsyncSession, plan_id: UUID, *, after: UUID | None, size: int
) -> Sequence[Row[Any]]:
    """List the orders that publishing a plan left as they were, one more than asked for."""
    query = _VISITS.where(PlanVisit.plan_id == plan_id, PlanVisit.left_reason.is_not(None))
    if after is not None:
        query = query.where(PlanVisit.work_order_id > after)
    query = query.order_by(PlanVisit.work_order_id).limit(size + 1)
    return (await session.execute(query)).all()


_MOVES = """
    SELECT p.work_order_id, o.external_id, {theirs} AS from_id, p.technician_id AS to_id,
        f.code AS from_technician, t.code AS to_technician,
        {when} AS from_begins_at, p.begins_at AS to_begins_at
    FROM plan_visit p
    JOIN work_order o ON o.id = p.work_order_id
    {join}
    LEFT JOIN technician f ON f.id = {theirs}
    LEFT JOIN technician t ON t.id = p.technician_id
    WHERE p.plan_id = :plan_id AND p.technician_id IS DISTINCT FROM {theirs}
        AND (CAST(:after AS uuid) IS NULL OR p.work_order_id > :after)
    ORDER BY p.work_order_id LIMIT :size
"""
_MOVED_NOW = text(_MOVES.format(theirs="o.holder_id", when="CAST(NULL AS timestamptz)", join=""))
_MOVED_BETWEEN = text(
    _MOVES.format(
        theirs="other.technician_id",
        when="other.begins_at",
        join="JOIN plan_visit other ON other.work_order_id = p.work_order_id"
        " AND other.plan_id = :other_id",
    )
)
_COUNT_NOW = text(
    """
    SELECT count(*) FROM plan_visit p JOIN work_order o ON o.id = p.work_order_id
    WHERE p.plan_id = :plan_id AND p.technician_id IS DISTINCT FROM o.holder_id
    """
)
_COUNT_BETWEEN = text(
    """
    SELECT count(*) FROM plan_visit p JOIN plan_visit other
        ON other.work_order_id = p.work_order_id AND other.plan_id = :other_id
    WHERE p.plan_id = :plan_id AND p.technician_id IS DISTINCT FROM other.technician_id
    """
)


async def moves(
    session: AsyncSession, plan_id: UUID, other_id: UUID | None, *, after: UUID | None, size: int
) -> tuple[int, Sequence[Row[Any]]]:
    """Count and list the orders that a plan gives to somebody else than another plan does, or
    (without one) than has them now; one more than asked for."""
    given: dict[str, Any] = {"plan_id": plan_id, "after": after, "size": size + 1}
    if other_id is not None:
        given["other_id"] = other_id
    counted: dict[str, Any] = {
        name: value for name, value in given.items() if name not in ("after", "size")
    }
    number = await session.scalar(_COUNT_BETWEEN if other_id else _COUNT_NOW, counted)
    rows = await session.execute(_MOVED_BETWEEN if other_id else _MOVED_NOW, given)
    return int(number or 0), rows.all()


_PLACES = text(
    """
    SELECT technician_id, work_order_id FROM plan_visit
    WHERE plan_id = :plan_id AND technician_id IS NOT NULL ORDER BY technician_id, place
    """
)


async def routes_in(session: AsyncSession, plan_id: UUID) -> dict[UUID, list[UUID]]:
    """Read a plan's orders by technician, in the order of the day."""
    found: dict[UUID, list[UUID]] = {}
    for row in await session.execute(_PLACES, {"plan_id": plan_id}):
        found.setdefault(row.technician_id, []).append(row.work_order_id)
    return found


async def inputs_of(session: AsyncSession, plan_id: UUID) -> bytes | None:
    """Read what a plan was made from."""
    found: bytes | None = await session.scalar(select(DayPlan.inputs).where(DayPlan.id == plan_id))
    return found


def is_live(state: PlanState) -> bool:
    """Tell whether a plan is still being made."""
    return state in UNDER_WAY
