"""Somebody on leave is covered by the backups and comes first again after it, without an edit."""

from datetime import datetime

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.grids.models import GridMembership
from app.grids.rules import MembershipKind
from tests.conftest import SHANGHAI
from tests.make.auth import bearer, caller_for, make_account
from tests.make.dispatch import Territory, make_territory, order


@pytest.fixture
async def land(tx) -> Territory:
    """A grid with a primary and two backups; the first of them does not work on Tuesdays."""
    territory = await make_territory(tx)
    grid = territory.grids[0]
    await territory.add_technician(grid)
    tuesdays_off = await territory.add_technician(None, home=grid)
    await territory.give(grid, tuesdays_off, MembershipKind.BACKUP, weekdays=0b1111101)
    await territory.add_technician(grid, MembershipKind.BACKUP, rank=2)
    return territory


@pytest.fixture
async def supervisor(app, tx, land):
    account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
    return bearer(app, caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id))


@pytest.fixture
def on_leave(http, supervisor, land):
    """Write down that the primary is away from one local moment to another."""

    async def send(starts_at, ends_at):
        leave_id = str(new_id())
        answer = await http.post(
            f"/v1/technicians/{land.people[0].id}/leave",
            json={
                "id": leave_id,
                "starts_at": f"{starts_at}+08:00",
                "ends_at": f"{ends_at}+08:00",
                "cause": "illness",
            },
            headers=supervisor,
        )
        assert answer.status_code == 201
        return leave_id

    return send


@pytest.fixture
def placed(app, http, land):
    """Send an order with an appointment on a local day; return who has it."""

    async def send(day):
        headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
        body = order(
            new_id().hex,
            point=land.point_in(land.grids[0]),
            appointment_from=f"{day}T10:00:00+08:00",
            appointment_until=f"{day}T12:00:00+08:00",
        )
        answer = await http.post("/v1/work-orders", json=body, headers=headers)
        assert answer.json()["state"] == "assigned", answer.text
        return [str(one.id) for one in land.people].index(answer.json()["holder_id"])

    return send


async def test_orders_go_to_the_first_backup_able_while_the_primary_is_away(
    tx, land, on_leave, placed
):
    assert await placed("2026-03-02") == 0
    before = await _memberships(tx)
    await on_leave("2026-03-02T09:30:00", "2026-03-04T00:00:00")
    assert await placed("2026-03-02") == 1  # Monday: the first backup
    assert await placed("2026-03-03") == 2  # Tuesday: not theirs, so the second
    assert await placed("2026-03-04") == 0  # the leave is over
    assert await _memberships(tx) == before


async def test_a_leave_of_half_a_day_leaves_the_other_half(land, on_leave, placed):
    await on_leave("2026-03-02T13:00:00", "2026-03-02T18:00:00")
    assert await placed("2026-03-02") == 0  # at ten they are there


async def test_a_leave_that_is_taken_back_covers_nothing(http, supervisor, land, on_leave, placed):
    leave_id = await on_leave("2026-03-02T09:30:00", "2026-03-04T00:00:00")
    assert await placed("2026-03-02") == 1
    await http.delete(f"/v1/technicians/{land.people[0].id}/leave/{leave_id}", headers=supervisor)
    assert await placed("2026-03-02") == 0


async def test_as_time_passes_the_primary_comes_first_again(app, http, land, on_leave, clock):
    """Without an appointment, too: what comes during the leave is covered, what comes after not."""
    await on_leave("2026-03-02T08:00:00", "2026-03-03T18:00:00")

    async def sent(name):
        headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
        body = order(name, point=land.point_in(land.grids[0]))
        answer = await http.post("/v1/work-orders", json=body, headers=headers)
        return answer.json()["holder_id"], answer.json()["planned_day"]

    primary, first, second = [str(one.id) for one in land.people]
    assert await sent("F-1") == (first, "2026-03-02")
    clock.set(datetime(2026, 3, 3, 9, tzinfo=SHANGHAI))
    assert await sent("F-2") == (second, "2026-03-03")
    clock.set(datetime(2026, 3, 4, 9, tzinfo=SHANGHAI))
    assert await sent("F-3") == (primary, "2026-03-04")


async def _memberships(tx):
    rows = select(func.count(), func.max(GridMembership.valid_to)).select_from(GridMembership)
    return (await tx.execute(rows)).one()
