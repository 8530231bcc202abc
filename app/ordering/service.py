"""The delivery of a sale in three steps: claim an attempt, exchange, settle what came of it.

An attempt is recorded and committed before its first byte leaves, so that after a crash at any
point it is known that the order may have been sent, and it is looked for before it is sent again.
No transaction is open during the exchange itself.
"""

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.clock import wall
from app.core.db import new_id
from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.ordering import codec_v4, delivery, queries, rules
from app.ordering.client import OrderingClient
from app.ordering.delivery import SyncState
from app.ordering.models import OrderCallback, OrderSync
from app.ordering.order import OrderToPlace, OrderUnfit, RemoteEvent, RemoteOrder
from app.ordering.rules import OrderingFailed, Source, Verdict
from app.sales import service as sales
from app.sales.rules import SaleState

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]


class NotParked(Conflict):
    slug = "order-sync-not-parked"
    title = Words(zh="该订单同步无需人工处理", en="This delivery does not wait for a person")
    advice = Words(
        zh="当前状态为 {state},系统会自动处理。", en="It is {state}; it goes on by itself."
    )


class Doing(StrEnum):
    """What an attempt is to do."""

    SEND = "send"
    LOOK_THEN_SEND = "look_then_send"
    ASK = "ask"


@dataclass(frozen=True)
class Attempt:
    """A claimed attempt: nobody else works on this sale until `lease_until` (real time)."""

    sale_id: UUID
    doing: Doing
    order: OrderToPlace | None
    remote_id: str | None
    number: int
    lease_until: datetime


async def claim(tx: AsyncSession, sale_id: UUID, *, time_limit: float) -> Attempt | None:
    """Claim the next attempt of a sale's delivery; None when there is nothing to do now.

    `time_limit` is that of the exchange, in seconds. The claim counts only once `tx` has committed.
    """
    now = wall()
    numbers = delivery.retry_numbers(await parameters_in_force(tx), now)
    sync = await queries.for_change(tx, sale_id)
    if sync is None:
        sync = await _begun(tx, sale_id)
    if sync.state in (SyncState.FINISHED, SyncState.PARKED):
        return None
    if sync.next_try_at is not None and sync.next_try_at > now:
        return None  # not due, or somebody else is at it
    # Looking and sending are two exchanges; then the other side may still be at work.
    lease_until = now + timedelta(seconds=2 * time_limit) + numbers.settle
    sync.last_tried_at = now
    sync.next_try_at = lease_until
    if sync.state is SyncState.DELIVERED:
        return Attempt(sale_id, Doing.ASK, None, sync.remote_id, sync.attempts, lease_until)
    try:
        order = await queries.order_to_place(tx, sale_id)
    except OrderUnfit as unfit:
        # Trying again would not mend it; a person can, and then takes it up with `retry`.
        sync.state = SyncState.PARKED
        sync.next_try_at = None
        sync.last_error = unfit.detail("en")
        return None
    look_first = rules.must_look_first(sync.attempts)
    sync.attempts += 1
    sync.state = SyncState.SENDING
    sync.body = codec_v4.body_of(order)
    doing = Doing.LOOK_THEN_SEND if look_first else Doing.SEND
    return Attempt(sale_id, doing, order, None, sync.attempts, lease_until)


async def _begun(tx: AsyncSession, sale_id: UUID) -> OrderSync:
    """Make the row of a delivery, or find the one that was made at the same moment."""
    org_unit_id = await queries.org_unit_of(tx, sale_id)
    await tx.execute(
        upsert(OrderSync)
        .values(id=new_id(), sale_id=sale_id, org_unit_id=org_unit_id, state=SyncState.WAITING)
        .on_conflict_do_nothing(index_elements=[OrderSync.sale_id])
    )
    sync = await queries.for_change(tx, sale_id)
    assert sync is not None
    return sync


async def exchange(client: OrderingClient, attempt: Attempt) -> RemoteOrder | None:
    """Do what an attempt is to do; None means that a delivered order is not known any more.

    Raises NotSent, Unknown or Refused.
    """
    if attempt.doing is Doing.ASK:
        assert attempt.remote_id is not None
        return await client.get(attempt.remote_id)
    assert attempt.order is not None
    if attempt.doing is Doing.LOOK_THEN_SEND:
        found = await client.find_all(attempt.order.external_id)
        if len(found) > 1:
            log.error("order doubled", sale=str(attempt.sale_id), ids=[one.id for one in found])
        if found:
            return found[0]
    return await client.place(attempt.order)


async def settle(
    tx: AsyncSession, attempt: Attempt, outcome: RemoteOrder | OrderingFailed | None, now: datetime
) -> None:
    """Record what came of an attempt; `now` is business time, for the sale's own dates."""
    sync = await queries.for_change(tx, attempt.sale_id)
    assert sync is not None
    if sync.state in (SyncState.FINISHED, SyncState.PARKED):
        return  # a callback was quicker and has ended it
    if isinstance(outcome, OrderingFailed):
        await _failed(tx, sync, attempt, outcome)
    elif outcome is None:
        sync.state = SyncState.PARKED
        sync.next_try_at = None
        sync.last_error = f"order {sync.remote_id} is not known to the ordering system any more"
    else:
        sync.last_error = None
        await _learn(tx, sync, outcome, outcome_at=None, source=Source.LOOK, now=now)


async def _failed(
    tx: AsyncSession, sync: OrderSync, attempt: Attempt, failed: OrderingFailed
) -> None:
    if attempt.number != sync.attempts:
        return  # its lease ran out and a later attempt has begun, which knows better
    numbers = delivery.retry_numbers(await parameters_in_force(tx), wall())
    sync.last_error = f"{failed.cause.value}: {failed.said}"[:500]
    if sync.state is SyncState.DELIVERED:
        # The order is there; that a question about it failed changes nothing but the next one.
        sync.next_try_at = wall() + numbers.longest_delay
        return
    then = rules.after_failure(
        attempt.number, failed.failure, failed.retry_after, numbers, random.random()
    )
    if isinstance(then, rules.Park):
        sync.state = SyncState.PARKED
        sync.next_try_at = None
        log.warning("delivery parked", sale=str(sync.sale_id), reason=then.reason.value)
        return
    sync.state = SyncState.WAITING
    sync.next_try_at = wall() + then.after


async def _learn(
    tx: AsyncSession,
    sync: OrderSync,
    seen: RemoteOrder,
    *,
    outcome_at: datetime | None,
    source: Source,
    now: datetime,
) -> Verdict | None:
    """Take in what the other side says of an order; never moves it back. None: no state said."""
    if sync.remote_id is None:
        sync.remote_id, sync.remote_href = seen.id, seen.href
    elif sync.remote_id != seen.id:
        log.error("order doubled", sale=str(sync.sale_id), ids=[sync.remote_id, seen.id])
        sync.last_error = f"doubled: {sync.remote_id} and {seen.id}"
        return Verdict.CONTRADICTS
    parameters = await parameters_in_force(tx)
    real = wall()
    if sync.state in (SyncState.WAITING, SyncState.SENDING, SyncState.PARKED):
        sync.state = SyncState.DELIVERED
        await sales.follow(tx, sale_id=sync.sale_id, state=SaleState.SENT, at=now)
    if sync.state is SyncState.DELIVERED:
        sync.next_try_at = delivery.next_poll(parameters, confirmed_at=sync.created_at, now=real)
    if seen.state is None:
        return None
    known = rules.RemoteState(sync.remote_state) if sync.remote_state else None
    verdict = rules.follow(known, sync.remote_state_at, seen.state, outcome_at, source)
    if verdict is Verdict.LOOK and sync.state is SyncState.DELIVERED:
        sync.next_try_at = real
    elif verdict is Verdict.CONTRADICTS:
        sync.last_error = f"ended twice: {sync.remote_state} and {seen.state.value}"
    elif verdict is Verdict.MOVE:
        sync.remote_state = seen.state.value
        sync.remote_state_at = outcome_at
        await sales.follow(
            tx,
            sale_id=sync.sale_id,
            state=rules.sale_state_of(seen.state),
            at=now,
            reason=seen.reason,
        )
    if sync.remote_state in rules.TERMINAL:
        sync.state = SyncState.FINISHED
        sync.next_try_at = None
    return verdict


async def hear(tx: AsyncSession, event: RemoteEvent, body: dict[str, Any], now: datetime) -> str:
    """Take in a callback and say what became of it; the same event a second time changes nothing.

    Events of orders that are not ours are kept too, as `not_ours`, for whoever wonders.
    """
    callback_id = new_id()
    fresh = await tx.scalar(
        upsert(OrderCallback)
        .values(
            id=callback_id,
            event_id=event.id,
            event_type=event.kind,
            event_time=event.at,
            received_at=wall(),
            body=body,
            verdict="received",
        )
        .on_conflict_do_nothing(index_elements=[OrderCallback.event_id])
        .returning(OrderCallback.id)
    )
    if fresh is None:
        return "duplicate"
    callback = await tx.get_one(OrderCallback, callback_id)
    sync = await _sync_of(tx, event.order)
    if sync is None:
        callback.verdict = "not_ours"
        return callback.verdict
    callback.order_sync_id = sync.id
    verdict = await _learn(tx, sync, event.order, outcome_at=event.at, source=Source.EVENT, now=now)
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
    sync.state = SyncState.DELIVERED if sync.remote_id else SyncState.WAITING
    # A request of unknown outcome may still be at work over there; looking too soon finds nothing.
    numbers = delivery.retry_numbers(await parameters_in_force(tx), wall())
    settled = sync.last_tried_at + numbers.settle if sync.last_tried_at else wall()
    sync.next_try_at = max(wall(), settled)
    return sync


async def deliver(
    begin: Begin,
    client: OrderingClient,
    sale_id: UUID,
    *,
    time_limit: float,
    business_now: Callable[[], datetime],
) -> None:
    """Do the next attempt of a sale's delivery, if one is due. Raises nothing of the exchange."""
    async with begin() as tx:
        attempt = await claim(tx, sale_id, time_limit=time_limit)
    if attempt is None:
        return
    outcome: RemoteOrder | OrderingFailed | None
    try:
        outcome = await exchange(client, attempt)
    except OrderingFailed as failed:
        outcome = failed
    async with begin() as tx:
        await settle(tx, attempt, outcome, business_now())
