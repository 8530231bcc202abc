"""An outage from its reports to its end, over HTTP, and what may be refused on the way."""

from datetime import timedelta

import pytest
from sqlalchemy import select, text

from app.activation.rules import LineNotKnown, LineTest, LineTestUnavailable
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.dispatch import jobs as dispatch
from app.outages import jobs
from app.outages.queries.open import forget_open
from app.planning.queries import events
from app.promises.rules import ProofKind, StopCause
from app.technicians import availability
from app.visits.queries import day_of
from app.workorders.models import ClockStop
from app.workorders.rules import State, Step, UnplacedReason
from app.workorders.service import take_step
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.promises import make_stop_rule
from tests.make.workorders import make_promise

CONFIRMED = {"cause": "port_fault", "expected_end": "2026-03-02T11:30:00+08:00"}


@pytest.fixture
def proposed(place, worker):
    """Let a port's homes report, and read what is proposed."""

    async def propose(homes=5):
        orders = await place.burst(homes)
        await jobs.look_out(worker)
        [outage] = (await place.get())["outages"]
        return outage, [one["id"] for one in orders]

    return propose


async def told(tx, event):
    """The facts of the jobs that wait, by their event."""
    rows = await tx.scalars(
        text("SELECT args FROM procrastinate_jobs WHERE task_name = :name ORDER BY id"),
        {"name": event},
    )
    return rows.all()


async def go_out(place, order_id, clock, *steps):
    """Let an order's holder take steps."""
    order = await place.row(order_id)
    for step in steps:
        await take_step(place.tx, order, step, now=clock.now(), technician_id=order.holder_id)
    return order


async def test_an_outage_is_proposed_confirmed_worked_on_and_over(
    place, proposed, worker, clock, tx
):
    outage, orders = await proposed(6)
    assert (outage["state"], outage["orders"], outage["held"]) == ("proposed", 6, 0)
    assert outage["place"] | {"words": None} == {
        "kind": "olt_port",
        "key": "OLT1/0/3",
        "name": "OLT1/0/3",
        "words": None,
    }
    assert outage["surprise"] > 6 and outage["point"]["coordsys"] == "wgs84"
    assert (await place.row(orders[0])).state is State.ASSIGNED  # nothing is held before

    begun = await go_out(place, orders[0], clock, Step.ACKNOWLEDGE, Step.TRAVEL)
    asked = {"version": outage["version"], **CONFIRMED}
    confirmed = await place.post(f"/{outage['id']}/confirm", **asked)
    assert (confirmed["state"], confirmed["held"], confirmed["under_way"]) == ("confirmed", 5, 1)
    assert confirmed["cause_words"]["en"] == "a port of the OLT has failed"
    assert await place.post(f"/{outage['id']}/confirm", **asked) == confirmed

    held = await place.row(orders[1])
    assert (held.state, held.unplaced_reason) == (State.UNPLACED, UnplacedReason.OUTAGE)
    assert (begun.state, str(begun.outage_id)) == (State.EN_ROUTE, outage["id"])
    days = [await availability.promised(tx, who.id, begun.planned_day) for who in place.land.people]
    assert sum(day.orders for day in days) == 1  # but the one that is under way
    assert begun.holder_id is not None and begun.planned_day is not None
    [seen] = await day_of(tx, begun.holder_id, begun.planned_day)
    assert str(seen.outage_id) == outage["id"]  # and whoever is on the way is told

    # One order is worked on in their place, and placed like any other.
    await dispatch.place_anew(worker, confirmed["parent_order_id"])
    parent = await place.row(confirmed["parent_order_id"])
    assert (parent.state, parent.priority, parent.source) == (State.ASSIGNED, 1, "yingwei")
    assert "6 单" in parent.summary

    # A new report belongs to it at once, and its customer can be told why.
    late = await place.report(await place.home())
    assert (late["state"], late["unplaced_reason"]) == ("unplaced", "outage")
    assert late["outage_id"] == outage["id"]
    assert "11:30" in late["customer_words"]["zh"]
    elsewhere = await place.report(await place.home("OLT9/0/1"))
    assert (elsewhere["state"], elsewhere["customer_words"]) == ("assigned", None)

    # Trying again leaves what is held alone.
    clock.tick(timedelta(hours=1))
    await dispatch.place_waiting(worker)
    await dispatch.place_anew(worker, orders[1])
    assert (await place.row(orders[1])).unplaced_reason is UnplacedReason.OUTAGE

    await go_out(place, begun.id, clock, Step.CHECK_IN, Step.SUSPEND)
    await go_out(
        place, parent.id, clock, Step.ACKNOWLEDGE, Step.TRAVEL, Step.CHECK_IN, Step.COMPLETE
    )
    assert {"order_id": str(parent.id)} in await told(tx, "workorder.completed")
    await jobs.end_with_its_order(worker, str(parent.id))
    await jobs.end_with_its_order(worker, str(begun.id))  # another order ends nothing
    closed = await place.get(f"/{outage['id']}")
    assert (closed["state"], closed["homes"], len(closed["children"])) == ("closed", 7, 7)
    assert {"outage_id": outage["id"]} in await told(tx, "outage.closed")
    for _ in range(2):  # a handler can be run twice
        await dispatch.end_outage(worker, outage["id"])
    after = [await place.row(order_id) for order_id in orders[1:]]
    assert {order.state for order in after} == {State.ASSIGNED}
    assert {str(order.outage_id) for order in after} == {outage["id"]}


async def test_clocks_stand_still_while_orders_are_held(place, proposed, worker, tx, clock):
    await make_promise(tx)
    await make_stop_rule(tx, StopCause.OUTAGE, ProofKind.OUTAGE)
    outage, orders = await proposed()
    due = (await place.row(orders[0])).due_at
    outage = await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    late = await place.report(await place.home())
    await jobs.look_out(worker)
    for order_id in (orders[0], late["id"]):
        [stop] = await tx.scalars(select(ClockStop).where(ClockStop.work_order_id == order_id))
        assert (stop.cause, str(stop.proof_id)) == (StopCause.OUTAGE, outage["id"])
        assert stop.ended_at is None
    assert (await place.row(orders[0])).due_at > due
    clock.tick(timedelta(hours=1))
    outage = await place.get(f"/{outage['id']}")
    await place.post(f"/{outage['id']}/detach", version=outage["version"], order_ids=orders[1:2])
    assert (await place.row(orders[1])).due_at == due + timedelta(hours=1)
    outage = await place.get(f"/{outage['id']}")
    await place.post(f"/{outage['id']}/close", version=outage["version"], when_over="place")
    clock.tick(timedelta(hours=1))
    await dispatch.end_outage(worker, outage["id"])
    after = await place.row(orders[0])
    assert (after.state, after.due_at) == (State.ASSIGNED, due + timedelta(hours=2))


async def test_closing_all_resolves_what_was_held(place, proposed, worker, clock):
    outage, orders = await proposed()
    confirmed = await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    await dispatch.place_anew(worker, confirmed["parent_order_id"])
    clock.tick(timedelta(hours=2))
    asked = {
        "version": confirmed["version"],
        "when_over": "close",
        "restored_at": "2026-03-02T10:40:00+08:00",
    }
    closed = await place.post(f"/{outage['id']}/close", **asked)
    assert (closed["state"], closed["when_over"]) == ("closed", "close")
    assert await place.post(f"/{outage['id']}/close", **asked) == closed
    assert (await place.row(confirmed["parent_order_id"])).state is State.CANCELLED
    await dispatch.end_outage(worker, outage["id"])
    for order_id in orders:
        order = await place.row(order_id)
        assert (order.state, order.outcome_code) == (State.COMPLETED, "fixed_elsewhere")
        assert order.restored_at < order.completed_at == clock.now()
    refused = await place.post(f"/{outage['id']}/close", 409, version=closed["version"])
    assert refused["type"].endswith("outage-not-ready")


class Platform:
    """An activation platform that says of each line what it was told to."""

    def __init__(self, lines):
        self.lines, self.away = lines, False

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass

    async def test_line(self, loid=None, *, service_number=None):
        if self.away:
            raise LineTestUnavailable(reason="timeout", retry_after=10)
        if service_number not in self.lines:
            raise LineNotKnown()
        return LineTest(self.lines[service_number], None, None, None)


async def test_lines_are_tested_before_anybody_is_sent(place, settings, database, clock, tx):
    homes = [await place.home() for _ in range(5)]
    orders = [(await place.report(home))["id"] for home in homes]
    numbers = [home.service_number for home in homes]
    platform = Platform({numbers[0]: True, numbers[1]: True, numbers[2]: False})
    asking = settings.model_copy(update={"activation_url": "http://platform.test"})
    worker = Worker(asking, clock, database)
    await worker.keep("activation", lambda: platform)
    await jobs.look_out(worker)
    [outage] = (await place.get())["outages"]
    outage = await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    outage = await place.post(f"/{outage['id']}/close", version=outage["version"])
    platform.away = True
    await dispatch.end_outage(worker, outage["id"])
    assert (await place.get(f"/{outage['id']}"))["held"] == 5
    assert {"outage_id": outage["id"], "tries": 1} in await told(tx, "outage.closed")
    platform.away = False
    await dispatch.end_outage(worker, outage["id"], tries=1)
    states = [(await place.row(order_id)).state for order_id in orders]
    # Two work again; one does not, and two the platform does not know.
    assert states == [State.COMPLETED] * 2 + [State.ASSIGNED] * 3


async def test_who_cannot_be_tested_for_long_is_visited(place, proposed, settings, database, clock):
    outage, orders = await proposed()
    asking = settings.model_copy(update={"activation_url": "http://platform.test"})
    worker, platform = Worker(asking, clock, database), Platform({})
    platform.away = True
    await worker.keep("activation", lambda: platform)
    outage = await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    await place.post(f"/{outage['id']}/close", version=outage["version"])
    await dispatch.end_outage(worker, outage["id"], tries=dispatch.LINE_TRIES)
    assert {(await place.row(order_id)).state for order_id in orders} == {State.ASSIGNED}


async def test_a_dismissed_place_is_not_proposed_again_for_a_while(place, proposed, worker):
    outage, orders = await proposed()
    refused = await place.post(f"/{outage['id']}/dismiss", 409, version=outage["version"] + 1)
    assert refused["type"].endswith("outage-changed")
    dismissed = await place.post(
        f"/{outage['id']}/dismiss", version=outage["version"], note="一户多报"
    )
    assert (dismissed["state"], dismissed["orders"]) == ("dismissed", 0)
    assert (await place.row(orders[0])).outage_id is None
    await place.burst(4)
    await jobs.look_out(worker)
    listed = (await place.get())["outages"]
    assert [one["place"]["key"] for one in listed] == ["OLT1/0/3"]
    refused = await place.post(
        f"/{outage['id']}/confirm", 409, version=dismissed["version"], **CONFIRMED
    )
    assert refused["facts"] == {"state": "dismissed", "needs": ["proposed"]}


async def test_orders_are_split_off_and_taken_in_by_hand(place, proposed, worker, tx, clock):
    outage, orders = await proposed()
    outage = await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    asked = {"version": outage["version"], "order_ids": orders[:1]}
    outage = await place.post(f"/{outage['id']}/detach", **asked)
    assert (outage["orders"], outage["held"]) == (4, 4)
    assert await place.post(f"/{outage['id']}/detach", **asked) == outage
    assert {"order_id": orders[0]} in await told(tx, "workorder.freed")
    await dispatch.place_anew(worker, orders[0])
    assert (await place.row(orders[0])).state is State.ASSIGNED
    await tx.execute(text("UPDATE fault_report SET judged = false"))
    await jobs.look_out(worker)  # it does not come back by itself
    assert (await place.row(orders[0])).outage_id is None

    install = await place.report(work_type="install", reported_at=None)
    asked = {"version": outage["version"], "order_ids": [install["id"], str(new_id())]}
    refused = await place.post(f"/{outage['id']}/attach", 422, **asked)
    assert [one["message"] for one in refused["facts"]["errors"]] == [
        "not a repair that a customer has reported",
        "no such order within your area",
    ]
    asked = {"version": outage["version"], "order_ids": orders[:1]}
    outage = await place.post(f"/{outage['id']}/attach", **asked)
    assert (outage["orders"], outage["held"]) == (5, 5)


async def test_what_intake_did_not_know_of_is_found_afterwards(place, proposed, worker, tx, clock):
    outage, _ = await proposed()
    home = await place.home()
    await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    await place.report()  # so this process knows what is open, and that the home is behind it
    await tx.execute(text("UPDATE outage SET state = 'proposed'"))
    forget_open(tx)
    late = await place.report(home)
    assert late["state"] == "assigned"
    await tx.execute(text("UPDATE outage SET state = 'confirmed'"))
    await jobs.look_out(worker)
    assert (await place.row(late["id"])).unplaced_reason is UnplacedReason.OUTAGE


async def test_an_order_held_by_an_outage_that_is_over_is_seen_to(
    place, proposed, worker, tx, clock
):
    outage, _ = await proposed()
    outage = await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    await place.post(f"/{outage['id']}/close", version=outage["version"])
    clock.tick(timedelta(minutes=5))
    before = len(await told(tx, "outage.closed"))
    await jobs.tidy(worker)
    assert len(await told(tx, "outage.closed")) == before + 1


async def test_a_proposal_nobody_decides_on_lapses(place, proposed, worker, clock):
    outage, _ = await proposed()
    clock.tick(timedelta(hours=11))
    await jobs.tidy(worker)
    assert (await place.get(f"/{outage['id']}"))["state"] == "proposed"
    clock.tick(timedelta(hours=2))
    await jobs.tidy(worker)
    lapsed = await place.get(f"/{outage['id']}")
    assert (lapsed["state"], lapsed["orders"]) == ("lapsed", 0)


async def test_ports_that_fail_one_after_the_other_are_one_proposal_of_their_olt(
    place, proposed, worker
):
    await proposed()
    for number in range(12):
        await place.report(await place.home(f"OLT1/0/{number}", locality=f"小区{number}"))
    await jobs.look_out(worker)
    [outage] = (await place.get())["outages"]
    assert (outage["place"]["kind"], outage["place"]["key"]) == ("olt", "OLT1")
    assert outage["orders"] == 17


async def test_an_outage_is_declared_by_hand(place, worker, clock, app, http):
    home = await place.home()
    reported = await place.report(home)
    await jobs.look_out(worker)
    body = {
        "id": str(new_id()),
        "kind": "olt",
        "key": "OLT1",
        "since": "2026-03-02T08:50:00+08:00",
        **CONFIRMED,
    }
    outage = await place.post("", 201, **body)
    assert (outage["state"], outage["held"], outage["surprise"]) == ("confirmed", 1, None)
    assert (await place.row(reported["id"])).unplaced_reason is UnplacedReason.OUTAGE
    assert await place.post("", 200, **body) == outage
    refused = await place.post("", 409, **{**body, "note": "other"})
    assert refused["type"].endswith("same-id-other-content")
    refused = await place.post("", 409, **{**body, "id": str(new_id())})
    assert refused["facts"] == {"outage_id": outage["id"], "state": "confirmed"}
    refused = await place.post("", 422, **{**body, "id": str(new_id()), "key": "OLT7"})
    assert refused["type"].endswith("unknown-place")
    grid = await place.post(
        "", 201, **{**body, "id": str(new_id()), "kind": "grid", "key": str(place.land.grids[0].id)}
    )
    assert (grid["point"] is not None, grid["held"]) == (True, 0)
    compound = await place.post(
        "", 201, **{**body, "id": str(new_id()), "kind": "compound", "key": "碧波园"}
    )
    assert compound["place"]["key"] == "碧波园"
    amended = await place.post(
        f"/{outage['id']}/amend",
        version=outage["version"],
        expected_end="2026-03-02T13:00:00+08:00",
        cause="fibre_cut",
    )
    assert (amended["cause"], amended["expected_end"]) == ("fibre_cut", "2026-03-02T05:00:00Z")
    listed = await place.get(size=2)
    assert len(listed["outages"]) == 2
    more = await place.get(size=2, page_token=listed["next_page_token"])
    assert len(more["outages"]) == 1 and more["next_page_token"] is None


async def test_another_branchs_outage_is_not_found(place, proposed, app, http, tx):
    outage, orders = await proposed()
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    for path in ("", "/confirm", "/close", "/dismiss", "/detach"):
        body = {"version": 1, "order_ids": orders} if path == "/detach" else {"version": 1}
        if path == "/confirm":
            body |= CONFIRMED
        url = f"/v1/outages/{outage['id']}{path}"
        answer = (
            await http.post(url, json=body, headers=stranger)
            if path
            else await http.get(url, headers=stranger)
        )
        assert answer.status_code == 404
    answer = await http.get("/v1/outages", headers=stranger)
    assert answer.json()["outages"] == []
    assert (await place.get(f"/{outage['id']}"))["state"] == "proposed"


async def test_planning_and_the_board_hear_of_it(place, proposed, worker, tx, clock, http):
    outage, _ = await proposed()
    board = (await http.get("/v1/board", headers=place.headers)).json()
    assert [(one["id"], one["orders"], one["held"]) for one in board["outages"]] == [
        (outage["id"], 5, 0)
    ]
    await place.post(f"/{outage['id']}/confirm", version=outage["version"], **CONFIRMED)
    [failed] = await events.outages(tx, now=clock.now())
    assert (str(failed.outage_id), failed.orders) == (outage["id"], 5)
    board = (await http.get("/v1/board", headers=place.headers)).json()
    assert {one["reason"] for one in board["unplaced"]} == {"outage", None}
    assert board["outages"][0]["held"] == 5


async def test_intake_asks_for_nothing_more_while_no_outage_is_open(place, database):
    homes = [await place.home() for _ in range(3)]
    await place.report(homes[0])
    with counted(database) as statements:
        await place.report(homes[1])
    assert not [each for each in statements if "outage o" in str(each)]


async def test_what_is_usual_is_learned_at_night(place, proposed, worker, tx, clock):
    await proposed()
    clock.tick(timedelta(days=1))
    for _ in range(2):
        await jobs.learn(worker)
    rate = (
        await tx.execute(
            text("SELECT reports, weeks FROM outage_rate WHERE place_key = 'OLT1/0/3'")
        )
    ).one()
    assert rate.reports > 5 and rate.weeks > 4
    hours = await tx.scalar(text("SELECT hours FROM outage_rhythm WHERE a_week > 0"))
    assert max(range(168), key=hours.__getitem__) == 8  # Monday at eight


async def test_what_is_long_past_is_learned_from_and_no_outage(place, worker, tx, clock):
    for _ in range(5):
        await place.report(await place.home())
    clock.tick(timedelta(days=2))
    await jobs.look_out(worker)
    assert (await place.get())["outages"] == []
    assert await tx.scalar(text("SELECT count(*) FROM fault_report WHERE judged")) == 5
