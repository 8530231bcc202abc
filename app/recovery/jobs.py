"""What follows when an order is done or something is due, and what is looked at now and then."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.core.parameter_values import parameters_in_force
from app.grids import locating
from app.recovery import rules
from app.recovery.queries import pickups
from app.recovery.service.owing import left_by, look_at_changes
from app.recovery.service.pickups import fetch, let_go
from app.workorders.models import WorkOrder

# Changed services a transaction looks at, and pick-ups a round makes orders for.
BATCH = 500


async def order_completed(worker: Worker, order_id: str) -> None:
    """Write down what came back with an order, and let be due what it has left."""
    now = worker.clock.now()
    async with worker.database.begin() as tx:
        audit.acting(tx, "recovery.order_completed")
        order = await tx.get(WorkOrder, UUID(order_id))
        if order is None or order.customer_id is None:
            return
        ended = await pickups.settle(tx, now=now, customer_id=order.customer_id)
        await let_go(tx, ended, now=now)
        await left_by(tx, order, now=now)


async def asked(worker: Worker, recovery_id: str) -> None:
    """Have fetched what has just become due."""
    await _fetch(worker, UUID(recovery_id))


async def look_around(worker: Worker) -> None:
    """Settle what has come back by whatever way, look at services that have changed, and have
    fetched what no order fetches yet.
    """
    now = worker.clock.now()
    async with worker.database.begin() as tx:
        audit.acting(tx, "recovery.look_around")
        await let_go(tx, await pickups.settle(tx, now=now), now=now)
    looked_at = BATCH
    while looked_at == BATCH:
        async with worker.database.begin() as tx:
            audit.acting(tx, "recovery.look_around")
            looked_at = await look_at_changes(tx, now=now, size=BATCH)
    async with worker.database.begin() as tx:
        most = (await parameters_in_force(tx)).whole(rules.MOST_ORDERS, now)
        waiting = await pickups.without_order(tx, most=most, size=BATCH)
    for recovery_id in waiting:
        await _fetch(worker, recovery_id)


async def _fetch(worker: Worker, recovery_id: UUID) -> None:
    async with worker.database.begin() as tx:
        audit.acting(tx, "recovery.fetch")
        # The map comes first: whoever changes it may want rows that are locked below.
        await locating.for_keeps(tx)
        await fetch(tx, recovery_id, now=worker.clock.now())
