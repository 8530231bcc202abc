"""Plans over HTTP: asked for, made, looked at, compared, published; and whose they are."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.planning.models import DayPlan
from app.planning.rules import PlanState
from app.planning.service import making
from app.planning.service.making import make, make_again
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.workorders.models import WorkOrder, WorkOrderEvent
from app.workorders.rules import State, UnplacedReason
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.planning import TODAY, TOMORROW, at, make_leave, make_visit
from tests.make.terminals import make_terminal

ITERATIONS = 2_000


@pytest.fixture
async def supervisor(tx, land):
    account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
    return caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id)


class Desk:
    """A supervisor's desk: plans are asked for, and made at once."""

    def __init__(self, app, http, database, clock, caller) -> None:
        self.app, self.http, self.database, self.clock = app, http, database, clock
        self.headers = bearer(app, caller)

    async def get(self, path: str, **params: Any) -> Any:
        return await self.http.get(f"/v1/plans{path}", params=params, headers=self.headers)

    async def post(self, path: str = "", body: Any = None) -> Any:
        return await self.http.post(f"/v1/plans{path}", json=body, headers=self.headers)

    async def ask(self, **fields: Any) -> Any:
        body = {"id": str(new_id()), "day": str(TOMORROW), "iterations": ITERATIONS, **fields}
        return await self.post(body=body)

    async def make(self, **fields: Any) -> dict[str, Any]:
        asked = await self.ask(**fields)
        assert asked.status_code == 202, asked.text
        state = await make(self.database, self.clock, asked.json()["id"], every=0.05)
        assert state is PlanState.DRAFT
        made: dict[str, Any] = (await self.get(f"/{asked.json()['id']}")).json()
        return made

    async def routes(self, plan: dict[str, Any]) -> dict[str, list[str]]:
        """Whom the plan gives what, in the order of their days."""
        answer = (await self.get(f"/{plan['id']}/routes")).json()
        return {
            route["technician_id"]: [visit["work_order_id"] for visit in route["visits"]]
            for route in answer["routes"]
        }


@pytest.fixture
def desk(app, http, database, clock, supervisor) -> Desk:
    return Desk(app, http, database, clock, supervisor)


async def test_a_plan_is_asked_for_once(tx, land, desk):
    body = {"id": str(new_id()), "day": str(TOMORROW), "iterations": 10}
    first, again = await desk.post(body=body), await desk.post(body=body)
    assert (first.status_code, again.status_code) == (202, 200)
    assert first.json()["state"] == "waiting"
    other = await desk.post(body={**body, "seed": 5})
    assert other.json()["type"].endswith(":same-id-other-content")
    jobs = await tx.scalar(
        text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'plan.asked'")
    )
    assert jobs == 1


@pytest.mark.parametrize(
    ("fields", "slug"),
    [
        ({"day": "2026-03-01"}, "day-out-of-range"),
        ({"day": "2027-03-01"}, "day-out-of-range"),
        ({"org_unit": "nobody.knows"}, "unknown-org-unit"),
        ({"cpu_seconds": 3}, "invalid"),  # beside iterations
        ({"base": str(new_id())}, "not-found"),
    ],
)
async def test_what_cannot_be_planned_is_refused(desk, fields, slug):
    refused = await desk.ask(**fields)
    assert refused.json()["type"].endswith(f":{slug}"), refused.text


async def test_one_run_a_day_for_units_within_each_other(tx, land, desk, app):
    crew = await make_org_unit(tx, parent=land.org_unit)
    first = (await desk.ask()).json()
    for unit in (crew.code, land.org_unit.code):
        refused = await desk.ask(org_unit=unit)
        assert refused.status_code == 409
        assert refused.json()["facts"]["plan_id"] == first["id"]
    assert (await desk.ask(day=str(TODAY))).status_code == 202
    other = await make_org_unit(tx)  # beside it, not within
    elsewhere = Desk(app, desk.http, desk.database, desk.clock, caller_for(Role.SUPERVISOR, other))
    assert (await elsewhere.ask()).status_code == 202
    assert (await elsewhere.get(f"/{first['id']}")).status_code == 404
    assert (await elsewhere.post(f"/{first['id']}/publish")).status_code == 404
    assert (await elsewhere.get("")).json()["plans"][0]["org_unit"] == other.code


async def test_a_draft_has_routes_with_times_and_reasons_for_the_rest(tx, land, desk):
    anna, ben = land.people
    here, there = land.grids
    held = await make_visit(tx, land, there, holder=anna, due_at=at(18))
    waits = await make_visit(tx, land, here, window=(at(10), at(11)), priority=1)
    hard = await make_visit(tx, land, here, skills=["welding"])
    nowhere = await make_visit(tx, land, here, unplaced_reason=UnplacedReason.NO_POINT, point=None)
    plan = await desk.make()
    assert plan["state"] == "draft"
    assert (plan["progress"]["districts"], plan["progress"]["done"]) == (1, 1)
    score, before = plan["score"], plan["before"]
    assert (score["orders"], score["placed"], score["unplaced"]) == (4, 2, 2)
    assert (score["moved"], score["given"], score["broken"]) == (1, 1, 0)
    assert (score["owner_kept_percent"], before["owner_kept_percent"]) == (100.0, 0.0)
    assert score["kilometres"] < before["kilometres"]
    assert await desk.routes(plan) == {str(anna.id): [str(waits.id)], str(ben.id): [str(held.id)]}
    [route] = (await desk.get(f"/{plan['id']}/routes", technician_id=str(anna.id))).json()["routes"]
    [visit] = route["visits"]
    assert visit["appointment_from"] == visit["begins_at"]
    assert visit["slack_seconds"] == 3_600  # until the window closes
    assert route["leaves_at"] == "2026-03-03T00:00:00Z"
    assert visit["belongs"] == "primary"
    unplaced = (await desk.get(f"/{plan['id']}/unplaced")).json()["unplaced"]
    assert {(one["work_order_id"], one["reason"]) for one in unplaced} == {
        (str(hard.id), "nobody_with_skill"),
        (str(nowhere.id), "no_point"),
    }


async def test_lists_come_in_pages(tx, land, desk):
    for _ in range(3):
        await make_visit(tx, land, land.grids[0], skills=["welding"])
    plan = await desk.make()
    await desk.make()
    for path, name in (("", "plans"), (f"/{plan['id']}/routes", "routes")):
        first = (await desk.get(path, page_size=1)).json()
        rest = (await desk.get(path, page_size=1, page_token=first["next_page_token"])).json()
        assert len(first[name]) == len(rest[name]) == 1 and first[name] != rest[name]
        assert rest["next_page_token"] is None
    first = (await desk.get(f"/{plan['id']}/unplaced", page_size=2)).json()
    token = first["next_page_token"]
    rest = (await desk.get(f"/{plan['id']}/unplaced", page_size=2, page_token=token)).json()
    assert len(first["unplaced"]) == 2 and len(rest["unplaced"]) == 1
    assert len((await desk.get("", day=str(TODAY))).json()["plans"]) == 0


async def test_published_orders_change_hands_with_their_minutes_and_routes(tx, land, desk):
    anna, ben = land.people
    here, there = land.grids
    moves = await make_visit(tx, land, there, holder=anna, estimated_minutes=40)
    stays = await make_visit(tx, land, here, holder=anna)
    waits = await make_visit(tx, land, here, east=0.6)
    plan = await desk.make()
    published = (await desk.post(f"/{plan['id']}/publish")).json()
    assert published["state"] == "published"
    assert published["published"] == {"taken": 2, "taken_back": 0, "left": 0}
    rows = {row.id: row for row in await tx.scalars(select(WorkOrder))}
    for row in rows.values():
        await tx.refresh(row)
    assert rows[moves.id].holder_id == ben.id and rows[moves.id].state is State.ASSIGNED
    assert (rows[waits.id].holder_id, rows[waits.id].planned_day) == (anna.id, TOMORROW)
    assert rows[waits.id].unplaced_reason is None
    assert rows[stays.id].version == 1
    assert await availability.promised(tx, anna.id, TOMORROW) == Promised(120, 2)
    assert await availability.promised(tx, ben.id, TOMORROW) == Promised(40, 1)
    events = (
        await tx.scalars(select(WorkOrderEvent).where(WorkOrderEvent.work_order_id == moves.id))
    ).all()
    assert [(one.step, one.reason, one.facts["technician_id"]) for one in events] == [
        ("assign", "by_plan", str(ben.id))
    ]
    days = await tx.execute(text("SELECT technician_id, route FROM technician_day"))
    routes = {row.technician_id: row.route for row in days}
    assert set(routes[anna.id]) == {stays.id, waits.id} and routes[ben.id] == [moves.id]
    assert [str(one) for one in routes[anna.id]] == (await desk.routes(plan))[str(anna.id)]
    decision = await desk.http.get(f"/v1/work-orders/{moves.id}/decision", headers=desk.headers)
    assert decision.json()["reason"] == "by_plan"
    assert (await desk.post(f"/{plan['id']}/publish")).json() == published  # again: nothing


async def test_what_somebody_did_meanwhile_wins(tx, land, desk):
    anna, ben = land.people
    _here, there = land.grids
    by_hand = await make_visit(tx, land, there, holder=anna, external_id="H")
    done = await make_visit(tx, land, there, holder=anna, external_id="D")
    rest = await make_visit(tx, land, there, holder=anna, external_id="R")
    plan = await desk.make()
    given = await desk.http.post(
        f"/v1/work-orders/{by_hand.id}/assign",
        json={
            "technician_id": str(anna.id),
            "day": "2026-03-04",
            "reason": "the customer asked",
            "version": by_hand.version,
        },
        headers=desk.headers,
    )
    assert given.status_code == 200, given.text
    done.state, done.completed_at = State.COMPLETED, at(9)
    await tx.flush()
    published = (await desk.post(f"/{plan['id']}/publish")).json()
    assert published["published"] == {"taken": 1, "taken_back": 0, "left": 2}
    left = (await desk.get(f"/{plan['id']}/left")).json()["left"]
    assert {(one["external_id"], one["reason"]) for one in left} == {
        ("H", "changed"),
        ("D", "closed"),
    }
    await tx.refresh(by_hand)
    assert (by_hand.holder_id, str(by_hand.planned_day)) == (anna.id, "2026-03-04")
    await tx.refresh(rest)
    assert rest.holder_id == ben.id
    [route] = (
        await tx.scalars(
            text("SELECT route FROM technician_day WHERE technician_id = :id AND day = :day"),
            {"id": ben.id, "day": TOMORROW},
        )
    ).all()
    assert route == [rest.id]


async def test_nobody_is_given_work_on_a_leave_registered_since(tx, land, desk):
    anna, _ben = land.people
    order = await make_visit(tx, land, land.grids[0])
    plan = await desk.make()
    await make_leave(tx, anna, at(7), at(19))
    published = (await desk.post(f"/{plan['id']}/publish")).json()
    assert published["published"]["left"] == 1
    [left] = (await desk.get(f"/{plan['id']}/left")).json()["left"]
    assert (left["work_order_id"], left["reason"]) == (str(order.id), "away")


async def test_only_what_nobody_can_do_is_taken_from_its_holder(tx, land, desk):
    anna, ben = land.people
    impossible = await make_visit(tx, land, land.grids[0], holder=anna, skills=["welding"])
    long = [
        await make_visit(tx, land, land.grids[0], holder=anna, estimated_minutes=400)
        for _ in range(4)
    ]
    plan = await desk.make()
    assert plan["score"]["unplaced"] == 3
    published = (await desk.post(f"/{plan['id']}/publish")).json()
    assert published["published"]["taken_back"] == 1
    await tx.refresh(impossible)
    assert impossible.state is State.UNPLACED
    assert impossible.unplaced_reason is UnplacedReason.NOBODY_WITH_SKILL
    for order in long:
        await tx.refresh(order)
    assert sorted(order.holder_id == anna.id for order in long) == [False, True, True, True]
    assert await availability.promised(tx, anna.id, TOMORROW) == Promised(1_200, 3)
    assert await availability.promised(tx, ben.id, TOMORROW) == Promised(400, 1)


async def test_terminals_are_planned_with_and_looked_at_again_when_it_is_published(tx, land, desk):
    anna, ben = land.people
    here, _there = land.grids
    ont = await make_terminal(tx, land.org_unit, technician_id=ben.id)
    waits = await make_visit(tx, land, here, terminals=["ont_gateway"], priority=1)
    too_many = await make_visit(tx, land, here, terminals=["ont_gateway"])
    held = await make_visit(tx, land, here, holder=anna, terminals=["ont_gateway"], priority=4)
    plan = await desk.make()
    routes = await desk.routes(plan)
    assert routes == {str(anna.id): [], str(ben.id): [str(waits.id)]}
    without = (await desk.get(f"/{plan['id']}/unplaced")).json()["unplaced"]
    assert {(one["work_order_id"], one["reason"]) for one in without} == {
        (str(too_many.id), "no_stock"),
        (str(held.id), "no_stock"),
    }
    await tx.delete(ont)
    await tx.flush()
    published = (await desk.post(f"/{plan['id']}/publish")).json()
    # What lacks a terminal stays with its holder: the van may be filled in the morning.
    assert published["published"] == {"taken": 0, "taken_back": 0, "left": 1}
    [left] = (await desk.get(f"/{plan['id']}/left")).json()["left"]
    assert (left["work_order_id"], left["reason"]) == (str(waits.id), "no_stock")


async def test_a_newer_published_plan_replaces_the_older(tx, land, desk):
    await make_visit(tx, land, land.grids[0])
    old = await desk.make()
    await desk.post(f"/{old['id']}/publish")
    await make_visit(tx, land, land.grids[1])
    new = await desk.make(base=old["id"])
    compared = (await desk.get(f"/{new['id']}/against/{old['id']}")).json()
    assert compared["plan"]["placed"] == 2 and compared["other"]["placed"] == 1
    assert compared["moves"] == 0
    now = (await desk.get(f"/{new['id']}/against/current")).json()
    assert now["moves"] == 1
    [move] = now["moved"]
    assert (move["from_id"], move["to_id"]) == (None, str(land.people[1].id))
    await desk.post(f"/{new['id']}/publish")
    assert (await desk.get(f"/{old['id']}")).json()["state"] == "replaced"
    assert (await desk.get(f"/{new['id']}/against/current")).json()["moves"] == 0


async def test_plans_of_different_days_are_not_compared(tx, land, desk):
    await make_visit(tx, land, land.grids[0])
    one, other = await desk.make(), await desk.make(day=str(TODAY))
    refused = await desk.get(f"/{one['id']}/against/{other['id']}")
    assert refused.json()["type"].endswith(":plans-of-different-days")
    assert (await desk.get(f"/{one['id']}/against/{new_id()}")).status_code == 404
    assert (await desk.get(f"/{one['id']}/against/yesterday")).status_code == 422


async def test_drafts_are_discarded_and_runs_that_wait_are_stopped(tx, land, desk):
    draft = await desk.make()
    assert (await desk.post(f"/{draft['id']}/discard")).json()["state"] == "discarded"
    assert (await desk.post(f"/{draft['id']}/discard")).status_code == 200
    assert (await desk.post(f"/{draft['id']}/publish")).status_code == 409
    waiting = (await desk.ask()).json()
    assert (await desk.post(f"/{waiting['id']}/stop")).json()["state"] == "discarded"
    assert await make(desk.database, desk.clock, waiting["id"]) is None  # nothing to do


async def test_a_plan_that_cannot_be_made_has_failed_and_says_why(tx, land, desk):
    await make_visit(tx, land, land.grids[0], skills=[f"s{number}" for number in range(70)])
    asked = (await desk.ask()).json()
    assert await make(desk.database, desk.clock, asked["id"]) is PlanState.FAILED
    failed = (await desk.get(f"/{asked['id']}")).json()
    assert (failed["state"], failed["score"]) == ("failed", None)
    assert "70 skills" in failed["progress"]["error"]


async def test_a_plan_is_made_again_to_the_last_visit(tx, land, desk):
    for number in range(9):
        await make_visit(tx, land, land.grids[number % 2], east=number / 10, due_at=at(12))
    plan = await desk.make(seed=7)
    await tx.execute(text("UPDATE work_order SET estimated_minutes = 200"))  # not read again
    [draft] = await make_again(desk.database, plan["id"])
    again: dict[str, list[str]] = {str(person.id): [] for person in land.people}
    for visit in draft.visits:
        if visit.technician_id is not None:
            again[str(visit.technician_id)].append(str(visit.order_id))
    assert again == await desk.routes(plan)


async def test_what_a_plan_was_made_from_is_forgotten_after_a_while(tx, land, desk, nights, clock):
    """The plan itself stays, and says that it cannot be made again."""
    await make_visit(tx, land, land.grids[0])
    plan = await desk.make()
    clock.tick(timedelta(days=90))
    await nights()
    assert await make_again(desk.database, plan["id"])
    clock.tick(timedelta(days=3))
    await nights()
    with pytest.raises(ValueError, match="not kept any more"):
        await make_again(desk.database, plan["id"])
    assert (await desk.get(f"/{plan['id']}")).json()["state"] == "draft"


async def test_a_past_day_is_not_published(tx, land, desk, clock):
    plan = await desk.make()
    await tx.execute(
        text("UPDATE day_plan SET day = '2026-03-01' WHERE id = :id"), {"id": plan["id"]}
    )
    refused = await desk.post(f"/{plan['id']}/publish")
    assert refused.json()["type"].endswith(":plan-over")
    kept = await tx.get_one(DayPlan, plan["id"], populate_existing=True)
    assert kept.state is PlanState.DRAFT


async def test_nothing_held_is_lost_when_a_plan_is_published_for_today(tx, land, desk):
    anna, _ = land.people
    visits = [
        await make_visit(tx, land, land.grids[0], holder=anna, day=TODAY, state=state)
        for state in (State.ON_SITE, State.ACKNOWLEDGED, State.SUSPENDED)
    ]
    plan = await desk.make(day=str(TODAY))
    [route, _] = (await desk.get(f"/{plan['id']}/routes")).json()["routes"]
    assert [visit["frozen"] for visit in route["visits"]] == [True, True, False]
    await desk.post(f"/{plan['id']}/publish")
    for visit in visits:
        await tx.refresh(visit)
        assert visit.holder_id == anna.id and visit.version == 1
    assert await availability.promised(tx, anna.id, TODAY) == Promised(180, 3) != NOTHING


async def test_a_run_that_dies_is_made_again_from_what_it_had_read(tx, land, desk, monkeypatch):
    anna, _ = land.people
    order = await make_visit(tx, land, land.grids[0])
    asked = (await desk.ask()).json()

    def dies(*_: Any) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patched:
        patched.setattr(making, "_search", dies)
        with pytest.raises(asyncio.CancelledError):
            await make(desk.database, desk.clock, asked["id"])
    assert (await desk.get(f"/{asked['id']}")).json()["state"] == "running"
    await make_visit(tx, land, land.grids[0])  # not known to what was read
    assert await make(desk.database, desk.clock, asked["id"]) is PlanState.DRAFT
    made = (await desk.get(f"/{asked['id']}")).json()
    assert made["score"]["orders"] == 1
    assert (await desk.routes(made))[str(anna.id)] == [str(order.id)]


async def test_a_run_that_is_stopped_leaves_its_best(tx, land, desk, clock):
    for number in range(6):
        await make_visit(tx, land, land.grids[0], east=number / 10)
    asked = (await desk.ask(iterations=None, cpu_seconds=600)).json()
    running = asyncio.create_task(make(desk.database, clock, asked["id"], stopping=lambda: True))
    assert await running is PlanState.DRAFT
    assert (await desk.get(f"/{asked['id']}")).json()["score"]["placed"] == 6


async def test_a_run_nobody_works_at_any_more_has_failed_when_it_is_stopped(tx, land, desk):
    asked = (await desk.ask()).json()
    await tx.execute(
        text(
            "UPDATE day_plan SET state = 'running',"
            " progress = jsonb_build_object('heard_at', now() - interval '2 minutes')"
            " WHERE id = :id"
        ),
        {"id": asked["id"]},
    )
    stopped = (await desk.post(f"/{asked['id']}/stop")).json()
    assert stopped["state"] == "failed"
    assert (await desk.ask()).status_code == 202  # the day is free again
