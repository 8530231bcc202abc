"""How well probabilities rank, and how true they are."""

import numpy as np
import pytest

from app.policies.rules.measures import auc, bins_for, calibration, calibration_error, lift


def happened(*values):
    return np.array(values, bool)


@pytest.mark.parametrize(
    "did, score, then",
    [
        ([1, 1, 0, 0], [4, 3, 2, 1], 1.0),
        ([0, 0, 1, 1], [4, 3, 2, 1], 0.0),
        ([1, 0, 1, 0], [4, 3, 2, 1], 0.75),
        ([1, 0, 1, 0], [1, 1, 1, 1], 0.5),
        ([1, 0, 0], [2, 2, 1], 0.75),
        ([1, 1, 1], [3, 2, 1], None),
        ([], [], None),
    ],
)
def test_the_area_is_the_share_of_pairs_in_the_right_order(did, score, then):
    assert auc(happened(*did), np.array(score, float)) == then


def test_the_lift_of_the_top_tenth():
    score = np.arange(100.0)
    did = happened(*(place >= 90 or place < 10 for place in range(100)))
    assert lift(did, score) == pytest.approx(5.0)
    assert lift(did, np.zeros(100)) == pytest.approx(1.0)
    assert lift(happened(*([0] * 10)), np.arange(10.0)) is None


def test_predictions_are_compared_with_what_was_seen_in_bins_of_equals():
    predicted = np.repeat([0.1, 0.5], 50)
    did = np.concatenate([np.arange(50) < 5, np.arange(50) < 35])
    table = calibration(did, predicted)
    assert [one.count for one in table] == [50, 50]
    assert [one.predicted for one in table] == pytest.approx([0.1, 0.5])
    assert [one.observed for one in table] == pytest.approx([0.1, 0.7])
    assert calibration_error(did, predicted) == pytest.approx(0.1)
    assert calibration_error(happened(), np.zeros(0)) is None


def test_the_order_of_rows_does_not_change_the_error():
    chance = np.random.default_rng(1)
    predicted = chance.choice([0.1, 0.2, 0.4], 1_000)
    did = chance.random(1_000) < predicted
    order = chance.permutation(1_000)
    assert calibration_error(did, predicted) == pytest.approx(
        calibration_error(did[order], predicted[order])
    )
    sure = np.argsort(did, kind="stable")
    assert calibration_error(did[sure], predicted[sure]) == pytest.approx(
        calibration_error(did, predicted)
    )


@pytest.mark.parametrize("count, bins", [(0, 1), (399, 1), (400, 2), (1_999, 9), (90_000, 10)])
def test_few_predictions_are_put_into_few_bins(count, bins):
    assert bins_for(count) == bins
