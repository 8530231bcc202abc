"""What whoever takes a grid over finds there, before the day and on it."""

from datetime import date, datetime, timedelta

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from app.grids.rules import MembershipKind
from app.workorders.rules import State
from tests.conftest import SHANGHAI
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.customers import make_subscription
from tests.make.grids import make_grid, make_membership
from tests.make.residents import make_resident, make_residents
from tests.make.technicians import make_technician
from tests.make.terminals import make_terminal
from tests.make.workorders import make_work_order

APRIL = "2026-04-01"


@pytest.fixture
async def li(tx, branch):
    return await make_technician(tx, org_unit=branch, code="T1", name="李师傅")


@pytest.fixture
async def wang(tx, branch):
    return await make_technician(tx, org_unit=branch, code="T2", name="王师傅")


@pytest.fixture
async def grids(tx, branch, li):
    """Three grids that Li is primary of."""
    found = [await make_grid(tx, org_unit=branch, code=f"A{n}", name=f"园{n}") for n in range(3)]
    for grid in found:
        await make_membership(tx, grid, li)
    return found


@pytest.fixture
def get(http, supervisor):
    async def read(path, headers=None, **query):
        return await http.get(f"/v1/{path}", params=query, headers=headers or supervisor)

    return read


@pytest.fixture
def hand_over(http, supervisor):
    async def send(technician, grids):
        rows = [
            {
                "do": "hand_over",
                "id": str(new_id()),
                "grid_id": str(grid.id),
                "technician_id": str(technician.id),
                "valid_from": APRIL,
            }
            for grid in grids
        ]
        answer = await http.post("/v1/memberships/bulk", json={"rows": rows}, headers=supervisor)
        assert answer.status_code == 200

    return send


async def test_what_is_handed_over_with_a_grid(tx, get, hand_over, branch, grids, li, wang, clock):
    grid, now = grids[0], clock.now()
    await make_residents(tx, branch, grid, 2)
    zhao = await make_technician(tx, org_unit=branch, code="T3")
    backup = await make_membership(
        tx, grid, zhao, kind=MembershipKind.BACKUP, valid_to=date(2026, 4, 15)
    )
    of_grid = {"now": now, "org_unit": branch, "grid_id": grid.id}
    waiting = await make_work_order(tx, **of_grid, state=State.LOCATED)
    promised = await make_work_order(
        tx,
        **of_grid,
        state=State.ASSIGNED,
        holder_id=li.id,
        planned_day=date(2026, 4, 2),
        appointment_from=datetime(2026, 4, 2, 9, tzinfo=SHANGHAI),
        appointment_until=datetime(2026, 4, 2, 11, tzinfo=SHANGHAI),
    )
    late = await make_work_order(
        tx, **of_grid, state=State.ASSIGNED, holder_id=zhao.id, due_at=now - timedelta(hours=1)
    )
    await make_work_order(tx, **of_grid, state=State.COMPLETED, holder_id=li.id)
    await hand_over(wang, [grid])
    answer = await get(f"grids/{grid.id}/handover", on=APRIL)
    assert answer.status_code == 200
    found = answer.json()
    assert (found["grid_code"], found["day"], found["customers"]) == ("A0", APRIL, 2)
    assert (found["predecessor"]["code"], found["predecessor"]["valid_to"]) == ("T1", APRIL)
    assert (found["successor"]["code"], found["successor"]["valid_from"]) == ("T2", APRIL)
    assert [(one["membership_id"], one["valid_to"]) for one in found["others"]] == [
        (str(backup.id), "2026-04-15")
    ]
    assert found["open_orders"] == {
        "waiting": 1,
        "with_predecessor": 1,
        "with_others": 1,
        "appointments": 1,
        "overdue": 1,
        "next_due_at": (now - timedelta(hours=1)).isoformat().replace("+00:00", "Z"),
    }
    assert [(one["id"], one["held_by"], one["holder_code"]) for one in found["orders"]] == [
        (str(late.id), "somebody_else", "T3"),
        (str(promised.id), "predecessor", "T1"),
        (str(waiting.id), "nobody", None),
    ]
    assert found["orders"][1]["appointment_from"] == "2026-04-02T01:00:00Z"
    assert found["orders"][0]["address"] == "碧波园3栋*"  # the customer's door is masked
    assert not {"contact_name", "contact_phone"} & found["orders"][0].keys()
    assert found["orders_left_out"] == 0


async def test_before_it_is_given_the_primary_of_that_day_is_the_predecessor(get, grids):
    found = (await get(f"grids/{grids[0].id}/handover", on=APRIL)).json()
    assert found["predecessor"]["code"] == "T1"
    assert (found["successor"], found["predecessor"]["valid_to"]) == (None, None)


async def test_orders_stay_with_the_predecessor_until_they_are_moved(
    tx, get, hand_over, branch, grids, li, wang, clock
):
    held = await make_work_order(
        tx,
        now=clock.now(),
        org_unit=branch,
        grid_id=grids[0].id,
        state=State.ASSIGNED,
        holder_id=li.id,
        planned_day=date(2026, 3, 2),
    )
    await hand_over(wang, grids)
    clock.set(datetime(2026, 4, 1, 9, tzinfo=SHANGHAI))
    found = (await get(f"grids/{grids[0].id}/handover")).json()
    assert found["day"] == APRIL
    assert [(one["id"], one["held_by"]) for one in found["orders"]] == [
        (str(held.id), "predecessor")
    ]


@pytest.mark.parametrize(
    ("ended", "due_back"),
    [
        ([date(2026, 2, 1)], 1),
        ([date(2026, 4, 1)], 1),  # ended by the day of the handover
        ([date(2026, 4, 2)], 0),
        ([None], 0),
        ([date(2026, 2, 1), None], 0),  # another service of theirs runs
        ([], 0),  # of services nothing is known
    ],
)
async def test_terminals_that_are_due_back(tx, get, branch, grids, ended, due_back):
    customer = await make_resident(tx, branch, grids[0])
    await make_terminal(tx, branch, customer_id=customer.id)
    await make_terminal(tx, branch)
    for ended_on in ended:
        await make_subscription(tx, customer, ended_on=ended_on)
    found = (await get(f"grids/{grids[0].id}/handover", on=APRIL)).json()
    assert found["terminals_due_back"] == due_back


async def test_what_somebody_takes_over_and_what_somebody_gives_away(
    tx, get, hand_over, branch, grids, li, wang, clock
):
    mine = await make_grid(tx, org_unit=branch, code="B1")
    await make_membership(tx, mine, wang)
    await make_residents(tx, branch, grids[0], 2)
    await make_residents(tx, branch, grids[1], 1)
    await make_work_order(
        tx,
        now=clock.now(),
        org_unit=branch,
        grid_id=grids[1].id,
        state=State.ASSIGNED,
        holder_id=li.id,
    )
    before = (await get("handovers", technician_id=str(li.id), part="predecessor", on=APRIL)).json()
    assert [one["grid_code"] for one in before["handovers"]] == ["A0", "A1", "A2"]
    await hand_over(wang, grids[:2])
    taken = (await get("handovers", technician_id=str(wang.id), on=APRIL)).json()
    assert [one["grid_code"] for one in taken["handovers"]] == ["A0", "A1"]
    assert taken["totals"] == {
        "grids": 2,
        "customers": 3,
        "open_orders": 1,
        "with_predecessor": 1,
        "appointments": 0,
        "terminals_due_back": 0,
    }
    given = (await get("handovers", technician_id=str(li.id), part="predecessor", on=APRIL)).json()
    assert [
        (one["grid_code"], one["successor"] and one["successor"]["code"])
        for one in given["handovers"]
    ] == [("A0", "T2"), ("A1", "T2"), ("A2", None)]
    first = (await get("handovers", technician_id=str(wang.id), on=APRIL, size=1)).json()
    token = first["next_page_token"]
    rest = (
        await get("handovers", technician_id=str(wang.id), on=APRIL, size=1, page_token=token)
    ).json()
    assert [one["grid_code"] for one in rest["handovers"]] == ["A1"]
    assert rest["totals"] == taken["totals"]


async def test_grids_can_be_named(get, grids):
    named = [str(one.id) for one in grids[:2]]
    found = (await get("handovers", grid_id=named, on=APRIL)).json()
    assert [one["grid_code"] for one in found["handovers"]] == ["A0", "A1"]


async def test_either_somebody_or_grids_are_named(get, grids, li):
    for query in ({}, {"technician_id": str(li.id), "grid_id": [str(grids[0].id)]}):
        answer = await get("handovers", **query)
        assert answer.status_code == 422
        assert answer.json()["facts"]["errors"][0]["field"] == "technician_id"


async def test_others_see_nothing_of_it(app, tx, get, grids, li):
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    assert (await get(f"grids/{grids[0].id}/handover", stranger)).status_code == 404
    assert (await get(f"grids/{grids[0].id}/handover", stranger, on=APRIL)).status_code == 404
    assert (await get("handovers", stranger, technician_id=str(li.id))).status_code == 404
    named = (await get("handovers", stranger, grid_id=[str(grids[0].id)])).json()
    assert named["handovers"] == []


async def test_many_grids_cost_as_many_statements_as_one(database, tx, get, branch, grids, li):
    named = [str(grids[0].id)]
    await get("handovers", grid_id=named, on=APRIL)
    with counted(database) as few:
        await get("handovers", grid_id=named, on=APRIL)
    for _ in range(20):
        await make_membership(tx, await make_grid(tx, org_unit=branch), li)
    with counted(database) as many:
        found = await get(
            "handovers", technician_id=str(li.id), part="predecessor", on="2026-03-03"
        )
    assert found.json()["totals"]["grids"] == 23
    # The person is looked up, and which grids they have.
    assert len(many) == len(few) + 2 <= 10
