"""Who wants no personal ranking is neither called nor sorted because of a profile."""

from datetime import date, timedelta
from typing import Any

import pytest

from app.lifecycle.rules import ChangeKind, ChurnClass, Signal, Stage, Tier
from app.retention import jobs
from app.retention.rules import CaseState, Cause, Handling
from tests.make.customers import make_subscription
from tests.make.retention import make_care_rule, make_leaver, make_toolkit, make_warning
from tests.retention.conftest import slug
from tests.retention.test_cases import cases_of, household, set_numbers

DAY = timedelta(days=1)
TOLD: dict[str, dict[str, Any]] = {
    "churn": {"kind": ChangeKind.CHURN_CLASS},
    "decline": {"kind": ChangeKind.STAGE, "before": "climax", "after": "decline"},
    "tier": {"kind": ChangeKind.TIER, "before": "A", "after": "B"},
}


async def unranked(office, **stands):
    customer = await household(office, **stands)
    customer.personal_offers = False
    await office.tx.flush()
    return customer


@pytest.mark.parametrize("told", TOLD)
async def test_a_profile_makes_no_case_of_them(tx, office, worker, clock, told):
    await make_care_rule(tx, handling=Handling.CALL)
    await set_numbers(tx, clock, holdout_percent=0)
    customer = await unranked(office, tier=Tier.B, signals=[Signal.USAGE_DOWN])
    others = await household(office, tier=Tier.B)
    for one in (customer, others):
        await make_warning(tx, one, at=clock.now(), **TOLD[told])
    await jobs.look_around(worker)
    assert (await cases_of(tx)).keys() == {others.id}


@pytest.mark.parametrize("said", [Signal.COMPLAINTS, Signal.ASKED_TO_LEAVE])
async def test_what_they_said_themselves_is_looked_after_without_offers(
    tx, office, worker, clock, said
):
    await make_toolkit(tx)
    await make_toolkit(tx, kind="care_by_value")
    await make_care_rule(tx, tiers=["A", "B"], handling=Handling.VISIT, place=1)
    await make_care_rule(tx, causes=["complained"], handling=Handling.CALL, place=2)
    await set_numbers(tx, clock, holdout_percent=0)
    customer = await unranked(office, tier=Tier.A, signals=[said], hidden_high_value=True)
    for told in TOLD.values():
        await make_warning(tx, customer, at=clock.now(), **told)
    await jobs.look_around(worker)
    case = (await cases_of(tx))[customer.id]
    assert (case.cause, case.handling, case.toolkit_id) == (Cause.COMPLAINED, Handling.CALL, None)
    assert (case.tier, case.churn_class, case.value_12m_fen) == (None, None, None)
    claimed = await office.ok("supervisor", "POST", f"/retention-cases/{case.id}/claim")
    assert claimed["offers"] == []


async def test_who_chooses_so_later_is_not_called_any_more(tx, office, worker, clock):
    await make_care_rule(tx, handling=Handling.CALL)
    await set_numbers(tx, clock, holdout_percent=0)
    customer = await household(office)
    await make_warning(tx, customer, at=clock.now())
    await jobs.look_around(worker)
    case = (await cases_of(tx))[customer.id]
    customer.personal_offers = False
    await tx.flush()
    refused = await office.ask("supervisor", "POST", f"/retention-cases/{case.id}/claim")
    assert slug(refused) == (409, "case-not-open")
    await jobs.look_around(worker)
    assert (await cases_of(tx))[customer.id].state is CaseState.DROPPED


async def test_lists_have_them_like_everybody_of_whom_nothing_is_known(tx, office, clock):
    for kind in ("renewal", "win_back"):
        await make_toolkit(tx, kind=kind, tiers=["A"], offers=["DEAR"])
        await make_toolkit(tx, kind=kind, offers=["STANDARD"])
    grid = office.land.grids[0].id
    best = {"tier": Tier.A, "value_12m_fen": 900_000}
    plain = await unranked(office, **best)
    poor = await household(office, tier=Tier.D)
    for customer in (plain, poor):
        await make_subscription(tx, customer, contract_ends_on=date(2026, 3, 12))
    for customer in (await unranked(office, **best), await household(office, tier=Tier.D)):
        await make_leaver(tx, customer, left_on=date(2026, 1, 1), now=clock.now(), **best)
    listed = (await office.ok("supervisor", "GET", "/renewals", grid_id=grid))["entries"]
    assert [one["customer_id"] for one in listed] == [str(poor.id), str(plain.id)]
    left = (await office.ok("supervisor", "GET", "/win-back", grid_id=grid))["entries"]
    assert [one["offers"] for one in left] == [["DEAR"], ["STANDARD"]]
    for entry in (listed[1], left[1]):
        assert (entry["tier"], entry["value_12m_fen"], entry["offers"]) == (
            None,
            None,
            ["STANDARD"],
        )
    assert (listed[1]["churn_class"], listed[1]["stage"]) == (None, None)
    page = {"grid_id": grid, "tier": "A"}
    assert len((await office.ok("supervisor", "GET", "/renewals", **page))["entries"]) == 0
    assert len((await office.ok("supervisor", "GET", "/win-back", **page))["entries"]) == 1


async def test_a_tier_that_may_fall_is_said_to_and_only_while_it_may(tx, office, worker, clock):
    await make_care_rule(tx, handling=Handling.CALL)
    await set_numbers(tx, clock, holdout_percent=0)
    told = {"kind": ChangeKind.TIER_FORECAST, "before": "A", "after": "C"}
    calm = {"stage": Stage.CLIMAX, "churn_class": ChurnClass.LOW, "tier": Tier.A}
    falling = await household(office, **calm, tier_forecast=Tier.B)
    well_again = await household(office, **calm, tier_forecast=Tier.A)
    unknown = await household(office, **calm, tier_forecast=None)
    for customer in (falling, well_again, unknown):
        await make_warning(tx, customer, at=clock.now() - DAY, **told)
    await jobs.look_around(worker)
    cases = await cases_of(tx)
    assert cases.keys() == {falling.id}
    path = f"/retention-cases/{cases[falling.id].id}"
    said = await office.ok("supervisor", "GET", path)
    assert said["cause"] == "tier_forecast"
    assert said["cause_words"]["en"] == "is about to fall a value tier"
