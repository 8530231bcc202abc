"""What follows when the lifecycle has warned or an order is done, and what is looked at then."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.core.parameter_values import parameters_in_force
from app.grids import locating
from app.retention.queries.warnings import units_told_of, units_warned_by
from app.retention.rules import cases
from app.retention.service import leavers, terms, warnings, working


async def warned(worker: Worker, run_id: str) -> None:
    """Act on what one run of the lifecycle has warned of."""
    async with worker.database.read() as read:
        units = await units_warned_by(read, UUID(run_id))
    await _act(worker, units)


async def _act(worker: Worker, units: Sequence[UUID]) -> None:
    """Take care of the customers of org units, each unit in its own transaction."""
    now = worker.clock.now()
    for unit in units:
        async with worker.database.begin() as tx:
            audit.acting(tx, "retention.warned")
            # The map comes first: whoever changes it may want rows that are locked below.
            await locating.for_keeps(tx)
            await leavers.follow_lifecycle(tx, unit, now=now)
            await warnings.act(tx, unit, now=now)


async def order_completed(worker: Worker, order_id: str) -> None:
    """Close the case whose visit is done, and write down who has left with a removal."""
    now = worker.clock.now()
    async with worker.database.begin() as tx:
        audit.acting(tx, "retention.order_completed")
        await working.order_completed(tx, UUID(order_id), now=now)
        await leavers.left_by(tx, UUID(order_id), now=now)


async def look_around(worker: Worker) -> None:
    """End what is over, and take up all that the lifecycle has told of lately: for some of it a
    grid has room only now.
    """
    now = worker.clock.now()
    async with worker.database.begin() as tx:
        audit.acting(tx, "retention.look_around")
        await working.tidy(tx, now=now)
        await terms.end_expired(tx, now=now)
    async with worker.database.read() as read:
        days = (await parameters_in_force(read)).number(cases.WARNING_DAYS, now)
        since = now - max(timedelta(days=days), leavers.TOLD_WITHIN)
        units = await units_told_of(read, since)
    await _act(worker, units)
