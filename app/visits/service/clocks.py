"""What a step at the door does to the clock of the order's promise: it never stands in its way."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.errors import Problem
from app.core.parameter_values import parameters_in_force
from app.promises.queries import stop_rules
from app.promises.rules import FROM_THE_DOOR, Proof, ProofKind, StopCause, believed
from app.visits import rules
from app.visits.models import Visit
from app.visits.rules import Asked
from app.workorders.models import WorkOrder
from app.workorders.service import clocks


async def stands(
    tx: AsyncSession,
    order: WorkOrder,
    visit: Visit | None,
    caller: Caller,
    asked: Asked,
    now: datetime,
    *,
    latest: datetime | None = None,
) -> dict[str, Any]:
    """Stop the clock for the cause of a step, if the rules allow it; say what came of it.

    `latest` is when the clock runs again at the latest; without it that is a parameter. Whatever
    the rules refuse is written into the step's event as the reason why the clock runs on.
    """
    if not await stop_rules(tx):
        return {}
    cause = StopCause.of(asked.reason)
    if cause is None:
        return await runs(tx, order, caller, asked, now)
    parameters = await parameters_in_force(tx)
    back = timedelta(hours=parameters.number(rules.BELIEVED_HOURS, now, caller.org_path))
    at = believed(asked.device_at, now, order.reported_at, back)
    if latest is None:
        hours = parameters.number(rules.HANDED_BACK_HOURS, now, caller.org_path)
        latest = at + timedelta(hours=hours)
    if visit is None:
        proof = Proof(ProofKind.WORD)
    else:
        there = {ProofKind.CHECK_IN} if visit.checked_in_at is not None else ()
        proof = Proof(ProofKind.VISIT, visit.id, held=frozenset(there))
    stop = clocks.Stop(
        cause=cause,
        proof=proof,
        at=at,
        latest=max(latest, at),
        account_id=caller.account_id,
        technician_id=caller.technician_id,
        device_at=asked.device_at,
    )
    try:
        made = await clocks.stop(tx, order, stop, now=now, told=False)
    except Problem as problem:
        ended = await runs(tx, order, caller, asked, now)
        return {**ended, "clock": "runs", "clock_why": problem.slug}
    return {"clock": "stopped", "clock_until": made.span.ends, "due_at": order.due_at}


async def runs(
    tx: AsyncSession, order: WorkOrder, caller: Caller, asked: Asked, now: datetime
) -> dict[str, Any]:
    """Let a clock run again that was stopped from the door; say until when the order is due now."""
    if not await stop_rules(tx):
        return {}
    parameters = await parameters_in_force(tx)
    back = timedelta(hours=parameters.number(rules.BELIEVED_HOURS, now, caller.org_path))
    ended = await clocks.start(
        tx,
        order,
        at=believed(asked.device_at, now, order.reported_at, back),
        now=now,
        proofs=FROM_THE_DOOR,
        account_id=caller.account_id,
        technician_id=caller.technician_id,
        device_at=asked.device_at,
        told=False,
    )
    return {} if ended is None else {"clock": "runs", "due_at": order.due_at}
