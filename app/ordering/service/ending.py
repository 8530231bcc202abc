"""How the wish to change an order ends."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.ordering import queries, rules
from app.ordering.delivery import ChangeKind, ChangeState
from app.ordering.models import OrderChange, OrderSync
from app.ordering.rules import RemoteState
from app.ordering.service.standing import ERROR_LIMIT


def end(change: OrderChange, state: ChangeState, at: datetime, why: str | None = None) -> None:
    """Write down how a change ended; `at` is real time."""
    change.state, change.ended_at, change.next_try_at = state, at, None
    change.last_error = None if why is None else why[:ERROR_LIMIT]


async def end_change_of(
    tx: AsyncSession, sync: OrderSync, ended_as: RemoteState, at: datetime
) -> None:
    """End the change that is under way, the order itself having ended: nothing can change it now.

    A cancelled order is what the wish to cancel was about, whoever brought it about. Whether an
    item was taken out before, by a try of which nobody knows how it went, the order has to be asked
    for, by the next try: that stays open.
    """
    change = await queries.open_change(tx, sync.sale_id)
    if change is None:
        return
    tried = change.sale_item_id is not None and change.attempts > 0
    if tried and ended_as not in rules.NOT_DELIVERED:
        if change.state is ChangeState.WAITING:
            change.next_try_at = at
        return
    if change.kind is ChangeKind.CANCEL and ended_as is RemoteState.CANCELLED:
        end(change, ChangeState.DONE, at)
    else:
        end(change, ChangeState.REFUSED, at, f"the order ended first: {ended_as.value}")
