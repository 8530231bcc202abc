"""The Bayesian logistic regression of one offer: an expert's rate, and what answers add to it.

Pure numpy and deterministic: the same rows in the same order give the same numbers. What is known
before any answer is a normal distribution of the coefficients, and so is what is known afterwards
(Laplace's approximation around the most probable coefficients, found by Newton's steps).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.geo import Floats

ROUNDS = 100
CLOSE = 1e-10


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
    precision = np.asarray(np.linalg.inv(before.covariance), np.float64)
    at = before.mean.copy()
    loss = _loss(at, rows, accepted, weigh, before.mean, precision)
    for _ in range(ROUNDS):
        expected = sigmoid(rows @ at)
        slope: Floats = rows.T @ (weigh * (expected - accepted)) + precision @ (at - before.mean)
        step = np.linalg.solve(_curvature(rows, weigh, expected, precision), slope)
        # A whole step can go too far where probabilities are near 0 or 1; the loss is convex, so a
        # part of it always leads down.
        part = 1.0
        while part > CLOSE:
            tried = at - part * step
            reached = _loss(tried, rows, accepted, weigh, before.mean, precision)
            if reached <= loss:
                break
            part /= 2
        else:
            break
        at, loss = tried, reached
        if np.abs(part * step).max() < CLOSE:
            break
    final = _curvature(rows, weigh, sigmoid(rows @ at), precision)
    covariance = np.linalg.inv(final)
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


def _curvature(rows: Floats, weigh: Floats, expected: Floats, precision: Floats) -> Floats:
    information: Floats = (rows * (weigh * expected * (1 - expected))[:, None]).T @ rows
    return information + precision


def _loss(
    at: Floats,
    rows: Floats,
    accepted: NDArray[np.bool_],
    weigh: Floats,
    mean: Floats,
    precision: Floats,
) -> float:
    log_odds = rows @ at
    away = at - mean
    surprise = np.logaddexp(0, log_odds) - accepted * log_odds
    return float(weigh @ surprise + away @ precision @ away / 2)
