"""Who serves a grid on the coming days: the order in which placing asks, and who is away."""

from datetime import date, datetime

import pytest

from app.auth.rules import Role
from app.grids.models import GridNeighbour
from app.grids.rules import MembershipKind
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from tests.conftest import SHANGHAI
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.dispatch import make_territory, order
from tests.make.grids import make_grid, make_membership
from tests.make.technicians import make_technician

BACKUP, LOAN = MembershipKind.BACKUP, MembershipKind.LOAN


async def on_leave(tx, technician, starts_at, ends_at):
    """Write a leave down, given in local time."""
    leave = Leave(
        technician_id=technician.id,
        starts_at=datetime.fromisoformat(starts_at).replace(tzinfo=SHANGHAI),
        ends_at=datetime.fromisoformat(ends_at).replace(tzinfo=SHANGHAI),
        cause=LeaveCause.HOLIDAY,
    )
    tx.add(leave)
    await tx.flush()


@pytest.fixture
async def grid(tx, branch):
    return await make_grid(tx, org_unit=branch, code="A1")


@pytest.fixture
async def people(tx, branch, grid):
    """A primary, two backups (the second works from Tuesday to Friday), a loan on Wednesday."""
    primary, first, lent = [
        await make_technician(tx, org_unit=branch, code=code) for code in ("T0", "T1", "T3")
    ]
    second = await make_technician(tx, org_unit=branch, code="T2", weekdays=range(1, 5))
    await make_membership(tx, grid, primary)
    await make_membership(tx, grid, first, kind=BACKUP)
    await make_membership(tx, grid, second, kind=BACKUP, rank=2)
    wednesday = {"valid_from": date(2026, 3, 4), "valid_to": date(2026, 3, 5)}
    await make_membership(tx, grid, lent, kind=LOAN, ratio=50, **wednesday)
    return [primary, first, second, lent]


@pytest.fixture
def cover(http, supervisor, grid):
    """Ask who serves the grid, as (code, why away) for each day; and the first who is there."""

    async def ask(headers=None, **query):
        answer = await http.get(
            f"/v1/grids/{grid.id}/cover", params=query, headers=headers or supervisor
        )
        assert answer.status_code == 200, answer.text
        return answer.json()["days"]

    return ask


def told(day):
    return [(one["code"], one["away"]) for one in day["asked"]]


async def test_who_is_asked_on_each_day_and_who_is_away_why(tx, cover, people):
    await on_leave(tx, people[0], "2026-03-03T00:00", "2026-03-05T00:00")
    await on_leave(tx, people[1], "2026-03-04T00:00", "2026-03-05T00:00")
    monday, tuesday, wednesday, thursday = await cover(days=4)
    assert told(monday) == [("T0", None), ("T1", None), ("T2", "not_on_shift")]
    assert told(tuesday) == [("T0", "on_leave"), ("T1", None), ("T2", None)]
    assert told(wednesday) == [("T3", None), ("T0", "on_leave"), ("T1", "on_leave"), ("T2", None)]
    assert told(thursday) == [("T0", None), ("T1", None), ("T2", None)]
    assert [one["day"] for one in (monday, thursday)] == ["2026-03-02", "2026-03-05"]
    served = [one["served_by"] for one in (monday, tuesday, wednesday, thursday)]
    assert served == [str(people[n].id) for n in (0, 1, 3, 0)]
    lent = wednesday["asked"][0]
    assert (lent["kind"], lent["rank"], lent["ratio"], lent["minutes"]) == ("loan", 1, 50, 480)
    away = tuesday["asked"][0]
    assert (away["minutes"], away["away_words"]) == (0, {"zh": "请假", "en": "on leave"})


async def test_of_today_only_what_is_left_counts(tx, cover, people, clock):
    await on_leave(tx, people[0], "2026-03-02T15:00", "2026-03-02T18:00")
    [monday] = await cover(days=1)
    assert (monday["asked"][0]["minutes"], monday["asked"][0]["away"]) == (360, None)
    clock.set(datetime(2026, 3, 2, 16, tzinfo=SHANGHAI))
    [monday] = await cover(days=1)
    assert told(monday)[:2] == [("T0", "on_leave"), ("T1", None)]
    assert [one["minutes"] for one in monday["asked"][:2]] == [0, 120]


async def test_somebody_inactive_is_away_and_days_nobody_serves_are_told(tx, cover, grid, people):
    for one in people:
        one.active = False
    await tx.flush()
    [monday] = await cover(days=1)
    assert told(monday)[0] == ("T0", "inactive")
    assert monday["served_by"] is None


async def test_neighbours_are_asked_last_the_nearest_first(tx, cover, branch, grid, people):
    for code, distance_m in (("T8", 40.0), ("T9", 3.0)):
        beside = await make_grid(tx, org_unit=branch, lon=112.7)
        await make_membership(tx, beside, await make_technician(tx, org_unit=branch, code=code))
        tx.add(GridNeighbour(grid_id=grid.id, neighbour_id=beside.id, distance_m=distance_m))
    await tx.flush()
    [monday] = await cover(days=1)
    assert [(one["code"], one["distance_m"], one["rank"]) for one in monday["asked"][-2:]] == [
        ("T9", 3, None),
        ("T8", 40, None),
    ]


async def test_it_says_who_placing_asks(app, http, tx, clock):
    """Day by day for a week, an order with an appointment goes where the cover says."""
    land = await make_territory(tx)
    grid = land.grids[0]
    primary = await land.add_technician(grid)
    await land.add_technician(grid, BACKUP, weekdays=range(3))
    await land.add_technician(grid, BACKUP, rank=2)
    await land.add_technician(grid, LOAN, valid_from=date(2026, 3, 6), valid_to=date(2026, 3, 7))
    await on_leave(tx, primary, "2026-03-03T12:00", "2026-03-05T12:00")
    supervisor = bearer(app, caller_for(Role.SUPERVISOR, land.org_unit))
    answer = await http.get(f"/v1/grids/{grid.id}/cover", headers=supervisor)
    days = answer.json()["days"]
    assert len(days) == 7
    upstream = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
    for day in days:
        body = order(
            day["day"],
            point=land.point_in(grid),
            appointment_from=f"{day['day']}T16:00:00+08:00",
            appointment_until=f"{day['day']}T16:30:00+08:00",
        )
        placed = await http.post("/v1/work-orders", json=body, headers=upstream)
        there = [one["technician_id"] for one in day["asked"] if one["away"] is None]
        assert placed.json()["holder_id"] in there
        if day["day"] != "2026-03-03":  # on Tuesday the primary is there, but only in the morning
            assert placed.json()["holder_id"] == day["served_by"]


async def test_grids_of_others_and_days_beyond_reason_are_refused(app, http, tx, grid, supervisor):
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    url = f"/v1/grids/{grid.id}/cover"
    assert (await http.get(url, headers=stranger)).status_code == 404
    assert (await http.get(url, params={"days": 32}, headers=supervisor)).status_code == 422
    phone = bearer(app, caller_for(Role.TECHNICIAN, await make_org_unit(tx)))
    assert (await http.get(url, headers=phone)).status_code == 403


async def test_a_month_of_many_people_costs_as_much_as_a_day_of_one(
    database, tx, cover, branch, grid, people
):
    with counted(database) as few:
        await cover(days=1)
    for rank in range(3, 20):
        another = await make_technician(tx, org_unit=branch)
        await make_membership(tx, grid, another, kind=BACKUP, rank=rank)
    with counted(database) as many:
        await cover(days=31)
    assert len(few) == len(many) == 3
