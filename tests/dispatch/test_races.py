"""Many at once, with real connections and real commits: nothing is overbooked, lost or doubled."""

import asyncio
from datetime import date
from itertools import pairwise

import pytest
import shapely
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.core.jobs import Worker
from app.dispatch import jobs
from app.dispatch.service import intake
from app.grids import boundaries
from app.grids.boundaries import Shape
from app.grids.rules import MembershipKind
from app.technicians import availability
from app.technicians.availability import Promised
from app.technicians.models import TechnicianDay
from app.workorders import queries
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account
from tests.make.dispatch import make_territory, ndjson, order
from tests.make.races import until_waiting
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


@pytest.fixture
async def land(real_database):
    """Two grids; the first has a primary and a backup, the second a primary."""
    async with real_database.begin() as tx:
        territory = await make_territory(tx, grids=2)
        here, there = territory.grids
        await territory.add_technician(here, daily_minutes=300)
        await territory.add_technician(here, MembershipKind.BACKUP, daily_minutes=300)
        await territory.add_technician(there, daily_minutes=300)
    return territory


@pytest.fixture
async def callers(real_database, land):
    """A supervisor and an upstream system of the branch."""
    async with real_database.begin() as tx:
        accounts = {
            role: await make_account(tx, land.org_unit, role=role)
            for role in (Role.SUPERVISOR, Role.INTEGRATION)
        }
    return {
        role: caller_for(role, land.org_unit, account_id=account.id)
        for role, account in accounts.items()
    }


@pytest.fixture
def post(real_app, real_http, callers):
    """Post as the upstream system, or as a supervisor; whoever finds all busy comes again."""

    async def send(path, body, role=Role.INTEGRATION):
        headers = bearer(real_app, callers[role])
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        for _ in range(20):
            answer = await real_http.post(f"/v1/work-orders{path}", headers=headers, **sent)
            if answer.status_code != 503:
                break
        return answer

    return send


async def books_balance(database):
    """Check that each day holds exactly what its orders need, and nobody more than their day."""
    async with database.read() as read:
        held = {
            (row.holder_id, row.planned_day): Promised(row.minutes, row.orders)
            for row in await read.execute(
                select(
                    WorkOrder.holder_id,
                    WorkOrder.planned_day,
                    func.sum(WorkOrder.estimated_minutes).label("minutes"),
                    func.count().label("orders"),
                )
                .where(WorkOrder.state == State.ASSIGNED)
                .group_by(WorkOrder.holder_id, WorkOrder.planned_day)
            )
        }
        promised = {
            (row.technician_id, row.day): Promised(row.committed_minutes, row.orders)
            for row in await read.execute(
                select(TechnicianDay.__table__).where(TechnicianDay.orders > 0)
            )
        }
    assert promised == held
    assert all(minutes + 15 * orders <= 300 for minutes, orders in promised.values())
    return promised


async def test_fifty_at_once_never_overbook_anybody(real_database, land, post):
    """Three people have room for four each on each of eight days: 96 places for 130 orders."""
    bodies = [
        order(f"F-{n}", point=land.point_in(land.grids[n % 2]), locality=f"Street {n % 2}")
        for n in range(130)
    ]
    placed = []
    for first in range(0, 130, 50):
        answers = await asyncio.gather(*(post("", body) for body in bodies[first : first + 50]))
        assert {answer.status_code for answer in answers} == {201}
        placed += [answer.json() for answer in answers]
    states = [one["state"] for one in placed]
    # Not one place stays empty, although everybody reached for the same ones. The first grid may
    # ask all three, the second its own primary and the first grid's.
    assert states.count("received") == 0
    promised = await books_balance(real_database)
    assert sum(day.orders for day in promised.values()) == states.count("assigned")
    full = {day for day, held in promised.items() if held == Promised(240, 4)}
    assert full == promised.keys()
    assert len({technician for technician, _ in full}) == 3
    assert {one["unplaced_reason"] for one in placed} == {None, "no_minutes_left"}


async def test_large_files_at_once_never_overbook_anybody(real_database, land, post):
    files = [
        ndjson(
            *(
                order(f"{name}-{n}", point=land.point_in(land.grids[n % 2]), locality="x")
                for n in range(40)
            )
        )
        for name in "ABCD"
    ]
    answers = await asyncio.gather(*(post("/bulk", body) for body in files))
    verdicts = b"".join(answer.content for answer in answers)
    assert verdicts.count(b'"verdict":"waiting"') == verdicts.count(b'"verdict":"refused"') == 0
    promised = await books_balance(real_database)
    assert sum(day.orders for day in promised.values()) == verdicts.count(b'"verdict":"placed"')


async def test_the_same_order_sent_many_times_at_once_is_taken_in_once(real_database, land, post):
    body = order(point=land.point_in(land.grids[0]))
    answers = await asyncio.gather(*(post("", body) for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200] * 9 + [201]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert await books_balance(real_database) == {(land.people[0].id, TODAY): Promised(60, 1)}


async def test_the_same_file_sent_twice_at_once_is_taken_in_once(real_database, land, post):
    orders = [order(f"F-{n}", point=land.point_in(land.grids[n % 2])) for n in range(30)]
    there, back = await asyncio.gather(
        post("/bulk", ndjson(*orders)), post("/bulk", ndjson(*reversed(orders)))
    )
    verdicts = there.content + back.content
    assert verdicts.count(b'"verdict":"duplicate"') == 30
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(WorkOrder)) == 30
    await books_balance(real_database)


async def test_of_two_dispatchers_one_wins_and_the_other_is_told(real_database, land, post):
    placed = (await post("", order(point=land.point_in(land.grids[0])))).json()
    hands = [
        {
            "technician_id": str(technician.id),
            "day": "2026-03-02",
            "reason": "mine",
            "version": placed["version"],
        }
        for technician in land.people[1:]
    ]
    answers = await asyncio.gather(
        *(post(f"/{placed['id']}/assign", hand, Role.SUPERVISOR) for hand in hands)
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [won], [lost] = (
        [answer.json() for answer in answers if answer.status_code == status]
        for status in (200, 409)
    )
    assert lost["type"] == "urn:yingwei:problem:order-changed-meanwhile"
    assert lost["facts"]["holder_id"] == won["holder_id"]
    assert len(await books_balance(real_database)) == 1


async def test_two_dispatchers_do_not_overbook_the_same_day(real_database, land, post, clock):
    """Room for one more: two other orders are given to the same person at once."""
    async with real_database.begin() as tx:
        await availability.change(tx, {(land.people[0].id, TODAY): Promised(180, 3)})
        rows = [
            await make_work_order(tx, now=clock.now(), org_unit=land.org_unit, state=State.LOCATED)
            for _ in range(2)
        ]
    answers = await asyncio.gather(
        *(
            post(
                f"/{row.id}/assign",
                {
                    "technician_id": str(land.people[0].id),
                    "day": "2026-03-02",
                    "reason": "near",
                    "version": 1,
                },
                Role.SUPERVISOR,
            )
            for row in rows
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    [lost] = [answer.json() for answer in answers if answer.status_code == 409]
    assert lost["facts"]["why"] == "no_minutes_left"
    async with real_database.read() as read:
        assert await availability.promised(read, land.people[0].id, TODAY) == Promised(240, 4)


async def test_orders_swapped_between_two_people_at_once_do_not_dead_lock(
    real_database, land, clock
):
    """Each transaction takes from one day and gives to the other; the days are locked in order."""
    people = [technician.id for technician in land.people[:2]]
    async with real_database.begin() as tx:
        rows = [
            await make_work_order(tx, now=clock.now(), org_unit=land.org_unit, state=State.LOCATED)
            for _ in people
        ]
        for row, person in zip(rows, people, strict=True):
            await take_step(
                tx, row, Step.ASSIGN, now=clock.now(), holder_id=person, planned_day=TODAY
            )

    async def swap(row_id, person):
        async with real_database.begin() as tx:
            row = await queries.for_change(tx, row_id)
            await take_step(
                tx, row, Step.ASSIGN, now=clock.now(), holder_id=person, planned_day=TODAY
            )

    for _ in range(10):
        people.reverse()
        await asyncio.gather(
            *(swap(row.id, person) for row, person in zip(rows, people, strict=True))
        )
    held = await books_balance(real_database)
    assert held == {(person, TODAY): Promised(60, 1) for person in people}


async def test_two_workers_place_what_waits_once(real_database, land, clock, settings):
    async with real_database.begin() as tx:
        for _ in range(20):
            await make_work_order(
                tx,
                now=clock.now(),
                org_unit=land.org_unit,
                state=State.LOCATED,
                grid_id=land.grids[0].id,
                point=(112.005, 28.005),
            )
    worker = Worker(settings, clock, real_database)
    await asyncio.gather(*(jobs.place_waiting(worker) for _ in range(3)))
    promised = await books_balance(real_database)
    assert sum(day.orders for day in promised.values()) == 20
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(WorkOrderEvent)) == 20


async def test_a_technician_sets_out_while_the_point_is_flagged(real_database, land, post, clock):
    """The order that is begun first stays; the flagging waits for it and leaves it alone."""
    point = land.point_in(land.grids[0])
    early = (await post("", order("F-0", point=point, locality="Street 0"))).json()
    async with real_database.begin() as tx:
        row = await queries.for_change(tx, early["id"])
        await take_step(tx, row, Step.ACKNOWLEDGE, now=clock.now())
        await take_step(tx, row, Step.TRAVEL, now=clock.now())
        flagging = asyncio.create_task(
            post(
                "/bulk",
                ndjson(
                    *(order(f"F-{n}", point=point, locality=f"Street {n}") for n in range(1, 8))
                ),
            )
        )
        await until_waiting(real_database)
    answer = await flagging
    assert answer.content.count(b'"reason":"shared_point"') == 7
    async with real_database.read() as read:
        assert (
            await read.scalar(select(WorkOrder.state).where(WorkOrder.id == early["id"]))
            is State.EN_ROUTE
        )
        assert await availability.promised(read, land.people[0].id, TODAY) == Promised(60, 1)


async def test_history_stands_in_the_order_of_what_happened(real_database, land, post):
    placed = (await post("", order(point=land.point_in(land.grids[0])))).json()
    async with real_database.read() as read:
        events = await queries.history(read, placed["id"])
    assert [event.to_state for event in events] == ["received", "located", "assigned"]
    assert all(before.id < after.id for before, after in pairwise(events))


async def test_nothing_of_a_failed_intake_remains(real_database, land, post, monkeypatch):
    async def fails(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(intake, "write_decisions", fails)
    answer = await post("", order(point=land.point_in(land.grids[0])))
    assert answer.status_code == 500
    async with real_database.read() as read:
        for table in ("work_order", "work_order_event", "point_locality"):
            assert await read.scalar(text(f"SELECT count(*) FROM {table}")) == 0
        assert await read.scalar(select(func.coalesce(func.sum(TechnicianDay.orders), 0))) == 0


async def test_an_order_taken_in_while_the_map_changes_goes_by_the_new_map(
    real_database, land, post, clock
):
    here, there = land.grids
    point = land.point_in(here)
    # The process holds yesterday's map.
    assert (await post("", order("F-1", point=point))).json()["grid_id"] == str(here.id)
    async with real_database.begin() as tx:
        await boundaries.alone(tx)
        await boundaries.end(tx, [here.id], now=clock.now())
        whole = shapely.MultiPolygon([shapely.box(112.0, 28.0, 112.02, 28.01)])
        await boundaries.reshape(tx, {there.id: Shape(whole, 2e6)}, source="test", now=clock.now())
        sending = asyncio.create_task(post("", order("F-2", point=point)))
        await until_waiting(real_database)
    assert (await sending).json()["grid_id"] == str(there.id)
