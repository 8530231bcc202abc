"""Follow-ups after a commit, and from time to time."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.followups.service import answering, asking


async def order_completed(worker: Worker, order_id: str) -> None:
    """Make the follow-up of an order that was completed, where the rules want one."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "followups.order_completed")
        await asking.make(tx, UUID(order_id))


async def take_care(worker: Worker, follow_up_id: str) -> None:
    """Send somebody to take care of a customer who gave a low mark."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "followups.take_care")
        await answering.take_care(tx, UUID(follow_up_id), now=worker.clock.now())


async def send_due(worker: Worker) -> None:
    """Send the surveys whose time has come, batch by batch."""
    sent = asking.BATCH
    while sent == asking.BATCH:
        async with worker.database.begin() as tx:
            audit.acting(tx, "followups.send_due")
            sent = await asking.send_due(tx, worker.settings.survey_url, now=worker.clock.now())


async def end_expired(worker: Worker) -> None:
    """End the follow-ups that nobody has answered in time."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "followups.end_expired")
        await asking.end_expired(tx, now=worker.clock.now())
