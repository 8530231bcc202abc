"""From time to time: visits and help whose orders have gone on without them come to their end."""

from sqlalchemy import select

from app.auth import audit
from app.core.jobs import Worker
from app.suggestions.service import release_slot
from app.visits import queries
from app.visits.models import Visit
from app.visits.rules import Outcome
from app.visits.service import assists
from app.workorders.models import WorkOrder
from app.workorders.rules import State

# Visits a round ends at most; the next one goes on.
ROUND = 500


async def end_cancelled(worker: Worker) -> None:
    """End visits whose order was cancelled, and free their customers for others to talk to.

    Orders do not know of visits, so it is looked for; visits that are going on are few.
    """
    async with worker.database.begin() as tx:
        audit.acting(tx, "visits.end_cancelled")
        over = await tx.scalars(
            select(Visit)
            .join(WorkOrder, WorkOrder.id == Visit.work_order_id)
            .where(Visit.ended_at.is_(None), WorkOrder.state == State.CANCELLED)
            .limit(ROUND)
            .with_for_update(of=Visit, skip_locked=True)
        )
        for visit in over:
            visit.outcome, visit.ended_at = Outcome.CANCELLED, worker.clock.now()
            await release_slot(tx, visit.id)


async def end_assists(worker: Worker) -> None:
    """End the help with orders that nobody holds any more, so that its minutes are free."""
    async with worker.database.read() as read:
        over = await queries.no_longer_assisted(read, ROUND)
    for order_id in over:
        async with worker.database.begin() as tx:
            audit.acting(tx, "visits.end_assists")
            await assists.end_all(tx, order_id, now=worker.clock.now())
