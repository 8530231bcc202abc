"""Loans between branches: asked for, agreed to, declined, ended; never two at one time."""

import asyncio
from datetime import UTC, date, datetime, timedelta

import pytest
from geoalchemy2 import WKTElement

from app.auth.rules import Role
from app.core.db import new_id
from app.technicians import availability, loans
from app.technicians.availability import Promised
from app.technicians.lending import LentAlready
from app.technicians.models import Leave
from app.technicians.rules import LeaveCause
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.dispatch import Territory
from tests.make.technicians import make_technician
from tests.make.workorders import make_work_order

TODAY, TOMORROW = date(2026, 3, 2), date(2026, 3, 3)


async def two_branches(tx):
    """A district with a branch that lends and one, with a grid, that borrows."""
    unit = await make_org_unit(tx)
    for _ in range(2):
        unit = await make_org_unit(tx, parent=unit)
    lending, borrowing = [await make_org_unit(tx, parent=unit) for _ in range(2)]
    territory = Territory(tx, borrowing)
    await territory.add_grid()
    return unit, lending, borrowing


@pytest.fixture
async def branches(tx):
    return await two_branches(tx)


@pytest.fixture
def ask(app, http):
    """Ask something as a supervisor of a unit."""

    async def send(unit, path="", method="POST", **body):
        headers = bearer(app, caller_for(Role.SUPERVISOR, unit))
        return await http.request(
            method, f"/v1/loans{path}", headers=headers, **({"json": body} if body else {})
        )

    return send


def loan(technician, unit, *, first=TODAY, days=2, **fields):
    return {
        "id": str(new_id()),
        "technician_id": str(technician.id),
        "org_unit_id": str(unit.id),
        "valid_from": str(first),
        "valid_to": str(first + timedelta(days=days)),
        "reason": "many installs",
        **fields,
    }


def home(east):
    """So many squares east of the borrowing branch's grid, whose middle is at 112.005."""
    return WKTElement(f"POINT({112.005 + 0.01 * east} 28.005)", srid=4326)


async def test_whom_to_borrow_the_most_useful_first(tx, branches, ask):
    """Time that is free, less the way from home and back; whoever is away is not offered."""
    _, lending, borrowing = branches

    async def neighbour(code, **fields):
        given = {"org_unit": lending, "code": code, "home_point": home(1), **fields}
        return await make_technician(tx, **given)

    near, busy = await neighbour("NEAR", skills={"fibre": 3}), await neighbour("BUSY")
    await neighbour("FAR", home_point=home(10))
    await neighbour("HOMELESS", home_point=None)
    await neighbour("GONE", active=False)
    away = await neighbour("AWAY")
    now = datetime(2026, 3, 1, 16, tzinfo=UTC)
    leave = {"starts_at": now, "ends_at": now + timedelta(days=1), "cause": LeaveCause.ILLNESS}
    tx.add(Leave(technician_id=away.id, **leave))
    await availability.change(tx, {(busy.id, TODAY): Promised(300, 4)})
    lent = await neighbour("LENT")
    assert (await ask(lending, **loan(lent, borrowing))).json()["state"] == "agreed"
    await make_technician(tx, org_unit=borrowing, code="OWN")
    await make_technician(tx, code="ELSEWHERE")
    await tx.flush()
    path = f"/candidates?org_unit_id={borrowing.id}&day={TODAY}"
    found = (await ask(borrowing, path, "GET")).json()["candidates"]
    assert [one["code"] for one in found] == ["NEAR", "HOMELESS", "FAR", "BUSY"]
    first = found[0]
    assert (first["technician_id"], first["free_minutes"]) == (str(near.id), 480)
    assert first["skills"] == [{"skill": "fibre", "level": 3}]
    assert 970 < first["distance_m"] < 990
    assert first["usable_minutes"] == int(480 - first["way_seconds"] / 30)
    assert (found[1]["distance_m"], found[3]["free_minutes"]) == (None, 480 - 300 - 4 * 15)
    skilled = (await ask(borrowing, f"{path}&skill=fibre", "GET")).json()["candidates"]
    assert [one["code"] for one in skilled] == ["NEAR"]
    assert (await ask(lending, path, "GET")).status_code == 404


async def test_lending_ones_own_is_agreed_at_once_and_tells_what_stays(tx, branches, ask, clock):
    _, lending, borrowing = branches
    helper = await make_technician(tx, org_unit=lending)
    for day in (TODAY, TOMORROW, TODAY + timedelta(days=2)):
        row = await make_work_order(
            tx, now=clock.now(), org_unit=lending, state=State.LOCATED, external_id=f"F-{day}"
        )
        await take_step(tx, row, Step.ASSIGN, now=clock.now(), holder_id=helper.id, planned_day=day)
    wanted = loan(helper, borrowing)
    made = await ask(lending, **wanted)
    assert (made.status_code, made.json()["state"]) == (201, "agreed")
    held = [one["external_id"] for one in made.json()["held"]]
    assert held == [f"F-{TODAY}", f"F-{TOMORROW}"]
    again = await ask(lending, **wanted)
    assert (again.status_code, again.json()) == (200, made.json())
    other = await ask(lending, **{**wanted, "reason": "another"})
    assert other.json()["type"].endswith("same-id-other-content")


async def test_asking_another_branch_waits_for_its_answer(tx, branches, ask):
    _, lending, borrowing = branches
    helper = await make_technician(tx, org_unit=lending)
    asked = (await ask(borrowing, **loan(helper, borrowing))).json()
    assert (asked["state"], asked["may_agree"], asked["held"]) == ("asked", False, [])
    [waiting] = (await ask(lending, "?state=asked", "GET")).json()["loans"]
    assert (waiting["id"], waiting["may_agree"]) == (asked["id"], True)
    assert (await ask(borrowing, f"/{asked['id']}/agree")).status_code == 403
    for _ in range(2):
        agreed = await ask(lending, f"/{asked['id']}/agree")
        assert (agreed.status_code, agreed.json()["state"]) == (200, "agreed")
    late = await ask(lending, f"/{asked['id']}/decline")
    assert late.json()["type"].endswith("loan-over")
    for _ in range(2):
        assert (await ask(borrowing, f"/{asked['id']}/end")).json()["state"] == "ended"
    second = (await ask(borrowing, **loan(helper, borrowing))).json()
    assert (await ask(lending, f"/{second['id']}/decline")).json()["state"] == "declined"
    assert (await ask(lending, f"/{second['id']}/agree")).json()["facts"] == {"state": "declined"}
    days = f"?day={TODAY}&size=1"
    page = (await ask(borrowing, days, "GET")).json()
    rest = (await ask(borrowing, f"{days}&page_token={page['next_page_token']}", "GET")).json()
    assert {one["id"] for one in (*page["loans"], *rest["loans"])} == {asked["id"], second["id"]}
    outside = await make_org_unit(tx)
    assert (await ask(outside, "", "GET")).json()["loans"] == []
    assert (await ask(outside, f"/{asked['id']}/end")).status_code == 404


async def test_what_is_refused(tx, branches, ask):
    district, lending, borrowing = branches
    helper = await make_technician(tx, org_unit=lending)
    gone = await make_technician(tx, org_unit=lending, active=False)
    stranger = await make_technician(tx)
    elsewhere = await make_org_unit(tx)

    async def refused(unit, wanted):
        answer = await ask(unit, **wanted)
        if answer.status_code != 422:
            return answer.status_code
        return [error["field"] for error in answer.json()["facts"]["errors"]]

    assert await refused(borrowing, loan(stranger, borrowing)) == 404  # of another district
    assert await refused(lending, loan(helper, elsewhere)) == 404
    assert await refused(elsewhere, loan(helper, borrowing)) == 404
    assert await refused(district, loan(helper, lending)) == ["org_unit_id"]
    assert await refused(district, loan(gone, borrowing)) == ["technician_id"]
    none = loan(helper, borrowing, first=TOMORROW, days=0)
    assert await refused(district, none) == ["valid_to"]
    assert await refused(district, loan(helper, borrowing, days=32)) == ["valid_to"]
    past = loan(helper, borrowing, first=TODAY - timedelta(days=3), days=3)
    assert await refused(district, past) == ["valid_to"]
    assert (await ask(lending, **loan(helper, borrowing))).status_code == 201
    twice = await ask(district, **loan(helper, borrowing, first=TOMORROW))
    assert (twice.status_code, twice.json()["facts"]["valid_from"]) == (409, str(TODAY))
    assert twice.json()["facts"]["org_unit_code"] == borrowing.code


async def test_of_two_loans_at_once_one_is_told(real_database, clock):
    async with real_database.begin() as tx:
        district, lending, borrowing = await two_branches(tx)
        helper = await make_technician(tx, org_unit=lending)
        account = await make_account(tx, district, role=Role.SUPERVISOR)
    caller = caller_for(Role.SUPERVISOR, district, account_id=account.id)

    async def lend(first):
        async with real_database.begin() as tx:
            await loans.ask(
                tx,
                caller,
                loan_id=new_id(),
                technician_id=helper.id,
                org_unit_id=borrowing.id,
                valid_from=first,
                valid_to=first + timedelta(days=2),
                reason="many installs",
                now=clock.now(),
            )

    came = await asyncio.gather(lend(TODAY), lend(TOMORROW), return_exceptions=True)
    [told] = [one for one in came if one is not None]
    assert isinstance(told, LentAlready)
    assert told.facts["org_unit_code"] == borrowing.code
