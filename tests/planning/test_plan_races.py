"""A plan published while others work, with real connections and commits; and by command line."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import text

from app.core.clock import CompressedClock, wall
from app.core.db import Database, new_id
from app.core.settings import Settings
from app.planning.command import Options, again, plan
from app.planning.rules import PlanState
from app.planning.rules.wishes import Wish
from app.planning.service import asking
from app.planning.service.making import make
from app.planning.service.publishing import publish
from app.workorders import queries as workorders
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.dispatch import make_territory
from tests.make.planning import NINE, TOMORROW, home_in, make_visit
from tests.make.races import until_waiting


@pytest.fixture
async def land(real_database):
    """Two grids with their primaries, and six orders that the wrong one of them holds."""
    async with real_database.begin() as tx:
        land = await make_territory(tx, grids=2)
        for grid in land.grids:
            await land.add_technician(grid, home_point=home_in(land, grid), daily_minutes=600)
        visits = [
            await make_visit(
                tx, land, land.grids[number % 2], holder=land.people[1 - number % 2], east=0.4
            )
            for number in range(6)
        ]
    return land, visits


async def drafted(database: Database, clock, land):
    land, _ = land
    async with database.begin() as tx:
        unit = (await workorders.org_units(tx, ids={land.org_unit.id})).by_id[land.org_unit.id]
        wish = Wish(new_id(), TOMORROW, iterations=2_000)
        await asking.ask(tx, wish, unit, None, now=NINE, told=False)
    assert await make(database, clock, wish.id) is PlanState.DRAFT
    return wish.id


_DAYS = text(
    """
    SELECT (SELECT json_agg(json_build_array(technician_id, committed_minutes, orders)
                            ORDER BY technician_id)
            FROM technician_day WHERE orders > 0)::text
        = (SELECT json_agg(json_build_array(holder_id, minutes, orders) ORDER BY holder_id)
           FROM (SELECT holder_id, sum(estimated_minutes)::bigint AS minutes, count(*) AS orders
                 FROM work_order WHERE holder_id IS NOT NULL GROUP BY 1) AS held)::text
    """
)


async def test_who_was_quicker_wins_and_the_days_hold_what_they_should(real_database, clock, land):
    plan_id = await drafted(real_database, clock, land)
    land, [mine, *_] = land
    async with real_database.begin() as tx:
        order = await workorders.for_change(tx, mine.id)
        await take_step(tx, order, Step.ACKNOWLEDGE, now=NINE)

        async def publishing():
            async with real_database.begin() as other:
                return await publish(other, plan_id, None, now=NINE)

        published = asyncio.create_task(publishing())
        await until_waiting(real_database)
    made = await published
    assert made.score["published"] == {"taken": 5, "taken_back": 0, "left": 1}
    async with real_database.read() as read:
        assert await read.scalar(_DAYS)
        holder = await read.scalar(
            text("SELECT holder_id FROM work_order WHERE id = :id"), {"id": mine.id}
        )
    assert holder == land.people[1].id


async def test_two_who_publish_at_once_publish_once(real_database, clock, land):
    plan_id = await drafted(real_database, clock, land)

    async def publishing():
        async with real_database.begin() as tx:
            return (await publish(tx, plan_id, None, now=NINE)).score["published"]["taken"]

    assert set(await asyncio.gather(publishing(), publishing())) == {6}
    async with real_database.read() as read:
        assert await read.scalar(_DAYS)
        steps = await read.scalar(
            text("SELECT count(*) FROM work_order_event WHERE reason = 'by_plan'")
        )
    assert steps == 6


async def test_a_day_is_planned_and_published_by_command_line(
    real_database, land, tmp_path, capsys
):
    settings = Settings(
        database_url=real_database.engine.url.render_as_string(hide_password=False),
        signing_keys=tmp_path / "keys",
        clock=CompressedClock(NINE, wall(), 1.0, timedelta(days=7)).text(),
    )
    options = Options(land[0].org_unit.code, TOMORROW, iterations=2_000, publishes=True)
    made = await asyncio.to_thread(plan, settings, options)
    said = capsys.readouterr().out
    assert "published: 6 orders given" in said
    assert "orders placed" in said and "6 of 6" in said
    assert await asyncio.to_thread(again, settings, made.id)
    assert "the same to the last visit" in capsys.readouterr().out
