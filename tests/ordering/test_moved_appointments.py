"""The slot that a sale has booked is moved on its install order, and the other side hears of it."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.clock import wall
from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch.models import AppointmentChange, AppointmentHold
from app.dispatch.rules import Cause, HoldState
from app.ordering import jobs, queries, service
from app.ordering.client import codec_v4, codec_v5
from app.ordering.delivery import ChangeKind, ChangeState
from app.ordering.models import OrderChange
from app.ordering.order import Amendment
from app.ordering.simulator import BASE_PATH_V5
from app.sales import service as sales
from app.sales.rules import Line, SaleState
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for
from tests.make.catalog import make_offering
from tests.make.dispatch import order as order_body
from tests.make.feasibility import make_install_door
from tests.make.grids import make_grid
from tests.make.sales import jobs_of
from tests.make.slots import holding
from tests.make.visits import LAT, LON, at
from tests.ordering.conftest import QUICK

SLOW = {**QUICK, "seconds_to_complete": 60, "seconds_to_cancel": 0.1}


# --- through the doors, on the way to the amendment -----------------------------------------------


async def test_what_is_moved_at_the_desk_is_told_with_the_slot_that_counts(
    tx, app, http, clock, settings, database
):
    door = await make_install_door(tx, app, http, clock)
    await tx.commit()
    await door.arrive()
    held = (await door.book("SPEED-2000", day="2026-03-03", slot="s10")).json()
    # The slot is that of what was sold, whatever was put together for it before.
    draft = {
        "id": str(new_id()),
        "visit_id": str(door.visit_id),
        "items": [{"offering_code": "SPEED-2000"}],
        "appointment_hold_id": held["id"],
    }
    for path, body in (("", draft), (f"/{draft['id']}/cancel", None)):
        answer = await http.post(f"/v1/sales{path}", json=body, headers=door.phone.headers)
        assert answer.is_success, answer.text
    sold = await door.sell("SPEED-2000", "TV-4K", appointment_hold_id=held["id"])
    await queries.begin_delivery(tx, UUID(sold["id"]))
    await tx.execute(text("UPDATE order_sync SET state = 'delivered', attempts = 1"))
    await tx.commit()
    await door.phone.complete(door.visit_id)
    crm = bearer(app, caller_for(Role.INTEGRATION, door.branch))
    body = order_body(
        point=at(LON, LAT),
        work_type="install",
        estimated_minutes=None,
        appointment_hold_id=held["id"],
    )
    install = (await http.post("/v1/work-orders", json=body, headers=crm)).json()
    # A moment ago it was made, and nothing has moved yet.
    assert await jobs_of(tx, "appointment.moved", "work_order_id") == []
    later = holding(work_order_id=install["id"], day="2026-03-04", slot="s14")
    kept = (await http.post("/v1/appointments/holds", json=later, headers=crm)).json()
    moved = {"hold_id": kept["id"], "cause": "customer_request", "agreed_with_customer": True}
    path = f"/v1/work-orders/{install['id']}/reschedule"
    for _ in range(2):
        answer = await http.post(path, json=moved, headers=crm)
        assert answer.status_code == 200, answer.text
    assert await jobs_of(tx, "appointment.moved", "work_order_id") == [install["id"]]
    worker = Worker(settings, clock, database)
    for _ in range(2):
        await jobs.appointment_moved(worker, work_order_id=install["id"])
    (change,) = (await tx.scalars(select(OrderChange))).all()
    assert (change.kind, change.state, change.asked_by) == (
        ChangeKind.AMEND,
        ChangeState.WAITING,
        None,
    )
    assert (str(change.appointment_hold_id), change.requested_start) == (
        kept["id"],
        datetime.fromisoformat(kept["begins_at"]),
    )
    # Whether this is what the published schemas want is seen where the codecs are tested.
    order = await queries.order_to_place(tx, UUID(sold["id"]))
    amendment = Amendment(change.requested_start, change.note)
    for codec in (codec_v4, codec_v5):
        told = codec.amendment_of(order, amendment)
        assert told["requestedStartDate"] == "2026-03-04T06:00:00.000Z"
        fast, tv = told["productOrderItem"]
        assert (fast["appointment"]["id"], "appointment" in tv) == (kept["id"], False)


# --- over there ---------------------------------------------------------------------------------


@pytest.fixture
def desk(request, desk, stand):
    """A desk before a side that speaks v4 of TMF622, or v5 where a test says so."""
    if getattr(request, "param", "4") == "5":
        url = stand.simulator.origin + BASE_PATH_V5
        given = {"ordering_url": url, "ordering_version": "5"}
        # What it keeps is ended with the desk's own.
        worker = replace(desk.worker, settings=desk.settings.model_copy(update=given))
        return replace(desk, settings=worker.settings, worker=worker)
    return desk


@pytest.fixture
async def booked(desk, stand):
    """A sale that has booked its install, whose order they have, and the install that they sent."""
    stand.simulator.dial(**SLOW)
    code = f"FTTR-{new_id().hex[-8:]}"
    async with desk.database.begin() as tx:
        await make_offering(tx, code=code, install_minutes=90, skill="fibre")
        grid = await make_grid(tx, org_unit=desk.door.branch)
    sale_id = await desk.sell((Line(code, 1), Line("TV-4K", 1)))
    async with desk.database.begin() as tx:
        install = WorkOrder(
            org_unit_id=desk.door.branch.id,
            source="test",
            external_id=code,
            content_hash="",
            work_type=WorkType.INSTALL,
            state=State.ASSIGNED,
            customer_id=desk.door.customer.id,
            address="碧波园3栋2单元1203室",
            summary="装机",
            estimated_minutes=90,
            received_at=desk.clock.now(),
            reported_at=desk.clock.now(),
            holder_id=desk.door.technician.id,
            grid_id=grid.id,
        )
        tx.add(install)
    hold_id = await hold(desk, install, days=1)
    async with desk.database.begin() as tx:
        given = {"hold": hold_id, "sale": sale_id}
        await tx.execute(
            text("UPDATE sale SET appointment_hold_id = :hold WHERE id = :sale"), given
        )
    await desk.send(sale_id)
    assert (await there(desk, sale_id))[1] == str(hold_id)
    yield sale_id, install
    # Nothing goes on, here or over there, when the test is over.
    async with desk.database.begin() as tx:
        over = text("UPDATE work_order SET state = 'cancelled' WHERE id = :id")
        await tx.execute(over, {"id": install.id})
    courier = await jobs.courier_of(desk.worker)
    remote_id = (await desk.sync(sale_id)).remote_id
    by = wall() + timedelta(seconds=10)
    await courier.client.cancel(remote_id, "客户改变主意", desk.clock.now(), by=by)


async def hold(desk, install, *, days) -> UUID:
    """Keep a slot for an install that begins in so many days."""
    begins = desk.clock.now() + timedelta(days=days)
    async with desk.database.begin() as tx:
        held = AppointmentHold(
            id=new_id(),
            org_unit_id=install.org_unit_id,
            grid_id=install.grid_id,
            technician_id=install.holder_id,
            work_order_id=install.id,
            state=HoldState.CONFIRMED,
            content_hash="",
            work_type=WorkType.INSTALL,
            urgent=False,
            minutes=90,
            skills=["fibre"],
            slot="s10",
            day=date(2026, 3, 2) + timedelta(days=days),
            begins_at=begins,
            ends_at=begins + timedelta(hours=2),
            reserved_minutes=90,
            reserved_orders=1,
            held_at=desk.clock.now(),
            expires_at=begins,
        )
        tx.add(held)
    return held.id


async def move(desk, install, *, days) -> UUID:
    """Move the appointment of an install, as the desk does it."""
    hold_id = await hold(desk, install, days=days)
    begins = desk.clock.now() + timedelta(days=days)
    async with desk.database.begin() as tx:
        tx.add(
            AppointmentChange(
                work_order_id=install.id,
                at=desk.clock.now(),
                hold_id=hold_id,
                cause=Cause.CUSTOMER_REQUEST,
                note="",
                overridden=False,
                before_from=begins,
                before_until=begins,
                after_from=begins,
                after_until=begins + timedelta(hours=2),
            )
        )
    return hold_id


async def tell(desk, install):
    """Do what the job of a moved appointment does."""
    await jobs.appointment_moved(desk.worker, work_order_id=str(install.id))


async def there(desk, sale_id):
    """Read from the other side when an order begins, and the slot of its first item."""
    courier = await jobs.courier_of(desk.worker)
    remote_id = (await desk.sync(sale_id)).remote_id
    reply = await courier.client.exchange("GET", f"productOrder/{remote_id}")
    body = reply.json()
    fast, tv = body["productOrderItem"]
    assert "appointment" not in tv
    return body["requestedStartDate"][:10], fast["appointment"]["id"]


async def changes(desk, sale_id):
    async with desk.database.read() as read:
        statement = select(OrderChange).where(OrderChange.sale_id == sale_id)
        return (await read.scalars(statement.order_by(OrderChange.created_at))).all()


async def worked(desk, sale_id):
    """Work as the worker does until nothing is under way; gives what the changes came to."""
    for _ in range(200):
        await desk.sweep()
        found = await changes(desk, sale_id)
        if all(each.ended_at is not None for each in found):
            return [each.state for each in found]
    raise AssertionError("a change does not end")


@pytest.mark.parametrize("desk", ["4", "5"], indirect=True)
async def test_a_moved_appointment_arrives_and_a_replay_asks_for_nothing(desk, booked):
    sale_id, install = booked
    hold_id = await move(desk, install, days=3)
    for _ in range(2):
        await tell(desk, install)
        assert await worked(desk, sale_id) == [ChangeState.DONE]
    assert await there(desk, sale_id) == ("2026-03-05", str(hold_id))
    # Moved once more it is told once more.
    desk.clock.tick(timedelta(minutes=1))
    hold_id = await move(desk, install, days=2)
    await tell(desk, install)
    assert await worked(desk, sale_id) == [ChangeState.DONE, ChangeState.DONE]
    assert await there(desk, sale_id) == ("2026-03-04", str(hold_id))
    assert await desk.states([sale_id]) == ["acknowledged"]


async def test_of_several_moves_the_last_arrives(desk, booked):
    """What waits to be told tells the slot that counts when it leaves."""
    sale_id, install = booked
    await move(desk, install, days=3)
    await tell(desk, install)
    hold_id = await move(desk, install, days=4)
    # A change is under way: the job comes again in a while, and finds that it is told.
    await tell(desk, install)
    assert len(await changes(desk, sale_id)) == 1
    assert await worked(desk, sale_id) == [ChangeState.DONE]
    await tell(desk, install)
    (change,) = await changes(desk, sale_id)
    assert (change.appointment_hold_id, change.asked_by) == (hold_id, None)
    assert await there(desk, sale_id) == ("2026-03-06", str(hold_id))


async def test_what_was_refused_is_closed_by_the_next_move(desk, booked):
    sale_id, install = booked
    await move(desk, install, days=3)
    await tell(desk, install)
    end = "UPDATE order_change SET state = 'refused', ended_at = now(), next_try_at = NULL"
    async with desk.database.begin() as tx:
        await tx.execute(text(end))
    # What is refused once is a person's, and not asked for again by itself.
    await tell(desk, install)
    assert await worked(desk, sale_id) == [ChangeState.REFUSED]
    hold_id = await move(desk, install, days=4)
    await tell(desk, install)
    first, second = await changes(desk, sale_id)
    assert (first.closed_by, first.replaced_by) == (None, second.id)
    assert first.closed_at is not None
    assert await worked(desk, sale_id) == [ChangeState.REFUSED, ChangeState.DONE]
    assert await there(desk, sale_id) == ("2026-03-06", str(hold_id))


@pytest.mark.parametrize(
    ("state", "sync"),
    [
        ("completed", "finished"),
        ("cancelled", "finished"),
        ("rejected", "finished"),
        # Part of it was delivered, and somebody has to judge what it counts as.
        ("acknowledged", "finished"),
    ],
)
async def test_an_order_that_has_ended_there_is_told_nothing(desk, booked, state, sync):
    sale_id, install = booked
    await move(desk, install, days=3)
    given = {"state": state, "sync": sync, "sale": sale_id}
    async with desk.database.begin() as tx:
        await tx.execute(text("UPDATE order_sync SET state = :sync WHERE sale_id = :sale"), given)
        await tx.execute(text("UPDATE sale SET state = :state WHERE id = :sale"), given)
    await tell(desk, install)
    assert await changes(desk, sale_id) == []


async def test_a_sale_that_was_returned_and_an_install_of_no_sale_are_told_nothing(desk, booked):
    sale_id, install = booked
    await move(desk, install, days=3)
    async with desk.database.begin() as tx:
        assert await service.tell_of_moved_appointment(tx, new_id(), now=desk.clock.now())
        await sales.follow(tx, sale_id=sale_id, state=SaleState.ACKNOWLEDGED, at=desk.clock.now())
        await tx.execute(text("UPDATE sale SET reversed_at = now()"))
    await tell(desk, install)
    assert await changes(desk, sale_id) == []
