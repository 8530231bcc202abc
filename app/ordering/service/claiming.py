"""Claiming: an attempt is recorded and committed before its first byte leaves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.clock import wall
from app.core.db import fetched, new_id, shared_now
from app.core.errors import NotFound
from app.core.parameter_values import parameters_in_force
from app.ordering import delivery, queries, rules
from app.ordering.client.codec import CODECS, Codec, Version
from app.ordering.delivery import SyncState, Trying
from app.ordering.models import OrderSync
from app.ordering.order import OrderToPlace, OrderUnfit
from app.ordering.rules import Cause, Unknown
from app.ordering.service.standing import note_failure, park, put_off

# What an attempt is to do.
Doing = Trying


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
    tx: AsyncSession,
    sale_id: UUID,
    *,
    time_limit: float,
    business_now: datetime,
    codec: Codec = CODECS[Version.V4],
) -> Attempt | None:
    """Claim the next attempt of a sale's delivery; None when there is nothing to do now.

    `time_limit` is that of one exchange, in seconds. The claim counts only once `tx` has
    committed. Raises NotFound for a sale that is not confirmed.
    """
    limit = timedelta(seconds=time_limit)
    send_before = wall() + 2 * limit
    parameters = await parameters_in_force(tx)
    sync = await queries.for_change(tx, sale_id) or await _begun(tx, sale_id)
    if sync.state in (SyncState.FINISHED, SyncState.PARKED, SyncState.GIVEN_UP):
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
    if sync.state is SyncState.SENDING:
        never_told = Unknown(Cause.NEVER_TOLD)
        note_failure(tx, sync, Doing.SEND, never_told, now)
        if not put_off(sync, never_told, numbers, now):
            return None
    try:
        order = await queries.order_to_place(tx, sale_id)
    except OrderUnfit as unfit:
        # Trying again would not mend it; a person can, and then takes it up with `retry`.
        park(sync, Cause.UNFIT, unfit.detail("en"))
        return None
    age = business_now - order.requested_start
    fresh = timedelta(seconds=parameters.number(delivery.FRESH, now))
    look_first = rules.must_look_first(sync.attempts, age, fresh)
    sync.attempts += 1
    sync.state = SyncState.SENDING
    sync.last_tried_at, sync.next_try_at = now, lease_until
    sync.body = codec.body_of(order)
    doing = Doing.LOOK_THEN_SEND if look_first else Doing.SEND
    return Attempt(sale_id, doing, order, None, sync.attempts, send_before)


async def _begun(tx: AsyncSession, sale_id: UUID) -> OrderSync:
    """Make the row of a delivery, or find the one that was made at the same moment."""
    sync = await queries.begin_delivery(tx, sale_id) or await queries.for_change(tx, sale_id)
    if sync is None:
        raise NotFound(sale_id=sale_id)
    return sync


async def claim_many(
    tx: AsyncSession,
    sale_ids: Sequence[UUID],
    *,
    time_limit: float,
    business_now: datetime,
    codec: Codec,
) -> dict[UUID, Attempt]:
    """Claim the next attempt of many deliveries that wait, or have not begun, in two statements.

    What is not in the answer has nothing to do now, is being worked on by somebody, or is no plain
    case: `claim` takes those one by one. Counts only once `tx` has committed.
    """
    limit = timedelta(seconds=time_limit)
    send_before = wall() + 2 * limit
    orders = await queries.orders_to_place(tx, sale_ids)
    parameters = await parameters_in_force(tx)
    numbers = delivery.retry_numbers(parameters, wall())
    fresh = timedelta(seconds=parameters.number(delivery.FRESH, wall()))
    # One order of locking for all, so that no two can wait for each other.
    fit = sorted(id_ for id_, order in orders.items() if isinstance(order, OrderToPlace))
    claimed = await fetched(
        tx,
        _CLAIM_MANY,
        {
            "sales": fit,
            "ids": [new_id() for _ in fit],
            "bodies": [orjson.dumps(_body(codec, orders[id_])).decode() for id_ in fit],
            "lease": (3 * limit + numbers.settle).total_seconds(),
        },
    )
    attempts = {}
    for sale_id, number in claimed:
        order = orders[sale_id]
        assert isinstance(order, OrderToPlace)
        age = business_now - order.requested_start
        look_first = rules.must_look_first(number - 1, age, fresh)
        doing = Doing.LOOK_THEN_SEND if look_first else Doing.SEND
        attempts[sale_id] = Attempt(sale_id, doing, order, None, number, send_before)
    return attempts


def _body(codec: Codec, order: OrderToPlace | OrderUnfit) -> dict[str, object]:
    assert isinstance(order, OrderToPlace)
    return codec.body_of(order)


_CLAIM_MANY = """
WITH wanted AS (
    SELECT * FROM unnest(%(sales)b::uuid[], %(ids)b::uuid[], %(bodies)b::text[])
        AS w (sale_id, id, body)
), waiting AS (
    SELECT o.id, w.body FROM wanted w JOIN order_sync o ON o.sale_id = w.sale_id
     WHERE o.state = 'waiting'
       AND (o.next_try_at IS NULL OR o.next_try_at <= clock_timestamp())
     ORDER BY o.sale_id FOR UPDATE OF o SKIP LOCKED
), again AS (
    UPDATE order_sync o
       SET state = 'sending', attempts = o.attempts + 1, body = waiting.body::jsonb,
           last_tried_at = clock_timestamp(),
           next_try_at = clock_timestamp() + make_interval(secs => %(lease)s),
           version = o.version + 1
      FROM waiting WHERE o.id = waiting.id
    RETURNING o.sale_id, o.attempts
), begun AS (
    INSERT INTO order_sync (id, sale_id, org_unit_id, state, attempts, last_tried_at, next_try_at,
                            body)
    SELECT w.id, w.sale_id, s.org_unit_id, 'sending', 1, clock_timestamp(),
           clock_timestamp() + make_interval(secs => %(lease)s), w.body::jsonb
      FROM wanted w JOIN sale s ON s.id = w.sale_id ORDER BY w.sale_id
    ON CONFLICT (sale_id) DO NOTHING
    RETURNING sale_id, attempts
)
SELECT * FROM again UNION ALL SELECT * FROM begun
"""


async def wait_for_better_times(tx: AsyncSession, sale_ids: Sequence[UUID]) -> None:
    """Let deliveries that have not begun wait until the other side can be reached again."""
    await fetched(
        tx,
        """
        INSERT INTO order_sync (id, sale_id, org_unit_id, state, next_try_at)
        SELECT w.id, s.id, s.org_unit_id, 'waiting', clock_timestamp()
          FROM unnest(%(sales)b::uuid[], %(ids)b::uuid[]) AS w (sale_id, id)
          JOIN sale s ON s.id = w.sale_id AND s.confirmed_at IS NOT NULL
        ON CONFLICT (sale_id) DO NOTHING RETURNING id
        """,
        {"sales": sorted(sale_ids), "ids": [new_id() for _ in sale_ids]},
    )
