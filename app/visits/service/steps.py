"""A technician's steps with an order. Each takes the order's row lock, looks whether the phone is
only asking a second time, asks the rules, and leaves an event.
"""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth import audit
from app.auth.callers import Caller, technician_of
from app.core.db import is_broken
from app.core.errors import Invalid, NotFound, SameIdOtherContent, plain
from app.suggestions.service import release_slot
from app.technicians.queries import anybody_can
from app.visits import queries, rules
from app.visits.models import Visit
from app.visits.rules import (
    NOTHING_LACKING,
    Asked,
    DeclineCause,
    HandBackCause,
    Lacking,
    Outcome,
    SuspendCause,
    Taken,
    content_of,
)
from app.visits.service import clocks
from app.workorders.models import WorkOrder
from app.workorders.queries import held_for_change
from app.workorders.rules import State, Step
from app.workorders.service import take_step

# What the holder of an acknowledged order sees of the customer in the list of the day.
SHOWN_TO_HOLDER = ("contact_name", "contact_phone", "service_number")


async def acknowledge(
    tx: AsyncSession, order_id: UUID, caller: Caller, *, device_at: datetime, now: datetime
) -> Taken:
    """Take an order on. From here on the holder sees the customer's name and number.

    That is written into the audit trail once, here, rather than at each look at the list.
    Raises NotFound and StepRefused.
    """
    asked = Asked(Step.ACKNOWLEDGE, device_at)
    order, before = await held(tx, order_id, caller, asked)
    if before:
        return before
    audit.unmasked(
        tx,
        caller,
        subject_kind="customer" if order.customer_id else "work_order",
        subject_id=order.customer_id or order.id,
        purpose=f"work_order:{order.id}",
        fields=SHOWN_TO_HOLDER,
    )
    return await take(tx, order, caller, asked, now)


async def decline(
    tx: AsyncSession,
    order_id: UUID,
    caller: Caller,
    *,
    cause: DeclineCause,
    device_at: datetime,
    now: datetime,
) -> Taken:
    """Say no to an order that was assigned; it is given to somebody else.

    Raises NotFound and StepRefused.
    """
    asked = Asked(Step.DECLINE, device_at, cause)
    order, before = await held(tx, order_id, caller, asked)
    return before or await take(tx, order, caller, asked, now)


async def set_out(
    tx: AsyncSession,
    visit_id: UUID,
    order_id: UUID,
    caller: Caller,
    *,
    device_at: datetime,
    now: datetime,
) -> Taken:
    """Set out for an order, which begins a visit; the phone makes the visit's id.

    Raises NotFound, StepRefused, OneAtATime, and SameIdOtherContent for a used id.
    """
    asked = Asked(Step.TRAVEL, device_at, content=content_of(visit_id=visit_id))
    order, before = await held(tx, order_id, caller, asked)
    if before:
        return before
    if await tx.get(Visit, visit_id) is not None:
        raise SameIdOtherContent(id=visit_id)
    clock = await clocks.runs(tx, order, caller, asked, now)
    taken = await take(tx, order, caller, asked, now, visit_id=visit_id, **clock)
    tx.add(
        Visit(
            id=visit_id,
            work_order_id=order_id,
            technician_id=technician_of(caller),
            travel_started_at=now,
        )
    )
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_visit", error):
            raise SameIdOtherContent(id=visit_id) from error
        raise
    return taken


async def suspend(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    cause: SuspendCause,
    resume_at: datetime,
    device_at: datetime,
    now: datetime,
) -> Taken:
    """Interrupt the work and say when it goes on; the technician may take up another order.

    Raises NotFound, StepRefused, VisitEnded, and Invalid when it would go on in the past.
    """
    if resume_at <= device_at:
        raise Invalid(errors=[{"field": "resume_at", "message": "must be after device_at"}])
    asked = Asked(Step.SUSPEND, device_at, cause, content_of(resume_at=resume_at.timestamp()))
    order, visit, before = await visiting(tx, visit_id, caller, asked)
    if before:
        return before
    visit.suspend_cause, visit.resume_at = cause, resume_at
    if cause is SuspendCause.CUSTOMER_ABSENT:
        order.absences += 1
    clock = await clocks.stands(tx, order, visit, caller, asked, now, latest=resume_at)
    facts = {"visit_id": visit_id, "resume_at": resume_at, **clock}
    return await take(tx, order, caller, asked, now, **facts)


async def resume(
    tx: AsyncSession, visit_id: UUID, caller: Caller, *, device_at: datetime, now: datetime
) -> Taken:
    """Go on with suspended work. Raises NotFound, StepRefused, OneAtATime and VisitEnded."""
    asked = Asked(Step.RESUME, device_at)
    order, visit, before = await visiting(tx, visit_id, caller, asked)
    if before:
        return before
    visit.suspend_cause = visit.resume_at = None
    clock = await clocks.runs(tx, order, caller, asked, now)
    return await take(tx, order, caller, asked, now, visit_id=visit_id, **clock)


async def restored(
    tx: AsyncSession, visit_id: UUID, caller: Caller, *, device_at: datetime, now: datetime
) -> Taken:
    """Mark that the customer's service works again; from here on something may be offered.

    Raises NotFound, StepRefused (also for what is no repair) and VisitEnded.
    """
    asked = Asked(Step.RESTORE, device_at)
    order, visit, before = await visiting(tx, visit_id, caller, asked)
    if before:
        return before
    visit.restored_at = visit.restored_at or now
    return await take(tx, order, caller, asked, now, visit_id=visit_id)


async def hand_back(
    tx: AsyncSession,
    order_id: UUID,
    caller: Caller,
    *,
    cause: HandBackCause,
    note: str | None,
    device_at: datetime,
    now: datetime,
    lacking: Lacking = NOTHING_LACKING,
) -> Taken:
    """Give an order back, to be given to somebody else; an open visit ends with it.

    What was `lacking` the order asks for from now on, so that whoever comes next has it. Raises
    NotFound, StepRefused and Invalid.
    """
    lacking.check(cause)
    content = content_of(note=note, **lacking.said())
    asked = Asked(Step.HAND_BACK, device_at, cause, content)
    order, before = await held(tx, order_id, caller, asked)
    if before:
        return before
    visit = await queries.open_visit(tx, order_id)
    return await _leave(tx, order, visit, caller, asked, note, lacking, now)


async def hand_back_visit(
    tx: AsyncSession,
    visit_id: UUID,
    caller: Caller,
    *,
    cause: HandBackCause,
    note: str | None,
    device_at: datetime,
    now: datetime,
    lacking: Lacking = NOTHING_LACKING,
) -> Taken:
    """The same, said in a visit. Raises NotFound, StepRefused, VisitEnded and Invalid."""
    lacking.check(cause)
    content = content_of(note=note, **lacking.said())
    asked = Asked(Step.HAND_BACK, device_at, cause, content)
    order, visit, before = await visiting(tx, visit_id, caller, asked)
    return before or await _leave(tx, order, visit, caller, asked, note, lacking, now)


async def _leave(
    tx: AsyncSession,
    order: WorkOrder,
    visit: Visit | None,
    caller: Caller,
    asked: Asked,
    note: str | None,
    lacking: Lacking,
    now: datetime,
) -> Taken:
    if lacking.skill is not None and lacking.skill not in order.skills:
        if not await anybody_can(tx, lacking.skill):
            raise Invalid(errors=[{"field": "missing_skill", "message": "nobody has this skill"}])
        order.skills = [*order.skills, lacking.skill]
    if more := [kind for kind in lacking.terminals if kind not in order.terminals]:
        order.terminals = [*order.terminals, *more]
    if asked.reason == HandBackCause.CUSTOMER_ABSENT:
        order.absences += 1
    clock = await clocks.stands(tx, order, visit, caller, asked, now)
    facts = {**lacking.said(), **clock}
    if visit is None:
        return await take(tx, order, caller, asked, now, **facts)
    visit.outcome, visit.outcome_code, visit.ended_at = Outcome.HANDED_BACK, asked.reason, now
    visit.note = note or visit.note
    # Whoever comes next may offer something, if this technician did not.
    await release_slot(tx, visit.id)
    return await take(tx, order, caller, asked, now, visit_id=visit.id, **facts)


# --- what every step has in common ----------------------------------------------------------------


async def held(
    tx: AsyncSession, order_id: UUID, caller: Caller, asked: Asked
) -> tuple[WorkOrder, Taken | None]:
    """Lock a technician's own order, and find the step if it was taken before.

    Raises NotFound for an order of others, unless this technician had it and is asking again;
    StepRefused when it is a new step that cannot be taken now.
    """
    technician_id = technician_of(caller)
    try:
        order = await held_for_change(tx, order_id, technician_id)
    except NotFound:
        before = rules.repeated(await queries.steps_taken(tx, order_id), asked, technician_id)
        if before is None:
            raise
        return await tx.get_one(WorkOrder, order_id), before
    before = rules.repeated(await queries.steps_taken(tx, order_id), asked, technician_id)
    if before is None:
        rules.may(order.state, order.work_type, asked.step)
    return order, before


async def visiting(
    tx: AsyncSession, visit_id: UUID, caller: Caller, asked: Asked
) -> tuple[WorkOrder, Visit, Taken | None]:
    """The same for a step in a visit, which has to be the technician's own and going on."""
    technician_id = technician_of(caller)
    visit = await queries.own(tx, visit_id, technician_id)
    order, before = await held(tx, visit.work_order_id, caller, asked)
    # The order's lock is held now, and visits only change under it.
    visit = await queries.own(tx, visit_id, technician_id)
    if before is None and visit.ended_at is not None:
        raise rules.VisitEnded(ended_at=visit.ended_at, outcome=visit.outcome)
    return order, visit, before


async def of_open_visit(tx: AsyncSession, visit: Visit, caller: Caller) -> WorkOrder:
    """Lock the order of a technician's own visit, for what is no step of the order.

    Raises NotFound and VisitEnded.
    """
    if visit.ended_at is not None:
        raise rules.VisitEnded(ended_at=visit.ended_at, outcome=visit.outcome)
    order = await held_for_change(tx, visit.work_order_id, technician_of(caller))
    # Visits only change under the order's lock.
    visit = await queries.own(tx, visit.id, technician_of(caller))
    if visit.ended_at is not None:
        raise rules.VisitEnded(ended_at=visit.ended_at, outcome=visit.outcome)
    return order


async def at_the_door(tx: AsyncSession, visit: Visit, caller: Caller) -> WorkOrder:
    """The same, while the technician is at work at the door. Raises NotAtTheDoor besides."""
    order = await of_open_visit(tx, visit, caller)
    if order.state is not State.ON_SITE:
        raise rules.NotAtTheDoor(state=order.state)
    return order


async def take(
    tx: AsyncSession, order: WorkOrder, caller: Caller, asked: Asked, now: datetime, **facts: Any
) -> Taken:
    """Take a step that may be taken, with what it found out written into its event.

    Raises StepRefused and OneAtATime.
    """
    written = {name: plain(value) for name, value in facts.items()}
    if asked.content:
        written["content"] = asked.content
    await take_step(
        tx,
        order,
        asked.step,
        now=now,
        account_id=caller.account_id,
        technician_id=caller.technician_id,
        device_at=asked.device_at,
        reason=asked.reason,
        facts=written or None,
    )
    return Taken(
        work_order_id=order.id,
        work_type=order.work_type,
        technician_id=caller.technician_id,
        step=asked.step,
        state=order.state,
        at=now,
        device_at=asked.device_at,
        reason=asked.reason,
        facts=written,
    )
