"""The job worker: which event wakes which handler, and what happens from time to time."""

import asyncio
import contextlib
import functools
from collections.abc import Awaitable, Callable
from typing import Any

import procrastinate
from structlog.contextvars import bound_contextvars

from app.auth import audit
from app.auth import jobs as auth
from app.core.clock import clock_from
from app.core.db import open_database
from app.core.jobs import Handler, Worker, queue_of
from app.core.log import log, set_up
from app.core.settings import Settings
from app.dispatch import jobs as dispatch
from app.ordering import jobs as ordering

# What happens afterwards stands here, and only here. A handler can be run twice without harm.
HANDLERS: dict[str, list[Handler]] = {
    "workorder.freed": [dispatch.place_anew],
    "point.trusted": [dispatch.place_trusted],
    "sale.confirmed": [ordering.send_sale],
}

# Every so many seconds of real time, on every worker; each is safe to run on two at once.
FROM_TIME_TO_TIME: list[tuple[float, Handler]] = [
    (1.0, ordering.sweep),
    (20.0, dispatch.place_waiting),
    (600.0, auth.forget_sign_ins),
]

# A worker that has not been heard of for this long is dead, and its jobs are given to others.
DEAD_AFTER_SECONDS = 20.0
LOOK_EVERY_SECONDS = 10.0


def queue(worker: Worker, handlers: dict[str, list[Handler]] = HANDLERS) -> procrastinate.App:
    """Make the queue with one task an event, each running the event's handlers in turn."""
    app = queue_of(worker.settings.database_url)
    for event, called in handlers.items():
        again = procrastinate.RetryStrategy(max_attempts=8, exponential_wait=2)
        app.task(name=event, retry=again)(_running(worker, event, called))
    return app


def _running(worker: Worker, event: str, handlers: list[Handler]) -> Callable[..., Awaitable[None]]:
    async def run(**facts: Any) -> None:
        # The log and the audit trail name the job by it.
        with bound_contextvars(job=event):
            for handler in handlers:
                await handler(worker, **facts)

    return run


async def work(settings: Settings, *, concurrency: int = 8) -> None:
    """Work until cancelled or told to stop by SIGINT or SIGTERM; running jobs finish first."""
    set_up(settings)
    worker = Worker(settings, clock_from(settings.clock), open_database(settings))
    worker.database.before_commit = audit.record
    app = queue(worker)
    async with app.open_async():
        aside = [asyncio.create_task(_rescue(app))]
        aside += [
            asyncio.create_task(_repeat(seconds, functools.partial(handler, worker)))
            for seconds, handler in FROM_TIME_TO_TIME
        ]
        try:
            await app.run_worker_async(
                concurrency=concurrency,
                delete_jobs="successful",
                fetch_job_polling_interval=2.0,
                shutdown_graceful_timeout=20.0,
                update_heartbeat_interval=5.0,
                stalled_worker_timeout=DEAD_AFTER_SECONDS,
            )
        finally:
            for task in aside:
                task.cancel()
            await asyncio.gather(*aside, return_exceptions=True)
            await worker.close()


async def _repeat(seconds: float, action: Callable[[], Awaitable[None]]) -> None:
    name: str = getattr(action, "func", action).__name__
    while True:
        try:
            with bound_contextvars(job=name):
                await action()
        except Exception:  # noqa: BLE001 - logged; the next round tries again
            # One failure must not end what has to happen from time to time.
            log.exception("periodic job failed", job=name)
        await asyncio.sleep(seconds)


async def _rescue(app: procrastinate.App) -> None:
    """Give the jobs of dead workers back to the queue, so that none waits longer than a minute."""
    while True:
        with contextlib.suppress(procrastinate.exceptions.ConnectorException):
            for job in await app.job_manager.get_stalled_jobs(
                seconds_since_heartbeat=DEAD_AFTER_SECONDS
            ):
                log.warning("job rescued", job=job.id, task=job.task_name)
                await app.job_manager.retry_job(job)
        await asyncio.sleep(LOOK_EVERY_SECONDS)
