"""Runs over all customers, on a database with real commits."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.core.jobs import Worker
from app.lifecycle import jobs
from app.lifecycle.models import CustomerLifecycle, LifecycleRun
from app.lifecycle.service import judging, running
from tests.conftest import MONDAY_NINE
from tests.make.auth import make_org_unit
from tests.make.standing import make_card, make_town

LATER = MONDAY_NINE + timedelta(days=45)


class Stopped(Exception):
    """Somebody stopped the run."""


async def standing(database):
    async with database.read() as read:
        rows = await read.execute(
            text(
                "SELECT to_jsonb(l) - 'computed_at' FROM customer_lifecycle l ORDER BY customer_id"
            )
        )
        return [row[0] for row in rows]


async def changes(database):
    async with database.read() as read:
        rows = await read.execute(
            text(
                "SELECT customer_id, kind, before, after, rule, warns FROM lifecycle_change"
                " ORDER BY customer_id, kind"
            )
        )
        return [tuple(row) for row in rows]


async def tasks(database):
    async with database.read() as read:
        found = await read.execute(text("SELECT task_name, args FROM procrastinate_jobs"))
        return [(row.task_name, row.args) for row in found]


async def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(real_database, settings, clock):
    async with real_database.begin() as tx:
        unit = await make_org_unit(tx)
        await make_card(tx)
        ids = await make_town(tx, unit, MONDAY_NINE.date(), MONDAY_NINE, count=60, seed=9)
    first = await running.run(real_database, MONDAY_NINE, action="test", size=20)
    assert first is not None
    assert first.told == (60, 60, 0, 0)

    def stop(done, of):
        assert of == 60
        raise Stopped

    with pytest.raises(ExceptionGroup):
        await running.run(real_database, LATER, action="test", size=20, progress=stop)
    assert len(await changes(real_database)) > 0
    assert await tasks(real_database) == []
    again = await running.run(real_database, LATER, action="test", size=20)
    assert again is not None
    ended, found = await standing(real_database), await changes(real_database)
    # Nothing was found twice, and the run that was gone on with tells of all warnings.
    assert len(found) == len({(customer, kind) for customer, kind, *_ in found})
    async with real_database.read() as read:
        runs = (await read.scalars(select(LifecycleRun).order_by(LifecycleRun.id))).all()
    assert [run.finished_at for run in runs] == [MONDAY_NINE, LATER]
    assert (runs[1].changes, runs[1].warnings) == (len(found), sum(one[-1] for one in found))
    assert await tasks(real_database) == [("lifecycle.warned", {"run_id": str(again.run_id)})]

    third = await running.run(real_database, LATER + timedelta(hours=1), action="test", size=25)
    assert third is not None
    assert third.told == (60, 0, 0, 0)
    assert (await standing(real_database), await changes(real_database)) == (ended, found)

    # A look at some says what the run has said.
    async with real_database.begin() as tx:
        assert await judging.judge_some(tx, ids[:40], LATER) == (40, 0, 0, 0)

    # The worker has a night to do, and does it once.
    worker = Worker(settings, clock, real_database)
    for _ in range(2):
        await jobs.nightly(worker)
    async with real_database.read() as read:
        nights = await read.scalar(text("SELECT count(*) FROM night WHERE work = 'lifecycle'"))
        known = await read.scalar(select(CustomerLifecycle.customer_id).limit(1))
    assert (nights, known is not None) == (1, True)


async def test_only_one_runs_at_a_time(real_database):
    async with real_database.begin() as tx:
        await make_org_unit(tx)
    async with real_database.begin() as holder:
        await holder.execute(
            text("SELECT pg_advisory_xact_lock(hashtextextended('night:lifecycle', 0))")
        )
        assert await running.run(real_database, MONDAY_NINE, action="test") is None
