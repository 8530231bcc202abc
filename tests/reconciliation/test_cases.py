"""Differences that were found, what is done about them, and the nights."""

from dataclasses import replace
from datetime import date, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, func, select, text

from app.auth.keys import KeyRing
from app.auth.rules import Role
from app.core.db import new_id
from app.core.nights import Night
from app.customers.models import Subscription
from app.ordering import service as ordering
from app.ordering.client.listing import Listed, Page
from app.ordering.delivery import GiveUpReason, SyncState
from app.ordering.order import Line
from app.ordering.rules import Cause, NotSent, Refused, RemoteState
from app.reconciliation import jobs, queries
from app.reconciliation.models import ReconciliationCase, ReconciliationRun
from app.reconciliation.rules import DifferenceKind, DifferenceState, Lost, RunState
from app.sales import queries as sales_queries
from app.sales import rules as sold
from app.sales import service as sales
from app.sales.models import Sale, SaleEvent
from app.sales.rules import ReversalReason, SaleStep
from app.workorders.models import WorkOrder
from tests.make.auth import bearer, caller_for, make_account
from tests.make.catalog import make_offering
from tests.make.customers import make_subscription
from tests.make.dispatch import order as order_body
from tests.make.feasibility import make_install_door
from tests.make.retention import make_terms, make_toolkit
from tests.make.sales import agree, make_draft
from tests.make.visits import LAT, LON, at, taken
from tests.ordering.delivering import make_desk, remote, set_numbers

MONDAY = date(2026, 3, 2)
LINE = Line("SPEED-1000", 1, 12900, 5000)


class Courier:
    """Stands in for the worker's courier and for the other side: orders by their ids."""

    def __init__(self):
        self.client = self
        self.orders = {}
        self.cancelled = []
        self.fails = None

    async def run(self, endpoint, errands):
        for errand in errands:
            await errand()

    async def aclose(self):
        """Hold nothing."""

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        """Hold nothing."""

    def has(self, order, external_id=None, lines=(LINE,)):
        order = remote(order.id, order.state, str(external_id) if external_id else None)
        listed = Listed(order, lines, frozenset({"field-visit"}), "C-1", None)
        self.orders[order.id] = listed

    async def page(self, since, before, at):
        if self.fails:
            raise self.fails
        return Page(tuple(self.orders.values()), len(self.orders), None)

    async def found(self, external_id):
        return tuple(o for o in self.orders.values() if o.order.external_id == external_id)

    async def listed_one(self, order_id):
        return self.orders.get(order_id)

    async def get(self, order_id):
        if self.fails:
            raise self.fails
        found = self.orders.get(order_id)
        return found and found.order

    async def cancel(self, order_id, reason, at, *, looked):
        self.cancelled.append(order_id)


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"ordering_url": "http://ordering.test"})


@pytest.fixture
async def desk(database, clock, settings):
    return await make_desk(database, clock, settings)


@pytest.fixture
async def there(desk):
    return await desk.worker.keep("ordering", Courier)


@pytest.fixture
async def ask(app, http, desk, tx):
    account = await make_account(tx, desk.door.branch, role=Role.SUPERVISOR)
    by = caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)

    async def send(method, path, json=None, **query):
        headers = bearer(app, by)
        return await http.request(method, f"/v1{path}", json=json, params=query, headers=headers)

    return send


async def completed(desk):
    sale_id = await desk.sell()
    order = remote(f"o-{sale_id}", RemoteState.COMPLETED)
    await desk.settle(await desk.claimed(sale_id), [order])
    return sale_id, order


async def night(desk):
    """Let the night after Monday be compared."""
    desk.clock.set(desk.clock.now() + timedelta(days=1))
    await jobs.nightly(desk.worker)


async def cases(tx):
    rows = await tx.scalars(select(ReconciliationCase).execution_options(populate_existing=True))
    return {case.kind: case for case in rows}


async def resolved(ask, desk, case, **choice):
    """Choose, and let the job do it; returns how the case stands."""
    answer = await ask("POST", f"/reconciliation-cases/{case.id}/resolve", choice)
    assert answer.status_code == 200, answer.text
    await jobs.chosen(desk.worker, case_id=str(case.id))
    async with desk.database.read() as read:
        found = await read.get_one(ReconciliationCase, case.id, populate_existing=True)
        return found.state


async def test_a_state_is_taken_over_where_no_sale_moves_by_itself(desk, there, ask, tx):
    sale_id, order = await completed(desk)
    there.has(remote(order.id, RemoteState.CANCELLED), sale_id)
    await night(desk)
    case = (await cases(tx))[DifferenceKind.STATE_DIFFERS]
    await jobs.alert(desk.worker)
    assert [one["kind"] for one in (await ask("GET", "/alerts")).json()["alerts"]] == [
        "differences_open"
    ]
    assert (
        await resolved(ask, desk, case, resolution="take_over_theirs") is DifferenceState.RESOLVED
    )
    await jobs.alert(desk.worker)
    assert (await ask("GET", "/alerts")).json()["alerts"] == []
    assert (await desk.sale(sale_id)).state == "cancelled"
    assert (await desk.sync(sale_id)).remote_state == "cancelled"
    steps = (await tx.scalars(select(SaleEvent.step).where(SaleEvent.sale_id == sale_id))).all()
    # What was earned by it goes back, as with any other end.
    assert {SaleStep.RECONCILED, SaleStep.CANCELLED, SaleStep.REVERSED} <= set(steps)


async def test_a_discount_that_the_other_side_does_not_know_is_found(desk, there, tx, tmp_path):
    async with desk.database.begin() as other:
        await make_toolkit(other, offers=[LINE.offering_code])
        keys = KeyRing.load(tmp_path / "keys")
        _, code = await make_terms(
            other, desk.door.customer, LINE.offering_code, keys, now=desk.clock.now()
        )
    sale_id = await desk.sell([sold.Line(LINE.offering_code, 1, approval_code=code)])
    order = remote(f"o-{sale_id}", RemoteState.COMPLETED)
    await desk.settle(await desk.claimed(sale_id), [order])
    there.has(order, sale_id)
    await night(desk)
    case = (await cases(tx))[DifferenceKind.PRICE_DIFFERS]
    (ours,), (theirs,) = (case.facts[side]["items"] for side in ("ours", "theirs"))
    assert ours == {**theirs, "discounts": [{"percent": 20.0, "months": 6}]}
    # What is told as it was sent is equal.
    there.has(order, sale_id, lines=(replace(LINE, discounts=(sold.Discount(20, 6),)),))
    await night(desk)
    assert (await cases(tx))[DifferenceKind.PRICE_DIFFERS].state is not DifferenceState.OPEN


async def test_what_a_sale_has_no_code_for_any_more_is_not_taken_over(
    desk, there, ask, tx, tmp_path
):
    async with desk.database.begin() as other:
        await make_toolkit(other, offers=[LINE.offering_code])
        keys = KeyRing.load(tmp_path / "keys")
        _, code = await make_terms(
            other, desk.door.customer, LINE.offering_code, keys, now=desk.clock.now()
        )
    lines = [sold.Line(LINE.offering_code, 1, approval_code=code)]
    sale_id = await desk.sell(lines)
    order = remote(f"o-{sale_id}", RemoteState.REJECTED)
    await desk.settle(await desk.claimed(sale_id), [order])
    # It came to nothing, so another sale has got the code.
    again = await desk.sell(lines)
    there.has(
        remote(order.id, RemoteState.COMPLETED),
        sale_id,
        lines=(replace(LINE, discounts=(sold.Discount(20, 6),)),),
    )
    await night(desk)
    found = await tx.scalars(
        select(ReconciliationCase).where(ReconciliationCase.sale_id == sale_id)
    )
    (case,) = found.all()
    told = await resolved(ask, desk, case, resolution="take_over_theirs")
    assert told is DifferenceState.OPEN
    await tx.refresh(case)
    assert case.last_error.startswith("approval-code-used: ")
    assert (await desk.sale(sale_id)).state == "rejected"
    assert (await desk.sale(again)).state == "confirmed"


async def test_an_order_of_nobody_is_linked_to_the_sale_it_belongs_to(desk, there, ask, tx):
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Refused(Cause.REFUSED, said="no"))
    there.has(remote("by-hand", RemoteState.COMPLETED))
    await night(desk)
    found = await cases(tx)
    assert set(found) == {DifferenceKind.NOT_THERE, DifferenceKind.NOBODYS}
    nobodys = found[DifferenceKind.NOBODYS]
    path = f"/reconciliation-cases/{nobodys.id}/resolve"
    missing = await ask("POST", path, {"resolution": "link", "sale_id": str(new_id())})
    assert missing.status_code == 404
    choice = {"resolution": "link", "sale_id": str(sale_id)}
    assert await resolved(ask, desk, nobodys, **choice) is DifferenceState.RESOLVED
    assert (await desk.sale(sale_id)).state == "completed"
    # It carries no number of ours, and is known as the sale's all the same.
    run = {"id": str(new_id()), "day": "2026-03-02"}
    await ask("POST", "/reconciliations", run)
    await jobs.asked(desk.worker, run_id=run["id"])
    day = (await ask("GET", "/reconciliations/2026-03-02")).json()
    assert (day["sales"], day["equal"], day["orders"], day["unaccounted"]) == (1, 1, 0, 0)
    assert {case.state for case in (await cases(tx)).values()} == {DifferenceState.GONE}


@pytest.mark.parametrize("state", ["draft", "second_confirmation", "cancelled"])
async def test_an_order_whose_sale_was_never_confirmed_here_waits_for_a_person(
    desk, there, ask, tx, state
):
    # A backup from before the customer's word was restored; the order had been placed since.
    async with desk.database.begin() as own:
        sale = await make_draft(own, desk.door, now=desk.clock.now())
        await own.execute(
            text(
                "UPDATE sale SET state = :state, consent_kind = 'signature', consent_hash = 'x'"
                " WHERE id = :id"
            ),
            {"state": state, "id": sale.id},
        )
    there.has(remote("o-1", RemoteState.COMPLETED), sale.id)
    await night(desk)
    day = (await ask("GET", "/reconciliations/2026-03-02")).json()
    assert (day["sales"], day["orders"], day["orders_open"], day["unaccounted"]) == (0, 1, 1, 0)
    (told,) = (await ask("GET", "/reconciliation-cases", day="2026-03-02")).json()["cases"]
    assert (told["kind"], told["order_id"]) == ("not_confirmed", "o-1")
    assert told["facts"]["ours"] == {"sale_id": str(sale.id), "state": state}
    assert told["possible"] == ["cancel_theirs", "link", "explain"]
    # What nobody here has agreed to is not the sale that an order belongs to.
    path = f"/reconciliation-cases/{told['id']}/resolve"
    refused = await ask("POST", path, {"resolution": "link", "sale_id": str(sale.id)})
    assert refused.json()["type"].endswith("sale-not-confirmed")
    chosen = await ask("POST", path, {"resolution": "cancel_theirs"})
    assert chosen.json()["state"] == "resolving"


async def returned(desk, sale_id, by=Role.SUPERVISOR, position=None):
    """Take a sale back, or one thing of it, as somebody of the branch."""
    async with desk.database.begin() as own:
        account = await make_account(own, desk.door.branch, role=by)
        told = {
            "sale_id": sale_id,
            "external_id": f"RET-{position}",
            "reason": ReversalReason.CHANGED_MIND,
            "returned_at": (await own.get_one(Sale, sale_id)).acknowledged_at,
            "caller": caller_for(by, desk.door.branch, account_id=account.id),
            "now": desk.clock.now(),
        }
        if position is None:
            await sales.reverse(own, **told)
            return
        items = (await sales_queries.items_of(own, [sale_id]))[sale_id]
        await sales.reverse_item(own, item_id=items[position - 1].id, **told)


async def test_what_was_returned_after_its_order_was_completed_is_shown_until_they_were_told(
    desk, there, ask, tx
):
    (kept, _), (sale_id, order) = [await completed(desk) for _ in range(2)]
    there.has(remote(f"o-{kept}", RemoteState.COMPLETED), kept)
    there.has(order, sale_id)
    await returned(desk, sale_id)
    await night(desk)
    (told,) = (await ask("GET", "/reconciliation-cases", state="open")).json()["cases"]
    assert (told["kind"], told["sale_id"]) == ("returned_afterwards", str(sale_id))
    assert "nobody has told them" in told["words"]
    assert told["possible"] == ["settled", "explain"]
    (line,) = told["facts"]["ours"]["returned"]
    assert line["offering_code"] == "SPEED-1000"
    path = f"/reconciliation-cases/{told['id']}/resolve"
    settled = await ask("POST", path, {"resolution": "settled", "note": "工单 4711"})
    assert settled.json()["state"] == "explained"
    await jobs.alert(desk.worker)
    assert (await ask("GET", "/alerts")).json()["alerts"] == []
    for _ in range(2):
        await night(desk)
    run = {"id": str(new_id()), "day": "2026-03-02"}
    await ask("POST", "/reconciliations", run)
    await jobs.asked(desk.worker, run_id=run["id"])
    (case,) = (await cases(tx)).values()
    assert (case.state, case.times_seen) == (DifferenceState.EXPLAINED, 2)
    day = (await ask("GET", "/reconciliations/2026-03-02")).json()
    assert (day["sales"], day["equal"], day["explained"], day["unaccounted"]) == (2, 1, 1, 0)


async def test_what_the_ordering_system_itself_said_was_returned_is_known_there(desk, there, tx):
    sale_id, order = await completed(desk)
    there.has(order, sale_id)
    await returned(desk, sale_id, by=Role.INTEGRATION)
    await night(desk)
    assert await cases(tx) == {}


async def test_each_thing_that_was_returned_after_its_order_was_completed_is_told_of(
    desk, there, ask, tx
):
    lines = [sold.Line("SPEED-1000", 1), sold.Line("TV-4K", 1), sold.Line("TV-4K", 2)]
    sale_id = await desk.sell(lines)
    order = remote(f"o-{sale_id}", RemoteState.COMPLETED)
    await desk.settle(await desk.claimed(sale_id), [order])
    there.has(order, sale_id, (LINE, Line("TV-4K", 1, 2000, 0), Line("TV-4K", 2, 4000, 0)))
    for position in (2, 3):
        await returned(desk, sale_id, position=position)
        run = {"id": str(new_id()), "day": "2026-03-02"}
        await ask("POST", "/reconciliations", run)
        await jobs.asked(desk.worker, run_id=run["id"])
        case = (await cases(tx))[DifferenceKind.RETURNED_AFTERWARDS]
        # What came back after the first was settled is another matter.
        assert (case.state, len(case.facts["ours"]["returned"])) == (
            DifferenceState.OPEN,
            position - 1,
        )
        state = await resolved(ask, desk, case, resolution="settled")
        assert state is DifferenceState.EXPLAINED


async def test_a_return_is_shown_also_when_the_day_of_its_sale_comes_round_no_more(desk, there, tx):
    await set_numbers(tx, {"reconciliation.again_until_days": 0})
    desk.database.cache.clear()
    sale_id, order = await completed(desk)
    there.has(order, sale_id)
    for _ in range(2):
        await night(desk)
    await returned(desk, sale_id)
    await night(desk)
    case = (await cases(tx))[DifferenceKind.RETURNED_AFTERWARDS]
    assert (case.day, case.sale_id) == (MONDAY, sale_id)


# --- what was sold on top of what came to nothing -------------------------------------------------


@pytest.fixture
async def no_line(desk):
    """Nobody has a line at the door, and a box for the television needs one."""
    async with desk.database.begin() as own:
        await own.execute(delete(Subscription))
        await make_offering(own, code="FIBRE")
        await make_offering(own, code="TV-BOX", category="box", requires=["broadband"])


async def sell_here(desk, *codes):
    """Sell things in the one visit that goes on."""
    async with desk.database.begin() as own:
        sale = await sales.put_together(
            own,
            sale_id=new_id(),
            visit_id=desk.door.visit.id,
            lines=[sold.Line(code, 1) for code in codes],
            caller=desk.door.seller,
            now=desk.clock.now(),
        )
        await agree(own, desk.door, sale.id, now=desk.clock.now())
        return sale.id


async def line_and_box(desk, there):
    """Sell a line, and in the same visit a box that needs it, whose order is under way."""
    line, box = await sell_here(desk, "FIBRE"), await sell_here(desk, "TV-BOX")
    order = remote(f"o-{box}", RemoteState.IN_PROGRESS)
    await desk.settle(await desk.claimed(box), [order])
    there.has(order, box, (Line("TV-BOX", 1, 12900, 0),))
    return line, box


async def told_of(desk, there, sale_id, state):
    """Let the ordering system say of the order of a line how it stands."""
    order = remote(f"o-{sale_id}", state)
    await desk.make_due(sale_id)
    await desk.settle(await desk.claimed(sale_id), [order])
    there.has(order, sale_id, (Line("FIBRE", 1, 12900, 0),))


async def test_what_stands_on_an_order_that_was_turned_down_is_shown(
    desk, there, ask, tx, app, http, no_line
):
    line, box = await line_and_box(desk, there)
    await told_of(desk, there, line, RemoteState.REJECTED)
    await night(desk)
    (told,) = (await ask("GET", "/reconciliation-cases", state="open")).json()["cases"]
    assert (told["kind"], told["sale_id"]) == ("stands_on_nothing", str(box))
    assert told["words"].startswith("It needs what was sold in the same visit")
    assert told["possible"] == ["cancel_theirs", "settled", "explain"]
    assert told["facts"]["ours"]["stood_on"] == [
        {
            "offering_code": "TV-BOX",
            "requires": "broadband",
            "sale_id": str(line),
            "sold_code": "FIBRE",
            "state": "rejected",
        }
    ]
    await jobs.alert(desk.worker)
    (alert,) = (await ask("GET", "/alerts")).json()["alerts"]
    assert alert["kind"] == "differences_open"
    (case,) = (await cases(tx)).values()
    state = await resolved(ask, desk, case, resolution="cancel_theirs")
    assert (state, there.cancelled) == (DifferenceState.RESOLVED, [f"o-{box}"])
    await told_of(desk, there, box, RemoteState.CANCELLED)
    await night(desk)
    (case,) = (await cases(tx)).values()
    assert case.state is DifferenceState.GONE


async def test_what_may_stand_all_the_same_is_shown_once(desk, there, ask, tx, no_line):
    line, box = await line_and_box(desk, there)
    await told_of(desk, there, line, RemoteState.CANCELLED)
    await night(desk)
    (case,) = (await cases(tx)).values()
    choice = {"resolution": "explain", "explanation": "agreed_with_customer"}
    assert await resolved(ask, desk, case, **choice) is DifferenceState.EXPLAINED
    # That its own order goes on meanwhile is no reason to ask again.
    done = remote(f"o-{box}", RemoteState.COMPLETED)
    there.has(done, box, (Line("TV-BOX", 1, 12900, 0),))
    run = {"id": str(new_id()), "day": "2026-03-02"}
    await ask("POST", "/reconciliations", run)
    await jobs.asked(desk.worker, run_id=run["id"])
    (case,) = (await cases(tx)).values()
    assert (case.state, case.times_seen) == (DifferenceState.EXPLAINED, 2)
    assert (await desk.sale(box)).state == "completed"


async def test_who_has_explained_another_difference_is_asked_again(desk, there, ask, tx, no_line):
    line, box = await line_and_box(desk, there)
    await told_of(desk, there, line, RemoteState.IN_PROGRESS)
    order = remote(f"o-{box}", RemoteState.IN_PROGRESS)
    there.has(order, box, (Line("TV-BOX", 1, 11900, 0),))
    await night(desk)
    (case,) = (await cases(tx)).values()
    assert case.kind is DifferenceKind.PRICE_DIFFERS
    choice = {"resolution": "explain", "explanation": "agreed_with_customer"}
    assert await resolved(ask, desk, case, **choice) is DifferenceState.EXPLAINED

    await told_of(desk, there, line, RemoteState.CANCELLED)
    for state, seen in ((DifferenceState.OPEN, 2), (DifferenceState.EXPLAINED, 2)):
        await night(desk)
        (case,) = (await cases(tx)).values()
        assert (case.kind, case.state) == (DifferenceKind.PRICE_DIFFERS, state)
        # Once it is shown its day is not compared every night anew.
        assert case.times_seen == seen
        (lost,) = case.facts["ours"]["stood_on"]
        assert (lost["sale_id"], lost["state"]) == (str(line), "cancelled")
        if state is DifferenceState.OPEN:
            await resolved(ask, desk, case, **choice)
    # That something else has taken its place since is no reason to ask.
    await sell_here(desk, "FIBRE")
    run = {"id": str(new_id()), "day": "2026-03-02"}
    await ask("POST", "/reconciliations", run)
    await jobs.asked(desk.worker, run_id=run["id"])
    case = (await cases(tx))[DifferenceKind.PRICE_DIFFERS]
    assert (case.state, case.times_seen) == (DifferenceState.EXPLAINED, 3)
    assert "stood_on" not in case.facts["ours"]


async def test_a_sale_that_the_other_side_has_lost_as_well_is_shown_once(
    desk, there, ask, tx, no_line
):
    line, box = await line_and_box(desk, there)
    await told_of(desk, there, line, RemoteState.IN_PROGRESS)
    there.orders.pop(f"o-{box}")
    await night(desk)
    case = (await cases(tx))[DifferenceKind.FORGOTTEN]
    choice = {"resolution": "explain", "explanation": "agreed_with_customer"}
    await resolved(ask, desk, case, **choice)
    await told_of(desk, there, line, RemoteState.CANCELLED)
    for state in (DifferenceState.OPEN, DifferenceState.EXPLAINED, DifferenceState.EXPLAINED):
        await night(desk)
        case = (await cases(tx))[DifferenceKind.FORGOTTEN]
        assert (case.state, case.times_seen) == (state, 2)
        assert case.facts["ours"]["stood_on"][0]["sale_id"] == str(line)
        if state is DifferenceState.OPEN:
            await resolved(ask, desk, case, **choice)


async def test_what_loses_its_ground_days_later_is_shown_in_the_next_night(
    desk, there, tx, no_line
):
    line, box = await line_and_box(desk, there)
    await told_of(desk, there, line, RemoteState.IN_PROGRESS)
    for _ in range(2):
        await night(desk)
    assert await cases(tx) == {}
    await told_of(desk, there, line, RemoteState.CANCELLED)
    await night(desk)
    (case,) = (await cases(tx)).values()
    assert (case.kind, case.day, case.sale_id) == (DifferenceKind.STANDS_ON_NOTHING, MONDAY, box)


async def given_up(desk, there, line):
    await desk.settle(await desk.claimed(line), Refused(Cause.REFUSED, said="no"))
    async with desk.database.begin() as own:
        account = await make_account(own, desk.door.branch, role=Role.SUPERVISOR)
        by = caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)
        sync_id = (await desk.sync(line)).id
        why = {"reason": GiveUpReason.CANNOT_BE_SERVED, "note": None, "now": desk.clock.now()}
        await ordering.give_up(own, sync_id, by, **why)


async def test_it_is_shown_however_it_came_to_nothing(desk, there, tx, no_line):
    line, _ = await line_and_box(desk, there)
    await given_up(desk, there, line)
    await night(desk)
    (case,) = (await cases(tx)).values()
    (lost,) = case.facts["ours"]["stood_on"]
    assert (lost["sale_id"], lost["state"]) == (str(line), "cancelled")


async def test_a_part_of_an_order_may_be_what_the_rest_stands_on(desk, there, tx, no_line):
    both = await sell_here(desk, "FIBRE", "TV-BOX")
    order = remote(f"o-{both}", RemoteState.PARTIAL)
    ends = (("1", RemoteState.FAILED), ("2", RemoteState.COMPLETED))
    await desk.settle(await desk.claimed(both), [replace(order, item_states=ends)])
    there.has(order, both, (Line("TV-BOX", 1, 12900, 0),))
    await night(desk)
    (case,) = (await cases(tx)).values()
    (lost,) = case.facts["ours"]["stood_on"]
    assert (case.kind, lost["sold_code"], lost["state"]) == (
        DifferenceKind.STANDS_ON_NOTHING,
        "FIBRE",
        "reversed",
    )


async def fitted_here(door, tx, crm, clock):
    return await door.sell("FIBRE")


async def booked(door, tx, crm, clock):
    day = (MONDAY + timedelta(days=1)).isoformat()
    slot = (await door.book("FIBRE", day=day, slot="s08")).json()
    line = await door.sell("FIBRE", appointment_hold_id=slot["id"])
    install = order_body(
        point=at(LON, LAT),
        work_type="install",
        estimated_minutes=None,
        customer_code=door.customer.code,
        appointment_hold_id=slot["id"],
    )
    came = taken(await door.phone.http.post("/v1/work-orders", json=install, headers=crm))
    clock.tick(timedelta(days=1))
    await door.phone.acknowledge(await tx.get_one(WorkOrder, UUID(came["id"])))
    return {**line, "install_order_id": came["id"]}


@pytest.mark.parametrize(("sell", "day"), [(fitted_here, 0), (booked, 1)])
async def test_what_is_sold_as_a_line_is_installed_stands_on_the_sale_of_that_line(
    tx, app, http, clock, sell, day
):
    """The install is a visit of its own, and what was sold before it counts in it."""
    door = await make_install_door(tx, app, http, clock)
    await make_offering(tx, code="FIBRE", category="broadband", install_minutes=40)
    await make_offering(tx, code="TV-BOX", category="box", requires=["broadband"])
    await tx.execute(delete(Subscription))
    await tx.commit()
    crm = bearer(app, caller_for(Role.INTEGRATION, door.branch))
    await door.arrive()
    line = await sell(door, tx, crm, clock)
    await door.phone.complete(door.visit_id)
    door.visit_id = new_id()
    install = {"id": str(door.visit_id), "work_order_id": line["install_order_id"]}
    taken(await door.phone.post("/visits", **install))
    taken(await door.phone.post(f"/visits/{door.visit_id}/check-in", point=at(LON, LAT)))
    box = UUID((await door.sell("TV-BOX"))["id"])
    for state in (sold.SaleState.ACKNOWLEDGED, sold.SaleState.REJECTED):
        lost = (await queries.sales_anew(tx, [box], now=clock.now()))[0].lost
        assert lost == ()
        await sales.follow(tx, sale_id=UUID(line["id"]), state=state, at=clock.now())
        await tx.flush()
    (sale,) = await queries.sales_anew(tx, [box], now=clock.now())
    assert sale.lost == (Lost("TV-BOX", "broadband", UUID(line["id"]), "FIBRE", "rejected"),)
    zone = ZoneInfo("Asia/Shanghai")
    the_day, after = (MONDAY + timedelta(days=day + more) for more in (0, 1))
    days = await queries.days_of_lost(tx, MONDAY, after, zone, now=clock.now())
    assert days == [the_day]


async def it_runs(desk, there, box):
    async with desk.database.begin() as own:
        await make_subscription(own, await own.merge(desk.door.customer))


async def it_was_sold_again(desk, there, box):
    await sell_here(desk, "FIBRE")


async def it_was_returned_too(desk, there, box):
    await returned(desk, box)


@pytest.mark.parametrize("since", [it_runs, it_was_sold_again, it_was_returned_too])
async def test_what_has_something_else_to_stand_on_or_is_gone_too_is_not_shown(
    desk, there, tx, no_line, since
):
    line, box = await line_and_box(desk, there)
    await told_of(desk, there, line, RemoteState.REJECTED)
    await since(desk, there, box)
    await night(desk)
    assert DifferenceKind.STANDS_ON_NOTHING not in await cases(tx)


@pytest.mark.parametrize("state", [RemoteState.COMPLETED, RemoteState.IN_PROGRESS])
async def test_what_was_lost_over_there_is_given_up_and_stays_dealt_with(
    desk, there, ask, tx, state
):
    """However far it had come: what was earned by it goes back, too."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), [remote(f"o-{sale_id}", state)])
    await night(desk)
    case = (await cases(tx))[DifferenceKind.FORGOTTEN]
    choice = {"resolution": "give_up", "note": "客户从未得到业务"}
    assert await resolved(ask, desk, case, **choice) is DifferenceState.RESOLVED
    sale = await desk.sale(sale_id)
    assert (sale.state, sale.reversed_at) == (sold.SaleState.CANCELLED, desk.clock.now())
    await night(desk)
    (case,) = (await cases(tx)).values()
    assert case.state is DifferenceState.GONE


# --- what was seen to elsewhere since -------------------------------------------------------------


async def parked(desk, tx):
    """Have a sale turned down, and what the night has made of it."""
    sale_id = await desk.sell()
    await desk.settle(await desk.claimed(sale_id), Refused(Cause.REFUSED, said="no such place"))
    await night(desk)
    return await desk.sync(sale_id), (await cases(tx))[DifferenceKind.NOT_THERE]


async def arrived_after_all(desk, ask, sync):
    """Let a colleague take it up again in the list of what failed, and the order arrive."""
    assert (await ask("POST", f"/order-syncs/{sync.id}/retry")).status_code == 200
    await desk.make_due(sync.sale_id)
    order = remote("o-1", RemoteState.IN_PROGRESS, str(sync.sale_id))
    await desk.settle(await desk.claimed(sync.sale_id), [order])


async def entered_by_hand(desk, ask, sync):
    """Let a colleague name the order that was typed in over there, without our number."""
    async with desk.database.begin() as own:
        account = await make_account(own, desk.door.branch, role=Role.SUPERVISOR)
        by = caller_for(Role.SUPERVISOR, desk.door.branch, account_id=account.id)
        why = {"reason": GiveUpReason.ENTERED_BY_HAND, "note": None, "now": desk.clock.now()}
        order = remote("o-1", RemoteState.IN_PROGRESS)
        await ordering.give_up(own, sync.id, by, order=order, **why)


@pytest.mark.parametrize("since", [arrived_after_all, entered_by_hand])
@pytest.mark.parametrize("resolution", ["give_up", "send_again"])
async def test_a_case_that_is_not_what_it_was_any_more_is_compared_again_first(
    desk, there, ask, tx, since, resolution
):
    """Else the sale is cancelled while its order goes on, or is ordered a second time."""
    sync, case = await parked(desk, tx)
    await since(desk, ask, sync)
    path = f"/reconciliation-cases/{case.id}/resolve"
    answer = await ask("POST", path, {"resolution": resolution})
    assert answer.status_code == 409, answer.text
    assert answer.json()["type"].endswith("reconciliation-case-outdated")
    assert answer.json()["facts"] == {"order_id": "o-1", "state": "inProgress"}
    now = await desk.sync(sync.sale_id)
    assert (now.state, now.remote_id) == (SyncState.DELIVERED, "o-1")
    assert (await desk.sale(sync.sale_id)).state == "acknowledged"
    # The case is open still, and the next comparison finds that the two sides are the same.
    there.has(remote("o-1", RemoteState.IN_PROGRESS), sync.sale_id)
    await night(desk)
    (case,) = (await cases(tx)).values()
    assert case.state is DifferenceState.GONE


async def test_what_cannot_be_done_waits_for_a_person_again(desk, there, ask, tx):
    sale_id, order = await completed(desk)
    there.has(order, sale_id, lines=(Line("SPEED-1000", 1, 99, 0),))
    await night(desk)
    case = (await cases(tx))[DifferenceKind.PRICE_DIFFERS]
    there.fails = NotSent(Cause.UNREACHABLE)
    choice = {"resolution": "cancel_theirs"}
    assert await resolved(ask, desk, case, **choice) is DifferenceState.RESOLVING
    for _ in range(5):
        await jobs.chosen(desk.worker, case_id=str(case.id))
    failed = (await cases(tx))[DifferenceKind.PRICE_DIFFERS]
    assert (failed.state, failed.attempts) == (DifferenceState.OPEN, 6)
    assert failed.last_error is not None and failed.last_error.startswith("unreachable")
    there.fails = None
    assert await resolved(ask, desk, case, **choice) is DifferenceState.RESOLVED
    assert there.cancelled == [order.id]
    # The next night shows that it did not help: it is open again.
    await night(desk)
    assert (await cases(tx))[DifferenceKind.PRICE_DIFFERS].state is DifferenceState.OPEN


async def test_what_was_chosen_and_finds_no_turn_is_done_later(desk, there, ask, tx):
    """However often it was held up on our side: it was not tried."""
    sale_id, order = await completed(desk)
    there.has(order, sale_id, lines=(Line("SPEED-1000", 1, 99, 0),))
    await night(desk)
    case = (await cases(tx))[DifferenceKind.PRICE_DIFFERS]
    there.fails = NotSent(Cause.TOO_LATE)
    choice = {"resolution": "cancel_theirs"}
    assert await resolved(ask, desk, case, **choice) is DifferenceState.RESOLVING
    for _ in range(10):
        await jobs.chosen(desk.worker, case_id=str(case.id))
    held_up = (await cases(tx))[DifferenceKind.PRICE_DIFFERS]
    assert (held_up.state, held_up.attempts) == (DifferenceState.RESOLVING, 0)
    there.fails = None
    await jobs.chosen(desk.worker, case_id=str(case.id))
    assert (await cases(tx))[DifferenceKind.PRICE_DIFFERS].state is DifferenceState.RESOLVED


async def test_a_comparison_says_with_every_order_it_looks_at_again_that_it_is_alive(
    desk, there, tx, monkeypatch
):
    """Each look may have to wait for its turn, and nobody else begins the same meanwhile."""
    for _ in range(3):
        sale_id, order = await completed(desk)
        there.has(order, sale_id, lines=(Line("SPEED-1000", 1, 99, 0),))
    left = []

    async def slowly(external_id):
        alive = "SELECT count(*) FROM reconciliation_run WHERE alive_until > clock_timestamp()"
        left.append(await tx.scalar(text(alive)))
        await tx.execute(text("UPDATE reconciliation_run SET alive_until = clock_timestamp()"))
        return ()

    monkeypatch.setattr(there, "found", slowly)
    await night(desk)
    assert left == [1, 1, 1]


async def test_a_night_is_done_once_and_not_while_the_other_side_is_away(desk, there, tx):
    sale_id, order = await completed(desk)
    there.has(order, sale_id)
    there.fails = Refused(Cause.REFUSED, said="away")
    await night(desk)
    count = select(func.count()).select_from(Night).where(Night.work == "reconciliation")
    assert await tx.scalar(count) == 0
    there.fails = None
    for _ in range(2):
        await jobs.nightly(desk.worker)
    assert await tx.scalar(count) == 1
    runs = await tx.scalars(
        select(ReconciliationRun)
        .where(ReconciliationRun.day == MONDAY)
        .execution_options(populate_existing=True)
    )
    (run,) = runs.all()
    assert (run.state, run.sales, run.day) == (RunState.DONE, 1, MONDAY)
    (summed,) = await queries.sums(tx, MONDAY, "")
    assert (summed.sales, summed.equal) == (1, 1)


async def test_a_day_is_not_compared_while_the_other_side_cannot_be_read(desk, there, ask):
    there.fails = Refused(Cause.REFUSED, said="away")
    body = {"id": str(new_id()), "day": "2026-03-02"}
    await ask("POST", "/reconciliations", body)
    await jobs.asked(desk.worker, run_id=body["id"])
    run = (await ask("GET", f"/reconciliation-runs/{body['id']}")).json()
    assert (run["state"], run["last_error"]) == ("failed", "refused: away")
    assert (await ask("GET", "/reconciliations/2026-03-02")).json()["units"] == []
    late = await ask("POST", "/reconciliations", {"id": str(new_id()), "day": "2026-03-04"})
    assert late.json()["type"].endswith("day-not-begun")
    other = await ask("POST", "/reconciliations", {**body, "day": "2026-03-01"})
    assert other.json()["type"].endswith("same-id-other-content")
    nowhere = {"id": str(new_id()), "day": "2026-03-02", "org_unit_id": str(new_id())}
    assert (await ask("POST", "/reconciliations", nowhere)).status_code == 404
    assert (await ask("GET", f"/reconciliation-runs/{new_id()}")).status_code == 404


async def test_a_sale_that_lags_behind_its_own_delivery_catches_up(desk, there, tx):
    sale_id, order = await completed(desk)
    there.has(order, sale_id)
    await tx.execute(text("UPDATE sale SET state = 'acknowledged', completed_at = NULL"))
    await night(desk)
    assert (await desk.sale(sale_id)).state == "completed"
    (summed,) = await queries.sums(tx, MONDAY, "")
    assert (summed.sales, summed.healed) == (1, 1)


async def test_a_night_that_is_the_first_to_hear_of_it_takes_in_what_is_missing_of_an_order(
    desk, there, tx
):
    sale_id = await desk.sell([sold.Line("SPEED-1000", 1), sold.Line("TV-4K", 1)])
    order = remote(f"o-{sale_id}", RemoteState.IN_PROGRESS)
    await desk.settle(await desk.claimed(sale_id), [order])
    there.has(remote(order.id, RemoteState.PARTIAL), sale_id)
    ends = (("1", RemoteState.COMPLETED), ("2", RemoteState.FAILED))
    listed = there.orders[order.id]
    there.orders[order.id] = replace(listed, order=replace(listed.order, item_states=ends))
    await night(desk)
    assert (await desk.sync(sale_id)).last_error == "partial: missing 2"
    assert (await desk.sale(sale_id)).state == "completed"
    line, television = (await sales_queries.items_of(tx, [sale_id]))[sale_id]
    assert (line.removed_at, television.removed_at) == (None, desk.clock.now())
    # That items were missing is told until the next comparison finds both sides the same.
    await night(desk)
    (case,) = (await cases(tx)).values()
    assert (case.kind, case.state) == (DifferenceKind.ITEMS_DIFFER, DifferenceState.GONE)


async def test_a_sale_that_nobody_sent_is_woken(desk, there, tx):
    sale_id = await desk.sell()
    await night(desk)
    assert (await desk.sync(sale_id)).state is SyncState.WAITING
    (summed,) = await queries.sums(tx, MONDAY, "")
    assert (summed.sales, summed.healed) == (1, 1)


async def test_what_fails_of_a_night_is_shown_and_the_rest_is_put_right(
    desk, there, tx, monkeypatch
):
    bad, good = [(await completed(desk))[0] for _ in range(2)]
    for sale_id in (bad, good):
        there.has(remote(f"o-{sale_id}", RemoteState.COMPLETED), sale_id)
    await tx.execute(text("UPDATE sale SET state = 'acknowledged', completed_at = NULL"))
    take_in = ordering.take_in

    async def stumbling(session, sale_id, seen, now):
        done = await take_in(session, sale_id, seen, now)
        if sale_id == bad:
            await session.execute(text("SELECT 1 / 0"))
        return done

    monkeypatch.setattr(ordering, "take_in", stumbling)
    await night(desk)
    assert await desk.states([bad, good]) == ["acknowledged", "completed"]
    assert await tx.scalar(select(func.count()).select_from(Night)) == 1
    (case,) = [one for one in (await cases(tx)).values() if one.sale_id == bad]
    assert (case.kind, case.state) == (DifferenceKind.STATE_DIFFERS, DifferenceState.OPEN)
    (summed,) = await queries.sums(tx, MONDAY, "")
    assert (summed.sales, summed.healed, summed.open) == (2, 1, 1)


async def test_an_order_cancelled_there_long_after_is_found_when_its_day_comes_round(
    desk, there, tx
):
    await set_numbers(tx, {"reconciliation.again_until_days": 7})
    desk.database.cache.clear()
    sale_id, order = await completed(desk)
    there.has(order, sale_id)
    await night(desk)
    there.has(remote(order.id, RemoteState.CANCELLED), sale_id)
    for _ in range(7):
        assert await cases(tx) == {}
        await night(desk)
    case = (await cases(tx))[DifferenceKind.STATE_DIFFERS]
    assert (case.day, case.sale_id) == (MONDAY, sale_id)


async def test_nights_that_were_missed_are_made_up_for(desk, there, tx):
    await night(desk)
    desk.clock.set(desk.clock.now() + timedelta(days=2))
    await set_numbers(tx, {"reconciliation.again_until_days": 0})
    desk.database.cache.clear()
    await night(desk)
    days = await tx.scalars(select(ReconciliationRun.day).order_by(ReconciliationRun.day))
    assert set(days) >= {MONDAY + timedelta(days=n) for n in range(4)}


async def test_a_night_that_is_not_done_by_morning_is_alerted_to_until_it_is(desk, there, ask, tx):
    async def standing():
        await jobs.alert(desk.worker)
        found = (await ask("GET", "/alerts")).json()["alerts"]
        return [(each["kind"], each["figure"], each["most"]) for each in found]

    object.__setattr__(
        desk.worker,
        "settings",
        desk.worker.settings.model_copy(update={"ordering_url": "http://there.test"}),
    )
    # Nobody is late before the first night.
    assert await standing() == []
    there.fails = Refused(Cause.REFUSED, said="away")
    desk.clock.set(desk.clock.now().replace(hour=22))  # six in the morning
    await jobs.nightly(desk.worker)
    assert await standing() == []
    desk.clock.tick(timedelta(hours=3))
    assert await standing() == [("night_not_compared", 6, 8)]
    there.fails = None
    await jobs.nightly(desk.worker)
    assert await standing() == []
