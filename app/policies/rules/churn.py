"""A churn card fitted to customers who stayed and left: logistic regression over bins of values.

It has the form of the card that people write (`app.lifecycle`), a few points for each range of
each field, so that the same statement scores both and the same words explain both. What is not
known gets no points, as on the card.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.core.geo import Floats
from app.policies.rules.fitting import Belief, learned, sigmoid
from app.policies.rules.measures import auc, bins_for, calibration_error, lift

# At most so many ranges a field, and at least so many customers in each.
RANGES = 8
LEAST_IN_RANGE = 40
# How far the log odds of a range are thought to lie from none, as a standard deviation.
SPREAD = 1.0


@dataclass(frozen=True)
class Term:
    """A range of a field, from `start` (included) to `end` (not), and what it adds to the log odds;
    None is no bound."""

    field: str
    start: float | None
    end: float | None
    weight: float


@dataclass(frozen=True)
class Fitted:
    """The intercept and the terms of a logistic regression over ranges."""

    intercept: float
    terms: Sequence[Term]

    def predicted(self, columns: Mapping[str, Floats]) -> Floats:
        """Return the probability of leaving for each row; NaN is not known."""
        rows = len(next(iter(columns.values()), ()))
        total = np.full(rows, self.intercept)
        for term in self.terms:
            total += term.weight * _inside(columns[term.field], term.start, term.end)
        return sigmoid(total)


def fitted(
    columns: Mapping[str, Floats], left: NDArray[np.bool_], spread: float = SPREAD
) -> Fitted:
    """Fit ranges of each field to who left; a column has one value a customer, NaN: not known."""
    ranges = [
        (field, start, end)
        for field, values in sorted(columns.items())
        for start, end in ranges_of(values)
    ]
    rows = np.column_stack(
        [_inside(columns[field], start, end) for field, start, end in ranges]
        or [np.zeros((len(left), 0))]
    )
    share = (left.sum() + 1) / (len(left) + 2)
    before = Belief(
        np.concatenate([[np.log(share / (1 - share))], np.zeros(len(ranges))]),
        np.diag([100.0, *([spread**2] * len(ranges))]),
    )
    mean = learned(before, rows, left).mean
    return Fitted(
        float(mean[0]),
        [
            Term(field, start, end, float(weight))
            for (field, start, end), weight in zip(ranges, mean[1:], strict=True)
        ],
    )


def ranges_of(values: Floats) -> list[tuple[float | None, float | None]]:
    """Cut what is known of a field into ranges that hold about alike many customers.

    A field with one value, or hardly known, has none.
    """
    known = np.sort(values[~np.isnan(values)])
    most = min(RANGES, len(known) // LEAST_IN_RANGE)
    if most < 2:
        return []
    # What many have alike can take several of the cuts, and the others get the next value.
    others = known[known > known[0]]
    cuts = np.unique(
        np.concatenate([np.quantile(known, np.arange(1, most) / most, method="higher"), others[:1]])
    )
    edges: list[float] = []
    reached = 0
    for cut in cuts:
        below = int(np.searchsorted(known, cut))
        if below - reached >= LEAST_IN_RANGE and len(known) - below >= LEAST_IN_RANGE:
            edges.append(float(cut))
            reached = below
    return list(pairwise([None, *edges, None])) if edges else []


def _inside(values: Floats, start: float | None, end: float | None) -> Floats:
    inside = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        if start is not None:
            inside &= values >= start
        if end is not None:
            inside &= values < end
    return inside.astype(np.float64)


@dataclass(frozen=True)
class Trial:
    """How a fitted card and the one in force rank customers whom neither has seen.

    `learned` are the customers the fitted one was tried with, of the `labelled`; what is not known
    is None, and nothing but `labelled` where the time before the tested ones is too short.
    """

    labelled: int
    learned: int
    tested: int
    auc_card: float | None
    auc_fitted: float | None
    lift_fitted: float | None
    error_fitted: float | None

    def better(self, least_labelled: int, least_gain: float, most_error: float) -> bool:
        """Tell whether the fitted card may replace the one in force: it ranks better by so much,
        and what it foretells is true to within `most_error`, a probability.

        Classes of risk and the worth of keeping somebody are told by the probability itself.
        """
        return (
            self.labelled >= least_labelled
            and self.auc_card is not None
            and self.auc_fitted is not None
            and self.auc_fitted - self.auc_card >= least_gain
            and self.error_fitted is not None
            and self.error_fitted <= most_error
        )


def tried(
    columns: Mapping[str, Floats],
    left: NDArray[np.bool_],
    by_card: Floats,
    day: NDArray[np.int64],
    horizon_days: int,
    share_tested: float = 0.3,
) -> Trial:
    """Fit the earlier customers and rank the later ones; rows are in the order of `day`, a number.

    `by_card` is what the card in force says of each. Rows are never mixed at random: what is to be
    known of is the future. So nobody is learned from whose outcome, which takes `horizon_days`, was
    not known yet when the first of the tested was looked at.
    """
    cut = int(len(left) * (1 - share_tested))
    known = int(np.searchsorted(day[:cut], day[cut] - horizon_days, side="right"))
    if not known:
        return Trial(len(left), 0, 0, None, None, None, None)
    early = {field: values[:known] for field, values in columns.items()}
    late = {field: values[cut:] for field, values in columns.items()}
    foretold, did = fitted(early, left[:known]).predicted(late), left[cut:]
    return Trial(
        labelled=len(left),
        learned=known,
        tested=len(did),
        auc_card=auc(did, by_card[cut:]),
        auc_fitted=auc(did, foretold),
        lift_fitted=lift(did, foretold),
        error_fitted=calibration_error(did, foretold, bins_for(len(did))),
    )
