"""What is drawn and how likely it was: propensities, floors, groups, and models side by side."""

from dataclasses import replace
from datetime import UTC, date, datetime
from math import log, sqrt
from random import Random
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from app.auth.rules import Role
from app.core.db import new_id
from app.core.parameter_values import ParameterValue
from app.core.parameters import Parameters
from app.suggestions.models import (
    PolicyModel,
    Suggestion,
    SuggestionCampaign,
    SuggestionDecision,
)
from app.suggestions.rules import Group, HeldBack
from app.suggestions.rules.exploring import (
    EARLY_FROM,
    FLOOR_PILOT,
    LATE_FROM,
    RULES_ONLY,
    Shares,
    challenged,
    floor_in_force,
    group_of,
)
from app.suggestions.rules.gates import held_back
from app.suggestions.rules.model import (
    FEATURES,
    Model,
    ModelKind,
    OfferModel,
    PolicyState,
    Trying,
    chance_of,
    chosen,
    drawn,
    features,
    luck,
    propensity_of,
)
from app.suggestions.rules.ranking import Way, foreseen, ranked
from tests.make.auth import bearer, caller_for
from tests.suggestions.test_gates import FASTER, HOME, LIMITS, MESH, MORE, OFFERS, facts

AT_REST = replace(HOME, work_type="care", faults=0)
COLD = Model.cold("cold")
TRYING = Trying(floor=0.1, alike=0.25, spread=0.5)
ALIKE = [replace(MESH, code=f"MESH-{n}", category=f"c{n}") for n in range(3)]


def first(candidates):
    return next((one.offer.code for one in candidates if one.rank == 1), None)


# --- propensities ---------------------------------------------------------------------------------


def test_without_rows_a_model_believes_the_experts_as_sure_as_fifty_customers():
    prior = OfferModel.prior(0.1, len(FEATURES))
    learned = Model("m", {FASTER.code: prior})
    told = features(AT_REST, FASTER)
    for model in (COLD, learned):
        assert model.belief(FASTER, told).rate == pytest.approx(FASTER.expert_rate, rel=0.05)
    assert COLD.belief(FASTER, {})[1] == pytest.approx(1 / sqrt(50 * 0.1 * 0.9))
    assert COLD.belief(FASTER, told)[1] == pytest.approx(learned.belief(FASTER, told)[1])
    assert Model.of_document("m", learned.document()) == learned
    assert chance_of(learned.terms(FASTER, told)) == pytest.approx(
        learned.belief(FASTER, told).rate
    )


def test_nothing_wins_where_no_offer_is_worth_anything_and_has_no_floor():
    assert propensity_of([[-1.0, -2.0]] * 4, 0.1) == pytest.approx([0.05, 0.05, 0.9])
    assert propensity_of([[1.0, -2.0], [1.0, 3.0]], 0.0) == [0.5, 0.5, 0.0]
    assert propensity_of([], 0.1) == [1.0]


def test_of_the_floor_most_goes_to_who_could_yet_be_best_and_some_to_all():
    scores, bold = [[2.0, 1.0, -9.0]] * 4, [[2.0, 3.0, -9.0], [5.0, 3.0, -9.0]]
    shares = propensity_of(scores, 0.12, bold, 0.25)
    assert shares == pytest.approx([0.88 + 0.01 + 0.045, 0.01 + 0.045, 0.01, 0.0])
    # Nothing never wins a bold draw, and with none at all the floor is shared alike.
    assert propensity_of([[-1.0]], 0.1, [[-1.0]], 0.25) == pytest.approx([0.1, 0.9])
    assert propensity_of(scores, 0.12, (), 0.25) == propensity_of(scores, 0.12)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_however_much_of_the_doubt_is_heeded_the_chance_stays_the_same(spread):
    belief = COLD.belief(FASTER, features(AT_REST, FASTER))
    heeded = belief.heeding(spread)
    assert heeded[1] == pytest.approx(spread * belief[1])
    assert heeded.rate == pytest.approx(belief.rate)
    chances = [one for (one,) in drawn([belief], luck(1, Random(5), 4_000), spread)]
    assert sum(chances) / 4_000 == pytest.approx(belief.rate, abs=0.01)


def test_what_was_logged_is_how_often_it_comes_first():
    """Each repeat has draws of its own and so a propensity of its own; together they must agree."""
    repeats = [
        ranked(AT_REST, ALIKE, LIMITS, way=Way(model=COLD, trying=TRYING, seed=seed))
        for seed in range(400)
    ]
    for code in [offer.code for offer in ALIKE]:
        shares = [
            one.propensity or 0.0 for found in repeats for one in found if one.offer.code == code
        ]
        came = sum(first(found) == code for found in repeats)
        spread = sqrt(sum(share * (1 - share) for share in shares))
        assert abs(came - sum(shares)) / spread < 4
    # One vector, drawn from again and again.
    believed = [COLD.belief(offer, {}) for offer in ALIKE]
    vector = propensity_of(drawn(believed, luck(len(ALIKE), Random(7))), 0.1)
    chance = Random(8)
    picks = [chosen(vector, chance) for _ in range(400)]
    for place, share in enumerate(vector[:-1]):
        assert abs(picks.count(place) - 400 * share) / sqrt(400 * share * (1 - share)) < 4


def test_the_seed_repeats_a_decision():
    for group in Group:
        way = Way(group, COLD, TRYING, 4711)
        assert ranked(AT_REST, ALIKE, LIMITS, way=way) == ranked(AT_REST, ALIKE, LIMITS, way=way)


ways = st.builds(
    Way,
    group=st.sampled_from(Group),
    model=st.none() | st.just(COLD),
    trying=st.builds(
        Trying, st.just(0.0) | st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.25, 1.0])
    ),
    seed=st.integers(0, 2**62),
)


@settings(max_examples=40)
@given(known=facts, way=ways, generic=st.booleans())
def test_nothing_that_a_gate_holds_is_ever_drawn_and_few_are_shown(known, way, generic):
    known = replace(known, generic=generic)
    found = ranked(known, OFFERS, LIMITS, way=way)
    shown = [one for one in found if one.rank is not None]
    assert len(shown) <= 3
    for one in found:
        gate = held_back(known, one.offer, LIMITS)
        assert (one.propensity is None) == (gate is not None)
        assert gate is None or (one.held_back is gate and one.rank is None)
        assert sum(part.fen for part in one.parts) == one.score
        assert one.score == pytest.approx(one.scoring.at(one.scoring.chance), abs=1)
    shares = [one.propensity for one in found if one.propensity is not None]
    assert sum(shares) <= 1 + 1e-9
    assert all(share >= 0 for share in shares)
    if way.group is Group.HOLDOUT:
        assert not shown
        assert not any(shares)
    elif way.model is not None and way.group is Group.POLICY and not generic:
        least = way.trying.floor * way.trying.alike / len(shares) if shares else 0
        assert all(share >= least - 1e-9 for share in shares)


@settings(max_examples=40)
@given(known=facts, more=st.lists(st.sampled_from(MORE), min_size=1, max_size=4), way=ways)
def test_with_a_model_too_another_reason_lets_nothing_through(known, more, way):
    def through(known):
        found = ranked(known, OFFERS, LIMITS, way=way)
        return {one.offer.code for one in found if one.propensity is not None}

    before = through(known)
    for add in more:
        known = add(known)
    assert through(known) <= before


def test_whoever_wants_no_ranking_of_their_own_sees_what_everybody_sees():
    rich = replace(AT_REST, generic=True, monthly_usage_gb=900, churn_score=0.9, tier="A")
    plain = replace(AT_REST, generic=True, monthly_usage_gb=None)
    assert features(rich, FASTER) == {}
    for way in (Way(model=COLD, trying=TRYING, seed=1), Way(Group.UNIFORM, COLD, TRYING, 2)):
        seen = [
            [(one.offer.code, one.rank, one.score) for one in ranked(known, ALIKE, LIMITS, way=way)]
            for known in (rich, plain)
        ]
        assert seen[0] == seen[1]


# --- campaigns ------------------------------------------------------------------------------------


def sure_of(rates):
    """A model that is sure of the chance of each offer, whoever it is made to."""
    size = len(FEATURES) + 1
    nothing = (0.0,) * size
    return Model(
        "sure",
        {
            code: OfferModel(rate, (log(rate / (1 - rate)), *nothing[1:]), (nothing,) * size)
            for code, rate in rates.items()
        },
    )


@pytest.mark.parametrize(
    ("rates", "pushes", "propensities", "shown", "why"),
    [
        # 40,000 fen at 0.5 % less a contact of 300: -100 by itself, 100 with a campaign.
        ([0.005, 0.005], [2.0, 1.0], [0.05, 0.05], None, ["campaign_alone", "nothing_today"]),
        # The campaign's 100 fen stand behind no offer that is worth 20 without one.
        ([0.005, 0.008], [2.0, 1.0], [0.05, 0.95], "MESH-1", ["campaign_alone", None]),
        # Among what is worth a contact campaigns rank: 2 x 320 - 300 against 360 - 300.
        ([0.008, 0.009], [2.0, 1.0], [0.95, 0.05], "MESH-0", [None, None]),
        # And what a campaign takes away may be what made it worth one.
        ([0.009, 0.005], [0.5, 1.0], [0.05, 0.05], None, ["nothing_today", "nothing_today"]),
    ],
)
def test_no_campaign_makes_an_offer_worth_a_contact_that_the_model_thinks_little_of(
    rates, pushes, propensities, shown, why
):
    """The experts think the world of both, so that every gate lets them through."""
    offers = [replace(one, push=push) for one, push in zip(ALIKE, pushes, strict=False)]
    model = sure_of(dict(zip([one.code for one in offers], rates, strict=True)))
    way = Way(model=model, trying=Trying(floor=0.1, alike=1.0), seed=5)
    found = {one.offer.code: one for one in ranked(AT_REST, offers, LIMITS, way=way)}
    told = [found[offer.code] for offer in offers]
    assert [one.propensity for one in told] == pytest.approx(propensities)
    assert first(told) == shown
    assert [one.held_back for one in told] == why
    assert all(sum(part.fen for part in one.parts) == one.score for one in told)


pushes = st.lists(st.floats(0.5, 2), min_size=len(OFFERS), max_size=len(OFFERS))


@settings(max_examples=60)
@given(known=facts, push=pushes, way=ways, worth=st.integers(500, 60_000))
def test_only_trying_shows_what_is_not_worth_a_contact_without_its_campaign(
    known, push, way, worth
):
    way = replace(way, model=sure_of({one.code: 0.02 for one in OFFERS}))
    tries = way.trying.floor > 0 or way.group is Group.UNIFORM
    offers = [
        replace(one, push=times, margin_12m_fen=worth)
        for one, times in zip(OFFERS, push, strict=True)
    ]
    found = ranked(known, offers, LIMITS, way=way)
    alone = ranked(
        known, [replace(one, push=min(one.push, 1.0)) for one in offers], LIMITS, way=way
    )
    without = {one.offer.code: one.score for one in alone}
    for one in found:
        assert sum(part.fen for part in one.parts) == one.score
        if one.rank is not None and (one.rank > 1 or not tries):
            assert without[one.offer.code] > 0
        if one.held_back is HeldBack.CAMPAIGN_ALONE:
            assert one.score > 0 >= without[one.offer.code]
    # The gates let the same through, and what a campaign adds takes nothing from nothing.
    assert {one.offer.code for one in found if one.propensity is not None} == {
        one.offer.code for one in alone if one.propensity is not None
    }
    shares = [sum(one.propensity or 0.0 for one in ranking) for ranking in (found, alone)]
    assert shares[0] == pytest.approx(shares[1])


def test_what_was_logged_is_how_often_it_comes_first_with_campaigns_too():
    """Doubt makes each draw another: some think the offer worth a contact, and some do not."""
    doubted = Model("doubted", {one.code: OfferModel.prior(0.008, len(FEATURES)) for one in ALIKE})
    offers = [replace(one, push=push) for one, push in zip(ALIKE, (2.0, 1.0, 0.5), strict=True)]
    way = Way(model=doubted, trying=TRYING)
    repeats = [ranked(AT_REST, offers, LIMITS, way=replace(way, seed=seed)) for seed in range(400)]
    for code in [*(offer.code for offer in offers), None]:
        shares = [
            (1 - sum(each.propensity or 0.0 for each in found))
            if code is None
            else next(each.propensity or 0.0 for each in found if each.offer.code == code)
            for found in repeats
        ]
        came = sum(first(found) == code for found in repeats)
        assert 0 < came < 400
        spread = sqrt(sum(share * (1 - share) for share in shares))
        assert abs(came - sum(shares)) / spread < 4


# --- groups ---------------------------------------------------------------------------------------


def test_groups_are_as_large_as_told_and_stay_for_the_month():
    shares = Shares(0.05, 0.10, 0.5)
    people = [UUID(int=number) for number in range(4000)]
    groups = [group_of(one, date(2026, 3, 1), shares) for one in people]
    for group, share in [(Group.HOLDOUT, 0.05), (Group.UNIFORM, 0.10), (Group.POLICY, 0.85)]:
        spread = sqrt(4000 * share * (1 - share))
        assert abs(groups.count(group) - 4000 * share) < 4 * spread
    assert groups == [group_of(one, date(2026, 3, 31), shares) for one in people]
    assert groups != [group_of(one, date(2026, 4, 1), shares) for one in people]
    half = sum(challenged(one, date(2026, 3, 1), shares) for one in people)
    assert abs(half - 2000) < 4 * sqrt(1000)


@pytest.mark.parametrize(
    ("decisions", "floor"),
    [(0, 0.10), (19_999, 0.10), (20_000, 0.05), (199_999, 0.05), (200_000, 0.02)],
)
def test_the_more_is_logged_the_less_is_tried(decisions, floor):
    nine = datetime(2026, 3, 2, 1, tzinfo=UTC)
    numbers = Parameters(nine)
    assert floor_in_force(numbers, nine, "yj.", decisions) == floor
    assert (EARLY_FROM.default, LATE_FROM.default) == (20_000, 200_000)


# --- what is kept ---------------------------------------------------------------------------------


def test_a_shadow_says_what_it_would_have_chosen():
    noted = foreseen(AT_REST, ALIKE, LIMITS, way=Way(model=COLD, trying=TRYING, seed=3))
    assert noted["first"] in {offer.code for offer in ALIKE}
    assert sum(noted["propensity"].values()) <= 1 + 1e-9


async def make_model(tx, state, version, model=COLD):
    tx.add(
        PolicyModel(
            id=new_id(),
            version=version,
            kind=ModelKind.ACCEPTANCE,
            state=state,
            document=model.document(),
            rows=0,
            figures={},
        )
    )
    await tx.flush()


@pytest.mark.usefixtures("line", "catalogue")
@pytest.mark.parametrize("group", Group)
async def test_a_decision_says_by_what_it_was_made(
    tx, app, phone, order, customer, monkeypatch, group
):
    monkeypatch.setattr("app.suggestions.service.choosing.group_of", lambda *_: group)
    await make_model(tx, PolicyState.LIVE, "cold-1")
    await make_model(tx, PolicyState.SHADOW, "shadow-1")
    read = (await phone.post(f"/visits/{await phone.restore(order)}/suggestions")).json()
    decision = await tx.get(SuggestionDecision, UUID(read["decision_id"]))
    assert (decision.policy, decision.model_version) == ("thompson-2", "cold-1")
    assert (decision.group, decision.mode) == (group, "personal")
    assert decision.seed > 0
    assert set(decision.shadow) == {"shadow-1"}
    stored = (
        await tx.scalars(select(Suggestion).where(Suggestion.decision_id == decision.id))
    ).all()
    allowed = [one for one in stored if one.propensity is not None]
    assert {one.offering_code for one in allowed} >= {"FTTH-1000", "FTTR-2", "TV-4K"}
    for one in stored:
        assert sum(part["fen"] for part in one.reasons) == one.score_fen
        assert one.coordination is not None
    if group is Group.HOLDOUT:
        assert read["offers"] == []
        assert read["nothing_because"]["code"] == "holdout"
        assert {one.held_back for one in allowed} == {HeldBack.HOLDOUT}
    elif group is Group.UNIFORM:
        assert {one.propensity for one in allowed} == {1 / len(allowed)}
    else:
        assert read["nothing_because"] is None or decision.held_back == HeldBack.NOTHING_TODAY
        assert all(one.features is not None for one in allowed)


@pytest.mark.usefixtures("line", "catalogue")
@pytest.mark.parametrize("group", Group)
async def test_the_switch_back_takes_the_place_of_the_model_and_leaves_the_groups_of_the_month(
    tx, app, phone, order, customer, monkeypatch, group
):
    """Who is offered nothing this month stays so, and what is drawn alike is logged as drawn."""
    monkeypatch.setattr("app.suggestions.service.choosing.group_of", lambda *_: group)
    await make_model(tx, PolicyState.LIVE, "cold-1")
    tx.add(
        ParameterValue(
            name=RULES_ONLY.name, org_path="", valid_from=datetime(2026, 1, 1, tzinfo=UTC), value=1
        )
    )
    await tx.flush()
    read = (await phone.post(f"/visits/{await phone.restore(order)}/suggestions")).json()
    decision = await tx.get(SuggestionDecision, UUID(read["decision_id"]))
    assert (decision.policy, decision.model_version, decision.group) == ("rules-2", None, group)
    rows = await tx.scalars(select(Suggestion).where(Suggestion.decision_id == decision.id))
    shares = [one.propensity for one in rows if one.propensity is not None]
    if group is Group.HOLDOUT:
        assert read["offers"] == []
        assert not any(shares)
    elif group is Group.UNIFORM:
        assert set(shares) == {1 / len(shares)}
    else:
        assert sorted(shares) == [*[0.0] * (len(shares) - 1), 1.0]


@pytest.mark.usefixtures("line", "catalogue")
@pytest.mark.parametrize("worth", [True, False])
async def test_why_not_says_that_a_campaign_alone_made_it_worth_a_contact(
    tx, app, http, phone, order, branch, monkeypatch, worth
):
    """The model thinks that one in two hundred takes any, but for one offer where `worth`."""
    monkeypatch.setattr("app.suggestions.service.choosing.group_of", lambda *_: Group.POLICY)
    catalogue = ("FTTH-1000", "FTTR-2", "TV-4K", "CAMERA")
    model = sure_of({code: 0.005 for code in catalogue if code != "TV-4K" or not worth})
    await make_model(tx, PolicyState.LIVE, "sure", model)
    tx.add_all(
        [
            ParameterValue(
                name=FLOOR_PILOT.name,
                org_path="",
                valid_from=datetime(2026, 1, 1, tzinfo=UTC),
                value=0,
            ),
            SuggestionCampaign(
                id=new_id(),
                code="autumn",
                org_path="",
                offering_code="FTTR-2",
                factor=2,
                valid_from=date(2026, 3, 1),
                valid_to=date(2026, 4, 1),
                owner="家庭业务部",
            ),
        ]
    )
    await tx.flush()
    read = (await phone.post(f"/visits/{await phone.restore(order)}/suggestions")).json()
    assert read["policy"] == "thompson-2"
    assert [one["offering_code"] for one in read["offers"]] == (["TV-4K"] if worth else [])
    because = read["nothing_because"]
    assert because is None if worth else because["code"] == "nothing_today"
    pushed = next(one for one in read["held_back"] if one["offering_code"] == "FTTR-2")
    assert (pushed["code"], pushed["words"]) == (
        "campaign_alone",
        "Without the campaign, what it may bring is not worth a contact",
    )
    stored = await tx.scalar(select(Suggestion).where(Suggestion.offering_code == "FTTR-2"))
    told = await http.get(f"/v1/suggestions/{stored.id}/explanation", headers=phone.headers)
    said = told.json()
    assert (said["held_back"], said["propensity"]) == ("campaign_alone", 0)
    # It has passed every gate, which go by the experts' rates.
    assert [gate["passed"] for gate in said["gates"]] == [True] * 4
    assert said["score_fen"] == sum(term["fen"] for term in said["terms"]) > 0
    (campaign,) = [term["fen"] for term in said["terms"] if term["code"] == "campaign"]
    assert said["score_fen"] - campaign <= 0
    assert {(one["offering_code"], one["code"]) for one in said["why_not"]} >= {
        ("FTTR-2", "campaign_alone"),
        ("CARD-2ND", "not_worth_a_contact"),
    }
    # Nor is it said to be what campaigns made the best.
    asked = "since=2026-03-02&until=2026-03-03"
    supervisor = bearer(app, caller_for(Role.ADMIN, branch))
    report = (await http.get(f"/v1/campaigns/report?{asked}", headers=supervisor)).json()
    assert (report["decisions"], report["changed"]) == (1, 0)
