"""Why an offer stands where it stands: parts that add up, left out one by one, and the gates."""

from dataclasses import replace
from datetime import timedelta
from math import exp
from random import Random
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, text

from app.auth.models import OrgUnit
from app.auth.rules import Role
from app.core.db import new_id
from app.customers.rules import InteractionKind
from app.policies.queries.log import TAKEN_BACK
from app.sales import service as sales
from app.sales.rules import SaleState
from app.suggestions import queries
from app.suggestions.models import (
    PolicyModel,
    Suggestion,
    SuggestionDecision,
    SuggestionOutcome,
)
from app.suggestions.rules import Gate, Group, HeldBack
from app.suggestions.rules.chances import FIELDS, chance_terms, strongest
from app.suggestions.rules.explaining import Weighed, explained, gates_of
from app.suggestions.rules.facts import Facts
from app.suggestions.rules.model import (
    FEATURES,
    Model,
    ModelKind,
    OfferModel,
    PolicyState,
    chance_of,
    features,
)
from app.suggestions.rules.ranking import Way, ranked
from app.suggestions.rules.words import ONLY_ADDED, REASONS
from tests.make.auth import bearer, caller_for, make_account, make_org_unit
from tests.make.customers import make_contact
from tests.make.sales import consent_body, shown
from tests.make.visits import make_phone
from tests.suggestions import test_gates, test_score


def weighed(one):
    return Weighed(
        one.offer.code,
        one.score,
        [{"code": part.code, "fen": part.fen, "values": part.values} for part in one.parts],
        one.held_back,
        one.propensity is not None,
    )


@given(
    known=test_gates.facts,
    catalogue=st.lists(test_score.offers, max_size=6, unique_by=lambda offer: offer.code),
    limits=test_score.numbers,
)
@settings(max_examples=40)
def test_the_terms_of_every_candidate_add_up_to_its_score(known, catalogue, limits):
    candidates = [weighed(one) for one in ranked(known, catalogue, limits)]
    running = [one for one in candidates if one.running]
    places = []
    for one in candidates:
        told = explained(one, candidates)
        assert sum(term.fen for term in told.terms) == one.score_fen
        assert all(term.code in REASONS or term.code in ONLY_ADDED for term in told.terms)
        assert (told.rank_by_score is None) == (not one.running)
        places.append(told.rank_by_score)
        for term in told.terms:
            if one.running and term.code not in ("expected", "contact_cost"):
                assert term.rank_without in range(1, len(running) + 1)
    assert sorted(place for place in places if place) == list(range(1, len(running) + 1))


def a_model(seed, codes):
    """A model that has learned something of each feature for each of some offers."""
    chance = Random(seed)
    size = len(FEATURES) + 1
    return Model(
        "learned",
        {
            code: OfferModel(
                rate=0.1,
                mean=tuple(chance.gauss(-1 if not place else 0, 1) for place in range(size)),
                covariance=tuple(
                    tuple(chance.random() if row == column else 0.0 for column in range(size))
                    for row in range(size)
                ),
            )
            for code in codes
        },
    )


@given(
    known=test_gates.facts,
    catalogue=st.lists(test_score.offers, max_size=6, unique_by=lambda offer: offer.code),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60)
def test_the_terms_of_every_candidates_chance_add_up_to_it(known, catalogue, seed):
    model = a_model(seed, [offer.code for offer in catalogue[::2]])
    known = replace(known, generic=False)
    stored = orjson.loads(orjson.dumps(known.as_json()))
    for one in ranked(known, catalogue, test_gates.LIMITS, way=Way(model=model)):
        told = features(Facts.told_to_model(stored), one.offer)
        # Of what a gate held back nothing was kept, and it is told again from the facts.
        assert told == features(known, one.offer) and one.told in (None, told)
        terms = model.terms(one.offer, told)
        fields = chance_terms(terms, stored)
        assert chance_of(terms) == pytest.approx(one.scoring.chance)
        assert chance_of({each.field: each.logit for each in fields}) == pytest.approx(
            one.scoring.chance
        )
        assert {each.field for each in fields} <= FIELDS.keys()
        assert len({each.field for each in fields}) == len(fields)
        assert all(each.words.zh and each.words.en for each in fields)
        best = strongest(fields)
        assert len(best) <= 3 and not {each.field for each in best} & {"base", "doubt"}


def test_each_feature_belongs_to_one_field():
    of_fields = [feature for field in FIELDS.values() for feature in field.features]
    assert sorted(of_fields) == sorted([*FEATURES, "intercept", "doubt"])


@pytest.mark.parametrize(
    ("terms", "facts", "words"),
    [
        (
            {"contract_soon": 0.4},
            {"today": "2026-03-02", "contract_ends_on": "2026-03-22"},
            "the contract: ends in 20 days (raises the chance)",
        ),
        (
            {"contract_over": -0.4},
            {"today": "2026-03-02", "contract_ends_on": "2026-03-01"},
            "the contract: ended 1 days ago (lowers the chance)",
        ),
        ({"usage": 0.3, "usage_unknown": 0.0}, {"monthly_usage_gb": 40}, "40 GB a month"),
        ({"usage_unknown": -0.3}, {"monthly_usage_gb": None}, "usage: not known (lowers"),
        ({"tier_d": -0.2}, {"tier": "D"}, "value tier: D (lowers the chance)"),
        ({"contacts_month": 0.1, "contacts_year": -0.1}, {}, "(leaves the chance as it is)"),
        # What another version of the model knew is told under its own name.
        ({"moon": 0.1}, {}, "moon (raises the chance)"),
    ],
)
def test_a_field_is_told_once_with_its_value_and_its_direction(terms, facts, words):
    (term,) = chance_terms(terms, facts)
    assert term.logit == sum(terms.values())
    assert words in term.words.en


def test_a_factor_left_out_changes_places():
    def candidate(code, **parts):
        reasons = [{"code": name, "fen": fen, "values": {}} for name, fen in parts.items()]
        return Weighed(code, sum(parts.values()), reasons, None, True)

    first = candidate("A", expected=100, contract_ends_soon=50, contact_cost=-10)
    second = candidate("B", expected=120, contact_cost=-10)
    told = explained(first, [first, second])
    assert told.rank_by_score == 1
    assert {term.code: term.rank_without for term in told.strongest} == {"contract_ends_soon": 2}


@pytest.mark.parametrize(
    ("held", "passed"),
    [
        (None, [True, True, True, True]),
        (HeldBack.OTHERS_FIT_BETTER, [True, True, True, True]),
        (HeldBack.ALREADY_HELD, [False, None, None, None]),
        (HeldBack.ARREARS, [True, False, None, None]),
        (HeldBack.CONTACT_GAP, [True, True, True, False]),
    ],
)
def test_gates_are_passed_in_their_order(held, passed):
    assert gates_of(held) == dict(zip(Gate, passed, strict=True))


# --- over HTTP ------------------------------------------------------------------------------------


@pytest.fixture
async def read(phone, order, line, catalogue):
    line.contract_ends_on = None
    return (await phone.post(f"/visits/{await phone.restore(order)}/suggestions")).json()


async def told(http, headers, suggestion_id, lang="en"):
    return await http.get(
        f"/v1/suggestions/{suggestion_id}/explanation",
        headers={**headers, "accept-language": lang},
    )


async def test_an_explanation_is_for_its_technician_and_supervisors_above(
    tx, app, http, clock, phone, branch, read
):
    best = read["offers"][0]
    answer = await told(http, phone.headers, best["suggestion_id"])
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert sum(term["fen"] for term in said["terms"]) == said["score_fen"]
    (fault,) = said["strongest"]
    assert (fault["code"], fault["direction"]) == ("after_a_fault", "down")
    assert fault["words"] == "They have just had a fault: go gently"
    assert [gate["passed"] for gate in said["gates"]] == [True] * 4
    why_not = {one["offering_code"]: (one["gate"], one["code"]) for one in said["why_not"]}
    assert why_not["RENEW-12"] == ("suitable", "no_renewal_due")
    assert why_not["CAMERA"] == (None, "others_fit_better")
    supervisor = bearer(app, caller_for(Role.SUPERVISOR, branch))
    chinese = (await told(http, supervisor, best["suggestion_id"], "zh")).json()
    assert chinese["terms"][0]["words"] == "同类客户约有 20% 会接受"
    renewal = next(one for one in said["why_not"] if one["offering_code"] == "RENEW-12")
    held = (await told(http, supervisor, renewal["suggestion_id"])).json()
    assert [gate["passed"] for gate in held["gates"]] == [True, True, False, None]
    assert (held["rank"], held["rank_by_score"]) == (None, None)
    other = await make_phone(tx, app, http, clock, org_unit=branch)
    stranger = bearer(app, caller_for(Role.SUPERVISOR, await make_org_unit(tx)))
    for headers in (other.headers, stranger):
        assert (await told(http, headers, best["suggestion_id"])).status_code == 404
    assert (await told(http, supervisor, new_id())).status_code == 404


@pytest.mark.usefixtures("line", "catalogue")
async def test_the_chance_is_explained_in_words_that_add_up(
    tx, http, phone, order, customer, monkeypatch
):
    group = "app.suggestions.service.choosing.group_of"
    monkeypatch.setattr(group, lambda *_: Group.POLICY)
    model = a_model(5, ["FTTH-1000", "FTTR-2", "RENEW-12"])
    tx.add(
        PolicyModel(
            id=new_id(),
            version="learned",
            kind=ModelKind.ACCEPTANCE,
            state=PolicyState.LIVE,
            document=model.document(),
            rows=0,
            figures={},
        )
    )
    await tx.flush()
    visit = await phone.restore(order)
    await phone.post(f"/visits/{visit}/suggestions")
    every = (await tx.scalars(select(Suggestion))).all()
    assert {one.offering_code for one in every} > set(model.offers)
    assert any(one.features is None for one in every)
    for one in every:
        said = (await told(http, phone.headers, one.id)).json()
        assert said["model_version"] == "learned"
        logit = sum(term["logit"] for term in said["chance_terms"])
        assert 1 / (1 + exp(-logit)) == pytest.approx(said["chance"])
        if one.offering_code not in model.offers:
            assert [term["field"] for term in said["chance_strongest"]] == []
            continue
        assert len(said["chance_strongest"]) == 3
        strongest = said["chance_strongest"][0]
        assert strongest["direction"] == ("up" if strongest["logit"] > 0 else "down")
        visited = next(term for term in said["chance_terms"] if term["field"] == "visit")
        assert visited["value"] == "a repair" and "the chance)" in visited["words"]


async def test_what_came_of_it_is_settled_as_time_passes(tx, phone, customer, read, clock):
    first, second = (one["suggestion_id"] for one in read["offers"][:2])
    for suggestion, answer in [(first, "accepted"), (second, "not_pitched")]:
        said = await phone.post(
            f"/suggestions/{suggestion}/answer", id=str(new_id()), answer=answer
        )
        assert said.status_code == 200
    assert await queries.settle(tx, clock.now()) == 2
    assert await queries.settle(tx, clock.now()) == 0
    found = await outcomes(tx)
    assert (found[first].accepted, found[first].pitched) == (True, True)
    assert (found[first].kept_30, found[first].complained_14) == (None, None)
    assert (found[second].accepted, found[second].pitched) == (False, False)
    at = clock.now() + timedelta(days=3)
    await make_contact(tx, customer, at=at, kind=InteractionKind.COMPLAINT)
    clock.tick(timedelta(days=15))
    assert await queries.settle(tx, clock.now()) == 1
    clock.tick(timedelta(days=16))
    assert await queries.settle(tx, clock.now()) == 1
    found = await outcomes(tx)
    # Nothing was ordered on it, so nothing was kept.
    assert (found[first].kept_30, found[first].complained_14) == (False, True)
    assert (found[second].kept_30, found[second].complained_14) == (None, None)
    assert await tx.scalar(select(func.count()).select_from(SuggestionOutcome)) == 2


async def stands(supervisor, sale, item, tx, clock):
    """Nothing comes back, or only what was bought beside it."""


async def rejected(supervisor, sale, item, tx, clock):
    await sales.follow(tx, sale_id=sale, state=SaleState.REJECTED, at=clock.now())


async def cancelled(supervisor, sale, item, tx, clock):
    await sales.follow(tx, sale_id=sale, state=SaleState.CANCELLED, at=clock.now())


async def returned_whole(supervisor, sale, item, tx, clock):
    assert (await supervisor(f"/{sale}/reversal", "RET-1")).status_code == 200


async def returned_alone(supervisor, sale, item, tx, clock):
    assert (await supervisor(f"/{sale}/items/{item}/reversal", "RET-1")).status_code == 200


async def taken_out(supervisor, sale, item, tx, clock):
    await sales.item_removed(tx, sale_id=sale, item_id=UUID(item), at=clock.now())


@pytest.mark.parametrize(
    ("comes_back", "about", "kept"),
    [
        (stands, "FTTH-1000", True),
        (rejected, "FTTH-1000", False),
        (cancelled, "FTTH-1000", False),
        (returned_whole, "FTTH-1000", False),
        (returned_alone, "FTTH-1000", False),
        (taken_out, "FTTH-1000", False),
        (returned_alone, "TV-4K", True),  # bought with it, and brought back alone
    ],
)
async def test_what_was_brought_back_was_not_kept(
    tx, app, http, phone, read, clock, comes_back, about, kept
):
    best = read["offers"][0]["suggestion_id"]
    assert read["offers"][0]["offering_code"] == "FTTH-1000"
    await phone.post(f"/suggestions/{best}/answer", id=str(new_id()), answer="accepted")
    sale = await phone.post(
        "/sales",
        id=str(new_id()),
        visit_id=str(await tx.scalar(select(SuggestionDecision.visit_id))),
        items=[{"offering_code": "FTTH-1000", "suggestion_id": best}, {"offering_code": "TV-4K"}],
    )
    assert sale.status_code == 201, sale.text
    sale_id = UUID(sale.json()["id"])
    consent = consent_body(clock.now(), await shown(tx, sale_id))
    confirm = f"/v1/sales/{sale_id}/confirm"
    agreed = await http.post(confirm, json=consent, headers=phone.headers)
    assert agreed.status_code == 200, agreed.text
    await sales.follow(tx, sale_id=sale_id, state=SaleState.ACKNOWLEDGED, at=clock.now())
    clock.tick(timedelta(days=3))
    unit = await tx.get_one(OrgUnit, phone.technician.org_unit_id)
    account = await make_account(tx, unit, role=Role.SUPERVISOR)
    boss = bearer(app, caller_for(Role.SUPERVISOR, unit, account_id=account.id))

    async def supervisor(path, external_id):
        body = {
            "external_id": external_id,
            "reason": "changed_mind",
            "returned_at": clock.now().isoformat(),
        }
        return await http.post(f"/v1/sales{path}", json=body, headers=boss)

    item = next(one["id"] for one in sale.json()["items"] if one["offering_code"] == about)
    await comes_back(supervisor, sale_id, item, tx, clock)
    # Whoever learns from it hears of it at once, and the outcome says so after 30 days.
    back = await tx.scalar(
        text(
            f"SELECT {TAKEN_BACK} FROM suggestion_answer AS answer"
            " JOIN suggestion ON suggestion.id = answer.suggestion_id"
        )
    )
    assert back is not kept
    clock.tick(timedelta(days=28))
    await queries.settle(tx, clock.now())
    assert (await outcomes(tx))[best].kept_30 is kept


async def outcomes(tx):
    rows = await tx.scalars(select(SuggestionOutcome).execution_options(populate_existing=True))
    return {str(one.suggestion_id): one for one in rows}
