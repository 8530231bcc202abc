"""What the worker does for deliveries: at once after a confirmation, and again when it is due."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

from app.core.jobs import Worker
from app.core.log import log
from app.ordering import listening, queries, service
from app.ordering.client import OrderingClient
from app.ordering.codec import Version
from app.ordering.courier import Courier, Taken
from app.ordering.delivery import Endpoint, SyncState
from app.ordering.sign_in import sign_in_of, tls_of

A_SWEEP = 500


async def courier_of(worker: Worker) -> Courier:
    """Give the worker's courier, made when it is first needed."""
    return await worker.keep("ordering", lambda: Courier(worker, _client(worker)))


def _client(worker: Worker) -> OrderingClient:
    settings = worker.settings
    tls = tls_of(settings)
    return OrderingClient(
        settings.ordering_url,
        sign_in=sign_in_of(settings, tls),
        version=Version(settings.ordering_version),
        search_by=settings.ordering_search_by,
        requests_per_second=settings.ordering_requests_per_second,
        time_limit=settings.ordering_timeout_seconds,
        connections=settings.ordering_concurrency * 2,
        tls=tls,
    )


async def send_sale(worker: Worker, *, sale_id: str) -> None:
    """Deliver a sale that was just confirmed; what fails is taken up by `sweep`."""
    if not worker.settings.ordering_url:
        log.warning("no ordering system is set (YINGWEI_ORDERING_URL); the sale waits")
        return
    taken = await (await courier_of(worker)).take(UUID(sale_id))
    if taken is Taken.NOT_PLAIN:
        await (await _delivering(worker, UUID(sale_id)))()


async def _delivering(worker: Worker, sale_id: UUID) -> Callable[[], Awaitable[object]]:
    """Make the errand of one delivery that is looked at for itself."""
    return partial(
        service.deliver,
        worker.database.begin,
        (await courier_of(worker)).client,
        sale_id,
        time_limit=worker.settings.ordering_timeout_seconds,
        business_now=worker.clock.now,
    )


async def sweep(worker: Worker) -> None:
    """Take up every delivery that is due: tries again, questions nobody answered by a callback,
    attempts whose worker died, and sales whose job was lost; and every change of an order."""
    if not worker.settings.ordering_url:
        return
    while await _sweep_once(worker):
        pass


async def _sweep_once(worker: Worker) -> bool:
    """Take up so much of what is due; tells whether it got on and there may be more."""
    courier = await courier_of(worker)
    async with worker.database.read() as session:
        due = await queries.due(session, A_SWEEP)
        before = worker.clock.now() - timedelta(minutes=1)
        lost = await queries.forgotten(session, before, A_SWEEP)
        changes = await queries.due_changes(session, A_SWEEP)
    waiting = [sale_id for sale_id, state in due if state is SyncState.WAITING]
    taken = await courier.take_waiting([*waiting, *lost])
    one_by_one = [sale_id for sale_id, state in due if state is not SyncState.WAITING]
    one_by_one += [sale_id for sale_id, how in taken.items() if how is Taken.NOT_PLAIN]
    await courier.run(Endpoint.ASK, [await _delivering(worker, each) for each in one_by_one])
    carrying = [
        partial(
            service.carry_out,
            worker.database.begin,
            courier.client,
            change_id,
            time_limit=worker.settings.ordering_timeout_seconds,
            business_now=worker.clock.now,
        )
        for change_id in changes
    ]
    await courier.run(Endpoint.CHANGE, carrying)
    return max(len(due), len(lost)) == A_SWEEP and Taken.CLAIMED in taken.values()


async def look_after_listener(worker: Worker) -> None:
    """See that the other side's hub knows where to call us back, if we want it to."""
    settings = worker.settings
    if not settings.ordering_url:
        return
    courier = await courier_of(worker)
    looking = partial(
        listening.look_after,
        worker.database.begin,
        courier.client,
        settings.ordering_callback_url,
        time_limit=settings.ordering_timeout_seconds,
    )
    await courier.run(Endpoint.LISTEN, [looking])
