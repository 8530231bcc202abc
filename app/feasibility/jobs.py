"""What happens by itself: reservations end, and installs are live or called off."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.feasibility import queries, service

# So many at one time at most; the next round takes the rest.
A_ROUND = 1000


async def end_reservations(worker: Worker) -> None:
    """End the reservations whose time is over; their minutes end with the holds they are."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "feasibility.end_reservations")
        await queries.end_expired(tx, now=worker.clock.now(), size=A_ROUND)


async def order_completed(worker: Worker, *, order_id: str) -> None:
    """See at once whether an install that was sold at a door is live."""
    await _settle(worker, UUID(order_id))


async def line_opened(worker: Worker, *, work_order_id: str, activation_id: str) -> None:
    """See at once that an install is live, whose line the platform has just opened."""
    await _settle(worker, UUID(work_order_id))


async def look_around(worker: Worker) -> None:
    """See which installs are live or called off by now, whatever brought it about."""
    await _settle(worker, None)


async def _settle(worker: Worker, work_order_id: UUID | None) -> None:
    async with worker.database.begin() as tx:
        audit.acting(tx, "feasibility.settle")
        await service.settle(tx, now=worker.clock.now(), work_order_id=work_order_id)
