"""An activation is asked for at the door, and put to the platform by a job in three steps: claim an
attempt, exchange, settle what came of it.

An attempt is recorded and committed before its first byte leaves, so that after a crash at any
point it is known that the platform may have been asked, and it is looked up before it is asked
again. No transaction is open during the exchange itself.
"""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.activation import queries, rules
from app.activation.client import ActivationClient, Ask
from app.activation.models import Activation, ActivationOverride
from app.activation.rules import (
    ActivationCode,
    ActivationState,
    ActivationUnderWay,
    Answered,
    Stated,
    Wanted,
)
from app.core import jobs, retrying
from app.core.db import is_broken, shared_now
from app.core.errors import SameIdOtherContent
from app.core.outside import Failed, Failure
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameter
from app.workorders.models import WorkOrder

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]


# --- at the door ----------------------------------------------------------------------------------


async def repeated(
    tx: AsyncSession,
    activation_id: UUID,
    *,
    visit_id: UUID,
    wanted: Wanted,
) -> Activation | None:
    """Find an ask that a phone is making a second time; one that waits is then tried at once.

    Raises SameIdOtherContent when the id stands for another ask.
    """
    known = await queries.for_change(tx, activation_id)
    if known is None:
        return None
    before = Wanted(known.loid, known.service_number, known.serial_number)
    if (known.visit_id, before) != (visit_id, wanted):
        raise SameIdOtherContent(id=activation_id)
    if known.state in (ActivationState.ASKED, ActivationState.UNKNOWN):
        known.next_try_at = func.now()
        await jobs.tell(tx, "activation.asked", activation_id=known.id)
        await tx.refresh(known)
    return known


async def ask(
    tx: AsyncSession,
    order: WorkOrder,
    *,
    activation_id: UUID,
    visit_id: UUID,
    technician_id: UUID,
    wanted: Wanted,
    device_at: datetime,
    now: datetime,
) -> Activation:
    """Ask for an order's line to be opened with a terminal; a job puts it to the platform.

    The order is locked by the caller. An earlier ask that surely has not reached the platform gives
    way. Raises Invalid without a line, and ActivationUnderWay when an earlier one may have.
    """
    rules.check_line(wanted)
    earlier = await queries.open_of(tx, order.id)
    if earlier is not None:
        if earlier.state is not ActivationState.ASKED:
            raise ActivationUnderWay(id=earlier.id, state=earlier.state)
        _end(earlier, ActivationState.FAILED, ActivationCode.REPLACED, await shared_now(tx))
        await tx.flush()
    held = await queries.held_on(tx, wanted.service_number or order.service_number)
    asked = Activation(
        id=activation_id,
        org_unit_id=order.org_unit_id,
        work_order_id=order.id,
        visit_id=visit_id,
        technician_id=technician_id,
        loid=wanted.loid,
        service_number=wanted.service_number,
        serial_number=wanted.serial_number,
        order_number=order.external_id,
        offering_code=held.offering_code,
        speed_mbps=held.speed_mbps,
        asked_at=now,
        device_at=device_at,
        state=ActivationState.ASKED,
    )
    tx.add(asked)
    try:
        await jobs.tell(tx, "activation.asked", activation_id=asked.id)
    except IntegrityError as error:
        if is_broken("pk_activation", error):
            raise SameIdOtherContent(id=activation_id) from error
        raise
    return asked


async def override(
    tx: AsyncSession,
    order: WorkOrder,
    *,
    override_id: UUID,
    visit_id: UUID,
    technician_id: UUID,
    stated: Stated,
    device_at: datetime,
    now: datetime,
) -> ActivationOverride:
    """Let an order go without activation, for a cause that supervisors see.

    An ask that is still open goes on, so that the line is opened when the platform is back. Raises
    Invalid when another cause than those named comes without a note.
    """
    rules.check_override(stated)
    made = ActivationOverride(
        id=override_id,
        org_unit_id=order.org_unit_id,
        work_order_id=order.id,
        visit_id=visit_id,
        technician_id=technician_id,
        cause=stated.cause,
        note=stated.note,
        at=now,
        device_at=device_at,
    )
    tx.add(made)
    try:
        await tx.flush()
    except IntegrityError as error:
        if is_broken("pk_activation_override", error):
            raise SameIdOtherContent(id=override_id) from error
        raise
    return made


async def overridden_before(
    tx: AsyncSession, override_id: UUID, *, visit_id: UUID, stated: Stated
) -> ActivationOverride | None:
    """Find an override that a phone is sending a second time. Raises SameIdOtherContent."""
    known = await tx.get(ActivationOverride, override_id)
    if known is not None and (known.visit_id, known.cause, known.note) != (visit_id, *stated):
        raise SameIdOtherContent(id=override_id)
    return known


# --- towards the platform -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Attempt:
    number: int
    look_first: bool
    ask: Ask


async def put_to_platform(
    begin: Begin, client: ActivationClient, activation_id: UUID, *, time_limit: float
) -> None:
    """Do the next attempt of an activation, if one is due. Raises nothing of the exchange."""
    async with begin() as tx:
        attempt = await claim(tx, activation_id, time_limit)
    if attempt is None:
        return
    outcome: Answered | Failed
    try:
        outcome = await _exchange(client, attempt)
    except Failed as failed:
        outcome = failed
    async with begin() as tx:
        await settle(tx, attempt, outcome)


async def claim(tx: AsyncSession, activation_id: UUID, time_limit: float) -> _Attempt | None:
    """Claim an activation's next attempt; None when there is nothing to do now.

    `time_limit` is that of one exchange, in seconds. The claim counts once `tx` has committed.
    """
    one = await queries.for_change(tx, activation_id)
    if one is None or one.state not in rules.OPEN:
        return None
    # Read only now: waiting for the row may have taken long.
    now = await shared_now(tx)
    if one.next_try_at is None or one.next_try_at > now:
        return None  # not due, or somebody else is at it
    parameters = await parameters_in_force(tx)
    patience = timedelta(minutes=parameters.number(rules.PATIENCE_MINUTES, now))
    if now - one.created_at > patience:
        _end(one, ActivationState.FAILED, ActivationCode.NO_ANSWER, now)
        return None
    # It may be there already: an attempt's worker died, its answer was lost, or the platform said
    # that it is at it.
    look_first = one.attempts > 0
    one.state = ActivationState.UNDER_WAY
    one.attempts += 1
    # Looking and asking, and then it is surely over, whoever made the attempt.
    one.next_try_at = now + timedelta(seconds=3 * time_limit)
    return _Attempt(
        one.attempts,
        look_first,
        Ask(
            id=one.id,
            loid=one.loid,
            service_number=one.service_number,
            serial_number=one.serial_number,
            order_number=one.order_number,
            offering_code=one.offering_code,
            speed_mbps=one.speed_mbps,
        ),
    )


async def _exchange(client: ActivationClient, attempt: _Attempt) -> Answered:
    if attempt.look_first:
        found = await _looked(client, attempt.ask.id)
        # What is busy was not begun, so it is asked for again.
        if found is not None and found.code is not ActivationCode.PLATFORM_BUSY:
            return found
    return await client.ask(attempt.ask)


async def _looked(client: ActivationClient, activation_id: UUID) -> Answered | None:
    try:
        return await client.find(activation_id)
    except Failed as failed:
        # A look has no effect, but what it was to find out stays unknown, whatever became of it.
        raise Failed(Failure.UNKNOWN, failed.said, failed.retry_after) from failed


async def settle(tx: AsyncSession, attempt: _Attempt, outcome: Answered | Failed) -> None:
    """Record what came of an attempt."""
    one = await queries.for_change(tx, attempt.ask.id)
    if one is None or one.state not in rules.OPEN:
        return
    now = await shared_now(tx)
    if isinstance(outcome, Answered):
        one.said = outcome.said
        if outcome.state is ActivationState.PROVISIONED:
            _end(one, outcome.state, None, now)
            await jobs.tell(
                tx, "line.opened", work_order_id=one.work_order_id, activation_id=one.id
            )
            return
        if outcome.code in rules.ENDING:
            _end(one, ActivationState.FAILED, outcome.code, now)
            return
    elif outcome.failure is Failure.REFUSED:
        one.said = outcome.said
        _end(one, ActivationState.FAILED, ActivationCode.REFUSED, now)
        return
    if attempt.number != one.attempts:
        return  # its time ran out and a later attempt has begun, which knows better
    one.state, one.code = _still(outcome)
    one.said = outcome.said
    parameters = await parameters_in_force(tx)

    def seconds(parameter: Parameter) -> timedelta:
        return timedelta(seconds=parameters.number(parameter, now))

    one.next_try_at = now + retrying.wait(
        one.attempts,
        first=seconds(rules.FIRST_DELAY),
        longest=seconds(rules.LONGEST_DELAY),
        luck=random.random(),
        asked=outcome.retry_after if isinstance(outcome, Failed) else None,
    )


def _still(outcome: Answered | Failed) -> tuple[ActivationState, ActivationCode | None]:
    """Say where an activation stands that has not ended."""
    if isinstance(outcome, Failed):
        not_sent = outcome.failure is Failure.NOT_SENT
        state = ActivationState.ASKED if not_sent else ActivationState.UNKNOWN
        return state, ActivationCode.PLATFORM_AWAY
    if outcome.code is ActivationCode.PLATFORM_BUSY:
        return ActivationState.ASKED, outcome.code
    return ActivationState.UNDER_WAY, None


def _end(
    one: Activation, state: ActivationState, code: ActivationCode | None, now: datetime
) -> None:
    one.state, one.code, one.ended_at, one.next_try_at = state, code, now, None
