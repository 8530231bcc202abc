"""Redrawing beside others: two supervisors at one border, orders that come in, workers that die."""

import asyncio
import sys
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.clock import SystemClock
from app.core.parameter_values import ParameterValue
from app.core.settings import Settings
from app.customers.models import Customer
from app.demo.processes import Process
from app.grids import boundaries
from app.grids.models import Grid, GridBoundary
from app.territory.command import relocate
from app.territory.models import AddressGrid
from app.territory.service.relocation import LANES, Relocation
from tests.make.auth import bearer, caller_for
from tests.make.dispatch import order
from tests.make.grids import SINCE
from tests.make.races import until_waiting
from tests.make.redraw import (
    ACROSS,
    EAST,
    NORTH,
    SIDE,
    SOUTH,
    WEST,
    Land,
    command,
    make_land,
    part,
    seen,
    square,
)

PATIENCE_SECONDS = 60


@pytest.fixture
async def real_land(real_database, real_app, real_http) -> Land:
    """Two grids and their supervisor, committed."""
    async with real_database.begin() as tx:
        return await make_land(tx, real_app, real_http)


async def test_of_two_who_move_one_border_one_wins_and_the_other_sees_why(real_land):
    west = square(EAST - 0.002, EAST)
    east = square(EAST, EAST + 0.002)
    bodies = [
        command("move_border", real_land.a, neighbour=seen(real_land.b), area=west),
        command("move_border", real_land.b, neighbour=seen(real_land.a), area=east),
    ]
    answers = await asyncio.gather(*(real_land.supervisor.post(body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    lost = next(n for n, answer in enumerate(answers) if answer.status_code == 409)
    problem = answers[lost].json()
    assert problem["type"] == "urn:yingwei:problem:grid-changed-meanwhile"
    assert problem["facts"]["by"] == "li-banzhang"
    assert problem["facts"]["kind"] == "move_border"
    again = {
        **bodies[lost],
        "grid": {**bodies[lost]["grid"], "version": 2},
        "neighbour": {**bodies[lost]["neighbour"], "version": 2},
    }
    assert (await real_land.supervisor.post(again)).status_code == 201


async def test_the_same_command_sent_twice_at_once_is_done_once(real_land, real_database):
    body = command("split", real_land.a, line=ACROSS, parts=[part("A2")])
    answers = await asyncio.gather(*(real_land.supervisor.post(body) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json()["told"] == answers[1].json()["told"] == answers[2].json()["told"]
    async with real_database.read() as read:
        assert await read.scalar(select(func.count(GridBoundary.id))) == 4


async def test_an_order_that_comes_in_meanwhile_is_placed_by_the_new_map(
    real_land, real_database, real_app, real_http
):
    headers = bearer(real_app, caller_for(Role.ADMIN, real_land.branch))
    point = {"lon": EAST - 0.002, "lat": SOUTH + 0.005, "coordsys": "wgs84"}
    body = command("split", real_land.a, line=ACROSS, keep=[WEST, SOUTH], parts=[part("A2")])
    async with real_database.begin() as tx:
        await boundaries.alone(tx)  # somebody is redrawing; both wait, in their order
        redrawing = asyncio.create_task(real_land.supervisor.post(body))
        await until_waiting(real_database, number=1)
        taking_in = asyncio.create_task(
            real_http.post("/v1/work-orders", json=order(point=point), headers=headers)
        )
        await until_waiting(real_database, number=2)
    assert (await redrawing).status_code == 201
    answer = await taking_in
    assert answer.status_code == 201, answer.text
    async with real_database.read() as read:
        grids = (
            await read.execute(
                text("SELECT g.code FROM work_order w JOIN grid g ON g.id = w.grid_id")
            )
        ).all()
    assert grids == [("A2",)]


# --- many addresses -------------------------------------------------------------------------------

MANY = 800
_ADDRESSES = text(
    """
    WITH made AS (
        INSERT INTO service_address (id, customer_id, code, standard_address, locality, point)
        SELECT gen_random_uuid(), :customer, 'A' || n, '碧波路' || n || '号', '碧波园',
            ST_SetSRID(ST_MakePoint(:west + random() * :width, :south + random() * :height), 4326)
        FROM generate_series(1, :many) AS n
        RETURNING id
    )
    INSERT INTO address_to_locate (service_address_id) SELECT id FROM made
    """
)
# The worker of production with a quicker pace of looking after the jobs of the dead.
WORKER = """
import asyncio
from app.core.settings import Settings
from app.worker import Pace, work
asyncio.run(work(Settings(), pace=Pace(heartbeat=0.5, dead_after=3, look_every=1)))
"""


@pytest.fixture
async def crowded(real_land: Land, real_database) -> Land:
    """The same with 800 addresses, located; from now on in batches of five."""
    async with real_database.begin() as tx:
        customer = Customer(
            org_unit_id=real_land.branch.id,
            code="C1",
            name="王小明",
            phone="15400001234",
            segment="household",
            as_of=SINCE,
        )
        tx.add(customer)
        await tx.flush()
        given = {
            "customer": customer.id,
            "many": MANY,
            "west": WEST,
            "south": SOUTH,
            "width": 2 * SIDE,
            "height": NORTH - SOUTH,
        }
        await tx.execute(_ADDRESSES, given)
    located = await Relocation(real_database, SystemClock(), "test").run()
    assert located == MANY
    async with real_database.begin() as tx:
        tx.add(ParameterValue(name="grids.relocation_batch", valid_from=SINCE, value=5))
    real_database.cache.pop("parameters")
    return real_land


async def each_in_one_grid(database) -> dict[str | None, int]:
    """Count the addresses by grid, and compare each with what PostGIS says."""
    async with database.read() as read:
        wrong = await read.scalar(
            text(
                "SELECT count(*) FROM service_address a"
                " LEFT JOIN address_grid g ON g.service_address_id = a.id"
                " LEFT JOIN grid_boundary b ON b.grid_id = g.grid_id AND b.valid_to IS NULL"
                " WHERE g.grid_id IS NULL OR NOT ST_Covers(b.boundary, a.point)"
            )
        )
        assert wrong == 0
        rows = await read.execute(
            select(Grid.code, func.count())
            .join(AddressGrid, AddressGrid.grid_id == Grid.id)
            .group_by(Grid.code)
        )
        return dict(rows.all())


async def left(database) -> int:
    """How many addresses wait, and the changes that nobody has followed count as one."""
    async with database.read() as read:
        return int(
            await read.scalar(
                text(
                    "SELECT (SELECT count(*) FROM address_to_locate) + (SELECT count(*)"
                    " FROM grid_change c WHERE NOT EXISTS (SELECT FROM grid_relocation r"
                    "  WHERE r.change_id = c.id AND r.done_at IS NOT NULL))"
                )
            )
            or 0
        )


async def until_done(database) -> None:
    """Return as soon as nothing is left."""
    give_up = asyncio.get_running_loop().time() + PATIENCE_SECONDS
    while number := await left(database):
        assert asyncio.get_running_loop().time() < give_up, number
        await asyncio.sleep(0.05)


# The later half, by id, of the addresses of one grid: whoever follows the map in the order of ids
# comes to a stop there, in the middle of its work.
_HOLD = text(
    """
    SELECT service_address_id FROM address_grid WHERE service_address_id IN (
        SELECT service_address_id FROM address_grid WHERE grid_id = :grid
        ORDER BY service_address_id OFFSET 100)
    FOR UPDATE
    """
)
# Starting a worker may take a busy machine longer than a transaction may be idle.
_PATIENTLY = text("SET LOCAL idle_in_transaction_session_timeout = 0")
# A server finds out by itself that a client is dead, but only after the wait that it is in.
_END_WHO_WAITS = text(
    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


async def test_what_a_killed_worker_leaves_another_one_finishes(crowded, real_database, tmp_path):
    made = await crowded.supervisor.make(
        command("split", crowded.a, line=ACROSS, keep=[WEST, SOUTH], parts=[part("A2")])
    )
    assert made["relocation"]["state"] == "waiting"
    url = real_database.engine.url.render_as_string(hide_password=False)
    environment = {"DATABASE_URL": url, "YINGWEI_LOG_LEVEL": "WARNING"}
    first, second = [
        Process(name, [sys.executable, "-c", WORKER], environment, tmp_path / f"{name}.log")
        for name in ("first", "second")
    ]
    try:
        async with real_database.begin() as tx:
            await tx.execute(_PATIENTLY)
            await tx.execute(_HOLD, {"grid": crowded.a.id})
            await asyncio.to_thread(first.start)
            await until_waiting(real_database, number=LANES)
            await asyncio.to_thread(first.kill)
            await tx.execute(_END_WHO_WAITS)
        assert 1 < await left(real_database) < made["told"]["addresses"]["affected"]
        await asyncio.to_thread(second.start)
        await until_done(real_database)
    finally:
        await asyncio.to_thread(first.kill)
        await asyncio.to_thread(second.kill)
    counts = await each_in_one_grid(real_database)
    assert sum(counts.values()) == MANY
    assert counts.keys() == {"A", "A2", "B"}
    progress = (await crowded.supervisor.read(f"/grid-changes/{made['id']}"))["relocation"]
    assert (progress["state"], progress["left"]) == ("done", 0)


async def test_any_number_may_work_at_once_and_each_address_is_located_once(crowded, real_database):
    made = await crowded.supervisor.make(command("merge", crowded.a, others=[seen(crowded.b)]))
    others = [Relocation(real_database, SystemClock(), "test") for _ in range(2)]
    await others[0].follow(UUID(made["id"]))
    counts = await asyncio.gather(*(one.run() for one in others))
    assert sum(counts) == MANY
    assert await each_in_one_grid(real_database) == {"A": MANY}


async def test_the_command_line_follows_what_no_worker_has(crowded, real_database, capsys):
    await crowded.supervisor.make(command("retire", crowded.b, heir=seen(crowded.a)))
    url = real_database.engine.url.render_as_string(hide_password=False)
    count = await asyncio.to_thread(relocate, Settings(database_url=url))
    assert count == MANY
    assert f"{MANY:,} addresses located anew; nothing is left" in capsys.readouterr().out
    assert await each_in_one_grid(real_database) == {"A": MANY}
    assert await asyncio.to_thread(relocate, Settings(database_url=url)) == 0


async def test_redrawing_while_addresses_follow_loses_nobody(crowded, real_database):
    """A border moves in the middle of a relocation: whoever was located already is so again."""
    first = await crowded.supervisor.make(
        command("split", crowded.a, line=ACROSS, keep=[WEST, SOUTH], parts=[part("A2")])
    )
    relocation = Relocation(real_database, SystemClock(), "test")
    await relocation.follow(UUID(first["id"]))
    area = square(EAST - 0.002, EAST)
    async with real_database.read() as read:
        a2 = (await read.scalars(select(Grid.id).where(Grid.code == "A2"))).one()
    body = command("move_border", crowded.a, neighbour=seen(crowded.b), area=area)
    body["grid"] = {"id": str(a2), "version": 1}
    async with real_database.begin() as tx:
        await tx.execute(_PATIENTLY)
        await tx.execute(_HOLD, {"grid": crowded.a.id})
        running = asyncio.create_task(relocation.run())
        await until_waiting(real_database, number=LANES)
        assert 1 < await left(real_database) < first["told"]["addresses"]["affected"]
        redrawing = asyncio.create_task(crowded.supervisor.make(body))
        await until_waiting(real_database, number=LANES + 1)
    second = await redrawing
    await running
    await relocation.follow(UUID(second["id"]))
    await relocation.run()
    counts = await each_in_one_grid(real_database)
    assert sum(counts.values()) == MANY
