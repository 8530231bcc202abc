"""A model's way to the doors: each step is checked, and the last is taken by two people."""

from datetime import timedelta
from uuid import UUID

import pytest

from app.auth.rules import Role
from app.policies.service import evaluating
from app.suggestions.rules.model import ModelKind, PolicyState
from tests.conftest import MONDAY_NINE
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.policies import TRUTH, make_log, make_model

WHY = {"reason": "试点"}


async def judged(tx, as_admin, version):
    """Ask for an evaluation and have it worked out here, as a worker's process would."""
    asked = await as_admin("POST", f"/{version}/evaluations", status=202)
    await evaluating.work_out(tx, UUID(asked["id"]), MONDAY_NINE)
    await tx.commit()
    return asked["id"]


async def test_a_model_goes_live_step_by_step_and_by_two_people(tx, as_admin, admins):
    log = await make_log(tx, now=MONDAY_NINE)
    await make_model(tx, "before", {"GOOD": 0.2, "POOR": 0.2}, state=PolicyState.LIVE)
    await make_model(tx, "next", TRUTH)
    await log.decide(800, MONDAY_NINE, over=timedelta(days=40))
    await tx.commit()
    shadow = await as_admin("POST", "/next/promote", to="shadow", **WHY)
    assert (shadow["state"], shadow["findings"]) == ("done", [])
    refused = await as_admin("POST", "/next/promote", status=409, to="challenger", **WHY)
    assert refused["type"].endswith("policy-not-evaluated")

    asked = await as_admin("POST", "/next/evaluations", status=202)
    again = await as_admin("POST", "/next/evaluations", status=200)
    assert again["id"] == asked["id"] and again["state"] == "waiting" and again["result"] is None
    await evaluating.work_out(tx, UUID(asked["id"]), MONDAY_NINE)
    await tx.commit()
    result = (await as_admin("GET", f"/next/evaluations/{asked['id']}"))["result"]
    assert result["decisions"] == 800 and result["current"] == "before"
    # The log tries both alike: half of its decisions bring what the good one does.
    model, current = result["policies"]["model"], result["policies"]["current"]
    assert model["dr"]["low"] < 5_000 - 300 < model["dr"]["high"]
    assert model["snips"]["value"] > current["snips"]["value"] + 1_500
    assert 300 < model["effective"] < 500 and result["gain"]["low"] > 0
    assert {group["kind"] for group in result["groups"]} == {
        "tier", "stage", "segment", "elderly"
    }  # fmt: skip
    listed = await as_admin("GET", "/next/evaluations")
    assert [one["id"] for one in listed["evaluations"]] == [asked["id"]]

    challenger = await as_admin("POST", "/next/promote", to="challenger", **WHY)
    checks = {one["check"]: one["holds"] for one in challenger["findings"]}
    assert checks == dict.fromkeys(("value", "guards", "calibration", "groups"), True)
    waiting = await as_admin("POST", "/next/promote", to="live", **WHY)
    assert (waiting["state"], waiting["agreed_by"]) == ("waiting", None)
    # Whoever asked cannot agree; asking again is asking once.
    assert (await as_admin("POST", "/next/promote", to="live", **WHY))["id"] == waiting["id"]
    assert (await as_admin("GET", ""))["live"] == "before"
    agreed = await as_admin("POST", "/next/promote", who=1, to="live", reason="同意")
    assert (agreed["id"], agreed["state"]) == (waiting["id"], "done")
    assert agreed["asked_by"] == str(admins[0].account_id)
    assert agreed["agreed_by"] == str(admins[1].account_id)
    listed = await as_admin("GET", "")
    assert listed["live"] == "next" and not listed["rules_only"]
    states = {one["version"]: one["state"] for one in listed["policies"]}
    assert states == {"next": "live", "before": "retired"}
    whole = await as_admin("GET", "/next")
    assert [step["to_state"] for step in whole["steps"]] == ["live", "challenger", "shadow"]
    assert set(whole["document"]["offers"]) == set(TRUTH)

    await as_admin("POST", "/next/retire", reason="偏离")
    assert (await as_admin("GET", ""))["live"] is None


@pytest.mark.parametrize(
    "rates, error, failed",
    [
        ({"GOOD": 0.001, "POOR": 0.9}, 0.01, ["value", "groups"]),
        (TRUTH, 0.2, ["calibration"]),
    ],
)
async def test_a_model_that_fails_a_check_decides_nothing(tx, as_admin, rates, error, failed):
    log = await make_log(tx, now=MONDAY_NINE)
    await make_model(tx, "next", rates, state=PolicyState.SHADOW, calibration_error=error,
                     trained_until=MONDAY_NINE)  # fmt: skip
    await log.decide(400, MONDAY_NINE, over=timedelta(days=40))
    await tx.commit()
    await judged(tx, as_admin, "next")
    refused = await as_admin("POST", "/next/promote", status=409, to="challenger", **WHY)
    assert refused["facts"]["failed"] == failed
    assert len(refused["facts"]["findings"]) == 4
    assert (await as_admin("GET", "/next"))["state"] == "shadow"


async def test_steps_that_are_not_there_are_refused(tx, as_admin):
    await make_model(tx, "first", {"A": 0.2})
    await make_model(tx, "other", {"A": 0.2}, state=PolicyState.CHALLENGER)
    await make_model(tx, "second", {"A": 0.2}, state=PolicyState.SHADOW)
    await make_model(tx, "leaving", {}, kind=ModelKind.CHURN)
    await tx.commit()
    skipped = await as_admin("POST", "/first/promote", status=409, to="live", **WHY)
    assert skipped["facts"]["possible"] == ["retired", "shadow"]
    there = await as_admin("POST", "/second/promote", status=409, to="challenger", **WHY)
    assert (there["facts"]["other"], there["facts"]["state"]) == ("other", "challenger")
    for path, body in (("promote", {"to": "shadow", **WHY}), ("evaluations", {})):
        card = await as_admin("POST", f"/leaving/{path}", status=409, **body)
        assert card["type"].endswith("policy-is-a-churn-card")
    await as_admin("POST", "/nobody/retire", status=404, **WHY)
    await as_admin("POST", "/first/retire", status=422)
    when = {"since": "2026-03-03T00:00:00+08:00", "until": "2026-03-01T00:00:00+08:00"}
    await as_admin("POST", "/first/evaluations", status=422, **when)
    await as_admin("POST", "/first/retire", **WHY)
    gone = await as_admin("POST", "/first/retire", status=409, **WHY)
    assert gone["type"].endswith("policy-step-refused")


async def test_the_experts_begin_while_nothing_is_live(tx, as_admin):
    await make_model(tx, "experts", {})
    await tx.commit()
    assert (await as_admin("POST", "/experts/promote", to="live", **WHY))["state"] == "waiting"
    await as_admin("POST", "/experts/promote", who=1, to="live", **WHY)
    assert (await as_admin("GET", ""))["live"] == "experts"


async def test_one_switch_lets_rules_alone_decide(tx, app, http, as_admin):
    assert (await as_admin("POST", "/switch", rules_only=True))["rules_only"]
    assert (await as_admin("GET", ""))["rules_only"]
    await as_admin("POST", "/switch", rules_only=False)
    assert not (await as_admin("GET", ""))["rules_only"]
    # It is for everybody, so an administrator of a part of the province has no say in it.
    part = await make_org_unit(tx, parent=await make_org_unit(tx))
    account = await make_account(tx, part)
    below = bearer(app, caller_for(Role.ADMIN, part, account_id=account.id))
    answer = await http.post("/v1/policies/switch", json={"rules_only": True}, headers=below)
    assert answer.status_code == 404


@pytest.mark.parametrize("role, status", [(Role.SUPERVISOR, 403), (Role.TECHNICIAN, 403)])
async def test_only_administrators_move_policies(tx, app, http, province, role, status):
    await make_model(tx, "next", {})
    await tx.commit()
    headers = bearer(app, caller_for(role, province))
    body = {"to": "shadow", **WHY}
    answer = await http.post("/v1/policies/next/promote", json=body, headers=headers)
    assert answer.status_code == status
    reading = await http.get("/v1/policies", headers=headers)
    assert reading.status_code == (200 if role is Role.SUPERVISOR else 403)
