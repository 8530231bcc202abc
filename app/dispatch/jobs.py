"""What dispatch does after a commit, and from time to time: orders that wait are placed."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from app.activation.client import platform_of
from app.auth import audit
from app.core.jobs import Worker, tell
from app.core.parameter_values import parameters_in_force
from app.dispatch import queries, rules
from app.dispatch.service import holds, outages
from app.dispatch.service.again import place_again
from app.grids import locating
from app.outages.rules import WhenOver
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import State, UnplacedReason

# Orders a transaction of the worker takes at most; each holds its row until the commit.
BATCH = 100
# A round gives up after so many, to let the next one see what has changed.
ROUND = 5000
# How often, and after how long (of real time), lines are tested again that could not be tested.
LINE_TRIES = 5
LINE_AGAIN = timedelta(seconds=30)


async def place_anew(worker: Worker, order_id: str, declined_by: str | None = None) -> None:
    """Place an order that its holder has given back; an order somebody has by now is left alone."""
    await _place(worker, "dispatch.place_anew", WorkOrder.id == UUID(order_id))


async def place_trusted(worker: Worker, lon_e6: int, lat_e6: int) -> None:
    """Place the orders that waited at a point which somebody has now said to be real."""
    waits = (
        workorders.OPEN,
        WorkOrder.state == State.UNPLACED,
        WorkOrder.unplaced_reason == UnplacedReason.SHARED_POINT,
        queries.at_points([(lon_e6, lat_e6)]),
    )
    while await _place(worker, "dispatch.place_trusted", *waits):
        pass


async def place_waiting(worker: Worker) -> None:
    """Place what was taken in without being placed, and try again what time may have healed."""
    now = worker.clock.now()
    async with worker.database.read() as read:
        minutes = (await parameters_in_force(read)).number(rules.RETRY, now)
        never = await queries.taken_in_only(read, limit=ROUND)
        healed = await queries.to_try_again(
            read, before=now - timedelta(minutes=minutes), limit=ROUND
        )
    for ids in (never, healed):
        for first in range(0, len(ids), BATCH):
            await _place(
                worker,
                "dispatch.place_waiting",
                _among(ids[first : first + BATCH]),
                skip_locked=True,  # whoever has it locked is at work on it
            )


async def end_outage(worker: Worker, outage_id: str, tries: int = 0) -> None:
    """Test, close or place the orders that an outage has held, now that it is over.

    Lines that cannot be tested just now are tried again a few times; then somebody goes there.
    """
    outage = UUID(outage_id)
    # Each is looked at once: what somebody else has locked is told of again by `outages.tidy`.
    seen, untested = set[UUID](), set[UUID]()
    while True:
        async with worker.database.read() as read:
            found = await outages.held_by(read, outage, without=seen, limit=BATCH)
        if found is None or not found[1]:
            break
        when_over, held = found
        seen |= {one.order_id for one in held}
        works: dict[UUID, bool] = {}
        platform = await platform_of(worker)
        if when_over is WhenOver.TEST and platform is not None:
            # No transaction is open while the platform takes its time.
            works, lost = await outages.tested(platform, held)
            untested |= lost if tries < LINE_TRIES else set()
        ready = [one.order_id for one in held if one.order_id not in untested]
        async with worker.database.begin() as tx:
            audit.acting(tx, "dispatch.end_outage")
            await outages.give_free(tx, outage, ready, works, now=worker.clock.now())
    if untested:
        async with worker.database.begin() as tx:
            await tell(tx, "outage.closed", delay=LINE_AGAIN, outage_id=outage, tries=tries + 1)


async def end_holds(worker: Worker) -> None:
    """End the holds whose time is over, so that their rows say so and their days are free."""
    ended = 1
    while ended:
        async with worker.database.begin() as tx:
            audit.acting(tx, "dispatch.end_holds")
            ended = await holds.end_holds(tx, now=worker.clock.now(), size=BATCH)


def _among(ids: Sequence[UUID]) -> Any:
    return WorkOrder.id.in_(ids)


async def _place(worker: Worker, action: str, *conditions: Any, skip_locked: bool = False) -> int:
    """Place up to a batch of orders in one transaction; return how many there were."""
    async with worker.database.begin() as tx:
        audit.acting(tx, action)
        # The map comes first: whoever changes it may want rows that are locked below.
        await locating.for_keeps(tx)
        orders = await workorders.all_for_change(
            tx, *conditions, limit=BATCH, skip_locked=skip_locked
        )
        await place_again(tx, orders, now=worker.clock.now())
        return len(orders)
