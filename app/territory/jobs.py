"""What follows a change of the map after the commit, and from time to time what is left over."""

from uuid import UUID

from app.core.jobs import Worker
from app.territory.queries import relocation as queries
from app.territory.service.relocation import Relocation

# After so many seconds the job of a change is given up for lost.
PATIENCE = 120.0


def _relocation(worker: Worker, action: str) -> Relocation:
    return Relocation(worker.database, worker.clock, f"territory.{action}")


async def map_changed(worker: Worker, change_id: str) -> None:
    """Let orders and addresses follow a change of the map; what is done already stays so."""
    relocation = _relocation(worker, "map_changed")
    await relocation.follow(UUID(change_id))
    await relocation.run()


async def addresses_loaded(worker: Worker) -> None:
    """Find the grids of addresses that are new or have moved."""
    await _relocation(worker, "addresses_loaded").run()


async def follow_left(worker: Worker) -> None:
    """Do what is left of changes whose job was lost, and of addresses that nobody has told of."""
    relocation = _relocation(worker, "follow_left")
    async with worker.database.read() as read:
        changes = await queries.not_begun(read, for_seconds=PATIENCE)
    for change in changes:
        await relocation.follow(change)
    await relocation.run()
