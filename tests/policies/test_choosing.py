"""A million candidates are judged like one decision is."""

from random import Random

import numpy as np
import pytest

from app.catalog.rules import BusinessType
from app.policies.rules.choosing import NOTHING, believed, chance, first_by_draws
from app.suggestions.rules.facts import Offer
from app.suggestions.rules.model import (
    BOLD,
    FEATURES,
    Belief,
    Model,
    OfferModel,
    Trying,
    drawn,
    luck,
    propensity_of,
)
from app.suggestions.rules.score import Score

CODES = ("A", "B")
EXPERTS = {"A": 0.2, "B": 0.1}


def known_of_a():
    prior = OfferModel.prior(0.3, len(FEATURES))
    mean = (*prior.mean[:-1], 0.7)
    return Model("m", {"A": OfferModel(prior.rate, mean, prior.covariance)})


def test_what_is_believed_of_a_row_is_what_the_model_says_of_the_customer():
    model, told = known_of_a(), {FEATURES[0]: 1.0, FEATURES[-1]: 0.5}
    features = np.array([[told.get(name, 0.0) for name in FEATURES]] * 3)
    actions = np.array([0, 1, NOTHING])
    mean, deviation = believed(model, FEATURES, CODES, actions, features, EXPERTS)
    for place, code in enumerate(CODES):
        offer = Offer(code, "x", BusinessType.SALES, 1, EXPERTS[code])
        belief = model.belief(offer, told)
        assert (mean[place], deviation[place]) == pytest.approx(belief)
        assert chance((mean, deviation))[place] == pytest.approx(belief.rate)
    assert (mean[2], deviation[2]) == (0, 0)


def test_a_model_that_knows_other_features_hears_of_its_own_alone():
    model, told = known_of_a(), {FEATURES[0]: 1.0}
    names = ("unheard_of", FEATURES[0])
    mean, _ = believed(model, names, CODES, np.array([0]), np.array([[9.0, 1.0]]), EXPERTS)
    offer = Offer("A", "x", BusinessType.SALES, 1, 0.2)
    assert mean[0] == pytest.approx(model.belief(offer, told)[0])


@pytest.mark.parametrize("trying", [Trying(0.1), Trying(0.3, alike=0.25, spread=0.5)])
@pytest.mark.parametrize("pushes", [(1.0, 1.0), (2.0, 1.0), (0.7, 1.5)])
def test_probabilities_are_those_of_one_decision(trying, pushes):
    """With campaigns too: of half of the draws the first offer is worth a contact by itself."""
    decision = np.repeat(np.arange(400), 3)
    action = np.tile([0, 1, NOTHING], 400)
    log_odds = np.tile([-1.5, -1.0, 0.0], 400), np.tile([0.5, 0.3, 0.0], 400)
    worth, cost = np.tile([900.0, 600.0, 0.0], 400), np.tile([150.0, 150.0, 0.0], 400)
    push = np.tile([*pushes, 1.0], 400)
    found = first_by_draws(decision, action, log_odds, worth, push, cost, trying).reshape(-1, 3)
    assert found.sum(1) == pytest.approx(np.ones(400))
    assert found[:, :2].min() >= trying.floor * trying.alike / 2
    believed, lots = [Belief((-1.5, 0.5)), Belief((-1.0, 0.3))], luck(2, Random(1), 20_000)
    scores_of = [
        Score(0.0, value, 1.0, times, 150, ())
        for value, times in zip((900, 600), pushes, strict=True)
    ]
    scores, bold = (
        [
            [score.beside_nothing(chance) for score, chance in zip(scores_of, vector, strict=True)]
            for vector in drawn(believed, lots, spread)
        ]
        for spread in (trying.spread, BOLD)
    )
    one = propensity_of(scores, trying.floor, bold, trying.alike)
    assert found.mean(0) == pytest.approx(one, abs=0.02)


def test_decisions_are_judged_alike_in_whatever_pieces(monkeypatch):
    decision = np.array([0, 0, 1, 2, 2, 2])
    action = np.array([0, NOTHING, NOTHING, 0, 1, NOTHING])
    log_odds = np.array([-1.0, 0, 0, 1, 2, 0]), np.zeros(6)
    worth, cost = np.array([1000.0, 0, 0, 100, 100, 0]), np.array([10.0, 0, 0, 10, 10, 0])
    whole = first_by_draws(
        decision, action, log_odds, worth, np.ones(6), cost, Trying(0.2), draws=1
    )
    # Nothing can be offered in the second decision; the floor is shared by offers alone.
    assert whole == pytest.approx([1.0, 0.0, 1.0, 0.1, 0.9, 0.0])
    monkeypatch.setattr("app.policies.rules.choosing._ROWS", 1)
    assert first_by_draws(
        decision, action, log_odds, worth, np.ones(6), cost, Trying(0.2), draws=1
    ) == pytest.approx(whole)


def test_two_models_are_drawn_for_with_the_same_luck():
    args = np.repeat(np.arange(50), 2), np.tile([0, NOTHING], 50)
    odds = np.tile([-2.0, 0.0], 50), np.tile([0.5, 0.0], 50)
    worth, cost = np.tile([1000.0, 0.0], 50), np.tile([100.0, 0.0], 50)
    one = first_by_draws(*args, odds, worth, np.ones(100), cost, Trying())
    other = first_by_draws(*args, (odds[0] + 0.1, odds[1]), worth, np.ones(100), cost, Trying())
    assert (other.reshape(-1, 2)[:, 0] >= one.reshape(-1, 2)[:, 0]).all()
