"""What another policy would have earned, estimated from a log of what one policy did.

The log holds, for each decision, the probability with which each candidate was put first, and what
came of the one that was. Three estimates stand beside each other: IPS weighs each reward by how
much more often the other policy would have chosen it; SNIPS divides by the weights' sum, which
costs a little bias and saves much variance; DR adds a direct model of the reward and corrects it
by the weights where the log knows better. All come with a 95 % interval and with how many rows of
plain observation the weights are worth. After Dudík, Langford and Li (2011) and Swaminathan and
Joachims (2015).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.core.geo import Floats

Ints = NDArray[np.int64]

# The bounds of a 95 % interval, in standard errors.
SURE = 1.959964
FOLDS = 5


class Method(StrEnum):
    """The three estimates of another policy's value."""

    IPS = "ips"
    SNIPS = "snips"
    DR = "dr"


@dataclass(frozen=True)
class Log:
    """Decisions as arrays: one row a candidate, those of one decision together and in order.

    `decision` numbers the decisions from 0; `action` says which offer a row is, below zero that
    nothing is offered, which brings nothing; `logged` is the
    probability with which it was put first; `taken` marks the one that was. `reward` has one value
    a decision, in whatever unit the answer shall have.
    """

    decision: Ints
    action: Ints
    features: Floats
    logged: Floats
    taken: NDArray[np.bool_]
    reward: Floats

    @property
    def decisions(self) -> int:
        """How many decisions there are."""
        return len(self.reward)


@dataclass(frozen=True)
class Estimate:
    """What a policy is worth a decision: the value, and within which bounds it lies (95 %)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Replay:
    """The three estimates of one policy, and what they rest on.

    `effective` is how many decisions of the log's own policy would tell as much; `heaviest` is the
    largest weight of one decision.
    """

    decisions: int
    effective: float
    heaviest: float
    estimates: dict[Method, Estimate]


def replay(log: Log, chosen: Floats) -> Replay:
    """Estimate what a policy is worth that puts each candidate first with probability `chosen`.

    `chosen` has one value a row of the log, adding up to one in each decision. What the log could
    not have done, whose logged probability is zero, counts as bringing nothing in IPS and SNIPS:
    true of offering nothing, which is what a log that tries everything alike never does.
    """
    if not log.decisions:
        nothing = Estimate(0.0, 0.0, 0.0)
        return Replay(0, 0.0, 0.0, dict.fromkeys(Method, nothing))
    weight = chosen[log.taken] / log.logged[log.taken]
    rewards = direct(log)
    taken = rewards[log.taken]
    expected = np.bincount(log.decision, weights=chosen * rewards, minlength=log.decisions)
    return Replay(
        decisions=log.decisions,
        effective=effective_size(weight),
        heaviest=float(weight.max()),
        estimates={
            Method.IPS: mean_of(weight * log.reward),
            Method.SNIPS: weighted_mean(
                np.append(weight, chosen[log.logged == 0]),
                np.append(log.reward, np.zeros(int((log.logged == 0).sum()))),
            ),
            Method.DR: mean_of(expected + weight * (log.reward - taken)),
        },
    )


def compared(log: Log, chosen: Floats, current: Floats) -> Estimate:
    """Estimate by DR how much more a policy is worth a decision than the one in force.

    Both are judged on the same decisions, so that what they do alike cancels out: the interval of
    the difference is far narrower than that of either.
    """
    if not log.decisions:
        return Estimate(0.0, 0.0, 0.0)
    rewards = direct(log)
    apart = chosen - current
    weight = apart[log.taken] / log.logged[log.taken]
    expected = np.bincount(log.decision, weights=apart * rewards, minlength=log.decisions)
    return mean_of(expected + weight * (log.reward - rewards[log.taken]))


def effective_size(weight: Floats) -> float:
    """Return how many equally weighted rows tell as much as these do (Kish)."""
    squares = float((weight**2).sum())
    return float(weight.sum() ** 2 / squares) if squares else 0.0


def mean_of(values: Floats) -> Estimate:
    """Return a mean with the interval of its standard error."""
    mean = float(values.mean())
    error = float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else 0.0
    return Estimate(mean, mean - SURE * error, mean + SURE * error)


def weighted_mean(weight: Floats, values: Floats) -> Estimate:
    """Return a weighted mean with the interval by the delta method; zero where nothing weighs."""
    total = float(weight.sum())
    if not total:
        return Estimate(0.0, 0.0, 0.0)
    mean = float((weight * values).sum() / total)
    error = float(np.sqrt((weight**2 * (values - mean) ** 2).sum()) / total)
    return Estimate(mean, mean - SURE * error, mean + SURE * error)


def direct(log: Log, folds: int = FOLDS) -> Floats:
    """Predict the reward of each row, from decisions of other folds than its own.

    A ridge regression an offer on the features; an offer that was hardly taken is thought to be
    like all of them. A decision's fold is its number's rest, so that none is judged by a model
    that has seen its reward.
    """
    rewards = np.zeros(len(log.decision))
    taken = np.flatnonzero(log.taken)
    fold_of_row = log.decision % folds
    fold_of_taken = fold_of_row[taken]
    for fold in range(folds):
        seen = taken[fold_of_taken != fold]
        asked = np.flatnonzero(fold_of_row == fold)
        usual = float(log.reward[log.decision[seen]].mean()) if len(seen) else 0.0
        for action, of_action in _by_action(log.action, asked):
            known = seen[log.action[seen] == action]
            rewards[of_action] = _ridge(
                log.features[known],
                log.reward[log.decision[known]],
                log.features[of_action],
                usual,
            )
    rewards[log.action < 0] = 0
    return rewards


def _by_action(action: Ints, rows: Ints) -> Iterator[tuple[int, Ints]]:
    for one in np.unique(action[rows]):
        yield int(one), rows[action[rows] == one]


def _ridge(known: Floats, reward: Floats, asked: Floats, usual: float) -> Floats:
    """Predict rewards linearly; few known rows leave the prediction near `usual`."""
    # What is usual counts like so many rows, and keeps an offer that was taken twice from being
    # thought to be worth what those two happened to bring.
    few = 20.0
    level = (reward.sum() + few * usual) / (len(reward) + few)
    if len(reward) < 2 * (known.shape[1] + 1):
        return np.full(len(asked), level)
    middle, spread = known.mean(0), known.std(0)
    spread[spread == 0] = 1
    rows = (known - middle) / spread
    slope = np.linalg.solve(
        rows.T @ rows + few * np.eye(rows.shape[1]), rows.T @ (reward - reward.mean())
    )
    predicted: Floats = level + ((asked - middle) / spread) @ slope
    return predicted
