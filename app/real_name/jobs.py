"""What the worker does for checks of real names: it looks up what has no outcome."""

from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker, for_each
from app.real_name import queries, service
from app.real_name.client import RealNameClient, client_of

AT_ONCE = 4
A_SWEEP = 100


async def sweep(worker: Worker) -> None:
    """Look up every check whose outcome is not known and which is due to be looked up."""
    if not worker.settings.real_name_url:
        return
    async with worker.database.read() as session:
        due = await queries.to_look_up(session, A_SWEEP)
    if not due:
        return

    def client() -> RealNameClient:
        made = client_of(worker.settings)
        assert made is not None
        return made

    way = await worker.keep("real_name", client)

    async def look(check_id: UUID) -> None:
        outcome = await service.put(way, service.Begun(check_id, look=True))
        async with worker.database.begin() as tx:
            audit.acting(tx, "real_name.sweep")
            await service.settle(tx, check_id, outcome, now=worker.clock.now())

    await for_each(due, look, at_once=AT_ONCE)
