"""Supervisors decide by hand: within their area, with a reason, and never over each other."""

from datetime import UTC, date, datetime, time
from typing import Any

import pytest

from app.auth.rules import Role
from app.core.db import new_id
from app.technicians import availability
from app.technicians.availability import NOTHING, Promised
from app.technicians.models import Leave, TechnicianDay, TechnicianLoan
from app.technicians.rules import LeaveCause
from app.workorders import queries
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.dispatch import Territory, make_territory, order
from tests.make.workorders import make_work_order

TODAY, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture
async def land(tx) -> Territory:
    """One grid with a primary."""
    territory = await make_territory(tx)
    await territory.add_technician(territory.grids[0])
    return territory


@pytest.fixture
async def supervisor(tx, land):
    """A supervisor of the branch."""
    account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
    return caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id)


@pytest.fixture
def assign(app, http, supervisor):
    async def post(row, technician, *, caller=None, **fields):
        body = {
            "technician_id": str(technician if not hasattr(technician, "id") else technician.id),
            "day": "2026-03-02",
            "reason": "knows the customer",
            "version": row.version,
            **fields,
        }
        headers = bearer(app, caller or supervisor)
        return await http.post(f"/v1/work-orders/{row.id}/assign", json=body, headers=headers)

    return post


@pytest.fixture
async def row(tx, land, app, http) -> WorkOrder:
    """An order that the grid's primary has."""
    answer = await http.post(
        "/v1/work-orders",
        json=order(point=land.point_in(land.grids[0])),
        headers=bearer(app, caller_for(Role.INTEGRATION, land.org_unit)),
    )
    return await queries.for_change(tx, answer.json()["id"])


async def test_an_order_is_given_to_somebody_else(tx, land, row, assign, supervisor, app, http):
    first = row.holder_id
    other = await land.add_technician(None)
    answer = await assign(row, other)
    assert answer.status_code == 200
    assert answer.json()["holder_id"] == str(other.id)
    assert answer.json()["version"] == row.version + 1
    assert await availability.promised(tx, first, TODAY) == NOTHING
    assert await availability.promised(tx, other.id, TODAY) == Promised(60, 1)

    [*_, last] = await queries.history(tx, row.id)
    assert (last.step, last.reason, last.account_id) == (
        "assign",
        "knows the customer",
        supervisor.account_id,
    )
    decision = (
        await http.get(f"/v1/work-orders/{row.id}/decision", headers=bearer(app, supervisor))
    ).json()
    assert (decision["reason"], decision["note"]) == ("by_hand", "knows the customer")
    assert decision["account_id"] == str(supervisor.account_id)
    assert decision["candidates"][0]["kind"] == "other"


async def test_to_another_day_of_the_same_technician(tx, land, row, assign):
    technician_id = row.holder_id
    answer = await assign(row, technician_id, day="2026-03-03")
    assert answer.json()["planned_day"] == "2026-03-03"
    assert await availability.promised(tx, technician_id, TODAY) == NOTHING
    assert await availability.promised(tx, technician_id, TOMORROW) == Promised(60, 1)


async def test_an_order_counts_once_against_its_own_holders_day(tx, land, assign, clock):
    technician = await land.add_technician(None, daily_minutes=75)  # exactly one such order
    row = await make_work_order(tx, now=clock.now(), org_unit=land.org_unit, state=State.LOCATED)
    assert (await assign(row, technician)).status_code == 200
    await tx.refresh(row)
    assert (await assign(row, technician)).status_code == 200
    assert await availability.promised(tx, technician.id, TODAY) == Promised(60, 1)


@pytest.mark.parametrize("state", [State.RECEIVED, State.LOCATED, State.UNPLACED])
async def test_orders_that_wait_can_be_given_too(tx, land, assign, clock, state):
    technician = await land.add_technician(None)
    reason = "no_point" if state is State.UNPLACED else None
    row = await make_work_order(
        tx, now=clock.now(), org_unit=land.org_unit, state=state, unplaced_reason=reason
    )
    answer = await assign(row, technician)
    assert (answer.status_code, answer.json()["state"]) == (200, "assigned")
    assert answer.json()["unplaced_reason"] is None


async def test_of_two_who_decide_at_once_one_is_told(tx, land, row, assign):
    one, other = await land.add_technician(None), await land.add_technician(None)
    seen = row.version
    assert (await assign(row, one, version=seen)).status_code == 200
    refused = await assign(row, other, version=seen)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:yingwei:problem:order-changed-meanwhile"
    assert refused.json()["facts"] == {
        "state": "assigned",
        "version": seen + 1,
        "holder_id": str(one.id),
    }


# --- whom rules keep from it, unless the supervisor insists ---------------------------------------


async def inactive(land):
    return await land.add_technician(None, active=False)


async def no_skill(land):
    return await land.add_technician(None)


async def not_on_shift(land):
    return await land.add_technician(None, skills={"fibre": 1}, starts_at=time(6), ends_at=time(9))


async def on_leave(land):
    technician = await land.add_technician(None, skills={"fibre": 1})
    land.tx.add(
        Leave(
            technician_id=technician.id,
            starts_at=datetime(2026, 3, 1, tzinfo=UTC),
            ends_at=datetime(2026, 4, 1, tzinfo=UTC),
            cause=LeaveCause.ILLNESS,
        )
    )
    await land.tx.flush()
    return technician


async def no_minutes_left(land):
    return await land.add_technician(None, skills={"fibre": 1}, daily_minutes=74)


async def window_unreachable(land):
    return await land.add_technician(None, skills={"fibre": 1}, starts_at=time(8), ends_at=time(10))


async def window_taken(land):
    """Somebody who has long work to begin at two, and then no way to begin another by four."""
    technician = await land.add_technician(None, skills={"fibre": 1})
    other = await make_work_order(
        land.tx,
        now=datetime(2026, 3, 2, 1, tzinfo=UTC),
        org_unit=land.org_unit,
        estimated_minutes=150,
        appointment_from=datetime(2026, 3, 2, 6, tzinfo=UTC),
        appointment_until=datetime(2026, 3, 2, 6, 10, tzinfo=UTC),
    )
    assigned = {"holder_id": technician.id, "planned_day": date(2026, 3, 2)}
    await take_step(
        land.tx, other, Step.ASSIGN, now=datetime(2026, 3, 2, 1, tzinfo=UTC), **assigned
    )
    return technician


async def no_stock(land):
    return await land.add_technician(None, skills={"fibre": 1})


@pytest.mark.parametrize(
    "arranged",
    [
        inactive,
        no_skill,
        not_on_shift,
        on_leave,
        no_stock,
        no_minutes_left,
        window_unreachable,
        window_taken,
    ],
    ids=lambda arranged: arranged.__name__,
)
async def test_a_rule_is_named_and_can_be_overridden(tx, land, assign, clock, arranged):
    technician = await arranged(land)
    window: dict[str, Any] = {
        "appointment_from": datetime(2026, 3, 2, 6, tzinfo=UTC),
        "appointment_until": datetime(2026, 3, 2, 8, tzinfo=UTC),
    }  # 14:00 to 16:00 in Shanghai
    row = await make_work_order(
        tx,
        now=clock.now(),
        org_unit=land.org_unit,
        skills=["fibre"],
        terminals=["camera"] if arranged is no_stock else [],
        **(window if arranged in (window_unreachable, window_taken) else {}),
    )
    refused = await assign(row, technician)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:yingwei:problem:technician-cannot-take"
    assert refused.json()["facts"]["why"] == arranged.__name__
    insisted = await assign(row, technician, override=True)
    if arranged is inactive:
        assert insisted.status_code == 409
    else:
        assert insisted.status_code == 200
        has = Promised(210, 2) if arranged is window_taken else Promised(60, 1)
        assert await availability.promised(tx, technician.id, TODAY) == has


# --- refused --------------------------------------------------------------------------------------


async def test_others_orders_and_technicians_are_not_found(tx, land, row, assign):
    unit = await make_org_unit(tx)
    stranger = caller_for(Role.SUPERVISOR, unit)
    assert (await assign(row, row.holder_id, caller=stranger)).status_code == 404
    elsewhere = await land.add_technician(None, org_unit=unit)
    for technician in (elsewhere.id, new_id()):
        refused = await assign(row, technician)
        assert refused.status_code == 422
        assert refused.json()["type"] == "urn:yingwei:problem:unknown-technician"


@pytest.mark.parametrize("day", ["2026-03-01", "2026-06-01"])
async def test_a_day_gone_by_or_too_far_off(row, assign, day):
    refused = await assign(row, row.holder_id, day=day)
    assert refused.status_code == 422
    assert refused.json()["facts"]["first"] == "2026-03-02"
    assert refused.json()["facts"]["last"] == "2026-05-01"


@pytest.mark.parametrize("state", [State.EN_ROUTE, State.ON_SITE, State.COMPLETED, State.CANCELLED])
async def test_an_order_that_has_begun_or_is_over_stays_where_it_is(tx, land, row, assign, state):
    row.state = state
    await tx.flush()
    other = await land.add_technician(None)
    refused = await assign(row, other)
    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:yingwei:problem:step-refused"
    assert refused.json()["facts"]["state"] == state.value


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.INTEGRATION])
async def test_only_supervisors_give_orders(land, row, assign, role):
    caller = caller_for(role, land.org_unit)
    assert (await assign(row, row.holder_id, caller=caller)).status_code == 403


async def test_what_is_given_has_its_place_on_the_way_where_it_costs_least(
    tx, land, row, assign, clock
):
    person = await land.add_technician(None)
    west, east = [
        await make_work_order(
            tx,
            now=clock.now(),
            org_unit=land.org_unit,
            state=State.LOCATED,
            grid_id=land.grids[0].id,
            point=(lon, 28.005),
        )
        for lon in (112.0, 112.08)
    ]
    for given in (west, east):
        await take_step(
            tx, given, Step.ASSIGN, now=clock.now(), holder_id=person.id, planned_day=TODAY
        )
    await availability.write_routes(tx, {(person.id, TODAY): [west.id, east.id]})
    assert (await assign(row, person)).status_code == 200
    day = await tx.get(TechnicianDay, (person.id, TODAY), populate_existing=True)
    assert day is not None
    assert day.route == [west.id, row.id, east.id]


async def test_somebody_borrowed_is_given_orders_and_somebody_lent_is_not(
    tx, land, row, assign, clock
):
    elsewhere = await make_org_unit(tx)
    borrowed = await land.add_technician(None, org_unit=elsewhere)
    lent = await land.add_technician(None)
    given = {"reason": "x", "asked_at": clock.now(), "agreed_at": clock.now()}
    given |= {"valid_from": TODAY, "valid_to": TOMORROW}
    tx.add(TechnicianLoan(technician_id=borrowed.id, org_unit_id=land.org_unit.id, **given))
    tx.add(TechnicianLoan(technician_id=lent.id, org_unit_id=elsewhere.id, **given))
    await tx.flush()
    assert (await assign(row, lent)).json()["facts"]["why"] == "lent_out"
    assert (await assign(row, borrowed)).status_code == 200
    await tx.refresh(row)
    assert (await assign(row, borrowed, day="2026-03-03")).status_code == 422
