"""Work at a door as it goes on: what is done so far, kept before the order is completed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, technician_of
from app.auth.rules import Role
from app.core.errors import NotFound
from app.visits import queries, rules
from app.visits.models import Visit
from app.visits.service.completing import done_of
from app.workorders.models import WorkOrder
from app.workorders.queries import held_for_change, org_units
from app.worktypes.queries import template_of
from app.worktypes.rules import ClosingCode, Done, Template, Verdict, judge


@dataclass(frozen=True)
class Progress:
    """What has been done for an order so far, and what each closing code still lacks."""

    visit: Visit
    template_id: UUID | None
    done: Done
    closings: Sequence[tuple[ClosingCode, Verdict]]


async def keep(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    checked: Collection[str],
    measurements: Mapping[str, float],
    note: str | None,
    device_at: datetime,
    now: datetime,
) -> Progress:
    """Keep what a visit has checked and measured, in place of what it had; it moves nothing.

    What was sent earlier by the phone's clock and comes later does not undo what is newer. Raises
    NotFound, and VisitEnded unless all that is sent is there already.
    """
    technician_id = technician_of(caller)
    visit = await queries.own(tx, visit_id, technician_id)
    if visit.ended_at is None:
        await held_for_change(tx, visit.work_order_id, technician_id)
        # The order's lock is held now, and visits only change under it.
        visit = await queries.own(tx, visit_id, technician_id)
    if visit.ended_at is not None:
        if _there(visit, checked, measurements, note):
            return await _progress(tx, visit)
        raise rules.VisitEnded(ended_at=visit.ended_at, outcome=visit.outcome)
    # A phone whose clock runs ahead must not keep out what it sends once that is put right.
    said_at = min(device_at, now)
    if visit.progress_at is None or said_at >= visit.progress_at:
        visit.checked, visit.measurements = sorted(set(checked)), dict(measurements)
        visit.note, visit.progress_at = note, said_at
        await tx.flush()
    return await _progress(tx, visit)


def _there(
    visit: Visit, checked: Collection[str], measurements: Mapping[str, float], note: str | None
) -> bool:
    return (
        set(checked) <= set(visit.checked)
        and measurements.items() <= (visit.measurements or {}).items()
        and note in (None, visit.note)
    )


async def progress_of(tx: AsyncSession, visit_id: UUID, caller: Caller) -> Progress:
    """Read how far a technician's own visit is, with what earlier visits did. Raises NotFound."""
    return await _progress(tx, await queries.own(tx, visit_id, technician_of(caller)))


async def _progress(tx: AsyncSession, visit: Visit) -> Progress:
    order = await tx.get_one(WorkOrder, visit.work_order_id)
    template = await template_of(tx, order.template_id, order.work_type)
    done = await done_of(tx, order)
    return Progress(
        visit,
        order.template_id,
        done,
        [(closing, judge(template, closing, done)) for closing in template.closing_codes],
    )


async def asked_by(
    session: AsyncSession, order_id: UUID, caller: Caller
) -> tuple[UUID | None, Template]:
    """Read the template by which an order is judged, with its id; a built-in has none.

    Raises NotFound for a technician who does not hold the order, and outside one's subtree.
    """
    order = await session.get(WorkOrder, order_id)
    if order is None or not await _may_see(session, order, caller):
        raise NotFound()
    return order.template_id, await template_of(session, order.template_id, order.work_type)


async def _may_see(session: AsyncSession, order: WorkOrder, caller: Caller) -> bool:
    if caller.role is Role.TECHNICIAN:
        return order.holder_id == technician_of(caller)
    units = await org_units(session, ids=[order.org_unit_id])
    return units.by_id[order.org_unit_id].path.startswith(caller.org_path)
