"""A fault that comes back is linked to what was closed before, more urgent, and goes to whom the
setting prefers."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.core.parameter_values import ParameterValue
from app.dispatch.rules.repeats import Repeat
from app.grids.rules import MembershipKind
from app.workorders.models import WorkOrder
from app.workorders.rules import State
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for
from tests.make.counting import counted
from tests.make.customers import make_customer
from tests.make.dispatch import make_territory, ndjson, order
from tests.make.technicians import make_technician
from tests.make.workorders import make_work_order

NUMBER = "07318881234"
REPORTED = datetime.fromisoformat("2026-03-02T08:30:00+08:00")


THERE, ELSEWHERE = new_id(), new_id()


@pytest.mark.parametrize(
    ("who", "before", "levels", "skills", "costs"),
    [
        (THERE, None, {}, set(), 0),
        (ELSEWHERE, None, {"fibre": 5}, {"fibre"}, 900),
        (ELSEWHERE, {"fibre": 2}, {"fibre": 3}, {"fibre"}, 0),
        (ELSEWHERE, {"fibre": 3}, {"fibre": 3}, {"fibre"}, 900),
        (THERE, {"fibre": 3}, {"fibre": 3}, {"fibre"}, 900),
        (ELSEWHERE, {"fibre": 3}, {"fibre": 2, "copper": 5}, {"fibre"}, 900),
        # Where the fault names no skill, all of them count.
        (ELSEWHERE, {"fibre": 3}, {"fibre": 2, "copper": 5}, set(), 0),
        (ELSEWHERE, {}, {}, set(), 900),
    ],
)
def test_what_it_costs_that_somebody_else_gets_a_fault_that_came_back(
    who, before, levels, skills, costs
):
    assert Repeat(THERE, 900, before).cost(who, levels, skills) == costs


@pytest.fixture
async def land(tx):
    """A grid with a primary, and a backup who worked there before."""
    land = await make_territory(tx)
    await land.add_technician(land.grids[0], skills={"fibre": 3})
    await land.add_technician(land.grids[0], MembershipKind.BACKUP, skills={"fibre": 2})
    return land


@pytest.fixture
def report(app, http, land):
    """Report faults as the upstream system, one or many, and give what is answered."""

    async def post(*bodies):
        headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
        if len(bodies) == 1:
            return await http.post("/v1/work-orders", json=bodies[0], headers=headers)
        return await http.post(
            "/v1/work-orders/bulk",
            content=ndjson(*bodies),
            headers={**headers, "content-type": "application/x-ndjson"},
        )

    return post


@pytest.fixture
def closed(tx, land):
    """Add work on the service that the backup closed some time before the report."""

    async def make(ago=timedelta(days=2), **fields):
        at = REPORTED - ago
        given = {
            "service_number": NUMBER,
            "holder_id": land.people[1].id,
            "state": State.COMPLETED,
            "completed_at": at,
            **fields,
        }
        return await make_work_order(tx, now=at, org_unit=land.org_unit, **given)

    return make


async def taken(tx, external_id="F-1"):
    return (
        await tx.scalars(
            select(WorkOrder)
            .where(WorkOrder.external_id == external_id)
            .execution_options(populate_existing=True)
        )
    ).one()


def fault(land, external_id="F-1", **fields):
    return order(
        external_id, point=land.point_in(land.grids[0]), **{"service_number": NUMBER, **fields}
    )


async def test_a_fault_that_comes_back_is_linked_raised_and_goes_to_whoever_was_there(
    app, http, land, report, closed, tx
):
    before = await closed()
    assert (await report(fault(land))).status_code == 201
    found = await taken(tx)
    assert (found.repeat_of_id, found.repeats, found.priority) == (before.id, 1, 2)
    assert found.holder_id == land.people[1].id, "the primary is nearer to the grid"
    headers = bearer(app, caller_for(Role.SUPERVISOR, land.org_unit))
    shown = (await http.get(f"/v1/work-orders/{found.id}", headers=headers)).json()
    assert (shown["repeat_of_id"], shown["repeats"]) == (str(before.id), 1)
    history = await http.get(f"/v1/work-orders/{found.id}/history", headers=headers)
    assert history.json()["events"][0]["facts"] == {"repeat_of_id": str(before.id), "repeats": 1}
    why = (await http.get(f"/v1/work-orders/{found.id}/decision", headers=headers)).json()
    costs = {one["technician_id"]: one["cost"] for one in why["candidates"]}
    assert costs[str(land.people[0].id)]["repeat_s"] == 900
    assert costs[str(land.people[1].id)]["repeat_s"] == 0
    assert why["cost_words"]["repeat_s"]["zh"] == "重复障碍人员偏好"


@pytest.mark.parametrize(
    ("prefers", "levels", "gets"),
    [(0, {"fibre": 2}, 0), (1, {"fibre": 2}, 1), (2, {"fibre": 2}, 0), (2, {"fibre": 4}, 1)],
)
async def test_the_setting_says_who_is_preferred(land, report, closed, tx, prefers, levels, gets):
    """The one who was there is a third person, of level 2; the backup has the `levels`."""
    await tx.execute(
        text("UPDATE technician_skill SET level = :level WHERE technician_id = :id"),
        {"level": levels["fibre"], "id": land.people[1].id},
    )
    there = land.people[1]
    if prefers == 2:
        there = await make_technician(tx, org_unit=land.org_unit, skills={"fibre": 3}, active=False)
    tx.add(
        ParameterValue(
            name="dispatch.repeat_prefers",
            org_path="",
            value=prefers,
            valid_from=datetime(2020, 1, 1, tzinfo=UTC),
        )
    )
    await tx.flush()
    await closed(holder_id=there.id)
    await report(fault(land, skills=["fibre"]))
    assert (await taken(tx)).holder_id == land.people[gets].id


@pytest.mark.parametrize(
    ("ago", "fields", "again"),
    [
        (timedelta(days=7), {}, True),
        (timedelta(days=7, seconds=1), {}, False),
        (timedelta(seconds=-1), {}, False),  # closed after the report: it was about this one
        (timedelta(days=1), {"service_number": "07310000000"}, False),
        (timedelta(days=1), {"work_type": WorkType.INSTALL}, True),
        (timedelta(days=1), {"work_type": WorkType.REMOVE}, False),
        (timedelta(days=1), {"work_type": WorkType.CARE}, False),
        (timedelta(days=1), {"state": State.CANCELLED, "completed_at": None}, False),
    ],
)
async def test_what_counts_as_closed_before(land, report, closed, tx, ago, fields, again):
    await closed(ago, **fields)
    await report(fault(land))
    found = await taken(tx)
    assert (found.repeats, found.repeat_of_id is not None, found.priority) == (
        (1, True, 2) if again else (0, False, 3)
    )


async def test_without_a_service_number_the_customers_address_tells(land, report, closed, tx):
    customer = await make_customer(tx, org_unit=land.org_unit)
    before = await closed(
        service_number=None, customer_id=customer.id, address="碧波园3栋2单元1203室"
    )
    nobody = {"service_number": None, "customer_code": customer.code}
    await report(
        fault(land, **nobody),
        fault(land, "F-2", **nobody, address="another address"),
        fault(land, "F-3", service_number=None),
    )
    assert (await taken(tx)).repeat_of_id == before.id
    assert {(await taken(tx, f"F-{n}")).repeat_of_id for n in (2, 3)} == {None}


async def test_repeats_are_counted_one_after_the_other_in_one_look_for_a_file(
    land, report, closed, tx, database
):
    await closed(timedelta(days=6), repeats=3)
    last = await closed(timedelta(days=1), repeats=4)
    with counted(database) as statements:
        await report(*(fault(land, f"F-{n}") for n in range(1, 4)))
    looks = [one for one in statements if "AS last" in one]
    assert len(looks) <= 1
    found = [await taken(tx, f"F-{n}") for n in range(1, 4)]
    assert {(one.repeat_of_id, one.repeats) for one in found} == {(last.id, 5)}


async def test_repeat_faults_are_counted_by_unit_and_by_technician(
    app, http, land, report, closed, tx
):
    await closed()
    await closed(timedelta(days=3), service_number="07310000000", holder_id=land.people[0].id)
    await report(fault(land), fault(land, "F-2", service_number="07312222222"))
    headers = bearer(app, caller_for(Role.SUPERVISOR, land.org_unit))

    async def figures(**query):
        answer = await http.get("/v1/repeat-faults", headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    by_unit = await figures()
    assert (by_unit["repeats"], by_unit["faults"], by_unit["until"]) == (1, 4, "2026-03-02")
    assert [(one["code"], one["rate"]) for one in by_unit["rows"]] == [(land.org_unit.code, 0.25)]
    by_person = await figures(by="technician")
    assert {one["code"]: (one["repeats"], one["faults"]) for one in by_person["rows"]} == {
        land.people[0].code: (0, 1),
        land.people[1].code: (1, 1),
    }
    too_long = await http.get(
        "/v1/repeat-faults", headers=headers, params={"from": "2025-11-01", "until": "2026-03-02"}
    )
    assert too_long.status_code == 422
