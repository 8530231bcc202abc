"""What answers add to an expert's rate."""

import numpy as np
import pytest

from app.policies.rules.fitting import (
    Belief,
    alike,
    enough,
    learned,
    learned_together,
    predicted,
    sigmoid,
)

NO_FEATURES = np.zeros((0, 0))


def expert(rate, evidence=50.0, features=0, variance=0.05):
    spread = [1 / (evidence * rate * (1 - rate)), *([variance] * features)]
    return Belief(np.array([np.log(rate / (1 - rate)), *([0.0] * features)]), np.diag(spread))


def answers(accepted, refused):
    return np.zeros((accepted + refused, 0)), np.repeat([True, False], [accepted, refused])


def test_without_answers_the_expert_is_believed():
    before = expert(0.2)
    assert learned(before, NO_FEATURES, np.zeros(0, bool)) is before
    assert predicted(before, np.zeros((1, 0))) == pytest.approx([0.2])


@pytest.mark.parametrize("accepted, refused", [(0, 100), (40, 60), (100, 0), (1, 0)])
def test_the_mean_solves_the_equation_of_the_most_probable_log_odds(accepted, refused):
    """The slope of the posterior is zero there: what was seen less what is expected, less the
    pull of the prior."""
    before = expert(0.2)
    after = learned(before, *answers(accepted, refused))
    pull = (after.mean[0] - before.mean[0]) / before.covariance[0, 0]
    seen = accepted - (accepted + refused) * sigmoid(after.mean)[0]
    assert seen - pull == pytest.approx(0, abs=1e-6)
    expected = sigmoid(after.mean)[0]
    curvature = (accepted + refused) * expected * (1 - expected) + 1 / before.covariance[0, 0]
    assert after.covariance[0, 0] == pytest.approx(1 / curvature)


def test_fifty_answers_weigh_as_much_as_the_expert():
    after = learned(expert(0.2), *answers(10, 40))
    assert sigmoid(after.mean)[0] == pytest.approx(0.2)
    assert after.covariance[0, 0] == pytest.approx(1 / (100 * 0.2 * 0.8))


def test_many_answers_outweigh_the_expert():
    after = learned(expert(0.02), *answers(3_000, 7_000))
    assert sigmoid(after.mean)[0] == pytest.approx(0.3, abs=0.005)


def test_coefficients_of_a_known_field_are_found_again_and_twice_the_same():
    chance = np.random.default_rng(3)
    rows = chance.standard_normal((6_000, 3))
    truth = np.array([-1.5, 0.8, 0.0, -0.5])
    said = chance.random(6_000) < sigmoid(truth[0] + rows @ truth[1:])
    before = expert(0.1, features=3, variance=1.0)
    after = learned(before, rows, said)
    off = (after.mean - truth) / np.sqrt(np.diag(after.covariance))
    assert np.abs(off).max() < 3
    again = learned(before, rows, said)
    assert np.array_equal(after.mean, again.mean)
    assert np.array_equal(after.covariance, after.covariance.T)


def test_a_feature_that_tells_all_does_not_run_away():
    rows = np.repeat([[0.0], [1.0]], 200, axis=0)
    after = learned(expert(0.5, features=1), rows, rows[:, 0] > 0)
    assert 0 < after.mean[1] < 10
    assert np.isfinite(after.covariance).all()


def test_weights_count_like_so_many_answers():
    rows, said = answers(3, 7)
    twice = learned(expert(0.2), np.vstack([rows, rows]), np.concatenate([said, said]))
    weighed = learned(expert(0.2), rows, said, np.full(10, 2.0))
    assert weighed.mean == pytest.approx(twice.mean)


def test_things_that_have_nothing_in_common_are_learned_apart():
    chance = np.random.default_rng(4)
    rows, said = chance.standard_normal((300, 2)), chance.random(300) < 0.3
    before = [expert(0.2, features=2), expert(0.1, features=2)]
    apart = np.stack([np.eye(2)] * 3)
    asked, unasked = learned_together(before, apart, {0: (rows, said)})
    alone = learned(before[0], rows, said)
    assert asked.mean == pytest.approx(alone.mean)
    assert asked.covariance == pytest.approx(alone.covariance)
    assert unasked.mean == pytest.approx(before[1].mean)
    assert unasked.covariance == pytest.approx(before[1].covariance)
    assert learned_together(before, apart, {}) == before


def test_what_is_asked_of_one_offer_tells_of_another_and_more_of_one_of_its_kind():
    rows = np.repeat([[0.0], [1.0]], 300, axis=0)
    said = np.concatenate([np.arange(300) < 60, np.arange(300) < 180])
    before = [expert(0.1, features=1, variance=0.5) for _ in range(3)]
    kinds = alike(["wifi", "wifi", "tv"], 1)
    asked, same, other = learned_together(before, kinds, {0: (rows, said)})
    assert asked.mean[1] > same.mean[1] > other.mean[1] > 0
    assert asked.mean[0] > same.mean[0] > before[1].mean[0]
    for one in (asked, same, other):
        assert np.linalg.eigvalsh(one.covariance).min() > 0
        assert one.covariance[1, 1] < before[0].covariance[1, 1]
    # Whoever was asked hears more of themselves than of others.
    assert asked.covariance[1, 1] < same.covariance[1, 1] < other.covariance[1, 1]
    # Asked about both, each keeps what is its own.
    against = learned_together(before, kinds, {0: (rows, said), 2: (rows, said[::-1])})
    assert against[0].mean[1] > 0 > against[2].mean[1]


@pytest.mark.parametrize(
    "accepted, refused, then", [(50, 50, True), (49, 500, False), (500, 49, False)]
)
def test_an_offer_is_learned_from_when_it_was_answered_often_enough_both_ways(
    accepted, refused, then
):
    assert enough(accepted, refused, 50) is then
