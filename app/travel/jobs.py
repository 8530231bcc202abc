"""What happens from time to time: the ways of the day before are learned from, and a routing
engine is asked about roads, where there is one."""

from contextlib import aclosing

from app.auth import audit
from app.core.jobs import Worker
from app.core.log import log
from app.travel import service
from app.travel.roads import Roads, RoadsUnavailable


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


async def ask_roads(worker: Worker) -> None:
    """Ask a routing engine about the roads of some grids of which nobody has asked for long.

    An engine that does not answer is asked again the next time; what is known stays known.
    """
    if not worker.settings.routing_url:
        return
    try:
        async with aclosing(Roads.of(worker.settings)) as roads:
            await service.ask_roads(worker.database, roads, worker.clock.now())
    except RoadsUnavailable as error:
        log.warning("the routing engine does not answer", cause=str(error))
