"""The arithmetic the field needs: a plain logistic regression, and measures of a prediction."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def sigmoid(logits: Floats) -> Floats:
    """Turn logits into probabilities."""
    return 1.0 / (1.0 + np.exp(-np.clip(logits, -30, 30)))


def logistic(design: Floats, labels: Floats, *, ridge: float = 1.0) -> Floats:
    """Fit the weights of a logistic regression by Newton's steps; the last column is all ones.

    The ridge draws every weight but the last towards zero.
    """
    weights = np.zeros(design.shape[1])
    pull = np.full(design.shape[1], ridge)
    pull[-1] = 1e-6
    for _ in range(30):
        chance = sigmoid(design @ weights)
        slope = design.T @ (labels - chance) - pull * weights
        curve = (design.T * (chance * (1 - chance))) @ design + np.diag(pull)
        step = np.linalg.solve(curve, slope)
        weights += step
        if float(np.abs(step).max()) < 1e-7:
            break
    return weights


def auc(scores: Floats, labels: Floats) -> float:
    """Return the chance that one who did scores above one who did not; ties count half."""
    _, place, count = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[place]
    did = labels.sum()
    if did in (0, len(labels)):
        return float("nan")
    return float((rank[labels == 1].sum() - did * (did + 1) / 2) / (did * (len(labels) - did)))


def auc_among_alike(kinds: Sequence[str], scores: Floats, labels: Floats) -> float:
    """Return the same among those of one kind, on average over all pairs that can be compared."""
    places: dict[str, list[int]] = {}
    for at, kind in enumerate(kinds):
        places.setdefault(kind, []).append(at)
    right = pairs = 0.0
    for some in places.values():
        did = labels[some].sum()
        if weight := float(did * (len(some) - did)):
            right += weight * auc(scores[some], labels[some])
            pairs += weight
    return right / pairs if pairs else float("nan")


def lift(scores: Floats, labels: Floats) -> float:
    """Return how many times the average rate the rate of the highest tenth is."""
    top = np.argsort(-scores, kind="stable")[: max(1, len(scores) // 10)]
    return float(labels[top].mean() / labels.mean())


def calibration_error(chances: Floats, labels: Floats, *, bins: int = 10) -> float:
    """Return the mean distance of predicted and seen rates over bins of equal size (ECE)."""
    if not len(chances):
        return float("nan")
    order = np.argsort(chances, kind="stable")
    gaps = [
        len(part) * abs(float(chances[part].mean() - labels[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return float(sum(gaps) / len(chances))
