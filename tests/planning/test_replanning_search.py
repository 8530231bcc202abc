"""What a new plan of the rest of a day leaves alone, and what it takes care of."""

from zoneinfo import ZoneInfo

import pytest

from app.dispatch.models import DispatchPin
from app.dispatch.solver import judge
from app.dispatch.solver.solve import Budget, solve
from app.planning.rules.replanning import freed, spots
from app.planning.service.reading import read_districts
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from tests.make.replanning import TODAY, at, make_branch

SHANGHAI = ZoneInfo("Asia/Shanghai")
BUDGET = Budget(iterations=3_000)


@pytest.fixture
async def branch(tx, clock):
    """Eight people with five hours' work each; at half past nine all of them are at a door."""
    branch = await make_branch(tx, people=8)
    for person in range(8):
        first, *_ = await branch.give(person, 5, now=clock.now())
        await branch.begin(first, since=at(9))
    clock.set(at(9, 30))
    return branch


@pytest.fixture
def read(tx, branch, clock):
    """Read the branch's day as it stands."""

    async def district():
        [found] = await read_districts(tx, branch.unit.path, TODAY, zone=SHANGHAI, now=clock.now())
        return found

    return district


def replanned(district, away=(), behind=()):
    """Plan anew: who has each order before and after, by the order's number in the branch."""
    free = freed(district, set(away), set(behind))
    plan = solve(free.problem, BUDGET, warm=free.current).plan
    assert not judge(free.problem, plan).breaches
    after = {
        district.facts[visit].order_id: district.technician_ids[column]
        for column, route in enumerate(plan)
        for visit in route
        if visit < district.orders
    }
    return {fact.order_id: (fact.holder_id, after.get(fact.order_id)) for fact in district.facts}


async def test_where_nothing_has_happened_nothing_moves(read):
    assert all(before == after for before, after in replanned(await read()).values())


async def test_what_somebody_cannot_do_any_more_goes_to_others_and_theirs_stays(branch, read):
    ill = branch.people[3].id
    await branch.leave(3, at(10), at(18))
    moves = replanned(await read(), away=[ill])
    theirs = [order.id for order in branch.orders if order.holder_id == ill]
    assert moves[theirs[0]] == (ill, ill)  # under way
    for order_id in theirs[1:]:
        assert moves.pop(order_id)[1] not in (None, ill)
    moved = [one for one in moves.values() if one[0] != one[1]]
    assert len(moved) <= len(moves) // 20


async def test_the_next_visit_of_everybody_else_comes_next(branch, read):
    """Frozen by the setting: even where an urgent order nobody has lies next door."""
    urgent = await branch.add_order(
        0.9,
        now=at(9),
        priority=1,
        due_at=at(11, 30),
        state=State.UNPLACED,
        unplaced_reason=UnplacedReason.NO_MINUTES_LEFT,
    )
    district = await read()
    free = freed(district, set(), set())
    plan = solve(free.problem, BUDGET, warm=free.current).plan
    [holder] = [
        column
        for column, route in enumerate(plan)
        if district.orders
        and any(
            visit < district.orders and district.facts[visit].order_id == urgent.id
            for visit in route
        )
    ]
    assert [route[:2] for route in plan] == [route[:2] for route in district.current]
    assert plan[holder].index(_number(district, urgent)) == 2


def _number(district, order):
    return [fact.order_id for fact in district.facts].index(order.id)


async def test_whoever_is_away_soon_does_not_begin_what_comes_next(branch, read):
    ill = branch.people[0].id
    await branch.leave(0, at(10, 5), at(18))
    district = await read()
    column = district.technician_ids.index(ill)
    assert len(district.problem.frozen_of(column)) == 2
    free = freed(district, {ill}, set())
    assert free.problem.frozen_of(column) == district.problem.frozen_of(column)[:1]
    assert [len(prefix) for prefix in free.problem.frozen].count(2) == 7


async def test_a_pinned_order_stays_with_its_person_or_with_nobody(tx, branch, read):
    ill = branch.people[0].id
    pinned, other = branch.orders[2], branch.orders[3]
    tx.add(
        DispatchPin(
            work_order_id=pinned.id,
            technician_id=ill,
            day=TODAY,
            at=at(9),
            account_id=None,
            reason="she knows the customer",
        )
    )
    await tx.flush()
    await branch.leave(0, at(10), at(18))
    moves = replanned(await read(), away=[ill])
    assert moves[pinned.id] == (ill, None)
    assert moves[other.id][1] not in (None, ill)


async def test_an_appointment_is_kept_by_somebody_else_at_its_time(tx, branch, read):
    ill = branch.people[0].id
    booked = branch.orders[2]
    booked.appointment_from, booked.appointment_until = at(13), at(14)
    await tx.flush()
    await branch.leave(0, at(10), at(18))
    district = await read()
    free = freed(district, {ill}, set())
    plan = solve(free.problem, BUDGET, warm=free.current).plan
    begins = {
        stop.visit: district.origin + stop.begin
        for day in judge(free.problem, plan).days
        for stop in day.stops
    }
    assert at(13).timestamp() <= begins[_number(district, booked)] <= at(14).timestamp()


async def test_how_it_would_go_says_who_could_not_do_what(branch, read):
    ill = branch.people[0].id
    await branch.leave(0, at(12), at(14))
    places = spots(await read())
    begins = [places[order.id].begins_at for order in branch.orders if order.holder_id == ill]
    # At a door since nine; one more before noon; the leave; and the rest, home from there.
    assert [each and f"{each.astimezone(SHANGHAI):%H}" for each in begins] == [
        "09",
        "10",
        "14",
        "15",
        "16",
    ]
    await branch.leave(0, at(15), at(18))
    places = spots(freed(await read(), {ill}, set()))
    begins = [places[order.id].begins_at for order in branch.orders if order.holder_id == ill]
    assert begins[3:] == [None, None]


async def test_a_missed_appointment_counts_as_late(tx, branch, read):
    booked = branch.orders[4]
    booked.appointment_from, booked.appointment_until = at(9, 30), at(12)
    await tx.flush()
    assert spots(await read())[booked.id].late > 3_600


async def test_service_that_is_restored_does_not_begin_the_visit_again(tx, branch, read):
    await take_step(tx, branch.orders[0], Step.RESTORE, now=at(9, 25))
    places = spots(await read())
    # As with the neighbour, who stands at a door since nine too.
    assert places[branch.orders[1].id].begins_at == places[branch.orders[6].id].begins_at
