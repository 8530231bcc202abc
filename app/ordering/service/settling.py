"""Settling: what came of an attempt, and what the other side says of an order, is written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import fetched, shared_now
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.ordering import delivery, queries, rules
from app.ordering.delivery import SyncState
from app.ordering.models import OrderSync
from app.ordering.order import RemoteOrder
from app.ordering.rules import OrderingFailed, Source, Verdict
from app.ordering.service.claiming import Attempt, Doing
from app.ordering.service.ending import end_change_of
from app.ordering.service.standing import ERROR_LIMIT, park, put_off
from app.sales import service as sales
from app.sales.rules import SaleState


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
            await learn(tx, sync, order, outcome_at=None, source=Source.LOOK, now=now)
    elif sync.state is SyncState.DELIVERED:
        park(sync, f"order {sync.remote_id} is not known to the ordering system any more")


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
    put_off(sync, failed, delivery.retry_numbers(parameters, now), now)


async def learn(
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
    if verdict is Verdict.MOVE and seen.state in rules.TERMINAL:
        await end_change_of(tx, sync, seen.state, real)
    return verdict


def is_plain(outcome: Sequence[RemoteOrder] | OrderingFailed) -> bool:
    """Tell whether an outcome is the common one, which `settle_many` writes down: one order, taken
    and not ended."""
    return (
        not isinstance(outcome, OrderingFailed)
        and len(outcome) == 1
        and outcome[0].state not in rules.TERMINAL
    )


async def settle_many(
    tx: AsyncSession, outcomes: Mapping[UUID, tuple[Attempt, RemoteOrder]], now: datetime
) -> set[UUID]:
    """Record orders that were taken, in two statements; returns those sales it could do so for.

    The others are no plain case any more, a callback having been quicker for instance: `settle`
    takes those. `now` is business time, for the sales' own dates.
    """
    told = [outcomes[sale_id] for sale_id in sorted(outcomes)]
    parameters = await parameters_in_force(tx)
    soonest = parameters.number(delivery.POLL_SOONEST, wall())
    settled = await fetched(
        tx,
        _SETTLE_MANY,
        {
            "sales": [attempt.sale_id for attempt, _ in told],
            "numbers": [attempt.number for attempt, _ in told],
            "remote_ids": [order.id for _, order in told],
            "hrefs": [order.href for _, order in told],
            "states": [order.state.value if order.state else None for _, order in told],
            "soonest": soonest,
            "latest": max(soonest, parameters.number(delivery.POLL_LATEST, wall())),
        },
    )
    done = {sale_id for (sale_id,) in settled}
    news = {
        sale_id: rules.sale_state_of(order.state) if order.state else SaleState.SENT
        for sale_id, (_, order) in outcomes.items()
        if sale_id in done
    }
    await sales.follow_many(tx, news, at=now)
    return done


_SETTLE_MANY = """
WITH told AS (
    SELECT * FROM unnest(%(sales)s::uuid[], %(numbers)s::bigint[], %(remote_ids)s::text[],
                         %(hrefs)s::text[], %(states)s::text[])
        AS t (sale_id, number, remote_id, href, remote_state)
), mine AS (
    SELECT o.id, told.* FROM told JOIN order_sync o USING (sale_id)
     WHERE o.state = 'sending' AND o.attempts = told.number AND o.remote_id IS NULL
     ORDER BY o.sale_id FOR UPDATE OF o
)
UPDATE order_sync o
   SET state = 'delivered', last_error = NULL, remote_id = mine.remote_id, remote_href = mine.href,
       remote_state = mine.remote_state, remote_state_at = NULL, last_tried_at = clock_timestamp(),
       next_try_at = clock_timestamp() + least(
           greatest((clock_timestamp() - o.created_at) / 4, make_interval(secs => %(soonest)s)),
           make_interval(secs => %(latest)s)),
       version = o.version + 1
  FROM mine WHERE o.id = mine.id
RETURNING o.sale_id
"""
