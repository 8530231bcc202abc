"""How well predicted probabilities rank and how true they are; pure numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.core.geo import Floats

BINS = 10
# A bin of fewer is off by chance by more than what is asked of a model.
LEAST_IN_BIN = 200


def bins_for(count: int) -> int:
    """Say into how many bins so many predictions are put."""
    return min(max(count // LEAST_IN_BIN, 1), BINS)


def auc(happened: NDArray[np.bool_], score: Floats) -> float | None:
    """Return the probability that one who did is ranked above one who did not, ties counting half.

    None where all did or nobody did: there is nothing to be told apart.
    """
    yes = int(happened.sum())
    no = len(happened) - yes
    if not yes or not no:
        return None
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    # The mean rank of a group of ties, counted from one.
    rank = np.cumsum(count) - (count - 1) / 2
    return float((rank[place][happened].sum() - yes * (yes + 1) / 2) / (yes * no))


def lift(happened: NDArray[np.bool_], score: Floats, share: float = 0.1) -> float | None:
    """Return how many times as often it happened in the top share as it did in all.

    Of equal scores at the edge each counts with the part of them that still fits in. None where it
    happened to nobody.
    """
    overall = happened.mean() if len(happened) else 0.0
    if not overall:
        return None
    wanted = share * len(happened)
    values, place, count = np.unique(-score, return_inverse=True, return_counts=True)
    hits = np.bincount(place, weights=happened, minlength=len(values))
    before = np.cumsum(count) - count
    taken = np.clip((wanted - before) / count, 0, 1)
    return float((hits * taken).sum() / wanted / overall)


@dataclass(frozen=True)
class Bin:
    """Those predicted alike: how many, what was predicted of them on average, what was seen."""

    count: int
    predicted: float
    observed: float


def calibration(happened: NDArray[np.bool_], predicted: Floats, bins: int = BINS) -> list[Bin]:
    """Put predictions into bins of about equal size, from the lowest to the highest.

    Equal predictions stay together, whatever their order, so that the table says nothing of how
    the rows were sorted; with many of them there are fewer bins.
    """
    if not len(predicted):
        return []
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, bins + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, predicted, side="left")
    found = []
    for one in np.unique(place):
        inside = place == one
        found.append(
            Bin(
                int(inside.sum()),
                float(predicted[inside].mean()),
                float(happened[inside].mean()),
            )
        )
    return found


def calibration_error(
    happened: NDArray[np.bool_], predicted: Floats, bins: int = BINS
) -> float | None:
    """Return by how much predictions are off on average over the bins; None without any."""
    table = calibration(happened, predicted, bins)
    if not table:
        return None
    return sum(one.count * abs(one.predicted - one.observed) for one in table) / len(predicted)
