"""What is installed by whoever sold it: the ordering system knows, and hears when it is not."""

from datetime import datetime, timedelta
from uuid import UUID

import pytest
from jsonschema import Draft4Validator
from sqlalchemy import select, text

from app.core.db import shared_now
from app.core.jobs import Worker
from app.feasibility import jobs as feasibility
from app.ordering import jobs, queries, service
from app.ordering.client import codec_v4, codec_v5
from app.ordering.delivery import ChangeKind, ChangeState
from app.ordering.models import OrderChange
from app.ordering.order import Characteristic
from app.ordering.simulator import checks, checks_v5
from app.sales import service as sales
from app.sales.rules import SaleState
from app.workorders.models import WorkOrder
from tests.make.feasibility import make_install_door
from tests.make.sales import jobs_of


@pytest.fixture
async def sold(tx, app, http, clock):
    """A sale of something that is installed in its visit, and of something that need not be."""
    door = await make_install_door(tx, app, http, clock)
    await tx.commit()
    await door.arrive()
    return await door.sell("SPEED-2000", "TV-4K")


@pytest.fixture
def worker(settings, clock, database):
    return Worker(settings, clock, database)


async def called_off(tx, worker, sold):
    await tx.execute(
        text("UPDATE work_order SET state = 'cancelled' WHERE id = :id"),
        {"id": sold["install_order_id"]},
    )
    await feasibility.look_around(worker)


async def test_the_order_says_what_is_installed_here_and_until_when(tx, sold):
    order = await queries.order_to_place(tx, UUID(sold["id"]))
    install = await tx.get_one(WorkOrder, sold["install_order_id"])
    fast, tv = order.items
    assert fast.characteristics == (
        Characteristic("speed_mbps", 2000),
        Characteristic("installed_by", "sales_agent"),
        Characteristic("install_order", str(install.id)),
    )
    assert tv.characteristics == ()
    assert order.requested_completion == install.due_at


async def test_an_install_of_another_day_is_told_with_its_appointment(
    tx, app, http, clock, tmf622_v4
):
    door = await make_install_door(tx, app, http, clock)
    await tx.commit()
    await door.arrive()
    held = (await door.book("SPEED-2000", day="2026-03-03", slot="s10")).json()
    sold = await door.sell("SPEED-2000", "TV-4K", appointment_hold_id=held["id"])
    order = await queries.order_to_place(tx, UUID(sold["id"]))
    assert [item.appointment_id for item in order.items] == [held["id"], None]
    assert order.requested_start == datetime.fromisoformat(held["begins_at"])
    assert order.items[0].characteristics == (Characteristic("speed_mbps", 2000),)
    v4, v5 = codec_v4.body_of(order), codec_v5.body_of(order)
    named = tmf622_v4["definitions"]
    create = {"$ref": "#/definitions/ProductOrder_Create", "definitions": named}
    Draft4Validator(create).validate(v4)
    assert (checks.faults_in(v4), checks_v5.faults_in(v5)) == ([], [])
    for body in (v4, v5):
        assert body["requestedStartDate"] == "2026-03-03T02:00:00.000Z"
        fast, tv = body["productOrderItem"]
        assert (fast["appointment"]["id"], "appointment" in tv) == (held["id"], False)
    # A slot that nobody has used in time is no appointment any more.
    await tx.execute(text("UPDATE appointment_hold SET state = 'expired', ended_at = now()"))
    order = await queries.order_to_place(tx, UUID(sold["id"]))
    assert [item.appointment_id for item in order.items] == [None, None]
    assert order.requested_start == datetime.fromisoformat(sold["confirmed_at"])


async def test_a_call_off_is_told_by_an_amendment_of_our_own(tx, worker, sold, clock):
    sale_id = UUID(sold["id"])
    await queries.begin_delivery(tx, sale_id)
    await tx.execute(text("UPDATE order_sync SET state = 'delivered', attempts = 1"))
    await called_off(tx, worker, sold)
    assert await jobs_of(tx, "install.called_off") == [str(sale_id)]
    order = await queries.order_to_place(tx, sale_id)
    assert [each.characteristics for each in order.items] == [
        (Characteristic("speed_mbps", 2000),),
        (),
    ]
    assert order.requested_completion is None
    await jobs.install_called_off(worker, sale_id=str(sale_id))
    change = await tx.scalar(select(OrderChange))
    assert change is not None and change.asked_by is None
    assert (change.kind, change.state) == (ChangeKind.AMEND, ChangeState.WAITING)
    assert change.note is not None and "please have it installed" in change.note
    # While one is under way the next one waits, as a job.
    await jobs.install_called_off(worker, sale_id=str(sale_id))
    assert len((await tx.scalars(select(OrderChange.id))).all()) == 1
    assert len(await jobs_of(tx, "install.called_off")) == 2


async def test_what_was_never_sent_or_has_ended_is_not_amended(tx, worker, sold, clock):
    await called_off(tx, worker, sold)
    assert await service.tell_of_no_install(tx, UUID(sold["id"]), now=clock.now())
    await tx.execute(text("UPDATE order_sync SET attempts = 1"))
    at = await shared_now(tx) + timedelta(seconds=1)
    await sales.follow(tx, sale_id=UUID(sold["id"]), state=SaleState.COMPLETED, at=at)
    await tx.flush()
    tx.expire_all()
    assert await service.tell_of_no_install(tx, UUID(sold["id"]), now=clock.now())
    assert await tx.scalar(select(OrderChange.id)) is None
