"""The path of a sale: put together and confirmed through the API, delivered by the worker.

API, worker and ordering simulator run as in the demo, each a process; the simulator is faultless
and fast, so that what is measured is ours. Two cores carry all of them and PostgreSQL.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from uuid import UUID

import httpx
import orjson
import psycopg

from app.catalog import service as catalog
from app.catalog.models import ProductOffering
from app.catalog.rules import BusinessType
from app.core.clock import CompressedClock, wall
from app.core.db import new_id, open_database
from app.core.settings import Settings
from app.demo.processes import House, Misbehaviour, Process, house
from app.ordering.simulator import Dials
from app.sales.rules.consent import ShownItem, shown_hash
from benchmarks import history, load, machine
from benchmarks.history import Province
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.stand import Stand, settle

DATABASE = "sale"
OFFERING = "SPEED-1000"
PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class Plan:
    """How much to measure: one sale a technician."""

    sales: int = 1_500
    connections: int = 8


FULL = Plan()
QUICK = Plan(sales=60)


@dataclass(frozen=True)
class Spent:
    """Processor time of each process so far, in seconds."""

    api: float
    worker: float
    simulator: float
    postgres: float

    def since(self, before: "Spent") -> list[float]:
        """Processor time since another moment, in the order of the fields."""
        return [
            self.api - before.api,
            self.worker - before.worker,
            self.simulator - before.simulator,
            self.postgres - before.postgres,
        ]


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure and print; nothing here has a mark yet."""
    url = stand.database(DATABASE)
    # Customers enough that each order is of one of their own: nothing is sold to who has an install
    # that is still open.
    history.write(url, Province(0, plan.sales, 20 * plan.sales), lambda count: None)
    await catalogue(url)
    settle(url)
    clock = CompressedClock(history.NOW, wall(), 1.0, timedelta(days=7))
    dials = Dials(seconds_to_start=0, seconds_to_complete=0.1)
    with house(
        database_url=url,
        clock=clock.text(),
        folder=stand.folder,
        dials=Misbehaviour(ordering=dials.model_dump_json()),
    ) as running:
        port = int(running.api_url.rpartition(":")[2])
        drafts, confirmations = _requests(stand, url, plan, clock)
        with stand.progress() as progress:
            task = progress.add_task("selling", total=4 * plan.sales)
            advance = partial(progress.advance, task)
            ask = partial(load.run, port, connections=plan.connections, patient=True, done=advance)
            begin = _spent(stand, running)
            put = await ask(drafts, expect=(201,))
            drafted = _spent(stand, running)
            began = time.perf_counter()
            confirmed = await ask(confirmations)
            at_the_door = _spent(stand, running)
            sent = await _until(url, "confirmed_at IS NOT NULL AND sent_at IS NULL", plan, advance)
            sent -= began
            ended = await _until(url, "state <> 'completed'", plan, advance) - began
            finished = _spent(stand, running)
        _each_once(running, plan)
    stand.drop(DATABASE)

    def row(name: str, seconds: float, spent: list[float]) -> list[str]:
        each = [milliseconds(one / plan.sales) for one in (*spent, sum(spent))]
        return [name, shown(plan.sales / seconds), *each]

    table(
        stand.console,
        f"{plan.sales:,} sales over {plan.connections} connections: CPU ms a sale",
        ["", "sales/s", "API", "worker", "simulator", "PG", "all"],
        [
            row("put together", put.seconds, drafted.since(begin)),
            row("confirmed", confirmed.seconds, at_the_door.since(drafted)),
            row("at the door (both)", put.seconds + confirmed.seconds, at_the_door.since(begin)),
            row("confirmed to completed", ended, finished.since(drafted)),
        ],
    )
    table(
        stand.console,
        "Sales: times",
        ["", "p50 ms", "p95 ms", "turned away (503)"],
        [
            [
                name,
                milliseconds(one.percentile(0.5)),
                milliseconds(one.percentile(0.95)),
                str(one.turned_away),
            ]
            for name, one in (("put together", put), ("confirmed", confirmed))
        ],
    )
    stand.console.print(
        f"Every sale is in the ordering system once; from the first confirmation the last was "
        f"sent after {sent:.1f} s and completed after {ended:.1f} s.",
        highlight=False,
    )
    return []


async def catalogue(url: str) -> None:
    """Put fifteen offerings into the catalogue of an empty database."""
    database = open_database(Settings(database_url=url))
    async with database.begin() as tx:
        for number in range(15):
            tx.add(
                ProductOffering(
                    code=OFFERING if number == 0 else f"OTHER-{number}",
                    valid_from=date(2025, 1, 1),
                    name_zh="宽带提速至1000M",
                    name_en="Broadband at 1,000 Mbit/s",
                    category="broadband",
                    business_type=BusinessType.SALES,
                    monthly_price_fen=12_900,
                    talk_track_zh="您家的宽带可以提速到千兆。",
                    talk_track_en="Your line can do a gigabit.",
                )
            )
        await tx.flush()
        await catalog.changed(tx)
    await database.close()


def _requests(
    stand: Stand, url: str, plan: Plan, clock: CompressedClock
) -> tuple[list[bytes], list[bytes]]:
    """Prepare one sale for each of some technicians at a door, and the customer's consent to it."""
    with psycopg.connect(url) as connection:
        visits: dict[UUID, tuple[UUID, UUID]] = {
            technician_id: (visit_id, customer_id)
            for technician_id, visit_id, customer_id in connection.execute(
                "SELECT v.technician_id, v.id, o.customer_id FROM visit v JOIN work_order o"
                " ON o.id = v.work_order_id WHERE v.ended_at IS NULL AND o.state = 'on_site'"
            ).fetchall()
        }
        [sold] = connection.execute(
            "SELECT code, 1, monthly_price_fen, one_off_price_fen, contract_months"
            " FROM product_offering WHERE code = %s",
            [OFFERING],
        ).fetchall()
    drafts, confirmations = [], []
    for person in history.people(url, plan.sales):
        sale_id, token = new_id(), history.token(stand, person)
        visit_id, customer_id = visits[person.id]
        draft = {
            "id": sale_id,
            "visit_id": visit_id,
            "items": [{"offering_code": OFFERING, "seen_monthly_price_fen": 12_900}],
            "device_at": clock.now(),
        }
        consent = {
            "kind": "signature",
            "given_at": clock.now(),
            "image_sha256": hashlib.sha256(sale_id.bytes).hexdigest(),
            "stroke_sha256": hashlib.sha256(sale_id.bytes).hexdigest(),
            "shown_sha256": shown_hash(sale_id, customer_id, [ShownItem(*sold)]),
            "stroke_count": 14,
        }
        drafts.append(load.request("POST", "/v1/sales", token=token, body=orjson.dumps(draft)))
        confirmations.append(
            load.request(
                "POST",
                f"/v1/sales/{sale_id}/confirm",
                token=token,
                body=orjson.dumps({"consent": consent}),
            )
        )
    return drafts, confirmations


def _spent(stand: Stand, running: House) -> Spent:
    return Spent(
        _cpu(running.api), _cpu(running.worker), _cpu(running.ordering), stand.postgres_cpu()
    )


def _cpu(process: Process) -> float:
    assert process.running is not None
    return machine.cpu_seconds(process.running.pid)


async def _until(url: str, left: str, plan: Plan, done: Callable[[int], None]) -> float:
    """Wait until no sale fits a condition any more; the moment it was seen."""
    give_up, known = time.perf_counter() + PATIENCE_SECONDS, 0
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        while True:
            found = await connection.execute(f"SELECT count(*) FROM sale WHERE {left}")
            row = await found.fetchone()
            assert row is not None
            through = plan.sales - row[0]
            done(through - known)
            known = through
            if row[0] == 0:
                return time.perf_counter()
            if time.perf_counter() > give_up:
                raise AssertionError(f"{row[0]} sales still {left}")
            await asyncio.sleep(0.1)


def _each_once(running: House, plan: Plan) -> None:
    """Make sure that the ordering system holds every sale, and none twice."""
    counts = httpx.get(f"{running.ordering_url}/_simulator/counts").raise_for_status().json()
    if counts["external_ids"] != plan.sales or counts["doubled_external_ids"]:
        raise AssertionError(f"{plan.sales} sales were made, and there are {counts}")
