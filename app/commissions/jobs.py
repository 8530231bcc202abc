"""What happens from time to time to commissions."""

from app.auth import audit
from app.commissions.service import flagging, sweeping
from app.core.jobs import Worker


async def sweep(worker: Worker) -> None:
    """Credit what was earned and kept, and take back what was reversed, until nothing is left."""
    more = True
    while more:
        async with worker.database.begin() as tx:
            audit.acting(tx, "commissions.sweep")
            more = await sweeping.sweep(tx, now=worker.clock.now())


async def look_at_returns(worker: Worker) -> None:
    """Flag once a night whose sales come back more often than their peers'."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "commissions.look_at_returns")
        await flagging.flag_returns(tx, now=worker.clock.now())
