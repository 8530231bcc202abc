"""Everything goes wrong at once, by a seed: what we sold is what they hold, each once.

The other side answers late, wrongly, halfway or never, after having taken the order or before; its
callbacks are lost, doubled, late and out of order; it is away for an hour. Meanwhile our worker and
our API are killed with SIGKILL, each time at another await point, and PostgreSQL cuts every
connection. `make test-faults` plays many seeds with many sales and prints a table.
"""

import asyncio
import contextlib
import json
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
import uvicorn
from pydantic import SecretStr

from app.core.clock import SystemClock, wall
from app.core.db import libpq_url, open_database
from app.core.jobs import Worker
from app.core.settings import Settings
from app.main import create_app
from app.ordering import jobs
from tests.make.catalog import make_offering
from tests.make.sales import make_confirmed, make_door
from tests.ordering.conftest import CALLBACK_TOKEN, Simulator, begin_anew, free_port
from tests.ordering.delivering import set_numbers

SEEDS = int(os.environ.get("YINGWEI_FAULT_SEEDS", "1"))
SALES = int(os.environ.get("YINGWEI_FAULT_SALES", "20"))
WHOLE = "YINGWEI_FAULT_SEEDS" in os.environ
# A machine with much else to do is patient; who is stuck stays so.
PATIENCE_SECONDS = 200 + SALES / 2

# As short as slow machines allow: what was sent has surely settled two seconds later.
TIME_LIMIT = 1.0
NUMBERS = {
    "ordering.first_delay_seconds": 0.1,
    "ordering.longest_delay_seconds": 0.5,
    "ordering.settle_seconds": 2,
    "ordering.longest_retry_after_seconds": 0.5,
    "ordering.tries_unknown": 100,
    "ordering.tries_not_sent": 10_000,
    "ordering.poll_soonest_seconds": 0.5,
    "ordering.poll_latest_seconds": 1,
    "ordering.breaker_failures": 10,
    "ordering.breaker_pause_seconds": 0.2,
    "ordering.breaker_longest_pause_seconds": 0.5,
}
DIALS: dict[str, Any] = {
    "delay_seconds": 0.02,
    "error_before": 0.04,
    "error_after": 0.04,
    "hang_after": 0.02,
    "cut_after": 0.04,
    "cut_midway": 0.04,
    "cut_in_head": 0.04,
    "conflict_before": 0.03,
    "conflict_after": 0.03,
    "too_many": 0.04,
    "retry_after_seconds": 0,
    "slow": 0.02,
    "slow_seconds": 1.2,
    "accepted": 0.3,
    "error_on_read": 0.05,
    "seconds_to_start": 0.1,
    "seconds_to_complete": 0.3,
    "held": 0.1,
    "rejected": 0.05,
    "callback_lost": 0.15,
    "callback_duplicate": 0.2,
    "callback_late": 0.1,
    "callback_late_seconds": 1,
    "callback_out_of_order": 0.2,
    "callback_tries": 2,
    "callback_retry_seconds": 0.2,
}
_FORKING = multiprocessing.get_context("fork")


class Doomed(asyncio.SelectorEventLoop):
    """An event loop whose process is killed before its nth turn: between two steps of whatever is
    awaited then. 0 is never."""

    def __init__(self, turns: int) -> None:
        super().__init__()
        self._turns_left = turns

    def _run_once(self) -> None:
        self._turns_left -= 1
        if self._turns_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        super()._run_once()  # type: ignore[misc]


@dataclass
class Stage:
    """Where a seed is played: one database, one simulator, and who works on them."""

    settings: Settings
    url: str
    simulator: Simulator
    port: int

    def worker(self, turns: int, *, until_done: bool = False) -> ForkProcess:
        """Start a worker that is killed after so many turns of its loop."""
        return self._start(lambda: _work(self.settings, until_done=until_done), turns)

    def api(self, turns: int) -> ForkProcess:
        """Start an API, for callbacks, that is killed after so many turns of its loop."""
        return self._start(lambda: _serve(self.settings, self.port), turns)

    def _start(self, what: Callable[[], Any], turns: int) -> ForkProcess:
        process = _FORKING.Process(target=_be, args=(what, turns), daemon=True)
        process.start()
        return process

    @contextlib.contextmanager
    def sql(self) -> Iterator[psycopg.Connection[Any]]:
        """Look at the database, or change it, by hand."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    def sell(self, count: int) -> None:
        """Let so many sales be confirmed, all like the first."""
        with self.sql() as sql:
            sql.execute(_SELL, {"count": count})

    def an_hour_passes(self) -> None:
        """Let everything that waits have waited for an hour longer."""
        with self.sql() as sql:
            for statement in _AN_HOUR:
                sql.execute(statement)

    def cut_connections(self) -> None:
        """Cut every connection, as a restart of PostgreSQL does."""
        with self.sql() as sql:
            sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    def left(self) -> Counter[str]:
        """Count the deliveries that have not ended, by state, and sales that have none."""
        with self.sql() as sql:
            rows = sql.execute(
                "SELECT coalesce(o.state, 'none'), count(*) FROM sale s"
                " LEFT JOIN order_sync o ON o.sale_id = s.id"
                " WHERE o.state IS DISTINCT FROM 'finished' GROUP BY 1"
            ).fetchall()
        return Counter(dict(rows))


_SELL = """
WITH first AS (SELECT * FROM sale ORDER BY id LIMIT 1), made AS (
    INSERT INTO sale SELECT r.* FROM first f, generate_series(1, %(count)s) n,
        LATERAL jsonb_populate_record(NULL::sale, to_jsonb(f) || jsonb_build_object(
            'id', gen_random_uuid(), 'note', format('the %%s.', n), 'state', 'confirmed',
            'sent_at', NULL, 'acknowledged_at', NULL, 'completed_at', NULL,
            'rejected_reason', NULL, 'confirmed_at', now())) r
    RETURNING id)
INSERT INTO sale_item SELECT r.* FROM made, sale_item i, first f,
    LATERAL jsonb_populate_record(NULL::sale_item, to_jsonb(i) || jsonb_build_object(
        'id', gen_random_uuid(), 'sale_id', made.id)) r
 WHERE i.sale_id = f.id
"""
_AN_HOUR = (
    "UPDATE order_sync SET next_try_at = next_try_at - interval '1 hour',"
    " last_tried_at = last_tried_at - interval '1 hour' WHERE state = 'waiting'",
    "UPDATE sale SET confirmed_at = confirmed_at - interval '1 hour' WHERE state = 'confirmed'",
    "UPDATE ordering_endpoint SET open_until = open_until - interval '1 hour'",
)


def _be(what: Callable[[], Any], turns: int) -> None:
    """Be a process of its own, on a loop that may be doomed."""
    begin_anew()
    with asyncio.Runner(loop_factory=lambda: Doomed(turns)) as runner:
        runner.run(what())
    os._exit(0)


async def _work(settings: Settings, *, until_done: bool) -> None:
    """Do what the worker of production does for deliveries: confirmed sales at once, the rest by
    sweeping."""
    database = open_database(settings)
    worker = Worker(settings, SystemClock(), database)
    known: set[UUID] = set()
    while True:
        with contextlib.suppress(Exception):  # the database went away; it comes back
            async with database.hot() as sql:
                found = await (await sql.execute(_NEW)).fetchall()
            fresh = [sale_id for (sale_id,) in found if sale_id not in known]
            known.update(fresh)
            sending = [jobs.send_sale(worker, sale_id=str(sale_id)) for sale_id in fresh]
            await asyncio.gather(*sending, return_exceptions=True)
            await jobs.sweep(worker)
            if until_done:
                await (await jobs.courier_of(worker)).rest()
                await worker.close()
                return
        await asyncio.sleep(0.05)


_NEW = """
SELECT id FROM sale WHERE state = 'confirmed'
   AND NOT EXISTS (SELECT FROM order_sync WHERE sale_id = sale.id) LIMIT 200
"""


async def _serve(settings: Settings, port: int) -> None:
    app = create_app(settings)
    await uvicorn.Server(uvicorn.Config(app, port=port, http="h11", log_config=None)).serve()


@pytest.fixture
def stage(databases: Any, tmp_path: Path) -> Iterator[Stage]:
    """A database with one sale that was never confirmed twice, and a simulator that calls back."""
    with databases.clone() as url:
        port = free_port()
        simulator = Simulator(tmp_path / "orders.db")
        settings = Settings(
            database_url=url,
            signing_keys=tmp_path / "keys",
            log_level="CRITICAL",
            ordering_url=simulator.base_url,
            ordering_callback_token=SecretStr(CALLBACK_TOKEN),
            ordering_timeout_seconds=TIME_LIMIT,
        )
        asyncio.run(_arrange(settings))
        callback = f"http://127.0.0.1:{port}/v1/ordering/callbacks"
        simulator.start({"callback_url": callback, "callback_token": CALLBACK_TOKEN})
        yield Stage(settings, libpq_url(url), simulator, port)
        simulator.stop()


async def _arrange(settings: Settings) -> None:
    database = open_database(settings)
    async with database.begin() as tx:
        await make_offering(tx)
        await set_numbers(tx, NUMBERS)
        await make_confirmed(tx, await make_door(tx, now=wall()), now=wall())
        await tx.connection()
    await database.close()


def _kill(process: ForkProcess) -> None:
    if process.is_alive() and process.pid is not None:
        os.kill(process.pid, signal.SIGKILL)
    process.join(10)


def check(stage: Stage) -> dict[str, Any]:
    """Compare what we sold with what they hold; returns the figures for the table."""
    with stage.sql() as sql:
        sold = sql.execute(
            "SELECT s.id::text, s.state, o.remote_id, cardinality(o.doubles), o.attempts"
            " FROM sale s JOIN order_sync o ON o.sale_id = s.id"
        ).fetchall()
    theirs = stage.simulator.orders()
    assert Counter(order["externalId"] for order in theirs) == Counter(row[0] for row in sold)
    assert {order["externalId"]: order["id"] for order in theirs} == {
        sale_id: remote_id for sale_id, _, remote_id, _, _ in sold
    }
    assert {order["externalId"]: order["state"] for order in theirs} == {
        sale_id: state for sale_id, state, _, _, _ in sold
    }
    assert not any(doubles for _, _, _, doubles, _ in sold)
    counts = stage.simulator.counts()
    assert counts["doubled_external_ids"] == 0
    return {"sales": len(sold), "posts": counts["posts"], "attempts": sum(row[4] for row in sold)}


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_both_sides_hold_the_same_whatever_goes_wrong(stage, seed, capsys):
    dice = random.Random(seed)
    began = time.monotonic()
    stage.simulator.dial(**DIALS, seed=seed)
    worker, api = stage.worker(0), stage.api(0)
    kills = 0
    portions = 4
    for portion in range(portions):
        stage.sell(SALES // portions)
        for _ in range(1 + WHOLE):
            time.sleep(dice.uniform(0.1, 0.5))
            _kill(worker)
            # Early turns are those of one attempt; later ones lie amid many.
            worker = stage.worker(dice.choice((dice.randrange(20, 200), dice.randrange(200, 2000))))
            kills += 1
        if portion == 1:
            stage.simulator.kill()
            time.sleep(0.5)
            stage.an_hour_passes()
            stage.simulator.start(stage_options(stage), **DIALS, seed=seed)
        if portion == 2:
            _kill(api)
            api = stage.api(dice.randrange(300, 3000))
            stage.cut_connections()
    give_up = time.monotonic() + PATIENCE_SECONDS
    while left := stage.left():
        assert time.monotonic() < give_up, f"not ended: {left}"
        if not worker.is_alive():
            worker = stage.worker(dice.choice((0, dice.randrange(100, 3000))))
            kills += 1
        if not api.is_alive():
            api = stage.api(0)
            kills += 1
        time.sleep(0.1)
    _kill(worker)
    _kill(api)
    told = check(stage)
    if WHOLE:
        with capsys.disabled():
            seconds = round(time.monotonic() - began, 1)
            print(json.dumps({"seed": seed, **told, "kills": kills, "seconds": seconds}))


def stage_options(stage: Stage) -> dict[str, str]:
    callback = f"http://127.0.0.1:{stage.port}/v1/ordering/callbacks"
    return {"callback_url": callback, "callback_token": CALLBACK_TOKEN}


def test_a_worker_killed_at_each_await_point_of_an_attempt_doubles_nothing(stage):
    """In the suite a few of the points are tried; `make test-faults` tries each."""
    stage.simulator.dial(seconds_to_start=0, seconds_to_complete=0.1)
    turns, step = 1, 1 if WHOLE else 23
    survived = False
    while not survived:
        stage.sell(1)
        worker = stage.worker(turns, until_done=True)
        worker.join(30)
        survived = worker.exitcode == 0
        assert worker.exitcode in (0, -signal.SIGKILL)
        turns += step
    give_up = time.monotonic() + PATIENCE_SECONDS
    while left := stage.left():
        assert time.monotonic() < give_up, f"not ended: {left}"
        worker = stage.worker(0, until_done=True)
        worker.join(30)
        time.sleep(0.2)
    assert check(stage)["sales"] > 2
