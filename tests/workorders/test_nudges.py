"""A customer asks for their order: counted, raised within bounds, shown, and tried again."""

from datetime import datetime, timedelta

import pytest
from sqlalchemy import func, select, text

from app.auth.rules import Role
from app.workorders import rules
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.workorders import make_work_order

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("priority", "ago", "most", "then"),
    [
        (3, None, 2, 2),
        (2, None, 2, 2),
        (1, None, 2, 1),
        (4, None, 1, 3),
        (2, None, 1, 1),
        (3, timedelta(minutes=59), 2, 3),
        (3, HOUR, 2, 2),
    ],
)
def test_a_nudge_raises_by_one_within_bounds_and_not_twice_within_an_hour(
    priority, ago, most, then
):
    now = datetime.fromisoformat("2026-03-02T09:00:00+08:00")
    last = None if ago is None else now - ago
    assert rules.nudged(priority, last, now, apart=HOUR, most=most) == then


@pytest.fixture
async def branch(tx):
    return await make_org_unit(tx)


@pytest.fixture
def nudge(app, http, branch):
    """Nudge an order as the upstream system, and give what is answered."""

    async def post(order, reference, *, unit=None, role=Role.INTEGRATION, **body):
        headers = bearer(app, caller_for(role, unit or branch))
        return await http.post(
            f"/v1/work-orders/{order.id}/nudges",
            json={"reference": reference, **body},
            headers=headers,
        )

    return post


async def test_nudges_are_counted_told_once_and_raise_seldom(app, http, tx, clock, branch, nudge):
    order = await make_work_order(tx, now=clock.now(), org_unit=branch)
    first = await nudge(order, "CALL-1", note="家中有老人")
    assert first.json() == {
        "work_order_id": str(order.id),
        "reference": "CALL-1",
        "at": "2026-03-02T01:00:00Z",
        "state": "received",
        "nudges": 1,
        "priority": 2,
        "raised": True,
    }
    # Nobody has it, so it is tried again at once.
    jobs = await tx.execute(text("SELECT task_name, args ->> 'order_id' FROM procrastinate_jobs"))
    assert jobs.all() == [("workorder.freed", str(order.id))]
    clock.tick(timedelta(minutes=10))
    assert (await nudge(order, "CALL-1", note="家中有老人")).json() == first.json()
    other = await nudge(order, "CALL-1", note="no such note")
    assert (other.status_code, other.json()["type"]) == (
        409,
        "urn:yingwei:problem:same-id-other-content",
    )
    second = (await nudge(order, "CALL-2", role=Role.SUPERVISOR)).json()
    assert (second["nudges"], second["priority"], second["raised"]) == (2, 2, False)
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch))
    shown = (await http.get(f"/v1/work-orders/{order.id}", headers=headers)).json()
    assert (shown["nudges"], shown["priority"]) == (2, 2)
    history = await http.get(f"/v1/work-orders/{order.id}/history", headers=headers)
    assert [(one["step"], one["reason"]) for one in history.json()["events"]] == [
        ("nudge", "家中有老人"),
        ("nudge", None),
    ]


@pytest.mark.parametrize("state", [State.COMPLETED, State.CANCELLED])
async def test_a_closed_order_cannot_be_nudged(tx, clock, branch, nudge, state):
    order = await make_work_order(tx, now=clock.now(), org_unit=branch, state=state)
    answer = await nudge(order, "CALL-1")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:yingwei:problem:step-refused")
    assert await tx.scalar(select(func.count()).select_from(WorkOrderEvent)) == 0
    found = await tx.scalar(select(WorkOrder.nudges).where(WorkOrder.id == order.id))
    assert found == 0


async def test_an_order_of_another_branch_cannot_be_nudged(tx, clock, branch, nudge):
    order = await make_work_order(tx, now=clock.now(), org_unit=branch)
    answer = await nudge(order, "CALL-1", unit=await make_org_unit(tx))
    assert answer.status_code == 404
    assert (await nudge(order, "CALL-1", role=Role.TECHNICIAN)).status_code == 403
    assert await tx.scalar(select(func.count()).select_from(WorkOrderEvent)) == 0
