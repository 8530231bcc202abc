"""What a day is planned from: who is planned where, which orders, and how they are put."""

from datetime import date

import numpy as np
import pytest

from app.core.db import new_id
from app.dispatch.models import DispatchPin
from app.dispatch.solver import FAR, Rule, judge
from app.grids.rules import MembershipKind
from app.planning.rules.districts import NotReadable, pack, unpack
from app.planning.service.reading import read_districts
from app.technicians import availability
from app.technicians.models import TechnicianLoan
from app.workorders.models import WorkOrderEvent
from app.workorders.rules import State, Step, UnplacedReason
from tests.make.auth import make_org_unit
from tests.make.counting import counted
from tests.make.planning import (
    NINE,
    SHANGHAI,
    TODAY,
    TOMORROW,
    at,
    make_leave,
    make_visit,
)
from tests.make.terminals import make_terminal

NEVER_ENDS = date(2030, 1, 1)


@pytest.fixture
def read(tx, land):
    async def reading(day=TOMORROW, *, path=None, now=NINE):
        path = path or land.org_unit.path
        return await read_districts(tx, path, day, zone=SHANGHAI, now=now)

    return reading


async def test_a_day_to_come_has_what_is_planned_on_it_and_what_waits(tx, land, read):
    anna, ben = land.people
    here, there = land.grids
    planned = await make_visit(tx, land, here, holder=anna)
    waits = await make_visit(tx, land, there, priority=2, due_at=at(12))
    await make_visit(tx, land, here, holder=ben, day=TODAY)  # another day's
    [district] = await read()
    assert district.technician_ids == (anna.id, ben.id)
    assert {fact.order_id for fact in district.facts} == {planned.id, waits.id}
    number = {fact.order_id: row for row, fact in enumerate(district.facts)}
    visits = district.problem.visits
    assert visits.due[number[waits.id]] == 12 * 3600
    assert visits.late_weight[number[waits.id]] == 2
    assert visits.unplaced[number[waits.id]] == 240 * 60
    assert visits.published.tolist() == [-1, -1]  # nobody knows of that day yet
    assert district.current == ((number[planned.id],), ())
    assert district.problem.technicians.shift_start.tolist() == [8 * 3600] * 2


async def test_whose_grid_it_is_has_its_price(tx, land, read):
    here, there = land.grids
    await land.give(there, land.people[0], MembershipKind.BACKUP, rank=2)
    for grid in land.grids:
        await make_visit(tx, land, grid)
    [district] = await read()
    costs = np.array(district.problem.costs.ownership)
    rows = {fact.grid_id: row for row, fact in enumerate(district.facts)}
    classes = district.problem.owner_class[district.problem.visits.grid]
    assert costs[classes[rows[here.id]]].tolist() == [0, 12 * 60]
    assert costs[classes[rows[there.id]]].tolist() == [(3 + 1) * 60, 0]


async def test_today_begins_now_with_what_is_under_way_and_the_next_one(tx, land, read):
    anna, _ = land.people
    here = land.grids[0]
    first = await make_visit(tx, land, here, holder=anna, day=TODAY)
    later = await make_visit(tx, land, here, holder=anna, day=TODAY, east=0.9)
    at_it = await make_visit(tx, land, here, holder=anna, day=TODAY, state=State.EN_ROUTE)
    await availability.write_routes(tx, {(anna.id, TODAY): [at_it.id, later.id, first.id]})
    [district] = await read(TODAY)
    number = {fact.order_id: row for row, fact in enumerate(district.facts)}
    assert district.problem.frozen[0] == (number[at_it.id], number[later.id])
    assert district.current[0] == (number[at_it.id], number[later.id], number[first.id])
    assert district.problem.technicians.shift_start[0] == 9 * 3600
    assert district.problem.visits.published[number[first.id]] == 0


async def test_a_next_visit_that_must_wait_for_its_window_is_not_frozen(tx, land, read):
    anna, _ = land.people
    window = (at(15, day=TODAY), at(16, day=TODAY))
    await make_visit(tx, land, land.grids[0], holder=anna, day=TODAY, window=window)
    [district] = await read(TODAY)
    assert district.problem.frozen == ((), ())


async def test_leave_in_the_middle_of_a_day_is_a_visit_at_home(tx, land, read):
    anna, _ = land.people
    await make_leave(tx, anna, at(10), at(12))
    await make_visit(tx, land, land.grids[0])
    [district] = await read()
    visits = district.problem.visits
    assert district.orders == 1 and district.problem.n == 2
    assert (visits.opens[1], visits.closes[1], visits.duration[1]) == (36_000, 36_000, 7_200)
    assert visits.pinned[1] == 0
    assert visits.place[1] == district.problem.technicians.start_place[0]


async def test_whoever_is_away_all_day_leaves_their_orders_to_the_others(tx, land, read):
    anna, ben = land.people
    await make_leave(tx, anna, at(0), at(23))
    order = await make_visit(tx, land, land.grids[0], holder=anna)
    [district] = await read()
    assert district.technician_ids == (ben.id,)
    assert district.absent == {anna.id}
    assert district.current == ((),)
    assert [(fact.order_id, fact.holder_id) for fact in district.facts] == [(order.id, anna.id)]


async def test_what_cannot_be_planned_is_named_with_its_reason(tx, land, read):
    here = land.grids[0]
    nowhere = await make_visit(tx, land, here, unplaced_reason=UnplacedReason.NO_POINT, point=None)
    gridless = await make_visit(
        tx, land, here, unplaced_reason=UnplacedReason.NO_GRID, grid_id=None
    )
    [district] = await read()
    assert {(one.fact.order_id, one.reason) for one in district.left_out} == {
        (nowhere.id, UnplacedReason.NO_POINT),
        (gridless.id, UnplacedReason.NO_GRID),
    }


async def test_a_promise_that_is_broken_already_is_planned_as_more_urgent(tx, land, read):
    await make_visit(tx, land, land.grids[0], due_at=at(8, day=TODAY), priority=3)
    [district] = await read()
    assert district.problem.visits.due[0] == FAR
    assert district.problem.visits.unplaced[0] == 240 * 60
    assert district.facts[0].due == 8 * 3600 - 86_400


async def test_pins_and_what_somebody_has_declined(tx, land, read):
    anna, ben = land.people
    pinned = await make_visit(tx, land, land.grids[0], holder=ben)
    tx.add(
        DispatchPin(
            work_order_id=pinned.id, technician_id=ben.id, day=TOMORROW, at=NINE, reason="asked for"
        )
    )
    declined = await make_visit(tx, land, land.grids[0])
    tx.add(
        WorkOrderEvent(
            work_order_id=declined.id,
            at=NINE,
            technician_id=anna.id,
            step=Step.DECLINE,
            to_state=State.LOCATED,
        )
    )
    await tx.flush()
    [district] = await read()
    number = {fact.order_id: row for row, fact in enumerate(district.facts)}
    assert district.problem.visits.pinned[number[pinned.id]] == 1
    plan = judge(district.problem, ((number[declined.id],), ()))
    assert [(one.rule, one.technician) for one in plan.breaches] == [(Rule.ALLOWED, 0)]
    assert not judge(district.problem, ((), (number[declined.id],))).breaches


async def test_vans_have_what_is_left_for_what_may_move(tx, land, read):
    anna, _ben = land.people
    for kind in ["camera", *["ont_gateway"] * 4]:
        await make_terminal(tx, land.org_unit, technician_id=anna.id, kind=kind)
    here = land.grids[0]
    ont = {"terminals": ["ont_gateway"], "holder": anna}
    await make_visit(tx, land, here, day=TODAY, **ont)  # has taken its own on another day
    pinned = await make_visit(tx, land, here, **ont)
    tx.add(
        DispatchPin(
            work_order_id=pinned.id, technician_id=anna.id, day=TOMORROW, at=NINE, reason="asked"
        )
    )
    held = await make_visit(tx, land, here, **ont)
    waits = await make_visit(tx, land, here, terminals=["camera", "ont_gateway", "ont_gateway"])
    plain = await make_visit(tx, land, here)
    await tx.flush()
    [district] = await read()
    needs = {
        fact.order_id: row.tolist()
        for fact, row in zip(district.facts, district.problem.visits.needs, strict=True)
    }
    # Cameras first: kinds are in the order of their names.
    assert needs == {
        pinned.id: [0, 0],
        held.id: [0, 1],
        waits.id: [1, 2],
        plain.id: [0, 0],
    }
    assert district.problem.technicians.stock.tolist() == [[1, 2], [0, 0]]


async def test_whoever_is_lent_is_planned_where_they_are_lent_to(tx, land, read):
    anna, _ = land.people
    other = await make_org_unit(tx)
    order = await make_visit(tx, land, land.grids[0], holder=anna)
    tx.add(
        TechnicianLoan(
            id=new_id(),
            technician_id=anna.id,
            org_unit_id=other.id,
            valid_from=TOMORROW,
            valid_to=NEVER_ENDS,
            reason="a storm",
            asked_at=NINE,
            agreed_at=NINE,
        )
    )
    await tx.flush()
    [home] = await read()
    assert anna.id not in home.technician_ids
    assert [fact.order_id for fact in home.facts] == [order.id]  # stays, for somebody else
    [away] = await read(path=other.path)
    assert away.technician_ids == (anna.id,) and not away.facts


async def test_what_is_read_is_kept_without_loss(tx, land, read):
    for number in range(6):
        await make_visit(tx, land, land.grids[number % 2], east=number / 7, window=(at(10), at(12)))
    await make_leave(tx, land.people[0], at(15), at(16))
    [district] = await read()
    [again] = unpack(pack([district]))
    for part in ("visits", "technicians"):
        before, after = getattr(district.problem, part), getattr(again.problem, part)
        for name in before.__dataclass_fields__:
            one, other = getattr(before, name), getattr(after, name)
            assert one.dtype == other.dtype and (one == other).all(), name
    assert (again.problem.travel == district.problem.travel).all()
    assert again.problem.costs == district.problem.costs
    assert (again.facts, again.technician_ids, again.current, again.left_out) == (
        district.facts,
        district.technician_ids,
        district.current,
        district.left_out,
    )
    assert judge(again.problem, again.current) == judge(district.problem, district.current)
    with pytest.raises(NotReadable):
        unpack(b"something else")


async def test_the_number_of_statements_does_not_grow(tx, database, land, read):
    async def statements() -> int:
        with counted(database) as seen:
            await read(TODAY)
        return len(seen)

    await read(TODAY)  # what a process remembers is remembered by now
    for _ in range(2):
        await make_visit(tx, land, land.grids[0])
    few = await statements()
    for number in range(12):
        grid = await land.add_grid()
        person = await land.add_technician(grid)
        await make_visit(tx, land, grid, holder=person if number % 2 else None, day=TODAY)
    assert await statements() == few <= 12
