"""The supervisor's list, one order and its history, and cancelling."""

from datetime import date, timedelta

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from app.technicians import availability
from app.technicians.availability import NOTHING
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from app.worktypes.rules import WorkType
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.technicians import make_technician
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


@pytest.fixture
async def district(tx):
    """The unit of most callers."""
    return await make_org_unit(tx)


@pytest.fixture
async def branches(tx, district):
    """Two branches of the district."""
    return [await make_org_unit(tx, parent=district) for _ in range(2)]


@pytest.fixture
def call(app, http, district):
    """Call as a supervisor of the district, or of another unit."""

    async def request(method, path="", *, unit=None, role=Role.SUPERVISOR, body=None, **query):
        headers = bearer(app, caller_for(role, unit or district))
        return await http.request(
            method, f"/v1/work-orders{path}", headers=headers, json=body, params=query
        )

    return request


@pytest.fixture
def listed(call):
    """The external ids of a page."""

    async def names(**query):
        answer = await call("GET", **query)
        assert answer.status_code == 200, answer.text
        return [one["external_id"] for one in answer.json()["orders"]]

    return names


@pytest.fixture
def make(tx, branches, clock):
    """Make an order of the first branch, a minute after the one before."""

    async def order(external_id, **fields):
        clock.tick(timedelta(minutes=1))
        given = {"org_unit": branches[0], "external_id": external_id, **fields}
        return await make_work_order(tx, now=clock.now(), **given)

    return order


async def test_the_last_taken_in_come_first_from_all_branches(make, listed, branches):
    for n in range(6):
        await make(f"F-{n}", org_unit=branches[n % 2])
    assert await listed() == [f"F-{n}" for n in (5, 4, 3, 2, 1, 0)]
    assert await listed(unit=branches[1]) == ["F-5", "F-3", "F-1"]


async def test_pages_give_each_order_once(make, call, branches, clock):
    for n in range(7):
        await make(f"F-{n}", org_unit=branches[n % 2])
    # Two of the very same moment must not be lost between pages.
    await make_twins(make, clock)
    seen, token = [], None
    while True:
        query = {"size": 2} | ({"page_token": token} if token else {})
        page = (await call("GET", **query)).json()
        seen += [one["external_id"] for one in page["orders"]]
        token = page["next_page_token"]
        if token is None:
            break
    assert len(seen) == len(set(seen)) == 9


async def make_twins(make, clock):
    for name in ("T-1", "T-2"):
        await make(name)
        clock.tick(timedelta(minutes=-1))


async def test_filters(tx, make, listed, clock):
    technician = await make_technician(tx)
    await make("repair", due_at=clock.now() + timedelta(hours=1))
    await make("install", work_type=WorkType.INSTALL, due_at=clock.now() + timedelta(hours=9))
    await make("lost", state=State.UNPLACED, unplaced_reason=UnplacedReason.NO_GRID)
    await make("late", state=State.UNPLACED, unplaced_reason=UnplacedReason.NO_MINUTES_LEFT)
    await make("held", state=State.ASSIGNED, holder_id=technician.id, planned_day=TODAY)
    await make("done", state=State.COMPLETED, holder_id=technician.id, planned_day=TODAY)
    assert await listed(state="received") == ["install", "repair"]
    assert await listed(state="completed") == ["done"]
    assert await listed(state="unplaced") == ["late", "lost"]
    assert await listed(unplaced_reason="no_grid") == ["lost"]
    assert await listed(unplaced_reason="no_grid", state="completed") == []
    assert await listed(holder_id=technician.id) == ["done", "held"]
    assert await listed(holder_id=technician.id, state="assigned") == ["held"]
    assert await listed(work_type="install") == ["install"]
    noon = (clock.now() + timedelta(hours=3)).isoformat()
    assert await listed(due_before=noon) == ["repair"]
    assert await listed(grid_id=new_id()) == []


async def test_others_orders_are_not_there(make, call, listed, tx):
    row = await make("F-1")
    stranger = await make_org_unit(tx)
    assert await listed(unit=stranger) == []
    assert await listed(unit=stranger, holder_id=new_id()) == []
    for path in (f"/{row.id}", f"/{row.id}/history", f"/{row.id}/decision"):
        assert (await call("GET", path, unit=stranger)).status_code == 404
    refused = await call("POST", f"/{row.id}/cancel", unit=stranger, body={"reason": "x"})
    assert refused.status_code == 404


async def test_a_unit_made_a_moment_ago_is_seen_at_once(tx, make, call, listed, branches):
    await listed()  # the org units are remembered now
    crew = await make_org_unit(tx, parent=branches[0])
    row = await make("F-1", org_unit=crew)
    assert (await call("GET", f"/{row.id}")).status_code == 200


async def test_who_belongs_to_a_unit_made_a_moment_ago_has_an_empty_list(tx, call, listed):
    await listed()  # the org units are remembered now, and this one is not among them
    assert (await call("GET", unit=await make_org_unit(tx))).json()["orders"] == []


async def test_names_telephones_and_addresses_are_masked(make, call):
    row = await make("F-1", point=(112.005, 28.005))
    shown = (await call("GET", f"/{row.id}", coordsys="gcj02")).json()
    assert (shown["contact_name"], shown["contact_phone"], shown["address"]) == (
        "王**",
        "154****1234",
        "碧波园3栋*",
    )
    [listed] = (await call("GET")).json()["orders"]
    assert listed["contact_phone"] == "154****1234"
    assert listed["point"] == {"lon": 112.005, "lat": 28.005, "coordsys": "wgs84"}
    assert shown["point"]["coordsys"] == "gcj02"
    assert abs(shown["point"]["lon"] - 112.005) > 0.003


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "lost"}, "state"),
        ({"size": 201}, "size"),
        ({"due_before": "2026-03-02T08:00:00"}, "due_before"),
        ({"page_token": "abc"}, "page_token"),
        ({"holder_id": "x"}, "holder_id"),
    ],
)
async def test_a_wrong_filter_is_refused_by_its_name(call, query, field):
    refused = await call("GET", **query)
    assert refused.status_code == 422
    assert refused.json()["facts"]["errors"][0]["field"] == field


async def test_technicians_use_other_doors(call):
    assert (await call("GET", role=Role.TECHNICIAN)).status_code == 403


@pytest.mark.parametrize("more", [0, 12])
async def test_a_page_costs_one_statement_however_many_branches(
    tx, make, listed, database, district, more
):
    for _ in range(more):
        await make_org_unit(tx, parent=district)
    await make("F-1")
    await listed()
    with counted(database) as sent:
        await listed(state="received")
    assert len(sent) == 1


# --- cancelling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.SUPERVISOR, Role.INTEGRATION])
async def test_cancelling_frees_the_holders_minutes(tx, make, call, clock, role):
    technician = await make_technician(tx)
    row = await make("F-1", state=State.LOCATED)
    await take_step(
        tx, row, Step.ASSIGN, now=clock.now(), holder_id=technician.id, planned_day=TODAY
    )
    answer = await call("POST", f"/{row.id}/cancel", body={"reason": "asked twice"}, role=role)
    assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
    assert await availability.promised(tx, technician.id, TODAY) == NOTHING
    again = await call("POST", f"/{row.id}/cancel", body={"reason": "asked twice"}, role=role)
    assert (again.status_code, again.json()) == (200, answer.json())
    events = (await call("GET", f"/{row.id}/history")).json()["events"]
    assert [(event["step"], event["reason"]) for event in events] == [
        ("assign", None),
        ("cancel", "asked twice"),
    ]


async def test_what_is_completed_cannot_be_cancelled(make, call):
    row = await make("F-1", state=State.COMPLETED)
    refused = await call("POST", f"/{row.id}/cancel", body={"reason": "x"})
    assert refused.status_code == 409
    assert refused.json()["facts"] == {
        "state": "completed",
        "step": "cancel",
        "allowed": ["archive"],
    }


async def test_why_must_be_said(make, call):
    row = await make("F-1")
    assert (await call("POST", f"/{row.id}/cancel", body={"reason": ""})).status_code == 422
