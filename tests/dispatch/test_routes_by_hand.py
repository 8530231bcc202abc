"""A supervisor puts a technician's day into an order: as it was seen, and as it can be done."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.dispatch.models import BulkMove
from app.workorders.rules import State, Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.dispatch import make_territory
from tests.make.workorders import make_work_order

TODAY = date(2026, 3, 2)


@pytest.fixture
async def land(tx):
    territory = await make_territory(tx)
    await territory.add_technician(territory.grids[0])
    return territory


@pytest.fixture
async def supervisor(tx, land):
    account = await make_account(tx, land.org_unit, role=Role.SUPERVISOR)
    return caller_for(Role.SUPERVISOR, land.org_unit, account_id=account.id)


@pytest.fixture
def make(tx, land, clock):
    async def order(east=0.5, **fields):
        row = await make_work_order(
            tx,
            now=clock.now(),
            org_unit=land.org_unit,
            state=State.LOCATED,
            grid_id=land.grids[0].id,
            point=(112.0 + 0.01 * east, 28.005),
            **fields,
        )
        return await take_step(
            tx, row, Step.ASSIGN, now=clock.now(), holder_id=land.people[0].id, planned_day=TODAY
        )

    return order


@pytest.fixture
def ask(app, http, land, supervisor):
    async def send(method, *, day=TODAY, caller=None, **body):
        return await http.request(
            method,
            f"/v1/technicians/{land.people[0].id}/route?day={day}",
            headers=bearer(app, caller or supervisor),
            **({"json": {"reason": "roadworks", **body}} if method == "PUT" else {}),
        )

    return send


def ids(rows):
    return [str(row.id) for row in rows]


def shown(answer):
    assert answer.status_code == 200, answer.text
    return [stop["order_id"] for stop in answer.json()["stops"]]


async def test_a_day_is_put_into_an_order_and_followed(tx, supervisor, land, make, ask):
    rows = [await make(east) for east in (0.1, 0.5, 0.9)]
    day = (await ask("GET")).json()
    assert (day["written"], len(day["stops"])) == (False, 3)
    wanted = [rows[2], rows[0], rows[1]]
    answer = await ask("PUT", order_ids=ids(wanted), seen=day["seen"])
    assert shown(answer) == ids(wanted)
    begins = [stop["begin_at"] for stop in answer.json()["stops"]]
    assert begins == sorted(begins)
    assert shown(await ask("GET")) == ids(wanted)
    assert (await ask("GET")).json() == answer.json()
    kept = await tx.scalar(select(BulkMove))
    assert (kept.kind, kept.reason, kept.account_id) == (
        "reorder",
        "roadworks",
        supervisor.account_id,
    )
    assert kept.after[0]["route"] == ids(wanted)


async def test_what_has_changed_since_it_was_seen_is_told(make, ask):
    rows = [await make(), await make()]
    seen = (await ask("GET")).json()["seen"]
    more = await make()
    told = await ask("PUT", order_ids=ids(rows), seen=seen)
    assert (told.status_code, set(told.json()["facts"]["order_ids"])) == (
        409,
        set(ids([*rows, more])),
    )
    seen = told.json()["facts"]["seen"]
    for wrong in ([*rows], [*rows, more, more], []):
        assert (await ask("PUT", order_ids=ids(wrong), seen=seen)).status_code == 409
    assert (await ask("PUT", order_ids=ids([more, *rows]), seen=seen)).status_code == 200


async def test_what_is_under_way_stays_first(tx, make, ask, clock):
    rows = [await make() for _ in range(3)]
    for step in (Step.ACKNOWLEDGE, Step.TRAVEL):
        await take_step(tx, rows[1], step, now=clock.now())
    seen = (await ask("GET")).json()["seen"]
    assert shown(await ask("PUT", order_ids=ids(reversed(rows)), seen=seen)) == ids(
        [rows[1], rows[2], rows[0]]
    )


async def test_an_order_that_breaks_an_appointment_needs_insisting(make, ask, clock):
    soon = await make(
        appointment_from=clock.now(), appointment_until=clock.now() + timedelta(minutes=40)
    )
    other = await make()
    seen = (await ask("GET")).json()["seen"]
    wanted = {"order_ids": ids([other, soon]), "seen": seen}
    refused = await ask("PUT", **wanted)
    assert refused.status_code == 409
    [broken] = refused.json()["facts"]["rules"]
    assert (broken["rule"], broken["order_id"]) == ("window", str(soon.id))
    answer = await ask("PUT", **wanted, override=True)
    assert shown(answer) == ids([other, soon])
    assert [one["rule"] for one in answer.json()["broken"]] == ["window"]
    # What is broken already stands in nobody's way.
    seen = answer.json()["seen"]
    assert (await ask("PUT", order_ids=ids([other, soon]), seen=seen)).status_code == 200


async def test_others_days_are_not_there_nor_days_gone_by(tx, make, ask):
    await make()
    stranger = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    assert (await ask("GET", caller=stranger)).status_code == 404
    wanted = {"order_ids": [str(new_id())], "seen": "x"}
    assert (await ask("PUT", **wanted, caller=stranger)).status_code == 404
    past = await ask("PUT", **wanted, day=TODAY - timedelta(days=1))
    assert past.json()["type"].endswith("day-out-of-range")
