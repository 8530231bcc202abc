"""What happens at night: the ways of the day before are learned from."""

from app.auth import audit
from app.core.jobs import Worker
from app.travel import service


async def learn(worker: Worker) -> None:
    """Learn from every night that is over and not done, each in a transaction of its own."""
    while True:
        now = worker.clock.now()
        async with worker.database.read() as read:
            if await service.due(read, now) is None:
                return
        async with worker.database.begin() as tx:
            audit.acting(tx, "travel.learn")
            if await service.learn(tx, now) is None:
                return
