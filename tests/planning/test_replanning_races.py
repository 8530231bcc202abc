"""Many at once, on real connections: events are dealt with once, nothing is lost or doubled."""

import asyncio

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.jobs import Worker
from app.core.parameter_values import ParameterValue
from app.planning import jobs, rules
from app.planning.models import DayPlan, PlanEvent
from app.planning.rules import PlanState
from app.technicians.models import TechnicianDay
from app.workorders.models import WorkOrder
from app.workorders.rules import HELD
from tests.make.auth import bearer, caller_for, make_account
from tests.make.replanning import TODAY, Branch, at, make_branch


@pytest.fixture
async def branch(real_database, clock) -> Branch:
    """Four people with four hours' work each; two of them are ill from ten on."""
    async with real_database.begin() as tx:
        branch = await make_branch(tx, people=4)
        for person in range(4):
            await branch.give(person, 4, now=clock.now())
        for person in range(2):
            await branch.leave(person, at(10), at(18))
        tx.add(
            ParameterValue(name=rules.CPU_SECONDS.name, org_path="", valid_from=at(0), value=0.1)
        )
    return branch


@pytest.fixture
def worker(settings, clock, real_database) -> Worker:
    return Worker(settings, clock, real_database)


async def one_plan(database, worker, branch):
    """Let everybody look and ask at once; give the plan that was asked for."""
    await asyncio.gather(*(jobs.look_around(worker) for _ in range(4)))
    day = {"org_unit_id": str(branch.unit.id), "day": str(TODAY)}
    await asyncio.gather(*(jobs.replan(worker, **day) for _ in range(4)))
    async with database.read() as read:
        plans = (await read.scalars(select(DayPlan.id))).all()
        events = (await read.scalars(select(PlanEvent.plan_id))).all()
    assert len(plans) == 1
    assert events == [*plans, *plans]
    return plans[0]


async def test_a_storm_that_many_workers_see_is_one_plan(real_database, branch, worker):
    plan_id = await one_plan(real_database, worker, branch)
    await asyncio.gather(*(jobs.make_plan(worker, plan_id=str(plan_id)) for _ in range(2)))
    async with real_database.read() as read:
        assert await read.scalar(select(DayPlan.state)) is PlanState.DRAFT


async def test_hands_and_publishing_at_once_leave_each_order_with_one_of_them(
    real_database, real_app, real_http, branch, worker
):
    plan_id = await one_plan(real_database, worker, branch)
    await jobs.make_plan(worker, plan_id=str(plan_id))
    async with real_database.begin() as tx:
        account = await make_account(tx, branch.unit, role=Role.SUPERVISOR)
    caller = caller_for(Role.SUPERVISOR, branch.unit, account_id=account.id)
    headers = bearer(real_app, caller)
    third = str(branch.people[3].id)

    async def by_hand(order):
        body = {
            "technician_id": third,
            "day": str(TODAY),
            "reason": "by hand",
            "version": order.version,
            "override": True,
        }
        path = f"/v1/work-orders/{order.id}/assign"
        return await real_http.post(path, json=body, headers=headers)

    publish = real_http.post(f"/v1/plans/{plan_id}/publish", json={}, headers=headers)
    answers = await asyncio.gather(publish, *(by_hand(one) for one in branch.orders[1:8]))
    assert answers[0].status_code == 200, answers[0].text
    assert {one.status_code for one in answers[1:]} <= {200, 409}
    async with real_database.read() as read:
        for order, answer in zip(branch.orders[1:8], answers[1:], strict=True):
            holder = await read.scalar(select(WorkOrder.holder_id).where(WorkOrder.id == order.id))
            assert (str(holder) == third) or answer.status_code == 409
        held = await read.execute(
            select(WorkOrder.holder_id, func.count(), func.sum(WorkOrder.estimated_minutes))
            .where(WorkOrder.state.in_(HELD))
            .group_by(WorkOrder.holder_id)
        )
        days = await read.execute(
            select(
                TechnicianDay.technician_id, TechnicianDay.orders, TechnicianDay.committed_minutes
            ).where(TechnicianDay.orders > 0)
        )
        assert sorted(map(tuple, days)) == sorted(map(tuple, held))
