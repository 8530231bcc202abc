"""What outages do after a commit and from time to time: reports are looked at, an order that was
worked on for many ends their outage, and what is usual is learned at night."""

from datetime import timedelta
from uuid import UUID

from app.auth import audit
from app.core.jobs import Worker, tell
from app.core.parameter_values import parameters_in_force
from app.outages import queries, rules
from app.outages.queries import reports
from app.outages.service import deciding, learning, watching

# So many reports are taken up in one transaction; after a standstill there are many.
BATCH = 5000
# No window in which reports are looked at together is longer.
LONGEST_WINDOW = timedelta(minutes=rules.WINDOW.most)
# A process may know an outage for some seconds after its end and let it hold an order.
A_WHILE = timedelta(seconds=60)


async def look_out(worker: Worker) -> None:
    """Take up the reports that have come in, and look at each district that has new ones."""
    now = worker.clock.now()
    async with worker.database.read() as read:
        weeks = (await parameters_in_force(read)).number(rules.LEARN_WEEKS, now)
    taken = BATCH
    while taken == BATCH:
        async with worker.database.begin() as tx:
            audit.acting(tx, "outages.look_out")
            taken = await reports.take_up(
                tx, oldest=now - timedelta(weeks=weeks), recent=now - LONGEST_WINDOW, most=BATCH
            )
    async with worker.database.read() as read:
        districts = await reports.districts_to_judge(read)
    for district_path in districts:
        async with worker.database.begin() as tx:
            audit.acting(tx, "outages.look_out")
            await watching.look_at(tx, district_path, now=now)


async def tidy(worker: Worker) -> None:
    """Let proposals lapse that nobody decides on, and see to orders still held by an outage that
    is over: one that came in while it was closed."""
    now = worker.clock.now()
    async with worker.database.begin() as tx:
        audit.acting(tx, "outages.tidy")
        await watching.lapse(tx, now=now)
        for outage_id in await queries.left_held(tx, now - A_WHILE):
            await tell(tx, "outage.closed", outage_id=outage_id)


async def end_with_its_order(worker: Worker, order_id: str) -> None:
    """End the outage for which a completed order was worked on, if it was one."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "outages.end_with_its_order")
        await deciding.end_by_parent(tx, UUID(order_id), now=worker.clock.now())


async def learn(worker: Worker) -> None:
    """Learn what is usual, once a night."""
    now = worker.clock.now()
    async with worker.database.read() as read:
        if await learning.due(read, now) is None:
            return
    async with worker.database.begin() as tx:
        audit.acting(tx, "outages.learn")
        await learning.learn(tx, now)
