"""Pins: what a person gave to somebody stays there until a person or the order's end says so."""

from datetime import date

import pytest

from app.auth.rules import Role
from app.dispatch import queries as dispatch
from app.dispatch.service import pins
from app.grids.rules import MembershipKind
from app.workorders import queries
from app.workorders.models import WorkOrder
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.dispatch import make_territory
from tests.make.workorders import make_work_order

TODAY, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)


@pytest.fixture
async def land(tx):
    territory = await make_territory(tx)
    await territory.add_technician(territory.grids[0])
    await territory.add_technician(territory.grids[0], MembershipKind.BACKUP)
    return territory


@pytest.fixture
async def supervisor(tx, land):
    account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
    return caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id)


@pytest.fixture
def ask(app, http, supervisor):
    async def send(method, row, what, caller=None, **body):
        return await http.request(
            method,
            f"/v1/work-orders/{row.id}/{what}",
            headers=bearer(app, caller or supervisor),
            **({"json": body} if body else {}),
        )

    return send


@pytest.fixture
async def row(tx, land, clock) -> WorkOrder:
    """An order that the first technician holds today."""
    order = await make_work_order(
        tx,
        now=clock.now(),
        org_unit=land.org_unit,
        state=State.LOCATED,
        grid_id=land.grids[0].id,
        point=(112.005, 28.005),
    )
    return await take_step(
        tx, order, Step.ASSIGN, now=clock.now(), holder_id=land.people[0].id, planned_day=TODAY
    )


async def assigned(ask, row, technician, **fields):
    given = {"day": "2026-03-02", "reason": "knows the house", "version": row.version, **fields}
    answer = await ask("POST", row, "assign", technician_id=str(technician.id), **given)
    assert answer.status_code == 200, answer.text


async def test_giving_by_hand_pins_unless_told_otherwise(tx, land, ask, row):
    await assigned(ask, row, land.people[1])
    read = (await ask("GET", row, "decision")).json()
    assert (read["reason"], read["pin"]["reason"]) == ("by_hand", "knows the house")
    assert read["pin"]["technician_id"] == str(land.people[1].id)
    assert (await queries.history(tx, row.id))[-1].facts["pinned"] is True
    await tx.refresh(row)
    await assigned(ask, row, land.people[1], pin=False)
    assert (await ask("GET", row, "decision")).json()["pin"] is None


async def test_an_order_says_whether_it_is_pinned(http, app, supervisor, ask, row):
    async def shown():
        headers = bearer(app, supervisor)
        one = (await http.get(f"/v1/work-orders/{row.id}", headers=headers)).json()
        [listed] = (await http.get("/v1/work-orders", headers=headers)).json()["orders"]
        assert one == listed
        return one["pinned"]

    assert await shown() is False
    pinned = await ask("POST", row, "pin", reason="the customer asked for her")
    assert pinned.json()["reason"] == "the customer asked for her"
    assert await shown() is True
    for _ in range(2):  # the second time there is nothing left to release
        assert (await ask("DELETE", row, "pin?reason=she+is+ill")).status_code == 204
    assert await shown() is False


async def test_the_history_says_who_pinned_and_released_and_why(tx, supervisor, ask, row):
    await ask("POST", row, "pin", reason="promised")
    await ask("DELETE", row, "pin?reason=she+is+ill")
    await ask("DELETE", row, "pin")
    *_, first, second = await queries.history(tx, row.id)
    assert (first.step, first.reason, first.account_id) == (
        "pin",
        "promised",
        supervisor.account_id,
    )
    assert (second.step, second.reason, second.from_state) == ("unpin", "she is ill", "assigned")


async def test_only_what_somebody_holds_can_be_pinned(tx, land, ask, clock):
    row = await make_work_order(tx, now=clock.now(), org_unit=land.org_unit, state=State.LOCATED)
    answer = await ask("POST", row, "pin", reason="x")
    assert (answer.status_code, answer.json()["facts"]) == (409, {"state": "located"})


async def test_others_orders_are_not_there(tx, ask, row):
    stranger = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    for method, body in (("POST", {"reason": "x"}), ("DELETE", {})):
        assert (await ask(method, row, "pin", caller=stranger, **body)).status_code == 404


ENDS = {
    "declined": [Step.DECLINE],
    "handed back": [Step.ACKNOWLEDGE, Step.HAND_BACK],
    "completed": [Step.ACKNOWLEDGE, Step.TRAVEL, Step.CHECK_IN, Step.COMPLETE],
    "cancelled": [Step.CANCEL],
}


@pytest.mark.parametrize("steps", ENDS.values(), ids=ENDS)
async def test_a_pin_ends_with_its_order(tx, ask, row, clock, steps):
    await ask("POST", row, "pin", reason="promised")
    *before, last = steps
    for step in before:
        await take_step(tx, row, step, now=clock.now())
    assert await dispatch.pin_of(tx, row.id) is not None
    await take_step(tx, row, last, now=clock.now())
    assert await dispatch.pin_of(tx, row.id) is None


async def test_a_pin_ends_when_the_order_is_given_elsewhere(tx, land, ask, row, clock):
    """To somebody else or to another day; given to the same on the same day, it stays."""
    first, second = land.people
    await ask("POST", row, "pin", reason="promised")
    for holder, day, stays in ((first, TODAY, True), (second, TODAY, False)):
        await take_step(tx, row, Step.ASSIGN, now=clock.now(), holder_id=holder.id, planned_day=day)
        assert (await dispatch.pin_of(tx, row.id) is not None) is stays
    await ask("POST", row, "pin", reason="promised")
    await take_step(
        tx, row, Step.ASSIGN, now=clock.now(), holder_id=second.id, planned_day=TOMORROW
    )
    assert await dispatch.pin_of(tx, row.id) is None


async def test_whoever_outweighs_a_pin_releases_it_and_the_history_says_so(tx, ask, row, clock):
    await ask("POST", row, "pin", reason="promised")
    released = await pins.release(tx, [row.id], reason="on leave", now=clock.now())
    assert released == {row.id}
    assert (await queries.history(tx, row.id))[-1].reason == "on leave"
    assert await pins.release(tx, [row.id], reason="on leave", now=clock.now()) == set()
