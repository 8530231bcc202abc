"""What planning does after a commit, and from time to time."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker
from app.planning.service import tally
from app.planning.service.making import make


async def make_plan(worker: Worker, plan_id: str) -> None:
    """Make a plan; when its worker dies another one makes it again, from the same inputs."""
    await make(worker.database, worker.clock, UUID(plan_id))


async def add_up(worker: Worker) -> None:
    """Add up every night whose ways are learned from, each in a transaction of its own."""
    while True:
        now = worker.clock.now()
        async with worker.database.read() as read:
            if not await tally.is_due(read, now):
                return
        async with worker.database.begin() as tx:
            audit.acting(tx, "planning.add_up")
            if not await tally.add_up(tx, now):
                return
