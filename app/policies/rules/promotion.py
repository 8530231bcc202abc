"""What a policy has to show before it decides for more customers, and where it may go from where.

Gates outrank every policy, so a policy can only choose badly among what is allowed; these checks
are about choosing badly. A refusal says every figure, so that nobody has to guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt
from typing import Any

from app.policies.rules.replay import Estimate
from app.suggestions.rules.model import PolicyState

MOVES: Mapping[PolicyState, frozenset[PolicyState]] = {
    PolicyState.CANDIDATE: frozenset({PolicyState.SHADOW, PolicyState.RETIRED}),
    PolicyState.SHADOW: frozenset({PolicyState.CHALLENGER, PolicyState.RETIRED}),
    PolicyState.CHALLENGER: frozenset({PolicyState.LIVE, PolicyState.RETIRED}),
    # Without a live model the experts' rates decide.
    PolicyState.LIVE: frozenset({PolicyState.RETIRED}),
    # What was taken out may be tried again, from the beginning.
    PolicyState.RETIRED: frozenset({PolicyState.SHADOW}),
}

# A shadow only notes what it would do, so it has to show nothing.
CHECKED = frozenset({PolicyState.CHALLENGER, PolicyState.LIVE})

# A worse rate than by chance, on one side, at 5 %.
BY_CHANCE = 1.645


class Check(StrEnum):
    """What is looked at before a policy may decide."""

    VALUE = "value"
    GUARDS = "guards"
    CALIBRATION = "calibration"
    GROUPS = "groups"


class GroupKind(StrEnum):
    """By what customers are put into groups to see whether one of them fares worse.

    Age decides nothing; it is looked at here alone, to see that it does not.
    """

    TIER = "tier"
    STAGE = "stage"
    SEGMENT = "segment"
    ELDERLY = "elderly"


@dataclass(frozen=True)
class Rate:
    """A share of customers and how uncertain it is (standard error); None: nobody to be counted."""

    share: float | None
    error: float


@dataclass(frozen=True)
class GroupRates:
    """How a group fares under a policy and under the one in force.

    `accepted` are shares of what was put first, `cancelled` shares of what was accepted, and
    `decisions` are how many of the log are about the group.
    """

    kind: GroupKind
    group: str
    decisions: int
    accepted: Rate
    accepted_now: Rate
    cancelled: Rate
    cancelled_now: Rate


@dataclass(frozen=True)
class Bounds:
    """What is asked of a policy: shares are of one, as in 0.02 for two in a hundred."""

    value_tolerance: float
    calibration_most: float
    group_tolerance: float
    group_least: int


@dataclass(frozen=True)
class Finding:
    """What one check found: whether it holds, and the figures it rests on."""

    check: Check
    holds: bool
    figures: Mapping[str, Any]


def worth_it(current: Estimate, gain: Estimate, tolerance: float) -> Finding:
    """Check that a policy is hardly worse than the one in force at the worst.

    `gain` is how much more it brings a decision, estimated on the same decisions; its lower bound
    must not lie more than the tolerated part of the current value below nothing.
    """
    least = -tolerance * abs(current.value)
    return Finding(
        Check.VALUE,
        gain.low >= least,
        {
            "current_fen": round(current.value, 2),
            "gain_fen": round(gain.value, 2),
            "gain_low_fen": round(gain.low, 2),
            "needed_fen": round(least, 2),
        },
    )


def guarded(violations: int, pitched: int | None) -> Finding:
    """Check that nothing was ever pitched against a guard.

    `pitched` is how much a policy pitched at all, None where that was not counted yet. It is
    nothing for one that has decided for nobody, which breaks no guard by that alone: a policy
    chooses among what the gates let through, and cannot choose what they hold back.
    """
    return Finding(Check.GUARDS, violations == 0, {"violations": violations, "pitched": pitched})


def calibrated(error: float | None, answers: int, most: float) -> Finding:
    """Check that the predicted chances are true; with no answers to tell from they are not."""
    return Finding(
        Check.CALIBRATION,
        error is not None and error <= most,
        {
            "calibration_error": None if error is None else round(error, 4),
            "answers": answers,
            "needed": most,
        },
    )


def fair(groups: Sequence[GroupRates], bounds: Bounds) -> Finding:
    """Check that no group accepts less, or cancels more, by more than is tolerated.

    A group of few decisions is not judged, and a difference that chance explains is none: among
    a dozen groups one is always worse by luck.
    """
    judged = [group for group in groups if group.decisions >= bounds.group_least]
    worse = [
        f"{group.kind}={group.group}"
        for group in judged
        if _less(group.accepted, group.accepted_now, bounds.group_tolerance)
        or _more(group.cancelled, group.cancelled_now, bounds.group_tolerance)
    ]
    return Finding(
        Check.GROUPS,
        not worse,
        {"groups": len(judged), "worse": worse, "tolerated": bounds.group_tolerance},
    )


def _less(one: Rate, now: Rate, tolerance: float) -> bool:
    if one.share is None or now.share is None:
        return False
    return one.share < now.share * (1 - tolerance) and _beyond_chance(one, now)


def _more(one: Rate, now: Rate, tolerance: float) -> bool:
    if one.share is None or now.share is None:
        return False
    return one.share > now.share * (1 + tolerance) and _beyond_chance(one, now)


def _beyond_chance(one: Rate, now: Rate) -> bool:
    assert one.share is not None and now.share is not None
    return abs(one.share - now.share) > BY_CHANCE * sqrt(one.error**2 + now.error**2)
