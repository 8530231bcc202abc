"""Hearing: callbacks of the other side, and a person who takes a parked delivery up again."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.db import new_id, shared_now
from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameter_values import parameters_in_force
from app.ordering import delivery, queries
from app.ordering.delivery import SyncState
from app.ordering.models import OrderCallback, OrderSync
from app.ordering.order import RemoteEvent, RemoteOrder
from app.ordering.rules import Source
from app.ordering.service import changing
from app.ordering.service.settling import learn


class NotParked(Conflict):
    slug = "order-sync-not-parked"
    title = Words(zh="该订单同步无需人工处理", en="This delivery does not wait for a person")
    advice = Words(
        zh="当前状态为 {state}，系统会自动处理。", en="It is {state}; it goes on by itself."
    )


async def hear(tx: AsyncSession, event: RemoteEvent, body: dict[str, Any], now: datetime) -> str:
    """Take in a callback and say what became of it; the same event a second time changes nothing.

    Events of orders that are not ours are kept too, as `not_ours`, for whoever wonders.
    """
    fresh = await tx.scalars(
        upsert(OrderCallback)
        .values(
            id=new_id(),
            event_id=event.id,
            event_type=event.kind,
            event_time=event.at,
            received_at=func.clock_timestamp(),
            body=body,
            verdict="received",
        )
        .on_conflict_do_nothing(index_elements=[OrderCallback.event_id])
        .returning(OrderCallback)
    )
    callback = fresh.one_or_none()
    if callback is None:
        return "duplicate"
    if event.cancellation is not None:
        callback.order_sync_id, callback.verdict = await changing.hear(tx, event.cancellation)
        return callback.verdict
    assert event.order is not None
    sync = await _sync_of(tx, event.order)
    if sync is None:
        callback.verdict = "not_ours"
        return callback.verdict
    callback.order_sync_id = sync.id
    verdict = await learn(tx, sync, event.order, outcome_at=event.at, source=Source.EVENT, now=now)
    callback.verdict = verdict.value if verdict else "no_state"
    return callback.verdict


async def _sync_of(tx: AsyncSession, seen: RemoteOrder) -> OrderSync | None:
    """Find the delivery an order belongs to: by our id, which it carries, else by theirs."""
    if seen.external_id:
        try:
            return await queries.for_change(tx, UUID(seen.external_id))
        except ValueError:
            return None
    return await queries.for_change_by_remote(tx, seen.id)


async def retry(tx: AsyncSession, sync_id: UUID, caller: Caller) -> OrderSync:
    """Take a parked delivery up again at once; it is looked for before anything is sent.

    Raises NotFound and NotParked.
    """
    sync = await queries.for_change_by_caller(tx, sync_id, caller)
    if sync.state is not SyncState.PARKED:
        raise NotParked(state=sync.state)
    now = await shared_now(tx)
    numbers = delivery.retry_numbers(await parameters_in_force(tx), now)
    sync.state = SyncState.DELIVERED if sync.remote_id else SyncState.WAITING
    sync.tries_not_sent = sync.tries_unknown = 0
    # A request of unknown outcome may still be at work over there; looking too soon finds nothing.
    settled = sync.last_tried_at + numbers.settle if sync.last_tried_at else now
    sync.next_try_at = max(now, settled)
    return sync
