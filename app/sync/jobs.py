"""What phones are told of beside their pulls, and, from time to time: what has left phones as time
passed is written down, and old lines go."""

from app.auth import audit
from app.core.jobs import Worker
from app.devices.queries import mark_news
from app.sync.queries import feed
from app.sync.service import turning


async def wake_phones(worker: Worker) -> None:
    """Have the phones woken of those whom an order came to, or went from, or to whom a colleague
    gives a terminal, and who do not listen."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "sync.wake_phones")
        await mark_news(tx, await feed.came_or_went(tx))


# So many customers are told of in a transaction: a technician's step that changes one of their
# lines waits for no longer than that takes.
LOADED_AT_ONCE = 200


async def customers_loaded(worker: Worker, *, since: int, loaded_by: int) -> None:
    """Have phones look again at customers that were loaded, a few at a time, and at those they
    began to show meanwhile. Whoever is stopped half-way leaves the rest to whoever comes next."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "sync.customers_loaded")
        await feed.touch_customers(tx, since, besides=loaded_by)
    told = LOADED_AT_ONCE
    while told == LOADED_AT_ONCE:
        async with worker.database.begin() as tx:
            audit.acting(tx, "sync.customers_loaded")
            told = await feed.tell_of_loaded(tx, LOADED_AT_ONCE)


async def turn(worker: Worker) -> None:
    """Write down what has left phones by the passing of time, and then tell them whose their offers
    are now, a unit at a time. Whoever is stopped half-way leaves the rest to whoever comes next."""
    async with worker.database.begin() as tx:
        audit.acting(tx, "sync.turn")
        await turning.turn(tx, worker.clock.now())
    told = True
    while told:
        async with worker.database.begin() as tx:
            audit.acting(tx, "sync.turn")
            told = await turning.tell_of_offers(tx, worker.clock.now())


async def forget(worker: Worker) -> None:
    """Forget changes that are older than any cursor that is understood, a round at a time."""
    done = turning.ROUND
    while done == turning.ROUND:
        async with worker.database.begin() as tx:
            audit.acting(tx, "sync.forget")
            done = await turning.forget(tx, worker.clock.now())
