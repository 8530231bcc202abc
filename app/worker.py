"""The job worker: which event wakes which handler, and what happens from time to time."""

import asyncio
import contextlib
import functools
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import procrastinate
from structlog.contextvars import bound_contextvars

from app.activation import jobs as activation
from app.alerts import jobs as alerts
from app.auth import audit
from app.auth import jobs as auth
from app.commissions import jobs as commissions
from app.core.clock import clock_from, wall
from app.core.db import open_database, reachable
from app.core.jobs import Handler, Worker, queue_of
from app.core.log import log, set_up
from app.core.settings import Settings
from app.devices import jobs as devices
from app.dispatch import jobs as dispatch
from app.evidence import jobs as evidence
from app.feasibility import jobs as feasibility
from app.followups import jobs as followups
from app.grids import jobs as grids
from app.lifecycle import jobs as lifecycle
from app.messaging import jobs as messaging
from app.ordering import jobs as ordering
from app.outages import jobs as outages
from app.overdue import jobs as overdue
from app.planning import jobs as planning
from app.policies import jobs as policies
from app.presence import jobs as presence
from app.privacy import jobs as privacy
from app.real_name import jobs as real_name
from app.reconciliation import jobs as reconciliation
from app.recovery import jobs as recovery
from app.retention import jobs as retention
from app.sales import jobs as sales
from app.suggestions import jobs as suggestions
from app.sync import jobs as sync
from app.territory import jobs as territory
from app.travel import jobs as travel
from app.visits import jobs as visits

# What happens afterwards stands here, and only here. A handler can be run twice without harm.
HANDLERS: dict[str, list[Handler]] = {
    "workorder.freed": [dispatch.place_anew],
    "workorder.completed": [
        outages.end_with_its_order,
        followups.order_completed,
        recovery.order_completed,
        retention.order_completed,
        overdue.judge,
        lifecycle.order_completed,
        feasibility.order_completed,
    ],
    "outage.closed": [dispatch.end_outage],
    "followup.low": [followups.take_care],
    "recovery.asked": [recovery.asked],
    "lifecycle.warned": [retention.warned],
    "promise.judged_anew": [overdue.judge],
    "point.trusted": [dispatch.place_trusted],
    "sale.confirmed": [ordering.send_sale],
    "reconciliation.asked": [reconciliation.asked],
    "reconciliation.chosen": [reconciliation.chosen],
    "install.activated": [sales.install_activated],
    "sale.reversed": [ordering.sale_reversed],
    "sale.item_reversed": [ordering.item_reversed],
    "install.called_off": [ordering.install_called_off],
    "appointment.moved": [ordering.appointment_moved],
    "activation.asked": [activation.put],
    "line.opened": [feasibility.line_opened],
    "message.asked": [messaging.deliver],
    "message.replied": [sales.replied],
    "map.changed": [territory.map_changed],
    "shapes.not_drawn": [grids.draw_shapes],
    "addresses.loaded": [territory.addresses_loaded],
    "customers.loaded": [sync.customers_loaded],
    "plan.asked": [planning.make_plan],
    "leave.granted": [planning.look_around],
    "day.disturbed": [planning.replan],
    "policy.evaluation_asked": [policies.evaluation_asked],
    "policy.drifted": [policies.drifted],
    "lifecycle.due": [lifecycle.due],
    "evidence.whole": [evidence.settle_whole],
    "evidence.stored": [evidence.look_at_stored],
    "evidence.left": [evidence.remove_left],
    "privacy.agreed": [privacy.carry_out],
    "alert.pressing": [devices.alert_pressing],
    "device.wipe_asked": [devices.wipe_asked],
}

# Every so many seconds of real time, on every worker; each is safe to run on two at once.
FROM_TIME_TO_TIME: list[tuple[float, Handler]] = [
    (1.0, ordering.send_due),
    (1.0, ordering.ask_due),
    (1.0, ordering.change_due),
    (15.0, ordering.look_after_listener),
    (1.0, activation.sweep),
    (2.0, messaging.sweep),
    (2.0, messaging.poll),
    (1.0, alerts.send),
    (600.0, alerts.seal_secrets),
    (2.0, sync.wake_phones),
    (2.0, devices.wake),
    (5.0, commissions.sweep),
    (10.0, planning.look_around),
    (15.0, dispatch.end_holds),
    (5.0, feasibility.look_around),
    (5.0, sales.call_off_installs),
    (15.0, feasibility.end_reservations),
    (15.0, outages.look_out),
    (15.0, real_name.sweep),
    (20.0, dispatch.place_waiting),
    (20.0, followups.send_due),
    (30.0, territory.follow_left),
    (60.0, visits.end_cancelled),
    (60.0, visits.end_assists),
    (60.0, recovery.look_around),
    (60.0, outages.tidy),
    (60.0, grids.draw_shapes),
    (60.0, travel.ask_roads),
    (300.0, travel.learn),
    (300.0, outages.learn),
    (60.0, ordering.alert),
    (60.0, sales.confirm_agreed),
    (60.0, sales.look_after_consent),
    (60.0, sales.alert),
    (60.0, sales.give_slots_back),
    (60.0, sync.turn),
    (300.0, presence.tidy),
    (60.0, overdue.escalate),
    (60.0, overdue.alert),
    (300.0, overdue.add_up),
    (300.0, lifecycle.nightly),
    (300.0, planning.add_up),
    (300.0, reconciliation.nightly),
    (60.0, reconciliation.alert),
    (300.0, evidence.expire),
    (600.0, auth.forget_sign_ins),
    (600.0, auth.forget_answers),
    (300.0, sales.add_up),
    (600.0, policies.learn),
    (600.0, commissions.look_at_returns),
    (600.0, followups.end_expired),
    (1800.0, retention.look_around),
    (3600.0, messaging.forget),
    (3600.0, evidence.forget),
    (3600.0, privacy.forget),
    (3600.0, sync.forget),
    (3600.0, planning.warm_up),
    (3600.0, suggestions.look_ahead),
    (3600.0, suggestions.settle_outcomes),
]


@dataclass(frozen=True)
class Pace:
    """How the worker watches over itself and its like, in seconds of real time."""

    heartbeat: float = 5.0
    # A worker that has not been heard of for this long is dead, and its jobs are given to others.
    dead_after: float = 20.0
    # A living worker can lose a job too, when the connection breaks as it reports the job's end.
    stuck_after: float = 600.0
    look_every: float = 10.0
    # Between looks whether PostgreSQL is back.
    again_after: float = 1.0
    # How long running jobs may take when the worker is told to stop.
    farewell: float = 20.0


PACE = Pace()


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


async def work(settings: Settings, *, concurrency: int = 8, pace: Pace = PACE) -> None:
    """Work until cancelled or told to stop by SIGINT or SIGTERM; running jobs finish first."""
    set_up(settings)
    worker = Worker(settings, clock_from(settings.clock), open_database(settings))
    worker.database.before_commit = audit.record
    told = _stopping_when_told()
    # One after another: all at once they would wait for the same few connections, and some in vain.
    aside = [
        asyncio.create_task(_repeat(seconds, functools.partial(handler, worker), after=nth * 0.05))
        for nth, (seconds, handler) in enumerate(FROM_TIME_TO_TIME)
    ]
    try:
        while not told.is_set():
            await _work_off(worker, concurrency, pace)
    except asyncio.CancelledError:
        if not told.is_set():
            raise
    finally:
        await _end(*aside)
        await worker.close()
        await worker.database.close()


def _stopping_when_told() -> asyncio.Event:
    """Let SIGINT and SIGTERM cancel this task; the event tells that they did. A second signal ends
    the process at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    working = asyncio.current_task()
    assert working is not None

    def stop() -> None:
        told.set()
        for each in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(each)
        working.cancel()

    for each in (signal.SIGINT, signal.SIGTERM):
        # Only the main thread of a Unix process can; elsewhere the process simply ends.
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(each, stop)
    return told


async def _work_off(worker: Worker, concurrency: int, pace: Pace) -> None:
    """Work off the queue until cancelled, or until PostgreSQL goes away; first wait for it."""
    while not await reachable(worker.database):  # noqa: ASYNC110 - nothing here could tell us
        await asyncio.sleep(pace.again_after)
    app = queue(worker)
    try:
        async with app.open_async():
            rescuing = asyncio.create_task(
                _repeat(pace.look_every, functools.partial(rescue, app, pace))
            )
            try:
                await app.run_worker_async(
                    concurrency=concurrency,
                    delete_jobs="successful",
                    fetch_job_polling_interval=2.0,
                    shutdown_graceful_timeout=pace.farewell,
                    update_heartbeat_interval=pace.heartbeat,
                    stalled_worker_timeout=pace.dead_after,
                    install_signal_handlers=False,
                )
            finally:
                await _end(rescuing)
    except Exception:  # noqa: BLE001 - logged; a worker that ends leaves every job lying
        log.exception("the job queue failed; beginning anew")
    else:
        log.warning("the job queue stopped by itself; beginning anew")
    await asyncio.sleep(pace.again_after)


async def _end(*tasks: asyncio.Task[None]) -> None:
    """Cancel tasks until they have ended: `asyncio.wait_for` of Python 3.11, which the pools of
    connections wait with, can swallow a cancellation that comes together with a time-out."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=1.0)


# What failed is tried again after so many seconds, however seldom it is to happen.
_AFTER_FAILURE = 30.0


async def _repeat(
    seconds: float, action: Callable[[], Awaitable[None]], *, after: float = 0.0
) -> None:
    await asyncio.sleep(after)
    while True:
        wait = seconds
        try:
            await action()
        except Exception:  # noqa: BLE001 - logged; the next round tries again
            # One failure must not end what has to happen from time to time.
            log.exception("periodic job failed", job=getattr(action, "func", action).__name__)
            wait = min(seconds, _AFTER_FAILURE)
        await asyncio.sleep(wait)


async def rescue(app: procrastinate.App, pace: Pace) -> None:
    """Give the jobs of dead workers, and jobs that have run far too long, back to the queue."""
    dead = await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=pace.dead_after)
    stuck = await app.connector.execute_query_all_async(_STUCK, seconds=pace.stuck_after)
    for job_id in {job.id for job in dead if job.id} | {row["id"] for row in stuck}:
        # Another worker may have been quicker.
        with contextlib.suppress(procrastinate.exceptions.ConnectorException):
            await app.job_manager.retry_job_by_id_async(job_id, retry_at=wall())
            log.warning("job rescued", job=job_id)


_STUCK = """
SELECT id FROM procrastinate_jobs AS job
 WHERE status = 'doing' AND NOT EXISTS (
       SELECT FROM procrastinate_events
        WHERE job_id = job.id AND type = 'started'
          AND at > now() - make_interval(secs => %(seconds)s))
"""
