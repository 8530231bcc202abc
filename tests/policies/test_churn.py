"""A churn card fitted to who stayed and who left."""

from itertools import pairwise

import numpy as np
import pytest

from app.policies.rules.churn import Fitted, Term, fitted, ranges_of, tried
from app.policies.rules.measures import auc

MISSING = float("nan")
DAYS = np.arange(3_000) // 10


def customers(count=3_000, seed=1):
    chance = np.random.default_rng(seed)
    tenure = chance.integers(0, 72, count).astype(float)
    complaints = chance.poisson(0.4, count).astype(float)
    usage = chance.gamma(2, 100, count)
    usage[chance.random(count) < 0.3] = MISSING
    odds = -1.5 + 1.5 * (tenure < 12) - 1.0 * (tenure > 40) + 0.9 * (complaints >= 2)
    left = chance.random(count) < 1 / (1 + np.exp(-odds))
    return {"tenure": tenure, "complaints": complaints, "usage": usage}, left


def test_ranges_cover_every_value_once():
    values = np.array([0.0] * 50 + [1.0] * 60 + [2.0, 3.0, 9.0] * 30 + [MISSING] * 10)
    ranges = ranges_of(values)
    assert ranges[0][0] is None and ranges[-1][1] is None
    assert all(one[1] == other[0] for one, other in pairwise(ranges))
    known = values[~np.isnan(values)]
    for start, end in ranges:
        above = known >= (-np.inf if start is None else start)
        assert (above & (known < (np.inf if end is None else end))).sum() >= 40


@pytest.mark.parametrize(
    "values, then",
    [
        ([1.0] * 500, []),
        ([MISSING] * 500, []),
        ([0.0] * 20, []),
        ([0.0] * 950 + [1.0] * 50, [(None, 1.0), (1.0, None)]),
        ([0.0] * 990 + [1.0] * 10, []),
    ],
)
def test_a_field_without_two_ranges_of_customers_is_left_out(values, then):
    assert ranges_of(np.array(values)) == then


def test_what_makes_customers_leave_is_found_and_missing_says_nothing():
    columns, left = customers()
    card = fitted(columns, left)
    assert (auc(left, card.predicted(columns)) or 0) > 0.68
    tenure = [term for term in card.terms if term.field == "tenure"]
    assert tenure[0].start is None and tenure[0].weight > 0.5
    assert tenure[-1].end is None and tenure[-1].weight < -0.3
    nobody = {field: np.array([MISSING]) for field in columns}
    assert card.predicted(nobody) == pytest.approx([1 / (1 + np.exp(-card.intercept))])


def test_a_card_adds_up_the_ranges_a_customer_is_in():
    card = Fitted(-1.0, [Term("months", None, 12, 0.5), Term("months", 12, None, -0.25)])
    odds = np.array([-0.5, -1.25, -1.0])
    assert card.predicted({"months": np.array([11.9, 12.0, MISSING])}) == pytest.approx(
        1 / (1 + np.exp(-odds))
    )


def test_a_card_is_replaced_only_by_one_that_ranks_the_future_better():
    columns, left = customers()
    poor = np.zeros(len(left))
    trial = tried(columns, left, poor, DAYS, 90)
    assert trial.labelled == 3_000 and trial.tested == 900
    assert trial.auc_card == 0.5
    assert trial.better(2_000, 0.005, 0.03)
    assert not trial.better(5_000, 0.005, 0.03)
    # The truth itself cannot be beaten.
    odds = (
        1.5 * (columns["tenure"] < 12)
        - (columns["tenure"] > 40)
        + 0.9 * (columns["complaints"] >= 2)
    )
    assert not tried(columns, left, odds, DAYS, 90).better(2_000, 0.005, 0.03)


def test_with_nobody_who_left_nothing_is_replaced():
    columns, left = customers(300)
    trial = tried(columns, np.zeros_like(left), np.zeros(300), DAYS[:300], 1)
    assert not trial.better(100, 0.005, 0.03)


def test_a_card_that_ranks_well_and_foretells_wrongly_replaces_nothing():
    columns, left = customers()
    # Lately far more leave than ever before, of the same customers first.
    left = left | ((np.arange(3_000) >= 2_100) & (np.random.default_rng(3).random(3_000) < 0.3))
    trial = tried(columns, left, np.zeros(3_000), DAYS, 90)
    assert trial.auc_fitted is not None and trial.auc_fitted > 0.55
    assert trial.error_fitted is not None and trial.error_fitted > 0.03
    assert not trial.better(2_000, 0.005, 0.03)
    assert trial.better(2_000, 0.005, 0.5)


def test_nobody_is_learned_from_whose_outcome_came_after_the_first_test():
    columns, left = customers()
    trial = tried(columns, left, np.zeros(3_000), DAYS, 90)
    # Ten customers a day: the first of the tested is of day 210, so the last learned from of 120.
    assert (trial.learned, trial.tested) == (1_210, 900)
    late = left.copy()
    late[1_210:2_100] = ~late[1_210:2_100]
    assert tried(columns, late, np.zeros(3_000), DAYS, 90) == trial
    assert tried(columns, left, np.zeros(3_000), DAYS, 300).auc_fitted is None
