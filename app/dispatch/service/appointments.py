"""Appointments of orders: made from a hold, and moved with a cause and the customer's agreement."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller, Role
from app.core import jobs
from app.core.errors import Problem, plain
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.models import AppointmentChange, AppointmentHold
from app.dispatch.rules import Ask, Cause, HoldState, Needs, Wish
from app.dispatch.service.decisions import Decided, write_decisions
from app.dispatch.service.holds import less
from app.dispatch.service.people import Asked, point_of
from app.dispatch.service.placing import choose_within, together
from app.dispatch.service.questions import question, reserved_by
from app.dispatch.service.slots import not_offered
from app.promises.queries import stop_rules
from app.promises.rules import Proof, ProofKind, StopCause
from app.technicians.availability import DayOf, Promised
from app.workorders import queries as workorders
from app.workorders import whereabouts
from app.workorders.models import WorkOrder
from app.workorders.rules import Sender, Step, move
from app.workorders.service import clocks, take_step
from app.workorders.service.intake import Incoming, Sorted
from app.workorders.service.steps import promised_of


async def confirm(
    tx: AsyncSession, hold_id: UUID, caller: Caller, *, order_id: UUID, now: datetime
) -> AppointmentHold:
    """Make a held slot an order's first appointment, and give the order to somebody who keeps it.

    Done again it changes nothing. Raises NotFound, HoldOver, HoldDoesNotFit, AppointmentStands,
    StepRefused, or SlotNotOffered when nobody can keep it any more.
    """
    order = await workorders.for_change(tx, order_id, caller)
    held = await queries.hold_for_change(tx, hold_id, caller)
    if held.state is HoldState.CONFIRMED and held.work_order_id == order.id:
        return held
    rules.check_open(held.state, held.expires_at, now)
    if order.appointment_from is not None:
        raise rules.AppointmentStands(
            begins_at=order.appointment_from, ends_at=order.appointment_until
        )
    await _keep(tx, order, held, caller, prefer=(held.technician_id,), now=now)
    return held


async def reschedule(
    tx: AsyncSession,
    order_id: UUID,
    caller: Caller,
    *,
    hold_id: UUID,
    cause: Cause,
    agreed_with_customer: bool,
    override: bool,
    note: str,
    now: datetime,
) -> WorkOrder:
    """Move an order's appointment to a held slot, with a cause; whoever has the order keeps it.

    When its holder cannot keep the new slot, it goes to somebody who can. Every change is counted
    by its cause, and the worker is told of it. Done again it changes nothing. Raises NotFound,
    CustomerNotAsked, NoAppointment, RescheduledTooOften, HoldOver, HoldDoesNotFit, StepRefused or
    SlotNotOffered.
    """
    order = await workorders.for_change(tx, order_id, caller)
    held = await queries.hold_for_change(tx, hold_id, caller)
    if held.state is HoldState.CONFIRMED and held.work_order_id == order.id:
        return order
    if not agreed_with_customer:
        raise rules.CustomerNotAsked(errors=[])
    if order.appointment_from is None or order.appointment_until is None:
        raise rules.NoAppointment()
    changes = await queries.appointment_changes(tx, order.id)
    insists = override and caller.role in (Role.SUPERVISOR, Role.ADMIN)
    most = (await parameters_in_force(tx)).whole(rules.OPERATOR_CHANGES, now, caller.org_path)
    before = [one.cause for one in changes]
    rules.check_may_change(cause, before, most=most, override=insists, note=note)
    rules.check_open(held.state, held.expires_at, now)
    change = AppointmentChange(
        work_order_id=order.id,
        at=now,
        account_id=caller.account_id,
        hold_id=held.id,
        cause=cause,
        note=note,
        overridden=insists,
        before_from=order.appointment_from,
        before_until=order.appointment_until,
        after_from=held.begins_at,
        after_until=held.ends_at,
        technician_before_id=order.holder_id,
    )
    prefer: tuple[UUID, ...] = (held.technician_id,)
    if order.holder_id is not None:
        prefer = (order.holder_id, *prefer)
    facts = {
        "cause": cause,
        "fault": rules.FAULT_OF[cause],
        "times": before.count(cause) + 1,
        "before": {"from": order.appointment_from, "until": order.appointment_until},
    }
    facts |= await _clock(tx, order, held, cause, caller, now)
    await _keep(
        tx, order, held, caller, prefer=prefer, now=now, reason=note or cause.value, facts=facts
    )
    change.technician_id = order.holder_id
    tx.add(change)
    await tx.flush()
    await jobs.tell(tx, "appointment.moved", work_order_id=order.id)
    return order


async def _clock(
    tx: AsyncSession,
    order: WorkOrder,
    held: AppointmentHold,
    cause: Cause,
    caller: Caller,
    now: datetime,
) -> dict[str, Any]:
    """Let the clock stand between the old appointment and the new one, where its cause allows it.

    Until the old one nobody would have come, so only what lies between them is the customer's. An
    appointment that comes forward again takes back what was given to it.
    """
    assert order.appointment_from is not None
    begins, until = max(order.appointment_from, now), held.begins_at
    if not await stop_rules(tx):
        return {}
    if until <= begins:
        moved = {ProofKind.APPOINTMENT}
        await clocks.start(
            tx, order, at=until, now=now, proofs=moved, account_id=caller.account_id, told=False
        )
        return {"due_at": order.due_at}
    stops = StopCause.of(cause)
    if stops is None:
        return {"clock": "runs"}
    stop = clocks.Stop(
        cause=stops,
        proof=Proof(ProofKind.APPOINTMENT, held.id),
        at=begins,
        latest=until,
        account_id=caller.account_id,
    )
    try:
        await clocks.stop(tx, order, stop, now=now, told=False)
    except Problem as problem:
        return {"clock": "runs", "clock_why": problem.slug}
    return {"clock": "stopped", "due_at": order.due_at}


async def _keep(
    tx: AsyncSession,
    order: WorkOrder,
    held: AppointmentHold,
    caller: Caller,
    *,
    prefer: tuple[UUID, ...],
    now: datetime,
    reason: str | None = None,
    facts: dict[str, Any] | None = None,
) -> None:
    """Give an order the held window, and to somebody who keeps it, in place of hold and old day.

    All days that gain or lose by it change in one go, under their locks.
    """
    move(order.state, Step.ASSIGN)
    needs = Needs(
        order.id,
        order.work_type,
        order.estimated_minutes,
        frozenset(order.skills),
        order.grid_id,
    )
    rules.check_fits(_needs(held), needs)
    units = await workorders.org_units(tx, ids=[held.org_unit_id])
    parameters = await parameters_in_force(tx)
    unit = units.by_id[held.org_unit_id]
    rest = timedelta(hours=parameters.number(rules.HAND_BACK_REST, now))
    declined = await queries.declined(tx, [order.id], handed_back_since=now - rest)
    ask = Ask(
        order.estimated_minutes,
        frozenset(order.skills),
        (held.begins_at, held.ends_at),
        order.due_at,
        frozenset(declined.get(order.id, ())),
        order.priority,
        tuple(order.terminals),
    )
    point = point_of((await whereabouts.of_orders(tx, [order.id]))[order.id])
    [choice] = await choose_within(
        tx,
        [Asked(ask, held.grid_id, unit, prefer, order_id=order.id, point=point)],
        now=now,
        freed=together(less(promised_of(order)), less(reserved_by(held))),
        without=[order.id, held.id],
    )
    if choice.candidate is None:
        asked = await question(tx, Wish(order_id=order.id), caller, now=now)
        why = rules.nobody(tried.why for tried in choice.tried if tried.why is not None)
        raise await not_offered(tx, asked, day=held.day, slot=held.slot, why=why)
    order.appointment_from, order.appointment_until = held.begins_at, held.ends_at
    order.grid_id, order.org_unit_id, order.tried_at = held.grid_id, held.org_unit_id, now
    kind = choice.candidate.kind.value
    await take_step(
        tx,
        order,
        Step.ASSIGN,
        now=now,
        account_id=caller.account_id,
        holder_id=choice.candidate.technician_id,
        planned_day=choice.day,
        reason=reason or kind,
        facts=plain(
            {
                "technician_id": choice.candidate.technician_id,
                "planned_day": choice.day,
                "appointment": {"from": held.begins_at, "until": held.ends_at},
                **(facts or {}),
            }
        ),
        minutes_promised=True,
        minutes_released=True,
    )
    _used(held, order.id, now)
    await tx.flush()
    await write_decisions(
        tx,
        [Decided(order.id, order.grid_id, choice, kind)],
        at=now,
        account_id=caller.account_id,
    )


def _needs(held: AppointmentHold) -> Needs:
    return Needs(
        held.work_order_id, held.work_type, held.minutes, frozenset(held.skills), held.grid_id
    )


def _used(held: AppointmentHold, order_id: UUID, now: datetime) -> None:
    held.state, held.work_order_id, held.ended_at = HoldState.CONFIRMED, order_id, now


# --- orders that are taken in with a hold ---------------------------------------------------------

Held = dict[UUID, AppointmentHold]  # by the id of the order it is for


async def with_holds(
    tx: AsyncSession, fates: list[Sorted], sender: Sender, *, now: datetime
) -> Held:
    """Give orders that name a hold its window and minutes; one whose hold will not do is refused.

    `fates` are changed in place. The holds stay locked, so that none is used twice.
    """
    named = sorted(
        {one.incoming.draft.hold_id for one in fates if one.incoming and one.incoming.draft.hold_id}
    )
    if not named:
        return {}
    found = await tx.scalars(
        select(AppointmentHold)
        .where(AppointmentHold.id.in_(named))
        .order_by(AppointmentHold.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    free = {one.id: one for one in found}
    units = await workorders.org_units(tx, ids={one.org_unit_id for one in free.values()})
    held: Held = {}
    for place, fate in enumerate(fates):
        order = fate.incoming
        if order is None or order.draft.hold_id is None:
            continue
        one = free.get(order.draft.hold_id)
        if one is None or not units.by_id[one.org_unit_id].path.startswith(sender.org_path):
            fates[place] = Sorted(problem=rules.UnknownHold(hold_id=order.draft.hold_id, errors=[]))
            continue
        try:
            if one in held.values():
                raise rules.HoldOver(state=HoldState.CONFIRMED, expires_at=one.expires_at)
            _fit(order, one, now)
        except (rules.HoldOver, rules.HoldDoesNotFit) as problem:
            fates[place] = Sorted(problem=problem)
            continue
        held[order.id] = one
    return held


def _fit(order: Incoming, held: AppointmentHold, now: datetime) -> None:
    draft = order.draft
    rules.check_open(held.state, held.expires_at, now)
    minutes = draft.estimated_minutes or held.minutes
    needs = Needs(order.id, draft.work_type, minutes, frozenset(draft.skills), None)
    rules.check_fits(_needs(held), needs)
    order.keep_appointment(held.begins_at, held.ends_at, minutes)


async def use_holds(tx: AsyncSession, held: Held, *, now: datetime) -> None:
    """Write down that orders have used their holds, now that the orders are there."""
    for order_id, one in held.items():
        _used(one, order_id, now)
    if held:
        await tx.flush()


def all_reserved(held: Iterable[AppointmentHold]) -> dict[DayOf, Promised]:
    """Say what holds give free of people's days as their orders take their place."""
    return together(*(less(reserved_by(one)) for one in held))
