"""A night's learning, and the refit that follows a live model."""

import asyncio
import json
from datetime import timedelta
from unittest.mock import AsyncMock

import pytest
from sqlalchemy import func, select

from app.alerts.models import Alert
from app.alerts.rules import AlertKind
from app.core.clock import CompressedClock, wall
from app.core.jobs import Worker
from app.core.settings import Settings
from app.policies import jobs
from app.policies.models import PolicyStep
from app.policies.service import evaluating, learning
from app.policies.service.night import Night, night
from app.suggestions.models import PolicyModel
from app.suggestions.rules.model import PolicyState
from tests.conftest import MONDAY_NINE
from tests.make.auth import make_org_unit
from tests.make.catalog import make_offering
from tests.make.commands import told
from tests.make.policies import EXPERT, TRUTH, make_log, make_model

# Where a season of answers was written and rolled back before, the night's sums are planned by what
# was there then, and take minutes instead of a second.
pytestmark = pytest.mark.unused_database

LAST_NIGHT = MONDAY_NINE - timedelta(hours=7)


async def models(tx):
    rows = await tx.scalars(
        select(PolicyModel).order_by(PolicyModel.id).execution_options(populate_existing=True)
    )
    return rows.all()


async def test_a_night_teaches_what_was_answered_often_enough(tx, database):
    log = await make_log(tx, now=MONDAY_NINE)
    await make_offering(tx, code="NEW", expert_rate=EXPERT)
    await log.decide(500, LAST_NIGHT, over=timedelta(days=60))
    await tx.commit()
    done = await night(database, MONDAY_NINE)
    assert done.learned is not None and done.learned.answers == 500
    model, experts = await models(tx)
    assert (experts.version, experts.state) == ("experts", PolicyState.CANDIDATE)
    assert (model.version, model.state) == ("offers-2026-03-02", PolicyState.CANDIDATE)
    assert model.trained_until == MONDAY_NINE - timedelta(hours=6)
    yes, no = model.figures["offers"]["GOOD"]
    assert yes > 100 and no > 100
    # The other was never offered, and is believed by its expert and by what was said to these.
    assert model.figures["learned"] == ["GOOD", "POOR"]
    offers = model.document["offers"]
    assert sorted(offers) == ["GOOD", "NEW", "POOR"]
    assert [offers[code]["accepted"] for code in ("GOOD", "NEW")] == [yes, 0]
    means = [offers[code]["mean"][0] for code in ("POOR", "NEW", "GOOD")]
    assert means == sorted(means)
    tested = model.figures["tested"]
    assert 20 < tested["answers"] < 100 and tested["calibration_error"] < 0.3
    # The same night is not learned from twice, and the next one is.
    assert (await night(database, MONDAY_NINE + timedelta(hours=1))).learned is None
    assert (await night(database, MONDAY_NINE + timedelta(days=1))).learned is not None
    assert [one.version for one in await models(tx)][2:] == ["offers-2026-03-03"]


async def test_a_candidate_nobody_takes_up_is_put_away(tx, database, clock):
    old = await make_model(tx, "old", {}, trained_until=MONDAY_NINE - timedelta(days=15))
    kept = await make_model(
        tx, "tried", {}, state=PolicyState.SHADOW, trained_until=old.trained_until
    )
    await tx.commit()
    await night(database, MONDAY_NINE)
    states = {one.version: one.state for one in await models(tx)}
    assert states[old.version] is PolicyState.RETIRED
    assert states[kept.version] is PolicyState.SHADOW


@pytest.mark.parametrize("lately, follows", [(0.5, True), (0.1, False)])
async def test_a_refit_follows_the_live_model_when_its_chances_are_true(
    tx, database, lately, follows
):
    """The one before does not know that one of two offers is poor. What nobody wants any more since
    some days is not foretold, so then the refit waits for somebody to look at it."""
    log = await make_log(tx, now=MONDAY_NINE)
    live = await make_model(tx, "before", {"GOOD": 0.2, "POOR": 0.2}, state=PolicyState.LIVE)
    await log.decide(1_500, LAST_NIGHT - timedelta(days=6), over=timedelta(days=20))
    await log.decide(500, LAST_NIGHT, over=timedelta(days=5), truth={"GOOD": lately, "POOR": 0.08})
    await tx.commit()
    done = await night(database, MONDAY_NINE)
    assert done.evaluation is not None
    await tx.refresh(live)
    refit = (await models(tx))[1]
    assert (refit.state is PolicyState.LIVE) is follows
    assert (live.state is PolicyState.RETIRED) is follows
    steps = (await tx.scalars(select(PolicyStep))).all()
    assert [step.asked_by for step in steps] == ([None] if follows else [])


async def test_a_worker_has_the_night_done_by_a_process_of_its_own(real_database, tmp_path):
    """And once, though somebody else is at it at the same time."""
    async with real_database.begin() as tx:
        log = await make_log(tx, now=MONDAY_NINE)
        await log.decide(250, LAST_NIGHT)
    clock = CompressedClock(MONDAY_NINE, wall(), 1.0, timedelta(days=1))
    url = real_database.engine.url.render_as_string(hide_password=False)
    settings = Settings(database_url=url, signing_keys=tmp_path / "keys", clock=clock.text())
    worker = Worker(settings, clock, real_database)
    await asyncio.gather(jobs.learn(worker), night(real_database, clock.now()))
    async with real_database.read() as read:
        assert await read.scalar(select(func.count()).select_from(PolicyModel)) == 2
        assert await learning.due(read, clock.now()) is None
    env = {"DATABASE_URL": url, "YINGWEI_CLOCK": clock.text(), "COLUMNS": "160"}
    shown = await told("policy", "list", env=env)
    assert "live: none" in shown.stdout and "offers-2026-03-02" in shown.stdout
    days = ("--from", "2026-02-01", "--until", "2026-03-01")
    for window, since in (((), "2025-12-02"), (days, "2026-01-31T16:00:00Z")):
        read = await told("policy", "evaluate", "offers-2026-03-02", *window, "--json", env=env)
        judged = json.loads(read.stdout)
        assert (judged["state"], judged["version"]) == ("done", "offers-2026-03-02")
        assert judged["since"].startswith(since) and judged["result"]["policies"]
    shown = await told("policy", "evaluate", "offers-2026-03-02", *days, env=env)
    assert "judged on 2026-01-31 16:00 to 2026-02-28 16:00 UTC" in shown.stdout


async def test_an_evaluation_that_fails_keeps_no_drift_from_being_seen_and_is_tried_again(
    tx, database, monkeypatch
):
    await make_model(tx, "before", TRUTH, state=PolicyState.LIVE)
    log = await make_log(tx, now=MONDAY_NINE)
    worse = {"GOOD": 0.25, "POOR": 0.02}
    week = timedelta(days=7)
    await log.decide(500, LAST_NIGHT, over=week, predicted=TRUTH, truth=worse)
    await tx.commit()

    async def judge(*_):
        raise RuntimeError

    with monkeypatch.context() as broken:
        broken.setattr(evaluating, "judge", judge)
        done = await night(database, MONDAY_NINE)
    assert (done.failed, done.evaluation) == (["policies.follow"], None)
    assert done.learned is not None and done.drift is not None and done.drift.alarmed
    # An hour later what failed is done, and nothing else once more: on its own season, whatever
    # somebody else has asked for and waits for.
    since, version = MONDAY_NINE - timedelta(days=2), done.learned.model.version
    await evaluating.ask(
        tx, version, since=since, until=MONDAY_NINE, account_id=None, now=MONDAY_NINE
    )
    await tx.commit()
    again = await night(database, MONDAY_NINE + timedelta(hours=1))
    assert again.evaluation is not None and again.evaluation.model_id == done.learned.model.id
    assert again.evaluation.since < since - timedelta(days=30)
    assert (again.learned, again.drift, again.failed) == (None, None, [])
    assert (await night(database, MONDAY_NINE + timedelta(hours=2))) == Night()


async def test_whoever_answers_for_all_units_is_alerted_while_a_night_fails(
    tx, database, monkeypatch, tmp_path
):
    unit = await make_org_unit(tx)
    await tx.commit()
    clock = CompressedClock(MONDAY_NINE, wall(), 1.0, timedelta(days=1))
    settings = Settings(database_url="postgresql://", signing_keys=tmp_path / "keys")
    worker = Worker(settings, clock, database)
    alert = select(Alert).execution_options(populate_existing=True)
    for code, done, over in (
        (1, False, False),
        (1, False, False),
        # This worker has found another one at the part that failed.
        (0, False, False),
        (0, True, True),
    ):
        monkeypatch.setattr(jobs, "_apart", AsyncMock(return_value=code))
        if done:
            assert (await night(database, clock.now())).failed == []
        await jobs.learn(worker)
        (told,) = (await tx.scalars(alert)).all()
        assert (told.kind, told.org_unit_id) == (AlertKind.POLICIES_NIGHT_FAILED, unit.id)
        # It was to begin at three.
        assert (told.figure, told.most, told.ended_at is not None) == (6, 3, over)
