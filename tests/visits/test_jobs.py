"""From time to time: what an order's cancelling leaves open at a door is closed."""

import pytest
from sqlalchemy import select

from app.core.jobs import Worker
from app.suggestions.models import ContactSlot
from app.visits.jobs import end_cancelled
from app.visits.models import Visit
from app.workorders.models import WorkOrder
from app.workorders.rules import Step
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.customers import make_customer
from tests.make.visits import make_assigned_order, make_phone


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    return Worker(settings, clock, database)


async def test_a_visit_whose_order_was_cancelled_ends(
    tx, app, http, clock, worker, branch, settings
):
    phone = await make_phone(tx, app, http, clock, org_unit=branch)
    customer = await make_customer(tx, org_unit=branch)
    await make_offering(tx, margin_12m_fen=90_000, category="tv", code="TV-4K")
    orders = [
        await make_assigned_order(
            tx, phone.technician, customer, now=clock.now(), work_type=WorkType.CARE
        )
        for _ in range(2)
    ]
    cancelled = await phone.arrive(orders[0])
    assert (await phone.post(f"/visits/{cancelled}/suggestions")).json()["offers"]
    await end_cancelled(worker)
    assert (await tx.get(Visit, cancelled, populate_existing=True)).ended_at is None
    order = await tx.get(WorkOrder, orders[0].id, populate_existing=True)
    await take_step(tx, order, Step.CANCEL, now=clock.now(), reason="customer_withdrew")
    going_on = await phone.set_out(orders[1])
    for _ in range(2):
        await end_cancelled(worker)
    ended = await tx.get(Visit, cancelled, populate_existing=True)
    assert (ended.outcome, ended.ended_at) == ("cancelled", clock.now())
    assert (await tx.get(Visit, going_on, populate_existing=True)).ended_at is None
    assert (await tx.scalars(select(ContactSlot))).all() == []
