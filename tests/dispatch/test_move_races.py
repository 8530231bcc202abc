"""Moves beside others, with real connections and commits: one wins, nothing is lost or doubled."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.dispatch.models import BulkMove
from app.grids.rules import MembershipKind
from app.technicians.availability import Promised
from app.technicians.models import TechnicianDay
from app.workorders import queries
from app.workorders.models import WorkOrder
from app.workorders.rules import HELD, State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account
from tests.make.dispatch import make_territory, ndjson, order
from tests.make.races import until_waiting
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


@pytest.fixture
async def land(real_database):
    """A grid with a primary and two backups."""
    async with real_database.begin() as tx:
        territory = await make_territory(tx)
        await territory.add_technician(territory.grids[0])
        for rank in (1, 2):
            await territory.add_technician(territory.grids[0], MembershipKind.BACKUP, rank=rank)
    return territory


@pytest.fixture
async def rows(real_database, land, clock):
    """Six orders that the primary has today."""
    async with real_database.begin() as tx:
        made = []
        for _ in range(6):
            row = await make_work_order(
                tx,
                now=clock.now(),
                org_unit=land.org_unit,
                state=State.LOCATED,
                grid_id=land.grids[0].id,
                point=(112.005, 28.005),
                estimated_minutes=30,
            )
            holder = land.people[0].id
            made.append(
                await take_step(
                    tx, row, Step.ASSIGN, now=clock.now(), holder_id=holder, planned_day=TODAY
                )
            )
    return made


@pytest.fixture
async def post(real_database, real_app, real_http, land):
    async with real_database.begin() as tx:
        accounts = {
            role: await make_account(tx, land.org_unit, role=role)
            for role in (Role.SUPERVISOR, Role.INTEGRATION)
        }

    async def send(path, role=Role.SUPERVISOR, content=None, **body):
        caller = caller_for(role, land.org_unit, account_id=accounts[role].id)
        sent = {"content": content} if content else {"json": body}
        return await real_http.post(
            f"/v1/work-orders{path}", headers=bearer(real_app, caller), **sent
        )

    return send


def give(rows, technician, **fields):
    return {
        "id": str(new_id()),
        "kind": "give",
        "reason": "Zhang is ill",
        "rows": [{"order_id": str(row.id), "version": row.version} for row in rows],
        "technician_id": str(technician.id),
        **fields,
    }


async def books_balance(database):
    """Check that each day holds exactly what its orders need; return who holds how many."""
    async with database.read() as read:
        held = {
            row.holder_id: Promised(row.minutes, row.orders)
            for row in await read.execute(
                select(
                    WorkOrder.holder_id,
                    func.sum(WorkOrder.estimated_minutes).label("minutes"),
                    func.count().label("orders"),
                )
                .where(WorkOrder.state.in_(HELD))
                .group_by(WorkOrder.holder_id)
            )
        }
        promised = {
            row.technician_id: Promised(row.committed_minutes, row.orders)
            for row in await read.execute(
                select(TechnicianDay.__table__).where(TechnicianDay.orders > 0)
            )
        }
    assert promised == held
    return {technician_id: day.orders for technician_id, day in held.items()}


async def test_of_two_who_move_the_same_orders_one_is_told(real_database, land, rows, post):
    """They name them in opposite order; neither waits for ever, and nothing is half done."""
    _, second, third = land.people
    answers = await asyncio.gather(
        post("/moves", **give(rows, second)), post("/moves", **give(rows[::-1], third))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    [lost] = [answer for answer in answers if answer.status_code == 409]
    told = lost.json()["facts"]["rows"]
    assert len(told) == 6
    assert {why["reason"] for row in told for why in row["reasons"]} == {"changed_meanwhile"}
    held = await books_balance(real_database)
    assert held in ({second.id: 6}, {third.id: 6})


async def test_sent_twice_at_once_it_is_done_once(real_database, land, rows, post):
    command = give(rows, land.people[1])
    answers = await asyncio.gather(*(post("/moves", **command) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [201] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(BulkMove)) == 1
        assert len(await queries.history(read, rows[0].id)) == 2


async def test_orders_arrive_while_a_day_is_handed_over(real_database, land, rows, post):
    """Those that arrive want the days that the move empties and fills; the books balance."""
    arriving = [
        order(f"F-{n}", point=land.point_in(land.grids[0]), estimated_minutes=30, locality="x")
        for n in range(24)
    ]
    files = [ndjson(*arriving[n::3]) for n in range(3)]
    move, *bulks = await asyncio.gather(
        post("/moves", **give(rows, land.people[1], override=True)),
        *(post("/bulk", role=Role.INTEGRATION, content=one) for one in files),
    )
    assert move.status_code == 201, move.text
    verdicts = b"".join(answer.content for answer in bulks)
    assert verdicts.count(b'"verdict":"placed"') == 24
    assert sum((await books_balance(real_database)).values()) == 30


async def test_a_technicians_step_that_comes_first_stops_the_undoing(
    real_database, land, rows, post, clock
):
    move = (await post("/moves", **give(rows, land.people[1]))).json()
    undo = {"id": str(new_id()), "reason": "the wrong Li"}
    async with real_database.begin() as tx:
        row = await queries.for_change(tx, rows[3].id)
        await take_step(tx, row, Step.ACKNOWLEDGE, now=clock.now())
        undoing = asyncio.create_task(post(f"/moves/{move['id']}/undo", **undo))
        await until_waiting(real_database)
    told = await undoing
    assert told.status_code == 409
    assert [row["order_id"] for row in told.json()["facts"]["rows"]] == [str(rows[3].id)]
    assert await books_balance(real_database) == {land.people[1].id: 6}


async def test_of_two_undoings_at_once_one_is_told(real_database, land, rows, post):
    move = (await post("/moves", **give(rows, land.people[1]))).json()
    answers = await asyncio.gather(
        *(
            post(f"/moves/{move['id']}/undo", id=str(new_id()), reason="the wrong Li")
            for _ in range(2)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    [lost] = [answer for answer in answers if answer.status_code == 409]
    assert lost.json()["type"].endswith("move-undone")
    assert await books_balance(real_database) == {land.people[0].id: 6}
