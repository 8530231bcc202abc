"""Two phones at once, on real connections: no minute and no terminal is given twice."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import func, select, text

from app.auth.queries import caller_of_technician
from app.core.db import new_id
from app.dispatch.models import AppointmentHold
from app.dispatch.rules import HoldState
from app.feasibility.models import InstallReservation, ReservedTerminal, SameVisitInstall
from app.feasibility.rules import ReservationState
from app.sales import service as sales
from app.sales.rules import Line
from app.technicians.models import TechnicianDay
from app.terminals.queries import for_change
from app.terminals.rules import Handling, Place, Pool, Why
from app.terminals.service.custody import How, book, booking
from app.workorders.models import WorkOrder
from tests.make.catalog import make_offering
from tests.make.feasibility import make_install_door
from tests.make.races import until_waiting
from tests.make.technicians import make_technician
from tests.make.visits import TODAY, make_assigned_order, make_phone


@pytest.fixture
async def door(real_database, real_app, real_http, clock):
    async with real_database.begin() as tx:
        door = await make_install_door(tx, real_app, real_http, clock)
    return await door.arrive()


async def test_one_budget_of_minutes_is_given_once(real_database, door, clock):
    """A double tap reserves once; and where a day has room for one more piece of work, of all who
    want it at once one has it."""
    reservation_id = new_id()
    answers = await asyncio.gather(
        *(door.reserve("SPEED-2000", id=reservation_id) for _ in range(4))
    )
    assert {answer.status_code for answer in answers} == {201}, answers[0].text
    assert len({answer.text for answer in answers}) == 1
    async with real_database.read() as read:
        held = await read.scalar(select(TechnicianDay).where(TechnicianDay.day == TODAY))
        assert (held.committed_minutes, held.orders) == (60 + 40, 2)
        assert await read.scalar(select(func.count()).select_from(ReservedTerminal)) == 1
    url = f"/v1/install-reservations/{reservation_id}/release"
    await door.phone.http.post(url, headers=door.phone.headers)
    clock.tick(timedelta(hours=7, minutes=15))
    async with real_database.begin() as tx:
        # From 16:15 to 18:00: the repair with its way, and room for one of the three more.
        await tx.execute(text("UPDATE work_order SET estimated_minutes = 35"))
        await tx.execute(text("UPDATE technician_day SET committed_minutes = 35"))
        for code in ("SOUND", "CAMERA", "DOORBELL"):
            await make_offering(tx, code=code, category=code, install_minutes=40, skill="fibre")
    sales = []
    for code in ("SOUND", "CAMERA", "DOORBELL"):
        body = {
            "id": str(new_id()),
            "visit_id": str(door.visit_id),
            "items": [{"offering_code": code}],
        }
        made = await door.phone.http.post("/v1/sales", json=body, headers=door.phone.headers)
        assert made.status_code == 201, made.text
        sales.append(made.json())
    answers = await asyncio.gather(*(door.confirm(sale) for sale in sales))
    assert {answer.status_code for answer in answers} == {200}, answers[0].text
    installed = [one.json()["install_order_id"] for one in answers if one.status_code == 200]
    assert sum(order is not None for order in installed) == 1
    async with real_database.read() as read:
        held = await read.scalar(select(TechnicianDay).where(TechnicianDay.day == TODAY))
        assert (held.committed_minutes, held.orders) == (35 + 40, 2)
        assert await read.scalar(select(func.count()).select_from(SameVisitInstall)) == 1


async def test_a_terminal_is_kept_for_one_at_a_time(
    real_database, real_app, real_http, door, clock
):
    """Of two technicians one has the serial number, whoever of both came first."""
    serial = door.gateway.serial_number
    async with real_database.begin() as tx:
        colleague = await make_technician(tx, org_unit=door.branch, skills={"fibre": 3})
        held = (await for_change(tx, [serial]))[serial]
        place = Place(Pool.VAN, door.branch.id, colleague.id)
        how = How(Why.LENT, door.phone.clock.now(), technician_id=colleague.id)
        await book(tx, [booking(held, Handling.TRANSFER, place)], how)
        reserving = asyncio.create_task(door.reserve("SPEED-2000"))
        await until_waiting(real_database)
    refused = await reserving
    assert refused.status_code == 409, refused.text
    assert refused.json()["facts"]["codes"] == ["not_in_the_van"]
    # Given back and reserved, it stays reserved for this door, whoever gets it then.
    async with real_database.begin() as tx:
        held = (await for_change(tx, [serial]))[serial]
        place = Place(Pool.VAN, door.branch.id, door.phone.technician.id)
        how = How(Why.LENT, clock.now(), technician_id=colleague.id)
        await book(tx, [booking(held, Handling.TRANSFER, place)], how)
    reserved = (await door.reserve("SPEED-2000")).json()
    assert reserved["serial_numbers"] == [serial]
    async with real_database.begin() as tx:
        other = await make_phone(
            tx, real_app, real_http, clock, org_unit=door.branch, skills={"fibre": 3}
        )
        held = (await for_change(tx, [serial]))[serial]
        place = Place(Pool.VAN, door.branch.id, other.technician.id)
        how = How(Why.LENT, clock.now(), technician_id=other.technician.id)
        await book(tx, [booking(held, Handling.TRANSFER, place)], how)
        order = await make_assigned_order(
            tx, other.technician, door.customer, now=clock.now(), grid_id=door.grid.id
        )
    visit_id = await other.restore(order)
    answer = await real_http.post(
        f"/v1/visits/{visit_id}/install-reservations",
        json={"id": str(new_id()), "items": [{"offering_code": "SPEED-2000"}]},
        headers=other.headers,
    )
    assert answer.status_code == 409, answer.text
    assert answer.json()["facts"]["codes"] == ["not_in_the_van"]


async def test_one_reservation_is_named_by_one_sale(real_database, door, clock):
    """Of sales that name it at once one has it, sent twice or not; and who names it while another
    sale is confirmed, to which none is named, has it: that one takes its own."""
    async with real_database.begin() as tx:
        await make_offering(tx, code="TV-BOX", category="box", skill="fibre", install_minutes=15)

    async def put_together(sale_id, code, **given):
        body = {
            "id": str(sale_id),
            "visit_id": str(door.visit_id),
            "items": [{"offering_code": code}],
            **given,
        }
        return await door.phone.http.post("/v1/sales", json=body, headers=door.phone.headers)

    reserved = (await door.reserve("SPEED-2000")).json()
    ids = [new_id(), new_id()]
    named = {"reservation_id": reserved["id"]}
    answers = await asyncio.gather(
        *(put_together(each, "SPEED-2000", **named) for each in (*ids, *ids))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    [had] = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    await door.phone.http.post(f"/v1/sales/{had}/cancel", headers=door.phone.headers)

    box = (await put_together(new_id(), "TV-BOX")).json()
    async with real_database.read() as read:
        seller = await caller_of_technician(read, door.phone.technician.id)
    assert seller is not None
    async with real_database.begin() as tx:
        await sales.put_together(
            tx,
            sale_id=new_id(),
            visit_id=door.visit_id,
            lines=[Line("SPEED-2000", 1)],
            caller=seller,
            now=clock.now(),
            reservation_id=UUID(reserved["id"]),
        )
        confirming = asyncio.create_task(door.confirm(box))
        await until_waiting(real_database)
    box = (await confirming).json()
    async with real_database.read() as read:
        kept = await read.get_one(InstallReservation, reserved["id"])
        install = await read.get_one(WorkOrder, box["install_order_id"])
    assert (kept.state, install.estimated_minutes) == (ReservationState.HELD, 15)


async def test_one_slot_is_sold_with_one_sale(real_database, door, clock):
    """Of sales that name one slot at once one has it, sent twice or not; the sweep that gives free
    what a cancelled one had waits for them and leaves it alone."""
    async with real_database.begin() as tx:
        await make_offering(tx, code="LONG", install_minutes=130, skill="fibre")
    tomorrow = (TODAY + timedelta(days=1)).isoformat()
    booked = (await door.book("LONG", day=tomorrow, slot="s08")).json()

    async def put_together(sale_id):
        body = {
            "id": str(sale_id),
            "visit_id": str(door.visit_id),
            "items": [{"offering_code": "LONG"}],
            "appointment_hold_id": booked["id"],
        }
        return await door.phone.http.post("/v1/sales", json=body, headers=door.phone.headers)

    ids = [new_id(), new_id()]
    answers = await asyncio.gather(*(put_together(each) for each in (*ids, *ids)))
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409, 409]
    [had] = {answer.json()["id"] for answer in answers if answer.status_code == 201}
    await door.phone.http.post(f"/v1/sales/{had}/cancel", headers=door.phone.headers)

    async def sweep():
        async with real_database.begin() as tx:
            await sales.give_slots_back(tx, now=clock.now(), limit=10)

    async with real_database.read() as read:
        seller = await caller_of_technician(read, door.phone.technician.id)
    assert seller is not None
    async with real_database.begin() as tx:
        await sales.put_together(
            tx,
            sale_id=new_id(),
            visit_id=door.visit_id,
            lines=[Line("LONG", 1)],
            caller=seller,
            now=clock.now(),
            appointment_hold_id=UUID(booked["id"]),
        )
        sweeping = asyncio.create_task(sweep())
        await until_waiting(real_database)
    await sweeping
    async with real_database.read() as read:
        assert (await read.get_one(AppointmentHold, booked["id"])).state is HoldState.HELD
