"""Where sales meet faults: processes that are killed at a turn of their loop, and two sides that
are compared.

The processes are forked, so that one costs so little that one can die at every await point.
"""

import asyncio
import contextlib
import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.context import ForkProcess
from typing import Any
from uuid import UUID

import orjson
import psycopg
import uvicorn

from app.auth import audit
from app.auth.callers import Caller
from app.core.clock import SystemClock, wall
from app.core.cluster import Cluster
from app.core.db import open_database
from app.core.jobs import Worker
from app.core.log import set_up
from app.core.settings import Settings
from app.main import create_app
from app.ordering import jobs
from app.ordering.callbacks.ear import Ear
from app.ordering.client.reading import read_event
from app.ordering.service import Heard
from app.sales import service as sales
from app.sales.rules import ConsentKind
from tests.make.sales import SIGNATURE, Door
from tests.ordering.conftest import CALLBACK_TOKEN, Simulator, begin_anew

# A machine that has more to do than it can answers later, and a limit that its own answers exceed
# would be one fault after the other: what is measured in real seconds is stretched by as much.
STRETCH = min(max(os.getloadavg()[0] / (os.cpu_count() or 1), 1.0), 8.0)
# What does not move for so long is stuck: some leases of workers that were killed have run out.
STUCK_SECONDS = 120.0 * STRETCH
# As short as slow machines allow: what was sent has surely settled twice as long after.
TIME_LIMIT = 1.0 * STRETCH
NUMBERS = {
    "ordering.first_delay_seconds": 0.1,
    "ordering.longest_delay_seconds": 0.5,
    "ordering.settle_seconds": 2 * TIME_LIMIT,
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
    "slow_seconds": 1.2 * TIME_LIMIT,
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
class Felt:
    """What was done to the processes of a stage, by whom it was done to."""

    kills: Counter[str] = field(default_factory=Counter)
    cuts: int = 0
    hours_away: int = 0


@dataclass
class Stage:
    """Where a seed is played: one database, one simulator, and who works on them.

    `cluster` is the server, where it is the stage's own and may be started anew.
    """

    settings: Settings
    url: str
    simulator: Simulator
    port: int
    door: Door
    cluster: Cluster | None
    felt: Felt = field(default_factory=Felt)

    def worker(self, turns: int, *, until_done: bool = False) -> ForkProcess:
        """Start a worker that is killed after so many turns of its loop."""
        return self._start(lambda: _work(self.settings, until_done=until_done), turns)

    def api(self, turns: int) -> ForkProcess:
        """Start an API, for callbacks, that is killed after so many turns of its loop."""
        return self._start(lambda: _serve(self.settings, self.port), turns)

    def hearing(self, body: bytes, turns: int) -> ForkProcess:
        """Start hearing a callback in a process that is killed after so many turns of its loop."""
        return self._start(lambda: _hear(self.settings, body), turns)

    def confirming(self, sale_id: UUID, given_at: datetime, shown: str, turns: int) -> ForkProcess:
        """Start confirming a sale in a process that is killed after so many turns of its loop."""
        return self._start(
            lambda: _confirm(self.settings, self.door.seller, sale_id, given_at, shown), turns
        )

    def _start(self, what: Callable[[], Any], turns: int) -> ForkProcess:
        args = (what, turns, self.simulator.quiet)
        process = _FORKING.Process(target=_be, args=args, daemon=True)
        process.start()
        return process

    def kill(self, name: str, process: ForkProcess) -> None:
        """Kill a process with SIGKILL; one that was doomed may have been killed before."""
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)
        process.join(10)
        # One that could not start, the database being away, has ended by itself.
        self.felt.kills[name] += process.exitcode == -signal.SIGKILL

    @contextlib.contextmanager
    def sql(self) -> Iterator[psycopg.Connection[Any]]:
        """Look at the database, or change it, by hand."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            yield connection

    def sell(self, count: int) -> None:
        """Let so many sales be confirmed, all like the first."""
        with self.sql() as sql:
            sql.execute(_SELL, {"count": count})

    def options(self) -> dict[str, str]:
        """Say where the simulator calls back."""
        callback = f"http://127.0.0.1:{self.port}/v1/ordering/callbacks"
        return {"callback_url": callback, "callback_token": CALLBACK_TOKEN}

    def away_for_an_hour(self, **dials: Any) -> None:
        """Kill the other side and start it again after an hour, which is made short: everything
        that waits is let have waited for an hour longer."""
        self.simulator.kill()
        time.sleep(0.5)
        with self.sql() as sql:
            for statement in _AN_HOUR:
                sql.execute(statement)
        self.simulator.start(self.options(), **dials)
        self.felt.hours_away += 1

    def cut_connections(self) -> None:
        """Cut every connection to the database."""
        with self.sql() as sql:
            sql.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        self.felt.cuts += 1

    def restart_postgres(self, *, crash: bool) -> None:
        """Stop the server, or kill it, and start it again; only where it is ours to stop."""
        if self.cluster is None:
            return
        if crash:
            pid_file = self.cluster.home / "data" / "postmaster.pid"
            os.kill(int(pid_file.read_text().split("\n", 1)[0]), signal.SIGKILL)
        self.cluster.stop()
        time.sleep(0.5)
        self.cluster.start()

    def starts_of_postgres(self) -> int:
        """Count in the server's own log how often it has come up; 0 where it is not ours."""
        if self.cluster is None:
            return 0
        log = self.cluster.home / "server.log"
        return log.read_text(errors="replace").count("ready to accept connections")

    def left(self) -> Counter[str]:
        """Count the deliveries that have not ended, by state, and sales that have none."""
        with self.sql() as sql:
            rows = sql.execute(
                "SELECT coalesce(o.state, 'none'), count(*) FROM sale s"
                " LEFT JOIN order_sync o ON o.sale_id = s.id"
                " WHERE s.state <> 'draft' AND o.state IS DISTINCT FROM 'finished' GROUP BY 1"
            ).fetchall()
        return Counter(dict(rows))

    def why_nothing_moves(self) -> str:
        """Tell how what is left stands, and what the processes are doing in the database."""
        told = [f"nothing moves: {dict(self.left())}"]
        with self.sql() as sql:
            for what, statement in _STANDING.items():
                told += [f"{what}: {row}" for row in sql.execute(statement).fetchall()]
        if self.simulator.quiet:
            told += ["the simulator:", *self.simulator.log.read_text().splitlines()[-20:]]
        return "\n".join(told)

    def until_ended(self) -> Iterator[Counter[str]]:
        """Give what is left, again and again, until nothing is; fails when nothing moves."""
        fewest, moved = float("inf"), time.monotonic()
        while left := self.left():
            if left.total() < fewest:
                fewest, moved = left.total(), time.monotonic()
            assert time.monotonic() - moved < STUCK_SECONDS, self.why_nothing_moves()
            yield left
            time.sleep(0.1)


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
_STANDING = {
    "delivery": (
        "SELECT state, remote_state, now() - next_try_at AS due_for, attempts, last_error"
        " FROM order_sync WHERE state <> 'finished' ORDER BY next_try_at LIMIT 10"
    ),
    "endpoint": "SELECT name, now() - open_until, now() - probing_until FROM ordering_endpoint",
    "connection": (
        "SELECT state, wait_event, now() - state_change, left(query, 80) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    ),
}
_AN_HOUR = (
    "UPDATE order_sync SET next_try_at = next_try_at - interval '1 hour',"
    " last_tried_at = last_tried_at - interval '1 hour' WHERE state = 'waiting'",
    "UPDATE sale SET confirmed_at = confirmed_at - interval '1 hour' WHERE state = 'confirmed'",
    "UPDATE ordering_endpoint SET open_until = open_until - interval '1 hour'",
)


def _be(what: Callable[[], Any], turns: int, quiet: bool) -> None:
    """Be a process of its own, on a loop that may be doomed."""
    begin_anew()
    if quiet:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
    with asyncio.Runner(loop_factory=lambda: Doomed(turns)) as runner:
        runner.run(what())
    os._exit(0)


async def _work(settings: Settings, *, until_done: bool) -> None:
    """Do what the worker of production does for deliveries: confirmed sales at once, the rest by
    sweeping."""
    set_up(settings)
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
            await asyncio.gather(*(due(worker) for due in _DUE))
            if until_done:
                await (await jobs.courier_of(worker)).rest()
                await worker.close()
                return
        await asyncio.sleep(0.05)


_DUE = (jobs.send_due, jobs.ask_due, jobs.change_due)
_NEW = """
SELECT id FROM sale WHERE state = 'confirmed'
   AND NOT EXISTS (SELECT FROM order_sync WHERE sale_id = sale.id) LIMIT 200
"""


async def _hear(settings: Settings, body: bytes) -> None:
    """Do what the API does with a callback; it is answered when this ends well."""
    database = open_database(settings)
    database.before_commit = audit.record
    await Ear(database).hear(Heard(read_event(orjson.loads(body)), body), wall())
    await database.close()


async def _confirm(
    settings: Settings, seller: Caller, sale_id: UUID, given_at: datetime, shown: str
) -> None:
    """Do what the API does with a consent; it is answered when this ends well."""
    database = open_database(settings)
    database.before_commit = audit.record
    async with database.begin() as tx:
        await sales.confirm(
            tx,
            sale_id=sale_id,
            kind=ConsentKind.SIGNATURE,
            given_at=given_at,
            evidence={**SIGNATURE, "shown_sha256": shown},
            caller=seller,
            now=given_at,
        )
    await database.close()


async def _serve(settings: Settings, port: int) -> None:
    app = create_app(settings)
    await uvicorn.Server(uvicorn.Config(app, port=port, http="h11", log_config=None)).serve()


def compare(stage: Stage) -> dict[str, int]:
    """Compare what we sold with what they hold; fails unless both are equal, each once. Returns
    how many sales there were, and how often they were sent and tried."""
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
    return {"sales": len(sold), "posts": counts["posts"], "tries": sum(row[4] for row in sold)}
