"""Drift of a model in force, guards told from the ledger, and what days came to."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from app.alerts.models import Alert
from app.alerts.rules import AlertKind
from app.customers.models import Interaction
from app.customers.rules import Channel, InteractionKind
from app.policies import jobs
from app.policies.models import PolicyEvaluation, PolicyStep
from app.policies.queries import guards
from app.policies.rules import StepState
from app.policies.service import adding_up, watching
from app.suggestions.rules.model import PolicyState
from tests.conftest import MONDAY_NINE
from tests.make.customers import make_subscription
from tests.make.policies import TRUTH, make_log, make_model

LAST_NIGHT = MONDAY_NINE - timedelta(hours=6)


@pytest.fixture
async def log(tx):
    return await make_log(tx, now=MONDAY_NINE)


async def test_a_model_that_is_not_right_any_more_raises_one_alarm(tx, log, as_admin):
    live = await make_model(tx, "before", TRUTH, state=PolicyState.CHALLENGER)
    assert await watching.watch(tx, MONDAY_NINE) is None
    live.state = PolicyState.LIVE
    await tx.flush()
    # Nobody let it live by a step, so it is watched from the season's beginning.
    tx.add(
        PolicyStep(
            model_id=live.id,
            from_state=PolicyState.CHALLENGER,
            to_state=PolicyState.LIVE,
            state=StepState.DONE,
            reason="",
            asked_at=MONDAY_NINE - timedelta(days=20),
            findings=[],
        )
    )
    await log.decide(400, MONDAY_NINE - timedelta(days=3), predicted=TRUTH)
    seen = await watching.watch(tx, MONDAY_NINE)
    assert seen is not None and seen.answers == 400 and not seen.alarmed
    worse = {"GOOD": 0.25, "POOR": 0.02}
    await log.decide(400, MONDAY_NINE - timedelta(days=1), predicted=TRUTH, truth=worse)
    for _ in range(2):
        seen = await watching.watch(tx, MONDAY_NINE)
        assert seen is not None and seen.alarmed
    await tx.commit()
    (alarm,) = (await as_admin("GET", ""))["alarms"]
    assert alarm["model_version"] == "before" and alarm["ended_at"] is None
    assert alarm["figures"]["observed"] < alarm["figures"]["predicted"]
    # Whoever answers for all units is alerted once, until no model is in force that could be off.
    told = select(Alert).where(Alert.kind == AlertKind.MODEL_DRIFTED)
    alerts = (await tx.scalars(told)).all()
    assert alerts and all(one.figure < one.most and one.ended_at is None for one in alerts)
    live.state = PolicyState.RETIRED
    await watching.watch(tx, MONDAY_NINE)
    await tx.commit()
    tx.expire_all()
    assert all(one.ended_at is not None for one in await tx.scalars(told))
    assert (await as_admin("GET", ""))["alarms"][0]["ended_at"] is not None


async def test_whoever_hears_of_a_drift_finds_the_newest_candidate_judged(tx, worker):
    await make_model(tx, "older", {})
    newest = await make_model(tx, "newer", {})
    await tx.commit()
    await jobs.drifted(worker, "before")
    asked = (await tx.scalars(select(PolicyEvaluation))).all()
    assert [(one.model_id, one.asked_by) for one in asked] == [(newest.id, None)]


async def test_what_was_pitched_against_a_guard_is_found_without_the_gates(tx, log):
    async def found():
        return (await guards.violations(tx, LAST_NIGHT - timedelta(days=2), MONDAY_NINE)).against

    await log.decide(4, LAST_NIGHT)
    assert await found() == 0
    about = log.customers[0]
    complaint = Interaction(
        customer_id=about.id,
        at=LAST_NIGHT - timedelta(days=20),
        channel=Channel.PHONE,
        kind=InteractionKind.COMPLAINT,
        subject="慢",
    )
    tx.add(complaint)
    await tx.flush()
    assert await found() == 1
    complaint.closed_at = LAST_NIGHT - timedelta(days=15)
    await tx.flush()
    assert await found() == 0
    about.do_not_disturb, about.do_not_disturb_since = True, LAST_NIGHT - timedelta(days=3)
    await tx.flush()
    assert await found() == 1
    other = log.customers[1]
    for days in (3, 6, 9):
        tx.add(
            Interaction(
                customer_id=other.id,
                at=LAST_NIGHT - timedelta(days=days),
                channel=Channel.SMS,
                kind=InteractionKind.SALES,
                subject="GOOD",
            )
        )
    await tx.flush()
    assert await found() == 2


async def test_figures_say_what_they_are_made_of(tx, log, as_admin, province):
    """Two days: one so long ago that its outcomes are known, and the last one."""
    for customer in log.customers:
        customer.org_unit_id = province.id
        await make_subscription(tx, customer)
    long_ago = LAST_NIGHT - timedelta(days=31)
    await log.decide(40, long_ago, over=timedelta(hours=4), truth={"GOOD": 1.0, "POOR": 0.0})
    yesterday = LAST_NIGHT - timedelta(hours=9)
    await log.decide(60, yesterday, over=timedelta(hours=4), pitch=0.5)
    tx.add(
        Interaction(
            customer_id=log.customers[0].id,
            at=long_ago + timedelta(days=2),
            channel=Channel.PHONE,
            kind=InteractionKind.COMPLAINT,
            subject="慢",
        )
    )
    await tx.flush()
    assert await adding_up.add_up(tx, LAST_NIGHT, MONDAY_NINE)
    assert not await adding_up.add_up(tx, LAST_NIGHT, MONDAY_NINE)
    await tx.commit()
    path = "/metrics?from=2026-01-25&until=2026-03-01"
    figures = {one["metric"]: one for one in (await as_admin("GET", path))["figures"]}
    accepted = figures["acceptance"]
    silent = accepted["left_out"]
    assert 15 < silent < 45 and accepted["denominator"] == 100 - silent
    kept = figures["kept_30"]
    assert kept["value"] == 1 and kept["denominator"] + kept["left_out"] == accepted["numerator"]
    value = figures["value_per_visit"]
    assert value["denominator"] == 100
    assert value["numerator"] == pytest.approx(
        10_000 * accepted["numerator"] - 300 * accepted["denominator"]
    )
    complaints = figures["complaints_14"]
    assert (complaints["numerator"], complaints["denominator"]) == (10, 40)
    assert complaints["left_out"] == 60 - silent
    assert figures["reasons_given"]["value"] == 1
    assert figures["guard_violations"]["denominator"] == accepted["denominator"]
    assert figures["calibration"]["numerator"] == pytest.approx(0.2 * accepted["denominator"])
    assert figures["contacts_per_customer"]["value"] is None
    of_another = (await as_admin("GET", f"{path}&version=other"))["figures"]
    assert all(one["denominator"] == 0 for one in of_another)
    await as_admin("GET", "/metrics?from=2025-01-01&until=2026-03-01", status=422)


async def test_who_left_is_held_against_who_was_offered_nothing(tx, log, as_admin, province):
    quarter = LAST_NIGHT - timedelta(days=91, hours=9)
    for number, customer in enumerate(log.customers):
        customer.org_unit_id = province.id
        ends = (quarter + timedelta(days=40)).date() if number == 0 else None
        await make_subscription(tx, customer, ended_on=ends)
    await log.decide(4, quarter, over=timedelta(hours=2))
    await log.decide(4, quarter, over=timedelta(hours=1), group="holdout")
    await adding_up.add_up(tx, LAST_NIGHT, MONDAY_NINE)
    await tx.commit()
    path = "/metrics?from=2025-11-01&until=2026-03-01"
    figures = {one["metric"]: one for one in (await as_admin("GET", path))["figures"]}
    treated = figures["churn_90_treated"]
    assert (treated["numerator"], treated["denominator"]) == (1, 4)
