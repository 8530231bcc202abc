"""PostgreSQL is killed with SIGKILL and started again: phones are told to come again meanwhile, and
then go on as if nothing had been."""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx
import psycopg
from sqlalchemy import text

from app.core.cluster import Cluster
from app.core.db import new_id, open_database
from tests.conftest import assembled
from tests.make.clusters import kill, with_tables
from tests.make.races import until_waiting
from tests.make.streams import PATIENCE, Listener, served
from tests.make.visits import make_assigned_order, make_phone

# Everything is answered again so many seconds after the database is back.
BACK_WITHIN = 5.0
EVERYTHING = ("pull", "poll", "push", "stream")


@dataclass
class Asking:
    """A phone that asks for everything there is for phones, and the order it takes on."""

    http: httpx.AsyncClient
    headers: dict[str, str]
    acknowledged: dict[str, object]
    since: int = 0
    etag: str = ""

    async def begin(self) -> None:
        """Pull, so that there is something to poll with."""
        pulled = await self.ask("pull")
        self.since, self.etag = pulled.json()["timestamp"], pulled.headers["etag"]

    async def ask(self, what: str) -> httpx.Response:
        """Ask for one thing; of a stream only the beginning is waited for."""
        match what:
            case "pull":
                return await self.http.get("/v1/sync", headers=self.headers)
            case "poll":
                headers = {**self.headers, "if-none-match": self.etag}
                path = f"/v1/sync?last_pulled_at={self.since}"
                return await self.http.get(path, headers=headers)
            case "push":
                actions = {"created": [self.acknowledged], "updated": [], "deleted": []}
                said = {"changes": {"actions": actions}, "last_pulled_at": self.since}
                return await self.http.post("/v1/sync", json=said, headers=self.headers)
            case _:
                headers = {**self.headers, "x-device-id": "phone-2"}
                async with self.http.stream("GET", "/v1/stream", headers=headers) as answer:
                    if answer.is_error:
                        await answer.aread()
                    return answer

    async def is_put_off(self) -> bool:
        """Ask for everything; tell whether anything is refused."""
        return any([(await self.ask(what)).is_error for what in EVERYTHING])


def acknowledging(order, clock):
    return {
        "id": str(new_id()),
        "type": "visits_acknowledge",
        "payload": {"work_order_id": str(order.id)},
        "device_at": clock.now().isoformat(),
    }


async def verdict(asking):
    [one] = (await asking.ask("push")).json()["verdicts"]
    return one["verdict"]


async def test_phones_are_put_off_while_the_database_is_gone_and_served_when_it_is_back(
    settings, clock
):
    with Cluster.throw_away() as cluster:
        url = with_tables(cluster)
        with psycopg.connect(url, autocommit=True) as connection:
            # As in production: what was answered is on the disk.
            connection.execute("ALTER SYSTEM SET synchronous_commit = on")
            connection.execute("SELECT pg_reload_conf()")
        database = open_database(settings.model_copy(update={"database_url": url}))
        app = assembled(settings, clock=clock, database=database)
        async with (
            app.router.lifespan_context(app),
            served(app) as address,
            httpx.AsyncClient(base_url=address, timeout=PATIENCE) as http,
        ):
            async with database.begin() as tx:
                hand = await make_phone(tx, app, http, clock)
                orders = [
                    await make_assigned_order(tx, hand.technician, now=clock.now()) for _ in "12"
                ]
            headers = {**hand.headers, "x-device-id": "phone-1"}
            before, meanwhile = askings = [
                Asking(http, headers, acknowledging(order, clock)) for order in orders
            ]
            for asking in askings:
                await asking.begin()
            assert await verdict(before) == "applied"
            # All connections that a process keeps are open when the database goes.
            async with AsyncExitStack() as lent:
                for _ in range(settings.pool_size):
                    await lent.enter_async_context(database.hot())
            async with http.stream("GET", "/v1/stream", headers=headers) as answer:
                listener = Listener(answer)
                assert (await listener.next()).name == "reset"

                holding = await psycopg.AsyncConnection.connect(url)
                await holding.execute("LOCK TABLE sync_action IN SHARE MODE")
                pushing = asyncio.create_task(meanwhile.ask("push"))
                await until_waiting(database)
                await asyncio.to_thread(kill, cluster)
                await holding.close()
                refused = [await pushing, *[await meanwhile.ask(what) for what in EVERYTHING]]
                for one in refused:
                    assert one.status_code == 503, one.text
                    assert 1 <= int(one.headers["retry-after"]) <= BACK_WITHIN
                    assert one.headers["content-type"] == "application/problem+json"
                await asyncio.to_thread(cluster.start)

                back = time.monotonic()
                while await meanwhile.is_put_off():
                    assert time.monotonic() < back + BACK_WITHIN
                    await asyncio.sleep(0.25)
                # It stays so: no connection of before is left over.
                for what in EVERYTHING:
                    answers = await asyncio.gather(*(before.ask(what) for _ in range(12)))
                    assert not [one for one in answers if one.is_error]
                assert await verdict(before) == await verdict(meanwhile) == "duplicate"
                async with database.begin() as tx:
                    made = await make_assigned_order(tx, hand.technician, now=clock.now())
                told = await listener.next()
                while str(made.id) not in told.data.get("ids", {}).get("work_orders", ()):
                    told = await listener.next()
            async with database.read() as read:
                steps = await read.scalars(
                    text("SELECT work_order_id FROM work_order_event WHERE step = 'acknowledge'")
                )
                assert set(steps) == {one.id for one in orders}
            app.state.news.stop()
        await database.close()
