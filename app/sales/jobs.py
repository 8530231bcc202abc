"""What the worker does for sales: what is live, what customers reply, what nobody brings in, what
never comes, and what is not to be installed any more."""

from datetime import datetime
from uuid import UUID

from app.auth import audit
from app.core.colliding import repeated
from app.core.jobs import Worker, for_each
from app.core.log import log
from app.sales import queries, service
from app.sales.service import alerting, funnel

AT_ONCE = 4
A_SWEEP = 200


async def install_activated(worker: Worker, *, sale_id: str, work_order_id: str, at: str) -> None:
    """Enter into a sale's ledger that what was installed is live."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "sales.install_activated")
        # Under the sale's lock, so that of two who are told one enters it.
        await queries.for_change(tx, UUID(sale_id))
        await service.activated(tx, UUID(work_order_id), at=datetime.fromisoformat(at))


async def replied(worker: Worker, *, reply_id: str) -> None:
    """Let what a customer wrote back answer what they were asked, if they were."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "sales.replied")
        await service.take_reply(tx, UUID(reply_id), now=worker.clock.now())


async def confirm_agreed(worker: Worker) -> None:
    """Confirm drafts whose customers have agreed by message while no phone has said so, and leave
    to a person what cannot be confirmed."""
    now = worker.clock.now()
    async with worker.database.read() as session:
        waiting = await service.waiting_long(session, now=now, limit=A_SWEEP)
    of_sale = {one.sale_id: one for one in waiting}

    async def confirm(sale_id: UUID) -> None:
        async with worker.database.begin() as tx:
            audit.acting(tx, "sales.confirm_agreed")
            await service.confirm_agreed(tx, of_sale[sale_id], now=now)

    # It takes the order of the visit under the sale, and a phone's push takes them the other way.
    await for_each(of_sale, lambda sale_id: repeated(lambda: confirm(sale_id)), at_once=AT_ONCE)


async def look_after_consent(worker: Worker) -> None:
    """Cancel sales that nobody confirmed a second time, and flag signatures without a picture."""
    now = worker.clock.now()
    async with worker.database.read() as session:
        over = await queries.seconds_over(session, now, A_SWEEP)

    async def lapse(sale_id: UUID) -> None:
        async with worker.database.begin() as tx:
            audit.acting(tx, "sales.look_after_consent")
            await service.lapse(tx, sale_id, now=now)

    # The code that a sale gives back is its customer's, whom a phone's push may hold already.
    await for_each(over, lambda sale_id: repeated(lambda: lapse(sale_id)), at_once=AT_ONCE)
    async with worker.database.begin() as tx:
        audit.acting(tx, "sales.look_after_consent")
        flagged = await queries.settle_signatures(tx, now)
    for sale_id in flagged:
        log.warning("a signature's picture has not come", sale=str(sale_id))


async def call_off_installs(worker: Worker) -> None:
    """Call off the installs of sales that have ended, whatever has ended them, and of those of
    which nothing is left to be installed."""
    async with worker.database.read() as session:
        ended = await queries.installs_to_call_off(session, A_SWEEP)

    async def call_off(sale_id: UUID) -> None:
        async with worker.database.begin() as tx:
            audit.acting(tx, "sales.call_off_installs")
            await service.call_off_install(tx, sale_id, ended[sale_id], now=worker.clock.now())

    await for_each(ended, call_off, at_once=AT_ONCE)


async def alert(worker: Worker) -> None:
    """Alert supervisors of installs that somebody is at though their sales have ended, and of sales
    that were agreed to and are not confirmed."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "sales.alert")
        await alerting.look(tx, worker.clock.now())


async def give_slots_back(worker: Worker) -> None:
    """Give slots free that are kept for the installs of sales that came to nothing."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "sales.give_slots_back")
        await service.give_slots_back(tx, now=worker.clock.now(), limit=A_SWEEP)


async def add_up(worker: Worker) -> None:
    """Add up once a night what became of the visits of the days before."""
    await funnel.add_up(worker.database, now=worker.clock.now())
