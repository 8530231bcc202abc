"""Steps of an order: the event each leaves, and the minutes that follow its holder."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from app.core.db import new_id
from app.core.errors import NotFound
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.worker import HANDLERS
from app.workorders import queries, rules
from app.workorders.models import WorkOrderEvent
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step, unplace_all
from tests.make.technicians import make_technician
from tests.make.workorders import make_work_order

TODAY, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)


async def assigned(tx, now, technician, **fields):
    order = await make_work_order(tx, now=now, state=State.LOCATED, **fields)
    return await take_step(
        tx, order, Step.ASSIGN, now=now, holder_id=technician.id, planned_day=TODAY
    )


async def days_of(tx, technician):
    return (
        await availability.promised(tx, technician.id, TODAY),
        await availability.promised(tx, technician.id, TOMORROW),
    )


async def told(tx, task="workorder.freed"):
    rows = await tx.execute(
        text("SELECT args FROM procrastinate_jobs WHERE task_name = :task"), {"task": task}
    )
    return rows.scalars().all()


async def test_a_step_sets_the_state_and_leaves_an_event(tx, clock):
    order = await make_work_order(tx, now=clock.now())
    account_id, device_at = new_id(), clock.now() - timedelta(minutes=3)
    await take_step(
        tx,
        order,
        Step.LOCATE,
        now=clock.now(),
        account_id=account_id,
        device_at=device_at,
        reason="because",
        facts={"grid": "G1"},
    )
    [event] = await queries.history(tx, order.id)
    assert order.state is State.LOCATED
    assert (event.step, event.from_state, event.to_state) == ("locate", "received", "located")
    assert (event.at, event.device_at, event.account_id) == (clock.now(), device_at, account_id)
    assert (event.reason, event.facts) == ("because", {"grid": "G1"})


async def test_an_illegal_step_changes_nothing(tx, clock):
    order = await make_work_order(tx, now=clock.now())
    with pytest.raises(rules.StepRefused):
        await take_step(tx, order, Step.COMPLETE, now=clock.now())
    assert order.state is State.RECEIVED
    assert await tx.scalar(select(func.count()).select_from(WorkOrderEvent)) == 0


# What a technician's two days hold after a step that is taken with an order of theirs of 60
# minutes, and whether the order keeps its holder.
MINUTES = [
    (State.ASSIGNED, Step.ACKNOWLEDGE, Promised(60, 1), True),
    (State.ASSIGNED, Step.DECLINE, NOTHING, False),
    (State.ASSIGNED, Step.UNPLACE, NOTHING, False),
    (State.ASSIGNED, Step.CANCEL, NOTHING, True),
    (State.ACKNOWLEDGED, Step.TRAVEL, Promised(60, 1), True),
    (State.ACKNOWLEDGED, Step.HAND_BACK, NOTHING, False),
    (State.ACKNOWLEDGED, Step.UNPLACE, NOTHING, False),
    (State.EN_ROUTE, Step.CHECK_IN, Promised(60, 1), True),
    (State.ON_SITE, Step.SUSPEND, Promised(60, 1), True),
    (State.ON_SITE, Step.COMPLETE, NOTHING, True),
    (State.ON_SITE, Step.HAND_BACK, NOTHING, False),
    (State.SUSPENDED, Step.RESUME, Promised(60, 1), True),
    (State.SUSPENDED, Step.CANCEL, NOTHING, True),
]


@pytest.mark.parametrize(("state", "step", "holds", "kept"), MINUTES)
async def test_promised_minutes_follow_the_order(tx, clock, state, step, holds, kept):
    technician = await make_technician(tx)
    order = await assigned(tx, clock.now(), technician)
    order.state = state
    reason = UnplacedReason.SHARED_POINT if step is Step.UNPLACE else None
    await take_step(tx, order, step, now=clock.now(), unplaced_reason=reason)
    assert await days_of(tx, technician) == (holds, NOTHING)
    assert (order.holder_id == technician.id) is kept
    assert (order.planned_day == TODAY) is kept


async def test_reassigning_moves_the_minutes(tx, clock):
    first, second = await make_technician(tx), await make_technician(tx)
    order = await assigned(tx, clock.now(), first)
    await take_step(
        tx, order, Step.ASSIGN, now=clock.now(), holder_id=second.id, planned_day=TOMORROW
    )
    assert await days_of(tx, first) == (NOTHING, NOTHING)
    assert await days_of(tx, second) == (NOTHING, Promised(60, 1))


async def test_moving_an_order_to_another_day_of_the_same_technician(tx, clock):
    technician = await make_technician(tx)
    order = await assigned(tx, clock.now(), technician)
    await take_step(
        tx, order, Step.ASSIGN, now=clock.now(), holder_id=technician.id, planned_day=TOMORROW
    )
    assert await days_of(tx, technician) == (NOTHING, Promised(60, 1))


async def test_minutes_that_are_promised_already_are_not_promised_twice(tx, clock):
    technician = await make_technician(tx)
    order = await make_work_order(tx, now=clock.now(), state=State.LOCATED)
    await availability.commit_minutes(tx, technician.id, TODAY, order.estimated_minutes)
    await take_step(
        tx,
        order,
        Step.ASSIGN,
        now=clock.now(),
        holder_id=technician.id,
        planned_day=TODAY,
        minutes_promised=True,
    )
    assert await days_of(tx, technician) == (Promised(60, 1), NOTHING)


@pytest.mark.parametrize("step", [Step.DECLINE, Step.HAND_BACK])
async def test_an_order_that_comes_back_is_told(tx, clock, step):
    technician = await make_technician(tx)
    order = await assigned(tx, clock.now(), technician)
    order.state = State.ASSIGNED if step is Step.DECLINE else State.ACKNOWLEDGED
    await take_step(tx, order, step, now=clock.now(), technician_id=technician.id)
    assert await told(tx) == [
        {"order_id": str(order.id), "declined_by": str(technician.id)},
    ]


async def test_an_order_that_is_done_is_told(tx, clock):
    technician = await make_technician(tx)
    order = await assigned(tx, clock.now(), technician)
    order.state = State.ON_SITE
    await take_step(tx, order, Step.COMPLETE, now=clock.now(), technician_id=technician.id)
    assert await told(tx, "workorder.completed") == [{"order_id": str(order.id)}]
    assert "workorder.completed" in HANDLERS, "a job that the worker does not know would fail"


async def test_a_nudge_moves_nothing_and_an_unplaced_order_keeps_its_reason(tx, clock):
    order = await make_work_order(tx, now=clock.now())
    await take_step(
        tx, order, Step.UNPLACE, now=clock.now(), unplaced_reason=UnplacedReason.NO_GRID
    )
    await take_step(tx, order, Step.NUDGE, now=clock.now())
    assert (order.state, order.unplaced_reason) == (State.UNPLACED, UnplacedReason.NO_GRID)


@pytest.mark.parametrize("state", sorted(rules.HELD))
async def test_passing_an_order_on_moves_the_minutes(tx, clock, state):
    first, second = await make_technician(tx), await make_technician(tx)
    order = await assigned(tx, clock.now(), first)
    order.state = state
    await take_step(
        tx, order, Step.TRANSFER, now=clock.now(), holder_id=second.id, planned_day=TODAY
    )
    assert (order.state, order.holder_id) == (State.ASSIGNED, second.id)
    assert await days_of(tx, first) == (NOTHING, NOTHING)
    assert await days_of(tx, second) == (Promised(60, 1), NOTHING)


async def test_one_order_under_way_at_a_time(tx, clock):
    technician = await make_technician(tx)
    first = await assigned(tx, clock.now(), technician)
    second = await assigned(tx, clock.now(), technician)
    for order in (first, second):
        await take_step(tx, order, Step.ACKNOWLEDGE, now=clock.now())
    await take_step(tx, first, Step.TRAVEL, now=clock.now())
    with pytest.raises(rules.OneAtATime) as refused:
        await take_step(tx, second, Step.TRAVEL, now=clock.now())
    assert refused.value.status == 409


async def test_restoring_and_completing_note_the_first_moment(tx, clock):
    technician = await make_technician(tx)
    order = await assigned(tx, clock.now(), technician)
    order.state = State.ON_SITE
    restored_at = clock.now()
    await take_step(tx, order, Step.RESTORE, now=restored_at)
    clock.tick(timedelta(minutes=5))
    await take_step(tx, order, Step.RESTORE, now=clock.now())
    await take_step(tx, order, Step.COMPLETE, now=clock.now())
    assert (order.restored_at, order.completed_at) == (restored_at, clock.now())


async def test_many_orders_are_taken_back_at_once(tx, clock):
    one, other = await make_technician(tx), await make_technician(tx)
    orders = [
        await assigned(tx, clock.now(), one),
        await assigned(tx, clock.now(), one, estimated_minutes=30),
        await assigned(tx, clock.now(), other),
        await make_work_order(tx, now=clock.now()),
    ]
    relieved = await unplace_all(tx, orders, UnplacedReason.SHARED_POINT, now=clock.now())
    assert relieved == {(one.id, TODAY): Promised(-90, -2), (other.id, TODAY): Promised(-60, -1)}
    assert {order.state for order in orders} == {State.UNPLACED}
    assert {order.unplaced_reason for order in orders} == {UnplacedReason.SHARED_POINT}
    assert {order.holder_id for order in orders} == {None}
    # The days are the caller's to change.
    assert await days_of(tx, one) == (Promised(90, 2), NOTHING)
    await availability.change(tx, relieved)
    assert await days_of(tx, one) == await days_of(tx, other) == (NOTHING, NOTHING)


async def test_nobody_gives_back_more_than_was_promised(tx, clock):
    technician = await make_technician(tx)
    await availability.commit_minutes(tx, technician.id, TODAY, 30)
    with pytest.raises(IntegrityError):
        await availability.release_minutes(tx, technician.id, TODAY, 60)


async def test_history_cannot_be_rewritten(tx, clock):
    order = await make_work_order(tx, now=clock.now())
    await take_step(tx, order, Step.LOCATE, now=clock.now())
    with pytest.raises(DBAPIError, match="append-only"):
        await tx.execute(text("UPDATE work_order_event SET reason = 'other'"))


async def test_an_order_of_somebody_else_is_not_found(tx, clock):
    technician, other = await make_technician(tx), await make_technician(tx)
    order = await assigned(tx, clock.now(), technician)
    assert (await queries.held_for_change(tx, order.id, technician.id)).id == order.id
    for stranger in (other.id, new_id()):
        with pytest.raises(NotFound):
            await queries.held_for_change(tx, order.id, stranger)
    with pytest.raises(NotFound):
        await queries.for_change(tx, new_id())
