"""The worker: no job is lost with whoever held it, and it outlives the loss of its database."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import procrastinate
import pytest
from sqlalchemy import text

from app import worker
from app.core.clock import SystemClock
from app.core.db import Database, open_database
from app.core.jobs import Worker, tell
from app.core.settings import Settings
from app.worker import Pace, queue, rescue, work
from tests.ordering.waiting import until

PACE = Pace(heartbeat=0.2, dead_after=2, look_every=0.2, again_after=0.1, farewell=5)


class Heard:
    """A handler that notes what it was told, and can be made to fail or to take its time."""

    def __init__(self) -> None:
        self.begun: list[int] = []
        self.numbers: list[int] = []
        self.fail_first = 0
        self.seconds = 0.0

    async def __call__(self, worker: Worker, *, number: int) -> None:
        """Handle one job."""
        self.begun.append(number)
        if self.fail_first > 0:
            self.fail_first -= 1
            raise ZeroDivisionError
        await asyncio.sleep(self.seconds)
        self.numbers.append(number)

    async def until(self, number: int) -> None:
        """Return when the job of this number was handled."""
        await until(lambda: number in self.numbers, f"job {number}", seconds=20)


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Heard:
    """A handler of the event `test.happened`, alone in the worker's map."""
    handler = Heard()
    monkeypatch.setattr(worker, "FROM_TIME_TO_TIME", [])
    monkeypatch.setitem(worker.HANDLERS, "test.happened", [handler])
    return handler


def settings_of(database: Database) -> Settings:
    """Settings of a worker on a database."""
    url = database.engine.url.render_as_string(hide_password=False)
    return Settings(database_url=url, log_level="CRITICAL")


@asynccontextmanager
async def working(database: Database) -> AsyncIterator[asyncio.Task[None]]:
    """Run a worker in this process; it is told to stop at the end."""
    task = asyncio.create_task(work(settings_of(database), concurrency=2, pace=PACE))
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def happened(database: Database, number: int) -> None:
    """Tell of an event, and commit."""
    async with database.begin() as tx:
        await tell(tx, "test.happened", number=number)


async def statuses(database: Database) -> dict[int, str]:
    """Read where each job stands, by its number."""
    async with database.read() as read:
        rows = await read.execute(
            text("SELECT (args ->> 'number')::int, status::text FROM procrastinate_jobs ORDER BY 1")
        )
        return dict(rows.all())


# --- whose jobs are given back --------------------------------------------------------------------


@pytest.fixture
async def jobs(real_database: Database) -> AsyncIterator[procrastinate.App]:
    """A queue on the database, opened, that nobody works off."""
    app = queue(Worker(settings_of(real_database), SystemClock(), real_database), {})
    async with app.open_async():
        yield app


async def taken(database: Database, *, heard_of: float, started: float, number: int) -> None:
    """Leave a job with a worker last heard of, and started, so many seconds ago."""
    await happened(database, number)
    async with database.begin() as tx:
        ago: dict[str, Any] = {"heard_of": heard_of, "started": started, "number": str(number)}
        await tx.execute(
            text(
                "WITH who AS (INSERT INTO procrastinate_workers (last_heartbeat)"
                "   VALUES (now() - make_interval(secs => :heard_of)) RETURNING id)"
                " UPDATE procrastinate_jobs SET status = 'doing', worker_id = (SELECT id FROM who)"
                " WHERE args ->> 'number' = :number"
            ),
            ago,
        )
        await tx.execute(
            text(
                "UPDATE procrastinate_events SET at = now() - make_interval(secs => :started)"
                " WHERE type = 'started' AND job_id = (SELECT id FROM procrastinate_jobs"
                "   WHERE args ->> 'number' = :number)"
            ),
            ago,
        )


@pytest.mark.parametrize(
    ("heard_of", "started", "then"),
    [
        (1, 1, "doing"),
        (19, 599, "doing"),
        # The worker is dead.
        (21, 1, "todo"),
        # The worker lives, but must have lost the job as it told of its end.
        (1, 601, "todo"),
        (21, 601, "todo"),
    ],
)
async def test_jobs_of_the_dead_and_lost_jobs_are_given_back(
    real_database, jobs, heard_of, started, then
):
    await taken(real_database, heard_of=heard_of, started=started, number=1)
    await rescue(jobs, Pace())
    assert await statuses(real_database) == {1: then}


async def test_a_job_of_a_worker_that_has_said_goodbye_is_given_back(real_database, jobs):
    await taken(real_database, heard_of=1, started=1, number=1)
    async with real_database.begin() as tx:
        await tx.execute(text("DELETE FROM procrastinate_workers"))
    await rescue(jobs, Pace())
    assert await statuses(real_database) == {1: "todo"}


async def test_two_workers_that_rescue_at_once_rescue_all(real_database, jobs):
    for number in range(8):
        await taken(real_database, heard_of=60, started=60, number=number)
    await asyncio.gather(*(rescue(jobs, Pace()) for _ in range(3)))
    assert set((await statuses(real_database)).values()) == {"todo"}


async def test_a_worker_does_what_a_dead_one_had_begun(real_database, heard):
    await taken(real_database, heard_of=60, started=60, number=1)
    async with working(real_database):
        await heard.until(1)
    assert await statuses(real_database) == {}


# --- failing, stopping, losing the database -------------------------------------------------------


async def test_a_job_that_fails_is_tried_again(real_database, heard):
    heard.fail_first = 1
    async with working(real_database):
        await happened(real_database, 1)
        await heard.until(1)
    assert await statuses(real_database) == {}


async def test_a_job_of_an_event_that_nobody_handles_holds_up_no_other(real_database, heard):
    async with real_database.begin() as tx:
        await tell(tx, "test.unheard_of", number=1)
    async with working(real_database):
        await happened(real_database, 2)
        await heard.until(2)
    assert await statuses(real_database) == {1: "failed"}


async def test_a_worker_that_is_told_to_stop_finishes_what_it_has_begun(real_database, heard):
    heard.seconds = 0.5
    async with working(real_database):
        await happened(real_database, 1)
        await until(lambda: heard.begun == [1], "the job's beginning")
        assert heard.numbers == []
    assert heard.numbers == [1]
    assert await statuses(real_database) == {}


@pytest.mark.parametrize("cuts", [1, 3])
async def test_a_worker_outlives_the_loss_of_every_connection(real_database, heard, cuts):
    async with working(real_database) as task:
        await happened(real_database, 0)
        await heard.until(0)
        for number in range(1, cuts + 1):
            async with real_database.begin() as tx:
                await tx.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname ="
                        " current_database() AND pid <> pg_backend_pid()"
                    )
                )
            await happened(real_database, number)
            await heard.until(number)
        assert not task.done()


async def test_a_worker_waits_for_a_database_that_is_away_and_begins_when_it_is_back(
    real_database, heard
):
    """No connections are let in for a while, longer than the queue's own patience."""
    name = real_database.engine.url.database

    async def let_in(yes: bool) -> None:
        async with admin.begin() as tx:
            await tx.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS {yes}'))
            if not yes:
                await tx.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = :name"
                    ),
                    {"name": name},
                )

    url = real_database.engine.url.set(database="postgres").render_as_string(hide_password=False)
    admin = open_database(Settings(database_url=url))
    try:
        async with working(real_database) as task:
            await happened(real_database, 1)
            await heard.until(1)
            await let_in(False)
            await asyncio.sleep(7)
            assert not task.done()
            await let_in(True)
            with suppress(Exception):  # our own pool holds connections that were cut
                await happened(real_database, 0)
            await happened(real_database, 2)
            await heard.until(2)
    finally:
        await admin.close()


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_the_process_ends_well_when_it_is_told_to(real_database, by):
    url = real_database.engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen(  # noqa: ASYNC220 - starting is quick, and waiting is in a thread
        [sys.executable, "-m", "app.cli", "worker"],
        env={**os.environ, "DATABASE_URL": url, "YINGWEI_LOG_LEVEL": "CRITICAL"},
        start_new_session=True,
    )
    count = text("SELECT count(*) FROM procrastinate_workers")
    async with real_database.read() as read, asyncio.timeout(30):
        while not await read.scalar(count):
            assert process.poll() is None
            await asyncio.sleep(0.05)
        process.send_signal(by)
        assert await asyncio.to_thread(process.wait, 15) == 0
        assert await read.scalar(count) == 0
