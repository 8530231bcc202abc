"""Orders that end in part or in two ways, and those that stand still: seen and judged by people."""

from dataclasses import replace

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.commissions.queries import take_due
from app.core.db import new_id
from app.ordering import alerting, service
from app.ordering.delivery import SyncState
from app.ordering.order import RemoteEvent
from app.ordering.rules import Cause, RemoteState, Unknown
from app.sales.models import SaleItem
from app.sales.rules import Line, SaleState
from tests.make.auth import bearer, caller_for, make_account
from tests.ordering.delivering import make_desk, remote, set_numbers

TWO = (Line("SPEED-1000", 1), Line("TV-4K", 1))
PARTIAL, COMPLETED = RemoteState.PARTIAL, RemoteState.COMPLETED
NAMED = (("1", COMPLETED), ("2", RemoteState.FAILED))


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
async def ask(app, http, desk, tx):
    account = await make_account(tx, desk.door.branch, role=Role.SUPERVISOR)
    by = caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)

    async def send(method, path, json=None, **query):
        headers = {**bearer(app, by), "accept-language": "en"}
        return await http.request(method, f"/v1{path}", params=query, json=json, headers=headers)

    return send


async def ended(desk, *states, items=()):
    """Sell two things, and hear of their order in some states, one after the other."""
    sale_id = await desk.sell(TWO)
    first, *others = [
        replace(remote(str(sale_id), state, str(sale_id)), item_states=items) for state in states
    ]
    await desk.settle(await desk.claimed(sale_id), [first])
    for each in others:
        await hear(desk, each)
    return sale_id


async def hear(desk, order):
    told = RemoteEvent(new_id().hex, "ProductOrderStateChangeEvent", None, order, None)
    heard = service.Heard(told, b"{}")
    async with desk.database.begin() as tx:
        become = await service.hear_many(tx, [heard], desk.clock.now())
        if become[told.id] is service.HeardAs.ODD:
            await service.hear(tx, told, {}, desk.clock.now())


async def gone(tx, sale_id):
    items = await tx.scalars(
        select(SaleItem)
        .where(SaleItem.sale_id == sale_id, SaleItem.removed_at.is_not(None))
        .execution_options(populate_existing=True)
    )
    return [item.position for item in items if item.reversed_at is not None]


async def waiting(ask):
    found = (await ask("GET", "/order-syncs", for_a_person=True)).json()["order_syncs"]
    return [(each["sale_id"], each["cause"]) for each in found]


@pytest.mark.parametrize("by_callback", [False, True])
async def test_what_is_known_to_be_missing_is_taken_out_and_shown(ask, desk, tx, by_callback):
    states = (RemoteState.IN_PROGRESS, PARTIAL) if by_callback else (PARTIAL,)
    sale_id = await ended(desk, *states, items=NAMED)
    assert (await desk.sync(sale_id)).state is SyncState.FINISHED
    assert (await desk.sale(sale_id)).state is SaleState.COMPLETED
    assert await gone(tx, sale_id) == [2]
    assert await waiting(ask) == [(str(sale_id), "part_missing")]
    summary = (await ask("GET", "/order-syncs/summary")).json()
    (trouble,), (stuck,) = summary["troubles"], summary["standstills"]
    assert (trouble["state"], trouble["cause"]) == ("finished", "part_missing")
    assert (stuck["remote_state"], stuck["count"]) == ("partial", 1)
    (listed,) = (await ask("GET", "/order-syncs", remote_state="partial")).json()["order_syncs"]
    assert listed["last_error"] == "partial: missing 2"
    # Nothing need be said of what is missing: it is known.
    told = await ask("POST", f"/order-syncs/{listed['id']}/judge", {"ended_as": "partial"})
    assert told.status_code == 200, told.text
    assert (told.json()["cause"], told.json()["remote_state"]) == (None, "partial")
    assert await waiting(ask) == []
    assert (await ask("GET", "/order-syncs/summary")).json() == {"troubles": [], "standstills": []}
    again = await ask("POST", f"/order-syncs/{listed['id']}/judge", {"ended_as": "partial"})
    assert again.json()["type"].endswith("order-sync-not-parked")


@pytest.mark.parametrize(
    ("choice", "state", "missing"),
    [
        ({"ended_as": "completed"}, SaleState.COMPLETED, []),
        ({"ended_as": "partial", "missing": [1]}, SaleState.COMPLETED, [1]),
        ({"ended_as": "cancelled"}, SaleState.CANCELLED, []),
    ],
)
async def test_what_is_not_said_to_be_missing_waits_for_a_person(
    ask, desk, tx, choice, state, missing
):
    sale_id = await ended(desk, PARTIAL)
    assert (await desk.sale(sale_id)).state is SaleState.ACKNOWLEDGED
    assert await gone(tx, sale_id) == []
    address = f"/order-syncs/{(await desk.sync(sale_id)).id}/judge"
    for unclear in (
        {"ended_as": "partial"},
        {"ended_as": "partial", "missing": [1, 2]},
        {"ended_as": "partial", "missing": [3]},
        {"ended_as": "completed", "missing": [1]},
    ):
        answer = await ask("POST", address, unclear)
        assert answer.json()["type"].endswith("missing-items-unclear")
    assert (await ask("POST", address, choice)).status_code == 200
    assert ((await desk.sale(sale_id)).state, await gone(tx, sale_id)) == (state, missing)
    assert await waiting(ask) == []


async def test_a_callback_that_does_not_say_what_is_missing_has_the_order_asked_for(desk):
    sale_id = await ended(desk, RemoteState.IN_PROGRESS, PARTIAL)
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.remote_state) == (SyncState.DELIVERED, "inProgress")
    assert sale_id in await desk.due()


async def test_two_ends_of_one_order_are_shown_and_judged(ask, desk, tx, clock):
    await set_numbers(tx, {"ordering.alert_failed": 1})
    desk.database.cache.clear()
    sale_id = await ended(desk, COMPLETED, RemoteState.CANCELLED)
    assert await waiting(ask) == [(str(sale_id), "ended_twice")]
    async with desk.database.begin() as session:
        await alerting.look(session, clock.now())
    (alert,) = (await ask("GET", "/alerts")).json()["alerts"]
    assert (alert["kind"], alert["figure"]) == ("orders_failed", 1)
    address = f"/order-syncs/{(await desk.sync(sale_id)).id}/judge"
    told = (await ask("POST", address, {"ended_as": "cancelled"})).json()
    assert (told["cause"], told["remote_state"]) == (None, "cancelled")
    sale = await desk.sale(sale_id)
    assert sale.state is SaleState.CANCELLED and sale.reversed_at is not None


async def test_an_end_leaves_nothing_of_a_question_that_failed_before(ask, desk):
    sale_id = await ended(desk, RemoteState.IN_PROGRESS)
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
    assert (await desk.sync(sale_id)).last_cause is Cause.TIMED_OUT
    await hear(desk, remote(str(sale_id), COMPLETED, str(sale_id)))
    assert (await desk.sync(sale_id)).last_cause is None
    assert await waiting(ask) == []


async def test_what_stands_still_over_there_is_counted_and_listed(ask, desk):
    held = await ended(desk, RemoteState.HELD)
    await ended(desk, RemoteState.IN_PROGRESS)
    await ended(desk, RemoteState.IN_PROGRESS, RemoteState.HELD, COMPLETED)
    (stuck,) = (await ask("GET", "/order-syncs/summary")).json()["standstills"]
    assert (stuck["remote_state"], stuck["count"]) == ("held", 1)
    (listed,) = (await ask("GET", "/order-syncs", remote_state="held")).json()["order_syncs"]
    assert listed["sale_id"] == str(held)
    assert await waiting(ask) == []


async def test_what_stands_still_for_too_long_is_listed_and_alerted_to_until_it_moves_on(
    ask, desk, clock, tx
):
    """From held to pending is no step on."""

    async def found():
        async with desk.database.begin() as session:
            await alerting.look(session, clock.now())
        alerts = (await ask("GET", "/alerts")).json()["alerts"]
        listed = (await ask("GET", "/order-syncs", stands_too_long=True)).json()["order_syncs"]
        return (
            [(each["kind"], each["figure"], each["most"]) for each in alerts],
            {each["sale_id"]: each["remote_state"] for each in listed},
        )

    await set_numbers(tx, {"ordering.alert_still_hours": 30})
    desk.database.cache.clear()
    long_held = await ended(desk, RemoteState.HELD)
    await ended(desk, RemoteState.HELD)
    await ended(desk, RemoteState.IN_PROGRESS)
    await stood(desk, long_held, "29 hours 59 minutes")
    assert await found() == ([], {})
    await stood(desk, long_held, "30 hours 1 minute")
    alert = ("orders_stand_still", 30, 30)
    assert await found() == ([alert], {str(long_held): "held"})
    pending = remote(str(long_held), RemoteState.PENDING, str(long_held))
    await take_in(desk, long_held, pending)
    assert await found() == ([alert], {str(long_held): "pending"})
    await hear(desk, remote(str(long_held), RemoteState.PENDING_CANCELLATION, str(long_held)))
    assert await found() == ([], {})
    assert (await desk.sync(long_held)).stands_since is None


@pytest.mark.parametrize("state", [RemoteState.HELD, RemoteState.PENDING])
@pytest.mark.parametrize("by", ["answer", "answers", "callback", "callbacks", "hand"])
async def test_since_when_an_order_stands_still_is_kept_however_it_is_learned(desk, by, state):
    sale_id = await desk.sell(TWO)
    attempt = await desk.claimed(sale_id)
    seen = remote("77", state, str(sale_id))
    if by == "answers":
        async with desk.database.begin() as tx:
            told = {sale_id: (attempt, seen)}
            assert await service.settle_many(tx, told, desk.clock.now()) == {sale_id}
    elif by == "answer":
        await desk.settle(attempt, [seen])
    else:
        await desk.settle(attempt, [remote("77", RemoteState.ACKNOWLEDGED, str(sale_id))])
        assert (await desk.sync(sale_id)).stands_since is None
    async with desk.database.begin() as tx:
        event = RemoteEvent(new_id().hex, "ProductOrderStateChangeEvent", None, seen, None)
        if by == "callback":
            await service.hear(tx, event, {}, desk.clock.now())
        elif by == "callbacks":
            await service.hear_many(tx, [service.Heard(event, b"{}")], desk.clock.now())
        elif by == "hand":
            await service.take_over(tx, sale_id, seen, desk.clock.now())
    assert (await desk.sync(sale_id)).stands_since is not None


async def take_in(desk, sale_id, order):
    """Look at an order as a night does."""
    async with desk.database.begin() as tx:
        assert await service.take_in(tx, sale_id, order, desk.clock.now())


async def stood(desk, sale_id, for_so_long):
    """Let an order have stood still for so long."""
    async with desk.database.begin() as tx:
        given = {"sale": sale_id, "long": for_so_long}
        await tx.execute(text(_STOOD), given)


_STOOD = """
UPDATE order_sync SET stands_since = clock_timestamp() - CAST(:long AS text)::interval
 WHERE sale_id = :sale
"""


async def test_the_rest_of_a_commission_waits_until_it_is_said_what_is_missing(ask, desk, tx):
    sale_id = await ended(desk, PARTIAL)
    given = {"sale": sale_id, "at": desk.clock.now()}
    await tx.execute(text(_DUE), given)
    assert await take_due(tx, desk.clock.now(), 10) == []
    address = f"/order-syncs/{(await desk.sync(sale_id)).id}/judge"
    assert (await ask("POST", address, {"ended_as": "completed"})).status_code == 200
    assert [owed.fen for owed in await take_due(tx, desk.clock.now(), 10)] == [700]


_DUE = """
INSERT INTO commission_due (sale_id, technician_id, org_unit_id, fen, due_at)
SELECT id, technician_id, org_unit_id, 700, :at FROM sale WHERE id = :sale
"""
