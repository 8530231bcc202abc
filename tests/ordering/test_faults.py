"""Everything goes wrong at once, by a seed: what we sold is what they hold, each once.

The other side answers late, wrongly, halfway or never, after having taken the order or before; its
callbacks are lost, doubled, late and out of order; it is away for an hour. Customers take back what
they bought, all of it or one thing, while its order runs: it is cancelled and amended through the
same faults. Meanwhile our worker and our API are killed with SIGKILL, each time at another await
point, and PostgreSQL cuts every connection. `make test-faults` plays many seeds with many sales,
stops or kills PostgreSQL in each, kills at each await point of a confirmation, of an attempt and of
a callback in turn, and prints a table. There PostgreSQL is a cluster of the suite's own, whose
commits are durable.
"""

import asyncio
import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.core.clock import wall
from app.core.cluster import Cluster
from app.core.db import libpq_url, open_database
from app.core.settings import Settings
from app.sales.rules import Line
from tests.conftest import ROOT, Databases
from tests.make.catalog import make_offering
from tests.make.sales import Door, make_confirmed, make_door, make_draft, shown
from tests.ordering.conftest import CALLBACK_TOKEN, Simulator, free_port
from tests.ordering.delivering import event, set_numbers
from tests.ordering.fault_table import NO_FAULTS, Played, Plays
from tests.ordering.faulting import DIALS, NUMBERS, TIME_LIMIT, WISHES, Stage, compare

SEEDS = int(os.environ.get("YINGWEI_FAULT_SEEDS", "1"))
SALES = int(os.environ.get("YINGWEI_FAULT_SALES", "20"))
WHOLE = "YINGWEI_FAULT_SEEDS" in os.environ
PORTIONS = 4
# Of few sales more are taken back, or there would be none.
TAKEN_BACK = 0.05 if WHOLE else 0.15
# So long an order runs that most of what is taken back at once is asked for before it has ended; in
# the suite of every day some of it, since all wait for that.
RUNS = {"seconds_to_complete": 2 * TIME_LIMIT if WHOLE else TIME_LIMIT / 2}
TWO = (Line("SPEED-1000", 1), Line("TV-4K", 1))

# What is stuck is told by `until_ended`; a seed of many sales may take its time on a busy machine.
pytestmark = pytest.mark.timeout(0 if WHOLE else 300)


@pytest.fixture(scope="module")
def own_databases(request: pytest.FixtureRequest) -> Iterator[Databases]:
    """Databases of a cluster that nobody else uses, where every commit is on the disk; in the
    suite of every day those of all tests, which nobody may stop."""
    if not WHOLE or "DATABASE_URL" in os.environ:
        yield request.getfixturevalue("databases")
        return
    with Cluster(ROOT / ".local" / "faults") as cluster:
        yield Databases(cluster.url("postgres"), cluster)


@pytest.fixture(scope="module")
def plays(request: pytest.FixtureRequest) -> Iterator[Plays]:
    """The seeds that were played; the table of them is printed at the end."""
    plays = Plays()
    yield plays
    if WHOLE and plays.played:
        with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            plays.show()


@pytest.fixture
def stage(own_databases: Databases, tmp_path: Path) -> Iterator[Stage]:
    """A database with one sale that was never confirmed twice, and a simulator that calls back."""
    with own_databases.clone() as url:
        simulator = Simulator(tmp_path / "orders.db")
        simulator.quiet = WHOLE
        settings = Settings(
            database_url=url,
            signing_keys=tmp_path / "keys",
            log_level="CRITICAL",
            ordering_url=simulator.base_url,
            ordering_callback_token=SecretStr(CALLBACK_TOKEN),
            ordering_timeout_seconds=TIME_LIMIT,
        )
        cluster = own_databases.cluster if WHOLE else None
        door = asyncio.run(_arrange(settings))
        stage = Stage(settings, libpq_url(url), simulator, free_port(), door, cluster)
        simulator.start(stage.options())
        yield stage
        simulator.stop()


async def _arrange(settings: Settings) -> Door:
    database = open_database(settings)
    async with database.begin() as tx:
        await make_offering(tx)
        await make_offering(tx, code="TV-4K", category="tv", monthly_price_fen=2000)
        await set_numbers(tx, NUMBERS)
        door = await make_door(tx, now=wall())
        await make_confirmed(tx, door, now=wall(), lines=TWO)
        await tx.execute(text(WISHES))
    await database.close()
    return door


@pytest.mark.parametrize("seed", range(1, SEEDS + 1))
def test_both_sides_hold_the_same_whatever_goes_wrong(stage, seed, capsys, plays):
    dice = random.Random(seed)
    began, starts = time.monotonic(), stage.starts_of_postgres()
    dials = DIALS | RUNS | {"seed": seed}
    stage.simulator.dial(**dials)
    worker, api, customers = stage.worker(0), stage.api(0), stage.customers(0)
    with contextlib.ExitStack() as around:
        show = None
        if WHOLE:
            around.enter_context(capsys.disabled())
            show = around.enter_context(plays.bar(seed, SALES + 1))
        for portion in range(PORTIONS):
            stage.sell(SALES // PORTIONS, returned=TAKEN_BACK, amended=TAKEN_BACK)
            for _ in range(1 + WHOLE):
                time.sleep(dice.uniform(0.1, 0.5))
                stage.kill("worker", worker)
                # Early turns are those of one attempt; later ones lie amid many.
                turns = dice.choice((dice.randrange(20, 200), dice.randrange(200, 2000)))
                worker = stage.worker(turns)
            stage.kill("customers", customers)
            customers = stage.customers(dice.randrange(100, 2000))
            if portion == 1:
                stage.away_for_an_hour(**dials)
            if portion == 2:
                stage.kill("api", api)
                api = stage.api(dice.randrange(300, 3000))
                stage.cut_connections()
            if portion == 3:
                stage.restart_postgres(crash=seed % 2 == 0)
        for left in stage.until_ended():
            if show is not None:
                show(left)
            if not worker.is_alive():
                stage.kill("worker", worker)
                worker = stage.worker(dice.choice((0, dice.randrange(100, 3000))))
            if not api.is_alive():
                stage.kill("api", api)
                api = stage.api(0)
            if not customers.is_alive():
                stage.kill("customers", customers)
                customers = stage.customers(dice.choice((0, dice.randrange(100, 3000))))
        if show is not None:
            show(Counter())
    for process in (worker, api, customers):
        process.kill()
        process.join(10)
    told = compare(stage)
    restarts = stage.starts_of_postgres() - starts
    assert restarts == (stage.cluster is not None)
    # One that cannot start would be killed by nobody, and no callback would be heard.
    assert stage.felt.kills["api"] > 0
    counts = Counter(stage.simulator.counts()["events"])
    faults = Counter({name: count for name, count in counts.items() if name not in NO_FAULTS})
    seconds = time.monotonic() - began
    plays.played.append(Played(seed, seconds, told, stage.felt, restarts, faults))


# --- one process killed at each await point -------------------------------------------------------


def test_a_worker_killed_at_each_await_point_of_an_attempt_doubles_nothing(stage):
    """In the suite a few of the points are tried; `make test-faults` tries each."""
    stage.simulator.dial(seconds_to_start=0, seconds_to_complete=0.1)
    turns, step = 1, 1 if WHOLE else 23
    survived = False
    while not survived:
        stage.sell(1)
        worker = stage.worker(turns, until_done=True)
        survived = _ended_by_itself(worker)
        turns += step
    for _ in stage.until_ended():
        stage.worker(0, until_done=True).join(30)
    assert compare(stage)["sales"] > 2


def test_a_confirmation_killed_at_each_await_point_counts_once(stage):
    """The phone hears no answer and sends the same consent again."""
    turns, step = 1, 1 if WHOLE else 31
    survived, confirmed = False, 0
    while not survived:
        sale_id, hash_shown = asyncio.run(_drafted(stage))
        given_at = wall()
        process = stage.confirming(sale_id, given_at, hash_shown, turns)
        survived = _ended_by_itself(process)
        assert _ended_by_itself(stage.confirming(sale_id, given_at, hash_shown, 0))
        turns, confirmed = turns + step, confirmed + 1
    with stage.sql() as sql:
        counted = sql.execute(
            "SELECT e.step, count(*), count(DISTINCT e.sale_id) FROM sale_event e"
            " JOIN sale s ON s.id = e.sale_id WHERE s.state = 'confirmed' AND s.technician_id ="
            " (SELECT technician_id FROM sale ORDER BY id DESC LIMIT 1) GROUP BY 1"
        ).fetchall()
        jobs = sql.execute(
            "SELECT count(*), count(DISTINCT args ->> 'sale_id') FROM procrastinate_jobs"
            " WHERE task_name = 'sale.confirmed'"
        ).fetchone()
    # The sale that the stage begins with is one of them.
    assert {step: (count, sales) for step, count, sales in counted} == dict.fromkeys(
        ("put_together", "consented", "confirmed"), (confirmed + 1, confirmed + 1)
    )
    assert jobs == (confirmed + 1, confirmed + 1)
    assert confirmed > 1


def test_an_api_killed_at_each_await_point_of_a_callback_keeps_what_it_answered(stage):
    """The other side hears no answer and calls again, as it does; each event has one effect."""
    turns, step = 1, 1 if WHOLE else 31
    survived, number = False, 0
    while not survived:
        stage.sell(1)
        with stage.sql() as sql:
            row = sql.execute(_DELIVERED, {"remote_id": f"{number}"}).fetchone()
        assert row is not None
        body = orjson.dumps(event(row[0], "completed", remote_id=f"{number}"))
        survived = _ended_by_itself(stage.hearing(body, turns))
        assert _ended_by_itself(stage.hearing(body, 0))
        turns, number = turns + step, number + 1
    with stage.sql() as sql:
        heard = sql.execute("SELECT count(*) FROM order_callback WHERE verdict = 'move'").fetchone()
        steps = sql.execute(
            "SELECT count(*), count(DISTINCT sale_id) FROM sale_event WHERE step = 'completed'"
        ).fetchone()
        states = sql.execute(
            "SELECT DISTINCT s.state, o.state FROM sale s JOIN order_sync o ON o.sale_id = s.id"
        ).fetchall()
    assert (heard, steps) == ((number,), (number, number))
    assert states == [("completed", "finished")]
    assert number > 1


def _ended_by_itself(process: Any) -> bool:
    """Wait for the end of a doomed process; False when it was killed at its turn."""
    process.join(60)
    assert process.exitcode in (0, -signal.SIGKILL)
    return bool(process.exitcode == 0)


async def _drafted(stage: Stage) -> tuple[Any, str]:
    """Put one more sale together at the door; returns its id and the hash of what is shown."""
    database = open_database(stage.settings)
    async with database.begin() as tx:
        draft = await make_draft(tx, stage.door, now=wall())
        hash_shown = await shown(tx, draft.id)
    await database.close()
    return draft.id, hash_shown


_DELIVERED = """
INSERT INTO order_sync (id, sale_id, org_unit_id, state, attempts, remote_id, next_try_at)
SELECT gen_random_uuid(), s.id, s.org_unit_id, 'delivered', 1, %(remote_id)s,
       now() + interval '1 hour'
  FROM sale s WHERE NOT EXISTS (SELECT FROM order_sync WHERE sale_id = s.id)
 ORDER BY s.created_at DESC, s.confirmed_at DESC LIMIT 1
RETURNING sale_id
"""
