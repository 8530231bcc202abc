"""The clock of an order's promise: stopped from the door and by hand, and never twice at a time."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.auth.rules import Role
from app.core.db import new_id
from app.core.errors import Problem
from app.promises.rules import FROM_THE_DOOR, Proof, ProofKind, StopCause
from app.workorders.models import ClockStop, WorkOrder
from app.workorders.queries import all_for_change
from app.workorders.rules import State
from app.workorders.service import clocks
from tests.conftest import MONDAY_NINE
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.counting import counted
from tests.make.promises import make_stop_rule
from tests.make.visits import make_assigned_order, make_phone
from tests.make.workorders import make_promise, make_work_order

DUE = MONDAY_NINE + timedelta(hours=9)


@pytest.fixture
async def unit(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def rules(tx):
    await make_stop_rule(tx, StopCause.CUSTOMER_ABSENT, ProofKind.CHECK_IN)
    await make_stop_rule(tx, StopCause.RESOURCE_MISSING, ProofKind.REFERENCE, ProofKind.VISIT)
    await make_stop_rule(tx, StopCause.WEATHER, exempts=True)


@pytest.fixture
async def order(tx, unit, rules):
    promise = await make_promise(tx)
    return await make_work_order(
        tx,
        now=MONDAY_NINE,
        org_unit=unit,
        due_at=DUE,
        promise_rule_id=promise.id,
        reported_at=MONDAY_NINE - timedelta(hours=1),
    )


def desk(app, http, unit, role=Role.SUPERVISOR, lang="en"):
    headers = {**bearer(app, caller_for(role, unit)), "accept-language": lang}

    class Desk:
        async def post(self, url, **body):
            return await http.post(f"/v1/work-orders/{url}", json=body, headers=headers)

        async def get(self, url):
            return (await http.get(f"/v1/work-orders/{url}", headers=headers)).json()

    return Desk()


def asked(cause="resource_missing", **fields):
    return {
        "id": str(new_id()),
        "cause": cause,
        "proof": {"kind": "reference", "reference": "RES-1"},
        "began_at": MONDAY_NINE.isoformat(),
        **fields,
    }


async def stops(tx):
    return (await tx.scalars(select(ClockStop).order_by(ClockStop.began_at))).all()


# --- from the door --------------------------------------------------------------------------------


async def test_suspended_work_stops_the_clock_until_it_goes_on(app, http, clock, tx, unit, rules):
    await make_promise(tx)
    phone = await make_phone(tx, app, http, clock, org_unit=unit)
    order = await make_assigned_order(tx, phone.technician, now=clock.now(), due_at=DUE)
    visit_id = await phone.arrive(order)
    resume_at = (MONDAY_NINE + timedelta(hours=4)).isoformat()
    answer = await phone.post(
        f"/visits/{visit_id}/suspend", cause="customer_absent", resume_at=resume_at
    )
    assert answer.status_code == 200, answer.text
    # Until it is resumed the clock stands as long as the technician said.
    await tx.refresh(order)
    assert order.due_at == DUE + timedelta(hours=4)
    clock.tick(timedelta(hours=1))
    # The phone had no signal: it resumed half an hour ago.
    ago = clock.now() - timedelta(minutes=30)
    await phone.post(f"/visits/{visit_id}/resume", device_at=ago.isoformat())
    await tx.refresh(order)
    assert order.due_at == DUE + timedelta(minutes=30)
    (stop,) = await stops(tx)
    assert (stop.proof_id, stop.ended_at, stop.device_ended_at) == (visit_id, ago, ago)
    story = await desk(app, http, unit).get(f"{order.id}/history")
    suspended, resumed = story["events"][-2:]
    assert suspended["facts"]["clock"] == "stopped"
    assert resumed["facts"]["clock"] == "runs"


@pytest.mark.parametrize(
    ("cause", "why"),
    [
        ("site_not_ready", "cause-does-not-stop"),  # no rule says so
        ("urgent_order", None),  # it is no cause of anybody's but the operator's
    ],
)
async def test_a_cause_that_stops_no_clock_is_no_hindrance_at_the_door(
    app, http, clock, tx, unit, rules, cause, why
):
    phone = await make_phone(tx, app, http, clock, org_unit=unit)
    order = await make_assigned_order(tx, phone.technician, now=clock.now(), due_at=DUE)
    visit_id = await phone.arrive(order)
    later = (clock.now() + timedelta(hours=4)).isoformat()
    answer = await phone.post(f"/visits/{visit_id}/suspend", cause=cause, resume_at=later)
    assert answer.status_code == 200, answer.text
    await tx.refresh(order)
    assert (order.due_at, await stops(tx)) == (DUE, [])
    story = await desk(app, http, unit).get(f"{order.id}/history")
    assert story["events"][-1]["facts"].get("clock_why") == why


async def test_a_hand_back_stops_the_clock_until_somebody_sets_out_again(
    app, http, clock, tx, unit, rules
):
    phone = await make_phone(tx, app, http, clock, org_unit=unit)
    order = await make_assigned_order(tx, phone.technician, now=clock.now(), due_at=DUE)
    # By telephone nobody is found absent: the rule wants a check-in.
    await phone.acknowledge(order)
    await phone.post(f"/work-orders/{order.id}/hand-back", cause="customer_absent")
    await tx.refresh(order)
    assert (order.due_at, await stops(tx)) == (DUE, [])
    again = await make_assigned_order(tx, phone.technician, now=clock.now(), due_at=DUE)
    visit_id = await phone.arrive(again)
    await phone.post(f"/visits/{visit_id}/hand-back", cause="customer_absent")
    await tx.refresh(again)
    assert again.due_at == DUE + timedelta(hours=24)  # at most so long, by a parameter
    clock.tick(timedelta(hours=2))
    again.holder_id, again.state = phone.technician.id, State.ASSIGNED
    again.planned_day = clock.now().date()
    await tx.flush()
    await phone.set_out(again)
    await tx.refresh(again)
    assert again.due_at == DUE + timedelta(hours=2)


# --- by hand --------------------------------------------------------------------------------------


async def test_a_stop_by_hand_moves_the_due_moment_and_is_explained(app, http, clock, order, unit):
    clock.tick(timedelta(hours=3))
    supervisor, crm = desk(app, http, unit, lang="zh"), desk(app, http, unit, Role.INTEGRATION)
    body = asked()
    made = await crm.post(f"{order.id}/clock-stops", **body)
    assert made.status_code == 201, made.text
    said = await supervisor.get(f"{order.id}/promise")
    assert (said["late"], said["stopped"], said["rule"]["clock"]) == (False, True, "calendar")
    # It stands still until it is ended, so as much is left as when it was stopped.
    assert said["left_seconds"] == 9 * 3600
    assert said["stops"][0]["cause_words"] == "资源不足"
    assert said["rule"]["words"] == (
        "16:00 前申告当日 18:00 前完成，之后申告 24 小时内完成；"
        "逾期每天赔付 10.00 元，最多 100.00 元"
    )
    # Sent again it is answered like the first; with other content the id is refused.
    assert (await crm.post(f"{order.id}/clock-stops", **body)).json() == made.json()
    other = await crm.post(f"{order.id}/clock-stops", **{**body, "note": "another"})
    assert other.json()["type"].endswith("same-id-other-content")
    stop_id = made.json()["id"]
    at = (MONDAY_NINE + timedelta(hours=2)).isoformat()
    for _ in range(2):
        ended = await supervisor.post(f"{order.id}/clock-stops/{stop_id}/end", at=at)
        assert ended.status_code == 200, ended.text
    said = await supervisor.get(f"{order.id}/promise")
    assert said["due_at"] == (DUE + timedelta(hours=2)).isoformat().replace("+00:00", "Z")
    assert said["first_due_at"] == DUE.isoformat().replace("+00:00", "Z")
    steps = [each["step"] for each in (await crm.get(f"{order.id}/history"))["events"]]
    assert steps == ["stop_clock", "start_clock"]
    for _ in range(2):
        wrong = await supervisor.post(f"{order.id}/clock-stops/{stop_id}/withdraw", reason="wrong")
        assert wrong.json()["withdrawn_why"] == "wrong"
    said = await supervisor.get(f"{order.id}/promise")
    assert (said["due_at"], said["stopped"]) == (said["first_due_at"], False)


async def test_what_is_late_may_be_excused(app, http, clock, tx, order, unit):
    supervisor = desk(app, http, unit)
    await supervisor.post(
        f"{order.id}/clock-stops",
        **asked("weather", until=(MONDAY_NINE + timedelta(hours=1)).isoformat()),
    )
    clock.set(DUE + timedelta(minutes=30))
    said = await supervisor.get(f"{order.id}/promise")
    assert (said["late"], [each["cause"] for each in said["excused_by"]]) == (False, ["weather"])
    clock.set(DUE + timedelta(minutes=90))
    said = await supervisor.get(f"{order.id}/promise")
    assert (said["late"], said["left_seconds"]) == (True, -30 * 60)
    assert [each["exempts"] for each in said["excused_by"]] == [True]


@pytest.mark.parametrize(
    ("body", "slug"),
    [
        (asked("site_not_ready"), "cause-does-not-stop"),
        (asked("customer_absent"), "stop-needs-evidence"),
        (asked(proof={"kind": "visit", "id": str(new_id())}), "invalid"),
        (asked(proof={"kind": "reference"}), "invalid"),
        (asked(began_at=(MONDAY_NINE - timedelta(hours=2)).isoformat()), "no-such-time-to-stop"),
        (asked(began_at=(MONDAY_NINE + timedelta(hours=2)).isoformat()), "no-such-time-to-stop"),
        (asked(ended_at=MONDAY_NINE.isoformat()), "invalid"),
    ],
)
async def test_a_stop_that_is_refused_writes_nothing(app, http, clock, tx, order, unit, body, slug):
    clock.tick(timedelta(hours=1))
    refused = await desk(app, http, unit).post(f"{order.id}/clock-stops", **body)
    assert refused.status_code in (409, 422)
    assert refused.json()["type"] == f"urn:yingwei:problem:{slug}"
    assert await stops(tx) == []
    assert (await tx.get_one(WorkOrder, order.id, populate_existing=True)).due_at == DUE


async def test_orders_of_others_are_not_there(app, http, tx, order):
    stranger = desk(app, http, await make_org_unit(tx))
    assert (await stranger.post(f"{order.id}/clock-stops", **asked())).status_code == 404
    assert (await stranger.get(f"{order.id}/promise"))["status"] == 404
    assert (await stranger.post(f"{order.id}/clock-stops/{new_id()}/end")).status_code == 404


async def test_an_order_that_is_over_has_no_clock(app, http, clock, tx, order, unit):
    order.state = State.CANCELLED
    await tx.flush()
    refused = await desk(app, http, unit).post(f"{order.id}/clock-stops", **asked())
    assert refused.json()["type"].endswith("step-refused")


# --- many, and at one time ------------------------------------------------------------------------


def stop(cause=StopCause.RESOURCE_MISSING, *, hours=0.0, **fields):
    given = {"proof": Proof(ProofKind.REFERENCE, reference="R"), **fields}
    return clocks.Stop(cause=cause, at=MONDAY_NINE + timedelta(hours=hours), **given)


async def test_stops_that_overlap_share_the_time(tx, order):
    now = MONDAY_NINE + timedelta(hours=8)
    until = {"ended_at": MONDAY_NINE + timedelta(hours=3)}
    await clocks.stop(tx, order, stop(hours=2, **until), now=now)
    wide = {"ended_at": MONDAY_NINE + timedelta(hours=5)}
    await clocks.stop(tx, order, stop(StopCause.WEATHER, hours=1, **wide), now=now)
    assert order.due_at == DUE + timedelta(hours=4)
    assert [
        (one.cause, (one.ended_at - one.began_at) / timedelta(hours=1)) for one in await stops(tx)
    ] == [
        (StopCause.WEATHER, 1),
        (StopCause.RESOURCE_MISSING, 1),
        (StopCause.WEATHER, 2),
    ]
    with pytest.raises(Problem) as refused:
        await clocks.stop(tx, order, stop(hours=2, **until), now=now)
    assert refused.value.slug == "clock-stands-already"


async def test_a_stop_from_the_door_gives_way_and_the_other_goes_on(tx, order):
    now = MONDAY_NINE + timedelta(hours=2)
    visit = Proof(ProofKind.VISIT, new_id())
    at_door = await clocks.stop(tx, order, stop(proof=visit), now=now)
    stays = await clocks.stop(tx, order, stop(StopCause.WEATHER, hours=1), now=now)
    assert at_door.ended_at == stays.began_at
    # The technician goes on, and the weather does not.
    assert await clocks.start(tx, order, at=now, now=now, proofs=FROM_THE_DOOR) is None
    assert (await clocks.start(tx, order, at=now, now=now)) is stays
    assert order.due_at == DUE + timedelta(hours=2)


async def test_of_two_that_stand_open_the_one_that_is_meant_ends(tx, order):
    outage, ahead = new_id(), MONDAY_NINE + timedelta(hours=6)
    of_outage = Proof(ProofKind.REFERENCE, outage)
    first = await clocks.stop(tx, order, stop(proof=of_outage, latest=ahead), now=MONDAY_NINE)
    moved = {"latest": ahead + timedelta(hours=3)}
    await clocks.stop(tx, order, stop(StopCause.WEATHER, hours=6, **moved), now=MONDAY_NINE)
    at = MONDAY_NINE + timedelta(hours=1)
    assert await clocks.start(tx, order, at=at, now=at, proof_id=outage) is first
    assert order.due_at == DUE + timedelta(hours=4)


async def test_a_stop_that_nobody_ends_ends_by_itself(tx, order):
    await clocks.stop(tx, order, stop(), now=MONDAY_NINE)
    much_later = MONDAY_NINE + timedelta(days=5)
    assert order.due_at == DUE + timedelta(hours=48)
    assert await clocks.start(tx, order, at=much_later, now=much_later) is None
    assert order.due_at == DUE + timedelta(hours=48)


async def test_many_clocks_stop_at_the_cost_of_one(tx, database, unit, rules):
    for size in (2, 12):
        made = [
            await make_work_order(tx, now=MONDAY_NINE, org_unit=unit, due_at=DUE)
            for _ in range(size)
        ]
        ids = [one.id for one in made]
        orders = await all_for_change(tx, WorkOrder.id.in_(ids))
        with counted(database) as statements:
            fates = await clocks.stop_all(tx, orders, stop(), now=MONDAY_NINE)
            await clocks.start_all(tx, orders, at=MONDAY_NINE + timedelta(hours=1), now=MONDAY_NINE)
        assert set(fates) == set(ids)
        assert not any(isinstance(fate, Problem) for fate in fates.values())
        assert len(statements) <= 14
    moved = await tx.scalar(
        select(func.count()).where(WorkOrder.due_at == DUE + timedelta(hours=1))
    )
    assert moved == 14
