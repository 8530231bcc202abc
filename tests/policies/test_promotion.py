"""What a policy has to show before it decides."""

import pytest

from app.policies.rules.promotion import (
    MOVES,
    Bounds,
    GroupKind,
    GroupRates,
    Rate,
    calibrated,
    fair,
    guarded,
    worth_it,
)
from app.policies.rules.replay import Estimate
from app.suggestions.rules.model import PolicyState

BOUNDS = Bounds(value_tolerance=0.02, calibration_most=0.03, group_tolerance=0.2, group_least=200)
CURRENT = Estimate(500.0, 450.0, 550.0)


@pytest.mark.parametrize(
    "low, holds", [(5.0, True), (0.0, True), (-9.9, True), (-10.1, False), (-200.0, False)]
)
def test_a_policy_may_be_worth_two_hundredths_less_at_the_worst(low, holds):
    assert worth_it(CURRENT, Estimate(20.0, low, 60.0), 0.02).holds is holds


@pytest.mark.parametrize("violations, holds", [(0, True), (1, False)])
def test_one_violation_is_one_too_many(violations, holds):
    assert guarded(violations, 10).holds is holds


@pytest.mark.parametrize("error, holds", [(0.0, True), (0.03, True), (0.031, False), (None, False)])
def test_chances_have_to_be_true(error, holds):
    assert calibrated(error, 500, 0.03).holds is holds


def group(accepted=0.1, cancelled=0.1, decisions=1_000, error=0.005, name="A"):
    return GroupRates(
        GroupKind.TIER,
        name,
        decisions,
        accepted=Rate(accepted, error),
        accepted_now=Rate(0.1, error),
        cancelled=Rate(cancelled, error),
        cancelled_now=Rate(0.1, error),
    )


@pytest.mark.parametrize(
    "one, holds",
    [
        (group(), True),
        (group(accepted=0.081), True),
        (group(accepted=0.07), False),
        (group(accepted=0.3), True),
        (group(cancelled=0.119), True),
        (group(cancelled=0.13), False),
        (group(cancelled=0.0), True),
        (group(accepted=0.02, decisions=199), True),
        (group(accepted=0.07, error=0.05), True),
        (group(accepted=None), True),
    ],
)
def test_no_group_may_fare_worse_by_more_than_a_fifth_and_chance(one, holds):
    found = fair([group(name="B"), one], BOUNDS)
    assert found.holds is holds
    assert found.figures["worse"] == ([] if holds else ["tier=A"])


def test_a_policy_decides_for_few_before_it_decides_for_all():
    """Nothing leads past a step, and everything leads out."""
    forward = [PolicyState.CANDIDATE, PolicyState.SHADOW, PolicyState.CHALLENGER, PolicyState.LIVE]
    for place, state in enumerate(forward):
        assert MOVES[state] - {PolicyState.RETIRED} == set(forward[place + 1 : place + 2])
        assert PolicyState.RETIRED in MOVES[state]
    assert MOVES[PolicyState.RETIRED] == {PolicyState.SHADOW}
