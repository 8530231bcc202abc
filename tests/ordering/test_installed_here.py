"""What is installed by whoever sold it: the ordering system knows, and hears when it is not."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select, text

from app.core.db import shared_now
from app.core.jobs import Worker
from app.feasibility import jobs as feasibility
from app.ordering import jobs, queries, service
from app.ordering.delivery import ChangeKind, ChangeState
from app.ordering.models import OrderChange
from app.ordering.order import Characteristic
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
