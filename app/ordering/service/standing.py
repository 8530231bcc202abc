"""What a failed attempt makes of a delivery."""

import random
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.db import shared_now
from app.core.log import log
from app.core.parameter_values import parameters_in_force
from app.ordering import rules
from app.ordering.delivery import SyncState, Trying, retry_numbers
from app.ordering.models import OrderAttempt, OrderSync
from app.ordering.rules import Cause, Failure, OrderingFailed

ERROR_LIMIT = 500


def luck() -> float:
    """Draw by how much a wait is stretched, so that what failed together does not return so."""
    return random.random()


def note_failure(
    tx: AsyncSession, sync: OrderSync, trying: Trying, failed: OrderingFailed, now: datetime
) -> None:
    """Keep how an attempt failed, for whoever has to find out why; what went well is not kept."""
    tx.add(
        OrderAttempt(
            order_sync_id=sync.id,
            number=sync.attempts,
            trying=trying,
            at=now,
            failure=failed.failure,
            cause=failed.cause,
            answered=failed.answered,
            said=failed.said or None,
            sent_as=failed.sent_as or None,
        )
    )


def put_off(
    sync: OrderSync, failed: OrderingFailed, numbers: rules.RetryNumbers, now: datetime
) -> bool:
    """Count a failed attempt and say whether the delivery is tried again, or waits for a person."""
    if failed.failure is Failure.UNKNOWN:
        sync.tries_unknown += 1
        tries = sync.tries_unknown
    elif failed.cause is Cause.TOO_LATE:
        tries = 0  # it was held up on our side: a try that was never made
    else:
        sync.tries_not_sent += 1
        tries = sync.tries_not_sent
    sync.last_tried_at = now
    then = rules.after_failure(tries, failed.failure, failed.retry_after, numbers, luck())
    if isinstance(then, rules.Park):
        park(sync, failed.cause, failed.told())
        return False
    sync.state = SyncState.WAITING
    sync.last_error, sync.last_cause = failed.told()[:ERROR_LIMIT], failed.cause
    sync.next_try_at = now + then.after
    return True


def settled_at(sync: OrderSync, numbers: rules.RetryNumbers, now: datetime) -> datetime:
    """Say from when on, at the earliest `now`, nothing that was sent of a delivery can still be at
    work over there: who looks too soon finds nothing. All of it is real time."""
    return max(now, sync.last_tried_at + numbers.settle) if sync.last_tried_at else now


async def settled(tx: AsyncSession, sync: OrderSync) -> datetime:
    """Say by the numbers in force from when on a delivery may be looked for; see `settled_at`."""
    now = await shared_now(tx)
    return settled_at(sync, retry_numbers(await parameters_in_force(tx), now), now)


def note_standstill(sync: OrderSync, now: datetime) -> None:
    """Keep since when an order has stood still over there, its state having been told; `now` is
    real time. From held to pending is no step on."""
    still = sync.remote_state in rules.STANDS_STILL
    sync.stands_since = (sync.stands_since or now) if still else None


_STILL = ", ".join(f"'{state}'" for state in sorted(rules.STANDS_STILL))
# The same of many at once; {state} is what the order's state has become.
STANDS_SINCE = (
    f"CASE WHEN {{state}} IN ({_STILL}) THEN coalesce(o.stands_since, clock_timestamp()) END"
)


def park(sync: OrderSync, cause: Cause, why: str) -> None:
    """Stop trying and show the delivery to a person, with the reason."""
    sync.state = SyncState.PARKED
    sync.next_try_at = None
    sync.last_error, sync.last_cause = why[:ERROR_LIMIT], cause
    log.warning("delivery parked", sale=str(sync.sale_id), reason=sync.last_error)
