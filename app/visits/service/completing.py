"""Finishing an order: what its template asks for is there, or all that is missing is said."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.activation.queries import line_of
from app.auth.callers import Caller
from app.customers.rules import Channel, InteractionKind
from app.customers.service import record_contact
from app.evidence.queries import counted
from app.terminals import queries as terminals
from app.visits import queries
from app.visits.rules import Asked, Outcome, Taken, content_of
from app.visits.service.steps import take, visiting
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.worktypes.queries import template_of
from app.worktypes.rules import Done, Missing, NotComplete, judge


async def complete(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    outcome_code: str,
    checked: Collection[str],
    measurements: Mapping[str, float],
    note: str | None,
    device_at: datetime,
    now: datetime,
) -> Taken:
    """Finish the order and leave the door; the visit is a service contact of the customer.

    What earlier visits have checked and measured counts as well. Raises NotFound, StepRefused,
    VisitEnded, Invalid when the code is not one of the order's template, and NotComplete with all
    that is missing.
    """
    content = content_of(checked=sorted(checked), measurements=measurements, note=note)
    asked = Asked(Step.COMPLETE, device_at, outcome_code, content)
    order, visit, before = await visiting(tx, visit_id, caller, asked)
    if before:
        return before
    template = await template_of(tx, order.template_id, order.work_type)
    closing = template.closing(outcome_code)
    visit.checked = sorted({*visit.checked, *checked})
    visit.measurements = {**(visit.measurements or {}), **measurements}
    verdict = judge(template, closing, await done_of(tx, order))
    if verdict.missing:
        raise NotComplete(
            count=len(verdict.missing), missing=[one._asdict() for one in verdict.missing]
        )
    if closing.works_again:
        visit.restored_at = visit.restored_at or now
        order.restored_at = order.restored_at or now
    order.outcome_code = visit.outcome_code = outcome_code
    visit.outcome, visit.ended_at = Outcome.COMPLETED, now
    visit.note = note or visit.note
    warnings = said(verdict.warnings)
    taken = await take(tx, order, caller, asked, now, visit_id=visit_id, warnings=warnings)
    if order.customer_id is not None:
        await record_contact(
            tx,
            customer_id=order.customer_id,
            at=now,
            channel=Channel.VISIT,
            kind=InteractionKind.SERVICE,
            subject=order.work_type.value,
            outcome=outcome_code,
            technician_id=visit.technician_id,
            work_order_id=order.id,
        )
    return taken


async def done_of(tx: AsyncSession, order: WorkOrder) -> Done:
    """Gather what has been done for an order, in all of its visits."""
    checked, measurements = await queries.worked_so_far(tx, order.id)
    moved = await terminals.moved_for(tx, order.id)
    evidence = await counted(tx, order.id)
    return Done(
        checked=checked,
        stored=evidence.stored,
        announced=evidence.announced,
        measurements=measurements,
        fitted=frozenset(moved.fitted.values()),
        left_behind=await _left_behind(tx, order, moved),
        signed=evidence.signed,
        line=await line_of(tx, order.id),
        code_accepted=await queries.code_accepted(tx, order.id),
    )


async def _left_behind(
    tx: AsyncSession, order: WorkOrder, moved: terminals.Moved
) -> tuple[str, ...]:
    """List the serial numbers that an order is to take away and that still stand there."""
    asked = await terminals.asked_of(tx, order.id)
    if asked:
        return tuple(serial for serial, there in asked.items() if there)
    standing = await terminals.standing_at(tx, order.customer_id, order.service_number)
    # What was fitted for this very order is meant to stay.
    return tuple(serial for serial in standing if serial not in moved.fitted)


def said(found: Iterable[Missing]) -> list[dict[str, str]]:
    """Write findings as an event keeps them, in both languages."""
    return [
        {"wanting": one.wanting.value, "code": one.code, "zh": one.words.zh, "en": one.words.en}
        for one in found
    ]
