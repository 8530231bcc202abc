"""Where sales meet faults: processes that are killed at a turn of their loop, and two sides that
are compared.

The processes are forked, so that one costs so little that one can die at every await point.
"""

import asyncio
import contextlib
import multiprocessing
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from multiprocessing.context import ForkProcess
from typing import Any
from uuid import UUID

import orjson
import psycopg
import uvicorn

from app.auth import audit
from app.auth.callers import Caller
from app.auth.rules import Role
from app.core.clock import SystemClock, wall
from app.core.cluster import Cluster
from app.core.db import Database, fetched, new_id, open_database
from app.core.errors import Unavailable
from app.core.jobs import Worker
from app.core.log import set_up
from app.core.settings import Settings
from app.main import create_app
from app.ordering import jobs
from app.ordering.callbacks.ear import Ear
from app.ordering.client.reading import read_event
from app.ordering.service import Heard
from app.reconciliation import service as reconciliation
from app.reconciliation.rules import Bin
from app.reconciliation.service import asking
from app.sales import service as sales
from app.sales.rules import ConsentKind, ReversalReason, ReversedAlready
from tests.make import clusters
from tests.make.auth import caller_for
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
    "cancel_refused": 0.1,
    "seconds_to_cancel": 0.2,
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

    def customers(self, turns: int) -> ForkProcess:
        """Start an API, for returns, that is killed after so many turns of its loop: customers who
        wish so take a sale back, or one thing of it, soon after it was acknowledged."""
        by = caller_for(Role.SUPERVISOR, self.door.branch)
        return self._start(lambda: _take_back(self.settings, by), turns)

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

    def sell(self, count: int, *, returned: float = 0, amended: float = 0) -> None:
        """Let so many sales be confirmed, all like the first. Of such a share the customer is going
        to take back everything, of another one thing, of a few first this and then that."""
        with self.sql() as sql:
            sql.execute(_SELL, {"count": count, "returned": returned, "amended": amended})

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
            clusters.kill(self.cluster)
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
        """Count what has not ended: deliveries by state, sales that have none, changes, and returns
        that the customers still wish or that nobody has worked on."""
        with self.sql() as sql:
            return Counter(dict(sql.execute(_LEFT).fetchall()))

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


# What customers are going to take back: everything, or one thing.
WISHES = """
CREATE TABLE return_wish (
    sale_id uuid NOT NULL REFERENCES sale, whole bool NOT NULL, PRIMARY KEY (sale_id, whole))
"""
_SELL = """
WITH first AS (SELECT * FROM sale ORDER BY id LIMIT 1), made AS (
    INSERT INTO sale SELECT r.* FROM first f, generate_series(1, %(count)s) n,
        LATERAL jsonb_populate_record(NULL::sale, to_jsonb(f) || jsonb_build_object(
            'id', gen_random_uuid(), 'note', format('the %%s.', n), 'state', 'confirmed',
            'sent_at', NULL, 'acknowledged_at', NULL, 'completed_at', NULL,
            'rejected_reason', NULL, 'reversed_at', NULL, 'confirmed_at', now())) r
    RETURNING id
), wished AS (
    INSERT INTO return_wish SELECT id, whole FROM made, (VALUES (true), (false)) AS w (whole)
     WHERE (hashtext(id::text || whole) & 1023) < 1024 * CASE WHEN whole THEN %(returned)s
                                                              ELSE %(amended)s END)
INSERT INTO sale_item SELECT r.* FROM made, sale_item i, first f,
    LATERAL jsonb_populate_record(NULL::sale_item, to_jsonb(i) || jsonb_build_object(
        'id', gen_random_uuid(), 'sale_id', made.id, 'reversed_at', NULL, 'removed_at', NULL)) r
 WHERE i.sale_id = f.id
"""
# Wishes that can still come true: of a sale that was acknowledged and that nobody has taken back.
_WISHED = """
SELECT w.sale_id, w.whole, last.id AS item_id FROM return_wish w JOIN sale s ON s.id = w.sale_id,
    LATERAL (SELECT id, reversed_at FROM sale_item WHERE sale_id = s.id
              ORDER BY position DESC LIMIT 1) AS last
 WHERE s.acknowledged_at IS NOT NULL AND s.reversed_at IS NULL
   AND (w.whole OR last.reversed_at IS NULL)
"""
# What a return has told the worker and the worker has not done.
_TOLD = """
SELECT id, task_name, args FROM procrastinate_jobs
 WHERE status = 'todo' AND task_name IN ('sale.reversed', 'sale.item_reversed')
"""
_LEFT = f"""
SELECT coalesce(o.state, 'none'), count(*) FROM sale s LEFT JOIN order_sync o ON o.sale_id = s.id
 WHERE s.state <> 'draft' AND o.state IS DISTINCT FROM 'finished' GROUP BY 1
UNION ALL
SELECT 'change ' || state, count(*) FROM order_change
 WHERE state IN ('waiting', 'sending', 'sent') GROUP BY 1
UNION ALL SELECT 'wish', count(*) FROM ({_WISHED}) AS w HAVING count(*) > 0
UNION ALL SELECT 'return', count(*) FROM ({_TOLD}) AS t HAVING count(*) > 0
"""
_STANDING = {
    "change": (
        "SELECT kind, state, now() - next_try_at AS due_for, attempts, last_error FROM order_change"
        " WHERE state IN ('waiting', 'sending', 'sent') ORDER BY next_try_at LIMIT 10"
    ),
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
    "UPDATE order_change SET next_try_at = next_try_at - interval '1 hour',"
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
    sweeping, and what returns have told it."""
    set_up(settings)
    database = open_database(settings)
    worker = Worker(settings, SystemClock(), database)
    duties: list[Callable[[], Awaitable[None]]] = [_Fresh(worker)]
    duties += [partial(duty, worker) for duty in (*_DUE, _told)]
    if until_done:
        for duty in duties:
            await duty()
        await (await jobs.courier_of(worker)).rest()
        await worker.close()
        await database.close()
        return
    # Side by side: what waits for an answer must not keep the others waiting.
    await asyncio.gather(*(_again_and_again(duty) for duty in duties))


async def _again_and_again(duty: Callable[[], Awaitable[None]]) -> None:
    while True:
        with contextlib.suppress(Exception):  # the database went away; it comes back
            await duty()
        await asyncio.sleep(0.05)


class _Fresh:
    """Sends what was confirmed just now, each sale once; what fails is taken up by sweeping."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._known: set[UUID] = set()

    async def __call__(self) -> None:
        async with self._worker.database.hot() as sql:
            found = await (await sql.execute(_NEW)).fetchall()
        fresh = [sale_id for (sale_id,) in found if sale_id not in self._known]
        self._known.update(fresh)
        sending = [jobs.send_sale(self._worker, sale_id=str(sale_id)) for sale_id in fresh]
        await asyncio.gather(*sending, return_exceptions=True)


async def _told(worker: Worker) -> None:
    """Do what returns have told the worker. A job is taken off when it is done, so one during which
    the worker was killed is done once more; one that is put off for a minute waits for no time."""
    async with worker.database.hot() as sql:
        told = await (await sql.execute(_TOLD)).fetchall()
    for job_id, name, facts in told:
        await _BY_NAME[name](worker, **facts)
        async with worker.database.begin() as tx:
            await fetched(tx, _DONE, {"id": job_id})


_DONE = "DELETE FROM procrastinate_jobs WHERE id = %(id)s RETURNING id"


_BY_NAME: dict[str, Callable[..., Awaitable[None]]] = {
    "sale.reversed": jobs.sale_reversed,
    "sale.item_reversed": jobs.item_reversed,
}
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


async def _take_back(settings: Settings, by: Caller) -> None:
    """Do what the API does with returns that come in; whoever hears no answer says the same
    again. Some come at once, when the order has only begun, and some when it has ended."""
    database = open_database(settings)
    database.before_commit = audit.record
    dice = random.Random(os.getpid())
    while True:
        with contextlib.suppress(Unavailable, psycopg.OperationalError):
            async with database.hot() as sql:
                wished = await (await sql.execute(_WISHED)).fetchall()
            for sale_id, whole, item_id in wished:
                if dice.random() < 0.3:
                    await _taken_back(database, sale_id, None if whole else item_id, by)
        await asyncio.sleep(0.05)


async def _taken_back(database: Database, sale_id: UUID, item_id: UUID | None, by: Caller) -> None:
    now = wall()
    told: dict[str, Any] = {
        "sale_id": sale_id,
        "external_id": f"RET-{sale_id}-{item_id}",
        "reason": ReversalReason.CHANGED_MIND,
        "returned_at": now,
        "caller": by,
        "now": now,
    }
    # The other side may have ended it in the meantime, and so taken it back.
    with contextlib.suppress(ReversedAlready):
        async with database.begin() as tx:
            if item_id is None:
                await sales.reverse(tx, **told)
            else:
                await sales.reverse_item(tx, item_id=item_id, **told)


async def _serve(settings: Settings, port: int) -> None:
    app = create_app(settings)
    await uvicorn.Server(uvicorn.Config(app, port=port, http="h11", log_config=None)).serve()


def compare(stage: Stage) -> dict[str, int]:
    """Compare what we sold with what they hold; fails unless both are equal, each once. Returns
    how many sales there were, how often they were sent and tried, how many requests for changes
    came, and what became of what customers took back: `in vain` is what had ended before, or was
    refused."""
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
    assert counts["doubled_external_ids"] == counts["doubled_cancellations"] == 0
    told = {
        "sales": len(sold),
        "POSTs": counts["posts"],
        "tries": sum(row[4] for row in sold),
        "changes": counts["changes"],
    }
    return told | _compare_returns(stage)


def _compare_returns(stage: Stage) -> dict[str, int]:
    """Compare what customers took back with what became of its orders."""
    stage.simulator.dial()
    with stage.sql() as sql:
        whole = sql.execute(_TAKEN_BACK).fetchall()
        items = sql.execute(_ITEMS_TAKEN_BACK).fetchall()
        steps = sql.execute(_STEPS_TWICE).fetchall()
    assert steps == []
    # Reversed here; there it was cancelled, or had ended before that could be asked, or it was
    # refused, which is what the night is going to show to a person.
    assert all(is_reversed for _, _, is_reversed, _, _ in whole)
    asked = {(state, change) for _, state, _, change, _ in whole}
    assert asked <= {
        ("cancelled", "done"),
        ("completed", "refused"),
        ("completed", None),
        ("rejected", "refused"),
        ("rejected", None),
    }, asked
    assert all(changes <= 1 for *_, changes in whole)
    refused = {id_ for id_, state, _, change, _ in whole if (state, change) == _LEFT_TO_A_PERSON}
    removed = {id_ for id_, is_removed, _ in items if is_removed}
    # Done is what was taken out there, and nothing else.
    assert removed == {id_ for id_, _, change in items if change == "done"}
    assert asyncio.run(_night(stage)) == refused
    cancelled = sum(state == "cancelled" for _, state, *_ in whole)
    in_vain = len(whole) - cancelled + len(items) - len(removed)
    return {"cancelled": cancelled, "amended": len(removed), "in vain": in_vain}


_LEFT_TO_A_PERSON = ("completed", "refused")
_TAKEN_BACK = """
SELECT s.id, s.state, s.reversed_at IS NOT NULL, c.state, coalesce(c.number, 0)
  FROM return_wish w JOIN sale s ON s.id = w.sale_id
  LEFT JOIN (SELECT sale_id, min(state) AS state, count(*) AS number FROM order_change
              WHERE kind = 'cancel' GROUP BY 1) AS c ON c.sale_id = s.id
 WHERE w.whole AND s.acknowledged_at IS NOT NULL
"""
_ITEMS_TAKEN_BACK = """
SELECT s.id, i.removed_at IS NOT NULL, c.state
  FROM return_wish w JOIN sale s ON s.id = w.sale_id
  JOIN sale_item i ON i.sale_id = s.id AND i.reversed_at IS NOT NULL
  LEFT JOIN order_change c ON c.sale_item_id = i.id
 WHERE NOT w.whole
"""
_STEPS_TWICE = """
SELECT sale_id, step FROM sale_event
 WHERE step IN ('reversed', 'item_reversed', 'item_removed', 'cancelling', 'cancelled')
 GROUP BY 1, 2 HAVING count(*) > 1
"""


async def _night(stage: Stage) -> set[UUID]:
    """Compare each day as a night does, with a side that has no faults any more; returns the sales
    that are left to a person. All of these the customer took back, and nothing had to be healed."""
    database = open_database(stage.settings)
    clock = SystemClock()
    worker = Worker(stage.settings, clock, database)
    async with database.read() as read:
        top = await asking.root(read)
        assert top is not None
        rows = await fetched(read, _DAYS, {"zone": str(top[1])})
    counted: Counter[Bin] = Counter()
    for (day,) in rows:
        async with database.begin() as tx:
            run = await asking.of_the_night(tx, new_id(), day, clock.now())
        ran = await reconciliation.run(worker, run.id)
        assert ran is not None
        counted.update(ran.sales)
        assert not any(ran.orders[each] for each in (Bin.EXPLAINED, Bin.HEALED))
    with stage.sql() as sql:
        cases = sql.execute(
            "SELECT sale_id, kind, state, facts FROM reconciliation_case"
        ).fetchall()
    assert all((kind, state) == ("returned", "open") for _, kind, state, _ in cases), cases
    assert counted[Bin.OPEN] == len(cases)
    assert counted[Bin.HEALED] == counted[Bin.EXPLAINED] == 0
    await worker.close()
    await database.close()
    return {sale_id for sale_id, *_ in cases}


_DAYS = """
SELECT DISTINCT (confirmed_at AT TIME ZONE %(zone)s)::date FROM sale WHERE confirmed_at IS NOT NULL
"""
