"""Minutes and terminals are kept for a while: by hand, by time and by use they are given free."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch import jobs as dispatch
from app.feasibility import jobs
from app.feasibility.models import InstallReservation, ReservedTerminal, SameVisitInstall
from app.technicians import availability
from app.terminals.rules import Pool
from app.workorders.models import WorkOrder
from tests.make.catalog import make_offering
from tests.make.counting import counted
from tests.make.sales import jobs_of
from tests.make.visits import TODAY, make_assigned_order


def slug(answer):
    return answer.json()["type"].rpartition(":")[2]


async def minutes(door):
    return (await availability.promised(door.tx, door.phone.technician.id, TODAY)).minutes


async def kept(tx):
    open_ones = select(func.count()).select_from(ReservedTerminal)
    return await tx.scalar(open_ones.where(ReservedTerminal.ended_at.is_(None)))


async def state_of(door, made):
    return (await door.phone.get(f"/install-reservations/{made['id']}")).json()["state"]


async def test_the_same_reservation_is_made_once(door, tx):
    reservation_id = new_id()
    first = await door.reserve("SPEED-2000", id=reservation_id)
    again = await door.reserve("SPEED-2000", id=reservation_id)
    assert (first.status_code, first.json()) == (201, again.json())
    other = await door.reserve("WIFI-CHECK", id=reservation_id)
    assert (other.status_code, slug(other)) == (409, "same-id-other-content")
    assert await minutes(door) == 60 + 40


async def test_a_new_reservation_of_a_visit_takes_the_place_of_the_one_before(door, tx):
    first = (await door.reserve("SPEED-2000")).json()
    second = (await door.reserve("WIFI-CHECK")).json()
    assert [await state_of(door, one) for one in (first, second)] == ["released", "held"]
    assert (await minutes(door), await kept(tx)) == (60 + 20, 0)


async def test_by_hand_it_is_given_free_once(door, tx):
    made = (await door.reserve("SPEED-2000")).json()
    for _ in range(2):
        answer = await door.phone.http.post(
            f"/v1/install-reservations/{made['id']}/release", headers=door.phone.headers
        )
        assert (answer.status_code, answer.json()["state"]) == (200, "released")
    assert (await minutes(door), await kept(tx)) == (60, 0)


async def test_its_time_ends_it_whoever_looks_first(door, tx, clock, settings, database):
    made = (await door.reserve("SPEED-2000")).json()
    clock.tick(timedelta(minutes=30))
    assert await state_of(door, made) == "expired"
    # Nobody has ended it yet, and it stands in nobody's way.
    assert (await door.answer("SPEED-2000"))["can_install_now"]
    worker = Worker(settings, clock, database)
    await jobs.end_reservations(worker)
    await dispatch.end_holds(worker)
    assert (await minutes(door), await kept(tx)) == (60, 0)
    # Even with the reservation named, a sale is installed by what is feasible now.
    sale = await door.sell("SPEED-2000", reservation_id=made["id"])
    assert sale["install_order_id"] is not None


async def test_what_is_not_feasible_is_refused_with_all_reasons_and_the_next_time(door, tx, clock):
    door.gateway.pool, door.gateway.technician_id = Pool.WAREHOUSE, None
    await make_offering(tx, code="BIG", install_minutes=100, skill="fttr")
    await tx.commit()
    refused = await door.reserve("SPEED-2000", "BIG")
    assert (refused.status_code, slug(refused)) == (409, "install-not-feasible")
    facts = refused.json()["facts"]
    assert facts["codes"] == ["skill_missing", "not_in_the_van", "too_long_for_now"]
    assert all(no["blocks"] == "install" and no["words"] for no in facts["noes"])
    # Nobody else has the skill, so there is no time either; for what is there, there is one.
    assert facts["next_best"] is None
    assert await tx.scalar(select(func.count()).select_from(InstallReservation)) == 0
    assert await minutes(door) == 60
    await make_offering(tx, code="LONG", install_minutes=130, skill="fibre")
    await tx.commit()
    answer = await door.answer("LONG")
    assert answer["can_sell"] and not answer["can_install_now"]
    assert answer["next_best"]["slot"] == "s14"


@pytest.mark.parametrize(
    ("codes", "status", "kind"),
    [(("TV-4K",), 409, "nothing-to-install"), (("NONE",), 422, "invalid")],
)
async def test_what_cannot_be_reserved_is_refused(door, tx, codes, status, kind):
    refused = await door.reserve(*codes)
    assert (refused.status_code, slug(refused)) == (status, kind)
    assert await tx.scalar(select(func.count()).select_from(InstallReservation)) == 0


async def test_promises_of_the_day_are_not_broken(door, tx, clock):
    begins = clock.now() + timedelta(minutes=20)
    await make_assigned_order(
        tx,
        door.phone.technician,
        now=clock.now(),
        appointment_from=begins,
        appointment_until=begins + timedelta(minutes=10),
    )
    await tx.commit()
    [no] = (await door.answer("SPEED-2000"))["noes"]
    assert (no["code"], no["blocks"]) == ("promise_in_the_way", "install")
    sale = await door.sell("SPEED-2000")
    # The sale stands, and is installed another time.
    assert (sale["state"], sale["install_order_id"]) == ("confirmed", None)
    assert await tx.scalar(select(func.count()).select_from(SameVisitInstall)) == 0
    assert await jobs_of(tx) == [sale["id"]]


async def test_a_sale_without_reservation_is_installed_if_it_is_feasible(door, tx):
    # What works once it is opened needs nobody.
    await make_offering(tx, code="CLOUD", category="cloud")
    await tx.commit()
    assert (await door.sell("CLOUD"))["install_order_id"] is None
    sale = await door.sell("SPEED-2000", "TV-4K")
    order = await tx.get_one(WorkOrder, sale["install_order_id"])
    assert order.summary.startswith("即办即装：") and order.estimated_minutes == 40
    assert (await minutes(door), await kept(tx)) == (60 + 40, 1)


async def test_a_terminal_that_left_the_van_is_not_promised(door, tx):
    made = (await door.reserve("SPEED-2000")).json()
    door.gateway.pool, door.gateway.technician_id = Pool.WAREHOUSE, None
    await tx.commit()
    sale = await door.sell("SPEED-2000", reservation_id=made["id"])
    assert sale["install_order_id"] is None
    assert (await minutes(door), await kept(tx)) == (60, 0)


async def test_a_strange_reservation_is_refused(door, tx):
    body = {
        "id": str(new_id()),
        "visit_id": str(door.visit_id),
        "items": [{"offering_code": "TV-4K"}],
        "reservation_id": str(new_id()),
    }
    refused = await door.phone.http.post("/v1/sales", json=body, headers=door.phone.headers)
    assert (refused.status_code, slug(refused)) == (422, "invalid")


async def test_many_offerings_cost_as_many_statements_as_one(door, tx, database):
    await door.feasibility()
    with counted(database) as one:
        await door.feasibility("SPEED-2000")
    for number in range(12):
        given: dict[str, Any] = {
            "install_minutes": 10 + number,
            "skill": "none" if number % 2 else "fibre",
        }
        await make_offering(tx, code=f"MORE-{number}", **given)
    await tx.commit()
    await door.feasibility()
    with counted(database) as many:
        answer = await door.feasibility()
    assert len(answer.json()["offerings"]) == 15
    # The slots are looked at once something cannot be had now, however much that is.
    assert len(many) <= len(one) + 9


async def test_the_work_that_is_done_leaves_its_minutes_to_what_is_sold_after_it(door, tx):
    # A day of as many minutes as the fault was estimated with, and the fault is mended.
    door.phone.technician.daily_minutes = 60
    await tx.commit()
    assert (await door.answer("SPEED-2000"))["can_install_now"]
    assert (await door.reserve("SPEED-2000")).status_code == 201
    door.phone.technician.daily_minutes = 50
    await tx.commit()
    [no] = (await door.answer("SPEED-2000"))["noes"]
    assert (no["code"], no["facts"]["free_minutes"]) == ("no_time_left", 35)
