"""Pushes at once on real connections: two phones of one technician, and a push beside a move."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select, text

from app.phone.line import NoSignal
from app.phone.rules import Stage
from app.phone.store import Store
from app.sync.models import SyncAction
from app.sync.service import pushing
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.phones import make_reference_phone
from tests.make.races import at_once, last_to_see_a_deadlock, until_waiting
from tests.make.visits import TODAY, make_assigned_order, make_phone


@pytest.fixture
async def hands(real_database, real_app, real_http, clock):
    """Two technicians of one branch, the first with four orders."""
    async with real_database.begin() as tx:
        mine = await make_phone(tx, real_app, real_http, clock)
        theirs = await make_phone(tx, real_app, real_http, clock)
        orders = [
            str((await make_assigned_order(tx, mine.technician, now=clock.now())).id)
            for _ in range(4)
        ]
    return mine, theirs, sorted(orders)


def phone_in(folder: Path, hand):
    return make_reference_phone(folder, hand, store=Store(folder))


def stages(phone):
    return [one.stage for one in phone.store.done()]


async def steps_of(database, order_id):
    async with database.read() as read:
        found = await read.scalars(
            select(WorkOrderEvent.step)
            .where(WorkOrderEvent.work_order_id == order_id)
            .order_by(WorkOrderEvent.id)
        )
        return list(found)


async def test_two_phones_of_one_technician_push_at_once(real_database, hands, tmp_path, clock):
    mine, _, orders = hands
    one, other = [phone_in(tmp_path / name, mine) for name in ("one", "other")]
    for phone in (one, other):
        await phone.sync()
    clock.tick(timedelta(minutes=1))
    # The same step with the first two, and steps that exclude each other with the last two.
    for order_id in orders:
        one.step("take", order_id)
    clock.tick(timedelta(minutes=1))
    for order_id in orders[:2]:
        other.step("take", order_id)
    for order_id in orders[2:]:
        other.step("decline", order_id, cause="no_time")
    # And a phone that has sent its queue twice, since it did not hear the first answer.
    again = phone_in(tmp_path / "one", mine)
    await asyncio.gather(*(phone.sync() for phone in (one, other, again)))
    for phone in (one, other):
        await phone.sync()
    assert one.store.tables() == other.store.tables()
    first, second = stages(one), stages(other)
    # Who came second with the same step has taken it as well; of two that exclude each other one
    # was first.
    assert set(first[:2] + second[:2]) == {Stage.APPLIED}
    for took, declined in zip(first[2:], second[2:], strict=True):
        assert sorted((took, declined)) in (
            [Stage.APPLIED, Stage.APPLIED],  # taken on, and then declined
            [Stage.APPLIED, Stage.CONFLICT],
        )
    for order_id, known in zip(orders, [1, 1, None, None], strict=True):
        steps = await steps_of(real_database, order_id)
        assert known is None or steps.count(Step.ACKNOWLEDGE) == known
        assert steps.count(Step.DECLINE) <= 1
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(SyncAction)) == 8


async def test_a_push_and_a_move_wait_for_each_other(real_database, hands, tmp_path, clock):
    mine, theirs, orders = hands
    phone = phone_in(tmp_path, mine)
    await phone.sync()
    clock.tick(timedelta(minutes=1))
    phone.step("take", orders[0])
    async with real_database.begin() as tx:
        order = await tx.get_one(WorkOrder, orders[0], with_for_update=True)
        pushing_on = asyncio.create_task(phone.sync())
        await until_waiting(real_database)
        await take_step(
            tx, order, Step.ASSIGN, now=clock.now(), holder_id=theirs.technician.id,
            planned_day=TODAY,
        )  # fmt: skip
    await pushing_on
    assert stages(phone) == [Stage.CONFLICT]
    assert orders[0] not in phone.store.rows("work_orders")

    # A deadlock with whoever takes the orders in another order ends here: it is tried again. The
    # push closes the ring, after both wait at the gate, so that it is the push that is undone.
    phone.step("take", orders[1])
    phone.step("take", orders[2])
    async with real_database.begin() as gate, real_database.begin() as other:
        await last_to_see_a_deadlock(other)
        await gate.get_one(WorkOrder, orders[1], with_for_update=True)
        await other.get_one(WorkOrder, orders[2], with_for_update=True)
        pushing_on = asyncio.create_task(phone.sync())
        await until_waiting(real_database)
        going_on = asyncio.create_task(other.get_one(WorkOrder, orders[1], with_for_update=True))
        await until_waiting(real_database, number=2)
        await gate.rollback()
        await going_on
    await pushing_on
    assert stages(phone)[1:] == [Stage.APPLIED, Stage.APPLIED]


async def test_collisions_without_end_are_put_off_and_nothing_is_recorded(
    real_database, real_http, hands, tmp_path, monkeypatch
):
    mine, _, orders = hands
    tried = []

    async def collides(tx, *_):
        tried.append(1)
        await tx.execute(text("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$"))

    monkeypatch.setattr(pushing, "breathe", at_once)
    monkeypatch.setattr("app.sync.queries.pushing.lock_orders", collides)
    phone = phone_in(tmp_path, mine)
    phone.do("visits_acknowledge", {"work_order_id": orders[0]})
    with pytest.raises(NoSignal) as put_off:
        await phone.sync()
    assert (str(put_off.value), put_off.value.retry_after, len(tried)) == ("503", 2.0, 5)
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(SyncAction)) == 0
    monkeypatch.undo()
    await phone.sync()
    assert stages(phone) == [Stage.APPLIED]
