"""Comparisons, asked for and every night, and what was chosen about differences."""

from uuid import UUID

from sqlalchemy import select

from app.auth import audit
from app.core.db import new_id
from app.core.jobs import Worker
from app.core.log import log
from app.ordering.rules import OrderingFailed
from app.reconciliation import alerting, service
from app.reconciliation.models import ReconciliationRun
from app.reconciliation.rules import RunState
from app.reconciliation.service import asking


async def asked(worker: Worker, run_id: str) -> None:
    """Compare a day that somebody asked for."""
    await _run(worker, UUID(run_id))


async def chosen(worker: Worker, case_id: str) -> None:
    """Do what was chosen about a difference, where the other side has to be told."""
    await service.carry_out(worker, UUID(case_id))


async def nightly(worker: Worker) -> None:
    """Compare every night the day before, and days whose differences are still open.

    Where the other side cannot be read, the night is not done, and is tried again.
    """
    if not worker.settings.ordering_url:
        return
    now = worker.clock.now()
    async with worker.database.read() as read:
        due = await asking.night_due(read, now, worker.clock.real)
    if due is None:
        return
    cut, days = due
    for day in days:
        async with worker.database.begin() as tx:
            audit.acting(tx, "reconciliation.nightly")
            found = (
                await tx.scalars(
                    select(ReconciliationRun)
                    .where(
                        ReconciliationRun.day == day,
                        ReconciliationRun.asked_by.is_(None),
                        ReconciliationRun.asked_at >= cut,
                    )
                    .limit(1)
                )
            ).one_or_none()
            run = found or await asking.of_the_night(tx, new_id(), day, now)
            done = run.state is RunState.DONE
        if not done and not await _run(worker, run.id):
            return
    async with worker.database.begin() as tx:
        audit.acting(tx, "reconciliation.nightly")
        await asking.night_done(tx, cut, days, now)


async def alert(worker: Worker) -> None:
    """Alert units in which too many differences wait for a person, and to nights that are late."""
    nightly = bool(worker.settings.ordering_url)
    async with worker.database.begin() as tx:
        audit.acting(tx, "reconciliation.alert")
        await alerting.look(tx, worker.clock.now(), nightly=nightly)


async def _run(worker: Worker, run_id: UUID) -> bool:
    """Compare a day and tell whether it was; why it could not be stands in its row."""
    try:
        return await service.run(worker, run_id) is not None
    except OrderingFailed as failed:
        log.warning("a day could not be compared", run=str(run_id), reason=failed.told())
        return False
