"""Settling: what came of an attempt, and what the other side says of an order, is written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core import retrying
from app.core.clock import wall
from app.core.db import fetched, shared_now
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.core.parameters import Parameters
from app.ordering import delivery, queries, rules
from app.ordering.delivery import ChangeKind, SyncState
from app.ordering.models import OrderSync
from app.ordering.order import RemoteOrder
from app.ordering.rules import Cause, OrderingFailed, RemoteState, Source, Verdict
from app.ordering.service.claiming import Attempt, Doing
from app.ordering.service.ending import end_change_of
from app.ordering.service.judging import Again, Known, judge
from app.ordering.service.standing import (
    ERROR_LIMIT,
    STANDS_SINCE,
    luck,
    note_failure,
    note_standstill,
    park,
    put_off,
)
from app.sales import queries as sales_queries
from app.sales import service as sales
from app.sales.rules import SaleState
from app.sales.service.undelivered import not_delivered


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
            sync.last_error = sync.last_cause = None
        for order in outcome:
            await learn(tx, sync, order, outcome_at=None, source=Source.LOOK, now=now)
    elif sync.state is SyncState.DELIVERED:
        park(
            sync,
            Cause.FORGOTTEN,
            f"order {sync.remote_id} is not known to the ordering system any more",
        )


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
    note_failure(tx, sync, attempt.doing, failed, now)
    numbers = delivery.retry_numbers(parameters, now)
    if delivered:
        # The order is there; that a question about it failed changes nothing but the next one.
        sync.last_error, sync.last_cause = failed.told()[:ERROR_LIMIT], failed.cause
        sync.last_tried_at = now
        if failed.cause is Cause.TOO_LATE:
            # It was held up on our side, and the question that was due was never asked.
            first, longest = numbers.first_delay, numbers.longest_delay
            sync.next_try_at = now + retrying.wait(0, first=first, longest=longest, luck=luck())
        else:
            _ask_again(sync, parameters, now)
        return
    put_off(sync, failed, numbers, now)


def _ask_again(sync: OrderSync, parameters: Parameters, now: datetime) -> None:
    """Say when a delivered order is asked for next. One that has gone on for too long is shown to
    a person instead; callbacks, and asking once more by hand, still move it."""
    if delivery.never_ends(parameters, confirmed_at=sync.created_at, now=now):
        days = (now - sync.created_at).days
        park(sync, Cause.NEVER_ENDED, f"after {days} days it is still {sync.remote_state}")
    else:
        sync.next_try_at = delivery.next_poll(parameters, confirmed_at=sync.created_at, now=now)


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
    known = Known(
        sync.state,
        sync.remote_id,
        sync.remote_href,
        RemoteState(sync.remote_state) if sync.remote_state else None,
        sync.remote_state_at,
    )
    judged = judge(known, seen, outcome_at, source)
    if judged.double:
        if seen.id not in sync.doubles:
            log.error("order doubled", sale=str(sync.sale_id), ids=[sync.remote_id, seen.id])
            sync.doubles = [*sync.doubles, seen.id]
        return judged.verdict
    real = await shared_now(tx)
    after = judged.after
    sync.state, sync.remote_id, sync.remote_href = after.state, after.remote_id, after.remote_href
    sync.remote_state, sync.remote_state_at = after.remote_state, after.remote_state_at
    note_standstill(sync, real)
    if judged.arrived or judged.ended:
        sync.last_error = sync.last_cause = None
    if judged.verdict is Verdict.CONTRADICTS:
        sync.last_cause = Cause.ENDED_TWICE
        sync.last_error = f"ended twice: {sync.remote_state} and {seen.state}"
    if source is Source.LOOK and (judged.arrived or known.state is SyncState.DELIVERED):
        sync.last_tried_at = real
    if judged.again is Again.POLL:
        _ask_again(sync, await parameters_in_force(tx), real)
    elif judged.again is not Again.AS_IT_WAS:
        sync.next_try_at = real if judged.again is Again.NOW else None
    if judged.news is not None:
        await sales.follow(tx, sale_id=sync.sale_id, state=judged.news, at=now, reason=seen.reason)
    if judged.ended:
        assert seen.state is not None
        await end_change_of(tx, sync, seen.state, real)
        if seen.state is RemoteState.PARTIAL:
            await part_missing(tx, sync, seen, now)
    is_news = judged.verdict in (Verdict.MOVE, Verdict.LOOK) or known.remote_id is None
    if sync.given_up_at is not None and (is_news or source is Source.LOOK):
        await _show_what_lives_on(tx, sync, seen)
    return judged.verdict


async def _show_what_lives_on(tx: AsyncSession, sync: OrderSync, seen: RemoteOrder) -> None:
    """Show a person an order that was given up, and whose sale is cancelled, where the other side
    goes on with it or has delivered it, unless it is asked to cancel it already."""
    if seen.state in rules.NOT_DELIVERED or sync.last_cause in rules.TO_BE_JUDGED:
        return
    sale = await sales_queries.for_change(tx, sync.sale_id)
    if sale.state not in (SaleState.CANCELLED, SaleState.REJECTED):
        return
    change = await queries.open_change(tx, sync.sale_id)
    if change is not None and change.kind is ChangeKind.CANCEL:
        return
    why = f"given up, and it is {seen.state_text} there"
    if sync.state is SyncState.FINISHED:
        sync.last_error, sync.last_cause = why[:ERROR_LIMIT], Cause.LIVES_ON
    else:
        park(sync, Cause.LIVES_ON, why)


async def part_missing(tx: AsyncSession, sync: OrderSync, seen: RemoteOrder, now: datetime) -> None:
    """Show a person that a part of an order is missing. Where it is told which, the sale is
    completed without that; else it waits for what the person says."""
    gone = rules.missing(seen.item_states)
    sync.last_cause = Cause.PART_MISSING
    if gone is None:
        sync.last_error = "partial: it does not say which items are missing"
        return
    sync.last_error = f"partial: missing {', '.join(gone)}"[:ERROR_LIMIT]
    if await not_delivered(tx, sale_id=sync.sale_id, positions=gone, at=now):
        await sales.follow(tx, sale_id=sync.sale_id, state=SaleState.COMPLETED, at=now)


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

    The others are no plain case any more, a callback having told of another order for instance:
    `settle` takes those. `now` is business time, for the sales' own dates.
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
            "least": rules.RemoteState.ACKNOWLEDGED,
            "soonest": soonest,
            "latest": max(soonest, parameters.number(delivery.POLL_LATEST, wall())),
        },
    )
    news = {}
    for sale_id, is_news in settled:
        _, order = outcomes[sale_id]
        if is_news:
            state = rules.sale_state_of(order.state) if order.state else SaleState.SENT
            news[sale_id] = sales.News(state)
    await sales.follow_many(tx, news, at=now)
    return {sale_id for sale_id, _ in settled}


# Whoever was called back about an order before its own question was answered learns nothing more
# from an answer that says as much or less.
_STATE = "CASE WHEN is_news THEN mine.remote_state ELSE o.remote_state END"
_SETTLE_MANY = f"""
WITH told AS (
    SELECT * FROM unnest(%(sales)b::uuid[], %(numbers)b::bigint[], %(remote_ids)b::text[],
                         %(hrefs)b::text[], %(states)b::text[])
        AS t (sale_id, number, remote_id, href, remote_state)
), mine AS (
    SELECT o.id, o.state = 'sending' AS is_news, told.* FROM told JOIN order_sync o USING (sale_id)
     WHERE (o.state = 'sending' AND o.attempts = told.number AND o.remote_id IS NULL)
        OR (o.state IN ('delivered', 'finished') AND o.remote_id = told.remote_id
            AND o.remote_state IS NOT NULL
            AND (told.remote_state IS NULL OR told.remote_state IN (%(least)s, o.remote_state)))
     ORDER BY o.sale_id FOR UPDATE OF o
), delivered AS (
    UPDATE order_sync o
       SET state = 'delivered', last_error = NULL, last_cause = NULL,
           last_tried_at = clock_timestamp(), remote_id = mine.remote_id,
           remote_href = CASE WHEN is_news THEN mine.href ELSE o.remote_href END,
           remote_state = {_STATE},
           remote_state_at = CASE WHEN is_news THEN NULL ELSE o.remote_state_at END,
           stands_since = {STANDS_SINCE.format(state=_STATE)},
           next_try_at = clock_timestamp() + least(
               greatest((clock_timestamp() - o.created_at) / 4,
                        make_interval(secs => %(soonest)s)),
               make_interval(secs => %(latest)s)),
           version = o.version + 1
      FROM mine WHERE o.id = mine.id AND o.state <> 'finished'
)
SELECT sale_id, is_news FROM mine
"""  # noqa: S608 - the conditions are constants of ours
