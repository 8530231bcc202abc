"""What supervisors decide of a terminal that does not come back."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.rules import Caller
from app.core.errors import NotFound
from app.recovery.queries import pickups
from app.recovery.rules import NotDueBack
from app.recovery.service.pickups import let_go
from app.terminals.models import DueBack
from app.terminals.queries import for_change
from app.terminals.rules import DueState, KeptCause, Pool, Why, WriteOffCause
from app.terminals.service import How, write_off


async def write_off_due(
    tx: AsyncSession, due_back_id: UUID, caller: Caller, *, cause: WriteOffCause, now: datetime
) -> UUID:
    """Write off what will not come back; it is booked as lost. Returns its pick-up.

    The same again is the same. Raises NotFound and NotDueBack.
    """
    due = await _due(tx, due_back_id, caller)
    if (due.state, due.write_off_cause) == (DueState.WRITTEN_OFF, cause):
        return due.recovery_id
    _check_open(due)
    held = await for_change(tx, [due.serial_number])
    standing = [one.serial_number for one in held.values() if one.place.pool is Pool.CUSTOMER]
    why = Why.CUSTOMER_LOST_IT if cause is WriteOffCause.CUSTOMER_LOST_IT else Why.LOST
    how = How(why, now, caller.account_id, work_order_id=due.work_order_id)
    await write_off(tx, standing, how)
    due.write_off_cause = cause
    return await _settle(tx, due, DueState.WRITTEN_OFF, caller, now)


async def keep(
    tx: AsyncSession, due_back_id: UUID, caller: Caller, *, cause: KeptCause, now: datetime
) -> UUID:
    """Say that a terminal need not come back after all. Returns its pick-up.

    The same again is the same. Raises NotFound and NotDueBack.
    """
    due = await _due(tx, due_back_id, caller)
    if (due.state, due.kept_cause) == (DueState.CANCELLED, cause):
        return due.recovery_id
    _check_open(due)
    due.kept_cause = cause
    return await _settle(tx, due, DueState.CANCELLED, caller, now)


async def _due(tx: AsyncSession, due_back_id: UUID, caller: Caller) -> DueBack:
    due = await tx.get(DueBack, due_back_id)
    if due is None:
        raise NotFound()
    # The pick-up comes first, as for whoever makes its order.
    await pickups.for_change(tx, due.recovery_id, caller)
    return await tx.get_one(DueBack, due_back_id, with_for_update=True, populate_existing=True)


def _check_open(due: DueBack) -> None:
    if due.state is not DueState.OPEN:
        raise NotDueBack(state=due.state, settled_at=due.settled_at)


async def _settle(
    tx: AsyncSession, due: DueBack, state: DueState, caller: Caller, now: datetime
) -> UUID:
    due.state, due.settled_at, due.account_id = state, now, caller.account_id
    await tx.flush()
    ended = await pickups.settle(tx, now=now, customer_id=due.customer_id)
    await let_go(tx, ended, now=now)
    return due.recovery_id
