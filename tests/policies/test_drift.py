"""Whether a frozen model is still right."""

import numpy as np
import pytest
from numpy.typing import NDArray

from app.core.geo import Floats
from app.policies.rules.drift import Watch, drift

WATCH = Watch(odds=1.5, answers=20_000)


def answered(seed: int, rate: float, count: int = 2_000) -> tuple[Floats, NDArray[np.bool_]]:
    chance = np.random.default_rng(seed)
    predicted = np.clip(chance.beta(2, 12, count), 0.01, 0.9)
    odds = predicted / (1 - predicted) * rate
    return predicted, chance.random(count) < odds / (1 + odds)


@pytest.mark.parametrize("times, side", [(0.5, "below"), (2.0, "above")])
def test_odds_that_have_changed_are_noticed_within_some_hundred_answers(times, side):
    seen = drift(*answered(1, times), WATCH)
    assert seen.alarmed and seen.alarm_at is not None and seen.alarm_at < 800
    assert getattr(seen, side) > seen.height
    assert (seen.observed < seen.predicted) is (times < 1)
    assert seen.z is not None and abs(seen.z) > 4


def test_a_model_that_is_right_is_seldom_suspected():
    """A wrong alarm in at most one of ten seasons of 2,000 answers, on either side."""
    wrong = sum(drift(*answered(seed, 1.0), WATCH).alarmed for seed in range(60))
    assert wrong <= 6


def test_a_change_late_in_the_log_is_noticed_as_fast_as_an_early_one():
    """The sums begin anew at zero, so that long good times do not pay for bad ones."""
    early, late = answered(5, 1.0, 3_000), answered(6, 0.4, 1_000)
    seen = drift(np.concatenate([early[0], late[0]]), np.concatenate([early[1], late[1]]), WATCH)
    assert seen.alarm_at is not None and 3_000 < seen.alarm_at < 3_600


def test_one_answer_counts_by_its_likelihood_ratio():
    seen = drift(np.array([0.2]), np.array([True]), Watch(odds=2, answers=100))
    assert seen.above == pytest.approx(np.log(2 / (1 - 0.2 + 2 * 0.2)))
    assert seen.below == 0
    assert seen.height == pytest.approx(np.log(100))


def test_without_answers_nothing_is_suspected():
    seen = drift(np.zeros(0), np.zeros(0, bool), WATCH)
    assert (seen.answers, seen.z, seen.alarmed) == (0, None, False)
