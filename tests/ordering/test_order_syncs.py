"""What a supervisor sees of deliveries and can do about them, and what each step costs."""

import pytest
from sqlalchemy import text

from app.auth.rules import Role
from app.core import parameter_values
from app.core.db import new_id
from app.ordering import service
from app.ordering.client.reading import read_event
from app.ordering.delivery import SyncState
from app.ordering.rules import Cause, NotSent, Refused, RemoteState, Unknown
from app.ordering.service import Doing
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.ordering.delivering import make_desk, remote, seconds_between


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
def ask(app, http, desk):
    """Ask as a supervisor of the branch, or as another caller."""

    async def send(method, path="", *, by=None, **query):
        by = by or caller_for(Role.SUPERVISOR, desk.door.branch)
        url = f"/v1/order-syncs{path}"
        return await http.request(method, url, params=query, headers=bearer(app, by))

    return send


@pytest.fixture
async def parked(desk):
    """A sale that the other side has refused."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Refused(Cause.REFUSED, said="no such place"))
    return sale_id


# --- seeing ---------------------------------------------------------------------------------------


async def test_what_waits_for_a_person_says_why(ask, desk, parked):
    await desk.claimed(await desk.sell())
    answer = await ask("GET", state="parked")
    assert answer.status_code == 200
    (row,) = answer.json()["order_syncs"]
    sync = await desk.sync(parked)
    assert row == {
        "id": str(sync.id),
        "sale_id": str(parked),
        "org_unit_id": str(desk.door.branch.id),
        "state": "parked",
        "attempts": 1,
        "next_try_at": None,
        "last_tried_at": row["last_tried_at"],
        "cause": "refused",
        "why": "the ordering system turned the order down",
        "advice": row["advice"],
        "last_error": "refused: no such place",
        "remote_id": None,
        "remote_state": None,
        "stands_since": None,
        "doubles": [],
        "given_up_reason": None,
    }
    assert len((await ask("GET")).json()["order_syncs"]) == 2


async def test_pages_of_deliveries_follow_each_other(ask, desk):
    made = []
    for _ in range(5):
        sale_id = await desk.sell()
        await desk.claimed(sale_id)
        made.append(str(sale_id))
    seen, query = [], {"size": 2}
    for _ in range(3):
        page = (await ask("GET", **query)).json()
        seen += [row["sale_id"] for row in page["order_syncs"]]
        query["page_token"] = page["next_page_token"]
    assert seen == made[::-1]
    assert query["page_token"] is None


@pytest.mark.parametrize(
    ("role", "elsewhere", "status"),
    [
        (Role.SUPERVISOR, False, 200),
        (Role.ADMIN, False, 200),
        (Role.SUPERVISOR, True, 404),
        (Role.ADMIN, True, 404),
        (Role.TECHNICIAN, False, 403),
        (Role.INTEGRATION, False, 403),
    ],
)
async def test_only_who_answers_for_the_branch_takes_a_delivery_up_again(
    ask, desk, tx, parked, role, elsewhere, status
):
    branch = await make_org_unit(tx) if elsewhere else desk.door.branch
    by = caller_for(role, branch, technician_id=desk.door.technician.id)
    sync = await desk.sync(parked)
    assert (await ask("POST", f"/{sync.id}/retry", by=by)).status_code == status
    listed = await ask("GET", by=by)
    if status == 403:
        assert listed.status_code == 403
    else:
        assert len(listed.json()["order_syncs"]) == (0 if elsewhere else 1)
    expected = SyncState.WAITING if status == 200 else SyncState.PARKED
    assert (await desk.sync(parked)).state is expected


# --- taking up again ------------------------------------------------------------------------------


async def test_a_delivery_taken_up_again_is_looked_for_and_has_all_its_tries_again(ask, desk):
    sale_id = await desk.sell()
    for _ in range(12):
        await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
        await desk.make_due(sale_id)
    before = await desk.sync(sale_id)
    assert before.state is SyncState.PARKED
    answer = await ask("POST", f"/{before.id}/retry")
    assert (answer.status_code, answer.json()["state"]) == (200, "waiting")
    # The last request may still be at work over there: nothing happens before it has settled.
    assert await desk.claim(sale_id) is None
    after = await desk.sync(sale_id)
    assert seconds_between(after.last_tried_at, after.next_try_at) == 30
    await desk.make_due(sale_id)
    attempt = await desk.claimed(sale_id)
    assert (attempt.doing, attempt.number) == (Doing.LOOK_THEN_SEND, 13)
    await desk.settle(attempt, Unknown(Cause.TIMED_OUT))
    assert (await desk.sync(sale_id)).state is SyncState.WAITING


@pytest.mark.parametrize("send", [service.wake, service.send_anew])
async def test_what_a_comparison_sends_again_waits_as_long(desk, send):
    """The day may have been compared before the request was sent that may be at work by now."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
    async with desk.database.begin() as tx:
        assert await send(tx, sale_id)
    sync = await desk.sync(sale_id)
    assert sync.state is SyncState.WAITING
    assert seconds_between(sync.last_tried_at, sync.next_try_at) == 30


async def test_a_refused_sale_is_corrected_and_taken_up_again(ask, desk):
    sale_id = await desk.sell()
    async with desk.database.begin() as tx:
        await tx.execute(text("UPDATE customer SET code = ''"))
    await desk.claim(sale_id)
    async with desk.database.begin() as tx:
        await tx.execute(text("UPDATE customer SET code = 'C-17'"))
    await ask("POST", f"/{(await desk.sync(sale_id)).id}/retry")
    attempt = await desk.claimed(sale_id)
    assert attempt.order is not None
    assert (attempt.doing, attempt.order.customer.id) == (Doing.SEND, "C-17")


async def test_a_lost_order_is_asked_for_again_and_not_sent(ask, desk):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote()])
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), [])
    await ask("POST", f"/{(await desk.sync(sale_id)).id}/retry")
    await desk.make_due(sale_id)
    attempt = await desk.claimed(sale_id)
    assert (attempt.doing, attempt.remote_id) == (Doing.ASK, "00000001")


async def test_what_does_not_wait_for_a_person_cannot_be_taken_up(ask, desk, parked):
    sale_id = await desk.sell()
    await desk.claimed(sale_id)
    answer = await ask("POST", f"/{(await desk.sync(sale_id)).id}/retry")
    assert answer.status_code == 409
    assert answer.json()["facts"] == {"state": "sending"}
    # A double tap: the second is told that it goes on by itself now.
    sync = await desk.sync(parked)
    assert (await ask("POST", f"/{sync.id}/retry")).status_code == 200
    again = await ask("POST", f"/{sync.id}/retry")
    assert again.json()["type"].endswith("order-sync-not-parked")
    assert (await ask("POST", f"/{new_id()}/retry")).status_code == 404


# --- what each step costs -------------------------------------------------------------------------


async def test_the_steps_of_a_delivery_cost_few_statements(desk, clock, monkeypatch):
    """A confirmed sale is delivered by a claim and a settling; each statement is a round trip."""
    # On a slow machine the parameters would be read again in between.
    monkeypatch.setattr(parameter_values, "STALE_AFTER_SECONDS", 600)
    warm = await desk.sell()
    await desk.settle(await desk.claimed(warm), [remote("1")])
    sale_id = await desk.sell()
    with counted(desk.database) as first:
        attempt = await desk.claimed(sale_id)
    with counted(desk.database) as settled:
        await desk.settle(attempt, [remote("2")])
    with counted(desk.database) as idle:
        assert await desk.claim(sale_id) is None
    event = {
        "eventId": "e-1",
        "event": {"productOrder": {"id": "2", "externalId": str(sale_id), "state": "inProgress"}},
    }
    async with desk.database.begin() as tx:
        with counted(desk.database) as heard:
            await service.hear(tx, read_event(event), event, clock.now())
            await tx.flush()
    with counted(desk.database) as swept:
        assert await desk.due() == []
    # Lock or make the row, the clock, the sale and its address, its items, the claim itself.
    assert len(first) == 6, first
    # Lock the row, the clock, lock the sale, both changes, and the sale's ledger.
    assert len(settled) == 6, settled
    assert len(idle) == 2, idle
    # Keep the event, lock the row, the clock, lock the sale, the changes.
    assert len(heard) == 7, heard
    assert len(swept) == 3, swept


async def test_what_is_due_is_found_by_its_index(desk):
    """Beside years of finished deliveries the sweep of every second reads only what is open."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), NotSent(Cause.UNREACHABLE))
    await desk.make_due(sale_id)
    ended = await desk.sell()
    await desk.settle(await desk.claimed(ended), [remote(state=RemoteState.COMPLETED)])
    assert await desk.due() == [sale_id]
    async with desk.database.begin() as tx:
        await tx.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await tx.scalars(
            text(
                "EXPLAIN SELECT sale_id FROM order_sync"
                " WHERE state IN ('waiting', 'sending', 'delivered')"
                " AND state = 'waiting'"
                " AND next_try_at <= statement_timestamp() ORDER BY next_try_at LIMIT 200"
            )
        )
        lines = list(plan)
        assert any("ix_order_sync_due" in line for line in lines)
        assert not any("Sort" in line or "Filter" in line for line in lines)
