"""Deliveries: confirmed sales handed to the ordering system, as many a second as can be.

API and worker run as in production, each a process of its own; the other side is a fast stand-in
(`ordering_side.py`), and once more the product's simulator. Two cores carry all of it.

What is measured is the way from a committed confirmation to the sale that the ledger calls
completed: claim, look where it is due, POST, what it answered, three callbacks, and whatever the
worker and the tables do besides in that time. Not in it is what a phone asks to confirm a sale
(`sale` measures that): sales are written by SQL together with their jobs, as confirming leaves
them, over one connection whose processor time is told apart, with that of looking how far they are.
"""

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from statistics import quantiles
from typing import Any
from uuid import UUID

import httpx
import orjson
import psycopg

from app.core.clock import CompressedClock, wall
from app.core.db import new_id, open_database
from app.core.settings import Settings
from app.demo.processes import Process, free_port
from app.ordering import queries
from app.ordering.client.codec import CODECS, Version
from app.ordering.order import OrderToPlace
from app.ordering.simulator import BASE_PATH, Dials
from benchmarks import history, machine
from benchmarks import ordering_by_hand as by_hand
from benchmarks.history import Province
from benchmarks.ordering_side import PATH
from benchmarks.report import Figure, milliseconds, shown, table
from benchmarks.sale import catalogue
from benchmarks.stand import READY_SECONDS, Stand, settle

DATABASE = "ordering"
PATIENCE_SECONDS = 1_800.0
TECHNICIANS = 400
MARK_SALES = 200.0
# New sales beside a backlog are to be there within seconds.
MARK_LAG_SECONDS = 5.0


@dataclass(frozen=True)
class Plan:
    """How much to measure."""

    warm: int = 200  # before anything is measured
    sales: int = 3_000  # as fast as they go
    portion: int = 200  # so many are confirmed at once, whenever few wait
    steady: int = 1_000  # at a steady pace
    steady_a_second: float = 50.0
    backlog: int = 50_000  # have waited for an hour
    beside_a_second: float = 20.0  # confirmed meanwhile
    beside_seconds: float = 900.0  # the longest that this is watched
    by_hand: int = 1_000
    simulated: int = 600


FULL = Plan()
QUICK = Plan(
    warm=50,
    sales=200,
    portion=50,
    steady=40,
    backlog=200,
    beside_seconds=10.0,
    by_hand=100,
    simulated=60,
)


@dataclass(frozen=True)
class Spent:
    """Processor time so far, in seconds."""

    worker: float
    api: float
    side: float
    postgres: float  # but for what confirming and counting take
    confirming: float

    def since(self, before: "Spent") -> list[float]:
        """Processor time since another moment, in the order of the fields."""
        return [
            self.worker - before.worker,
            self.api - before.api,
            self.side - before.side,
            self.postgres - before.postgres,
            self.confirming - before.confirming,
        ]


@dataclass
class Running:
    """What runs on one database, and how sales come into it."""

    stand: Stand
    url: str
    clock: CompressedClock
    worker: Process
    api: Process
    side: Process
    side_url: str
    token: str
    # What sales come in by, and are counted by.
    connection: psycopg.Connection[tuple[Any, ...]]
    folder: Path
    # When the sales began that are counted at present.
    since: datetime

    def begin(self) -> None:
        """Count only the sales that are confirmed from now on."""
        self.since = self.clock.now()

    def spent(self) -> Spent:
        """Processor time of each so far."""
        confirming = machine.cpu_seconds(self.connection.info.backend_pid)
        postgres = self.stand.postgres_cpu() - confirming
        return Spent(_cpu(self.worker), _cpu(self.api), _cpu(self.side), postgres, confirming)

    def confirm(self, count: int) -> None:
        """Let so many sales be confirmed now, each with its job."""
        with self.connection.transaction():
            ids = [new_id() for _ in range(count)]
            self.connection.execute(_SALES, {"ids": ids, "at": self.clock.now()})
            self.connection.execute(_JOBS, {"ids": ids})

    def let_wait(self, count: int) -> None:
        """Let so many deliveries wait that came when the other side was away for an hour."""
        hour_ago = self.clock.now() - timedelta(hours=1)
        for first in range(0, count, 10_000):
            ids = [new_id() for _ in range(min(10_000, count - first))]
            with self.connection.transaction():
                self.connection.execute(_SALES, {"ids": ids, "at": hour_ago})
                self.connection.execute(_WAITING, {"ids": ids})
        settle(self.url)

    def left(self, state: str = "completed") -> int:
        """Count the sales that have not come to a state."""
        row = self.connection.execute(_LEFT[state], {"since": self.since}).fetchone()
        assert row is not None
        return int(row[0])

    def lags(self, column: str) -> list[float]:
        """Read how long each sale of this part took, in seconds."""
        found = self.connection.execute(_LAGS[column], {"since": self.since}).fetchall()
        return [float(lag) for (lag,) in found]


_SALES = """
WITH doors AS (
    SELECT v.id AS visit_id, v.work_order_id, v.technician_id, o.customer_id, o.org_unit_id,
           row_number() OVER (ORDER BY v.id) - 1 AS place, count(*) OVER () AS doors
      FROM visit v JOIN work_order o ON o.id = v.work_order_id
     WHERE v.ended_at IS NULL AND o.state = 'on_site'
), made AS (
    INSERT INTO sale (id, org_unit_id, visit_id, work_order_id, customer_id, technician_id, state,
                      content_hash, made_at, consent_kind, consent_evidence, consent_hash,
                      confirmed_at)
    SELECT s.id, d.org_unit_id, d.visit_id, d.work_order_id, d.customer_id, d.technician_id,
           'confirmed', md5(s.id::text), %(at)s, 'signature', '{"stroke_count": 14}',
           md5(s.id::text), %(at)s
      FROM unnest(%(ids)s::uuid[]) WITH ORDINALITY AS s (id, n)
      JOIN doors d ON d.place = s.n %% d.doors
    RETURNING id
)
INSERT INTO sale_item (id, sale_id, offering_id, offering_code, quantity, monthly_price_fen,
                       one_off_price_fen, commission_fen)
SELECT gen_random_uuid(), made.id, p.id, p.code, 1, p.monthly_price_fen, 0, 0
  FROM made, (SELECT * FROM product_offering ORDER BY code DESC LIMIT 1) p
"""
_JOBS = """
INSERT INTO procrastinate_jobs (queue_name, task_name, args)
SELECT 'default', 'sale.confirmed', jsonb_build_object('sale_id', id)
  FROM unnest(%(ids)s::uuid[]) AS s (id)
"""
_WAITING = """
INSERT INTO order_sync (id, sale_id, org_unit_id, state, attempts, tries_not_sent, next_try_at,
                        last_tried_at)
SELECT gen_random_uuid(), s.id, s.org_unit_id, 'waiting', 1, 1, now(), now() - interval '1 hour'
  FROM sale s WHERE s.id = ANY(%(ids)s::uuid[])
"""
_LEFT = {
    "acknowledged": "SELECT count(*) FROM sale WHERE state = 'confirmed'"
    " AND confirmed_at >= %(since)s",
    "completed": "SELECT count(*) FROM sale WHERE state <> 'completed'"
    " AND confirmed_at >= %(since)s",
    "waiting": "SELECT count(*) FROM order_sync WHERE state = 'waiting' AND %(since)s IS NOT NULL",
}
_LAGS = {
    "acknowledged": "SELECT extract(epoch FROM acknowledged_at - confirmed_at) FROM sale"
    " WHERE confirmed_at >= %(since)s",
    "completed": "SELECT extract(epoch FROM completed_at - confirmed_at) FROM sale"
    " WHERE confirmed_at >= %(since)s",
}
# How often the sales are counted.
_LOOK_EVERY = 0.1

Told = Callable[[int], None]


async def measure(stand: Stand, plan: Plan) -> list[Figure]:
    """Measure and print; returns the figures that have marks."""
    rows: list[list[str]] = []
    with stand.progress() as progress:

        def bar(what: str, total: int) -> Told:
            number = progress.add_task(what, total=total)
            return lambda done: progress.update(number, completed=done)

        async with _running(stand, simulator=False) as running:
            told = bar("by hand", 2 * plan.by_hand)
            bare, bare_cpu = await _by_hand(running, plan.by_hand, callbacks=False)
            told(plan.by_hand)
            hand, hand_cpu = await _by_hand(running, plan.by_hand, callbacks=True)
            told(2 * plan.by_hand)
            rows.append(_row("by hand, without callbacks", plan.by_hand, bare, bare_cpu))
            rows.append(_row("by hand, with callbacks", plan.by_hand, hand, hand_cpu))
            await _as_fast_as_they_go(running, plan.warm, plan.portion, bar("first", plan.warm))
            # Statements that were planned while the tables were empty are planned anew, as they are
            # everywhere within a minute of the first sales (autovacuum).
            await asyncio.to_thread(settle, running.url)
            told = bar("as fast as they go", plan.sales)
            speed, spent = await _as_fast_as_they_go(running, plan.sales, plan.portion, told)
            rows.append(_row("the product, fast stand-in", plan.sales, speed, spent))
            steady = await _steady(running, plan, bar("at a steady pace", plan.steady))
            told = bar("beside a backlog", plan.backlog)
            beside, drained, drained_in = await _beside_a_backlog(running, plan, told)
            running.worker.stop()
            _each_once(running, "/counts")
        async with _running(stand, simulator=True) as running:
            told = bar("with the simulator", plan.simulated)
            slow, slow_spent = await _as_fast_as_they_go(
                running, plan.simulated, plan.portion, told
            )
            rows.append(_row("the product, its simulator", plan.simulated, slow, slow_spent))
            running.worker.stop()
            _each_once(running, "/_simulator/counts")
    table(
        stand.console,
        "Confirmed to completed, three callbacks each: CPU ms a sale",
        ["", "sales/s", "worker", "API", "other side", "PG", "all", "CPU allows, sales/s"],
        rows,
    )
    table(
        stand.console,
        f"Lag from confirmation, ms; {shown(plan.steady_a_second)} sales a second, then "
        f"{shown(plan.beside_a_second)} beside {plan.backlog:,} that have waited for an hour",
        ["", "p50", "p95", "p99", "worst"],
        [
            [name, *(milliseconds(value) for value in _spread(lags))]
            for name, lags in (
                ("acknowledged", steady["acknowledged"]),
                ("completed", steady["completed"]),
                ("acknowledged, beside the backlog", beside),
            )
        ],
    )
    ours, by_itself = sum(spent[:4]) / plan.sales, sum(hand_cpu[:4]) / plan.by_hand
    stand.console.print(
        f"Of the backlog {drained:,} of {plan.backlog:,} were drained within "
        f"{shown(drained_in)} s, {shown(drained / drained_in)} a second, each looked for before it "
        f"was sent. With all that exactly once takes a sale costs {milliseconds(ours)} ms of CPU, "
        f"{shown(ours / by_itself)} times what it costs by hand ({milliseconds(by_itself)} ms). "
        f"Confirming by SQL and counting took {milliseconds(spent[4] / plan.sales)} ms a sale and "
        "is not in it.",
        highlight=False,
    )
    return [
        Figure("sales a second, end to end", speed, "/s", at_least=MARK_SALES),
        Figure(
            "sales a second that the CPU allows",
            _allowed(plan.sales, spent),
            "/s",
            at_least=MARK_SALES,
        ),
        Figure(
            "new sales beside a backlog, p95", _spread(beside)[1], "s", at_most=MARK_LAG_SECONDS
        ),
    ]


def _row(name: str, sales: int, speed: float, spent: list[float]) -> list[str]:
    each = [milliseconds(one / sales) for one in (*spent[:4], sum(spent[:4]))]
    return [name, shown(speed), *each, shown(_allowed(sales, spent))]


def _allowed(sales: int, spent: list[float]) -> float:
    """Say what the processor time would allow on a machine with two cores and nothing else to do:
    worker, API and the other side have one thread each."""
    return sales / max(*spent[:3], sum(spent[:4]) / 2)


def _spread(lags: list[float]) -> list[float]:
    cuts = quantiles(lags, n=100, method="inclusive")
    return [cuts[49], cuts[94], cuts[98], max(lags)]


# --- what is measured -----------------------------------------------------------------------------


async def _as_fast_as_they_go(
    running: Running, count: int, portion: int, told: Told
) -> tuple[float, list[float]]:
    """Confirm sales whenever few wait; returns how many a second were completed, and what each
    process spent."""
    running.begin()
    before, began, confirmed = running.spent(), time.perf_counter(), 0
    while confirmed < count:
        if await asyncio.to_thread(running.left, "acknowledged") < portion:
            more = min(portion, count - confirmed)
            await asyncio.to_thread(running.confirm, more)
            confirmed += more
            told(confirmed)
        await asyncio.sleep(_LOOK_EVERY)
    await _until(running, "completed")
    return count / (time.perf_counter() - began), running.spent().since(before)


async def _steady(running: Running, plan: Plan, told: Told) -> dict[str, list[float]]:
    running.begin()

    async def go_on(done: int) -> bool:
        told(done)
        return done < plan.steady

    await _at_a_pace(running, plan.steady_a_second, go_on)
    await _until(running, "completed")
    return {name: running.lags(name) for name in _LAGS}


async def _beside_a_backlog(
    running: Running, plan: Plan, told: Told
) -> tuple[list[float], int, float]:
    """Let new sales come beside many that wait, until those are gone or it has been watched for
    long enough; returns the lags of the new ones in seconds, and how many of the backlog were
    drained in how many seconds."""
    await asyncio.to_thread(running.let_wait, plan.backlog)
    running.begin()
    began = time.perf_counter()
    drained, drained_in = 0, 0.0

    async def go_on(done: int) -> bool:
        nonlocal drained, drained_in
        left = await asyncio.to_thread(running.left, "waiting")
        drained, drained_in = plan.backlog - left, time.perf_counter() - began
        told(drained)
        return left > 0 and drained_in < plan.beside_seconds

    await _at_a_pace(running, plan.beside_a_second, go_on)
    await _until(running, "acknowledged")
    return running.lags("acknowledged"), drained, drained_in


async def _at_a_pace(
    running: Running, a_second: float, go_on: Callable[[int], Awaitable[bool]]
) -> None:
    """Confirm so many sales a second, a few at a time, for as long as told."""
    began, done = time.perf_counter(), 0
    while await go_on(done):
        wanted = int((time.perf_counter() - began) * a_second)
        if wanted > done:
            await asyncio.to_thread(running.confirm, wanted - done)
            done = wanted
        if time.perf_counter() - began > PATIENCE_SECONDS:
            raise AssertionError(f"{running.left()} sales were never completed")
        await asyncio.sleep(_LOOK_EVERY)


async def _until(running: Running, state: str) -> None:
    give_up = time.perf_counter() + PATIENCE_SECONDS
    while left := await asyncio.to_thread(running.left, state):
        if time.perf_counter() > give_up:
            raise AssertionError(f"{left} sales were never {state}")
        await asyncio.sleep(_LOOK_EVERY)


async def _by_hand(running: Running, count: int, *, callbacks: bool) -> tuple[float, list[float]]:
    """Deliver as many sales by hand, to another side of their own; returns how many a second, and
    the processor time of the loop with its server, none, the other side and PostgreSQL."""
    ids = [new_id() for _ in range(count)]
    with running.connection.transaction():
        running.connection.execute(_SALES, {"ids": ids, "at": running.clock.now()})
    database = open_database(Settings(database_url=running.url))
    async with database.read() as read:
        orders = await queries.orders_to_place(read, ids)
    await database.close()
    sales = [
        by_hand.ToSend(UUID(order.external_id), orjson.dumps(CODECS[Version.V4].body_of(order)))
        for order in orders.values()
        if isinstance(order, OrderToPlace)
    ]
    port, own_port = free_port(), free_port()
    called = ("--callback-port", str(own_port), "--callback-token", running.token)
    side = _side(port, running.folder, *(called if callbacks else ()))
    now, server = running.clock.now(), None
    if callbacks:
        server = await by_hand.listening(running.url, own_port, running.token, now)
    side.start()
    try:
        side_url = f"http://127.0.0.1:{port}"
        await asyncio.to_thread(_answers, side, side_url)
        before, side_before = running.spent(), _cpu(side)
        seconds, own = await by_hand.deliver(running.url, side_url, sales, now, server)
        postgres = running.spent().since(before)[3]
        return count / seconds, [own, 0.0, _cpu(side) - side_before, postgres]
    finally:
        side.stop()
        if server is not None:
            server.close()


# --- the stage ------------------------------------------------------------------------------------


@asynccontextmanager
async def _running(stand: Stand, *, simulator: bool) -> AsyncIterator[Running]:
    """Run API, worker and the other side on a database of their own."""
    url = stand.database(DATABASE)
    history.write(url, Province(0, TECHNICIANS, TECHNICIANS), lambda count: None)
    await catalogue(url)
    settle(url)
    folder = stand.folder / ("simulated" if simulator else "fast")
    clock = CompressedClock(history.NOW, wall(), 1.0, timedelta(days=7))
    token, api_port, side_port = secrets.token_hex(24), free_port(), free_port()
    side_url = f"http://127.0.0.1:{side_port}"
    environment = {
        "DATABASE_URL": url,
        "YINGWEI_CLOCK": clock.text(),
        "YINGWEI_SIGNING_KEYS": str(stand.settings.signing_keys),
        "YINGWEI_ORDERING_URL": side_url + (BASE_PATH if simulator else PATH),
        "YINGWEI_ORDERING_CALLBACK_TOKEN": token,
        "YINGWEI_LOG_LEVEL": "WARNING",
    }
    api = _process("api", folder, environment, "app.cli", "serve", "--port", str(api_port))
    worker = _process("worker", folder, environment, "app.cli", "worker")
    dials = Dials(seconds_to_start=0, seconds_to_complete=0)
    if simulator:
        side = _process(
            "simulator",
            folder,
            environment,
            *("app.cli", "simulate-ordering"),
            *("--store", str(folder / "orders.db"), "--port", str(side_port)),
            *("--callback-url", f"http://127.0.0.1:{api_port}/v1/ordering/callbacks"),
            *("--dials", dials.model_dump_json()),
        )
    else:
        called = ("--callback-port", str(api_port), "--callback-token", token)
        side = _side(side_port, folder, *called)
    connection = psycopg.connect(url, autocommit=True)
    running = Running(
        stand, url, clock, worker, api, side, side_url, token, connection, folder, clock.now()
    )
    started: list[Process] = []
    try:
        for each in (api, side, worker):
            started.append(each)
            each.start()
        _answers(api, f"http://127.0.0.1:{api_port}/readyz")
        _answers(side, side_url)
        # One sale goes all the way, so that everybody has connected and prepared what they need.
        running.confirm(1)
        await _until(running, "completed")
        yield running
    finally:
        connection.close()
        for each in reversed(started):
            each.stop()
        stand.drop(DATABASE)


def _side(port: int, folder: Path, *more: str) -> Process:
    name = f"side-{port}"
    return _process(name, folder, {}, "benchmarks.ordering_side", "--port", str(port), *more)


def _process(name: str, folder: Path, environment: dict[str, str], *command: str) -> Process:
    log = folder / "logs" / f"{name}.log"
    return Process(name, [sys.executable, "-m", *command], environment, log)


def _answers(process: Process, url: str) -> None:
    give_up = time.monotonic() + READY_SECONDS
    while True:
        try:
            if httpx.get(url, timeout=2.0).status_code < 500:
                return
        except httpx.HTTPError:
            pass
        if not process.alive() or time.monotonic() > give_up:
            raise RuntimeError(f"{process.name} does not answer:\n{process.tail()}")
        time.sleep(0.05)


def _cpu(process: Process) -> float:
    assert process.running is not None
    return machine.cpu_seconds(process.running.pid)


def _each_once(running: Running, where: str) -> None:
    """Make sure that the other side holds every sale that we say it has, and none twice; what is
    left of a backlog it has not seen."""
    row = running.connection.execute(
        "SELECT count(*) FROM order_sync WHERE remote_id IS NOT NULL"
    ).fetchone()
    counts = httpx.get(f"{running.side_url}{where}").raise_for_status().json()
    assert row is not None
    if counts["external_ids"] != row[0] or counts["doubled_external_ids"]:
        raise AssertionError(f"{row[0]} sales were delivered, and there are {counts}")
