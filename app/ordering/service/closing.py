"""Closing: what a person does about a change of an order that was refused or given up."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller, subtree
from app.core.errors import Conflict, NotFound
from app.core.i18n import Words
from app.ordering.delivery import ChangeState, CloseReason
from app.ordering.models import OrderChange
from app.ordering.order import Amendment
from app.ordering.service.changing import ask_for_change

_FAILED = frozenset({ChangeState.REFUSED, ChangeState.GIVEN_UP})


class ChangeNotFailed(Conflict):
    slug = "order-change-not-failed"
    title = Words(zh="该订单变更无需人工处理", en="This change does not wait for a person")
    advice = Words(
        zh="当前状态为 {state}：未结束的会自动继续，已有人处理的不再处理。",
        en="It is {state}: what has not ended goes on by itself, and somebody has dealt with what"
        " has.",
    )


async def ask_again(
    tx: AsyncSession, change_id: UUID, caller: Caller, *, again_id: UUID, now: datetime
) -> OrderChange:
    """Ask once more for what was refused or given up, as a new change that closes the old one;
    `now` is business time.

    The same again is answered like the first time. Raises NotFound, ChangeNotFailed, and what
    `ask_for_change` raises.
    """
    failed = await _one(tx, change_id, caller)
    if failed.replaced_by != again_id:
        _check(failed)
    return await ask_for_change(
        tx,
        change_id=again_id,
        sale_id=failed.sale_id,
        kind=failed.kind,
        reason=failed.reason,
        amendment=Amendment(failed.requested_start, failed.note),
        caller=caller,
        now=now,
        item_id=failed.sale_item_id,
        hold_id=failed.appointment_hold_id,
    )


async def close(
    tx: AsyncSession,
    change_id: UUID,
    caller: Caller,
    *,
    reason: CloseReason,
    note: str | None,
    now: datetime,
) -> OrderChange:
    """Decide that nothing more is done about a change that was refused or given up; `now` is
    business time.

    The same decision again is answered like the first time. Raises NotFound and ChangeNotFailed.
    """
    change = await _one(tx, change_id, caller, held=True)
    if change.closed_reason is reason:
        return change
    _check(change)
    change.closed_at, change.closed_by = now, caller.account_id
    change.closed_reason, change.closed_note = reason, note
    await tx.flush()
    return change


def _check(change: OrderChange) -> None:
    if change.state not in _FAILED or change.closed_at is not None:
        raise ChangeNotFailed(state=change.state)


async def _one(
    tx: AsyncSession, change_id: UUID, caller: Caller, *, held: bool = False
) -> OrderChange:
    found = select(OrderChange).where(
        OrderChange.id == change_id, subtree(OrderChange.org_unit_id, caller)
    )
    change = await tx.scalar(found.with_for_update() if held else found)
    if change is None:
        raise NotFound(order_change_id=change_id)
    return change
