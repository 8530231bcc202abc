"""What the worker does for deliveries: at once after a confirmation, and again when it is due."""

from datetime import timedelta
from uuid import UUID

from app.core.jobs import Worker, for_each
from app.core.log import log
from app.ordering import queries, service
from app.ordering.client import OrderingClient

AT_ONCE = 16
A_SWEEP = 200


def _client(worker: Worker) -> OrderingClient:
    settings = worker.settings
    return OrderingClient(
        settings.ordering_url,
        token=settings.ordering_token.get_secret_value(),
        time_limit=settings.ordering_timeout_seconds,
        connections=AT_ONCE * 2,
    )


async def send_sale(worker: Worker, *, sale_id: str) -> None:
    """Deliver a sale that was just confirmed; what fails is taken up by `sweep`."""
    if not worker.settings.ordering_url:
        log.warning("no ordering system is set (YINGWEI_ORDERING_URL); the sale waits")
        return
    await _deliver(worker, UUID(sale_id))


async def _deliver(worker: Worker, sale_id: UUID) -> None:
    await service.deliver(
        worker.database.begin,
        await worker.keep("ordering", lambda: _client(worker)),
        sale_id,
        time_limit=worker.settings.ordering_timeout_seconds,
        business_now=worker.clock.now,
    )


async def sweep(worker: Worker) -> None:
    """Take up every delivery that is due: tries again, questions nobody answered by a callback,
    attempts whose worker died, and sales whose job was lost."""
    if not worker.settings.ordering_url:
        return
    async with worker.database.read() as session:
        due = list(await queries.due(session, A_SWEEP))
        before = worker.clock.now() - timedelta(minutes=1)
        due += await queries.forgotten(session, before, A_SWEEP)
    await for_each(due, lambda sale_id: _deliver(worker, sale_id), at_once=AT_ONCE)
