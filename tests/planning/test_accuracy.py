"""How far off expected ways and planned times were, by org unit."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.planning.models import DayPlan, PlanError, PlanVisit
from app.planning.rules import PlanKind, PlanState
from app.workorders.rules import State
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.dispatch import Territory, make_territory
from tests.make.history import History, door_in, drive_days, local

SUNDAY = date(2026, 3, 1)


@pytest.fixture
async def land(tx) -> Territory:
    """Two squares of a branch in a city, and somebody who lives in the first."""
    territory = await make_territory(tx, grids=2)
    territory.org_unit = await make_org_unit(tx, parent=territory.org_unit)
    await territory.add_technician(None, home_point="SRID=4326;POINT(112.005 28.005)")
    return territory


@pytest.fixture
def ask(app, http, land):
    async def asking(unit=None, **query):
        supervisor = caller_for(Role.SUPERVISOR, unit or land.org_unit)
        return await http.get("/v1/travel/errors", params=query, headers=bearer(app, supervisor))

    return asking


async def publish(tx, land, at, begins):
    """Publish a plan of Sunday that says when orders begin."""
    plan = DayPlan(
        id=new_id(),
        org_unit_id=land.org_unit.id,
        day=SUNDAY,
        kind=PlanKind.DAY,
        state=PlanState.PUBLISHED,
        reason="test",
        content_hash="",
        asked={},
        asked_at=at,
        published_at=at,
    )
    tx.add(plan)
    await tx.flush()
    tx.add_all(
        PlanVisit(
            plan_id=plan.id,
            work_order_id=order_id,
            technician_id=land.people[0].id,
            begins_at=moment,
            before_state=State.ASSIGNED,
        )
        for order_id, moment in begins.items()
    )
    await tx.flush()


async def test_a_check_in_is_held_against_the_first_plan_and_the_one_in_force(
    tx, land, nights, ask
):
    history, [lee] = History(), land.people
    door = door_in(land.grids, land.grids[1])
    first = history.visit(lee, door, local(SUNDAY, 8), 600)  # there at ten past eight
    second = history.visit(lee, door, local(SUNDAY, 12), 600)
    history.visit(lee, door, local(SUNDAY, 15), 600)  # came at noon, and was in no plan
    await history.write(tx)
    planned = {first.order_id: local(SUNDAY, 8), second.order_id: local(SUNDAY, 11, 20)}
    await publish(tx, land, local(SUNDAY, 6), planned)
    await publish(tx, land, local(SUNDAY, 11), {second.order_id: local(SUNDAY, 12, 15)})
    # While they are on their way, the plan that is made only says what everybody sees.
    await publish(tx, land, local(SUNDAY, 12, 5), {second.order_id: local(SUNDAY, 12, 10)})
    await nights()
    rows = {row.id: (row.first, row.last) for row in await tx.scalars(select(PlanError))}
    assert rows == {first.event_id: (600, 600), second.event_id: (3_000, -300)}
    planned = (await ask()).json()["total"]["planned"]
    assert planned == {
        "visits": 2,
        "first": {
            "error": {"median": 1_800.0, "p90": pytest.approx(2_760)},
            "within_15_minutes": 1,
            "within_30_minutes": 1,
        },
        "last": {
            "error": {"median": 450.0, "p90": pytest.approx(570)},
            "within_15_minutes": 2,
            "within_30_minutes": 2,
        },
    }


async def test_one_sees_what_learning_is_good_for(tx, land, nights, ask, clock):
    people = [await land.add_technician(None) for _ in range(6)]
    days = [SUNDAY - timedelta(days=back) for back in range(4, -1, -1)]
    history = History()
    drive_days(history, land.grids, people, days, lambda *_: 0.6)
    await history.write(tx)
    await nights()
    told = (await ask(**{"from": "2026-02-27", "until": "2026-03-01"})).json()
    [branch] = told["units"]
    assert branch["org_unit_id"] == str(land.org_unit.id)
    assert told["total"]["ways"] == branch["ways"]
    ways = branch["ways"]
    assert ways["trips"] + ways["left_out"] == 6 * 7 * 3
    assert ways["expected"]["median"] < 0.5 * ways["by_distance"]["median"]
    assert ways["expected"]["p90"] < ways["by_distance"]["p90"]


async def test_without_any_the_answer_is_empty(land, ask):
    told = (await ask()).json()
    assert told["units"] == []
    assert told["total"]["ways"]["expected"] == {"median": None, "p90": None}
    assert told["total"]["planned"]["visits"] == 0
    assert (told["since"], told["until"]) == ("2026-02-23", "2026-03-01")


async def test_ones_own_part_of_the_organisation_for_a_month_at_most(tx, land, ask):
    elsewhere = await make_org_unit(tx)
    assert (await ask(org_unit_id=str(elsewhere.id))).status_code == 404
    long = await ask(**{"from": "2026-01-01", "until": "2026-03-01"})
    assert (long.status_code, long.json()["facts"]["errors"][0]["field"]) == (422, "from")
