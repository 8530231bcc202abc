"""Late orders: listed, escalated step by step, and compensated by the rule of their day."""

from datetime import date, timedelta

import pytest
from sqlalchemy import select, update

from app.alerts.models import Alert
from app.auth.rules import Role
from app.core.db import new_id
from app.core.jobs import Worker
from app.overdue import jobs
from app.overdue.models import Compensation, Escalation
from app.promises.models import EscalationRule, PromiseRule
from app.promises.rules import Level, Proof, ProofKind, StopCause
from app.workorders.models import WorkOrder
from app.workorders.queries import for_change
from app.workorders.rules import State, Step
from app.workorders.service import clocks, take_step
from tests.conftest import MONDAY_NINE
from tests.make.auth import bearer, caller_for, make_org_unit
from tests.make.promises import make_stop_rule
from tests.make.visits import make_phone
from tests.make.workorders import make_promise, make_work_order
from tests.ordering.delivering import set_numbers

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def worker(settings, clock, database) -> Worker:
    """The worker's process, on the rolled-back database."""
    return Worker(settings, clock, database)


@pytest.fixture
async def unit(tx):
    return await make_org_unit(tx)


@pytest.fixture
async def promise(tx):
    return await make_promise(tx)


@pytest.fixture
def due(tx, unit, promise):
    """Make a repair that is due at a moment."""

    async def make(at, **fields):
        given = {"org_unit": unit, "promise_rule_id": promise.id, **fields}
        return await make_work_order(
            tx, now=MONDAY_NINE, due_at=at, reported_at=MONDAY_NINE - 2 * DAY, **given
        )

    return make


class Desk:
    def __init__(self, app, http, unit, role=Role.SUPERVISOR, lang="en"):
        self.http = http
        self.headers = {**bearer(app, caller_for(role, unit)), "accept-language": lang}

    async def get(self, url):
        answer = await self.http.get(f"/v1/{url}", headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, url, **body):
        return await self.http.post(f"/v1/{url}", json=body, headers=self.headers)


@pytest.fixture
def boss(app, http, unit):
    return Desk(app, http, unit)


async def test_late_orders_are_listed_page_by_page_and_counted(app, http, tx, unit, due, boss):
    late = [await due(MONDAY_NINE - hours * HOUR) for hours in (1, 3, 2)]
    soon = await due(MONDAY_NINE + HOUR)
    await due(MONDAY_NINE + 5 * HOUR)
    await due(MONDAY_NINE - HOUR, state=State.CANCELLED)
    branch = await make_org_unit(tx, parent=unit)
    below = await due(MONDAY_NINE - 4 * HOUR, org_unit=branch)

    first = await boss.get("promises/overdue?size=3")
    rest = await boss.get(f"promises/overdue?size=3&page_token={first['next_page_token']}")
    found = [one["id"] for one in (*first["orders"], *rest["orders"])]
    assert found == [str(one.id) for one in (below, late[1], late[2], late[0])]
    assert first["orders"][0]["late_seconds"] == 4 * 3600
    assert first["orders"][0]["address"] == "碧波园3栋*"
    (at_risk,) = (await boss.get("promises/at-risk"))["orders"]
    assert at_risk["id"] == str(soon.id)
    counted = await boss.get("promises/counts")
    assert [(one["code"], one["overdue"], one["at_risk"]) for one in counted["units"]] == [
        (unit.code, 3, 1),
        (branch.code, 1, 0),
    ]
    assert len((await boss.get(f"promises/overdue?org_unit_id={branch.id}"))["orders"]) == 1
    stranger = Desk(app, http, await make_org_unit(tx))
    assert (await stranger.get("promises/overdue"))["orders"] == []
    there = await http.get(f"/v1/promises/overdue?org_unit_id={unit.id}", headers=stranger.headers)
    assert there.status_code == 404


async def steps(tx, **minutes):
    tx.add_all(
        EscalationRule(
            code=f"E{new_id().hex[-8:]}",
            level=Level(level),
            minutes_after_due=after,
            valid_from=date(2020, 1, 1),
        )
        for level, after in minutes.items()
    )
    await tx.flush()


async def told(tx):
    return [one.level for one in await tx.scalars(select(Escalation).order_by(Escalation.at))]


async def test_an_order_is_escalated_step_by_step_and_once(
    app, http, tx, clock, worker, unit, due, boss
):
    await steps(tx, technician=-60, supervisor=0, branch=120)
    phone = await make_phone(tx, app, http, clock, org_unit=unit)
    held = await due(
        MONDAY_NINE + HOUR,
        state=State.ACKNOWLEDGED,
        holder_id=phone.technician.id,
        planned_day=date(2026, 3, 2),
    )
    await due(MONDAY_NINE + 5 * HOUR)  # far from late
    for expected in (
        [Level.TECHNICIAN],
        [Level.TECHNICIAN, Level.SUPERVISOR],
        [Level.TECHNICIAN, Level.SUPERVISOR],
        [*Level],
    ):
        for _ in range(2):
            await jobs.escalate(worker)
            assert await told(tx) == expected
        clock.tick(HOUR)
    # The technician sees it and says what is done; others do not.
    (mine,) = (await phone.get("/escalations/mine")).json()["escalations"]
    assert (mine["work_order_id"], mine["level_words"]) == (str(held.id), "the technician")
    url = f"/v1/escalations/mine/{mine['id']}/acknowledge"
    other = await make_phone(tx, app, http, clock, org_unit=unit)
    for headers, status in ((other.headers, 404), (phone.headers, 200)):
        answer = await http.post(url, json={"note": "on my way"}, headers=headers)
        assert answer.status_code == status, answer.text
    assert (await phone.get("/escalations/mine")).json()["escalations"] == []

    # Nobody else took it up: their unit is alerted, and only where one is too many.
    await jobs.alert(worker)
    assert (await tx.scalars(select(Alert))).all() == []
    await set_numbers(tx, {"promises.alert_missed": 1})
    await tx.commit()
    worker.database.cache.clear()
    await jobs.alert(worker)
    (alert,) = (await tx.scalars(select(Alert))).all()
    assert (alert.kind, alert.org_unit_id, alert.figure) == ("promises_missed", unit.id, 1)
    (first, second) = (await boss.get("escalations"))["escalations"]
    assert [first["level"], second["level"]] == ["branch", "supervisor"]
    for note in ("sending help", "too late"):
        answer = await boss.post(f"escalations/{first['id']}/acknowledge", note=note)
        assert answer.json()["note"] == "sending help"
    assert len((await boss.get("escalations?acknowledged=true&level=branch"))["escalations"]) == 1
    # It is due at another moment now: what was told of the old one lapses, and it begins anew.
    await tx.execute(
        update(WorkOrder).where(WorkOrder.id == held.id).values(due_at=clock.now() + HOUR)
    )
    assert (await boss.get("escalations"))["escalations"] == []
    await jobs.escalate(worker)
    assert (await told(tx))[-1] is Level.TECHNICIAN
    stranger = Desk(app, http, await make_org_unit(tx))
    gone = await stranger.post(f"escalations/{second['id']}/acknowledge", note="x")
    assert gone.status_code == 404


async def done(tx, order, at):
    """Complete an order, whatever state it is in."""
    order.state = State.ON_SITE
    await tx.flush()
    await take_step(tx, await for_change(tx, order.id), Step.COMPLETE, now=at)


async def owed(tx, order):
    found = await tx.scalars(
        select(Compensation)
        .where(Compensation.work_order_id == order.id)
        .order_by(Compensation.id)
        .execution_options(populate_existing=True)
    )
    return [(one.state.value, one.late_days, one.fen) for one in found]


@pytest.mark.parametrize(
    ("per", "late", "comes_to"),
    [
        ("day", -HOUR, []),
        ("day", timedelta(0), []),  # on the moment is in time
        ("day", HOUR, [("proposed", 1, 1000)]),
        ("day", DAY, [("proposed", 1, 1000)]),
        ("day", DAY + HOUR, [("proposed", 2, 2000)]),
        ("day", 30 * DAY, [("proposed", 30, 10_000)]),  # capped
        ("order", 30 * DAY, [("proposed", 30, 1000)]),
    ],
)
async def test_what_a_late_order_comes_to(tx, worker, promise, due, per, late, comes_to):
    promise.compensation_per = per
    order = await due(MONDAY_NINE)
    await done(tx, order, MONDAY_NINE + late)
    for _ in range(2):  # a job can be run twice
        await jobs.judge(worker, str(order.id))
        assert await owed(tx, order) == comes_to


async def test_what_is_paid_by_the_day_grows_until_the_order_is_done(tx, clock, worker, due, boss):
    order, cancelled = await due(MONDAY_NINE - HOUR), await due(MONDAY_NINE - HOUR)
    await jobs.add_up(worker)
    assert await owed(tx, order) == [("proposed", 1, 1000)]
    (proposal, _) = (await boss.get("compensations"))["compensations"]
    early = await boss.post(f"compensations/{proposal['id']}/confirm", reason="now")
    assert early.json()["type"].endswith("order-still-late")
    clock.tick(DAY)
    cancelled.state = State.CANCELLED
    await tx.flush()
    await jobs.add_up(worker)
    assert await owed(tx, order) == [("proposed", 2, 2000)]
    assert await owed(tx, cancelled) == [("refused", 1, 0)]


async def test_a_past_day_is_judged_by_the_rule_of_that_day(tx, worker, promise, due):
    order = await due(MONDAY_NINE)
    # Since then less is promised, and for others.
    await make_promise(tx, valid_from=date(2026, 3, 1), compensation_fen=1)
    await tx.execute(
        update(PromiseRule).where(PromiseRule.id == promise.id).values(valid_to=date(2026, 3, 1))
    )
    await done(tx, order, MONDAY_NINE + HOUR)
    await jobs.judge(worker, str(order.id))
    assert await owed(tx, order) == [("proposed", 1, 1000)]


async def test_what_stopped_the_clock_is_explained_and_the_decision_stays(
    app, http, tx, clock, worker, unit, due, boss
):
    await make_stop_rule(tx, StopCause.RESOURCE_MISSING)
    await make_stop_rule(tx, StopCause.WEATHER, exempts=True)
    order = await due(MONDAY_NINE)
    await done(tx, order, MONDAY_NINE + 2 * HOUR)
    clock.tick(3 * HOUR)
    await jobs.judge(worker, str(order.id))
    assert await owed(tx, order) == [("proposed", 1, 1000)]

    async def stop(cause, hours):
        """Say afterwards what stood in the way; the job is run as the worker would."""
        made = await boss.post(
            f"work-orders/{order.id}/clock-stops",
            id=str(new_id()),
            cause=cause,
            proof={"kind": "reference", "reference": "R"},
            began_at=(MONDAY_NINE - 8 * HOUR).isoformat(),
            ended_at=(MONDAY_NINE - 8 * HOUR + hours * HOUR).isoformat(),
        )
        assert made.status_code == 201, made.text
        await jobs.judge(worker, str(order.id))
        return made.json()["id"]

    async def withdraw(stop_id):
        await boss.post(f"work-orders/{order.id}/clock-stops/{stop_id}/withdraw", reason="wrong")
        await jobs.judge(worker, str(order.id))

    enough = await stop("resource_missing", 4)
    assert await owed(tx, order) == [("exempt", 0, 0)]
    (shown,) = (await boss.get("compensations"))["compensations"]
    assert shown["why"] == "a port, a line or material is missing"
    await withdraw(enough)
    # An hour is not enough, but in such weather nothing is paid.
    storm = await stop("weather", 1)
    assert await owed(tx, order) == [("exempt", 1, 0)]
    refused = await boss.post(f"compensations/{shown['id']}/confirm", reason="pay")
    assert refused.json()["type"].endswith("compensation-decided")
    await withdraw(storm)
    assert await owed(tx, order) == [("proposed", 1, 1000)]

    stranger = Desk(app, http, await make_org_unit(tx))
    gone = await stranger.post(f"compensations/{shown['id']}/confirm", reason="x")
    assert gone.status_code == 404
    for _ in range(2):
        confirmed = await boss.post(f"compensations/{shown['id']}/confirm", reason="pay")
        assert confirmed.json()["state"] == "confirmed"
    await stop("weather", 1)  # too late: what was decided stays
    assert await owed(tx, order) == [("confirmed", 1, 1000)]
    clock.tick(HOUR)
    for _ in range(2):
        reversal = await boss.post(f"compensations/{shown['id']}/reverse", reason="paid twice")
        assert (reversal.json()["fen"], reversal.json()["reverses_id"]) == (-1000, shown["id"])
    assert sum(fen for _, _, fen in await owed(tx, order)) == 0
    # Another system follows by the moment of the last change.
    upstream = Desk(app, http, unit, Role.INTEGRATION)
    since = clock.now().isoformat().replace("+00:00", "Z")
    found = (await upstream.get(f"compensations?since={since}"))["compensations"]
    assert [one["id"] for one in found] == [reversal.json()["id"]]


async def test_a_clock_that_stands_when_an_order_is_done_stands_no_more(tx, clock, worker, due):
    await make_stop_rule(tx, StopCause.RESOURCE_MISSING)
    order = await due(MONDAY_NINE + HOUR)
    asked = clocks.Stop(
        cause=StopCause.RESOURCE_MISSING, proof=Proof(ProofKind.REFERENCE), at=MONDAY_NINE
    )
    stop = await clocks.stop(tx, order, asked, now=MONDAY_NINE)
    await done(tx, order, MONDAY_NINE + 2 * HOUR)
    await jobs.judge(worker, str(order.id))
    await tx.refresh(stop)
    assert stop.ended_at == MONDAY_NINE + 2 * HOUR
    assert await owed(tx, order) == [("exempt", 0, 0)]
