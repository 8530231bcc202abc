"""Many want the same slots at once, with real connections and commits: nothing is overbooked."""

import asyncio
import random
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch import jobs
from app.dispatch.queries import windows
from app.dispatch.rules import kept_together
from app.grids.rules import MembershipKind
from app.technicians import availability
from tests.dispatch.appointing import Desk, at
from tests.make.auth import bearer, caller_for, make_account
from tests.make.dispatch import make_territory, order
from tests.make.races import until_waiting
from tests.make.slots import holding, make_slots

TUESDAY = date(2026, 3, 3)
MINUTES, ALLOWANCE = 300, 15


@pytest.fixture
async def land(real_database):
    """A grid with a primary and a backup."""
    async with real_database.begin() as tx:
        land = await make_territory(tx)
        await land.add_technician(land.grids[0], daily_minutes=MINUTES)
        await land.add_technician(land.grids[0], MembershipKind.BACKUP, daily_minutes=MINUTES)
        await make_slots(tx)
    return land


class Patient(Desk):
    """Whoever finds all connections busy comes again."""

    async def post(self, path, body=None):
        for _ in range(100):
            answer = await super().post(path, body)
            if answer.status_code != 503:
                break
        return answer


@pytest.fixture
async def crm(real_database, real_app, real_http, land):
    async with real_database.begin() as tx:
        account = await make_account(tx, land.org_unit, role=Role.INTEGRATION)
    desk = Patient(real_app, real_http, land)
    desk.headers = bearer(
        real_app, caller_for(Role.INTEGRATION, land.org_unit, account_id=account.id)
    )
    return desk


@pytest.fixture
def here(land):
    return land.point_in(land.grids[0])


def repair(here, **fields):
    """A hold for a repair, which may use the reserve."""
    return holding(here, work_type="repair", **fields)


_TAKEN = text(
    """
    SELECT technician_id, day, sum(minutes)::int, sum(orders)::int FROM (
        SELECT holder_id AS technician_id, planned_day AS day, estimated_minutes AS minutes,
            1 AS orders
        FROM work_order
        WHERE state IN ('assigned', 'acknowledged', 'en_route', 'on_site', 'suspended')
        UNION ALL
        SELECT technician_id, day, reserved_minutes, reserved_orders FROM appointment_hold
        WHERE state = 'held'
    ) AS taken
    GROUP BY 1, 2 HAVING sum(orders) > 0
    """
)
_PROMISED = text(
    "SELECT technician_id, day, committed_minutes, orders FROM technician_day WHERE orders > 0"
)


async def books_balance(database, land, now):
    """Check that days hold just what orders and holds take of them, and that all can be kept."""
    async with database.read() as read:
        taken = {row[:2]: row[2:] for row in await read.execute(_TAKEN)}
        promised = {row[:2]: row[2:] for row in await read.execute(_PROMISED)}
        assert promised == taken
        assert all(minutes + ALLOWANCE * n <= MINUTES for minutes, n in promised.values())
        people = [person.id for person in land.people]
        booked = await windows(read, people, {day for _, day in promised} | {TUESDAY}, now=now)
        for (_, day), appointments in booked.items():
            shift = [(at(f"{day.day} 08:00"), at(f"{day.day} 18:00"))]
            assert kept_together(appointments, shift, ALLOWANCE)
    return booked


async def test_of_a_hundred_at_once_exactly_those_who_fit_win(
    real_database, land, crm, here, clock
):
    """Two people can begin two repairs each between ten and twelve."""
    answers = await asyncio.gather(
        *(crm.post("/appointments/holds", repair(here)) for _ in range(100))
    )
    assert sorted(answer.status_code for answer in answers) == [201] * 4 + [409] * 96
    refused = [answer.json() for answer in answers if answer.status_code == 409]
    assert {one["type"] for one in refused} == {"urn:yingwei:problem:slot-not-offered"}
    assert {one["facts"]["why"] for one in refused} == {"full"}
    assert all(len(one["facts"]["alternatives"]) == 3 for one in refused)
    booked = await books_balance(real_database, land, clock.now())
    assert sum(map(len, booked.values())) == 4


async def test_holds_and_orders_with_appointments_at_once(real_database, land, crm, here, clock):
    """Orders are taken in without waiting for the unit's turn; the days' locks bound them too."""
    window = {
        "appointment_from": "2026-03-03T10:00:00+08:00",
        "appointment_until": "2026-03-03T12:00:00+08:00",
    }
    answers = await asyncio.gather(
        *(crm.post("/appointments/holds", repair(here)) for _ in range(15)),
        *(crm.post("/work-orders", order(f"F-{n}", point=here, **window)) for n in range(15)),
    )
    won = sum(answer.status_code == 201 for answer in answers[:15])
    states = [answer.json()["state"] for answer in answers[15:]]
    assert set(states) == {"assigned", "unplaced"}
    assert won + states.count("assigned") == 4
    await books_balance(real_database, land, clock.now())


async def test_the_same_hold_sent_many_times_at_once_is_one(real_database, land, crm, here, clock):
    body = repair(here)
    answers = await asyncio.gather(*(crm.post("/appointments/holds", body) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] * 7 + [201]
    booked = await books_balance(real_database, land, clock.now())
    assert sum(map(len, booked.values())) == 1


async def test_one_hold_is_used_by_one_order(real_database, land, crm, here, clock):
    held = await crm.hold(repair(here))
    bodies = [
        order(f"F-{number}", point=here, appointment_hold_id=held["id"]) for number in range(6)
    ]
    answers = await asyncio.gather(*(crm.post("/work-orders", body) for body in bodies))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 5
    await books_balance(real_database, land, clock.now())


async def test_an_order_placed_meanwhile_is_seen_under_the_lock(
    real_database, land, crm, here, clock
):
    """Both have found the slot free; the day's lock lets one of them look again."""
    window = {
        "appointment_from": "2026-03-03T10:00:00+08:00",
        "appointment_until": "2026-03-03T10:30:00+08:00",
    }
    async with real_database.begin() as tx:
        land.people[1].active = False
        await tx.merge(land.people[1])
    async with real_database.begin() as holding_on:
        await availability.lock(holding_on, [(land.people[0].id, TUESDAY)])
        sent = asyncio.gather(
            *(crm.post("/work-orders", order(f"F-{n}", point=here, **window)) for n in (1, 2))
        )
        await until_waiting(real_database, number=2)
    placed = [answer.json() for answer in await sent]
    assert sorted(one["state"] for one in placed) == ["assigned", "unplaced"]
    assert {one["unplaced_reason"] for one in placed} == {None, "window_unreachable"}
    await books_balance(real_database, land, clock.now())


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_whatever_happens_in_whatever_order_the_books_balance(
    real_database, settings, land, crm, here, clock, seed
):
    """Holds, confirmations, releases, moves, orders and time itself, eight at a time."""
    dice = random.Random(seed)
    worker = Worker(settings, clock, real_database)
    holds: list[str] = []
    orders: list[str] = []

    async def hold():
        body = repair(
            here,
            hold_id=new_id(),
            slot=dice.choice(["s08", "s10", "s14", "s16"]),
            day=dice.choice(["2026-03-03", "2026-03-04"]),
            estimated_minutes=dice.choice([30, 60, 90]),
        )
        answer = await crm.post("/appointments/holds", body)
        if answer.status_code == 201:
            holds.append(answer.json()["id"])
        return answer

    async def take_in():
        fields: dict[str, object] = {"estimated_minutes": 60}
        if holds and dice.random() < 0.5:
            fields = {"estimated_minutes": None, "appointment_hold_id": dice.choice(holds)}
        answer = await crm.post("/work-orders", order(f"F-{new_id()}", point=here, **fields))
        if answer.status_code == 201:
            orders.append(answer.json()["id"])
        return answer

    async def confirm():
        body = {"work_order_id": dice.choice(orders)}
        return await crm.post(f"/appointments/holds/{dice.choice(holds)}/confirm", body)

    async def release():
        return await crm.post(f"/appointments/holds/{dice.choice(holds)}/release")

    async def move():
        body = {
            "hold_id": dice.choice(holds),
            "cause": "customer_request",
            "agreed_with_customer": True,
        }
        return await crm.post(f"/work-orders/{dice.choice(orders)}/reschedule", body)

    async def cancel():
        return await crm.post(f"/work-orders/{dice.choice(orders)}/cancel", {"reason": "moved"})

    async def sweep():
        await jobs.end_holds(worker)

    for _ in range(6):
        steps = [hold, hold, hold, take_in, take_in]
        if holds and orders:
            steps += [confirm, confirm, release, move, cancel, sweep]
        answers = await asyncio.gather(*(dice.choice(steps)() for _ in range(8)))
        assert all(answer is None or answer.status_code < 500 for answer in answers)
        await books_balance(real_database, land, clock.now())
        if dice.random() < 0.4:
            clock.tick(timedelta(minutes=10))
    assert len(holds) > 5 and orders
