"""What happens from time to time to late orders, and once an order is done."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.overdue import service


async def escalate(worker: Worker) -> None:
    """Tell whoever has to look at orders that are about to be late, or are."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "overdue.escalate")
        await service.escalate(tx, now=worker.clock.now())


async def alert(worker: Worker) -> None:
    """Alert units in which late orders have been told of and nobody has taken them up."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "overdue.alert")
        await service.alert(tx, now=worker.clock.now())


async def add_up(worker: Worker) -> None:
    """Work out what late orders come to by now."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "overdue.add_up")
        await service.add_up(tx, now=worker.clock.now())


async def judge(worker: Worker, order_id: str) -> None:
    """Work out what an order comes to that is completed, or whose clock was changed afterwards."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "overdue.judge")
        await service.judge(tx, UUID(order_id), now=worker.clock.now())
