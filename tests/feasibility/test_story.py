"""One visit: what can be had is asked, reserved, sold, installed, and live within two hours."""

from datetime import date, time, timedelta

import pytest
from sqlalchemy import select

from app.auth.rules import Role
from app.core.jobs import Worker
from app.dispatch.models import DispatchDecision
from app.feasibility import jobs
from app.feasibility.models import SameVisitInstall
from app.promises.models import PromiseRule
from app.sales import jobs as sales_jobs
from app.sales.models import SaleEvent
from app.technicians import availability
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for
from tests.make.sales import jobs_of
from tests.make.visits import LAT, LON, TODAY, at, taken


@pytest.fixture
async def two_hours(tx):
    tx.add(
        PromiseRule(
            code="two_hour_activation",
            work_type=WorkType.INSTALL,
            valid_from=date(2020, 1, 1),
            due_time=time(23, 59),
            hours_after=2,
            compensation_fen=2000,
            compensation_per="order",
            compensation_cap_fen=2000,
            same_visit=True,
        )
    )
    await tx.flush()
    tx.info["database"].cache.pop("promises.rules", None)


async def promised(tx, door):
    return await availability.promised(tx, door.phone.technician.id, TODAY)


async def test_one_visit_sells_and_installs(
    door, tx, app, http, clock, settings, database, two_hours
):
    said = (await door.feasibility()).json()
    assert said["line"]["source"] == "not_asked" and said["line"]["max_speed_mbps"] == 2000
    found = {one["offering_code"]: one for one in said["offerings"]}
    assert set(found) == {"SPEED-2000", "WIFI-CHECK", "TV-4K"}
    fast = found["SPEED-2000"]
    assert (fast["can_sell"], fast["can_install_now"], fast["minutes"]) == (True, True, 40)
    assert fast["serial_numbers"] == [door.gateway.serial_number]
    assert not found["TV-4K"]["needs_install"] and found["TV-4K"]["can_install_now"]

    before = await promised(tx, door)
    reserved = (await door.reserve("SPEED-2000")).json()
    assert reserved["serial_numbers"] == [door.gateway.serial_number]
    assert await promised(tx, door) == (before.minutes + 40, before.orders + 1)
    # What is reserved in a visit does not stand in its own way.
    assert (await door.answer("SPEED-2000"))["can_install_now"]

    clock.tick(timedelta(minutes=5))
    sale = await door.sell("SPEED-2000", reservation_id=reserved["id"])
    install = await tx.get(WorkOrder, sale["install_order_id"], populate_existing=True)
    assert install is not None
    assert (install.state, install.holder_id) == (State.ACKNOWLEDGED, door.phone.technician.id)
    assert (install.customer_id, install.address) == (door.customer.id, door.order.address)
    assert install.due_at == clock.now() + timedelta(hours=2)
    assert install.terminals == ["ont_gateway"] and install.estimated_minutes == 40
    assert await promised(tx, door) == (before.minutes + 40, before.orders + 1)
    decision = await tx.scalar(
        select(DispatchDecision.reason).where(DispatchDecision.work_order_id == install.id)
    )
    assert decision == "at_the_door"
    # The same consent again is the same sale with the same install.
    assert (await door.confirm(sale)).json()["install_order_id"] == sale["install_order_id"]
    used = await door.phone.get(f"/install-reservations/{reserved['id']}")
    assert used.json()["state"] == "used"
    refused = await door.phone.post(f"/install-reservations/{reserved['id']}/release")
    assert refused.status_code in (409, 422)

    await door.phone.complete(door.visit_id)
    visit_id = door.visit_id.__class__(int=door.visit_id.int + 1)
    body = {"id": str(visit_id), "work_order_id": str(install.id)}
    taken(await door.phone.post("/visits", **body))
    taken(await door.phone.post(f"/visits/{visit_id}/check-in", point=at(LON, LAT)))
    clock.tick(timedelta(minutes=50))
    taken(await door.phone.post(f"/visits/{visit_id}/complete", outcome_code="installed"))

    worker = Worker(settings, clock, database)
    await jobs.order_completed(worker, order_id=str(install.id))
    [told] = await jobs_of(tx, "install.activated")
    for _ in range(2):
        await sales_jobs.install_activated(
            worker, sale_id=told, work_order_id=str(install.id), at=clock.now().isoformat()
        )
    steps = (await tx.scalars(select(SaleEvent.step).order_by(SaleEvent.id))).all()
    assert [step for step in steps if step in ("install_ordered", "activated")] == [
        "install_ordered",
        "activated",
    ]
    live = await tx.scalar(select(SameVisitInstall.activated_at))
    assert live == clock.now()
    boss = bearer(app, caller_for(Role.SUPERVISOR, door.branch))
    days = {"first_day": TODAY.isoformat(), "last_day": TODAY.isoformat()}
    figure = await http.get("/v1/figures/two-hour-activation", params=days, headers=boss)
    said = figure.json()
    assert (said["numerator"], said["denominator"], said["rate"]) == (1, 1, 1.0)
    assert said["exclusions"] == {"cancelled": 0, "excused": 0, "running": 0}
