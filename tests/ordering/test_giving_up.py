"""Deliveries given up: what becomes of the sale, of an order there, and of news that comes late."""

import json

import pytest
from sqlalchemy import select, text

from app.auth.rules import Role
from app.core.db import new_id
from app.ordering import alerting, service
from app.ordering.delivery import ChangeKind, ChangeState, SyncState
from app.ordering.models import OrderChange
from app.ordering.order import Amendment, RemoteCancellation, RemoteEvent
from app.ordering.rules import Cause, Refused, RemoteState, TaskState, Unknown
from app.sales.models import SaleEvent
from app.sales.rules import SaleState, SaleStep
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.ordering.delivering import make_desk, remote, seconds_between

IN_PROGRESS, COMPLETED = RemoteState.IN_PROGRESS, RemoteState.COMPLETED
CANCELLED = RemoteState.CANCELLED


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
async def ask(app, http, desk, tx):
    account = await make_account(tx, desk.door.branch, role=Role.SUPERVISOR)

    async def send(method, path, json=None, *, by=None, lang="en", headers=None, **query):
        by = by or caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)
        all_headers = {**bearer(app, by), "accept-language": lang, **(headers or {})}
        url = f"/v1{path}"
        return await http.request(method, url, params=query, json=json, headers=all_headers)

    return send


async def refused(desk):
    """Have a delivery turned down: the other side has no order of it."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Refused(Cause.REFUSED, said="no such place"))
    return await desk.sync(sale_id)


async def never_ended(desk):
    """Have an order there that was asked for in vain for a month."""
    sale_id = await desk.sell()
    order = remote(f"R-{sale_id}", IN_PROGRESS, str(sale_id))
    await desk.settle(await desk.claimed(sale_id), [order])
    async with desk.database.begin() as tx:
        back = (
            "UPDATE order_sync SET created_at = created_at - interval '31 days' WHERE sale_id=:id"
        )
        await tx.execute(text(back), {"id": sale_id})
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), [order])
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.last_cause) == (SyncState.PARKED, Cause.NEVER_ENDED)
    return sync


async def given_up(ask, sync, reason="customer_withdrew", **body):
    return await ask("POST", f"/order-syncs/{sync.id}/give-up", {"reason": reason, **body})


async def hear(desk, sale_id, state, remote_id=None):
    """Hear of an order, among many and alone as it comes."""
    order = remote(remote_id or f"R-{sale_id}", state, str(sale_id))
    told = RemoteEvent(new_id().hex, "ProductOrderStateChangeEvent", None, order, None)
    async with desk.database.begin() as tx:
        become = await service.hear_many(tx, [service.Heard(told, b"{}")], desk.clock.now())
        if become[told.id] is service.HeardAs.ODD:
            await service.hear(tx, told, {}, desk.clock.now())


async def changes_of(desk, sale_id):
    async with desk.database.read() as read:
        found = select(OrderChange).where(OrderChange.sale_id == sale_id)
        found = found.order_by(OrderChange.id).execution_options(populate_existing=True)
        return (await read.scalars(found)).all()


async def ledger(desk, sale_id):
    async with desk.database.read() as read:
        found = select(SaleEvent).where(SaleEvent.sale_id == sale_id).order_by(SaleEvent.id)
        return {each.step: each for each in await read.scalars(found)}


async def waiting(ask):
    found = (await ask("GET", "/order-syncs", for_a_person=True)).json()["order_syncs"]
    return [(each["sale_id"], each["state"], each["cause"]) for each in found]


class There:
    """The other side as a client shows it; the order is `order`, and `amiss` is how it fails."""

    def __init__(self, order=None, *, amiss=None):
        self.order, self.amiss, self.asked, self.looked = order, amiss, [], False

    async def find_all(self, external_id):
        self.asked.append(("find", external_id))
        return [self.order] if self.order else []

    async def get(self, order_id):
        return self.order

    async def cancellations(self, order_id):
        return []

    async def cancellation(self, task_id):
        return RemoteCancellation(task_id, None, None, TaskState.IN_PROGRESS, "inProgress", None)

    async def cancel(self, order_id, reason, at, *, by=None, looked=False):
        self.asked.append(("cancel", order_id, reason))
        self.looked = looked
        if self.amiss:
            raise self.amiss
        return RemoteCancellation(
            "c1", None, order_id, TaskState.ACKNOWLEDGED, "acknowledged", None
        )

    async def amend(self, order_id, order, changes):
        self.asked.append(("amend", order_id))


async def carry_out(desk, sale_id, there):
    """Do the next attempt at the change that is under way, as if it were due."""
    async with desk.database.begin() as tx:
        due = "UPDATE order_change SET next_try_at = now() - interval '1 s' WHERE sale_id = :id"
        await tx.execute(text(due + " AND next_try_at IS NOT NULL"), {"id": sale_id})
    change = (await changes_of(desk, sale_id))[-1]
    await service.carry_out(
        desk.database.begin, there, change.id, time_limit=0.5, business_now=desk.clock.now
    )
    return (await changes_of(desk, sale_id))[-1]


# --- it was entered there by hand -----------------------------------------------------------------


@pytest.fixture
def shown(app, raw_server):
    """Set up an ordering system that answers every question with an order, or with a refusal."""
    app.state.settings = app.state.settings.model_copy(update={"ordering_url": raw_server.url})

    def answer(order=None, status="200 OK"):
        told = {"code": "20", "reason": "not found"} if order is None else order
        body = json.dumps(told).encode()
        head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n"
        raw_server.answer = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        return raw_server

    return answer


async def test_an_order_entered_by_hand_becomes_that_of_the_sale(ask, desk, shown):
    """Nothing is cancelled: the sale goes on with the order that was named."""
    sync = await refused(desk)
    server = shown({"id": "H-7", "state": "inProgress"})
    for _ in range(2):
        answer = await given_up(ask, sync, "entered_by_hand", remote_id="H-7", note="by fax")
        assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["state"], told["remote_id"], told["cause"]) == ("delivered", "H-7", None)
    assert {line for line, _, _ in server.received} == {"GET /productOrder/H-7 HTTP/1.1"}
    sale = await desk.sale(sync.sale_id)
    assert (sale.state, sale.rejected_reason) == (SaleState.ACKNOWLEDGED, None)
    entry = (await ledger(desk, sync.sale_id))[SaleStep.RECONCILED]
    assert entry.facts["order_id"] == "H-7"
    assert await waiting(ask) == [] and await changes_of(desk, sync.sale_id) == []
    # From here on it is followed like any other.
    async with desk.database.begin() as tx:
        done = remote("H-7", COMPLETED)
        event = RemoteEvent(new_id().hex, "ProductOrderStateChangeEvent", None, done, None)
        await service.hear(tx, event, {}, desk.clock.now())
    assert (await desk.sale(sync.sale_id)).state is SaleState.COMPLETED
    # Another order is another decision.
    shown({"id": "H-8", "state": "inProgress"})
    other = await given_up(ask, sync, "entered_by_hand", remote_id="H-8")
    assert other.json()["type"].endswith("order-sync-not-parked")


@pytest.mark.parametrize(
    ("reason", "remote_id"), [("entered_by_hand", None), ("customer_withdrew", "H-7")]
)
async def test_only_what_was_entered_by_hand_names_an_order_and_it_must(
    ask, desk, shown, reason, remote_id
):
    sync = await refused(desk)
    server = shown({"id": "H-7", "state": "inProgress"})
    answer = await given_up(ask, sync, reason, remote_id=remote_id)
    assert (answer.status_code, answer.json()["type"].split(":")[-1]) == (
        422,
        "entered-order-unclear",
    )
    assert (await desk.sync(sync.sale_id)).state is SyncState.PARKED and not server.received


async def test_an_order_that_is_not_there_or_is_anothers_is_not_linked(ask, desk, shown):
    sync, other = await refused(desk), await desk.sell()
    await desk.settle(await desk.claimed(other), [remote("T-1", IN_PROGRESS, str(other))])
    for order, status, slug in (
        (None, "404 Not Found", "entered-order-not-there"),
        ({"id": "H-9", "state": "inProgress"}, "200 OK", "entered-order-not-there"),
        ({"id": "H-7", "externalId": str(other)}, "200 OK", "entered-order-of-another"),
        ({"id": "H-7", "externalId": "POS-4711"}, "200 OK", "entered-order-of-another"),
        (None, "500 Out", "entered-order-not-looked-up"),
    ):
        shown(order, status)
        answer = await given_up(ask, sync, "entered_by_hand", remote_id="H-7")
        assert answer.json()["type"].endswith(slug), answer.text
    shown({"id": "T-1", "state": "inProgress"})
    linked = await given_up(ask, sync, "entered_by_hand", remote_id="T-1")
    assert linked.json()["type"].endswith("entered-order-of-another")
    assert (await desk.sync(sync.sale_id)).state is SyncState.PARKED
    assert (await desk.sale(sync.sale_id)).state is SaleState.CONFIRMED


async def test_a_decision_that_cannot_be_read_names_each_fault_once(ask, desk):
    sync = await refused(desk)
    answer = await given_up(ask, sync, "no_such_reason")
    assert [each["field"] for each in answer.json()["facts"]["errors"]] == ["reason"]


async def test_an_order_that_is_left_there_beside_the_one_entered_is_a_double(ask, desk, shown):
    sync = await never_ended(desk)
    shown({"id": "H-7", "state": "inProgress"})
    answer = await given_up(ask, sync, "entered_by_hand", remote_id="H-7")
    assert (answer.json()["remote_id"], answer.json()["doubles"]) == ("H-7", [sync.remote_id])


async def test_without_an_ordering_system_no_order_can_be_looked_up(ask, desk):
    sync = await refused(desk)
    answer = await given_up(ask, sync, "entered_by_hand", remote_id="H-7")
    assert answer.json()["type"].endswith("entered-order-not-looked-up")
    assert "YINGWEI_ORDERING_URL" in answer.json()["detail"]


async def test_nothing_is_asked_for_somebody_elses_delivery(ask, desk, shown, tx):
    sync = await refused(desk)
    server = shown({"id": "H-7", "state": "inProgress"})
    stranger = caller_for(Role.SUPERVISOR, await make_org_unit(tx))
    body = {"reason": "entered_by_hand", "remote_id": "H-7"}
    answer = await ask("POST", f"/order-syncs/{sync.id}/give-up", body, by=stranger)
    assert answer.status_code == 404 and not server.received


async def test_a_decision_that_comes_again_under_its_key_is_answered_alike(ask, desk, shown):
    sync = await refused(desk)
    shown({"id": "H-7", "state": "inProgress"})
    key = {"idempotency-key": new_id().hex}
    body = {"reason": "entered_by_hand", "remote_id": "H-7"}
    told = [
        await ask("POST", f"/order-syncs/{sync.id}/give-up", body, headers=key) for _ in range(2)
    ]
    assert told[0].json() == told[1].json() and told[1].headers["idempotent-replayed"]


# --- the other side has the order -----------------------------------------------------------------


async def test_an_order_that_the_other_side_has_is_to_be_cancelled_there(ask, desk):
    sync = await never_ended(desk)
    for _ in range(2):
        assert (await given_up(ask, sync)).json()["state"] == "given_up"
    assert (await desk.sale(sync.sale_id)).state is SaleState.CANCELLING
    (change,) = await changes_of(desk, sync.sale_id)
    assert (change.kind, change.state) == (ChangeKind.CANCEL, ChangeState.WAITING)
    there = There(remote(sync.remote_id, RemoteState.ASSESSING_CANCELLATION, str(sync.sale_id)))
    change = await carry_out(desk, sync.sale_id, there)
    assert change.state is ChangeState.SENT
    assert there.asked == [
        ("cancel", sync.remote_id, "客户撤回 / The customer withdrew"),
    ]
    # While it is being decided nothing is anybody's to judge.
    await hear(desk, sync.sale_id, RemoteState.ASSESSING_CANCELLATION)
    assert await waiting(ask) == []
    there.order = remote(sync.remote_id, CANCELLED, str(sync.sale_id))
    change = await carry_out(desk, sync.sale_id, there)
    assert change.state is ChangeState.DONE
    assert (await desk.sale(sync.sale_id)).state is SaleState.CANCELLED
    assert await waiting(ask) == []


async def test_an_order_that_is_not_cancelled_after_all_is_followed_again(ask, desk):
    sync = await never_ended(desk)
    await given_up(ask, sync)
    there = There(remote(sync.remote_id, IN_PROGRESS), amiss=Refused(Cause.REFUSED, said="late"))
    change = await carry_out(desk, sync.sale_id, there)
    assert change.state is ChangeState.REFUSED
    sale = await desk.sale(sync.sale_id)
    assert sale.state is SaleState.ACKNOWLEDGED
    # The sale's dates are business time, whatever the clock on the wall says.
    assert (await ledger(desk, sync.sale_id))[SaleStep.WENT_ON].at == desk.clock.now()
    assert (await desk.sync(sync.sale_id)).state is SyncState.DELIVERED
    assert sync.sale_id in await desk.due()
    assert [each["id"] for each in (await failed_changes(ask))] == [str(change.id)]


async def failed_changes(ask):
    return (await ask("GET", "/order-changes", failed=True)).json()["order_changes"]


async def test_an_order_that_was_delivered_before_it_could_be_cancelled_counts(ask, desk):
    sync = await never_ended(desk)
    await given_up(ask, sync)
    await hear(desk, sync.sale_id, COMPLETED)
    assert (await desk.sale(sync.sale_id)).state is SaleState.COMPLETED
    (change,) = await failed_changes(ask)
    assert change["last_error"] == "the order ended first: completed"


async def test_a_cancellation_that_is_under_way_goes_on_and_an_amendment_ends(ask, desk):
    for kind, amendment in (
        (ChangeKind.CANCEL, Amendment()),
        (ChangeKind.AMEND, Amendment(note="改约周末")),
    ):
        sync = await never_ended(desk)
        async with desk.database.begin() as tx:
            await service.ask_for_change(
                tx,
                change_id=new_id(),
                sale_id=sync.sale_id,
                kind=kind,
                reason="客户改变主意",
                amendment=amendment,
                caller=desk.door.seller,
                now=desk.clock.now(),
            )
        assert (await given_up(ask, sync)).status_code == 200
        found = [(each.kind, each.state) for each in await changes_of(desk, sync.sale_id)]
        asked = (ChangeKind.CANCEL, ChangeState.WAITING)
        ended = [] if kind is ChangeKind.CANCEL else [(ChangeKind.AMEND, ChangeState.REFUSED)]
        assert found == [*ended, asked]
        assert (await desk.sale(sync.sale_id)).state is SaleState.CANCELLING


async def test_an_order_that_is_not_known_there_any_more_is_cancelled_at_once(ask, desk):
    sync = await never_ended(desk)
    assert (await ask("POST", f"/order-syncs/{sync.id}/retry")).status_code == 200
    await desk.make_due(sync.sale_id)
    await desk.settle(await desk.claimed(sync.sale_id), [])
    assert (await desk.sync(sync.sale_id)).last_cause is Cause.FORGOTTEN
    await given_up(ask, sync)
    assert (await desk.sale(sync.sale_id)).state is SaleState.CANCELLED
    assert await changes_of(desk, sync.sale_id) == []


# --- what was given up lives on -------------------------------------------------------------------


async def test_an_order_that_turns_up_after_its_sale_was_given_up_is_shown(ask, desk):
    """It is cancelled there with the next decision, or judged when it has ended."""
    sync = await refused(desk)
    await given_up(ask, sync, "cannot_be_served")
    sale = await desk.sale(sync.sale_id)
    assert (sale.state, sale.rejected_reason) == (
        SaleState.CANCELLED,
        "无法提供服务 / It cannot be served",
    )
    await hear(desk, sync.sale_id, IN_PROGRESS)
    lives_on = [(str(sync.sale_id), "parked", "lives_on")]
    assert await waiting(ask) == lives_on
    # Asking once more does not make it silent.
    assert (await ask("POST", f"/order-syncs/{sync.id}/retry")).status_code == 200
    await desk.make_due(sync.sale_id)
    order = remote(f"R-{sync.sale_id}", IN_PROGRESS, str(sync.sale_id))
    await desk.settle(await desk.claimed(sync.sale_id), [order])
    assert await waiting(ask) == lives_on
    assert (await given_up(ask, sync)).json()["state"] == "given_up"
    assert await waiting(ask) == []
    there = There(order)
    await carry_out(desk, sync.sale_id, there)
    assert [what for what, *_ in there.asked] == ["cancel"]
    there.order = remote(order.id, CANCELLED, str(sync.sale_id))
    assert (await carry_out(desk, sync.sale_id, there)).state is ChangeState.DONE
    assert await waiting(ask) == []
    assert (await desk.sale(sync.sale_id)).state is SaleState.CANCELLED


@pytest.mark.parametrize("ended_as", ["completed", "cancelled"])
async def test_an_order_that_was_delivered_though_it_was_given_up_is_judged(ask, desk, ended_as):
    sync = await refused(desk)
    await given_up(ask, sync)
    await hear(desk, sync.sale_id, COMPLETED)
    assert await waiting(ask) == [(str(sync.sale_id), "finished", "lives_on")]
    told = await ask("POST", f"/order-syncs/{sync.id}/judge", {"ended_as": ended_as})
    assert told.status_code == 200, told.text
    assert (await desk.sale(sync.sale_id)).state.value == ended_as
    assert await waiting(ask) == []


async def test_an_order_that_ends_without_effect_needs_nobody(ask, desk):
    sync = await refused(desk)
    await given_up(ask, sync)
    await hear(desk, sync.sale_id, RemoteState.REJECTED)
    assert await waiting(ask) == []


# --- changes that nobody can tell, and those that nobody decides ----------------------------------


async def change(desk, sale_id, kind, **amended):
    async with desk.database.begin() as tx:
        return await service.ask_for_change(
            tx,
            change_id=new_id(),
            sale_id=sale_id,
            kind=kind,
            reason="客户改变主意",
            amendment=Amendment(**amended),
            caller=desk.door.seller,
            now=desk.clock.now(),
        )


async def unfit(desk):
    """Have an order there whose technician has no number with us any more."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote("U-1", IN_PROGRESS, str(sale_id))])
    async with desk.database.begin() as tx:
        await tx.execute(text("UPDATE technician SET code = ''"))
    return sale_id


async def test_an_amendment_of_an_order_that_is_not_complete_with_us_ends_with_the_reason(desk):
    sale_id = await unfit(desk)
    await change(desk, sale_id, ChangeKind.AMEND, note="改约周末")
    there = There(remote("U-1", IN_PROGRESS))
    ended = await carry_out(desk, sale_id, there)
    assert (ended.state, there.asked) == (ChangeState.REFUSED, [])
    assert ended.last_error == "unfit: Correct: sales_agent.id."


async def test_a_cancellation_needs_nothing_of_the_order(desk):
    sale_id = await unfit(desk)
    await change(desk, sale_id, ChangeKind.CANCEL)
    told = await carry_out(desk, sale_id, There(remote("U-1", IN_PROGRESS)))
    assert (told.state, told.attempts) == (ChangeState.SENT, 1)


async def test_a_cancellation_that_was_looked_for_is_not_held_up_behind_what_is_new(desk):
    """It has taken its turns at a pace that is set; with the last of them it has begun."""
    sale_id = await unfit(desk)
    await change(desk, sale_id, ChangeKind.CANCEL)
    first = There(remote("U-1", IN_PROGRESS), amiss=Unknown(Cause.TIMED_OUT))
    assert (await carry_out(desk, sale_id, first)).attempts == 1
    async with desk.database.begin() as own:
        await own.execute(text("UPDATE order_change SET next_try_at = NULL"))
    again = There(remote("U-1", IN_PROGRESS))
    told = await carry_out(desk, sale_id, again)
    assert (told.state, told.attempts) == (ChangeState.SENT, 2)
    assert (first.looked, again.looked) == (False, True)


async def test_a_cancellation_looks_for_the_order_once_what_was_sent_has_settled(desk):
    """Else nothing is found and the sale is cancelled here, and the order takes effect there."""
    sale_id = await desk.sell()
    for _ in range(12):
        await desk.make_due(sale_id)
        await desk.settle(await desk.claimed(sale_id), Unknown(Cause.TIMED_OUT))
    sync = await desk.sync(sale_id)
    assert (sync.state, sync.remote_id) == (SyncState.PARKED, None)
    await change(desk, sale_id, ChangeKind.CANCEL)
    there = There()
    told = await carry_out(desk, sale_id, there)
    assert (told.state, there.asked) == (ChangeState.WAITING, [])
    assert seconds_between(sync.last_tried_at, told.next_try_at) == 30
    assert (await desk.sale(sale_id)).state is SaleState.CANCELLING
    await hear(desk, sale_id, IN_PROGRESS)
    await carry_out(desk, sale_id, there)
    assert there.asked == [("cancel", f"R-{sale_id}", "客户改变主意")]


async def test_a_change_that_nobody_decides_is_alerted_to_and_listed(ask, desk, clock):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote("U-1", IN_PROGRESS, str(sale_id))])
    await change(desk, sale_id, ChangeKind.CANCEL)
    sent = await carry_out(desk, sale_id, There(remote("U-1", IN_PROGRESS)))
    assert sent.state is ChangeState.SENT

    async def seen():
        async with desk.database.begin() as session:
            await alerting.look(session, clock.now())
        alerts = (await ask("GET", "/alerts")).json()["alerts"]
        listed = (await ask("GET", "/order-changes", for_a_person=True)).json()["order_changes"]
        return (
            [(each["kind"], each["figure"]) for each in alerts],
            [(each["id"], each["state"]) for each in listed],
        )

    assert await seen() == ([], [])
    async with desk.database.begin() as tx:
        back = "UPDATE order_change SET created_at = created_at - interval '24 hours 1 minute'"
        await tx.execute(text(back))
    assert await seen() == ([("order_changes_failed", 1)], [(str(sent.id), "sent")])
    await hear(desk, sale_id, CANCELLED, "U-1")
    assert await seen() == ([], [])
