"""Two workers in one night, with real connections: what is learned is written once."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import func, select

from app.core import nights
from app.core.jobs import Worker
from app.core.nights import Night
from app.core.settings import Settings
from app.planning import jobs as planning
from app.planning.models import WorkloadDay
from app.travel import jobs as travel
from app.travel import service
from app.travel.models import Trip
from tests.make.dispatch import make_territory
from tests.make.history import History, door_in, local

SATURDAY, SUNDAY = date(2026, 2, 28), date(2026, 3, 1)


async def days_of_one(database):
    """Write two days of two visits each, of somebody who works every day."""
    async with database.begin() as tx:
        land = await make_territory(tx, grids=2)
        lee = await land.add_technician(None, home_point="SRID=4326;POINT(112.005 28.005)")
        history = History()
        for day in (SATURDAY, SUNDAY):
            for hour in (8, 10):
                history.visit(lee, door_in(land.grids, land.grids[1]), local(day, hour), 500)
        await history.write(tx)


async def test_two_workers_learn_and_add_up_each_night_once(real_database, clock):
    await days_of_one(real_database)
    workers = [Worker(Settings(), clock, real_database) for _ in range(4)]
    # Whoever finds somebody at it lets it be; so both come again, as workers do.
    for _ in range(2):
        await asyncio.gather(*(travel.learn(worker) for worker in workers))
        await asyncio.gather(*(planning.add_up(worker) for worker in workers))
    async with real_database.read() as read:
        done = await read.execute(select(Night.work, func.count()).group_by(Night.work))
        assert sorted(map(tuple, done)) == [("planning", 2), ("travel", 2)]
        assert await read.scalar(select(func.count()).select_from(Trip)) == 4
        rows = await read.execute(
            select(WorkloadDay.day, WorkloadDay.visits, WorkloadDay.work_seconds)
        )
        assert sorted(map(tuple, rows)) == [(SATURDAY, 2, 3_600), (SUNDAY, 2, 3_600)]


async def test_who_comes_while_another_is_at_it_does_not_wait(real_database, clock):
    await days_of_one(real_database)
    async with real_database.begin() as first:
        assert await nights.alone(first, "travel")
        async with real_database.begin() as second:
            assert await service.learn(second, clock.now()) is None
    async with real_database.begin() as tx:
        learned = await service.learn(tx, clock.now())
        assert learned is not None and learned.trips == 2


async def test_a_night_that_was_broken_off_is_done_from_its_beginning(real_database, clock):
    await days_of_one(real_database)

    async def broken_off():
        async with real_database.begin() as tx:
            assert await service.learn(tx, clock.now()) is not None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await broken_off()
    worker = Worker(Settings(), clock, real_database)
    await travel.learn(worker)
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(Trip)) == 4
