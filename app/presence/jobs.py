"""From time to time: shifts that nobody ended are over, and old positions go."""

from app.auth import audit
from app.core.jobs import Worker
from app.presence import service


async def tidy(worker: Worker) -> None:
    """End what was left open, and forget what has been kept long enough, a round at a time."""
    gone = service.ROUND
    while gone == service.ROUND:
        async with worker.database.begin() as tx:
            audit.acting(tx, "presence.tidy")
            gone = await service.tidy(tx, worker.clock.now())
            if gone:
                audit.note(tx, table="position", operation="sweep", count=gone)
