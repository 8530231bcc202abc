"""After the commit and from time to time: orders that came back or wait are placed."""

from datetime import date, timedelta

import pytest
from sqlalchemy import func, select

from app.core.errors import Unavailable
from app.core.jobs import Worker
from app.dispatch import jobs, queries
from app.dispatch.models import DispatchDecision
from app.dispatch.service import placing
from app.dispatch.service.placing import FilledMeanwhile, choose_all
from app.grids.rules import MembershipKind
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.workorders import queries as workorders
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from tests.make.auth import make_org_unit
from tests.make.dispatch import Territory, make_territory
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


@pytest.fixture
async def land(tx) -> Territory:
    """One grid without anybody who looks after it."""
    return await make_territory(tx)


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    """The worker's process, on the rolled-back database."""
    return Worker(settings, clock, database)


@pytest.fixture
def waiting(tx, land, clock):
    """Make an order at the middle of the first grid, located there unless told otherwise."""

    async def make(**fields):
        point = land.point_in(land.grids[0])
        given = {
            "org_unit": land.org_unit,
            "point": (point["lon"], point["lat"]),
            "state": State.LOCATED,
            "grid_id": land.grids[0].id,
            **fields,
        }
        return await make_work_order(tx, now=clock.now(), **given)

    return make


async def events_of(tx, row):
    return [event.step for event in await workorders.history(tx, row.id)]


# --- an order that came back ----------------------------------------------------------------------


@pytest.mark.parametrize("step", [Step.DECLINE, Step.HAND_BACK])
async def test_who_gave_it_back_is_not_asked_again(tx, land, waiting, worker, clock, step):
    first = await land.add_technician(land.grids[0])
    second = await land.add_technician(land.grids[0], MembershipKind.BACKUP)
    row = await waiting()
    await take_step(tx, row, Step.ASSIGN, now=clock.now(), holder_id=first.id, planned_day=TODAY)
    if step is Step.HAND_BACK:
        await take_step(tx, row, Step.ACKNOWLEDGE, now=clock.now())
    await take_step(tx, row, step, now=clock.now(), technician_id=first.id)
    await jobs.place_anew(worker, order_id=str(row.id), declined_by=str(first.id))
    await tx.refresh(row)
    assert (row.state, row.holder_id, row.planned_day) == (State.ASSIGNED, second.id, TODAY)
    assert await availability.promised(tx, second.id, TODAY) == Promised(60, 1)
    decision = await queries.decision(tx, row.id)
    assert decision is not None
    assert [(entry["k"], entry.get("w")) for entry in decision.candidates] == [
        ("primary", "declined_before"),
        ("backup", None),
    ]


async def test_when_everybody_has_declined_the_supervisor_is_told(tx, land, waiting, worker, clock):
    technician = await land.add_technician(land.grids[0])
    row = await waiting()
    await take_step(
        tx, row, Step.ASSIGN, now=clock.now(), holder_id=technician.id, planned_day=TODAY
    )
    await take_step(tx, row, Step.DECLINE, now=clock.now(), technician_id=technician.id)
    await jobs.place_anew(worker, order_id=str(row.id))
    await tx.refresh(row)
    assert (row.state, row.unplaced_reason) == (State.UNPLACED, UnplacedReason.ALL_DECLINED)


@pytest.mark.parametrize(
    ("step", "state"), [(Step.DECLINE, State.UNPLACED), (Step.HAND_BACK, State.ASSIGNED)]
)
async def test_what_was_handed_back_may_go_to_the_same_hands_the_next_day(
    tx, land, waiting, worker, clock, step, state
):
    """Nobody was home today; but whoever declined said that it is not theirs."""
    technician = await land.add_technician(land.grids[0])
    row = await waiting()
    await take_step(
        tx, row, Step.ASSIGN, now=clock.now(), holder_id=technician.id, planned_day=TODAY
    )
    if step is Step.HAND_BACK:
        await take_step(tx, row, Step.ACKNOWLEDGE, now=clock.now())
    await take_step(tx, row, step, now=clock.now(), technician_id=technician.id)
    await jobs.place_anew(worker, order_id=str(row.id))
    await tx.refresh(row)
    assert row.unplaced_reason is UnplacedReason.ALL_DECLINED
    clock.tick(timedelta(hours=24))
    await jobs.place_waiting(worker)
    await tx.refresh(row)
    assert row.state is state


async def test_being_told_twice_changes_nothing_more(tx, land, waiting, worker):
    technician = await land.add_technician(land.grids[0])
    row = await waiting()
    for _ in range(2):
        await jobs.place_anew(worker, order_id=str(row.id))
    assert await events_of(tx, row) == ["assign"]
    assert await availability.promised(tx, technician.id, TODAY) == Promised(60, 1)


# --- what waits -----------------------------------------------------------------------------------


async def test_an_order_whose_placing_failed_is_placed(tx, land, waiting, worker):
    technician = await land.add_technician(land.grids[0])
    row = await waiting(state=State.RECEIVED, grid_id=None)
    await jobs.place_waiting(worker)
    await tx.refresh(row)
    assert (row.state, row.holder_id, row.grid_id) == (
        State.ASSIGNED,
        technician.id,
        land.grids[0].id,
    )
    assert await events_of(tx, row) == ["locate", "assign"]


async def test_it_goes_to_the_grids_unit_within_its_district(tx, land, waiting, worker):
    # province > city > district > branch: an order of one branch may move to the next one.
    city = await make_org_unit(tx, parent=land.org_unit)
    district = await make_org_unit(tx, parent=city)
    here, there = [await make_org_unit(tx, parent=district) for _ in range(2)]
    far = await make_org_unit(tx, parent=await make_org_unit(tx, parent=city))
    land.grids[0].org_unit_id = there.id
    near_row = await waiting(state=State.RECEIVED, grid_id=None, org_unit=here)
    far_row = await waiting(state=State.RECEIVED, grid_id=None, org_unit=far)
    await jobs.place_waiting(worker)
    for row in (near_row, far_row):
        await tx.refresh(row)
    assert (near_row.org_unit_id, near_row.unplaced_reason) == (there.id, "nobody_assigned")
    assert (far_row.org_unit_id, far_row.unplaced_reason) == (far.id, "no_grid")


async def test_an_unplaced_order_is_tried_again_after_a_while(tx, land, waiting, worker, clock):
    row = await waiting(
        state=State.UNPLACED,
        unplaced_reason=UnplacedReason.NOBODY_ASSIGNED,
        tried_at=clock.now(),
    )
    technician = await land.add_technician(land.grids[0])
    clock.tick(timedelta(minutes=29))
    await jobs.place_waiting(worker)
    await tx.refresh(row)
    assert row.state is State.UNPLACED
    clock.tick(timedelta(minutes=2))
    await jobs.place_waiting(worker)
    await tx.refresh(row)
    assert (row.state, row.holder_id) == (State.ASSIGNED, technician.id)


async def test_trying_in_vain_leaves_no_further_event(tx, waiting, worker, clock):
    row = await waiting()
    await jobs.place_waiting(worker)
    assert await events_of(tx, row) == ["unplace"]
    await tx.refresh(row)
    version = row.version
    clock.tick(timedelta(minutes=31))
    await jobs.place_waiting(worker)
    await tx.refresh(row)
    assert await events_of(tx, row) == ["unplace"]
    assert (row.tried_at, row.version) == (clock.now(), version)
    assert await tx.scalar(select(func.count()).select_from(DispatchDecision)) == 1


@pytest.mark.parametrize(
    "reason",
    [UnplacedReason.NO_POINT, UnplacedReason.SHARED_POINT],
)
async def test_what_time_does_not_heal_is_left_to_people(tx, waiting, worker, clock, reason):
    row = await waiting(
        state=State.UNPLACED, unplaced_reason=reason, tried_at=clock.now() - timedelta(days=1)
    )
    tried_at = row.tried_at
    await jobs.place_waiting(worker)
    await tx.refresh(row)
    assert (row.tried_at, row.unplaced_reason) == (tried_at, reason)


async def test_an_overdue_order_goes_to_the_first_day_with_room(tx, land, waiting, worker, clock):
    technician = await land.add_technician(land.grids[0], daily_minutes=75)
    await availability.commit_minutes(tx, technician.id, TODAY, 60)
    in_time = await waiting(due_at=clock.now() + timedelta(hours=8))
    late = await waiting(due_at=clock.now() - timedelta(hours=1))
    await jobs.place_waiting(worker)
    for row in (in_time, late):
        await tx.refresh(row)
    assert (in_time.state, in_time.unplaced_reason) == (State.UNPLACED, "no_minutes_left")
    assert (late.state, late.planned_day) == (State.ASSIGNED, TODAY + timedelta(days=1))


async def test_what_an_order_given_back_without_a_grid_becomes(tx, waiting, worker):
    """A supervisor had given an order without a point to somebody who knew the way."""
    row = await waiting(point=None, grid_id=None)
    await jobs.place_anew(worker, order_id=str(row.id))
    await tx.refresh(row)
    assert (row.state, row.unplaced_reason) == (State.UNPLACED, UnplacedReason.NO_POINT)


async def test_many_are_placed_in_batches(tx, land, waiting, worker, monkeypatch):
    monkeypatch.setattr(jobs, "BATCH", 3)
    await land.add_technician(land.grids[0])
    for _ in range(7):
        await waiting(estimated_minutes=30)
    await jobs.place_waiting(worker)
    assert (
        await tx.scalar(
            select(func.count()).select_from(WorkOrder).where(WorkOrder.state == State.ASSIGNED)
        )
        == 7
    )


async def test_when_others_were_faster_placing_begins_again_with_the_days_locked(
    tx, land, waiting, worker, monkeypatch
):
    technician = await land.add_technician(land.grids[0])
    row = await waiting()

    async def late(*args, locking=False, **kwargs):
        choices = await choose_all(*args, locking=locking, **kwargs)
        if not locking:
            raise FilledMeanwhile
        return choices

    monkeypatch.setattr(placing, "choose_all", late)
    await jobs.place_anew(worker, order_id=str(row.id))
    assert await availability.promised(tx, technician.id, TODAY) == Promised(60, 1)
    assert await events_of(tx, row) == ["assign"]


async def test_when_others_are_faster_again_and_again_nothing_is_done(
    tx, land, waiting, worker, monkeypatch
):
    technician = await land.add_technician(land.grids[0])
    row = await waiting()

    async def late(*args, **kwargs):
        await choose_all(*args, **kwargs)
        raise FilledMeanwhile

    monkeypatch.setattr(placing, "choose_all", late)
    with pytest.raises(Unavailable):
        await jobs.place_anew(worker, order_id=str(row.id))
    assert await availability.promised(tx, technician.id, TODAY) == NOTHING
