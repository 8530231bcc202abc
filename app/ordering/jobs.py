"""What the worker does for deliveries: at once after a confirmation, and again when it is due."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker, tell
from app.core.log import log
from app.ordering import alerting, queries, service
from app.ordering.callbacks import listening
from app.ordering.courier import Taken
from app.ordering.courier.reaching import courier_of as courier_of
from app.ordering.delivery import Endpoint, SyncState
from app.ordering.rules import Cause, OrderingFailed

A_SWEEP = 500
# While another change of an order is under way, the next one waits.
AGAIN = timedelta(minutes=1)


async def send_sale(worker: Worker, *, sale_id: str) -> None:
    """Deliver a sale that was just confirmed; what fails is taken up by `send_due`."""
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


async def install_called_off(worker: Worker, *, sale_id: str) -> None:
    """Let the other side know that a sale is not installed by whoever sold it after all."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "ordering.install_called_off")
        done = await service.tell_of_no_install(tx, UUID(sale_id), now=worker.clock.now())
        if not done:
            await tell(tx, "install.called_off", delay=AGAIN, sale_id=sale_id)


async def sale_reversed(worker: Worker, *, sale_id: str) -> None:
    """Ask the other side to cancel an order that is still under way and was returned."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "ordering.sale_reversed")
        done = await service.tell_of_returned_sale(tx, UUID(sale_id), now=worker.clock.now())
        if not done:
            await tell(tx, "sale.reversed", delay=AGAIN, sale_id=sale_id)


async def item_reversed(worker: Worker, *, sale_id: str, item_id: str) -> None:
    """Ask the other side to take an item out of an order that is still under way."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "ordering.item_reversed")
        now = worker.clock.now()
        if not await service.tell_of_returned_item(tx, UUID(sale_id), UUID(item_id), now=now):
            await tell(tx, "sale.item_reversed", delay=AGAIN, sale_id=sale_id, item_id=item_id)


async def appointment_moved(worker: Worker, *, work_order_id: str) -> None:
    """Let the other side know that the appointment is another for which a sale's order was sent."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "ordering.appointment_moved")
        now = worker.clock.now()
        if not await service.tell_of_moved_appointment(tx, UUID(work_order_id), now=now):
            await tell(tx, "appointment.moved", delay=AGAIN, work_order_id=work_order_id)


async def send_due(worker: Worker) -> None:
    """Send again what is due: tries again, attempts whose worker died, sales whose job was lost."""
    while worker.settings.ordering_url and await _send_some(worker):
        pass


async def _send_some(worker: Worker) -> bool:
    """Send so much of what is due; tells whether it got on and there may be more."""
    courier = await courier_of(worker)
    async with worker.database.read() as session:
        waiting = await queries.due(session, SyncState.WAITING, A_SWEEP)
        untold = await queries.due(session, SyncState.SENDING, A_SWEEP)
        before = worker.clock.now() - timedelta(minutes=1)
        lost = await queries.forgotten(session, before, A_SWEEP)
    taken = await courier.take_waiting([*waiting, *lost])
    one_by_one = [*untold, *(id_ for id_, how in taken.items() if how is Taken.NOT_PLAIN)]
    await courier.run(Endpoint.PLACE, [await _delivering(worker, each) for each in one_by_one])
    full = max(len(waiting), len(lost)) == A_SWEEP
    return full and Taken.CLAIMED in taken.values()


async def ask_due(worker: Worker) -> None:
    """Ask for orders that were taken and that nobody has called back about. In a round of its own:
    a side that answers slowly must not keep those waiting that are to be sent again."""
    if not worker.settings.ordering_url:
        return
    async with worker.database.read() as session:
        due = await queries.due(session, SyncState.DELIVERED, A_SWEEP)
    no_turn = False

    async def ask(deliver: Callable[[], Awaitable[object]]) -> object:
        nonlocal no_turn
        # Where one finds no turn, the others stay due as they are, or all of them would be claimed
        # and put off every few seconds.
        if no_turn:
            return None
        told = await deliver()
        if isinstance(told, OrderingFailed) and told.cause is Cause.TOO_LATE:
            no_turn = True
        return told

    asking = [partial(ask, await _delivering(worker, each)) for each in due]
    await (await courier_of(worker)).run(Endpoint.ASK, asking)


async def change_due(worker: Worker) -> None:
    """Tell the other side of changes of orders, and ask what became of those it was told of."""
    if not worker.settings.ordering_url:
        return
    courier = await courier_of(worker)
    async with worker.database.read() as session:
        changes = await queries.due_changes(session, A_SWEEP)
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


async def alert(worker: Worker) -> None:
    """Alert supervisors whose deliveries take too long, or wait for them."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "ordering.alert")
        await alerting.look(tx, worker.clock.now())


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
