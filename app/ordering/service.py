"""The delivery of a sale in three steps: claim an attempt, exchange, settle what came of it.

An attempt is recorded and committed before its first byte leaves, so that after a crash at any
point it is known that the order may have been sent, and it is looked for before it is sent again.
No transaction is open during the exchange itself.
"""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.callers import Caller
from app.core.clock import wall
from app.core.db import new_id, shared_now
from app.core.errors import Conflict, NotFound
from app.core.i18n import Words
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.ordering import codec_v4, delivery, queries, rules
from app.ordering.client import OrderingClient
from app.ordering.delivery import SyncState
from app.ordering.models import OrderCallback, OrderSync
from app.ordering.order import OrderToPlace, OrderUnfit, RemoteEvent, RemoteOrder
from app.ordering.rules import Cause, Failure, NotSent, OrderingFailed, Source, Unknown, Verdict
from app.sales import service as sales
from app.sales.rules import SaleState

ERROR_LIMIT = 500

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]


class NotParked(Conflict):
    slug = "order-sync-not-parked"
    title = Words(zh="该订单同步无需人工处理", en="This delivery does not wait for a person")
    advice = Words(
        zh="当前状态为 {state}，系统会自动处理。", en="It is {state}; it goes on by itself."
    )


class Doing(StrEnum):
    """What an attempt is to do."""

    SEND = "send"
    LOOK_THEN_SEND = "look_then_send"
    ASK = "ask"


@dataclass(frozen=True)
class Attempt:
    """A claimed attempt: nobody else works on this sale until its lease has run out.

    Sending must begin by `send_before` (real time of this machine) or not at all: the lease is
    reckoned from there.
    """

    sale_id: UUID
    doing: Doing
    order: OrderToPlace | None
    remote_id: str | None
    number: int
    send_before: datetime


async def claim(
    tx: AsyncSession, sale_id: UUID, *, time_limit: float, business_now: datetime
) -> Attempt | None:
    """Claim the next attempt of a sale's delivery; None when there is nothing to do now.

    `time_limit` is that of one exchange, in seconds. The claim counts only once `tx` has
    committed. Raises NotFound for a sale that is not confirmed.
    """
    limit = timedelta(seconds=time_limit)
    send_before = wall() + 2 * limit
    parameters = await parameters_in_force(tx)
    sync = await queries.for_change(tx, sale_id) or await _begun(tx, sale_id)
    if sync.state in (SyncState.FINISHED, SyncState.PARKED):
        return None
    # Read only now: waiting for the row may have taken long.
    now = await shared_now(tx)
    if sync.next_try_at is not None and sync.next_try_at > now:
        return None  # not due, or somebody else is at it
    numbers = delivery.retry_numbers(parameters, now)
    # Looking, sending, and then the other side may still be at work on what was sent.
    lease_until = now + 3 * limit + numbers.settle
    if sync.state is SyncState.DELIVERED:
        sync.last_tried_at, sync.next_try_at = now, lease_until
        return Attempt(sale_id, Doing.ASK, None, sync.remote_id, sync.attempts, send_before)
    # In sending, the lease has run out and nobody told. Something about this sale may be what kills
    # the workers, so it counts, and it does not go on for ever.
    never_told = sync.state is SyncState.SENDING
    if never_told and not _put_off(sync, Unknown(Cause.NEVER_TOLD), numbers, now):
        return None
    try:
        order = await queries.order_to_place(tx, sale_id)
    except OrderUnfit as unfit:
        # Trying again would not mend it; a person can, and then takes it up with `retry`.
        _park(sync, unfit.detail("en"))
        return None
    age = business_now - order.requested_start
    fresh = timedelta(seconds=parameters.number(delivery.FRESH, now))
    look_first = rules.must_look_first(sync.attempts, age, fresh)
    sync.attempts += 1
    sync.state = SyncState.SENDING
    sync.last_tried_at, sync.next_try_at = now, lease_until
    sync.body = codec_v4.body_of(order)
    doing = Doing.LOOK_THEN_SEND if look_first else Doing.SEND
    return Attempt(sale_id, doing, order, None, sync.attempts, send_before)


async def _begun(tx: AsyncSession, sale_id: UUID) -> OrderSync:
    """Make the row of a delivery, or find the one that was made at the same moment."""
    sync = await queries.begin_delivery(tx, sale_id) or await queries.for_change(tx, sale_id)
    if sync is None:
        raise NotFound(sale_id=sale_id)
    return sync


async def exchange(client: OrderingClient, attempt: Attempt) -> Sequence[RemoteOrder]:
    """Do what an attempt is to do; returns every order of ours that the other side told of.

    None at all means that a delivered order is not known any more; more than one, that it was
    doubled. Raises NotSent, Unknown or Refused.
    """
    if attempt.doing is Doing.ASK:
        assert attempt.remote_id is not None
        asked = await client.get(attempt.remote_id)
        return [asked] if asked else []
    assert attempt.order is not None
    if attempt.doing is Doing.LOOK_THEN_SEND:
        found = await _looked(client, attempt.order.external_id)
        if found:
            return found
    if wall() > attempt.send_before:
        # The process was held up (stopped, starved, a slow commit). Sent now, the order could
        # still be on its way when the lease is over and somebody else looks for it in vain.
        raise NotSent(Cause.TOO_LATE)
    return [await client.place(attempt.order)]


async def _looked(client: OrderingClient, external_id: str) -> Sequence[RemoteOrder]:
    """Look for our order. Where the other side says nothing at all, this attempt has surely not
    sent anything: an outage must not use up the few tries of orders that may have been taken."""
    try:
        return await client.find_all(external_id)
    except Unknown as failed:
        if failed.cause not in rules.SILENT:
            raise
        raise NotSent(failed.cause, said=failed.said, retry_after=failed.retry_after) from failed


async def settle(
    tx: AsyncSession,
    attempt: Attempt,
    outcome: Sequence[RemoteOrder] | OrderingFailed,
    now: datetime,
) -> None:
    """Record what came of an attempt; `now` is business time, for the sale's own dates."""
    sync = await queries.for_change(tx, attempt.sale_id)
    assert sync is not None
    if isinstance(outcome, OrderingFailed):
        await _failed(tx, sync, attempt, outcome)
    elif outcome:
        if sync.state is not SyncState.FINISHED:
            sync.last_error = None
        for order in outcome:
            await _learn(tx, sync, order, outcome_at=None, source=Source.LOOK, now=now)
    elif sync.state is SyncState.DELIVERED:
        _park(sync, f"order {sync.remote_id} is not known to the ordering system any more")


async def _failed(
    tx: AsyncSession, sync: OrderSync, attempt: Attempt, failed: OrderingFailed
) -> None:
    if attempt.number != sync.attempts:
        return  # its lease ran out and a later attempt has begun, which knows better
    delivered = sync.state is SyncState.DELIVERED
    if sync.state is not SyncState.SENDING and not (delivered and attempt.doing is Doing.ASK):
        return  # a callback was quicker
    parameters = await parameters_in_force(tx)
    now = await shared_now(tx)
    if delivered:
        # The order is there; that a question about it failed changes nothing but the next one.
        sync.last_error, sync.last_tried_at = failed.told()[:ERROR_LIMIT], now
        sync.next_try_at = delivery.next_poll(parameters, confirmed_at=sync.created_at, now=now)
        return
    _put_off(sync, failed, delivery.retry_numbers(parameters, now), now)


def _put_off(
    sync: OrderSync, failed: OrderingFailed, numbers: rules.RetryNumbers, now: datetime
) -> bool:
    """Count a failed attempt and say whether the delivery is tried again, or waits for a person."""
    if failed.failure is Failure.UNKNOWN:
        sync.tries_unknown += 1
        tries = sync.tries_unknown
    else:
        sync.tries_not_sent += 1
        tries = sync.tries_not_sent
    sync.last_tried_at = now
    then = rules.after_failure(tries, failed.failure, failed.retry_after, numbers, random.random())
    if isinstance(then, rules.Park):
        _park(sync, failed.told())
        return False
    sync.state = SyncState.WAITING
    sync.last_error = failed.told()[:ERROR_LIMIT]
    sync.next_try_at = now + then.after
    return True


def _park(sync: OrderSync, why: str) -> None:
    sync.state = SyncState.PARKED
    sync.next_try_at = None
    sync.last_error = why[:ERROR_LIMIT]
    log.warning("delivery parked", sale=str(sync.sale_id), reason=sync.last_error)


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
    parameters = await parameters_in_force(tx)
    real = await shared_now(tx)
    if sync.remote_id is None:
        sync.remote_id, sync.remote_href = seen.id, seen.href
    elif sync.remote_id != seen.id:
        if seen.id not in sync.doubles:
            log.error("order doubled", sale=str(sync.sale_id), ids=[sync.remote_id, seen.id])
            sync.doubles = [*sync.doubles, seen.id]
        return Verdict.CONTRADICTS
    arrived = sync.state in (SyncState.WAITING, SyncState.SENDING, SyncState.PARKED)
    if arrived:
        sync.state = SyncState.DELIVERED
        sync.last_error = None
    if sync.state is SyncState.DELIVERED:
        sync.last_tried_at = real if source is Source.LOOK else sync.last_tried_at
        sync.next_try_at = delivery.next_poll(parameters, confirmed_at=sync.created_at, now=real)
    verdict = None
    if seen.state is not None:
        known = rules.RemoteState(sync.remote_state) if sync.remote_state else None
        verdict = rules.follow(known, sync.remote_state_at, seen.state, outcome_at, source)
    news = SaleState.SENT
    if verdict is Verdict.LOOK and sync.state is SyncState.DELIVERED:
        sync.next_try_at = real
    elif verdict is Verdict.CONTRADICTS:
        sync.last_error = f"ended twice: {sync.remote_state} and {seen.state}"
    elif seen.state is not None and verdict is Verdict.MOVE:
        sync.remote_state, sync.remote_state_at = seen.state.value, outcome_at
        news = rules.sale_state_of(seen.state)
    if sync.remote_state in rules.TERMINAL:
        sync.state = SyncState.FINISHED
        sync.next_try_at = None
    if verdict is Verdict.MOVE or arrived:
        await sales.follow(tx, sale_id=sync.sale_id, state=news, at=now, reason=seen.reason)
    return verdict


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
    now = await shared_now(tx)
    numbers = delivery.retry_numbers(await parameters_in_force(tx), now)
    sync.state = SyncState.DELIVERED if sync.remote_id else SyncState.WAITING
    sync.tries_not_sent = sync.tries_unknown = 0
    # A request of unknown outcome may still be at work over there; looking too soon finds nothing.
    settled = sync.last_tried_at + numbers.settle if sync.last_tried_at else now
    sync.next_try_at = max(now, settled)
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
        attempt = await claim(tx, sale_id, time_limit=time_limit, business_now=business_now())
    if attempt is None:
        return
    outcome: Sequence[RemoteOrder] | OrderingFailed
    try:
        outcome = await exchange(client, attempt)
    except OrderingFailed as failed:
        outcome = failed
    async with begin() as tx:
        await settle(tx, attempt, outcome, business_now())
