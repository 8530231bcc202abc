"""Real processes killed with SIGKILL in mid-work: what the phones sold is what was ordered.

API, worker and simulator run as in production, each in a process of its own on one database.
Phones sell and retry with the same ids until they are answered; meanwhile a seeded hand kills one
process after the other, and cuts every connection of the database, and starts them again.
"""

import asyncio
import os
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError

from app.auth import tokens
from app.auth.keys import KeyRing
from app.core.clock import wall
from app.core.db import Database, open_database
from app.core.errors import Unavailable
from app.core.settings import Settings
from app.demo.processes import House, Misbehaviour, house
from app.ordering.delivery import SyncState
from app.ordering.models import OrderSync
from app.sales.models import Sale, SaleItem
from app.sales.rules import SaleState
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.sales import Door, consent_body, make_door, make_door_beside, sale_body
from tests.ordering.delivering import set_numbers
from tests.ordering.faulting import STUCK_SECONDS

SEEDS = int(os.environ.get("YINGWEI_FAULT_SEEDS", "0"))
PHONES = 4
# More than a phone sells until all is over.
VISITS = 1000
VICTIMS = ["worker", "worker", "worker", "api", "ordering", "ordering", "database"]

DIALS = """{"seed": %d, "seconds_to_start": 0.2, "seconds_to_complete": 0.6, "delay_seconds": 0.05,
            "error_after": 0.05, "cut_after": 0.05, "cut_midway": 0.05, "too_many": 0.05,
            "callback_lost": 0.2, "callback_duplicate": 0.2}"""

# The waits of exactly-once, as short as slow machines allow: an exchange may take a second, and
# what was sent has settled two seconds later.
TIME_LIMIT = "1"
NUMBERS = {
    "ordering.first_delay_seconds": 0.1,
    "ordering.longest_delay_seconds": 0.5,
    "ordering.settle_seconds": 2,
    "ordering.longest_retry_after_seconds": 1,
    "ordering.tries_unknown": 60,
    "ordering.poll_soonest_seconds": 0.5,
    "ordering.poll_latest_seconds": 1,
}
# The worker of production with a quicker pace of looking after the jobs of the dead.
WORKER = """
import asyncio
from app.core.settings import Settings
from app.worker import Pace, work
asyncio.run(work(Settings(), pace=Pace(heartbeat=0.5, dead_after=3, look_every=1)))
"""


@dataclass
class Phone:
    """A technician's phone: it sends a request until it is answered, always with the same ids."""

    http: httpx.AsyncClient
    headers: dict[str, str]
    door: Door
    dice: random.Random
    # Of a customer each: nobody is sold a thing twice.
    visit_ids: list[str]
    confirmed: set[str] = field(default_factory=set)
    never_confirmed: set[str] = field(default_factory=set)
    retries: int = 0

    async def answered(self, path: str, body: dict[str, object] | None = None) -> httpx.Response:
        """Post until the answer is neither lost nor a failure of the server's."""
        while True:
            try:
                answer = await self.http.post(path, json=body, headers=self.headers)
                if answer.status_code < 500:
                    return answer
            except httpx.TransportError:
                pass
            self.retries += 1
            await asyncio.sleep(self.dice.uniform(0.05, 0.3))

    async def sell_until(self, done: asyncio.Event) -> None:
        """Sell one thing after the other."""
        while not done.is_set():
            await self.sell()

    async def sell(self) -> None:
        """Put a sale together and, three times of four, confirm it; else cancel it or let it be."""
        note = f"sold by {self.door.technician.code}"
        body = sale_body(self.door, visit_id=self.visit_ids.pop(), note=note)
        sale_id = body["id"]
        answer = await self.answered("/v1/sales", body)
        assert answer.status_code == 201, answer.text
        await asyncio.sleep(self.dice.uniform(0, 0.5))
        if self.dice.random() < 0.75:
            consent = consent_body(wall(), answer.json()["shown_sha256"])
            answer = await self.answered(f"/v1/sales/{sale_id}/confirm", consent)
            assert answer.status_code == 200, answer.text
            self.confirmed.add(sale_id)
            return
        self.never_confirmed.add(sale_id)
        if self.dice.random() < 0.5:
            answer = await self.answered(f"/v1/sales/{sale_id}/cancel")
            assert answer.status_code == 200, answer.text


async def arranged(database: Database, seed: int, folder: Path, http: httpx.AsyncClient):
    """Add a branch with a catalogue, technicians at doors, and the operator's numbers."""
    settings = Settings(signing_keys=folder / "keys")
    keys = KeyRing.load(settings.signing_keys)
    phones = []
    async with database.begin() as tx:
        branch = await make_org_unit(tx)
        await make_offering(tx)
        await set_numbers(tx, NUMBERS)
        for number in range(PHONES):
            door = await make_door(tx, now=wall(), branch=branch)
            token = tokens.issue(keys, settings, door.seller, wall())
            headers = {"authorization": f"Bearer {token}"}
            beside = [await make_door_beside(tx, door, now=wall()) for _ in range(VISITS)]
            visit_ids = [str(one.visit.id) for one in beside]
            dice = random.Random(f"{seed}/{number}")
            phones.append(Phone(http, headers, door, dice, visit_ids))
    return phones


async def kill_them_all(at: House, url: str, dice: random.Random) -> None:
    """Kill each victim in turn, at moments nobody knows beforehand, and start it again."""
    victims = VICTIMS.copy()
    dice.shuffle(victims)
    for victim in victims:
        await asyncio.sleep(dice.uniform(0.2, 1.2))
        if victim == "database":
            await cut_all_connections(url)
            continue
        process = getattr(at, victim)
        await asyncio.to_thread(process.kill)
        await asyncio.sleep(dice.uniform(0, 0.5))
        await asyncio.to_thread(at.start, process)


async def cut_all_connections(url: str) -> None:
    """Cut every connection to the database, as a restart of PostgreSQL does."""
    cutting = open_database(Settings(database_url=url))
    async with cutting.begin() as tx:
        await tx.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await cutting.close()


async def ended(database: Database, sales: int) -> None:
    """Return when so many deliveries are finished; says what is left when nothing moves."""
    most, give_up = -1, 0.0
    while True:
        try:
            async with database.read() as read:
                states = Counter(await read.scalars(select(OrderSync.state)))
        except (Unavailable, DBAPIError):  # our own connection was cut, too
            states = Counter()
        if states == {SyncState.FINISHED: sales}:
            return
        now = asyncio.get_running_loop().time()
        if states[SyncState.FINISHED] > most:
            most, give_up = states[SyncState.FINISHED], now + STUCK_SECONDS
        assert now < give_up, f"of {sales} there are {states}"
        await asyncio.sleep(0.2)


async def no_job_left(database: Database) -> None:
    """Return when no job waits or lies with a worker that is dead."""
    give_up = asyncio.get_running_loop().time() + STUCK_SECONDS
    left = text("SELECT status::text, count(*) FROM procrastinate_jobs GROUP BY status")
    while True:
        async with database.read() as read:
            rows = (await read.execute(left)).all()
        if not rows:
            return
        assert asyncio.get_running_loop().time() < give_up, rows
        await asyncio.sleep(0.2)


@pytest.mark.skipif(not SEEDS, reason="whole processes are killed by `make test-faults` alone")
@pytest.mark.parametrize("seed", range(1, max(SEEDS, 1) + 1))
async def test_every_confirmed_sale_is_ordered_once_whoever_is_killed(databases, tmp_path, seed):
    with databases.clone() as url:
        database = open_database(Settings(database_url=url))
        async with AsyncExitStack() as ends, httpx.AsyncClient(timeout=3) as http:
            ends.push_async_callback(database.close)
            phones = await arranged(database, seed, tmp_path, http)
            with house(
                database_url=url, clock="", folder=tmp_path, dials=Misbehaviour(DIALS % seed)
            ) as at:
                http.base_url = httpx.URL(at.api_url)
                at.worker.command = [sys.executable, "-c", WORKER]
                at.worker.environment = {
                    **at.worker.environment,
                    "YINGWEI_ORDERING_TIMEOUT_SECONDS": TIME_LIMIT,
                }
                await asyncio.to_thread(at.worker.kill)
                await asyncio.to_thread(at.start, at.worker)
                done = asyncio.Event()
                selling = asyncio.gather(*(phone.sell_until(done) for phone in phones * 2))
                await kill_them_all(at, url, random.Random(seed))
                done.set()
                await selling
                confirmed = set[str]().union(*(phone.confirmed for phone in phones))
                await ended(database, len(confirmed))
                await no_job_left(database)
                answer = await http.get(f"{at.ordering_url}/_simulator/orders")
                counts = (await http.get(f"{at.ordering_url}/_simulator/counts")).json()
            await check(database, phones, confirmed, answer.json())
            assert counts["doubled_external_ids"] == 0
            # The killing was felt.
            assert sum(phone.retries for phone in phones) > 0


async def check(database, phones, confirmed, simulator) -> None:
    """Compare what the phones were told, what we hold and what the other side holds."""
    orders = Counter(order["externalId"] for order in simulator["orders"])
    assert orders == Counter(confirmed)
    assert simulator["without_order"] == []
    assert {order["state"] for order in simulator["orders"]} == {"completed"}
    async with database.read() as read:
        sales = (await read.execute(select(Sale.id, Sale.state))).all()
        items = (
            await read.execute(select(SaleItem.sale_id, func.count()).group_by(SaleItem.sale_id))
        ).all()
        items = set(await read.scalars(select(func.count(SaleItem.id)).group_by(SaleItem.sale_id)))
        syncs = (await read.scalars(select(OrderSync))).all()
    completed = {str(sale_id) for sale_id, state in sales if state is SaleState.COMPLETED}
    others = {str(sale_id) for sale_id, state in sales if state is not SaleState.COMPLETED}
    assert completed == confirmed
    assert others == set[str]().union(*(phone.never_confirmed for phone in phones))
    assert items == {1}
    assert {order["externalId"]: order["id"] for order in simulator["orders"]} == {
        str(sync.sale_id): sync.remote_id for sync in syncs
    }
    assert [sync.doubles for sync in syncs if sync.doubles] == []
    # Attempts were cut off in the middle, and others took over.
    assert max(sync.attempts for sync in syncs) > 1
