"""The rest of a day is planned anew when something happens: from the event to the day's routes."""

from datetime import datetime, timedelta
from importlib import import_module

import pytest
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.core.parameter_values import ParameterValue
from app.dispatch.models import DispatchPin
from app.planning import jobs, rules
from app.planning.models import DayPlan, PlanEvent, PlanVisit
from app.planning.rules import PlanKind, PlanState
from app.workorders.models import WorkOrder
from app.workorders.rules import State, UnplacedReason
from tests.make.auth import bearer, caller_for, make_account
from tests.make.replanning import TODAY, at, make_branch


@pytest.fixture
async def branch(tx, clock):
    """Six people with five hours' work each; at half past nine all of them are at a door."""
    branch = await make_branch(tx)
    for person in range(6):
        first, *_ = await branch.give(person, 5, now=clock.now())
        await branch.begin(first, since=at(9))
    clock.set(at(9, 30))
    return branch


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    """The worker's process, on the rolled-back database."""
    return Worker(settings, clock, database)


@pytest.fixture
async def api(app, http, tx, branch):
    """A supervisor of the branch at their screen: gets, or posts where there is a body."""
    account = await make_account(tx, branch.unit, role=Role.SUPERVISOR)
    headers = bearer(app, caller_for(Role.SUPERVISOR, branch.unit, account_id=account.id))

    async def call(path, body=None, status=None):
        if body is None:
            answer = await http.get(f"/v1{path}", headers=headers)
        else:
            answer = await http.post(f"/v1{path}", headers=headers, json=body)
        assert answer.status_code == (status or 200), answer.text
        return answer.json()

    return call


@pytest.fixture
def work_off(tx, worker, branch):
    """Do what the worker does by itself: look, ask for plans, make them; give those made."""

    async def work():
        await jobs.look_around(worker)
        waiting = select(PlanEvent.org_unit_id, PlanEvent.day).where(PlanEvent.plan_id.is_(None))
        for org_unit_id, day in (await tx.execute(waiting.distinct())).all():
            await jobs.replan(worker, org_unit_id=str(org_unit_id), day=str(day))
        made = []
        for plan_id in await tx.scalars(
            select(DayPlan.id).where(DayPlan.state == PlanState.WAITING)
        ):
            await jobs.make_plan(worker, plan_id=str(plan_id))
            made.append(plan_id)
        return made

    return work


@pytest.fixture
def number(tx, database, branch):
    """Set a number for the branch."""

    async def put(parameter, value):
        tx.add(
            ParameterValue(
                name=parameter.name, org_path=branch.unit.path, valid_from=at(0), value=value
            )
        )
        await tx.flush()
        database.cache.pop("parameters", None)

    return put


@pytest.fixture(autouse=True)
async def short(number):
    """A tenth of a second is enough for thirty visits."""
    await number(rules.CPU_SECONDS, 0.1)


async def holders(tx, branch):
    """Who has each order of the branch, by the order's number in it."""
    for order in branch.orders:
        await tx.refresh(order)
    people = {person.id: number for number, person in enumerate(branch.people)}
    return [people.get(order.holder_id) for order in branch.orders]


def leave_of(begins, ends):
    return {
        "id": str(new_id()),
        "starts_at": begins.isoformat(),
        "ends_at": ends.isoformat(),
        "cause": "illness",
    }


async def test_leave_at_noon_becomes_a_draft_that_a_supervisor_publishes(
    tx, branch, api, work_off, app, http
):
    ill = branch.people[2]
    body = leave_of(at(10), at(18))
    await api(f"/technicians/{ill.id}/leave", body, status=201)
    [plan_id] = await work_off()
    before = await holders(tx, branch)
    assert before == [person for person in range(6) for _ in range(5)]  # nothing moved yet

    told = await api(f"/plans/{plan_id}/changes")
    assert told["plan"]["state"] == "draft"
    [event] = told["plan"]["events"]
    assert (event["kind"], event["technician_id"]) == ("leave", str(ill.id))
    assert event["words"]["en"] == "李师傅 is on leave with 4 orders of the day still to do"
    moved = [one for one in told["changes"] if one["kind"] == "moved"]
    assert len(moved) == told["counts"]["moved"] == 4
    for one in moved:
        assert one["why"] == "away"
        assert one["before"] == {
            "technician_id": str(ill.id),
            "name": "李师傅",
            "begins_at": None,
            "late_seconds": 0,
        }
        assert one["after"]["technician_id"] != str(ill.id)
        assert one["becomes_in_time"]
    assert told["counts"]["others"] == 25
    assert told["counts"]["others_moved"] <= 1

    published = await api(f"/plans/{plan_id}/publish", {})
    assert published["state"] == "published"
    after = await holders(tx, branch)
    assert after[10] == 2  # under way
    assert 2 not in after[11:15]
    assert None not in after
    # Whoever got something sees it in their day, in its place, at the next look.
    gained = branch.people[after[11]]
    phone = bearer(app, caller_for(Role.TECHNICIAN, branch.unit, technician_id=gained.id))
    day = (await http.get("/v1/my/day", headers=phone)).json()["orders"]
    plan = await api(f"/plans/{plan_id}/routes?technician_id={gained.id}")
    [route] = plan["routes"]
    assert [one["id"] for one in day] == [one["work_order_id"] for one in route["visits"]]
    assert str(branch.orders[11].id) in [one["id"] for one in day]


async def test_what_nobody_has_room_for_is_nobodys_and_says_why(tx, branch, api, work_off):
    """Five of six are ill: one cannot do it all."""
    for person in range(5):
        await branch.leave(person, at(10), at(18))
    [plan_id] = await work_off()
    told = await api(f"/plans/{plan_id}/changes")
    left = [one for one in told["changes"] if one["kind"] == "left_out"]
    assert left
    assert {one["unplaced_reason"] for one in left} == {"no_minutes_left"}
    assert left[0]["unplaced_words"]["en"] == "nobody has enough minutes left"
    await api(f"/plans/{plan_id}/publish", {})
    for one in left:
        order = await tx.get(WorkOrder, one["work_order_id"], populate_existing=True)
        assert (order.state, order.unplaced_reason) == (
            State.UNPLACED,
            UnplacedReason.NO_MINUTES_LEFT,
        )


async def test_a_long_visit_gives_a_booked_customer_to_somebody_in_time(
    tx, branch, api, work_off, clock
):
    booked = branch.orders[2]
    booked.appointment_from, booked.appointment_until = at(11), at(12)
    await tx.flush()
    clock.set(at(11, 20))
    for person in range(1, 6):  # the others are done with their first one
        branch.orders[person * 5].state = State.COMPLETED
    await tx.flush()
    [plan_id] = await work_off()
    told = await api(f"/plans/{plan_id}/changes")
    [event] = told["plan"]["events"]
    assert (event["kind"], event["work_order_id"]) == ("long_visit", str(branch.orders[0].id))
    [change] = [one for one in told["changes"] if one["work_order_id"] == str(booked.id)]
    # Somebody else comes, or the same person comes here first.
    assert change["kind"] in ("moved", "shifted")
    assert change["why"] == "behind"
    assert change["before"]["late_seconds"] > 0
    assert change["becomes_in_time"]
    assert at(11).isoformat() <= _local(change["after"]["begins_at"]) <= at(12).isoformat()


def _local(text):
    return datetime.fromisoformat(text).astimezone(at(0).tzinfo).isoformat()


async def test_an_urgent_order_that_found_nobody_finds_somebody(tx, branch, api, work_off):
    urgent = await branch.add_order(
        3.4,
        now=at(9),
        priority=1,
        due_at=at(13),
        state=State.UNPLACED,
        unplaced_reason=UnplacedReason.NO_MINUTES_LEFT,
    )
    [plan_id] = await work_off()
    told = await api(f"/plans/{plan_id}/changes")
    [change] = [one for one in told["changes"] if one["work_order_id"] == str(urgent.id)]
    assert (change["kind"], change["why"], change["before"]) == ("placed", "urgent", None)
    assert change["after"]["late_seconds"] == 0
    await api(f"/plans/{plan_id}/publish", {})
    await tx.refresh(urgent)
    assert urgent.state is State.ASSIGNED


async def test_nothing_that_is_begun_pinned_or_booked_moves_in_time_or_hands(
    tx, branch, api, work_off
):
    pinned, booked = branch.orders[7], branch.orders[13]
    tx.add(
        DispatchPin(
            work_order_id=pinned.id,
            technician_id=branch.people[1].id,
            day=TODAY,
            at=at(9),
            account_id=None,
            reason="asked for",
        )
    )
    booked.appointment_from, booked.appointment_until = at(14), at(15)
    await tx.flush()
    await branch.leave(0, at(10), at(18))
    [plan_id] = await work_off()
    await api(f"/plans/{plan_id}/publish", {})
    after = await holders(tx, branch)
    assert [after[person * 5] for person in range(6)] == list(range(6))  # under way
    assert [after[person * 5 + 1] for person in range(1, 6)] == list(range(1, 6))  # the next
    assert after[7] == 1
    assert (booked.appointment_from, booked.appointment_until) == (at(14), at(15))
    begins = await _begins(tx, plan_id, booked)
    assert at(14) <= begins <= at(15)


async def _begins(tx, plan_id, order):
    return await tx.scalar(
        select(PlanVisit.begins_at).where(
            PlanVisit.plan_id == plan_id, PlanVisit.work_order_id == order.id
        )
    )


async def test_a_hand_that_was_quicker_wins(tx, branch, api, work_off):
    await branch.leave(0, at(10), at(18))
    [plan_id] = await work_off()
    order = branch.orders[3]
    other = branch.people[5]
    await tx.refresh(order)
    await api(
        f"/work-orders/{order.id}/assign",
        {
            "technician_id": str(other.id),
            "day": str(TODAY),
            "reason": "lives next door",
            "version": order.version,
            "override": True,
        },
    )
    await api(f"/plans/{plan_id}/publish", {})
    after = await holders(tx, branch)
    assert after[3] == 5
    assert 0 not in (after[1], after[2], after[4])


async def test_a_storm_of_events_is_one_plan(tx, branch, work_off, worker):
    for person in range(3):
        await branch.leave(person, at(10 + person), at(18))
        await jobs.look_around(worker)
    await branch.add_order(
        3.4,
        now=at(9),
        priority=1,
        state=State.UNPLACED,
        unplaced_reason=UnplacedReason.NO_MINUTES_LEFT,
    )
    [plan_id] = await work_off()
    plan = await tx.get(DayPlan, plan_id, populate_existing=True)
    assert len(plan.asked["trigger"]) == 4
    # What it was made for is not dealt with again, also not by those told of it meanwhile.
    for _ in range(4):
        await jobs.replan(worker, org_unit_id=str(branch.unit.id), day=str(TODAY))
    assert await work_off() == []


async def test_a_newer_draft_takes_the_place_of_an_older_one(tx, branch, api, work_off):
    await branch.leave(0, at(10), at(18))
    [first] = await work_off()
    await branch.leave(1, at(10), at(18))
    [second] = await work_off()
    states = {
        one: (await tx.get(DayPlan, one, populate_existing=True)).state for one in (first, second)
    }
    assert states == {first: PlanState.DISCARDED, second: PlanState.DRAFT}
    told = await api(f"/plans/{second}/changes")
    assert {one["technician_id"] for one in told["plan"]["events"]} == {
        str(branch.people[person].id) for person in (0, 1)
    }
    theirs = [one for one in told["changes"] if one["why"] == "away"]
    assert len(theirs) == 8
    assert {one["kind"] for one in theirs} <= {"moved", "left_out"}


@pytest.mark.parametrize(
    ("policy", "most", "state"),
    [
        (0, 10, PlanState.DRAFT),
        (1, 0, PlanState.PUBLISHED),
        (2, 4, PlanState.PUBLISHED),
        (2, 3, PlanState.DRAFT),
    ],
)
async def test_a_policy_says_whether_it_is_applied_by_itself(
    tx, branch, work_off, number, policy, most, state
):
    await number(rules.POLICY, policy)
    await number(rules.POLICY_MOST, most)
    await branch.leave(0, at(10), at(18))
    [plan_id] = await work_off()
    plan = await tx.get(DayPlan, plan_id, populate_existing=True)
    assert plan.state is state
    assert (0 in (await holders(tx, branch))[1:5]) is (state is PlanState.DRAFT)


async def test_a_supervisor_asks_by_hand_and_is_answered_alike_again(tx, branch, api, worker):
    body = {"id": str(new_id()), "reason": "two cars broken down"}
    asked = await api("/replans?wait_seconds=0", body, status=202)
    assert (asked["state"], asked["events"][0]["kind"]) == ("waiting", "by_hand")
    assert (await api("/replans?wait_seconds=0", body, status=202))["id"] == body["id"]
    other = {"id": str(new_id()), "reason": "me too"}
    refused = await api("/replans?wait_seconds=0", other, status=409)
    assert refused["type"].endswith("plan-under-way")
    await jobs.make_plan(worker, plan_id=body["id"])
    again = await api("/replans", body)
    assert again["state"] == "draft"
    await api("/replans", {**body, "reason": "other"}, status=409)
    # Nobody moves where nothing has happened.
    assert (await api(f"/plans/{body['id']}/changes"))["counts"]["moved"] == 0


async def test_whoever_asks_waits_for_the_plan_while_a_worker_makes_it(
    branch, api, worker, monkeypatch
):
    body = {"id": str(new_id()), "reason": "two cars broken down"}
    looked = []

    async def meanwhile(seconds):
        looked.append(seconds)
        await jobs.make_plan(worker, plan_id=body["id"])

    monkeypatch.setattr(import_module("app.planning.routes.replanning"), "sleep", meanwhile)
    asked = await api("/replans", body, status=201)
    assert asked["state"] == "draft"
    assert looked == [0.1]


async def test_plans_of_others_and_of_whole_days_tell_no_changes(tx, app, http, branch, api):
    for kind, unit, status in (
        (PlanKind.DAY, branch.unit, 409),
        (PlanKind.EVENT, (await make_branch(tx, people=1)).unit, 404),
    ):
        plan = DayPlan(
            id=new_id(),
            org_unit_id=unit.id,
            day=TODAY,
            kind=kind,
            state=PlanState.DRAFT,
            reason="",
            content_hash="",
            asked={},
            asked_at=at(9),
            progress={},
            score={},
        )
        tx.add(plan)
        await tx.flush()
        await api(f"/plans/{plan.id}/changes", status=status)


async def test_yesterdays_events_are_not_dealt_with_today(tx, branch, worker, clock):
    await branch.leave(0, at(10), at(18))
    await jobs.look_around(worker)
    clock.set(at(9) + timedelta(days=1))
    await jobs.replan(worker, org_unit_id=str(branch.unit.id), day=str(TODAY))
    assert await tx.scalar(select(DayPlan.id)) is None
