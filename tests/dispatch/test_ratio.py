"""A membership may give a grid a part of somebody's day: its orders never take more."""

import asyncio
from datetime import date

import pytest
from sqlalchemy import text

from app.auth.rules import Role
from app.dispatch.queries import placing as dispatch
from app.grids.rules import MembershipKind
from app.technicians import availability
from app.technicians.availability import Promised
from app.workorders import queries
from app.workorders.rules import Step
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_account
from tests.make.counting import counted
from tests.make.dispatch import Territory, make_territory, ndjson, order
from tests.make.races import until_waiting

TODAY = date(2026, 3, 2)


@pytest.fixture
async def land(tx) -> Territory:
    """Two grids, a primary of each; the second's is lent to the first for 32 % of 480 minutes.

    That is 153 minutes: two orders of an hour and a quarter, the way included.
    """
    return await make_shared(tx)


async def make_shared(tx) -> Territory:
    territory = await make_territory(tx, grids=2)
    here, there = territory.grids
    await territory.add_technician(here)
    lent = await territory.add_technician(there, home=here)
    await territory.give(here, lent, MembershipKind.LOAN, valid_to=date(2026, 4, 1), ratio=32)
    return territory


@pytest.fixture
def post(app, http, land):
    """Post orders as the upstream system."""

    async def send(body, path=""):
        headers = bearer(app, caller_for(Role.INTEGRATION, land.org_unit))
        sent = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await http.post(f"/v1/work-orders{path}", headers=headers, **sent)

    return send


@pytest.fixture
def orders(land):
    """Make orders of an hour in the first grid, or another."""

    def make(number, grid=None, first=0):
        point = land.point_in(grid or land.grids[0])
        return [order(f"F-{first + n}", point=point) for n in range(number)]

    return make


async def test_a_loan_takes_its_share_of_the_day_and_the_primary_the_rest(
    app, http, land, post, orders
):
    primary, lent = land.people
    placed = [(await post(body)).json() for body in orders(4)]
    assert [(one["holder_id"], one["planned_day"]) for one in placed] == [
        (str(lent.id), "2026-03-02"),
        (str(lent.id), "2026-03-02"),
        (str(primary.id), "2026-03-02"),
        (str(primary.id), "2026-03-02"),
    ]
    answer = await http.get(
        f"/v1/work-orders/{placed[2]['id']}/decision",
        headers=bearer(app, caller_for(Role.SUPERVISOR, land.org_unit)),
    )
    passed_over, chosen = answer.json()["candidates"]
    assert passed_over["technician_id"] == str(lent.id)
    assert passed_over["passed_over"] == "ratio_used_up"
    assert passed_over["passed_over_words"] == {
        "zh": "给本网格的工时份额已用完",
        "en": "the share of the day for this grid is used up",
    }
    assert chosen["passed_over"] is None


async def test_the_home_grid_may_use_the_whole_day(land, post, orders):
    lent = land.people[1]
    placed = [(await post(body)).json() for body in orders(6, land.grids[1])]
    assert {one["holder_id"] for one in placed} == {str(lent.id)}
    assert {one["planned_day"] for one in placed} == {"2026-03-02"}


async def test_the_orders_of_one_file_count_against_the_share(tx, land, post, orders):
    answer = await post(ndjson(*orders(5)), "/bulk")
    assert answer.content.count(b'"verdict":"placed"') == 5
    assert await availability.promised(tx, land.people[1].id, TODAY) == Promised(120, 2)


async def test_what_is_done_counts_as_well_and_what_is_given_back_does_not(
    tx, land, post, orders, clock
):
    primary, lent = land.people
    first, second = [(await post(body)).json() for body in orders(2)]
    row = await queries.for_change(tx, first["id"])
    for step in (Step.ACKNOWLEDGE, Step.TRAVEL, Step.CHECK_IN, Step.COMPLETE):
        await take_step(tx, row, step, now=clock.now())
    [third] = [(await post(body)).json() for body in orders(1, first=2)]
    assert third["holder_id"] == str(primary.id)  # the day has room again, the share has not
    row = await queries.for_change(tx, second["id"])
    await take_step(tx, row, Step.ASSIGN, now=clock.now(), holder_id=primary.id, planned_day=TODAY)
    [fourth] = [(await post(body)).json() for body in orders(1, first=3)]
    assert fourth["holder_id"] == str(lent.id)


async def test_an_order_given_by_hand_goes_beyond_the_share(app, http, land, post, orders):
    """A supervisor's hand is not bound by who belongs to a grid; what they give counts, though."""
    lent = land.people[1]
    placed = [(await post(body)).json() for body in orders(3)]
    answer = await http.post(
        f"/v1/work-orders/{placed[2]['id']}/assign",
        json={
            "technician_id": str(lent.id),
            "day": "2026-03-02",
            "reason": "knows the house",
            "version": placed[2]["version"],
        },
        headers=bearer(app, caller_for(Role.SUPERVISOR, land.org_unit)),
    )
    assert (answer.status_code, answer.json()["holder_id"]) == (200, str(lent.id))


async def test_shares_cost_two_statements_and_nothing_where_there_are_none(
    database, land, post, orders
):
    there = land.grids[1]
    await post(*orders(1, first=9))  # parameters, org units and promises are read
    with counted(database) as whole:
        await post(ndjson(*orders(1, there, first=10)), "/bulk")
    with counted(database) as shared:
        await post(ndjson(*orders(1, first=20)), "/bulk")
    with counted(database) as many:
        await post(ndjson(*orders(30, first=30)), "/bulk")
    about_shares = [sum("given.grid_id" in one for one in sent) for sent in (whole, shared)]
    assert about_shares == [0, 2]  # once to choose, once more under the locks
    assert len(many) <= len(shared) + 4  # once they are full, the rest of the org unit is read


# --- two at once ----------------------------------------------------------------------------------


async def test_two_at_once_do_not_take_more_than_the_share(real_app, real_http, real_database):
    """Both have found the share free; the day's lock lets one of them look again."""
    async with real_database.begin() as tx:
        land = await make_shared(tx)
        account = await make_account(tx, land.org_unit, role=Role.INTEGRATION)
    primary, lent = land.people
    caller = caller_for(Role.INTEGRATION, land.org_unit, account_id=account.id)
    headers = bearer(real_app, caller)

    async def send(body):
        return await real_http.post("/v1/work-orders", json=body, headers=headers)

    point = land.point_in(land.grids[0])
    first = (await send(order("F-0", point=point))).json()
    assert first["holder_id"] == str(lent.id)
    async with real_database.begin() as holding:
        await availability.lock(holding, [(lent.id, TODAY)])
        sent = asyncio.gather(*(send(order(f"F-{n}", point=point)) for n in (1, 2)))
        await until_waiting(real_database, number=2)
    placed = [answer.json() for answer in await sent]
    assert {one["holder_id"] for one in placed} == {str(primary.id), str(lent.id)}
    async with real_database.read() as read:
        assert await availability.promised(read, lent.id, TODAY) == Promised(120, 2)
        assert await availability.promised(read, primary.id, TODAY) == Promised(60, 1)


@pytest.mark.unused_database
async def test_a_share_is_found_by_indexes_however_long_the_history_is(tx, land):
    """Years of closed orders beside the few that somebody still has to do."""
    await tx.execute(
        text(
            "INSERT INTO work_order (id, org_unit_id, source, external_id, content_hash, work_type,"
            " state, address, summary, estimated_minutes, reported_at, received_at, grid_id,"
            " holder_id, planned_day) SELECT gen_random_uuid(), :unit, 'x', n, '', 'repair',"
            " 'archived', '', '', 60, now(), now(), :grid, :holder, DATE '2026-03-02' - n"
            " FROM generate_series(1, 20000) AS n"
        ),
        {
            "unit": land.org_unit.id,
            "grid": land.grids[0].id,
            "holder": land.people[1].id,
        },
    )
    await tx.execute(text("ANALYZE work_order"))
    asked = {
        "technician_ids": [land.people[1].id],
        "grid_ids": [land.grids[0].id],
        "first_day": date(2026, 3, 1),
    }
    explain = text(f"EXPLAIN {dispatch._HELD_FOR_GRIDS.text}")
    plan = "\n".join(row[0] for row in await tx.execute(explain, asked))
    assert "ix_work_order_held" in plan and "ix_work_order_day" in plan, plan
    assert "Seq Scan on work_order" not in plan, plan
