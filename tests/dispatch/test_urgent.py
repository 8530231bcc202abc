"""An urgent order that nobody has room for today takes the place of lesser work."""

from datetime import UTC, date, datetime

import pytest

from app.auth.rules import Role
from app.core.parameter_values import ParameterValue
from app.grids.rules import MembershipKind
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.technicians.models import TechnicianDay
from app.workorders import queries
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for
from tests.make.dispatch import Territory, make_territory, order
from tests.make.workorders import make_promise

TODAY, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture
async def land(tx) -> Territory:
    """A grid whose primary has room for two orders of an hour a day."""
    territory = await make_territory(tx)
    await territory.add_technician(territory.grids[0], daily_minutes=150, skills={"fibre": 1})
    return territory


@pytest.fixture
def send(app, http, land):
    """Send an order to be done in the grid, as the upstream system."""

    async def post(name, **fields):
        body = order(name, point=land.point_in(land.grids[0]), **fields)
        headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
        answer = await http.post("/v1/work-orders", json=body, headers=headers)
        assert answer.status_code == 201
        return answer.json()

    return post


@pytest.fixture
def decision(app, http, land):
    """Read an order's decision, as the supervisor."""

    async def get(order_id):
        headers = bearer(app, caller_for(Role.SUPERVISOR, land.org_unit))
        return (await http.get(f"/v1/work-orders/{order_id}/decision", headers=headers)).json()

    return get


async def test_the_least_urgent_gives_way_and_goes_to_another_day(tx, land, send, decision):
    [primary] = land.people
    lesser, least = await send("F-1", priority=3), await send("F-2", priority=4)
    urgent = await send("F-3", priority=1)
    assert (urgent["holder_id"], urgent["planned_day"]) == (str(primary.id), "2026-03-02")
    gone = await queries.for_change(tx, least["id"])
    assert (gone.holder_id, gone.planned_day, gone.state) == (
        primary.id,
        TOMORROW,
        State.ASSIGNED,
    )
    assert (await queries.for_change(tx, lesser["id"])).planned_day == TODAY
    assert await availability.promised(tx, primary.id, TODAY) == Promised(120, 2)
    assert await availability.promised(tx, primary.id, TOMORROW) == Promised(60, 1)
    won, lost = await decision(urgent["id"]), await decision(least["id"])
    assert (won["displaced_id"], won["displaced_by_id"]) == (least["id"], None)
    assert (lost["displaced_id"], lost["displaced_by_id"]) == (None, urgent["id"])
    assert lost["displacement_words"] == {
        "zh": "为当天无人可派的紧急工单让位",
        "en": "gave way to an urgent order that nobody had room for",
    }
    [*_, last] = await queries.history(tx, gone.id)
    assert last.facts["displaced_by"] == urgent["id"]
    [*_, first] = await queries.history(tx, urgent["id"])
    assert first.facts["displaced"] == least["id"]


async def test_what_gives_way_may_go_to_a_day_beyond_the_urgent_ones_promise(tx, land, send):
    [primary] = land.people
    await make_promise(tx)  # a repair of this morning is due today, an install is due some day
    installs = [await send(f"F-{n}", work_type="install", priority=4) for n in range(3)]
    assert [one["planned_day"] for one in installs] == ["2026-03-02", "2026-03-02", "2026-03-03"]
    urgent = await send("F-3", priority=1)
    assert urgent["planned_day"] == "2026-03-02"
    assert await availability.promised(tx, primary.id, TODAY) == Promised(120, 2)
    assert await availability.promised(tx, primary.id, TOMORROW) == Promised(120, 2)
    row = await tx.get_one(TechnicianDay, (primary.id, TOMORROW))
    assert len(row.route) == 2


async def test_what_gives_way_goes_to_somebody_who_cannot_do_the_urgent_one(tx, land, send):
    await send("F-1")
    lesser = await send("F-2", priority=4)
    helper = await land.add_technician(land.grids[0], MembershipKind.BACKUP)
    urgent = await send("F-3", priority=1, skills=["fibre"])
    assert urgent["planned_day"] == "2026-03-02"
    gone = await queries.for_change(tx, lesser["id"])
    assert (gone.holder_id, gone.planned_day) == (helper.id, TODAY)


async def test_what_nobody_else_can_do_is_unplaced_with_its_reason(tx, land, send, decision):
    [primary] = land.people
    due = {"reported_at": "2026-03-02T08:30:00+08:00"}
    await send("F-1", priority=2, **due)
    lesser = await send("F-2", priority=4, **due)
    row = await queries.for_change(tx, lesser["id"])
    row.due_at = datetime(2026, 3, 2, 15, tzinfo=UTC)
    await tx.flush()
    urgent = await send("F-3", priority=1, **due)
    assert urgent["holder_id"] == str(primary.id)
    await tx.refresh(row)
    assert (row.state, row.unplaced_reason) == (State.UNPLACED, "no_minutes_left")
    assert (row.holder_id, row.planned_day) == (None, None)
    assert await availability.promised(tx, primary.id, TODAY) == Promised(120, 2)
    assert await availability.promised(tx, primary.id, TOMORROW) == NOTHING
    assert (await decision(lesser["id"]))["displaced_by_id"] == urgent["id"]


@pytest.mark.parametrize("why", ["as urgent", "booked", "begun", "switched off", "less urgent"])
async def test_what_stays(tx, land, send, clock, why):
    booked = {}
    if why == "booked":
        booked = {
            "appointment_from": "2026-03-02T10:00:00+08:00",
            "appointment_until": "2026-03-02T16:00:00+08:00",
        }
    if why == "switched off":
        tx.add(
            ParameterValue(
                name="dispatch.urgent_displaces",
                org_path="",
                valid_from=datetime(2026, 1, 1, tzinfo=UTC),
                value=0,
            )
        )
        await tx.flush()
    priority = 1 if why == "as urgent" else 3
    for name in ("F-1", "F-2"):
        placed = await send(name, priority=priority, estimated_minutes=60, **booked)
        if why == "begun" and name == "F-1":
            row = await queries.for_change(tx, placed["id"])
            await take_step(tx, row, Step.ACKNOWLEDGE, now=clock.now())
            await take_step(tx, row, Step.TRAVEL, now=clock.now())
    if why == "begun":
        # The other one would do, were it not for its appointment.
        row = await queries.for_change(tx, placed["id"])
        row.appointment_from = datetime(2026, 3, 2, 6, tzinfo=UTC)
        row.appointment_until = datetime(2026, 3, 2, 8, tzinfo=UTC)
        await tx.flush()
    late = await send("F-3", priority=3 if why == "less urgent" else 1)
    assert late["planned_day"] == "2026-03-03"
