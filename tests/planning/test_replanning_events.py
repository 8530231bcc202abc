"""What happens in a day is found once: leave, people gone, long visits, urgent orders."""

from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select

from app.core.parameter_values import ParameterValue
from app.core.parameters import Parameters
from app.planning import rules
from app.planning.models import PlanEvent
from app.planning.rules import EventKind, OnSite
from app.planning.service.events import look
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from tests.make.counting import counted
from tests.make.replanning import TODAY, at, make_branch

HOUR = 3_600


# --- rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimated", "minutes", "long"),
    [
        (60, 60, False),
        (60, 79, False),  # twenty minutes over are the least
        (60, 80, True),
        (120, 145, False),  # of two hours, thirty in a hundred are 36 minutes
        (120, 156, True),
        (10, 29, False),
        (10, 30, True),
    ],
)
def test_a_visit_is_long_by_share_and_minutes(clock, estimated, minutes, long):
    since = int((clock.now() - timedelta(minutes=minutes)).timestamp())
    visit = OnSite(UUID(int=1), UUID(int=2), "gd.", since, estimated * 60)
    assert rules.is_long(visit, Parameters(clock.now()), clock.now()) is long


def test_a_visit_that_goes_on_and_on_is_another_event_each_time(clock):
    numbers = Parameters(clock.now())
    since = int(clock.now().timestamp())
    visit = OnSite(UUID(int=1), UUID(int=2), "gd.", since, HOUR)
    keys = [
        rules.long_key(visit, numbers, clock.now() + timedelta(minutes=60 + over))
        for over in (20, 30, 44, 45, 60, 90)
    ]
    assert len(set(keys)) == 3
    assert keys[0] == keys[1] == keys[2]
    assert keys[3] == keys[4]


@pytest.mark.parametrize("kind", list(EventKind))
def test_every_event_can_be_said_in_both_languages(kind):
    facts = {
        "name": "李师傅",
        "name_zh": "OLT 端口 A",
        "name_en": "OLT port A",
        "orders": 3,
        "external_id": "F-1",
        "minutes": 25,
        "priority": 1,
        "why_zh": "工时均已排满",
        "why_en": "nobody has enough minutes left",
        "reason": "x",
    }
    words = rules.said(kind, facts)
    assert "{" not in words.zh + words.en
    assert words.zh != words.en


# --- the look -------------------------------------------------------------------------------------


@pytest.fixture
async def branch(tx):
    """Six people, nine in the morning; nobody has anything to do yet."""
    return await make_branch(tx)


@pytest.fixture
def found(tx, clock):
    """Look, and give what is new as (kind, technician, order) by what was found first."""

    async def find():
        before = set(await tx.scalars(select(PlanEvent.id)))
        await look(tx, now=clock.now())
        rows = await tx.scalars(select(PlanEvent).order_by(PlanEvent.id))
        return [row for row in rows if row.id not in before]

    return find


async def test_on_a_day_that_goes_well_nothing_is_found(branch, found, clock):
    for person in range(6):
        await branch.give(person, 4, now=clock.now())
    assert await found() == []


async def test_leave_is_found_once_with_what_it_costs(branch, found, clock):
    await branch.give(0, 5, now=clock.now())
    leave = await branch.leave(0, at(12), at(18))
    [event] = await found()
    assert (event.kind, event.key) == (EventKind.LEAVE, str(leave.id))
    assert (event.org_unit_id, event.day) == (branch.unit.id, TODAY)
    assert event.technician_id == branch.people[0].id
    # Five hours' work from nine on: two and a bit are done by noon.
    assert event.facts["orders"] == 3
    assert await found() == []


@pytest.mark.parametrize(
    ("begins", "ends"),
    [
        (at(15), at(18)),  # all is done by then
        (at(9) + timedelta(days=1), at(18) + timedelta(days=1)),  # tomorrow
        (at(8), at(8, 59)),  # over
    ],
)
async def test_leave_that_costs_nothing_today_is_none(branch, found, clock, begins, ends):
    await branch.give(0, 3, now=clock.now())
    await branch.leave(0, begins, ends)
    assert await found() == []


async def test_leave_in_which_an_appointment_lies_is_found(branch, found, clock):
    await branch.add_order(
        0.5, 0, now=clock.now(), appointment_from=at(13), appointment_until=at(14)
    )
    await branch.leave(0, at(12), at(15))
    [event] = await found()
    assert event.facts["orders"] == 1


async def test_what_somebody_does_who_is_gone_is_found(tx, branch, found, clock):
    await branch.give(2, 2, now=clock.now())
    branch.people[2].active = False
    await tx.flush()
    [event] = await found()
    assert (event.kind, event.facts["orders"]) == (EventKind.INACTIVE, 2)
    assert await found() == []


async def test_a_long_visit_is_found_when_somebody_later_suffers(branch, found, clock):
    first, _, third = await branch.give(0, 3, now=clock.now())
    third.appointment_from, third.appointment_until = at(11, 30), at(12)
    await branch.begin(first, since=at(9))
    clock.set(at(10, 10))
    assert await found() == []  # ten minutes over, and nobody would suffer
    clock.set(at(11))
    [event] = await found()
    assert (event.kind, event.work_order_id) == (EventKind.LONG_VISIT, first.id)
    assert (event.facts["minutes"], event.facts["orders"]) == (60, 1)
    clock.set(at(11, 20))
    assert await found() == []
    clock.set(at(11, 31))  # ninety minutes over
    assert [event.facts["minutes"] for event in await found()] == [91]


async def test_a_long_visit_nobody_suffers_from_is_none(branch, found, clock):
    first, *_ = await branch.give(0, 3, now=clock.now())
    await branch.begin(first, since=at(9))
    clock.set(at(12))
    assert await found() == []


async def test_work_restored_within_a_visit_is_no_new_arrival(tx, branch, found, clock):
    first, second = await branch.give(0, 2, now=clock.now())
    second.due_at = at(11, 15)
    await branch.begin(first, since=at(9))
    await take_step(tx, first, Step.RESTORE, now=at(10, 20))
    clock.set(at(10, 30))
    [event] = await found()
    assert event.facts["minutes"] == 30


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"priority": 1}, 1),
        ({"priority": 2, "unplaced_reason": UnplacedReason.NOBODY_WITH_SKILL}, 1),
        ({"priority": 3}, 0),
        ({"priority": 1, "unplaced_reason": UnplacedReason.NO_POINT}, 0),
        ({"priority": 1, "unplaced_reason": UnplacedReason.ALL_DECLINED}, 0),
        (
            {
                "priority": 1,
                "appointment_from": at(9) + timedelta(days=1),
                "appointment_until": at(11) + timedelta(days=1),
            },
            0,
        ),
    ],
)
async def test_urgent_orders_that_nobody_has_are_found(branch, found, clock, fields, expected):
    given = {"state": State.UNPLACED, "unplaced_reason": UnplacedReason.NO_MINUTES_LEFT, **fields}
    await branch.add_order(1.5, now=clock.now(), **given)
    assert [event.kind for event in await found()] == [EventKind.URGENT_ORDER] * expected
    assert await found() == []


async def test_an_org_unit_that_wants_none_gets_none(tx, branch, found, clock, database):
    tx.add(
        ParameterValue(
            name=rules.REPLANS.name,
            org_path=branch.unit.path,
            valid_from=at(0),
            value=0,
        )
    )
    await tx.flush()
    database.cache.pop("parameters", None)
    await branch.give(0, 5, now=clock.now())
    await branch.leave(0, at(9), at(18))
    assert await found() == []


async def test_a_look_costs_the_same_however_much_has_happened(tx, branch, clock, database):
    await look(tx, now=clock.now())  # what a process reads once is read
    statements = []
    for people in (range(1), range(1, 6)):
        for person in people:
            await branch.give(person, 5, now=clock.now())
            await branch.leave(person, at(9), at(18))
        with counted(database) as seen:
            assert await look(tx, now=clock.now()) == {(branch.unit.id, TODAY)}
        statements.append(len(seen))
    assert statements[1] <= statements[0] <= 10
