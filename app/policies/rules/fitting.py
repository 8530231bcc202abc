"""The Bayesian logistic regression of offers: an expert's rate, and what answers add to it.

Pure numpy and deterministic: the same rows in the same order give the same numbers. What is known
before any answer is a normal distribution of the coefficients, and so is what is known afterwards
(Laplace's approximation around the most probable coefficients, found by Newton's steps).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.geo import Floats

ROUNDS = 100
CLOSE = 1e-10

# How far the weights of any two offers, and of two of one category, are thought to go together
# before an answer; and how far experts err alike about any two. Chosen in the simulated field.
ANY_TWO, OF_A_KIND, EXPERTS = 1 / 3, 2 / 3, 0.2


@dataclass(frozen=True)
class Belief:
    """A normal distribution over an intercept (first) and one coefficient a feature."""

    mean: Floats
    covariance: Floats


def learned(
    before: Belief,
    features: Floats,
    accepted: NDArray[np.bool_],
    weights: Floats | None = None,
) -> Belief:
    """Return what is believed after some answers; without any, what was believed before.

    `features` has a row an answer and a column a feature, `weights` how much each answer counts.
    """
    if not len(accepted):
        return before
    rows = with_intercept(features)
    weigh: Floats = np.ones(len(rows)) if weights is None else weights
    return _most_probable(before, [_Seen(slice(None), rows, accepted, weigh)])


def learned_together(
    before: Sequence[Belief],
    alike: Floats,
    answers: Mapping[int, tuple[Floats, NDArray[np.bool_]]],
) -> list[Belief]:
    """Return what is believed of each of several things after answers to some of them.

    `before` says what was believed of each on its own, every coefficient apart from the others;
    `alike[n]` is how far coefficient n of two things is thought to go together: a matrix of
    correlations. So a thing nobody was asked about is believed otherwise, too, after others were.
    `answers` has features and what was said, by place in `before`; the work grows with the third
    power of how many places it has.
    """
    asked = sorted(place for place, (_, said) in answers.items() if len(said))
    if not asked:
        return list(before)
    size = len(before[0].mean)
    spread = np.array([np.sqrt(np.diag(one.covariance)) for one in before])

    def together(some: Sequence[int], others: Sequence[int]) -> Floats:
        between = np.zeros((len(some), size, len(others), size))
        for n in range(size):
            scale = np.outer(spread[some, n], spread[others, n])
            between[:, n, :, n] = alike[n][np.ix_(some, others)] * scale
        return between.reshape(len(some) * size, len(others) * size)

    joint = Belief(np.concatenate([before[place].mean for place in asked]), together(asked, asked))
    seen = [
        _Seen(
            slice(n * size, (n + 1) * size),
            with_intercept(answers[place][0]),
            answers[place][1],
            np.ones(len(answers[place][1])),
        )
        for n, place in enumerate(asked)
    ]
    after = _most_probable(joint, seen)
    moved = np.linalg.solve(joint.covariance, after.mean - joint.mean)
    precision = np.linalg.inv(joint.covariance)
    surer = precision @ (joint.covariance - after.covariance) @ precision
    found = []
    for place, one in enumerate(before):
        # Of those who were asked about this says the same as the joint belief itself.
        towards = together([place], asked)
        covariance = one.covariance - towards @ surer @ towards.T
        found.append(Belief(one.mean + towards @ moved, (covariance + covariance.T) / 2))
    return found


def alike(kinds: Sequence[str], features: int) -> Floats:
    """Say how far each coefficient of two offers is thought to go together, the intercept first.

    A matrix of correlations for each coefficient, in the order of `kinds`.
    """
    same = np.equal.outer(np.array(kinds), np.array(kinds))
    itself = np.eye(len(kinds), dtype=bool)
    intercepts = np.where(itself, 1.0, EXPERTS)
    weights = np.where(itself, 1.0, np.where(same, OF_A_KIND, ANY_TWO))
    return np.stack([intercepts, *[weights] * features])


@dataclass(frozen=True)
class _Seen:
    """Answers that hang on some of the coefficients: where those stand, and a row an answer."""

    place: slice
    rows: Floats
    accepted: NDArray[np.bool_]
    weigh: Floats


def _most_probable(before: Belief, seen: Sequence[_Seen]) -> Belief:
    precision = np.asarray(np.linalg.inv(before.covariance), np.float64)
    at = before.mean.copy()
    loss = _loss(at, seen, before.mean, precision)
    for _ in range(ROUNDS):
        slope: Floats = precision @ (at - before.mean)
        for one in seen:
            expected = sigmoid(one.rows @ at[one.place])
            slope[one.place] += one.rows.T @ (one.weigh * (expected - one.accepted))
        step = np.linalg.solve(_curvature(at, seen, precision), slope)
        # A whole step can go too far where probabilities are near 0 or 1; the loss is convex, so a
        # part of it always leads down.
        part = 1.0
        while part > CLOSE:
            tried = at - part * step
            reached = _loss(tried, seen, before.mean, precision)
            if reached <= loss:
                break
            part /= 2
        else:
            break
        at, loss = tried, reached
        if np.abs(part * step).max() < CLOSE:
            break
    covariance = np.linalg.inv(_curvature(at, seen, precision))
    return Belief(at, (covariance + covariance.T) / 2)


def enough(accepted: int, refused: int, least: int) -> bool:
    """Tell whether an offer has been answered often enough, both ways, to be learned from."""
    return accepted >= least and refused >= least


def predicted(belief: Belief, features: Floats) -> Floats:
    """Return the probability that each row is accepted, at the mean of what is believed."""
    return sigmoid(with_intercept(features) @ belief.mean)


def with_intercept(features: Floats) -> Floats:
    """Put the column of ones that belongs to the intercept before the features."""
    return np.column_stack([np.ones(len(features)), features])


def sigmoid(log_odds: Floats) -> Floats:
    """Turn log odds into probabilities, without overflow."""
    small = np.exp(-np.abs(log_odds))
    probability: Floats = np.where(log_odds >= 0, 1, small) / (1 + small)
    return probability


def _curvature(at: Floats, seen: Sequence[_Seen], precision: Floats) -> Floats:
    curvature = precision.copy()
    for one in seen:
        expected = sigmoid(one.rows @ at[one.place])
        weight = one.weigh * expected * (1 - expected)
        curvature[one.place, one.place] += (one.rows * weight[:, None]).T @ one.rows
    return curvature


def _loss(at: Floats, seen: Sequence[_Seen], mean: Floats, precision: Floats) -> float:
    away = at - mean
    total = float(away @ precision @ away) / 2
    for one in seen:
        log_odds = one.rows @ at[one.place]
        surprise = np.logaddexp(0, log_odds) - one.accepted * log_odds
        total += float(one.weigh @ surprise)
    return total
