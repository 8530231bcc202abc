"""The nightly run over all customers, and looks at those to whom something has happened."""

from uuid import UUID

from app.auth import audit
from app.core.db import fetched
from app.core.jobs import Worker
from app.lifecycle.service import judging, running


async def nightly(worker: Worker) -> None:
    """Tell once a night where all customers stand; stopped in the middle, it goes on afterwards."""
    now = worker.clock.now()
    async with worker.database.read() as read:
        night = await running.due(read, now)
    if night is not None:
        await running.run(worker.database, now, action="lifecycle.nightly", night=night)


async def due(worker: Worker) -> None:
    """Look at customers to whom something has happened, until none waits."""
    taken = judging.AT_A_TIME
    while taken == judging.AT_A_TIME:
        async with worker.database.begin() as tx:
            audit.acting(tx, "lifecycle.due")
            taken = await judging.take_due(tx, worker.clock.now())


_CONCERNS = """
    SELECT o.customer_id FROM work_order o JOIN customer_lifecycle l USING (customer_id)
    WHERE o.id = %(id)s AND (o.work_type = 'remove' OR o.repeat_of_id IS NOT NULL)
"""


async def order_completed(worker: Worker, order_id: str) -> None:
    """Look at the customer of whose line a fault came back, or whose service was removed."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "lifecycle.order_completed")
        rows = await fetched(tx, _CONCERNS, {"id": UUID(order_id)})
        if rows:
            await judging.judge_some(tx, [rows[0][0]], worker.clock.now())
