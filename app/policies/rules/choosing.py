"""How likely a model would have put each candidate of the log first, for all decisions at once.

It says what `app.suggestions.rules.model.propensity_of` says of one decision, in arrays: a log of
a season has a million candidates. The draws are the same for every model that is judged, decision
by decision, so that two models are told apart by what they believe and not by their luck.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from app.core.geo import Floats
from app.policies.rules.fitting import sigmoid, with_intercept
from app.policies.rules.replay import Ints
from app.suggestions.rules.model import DRAWS, Model, OfferModel

SEED = 1
# The action that a decision always has besides its offers: to offer nothing, for a score of zero.
NOTHING = -1

# So many rows are drawn for at a time, which keeps the draws within some ten megabytes.
_ROWS = 20_000


def believed(
    model: Model,
    names: Sequence[str],
    codes: Sequence[str],
    action: Ints,
    features: Floats,
    experts: Mapping[str, float],
) -> tuple[Floats, Floats]:
    """Return the mean and the standard deviation of the log odds of each row.

    `action` is a place in `codes`, or `NOTHING`; `features` has a column for each of `names`, and
    those that the model knows nothing of do not count. An offer the model has not learned about is
    believed by its expert's rate.
    """
    told = with_intercept(_columns(features, names, model.names))
    mean, variance = np.zeros(len(action)), np.zeros(len(action))
    for place, code in enumerate(codes):
        rows = np.flatnonzero(action == place)
        known = model.offers.get(code)
        prior = known or OfferModel.prior(experts[code], len(model.names))
        variance[rows] = ((told[rows] @ np.array(prior.covariance)) * told[rows]).sum(1)
        if known is None:
            # The less is known of somebody, the further a logit is from that of the rate itself.
            mean[rows] = np.log(prior.rate / (1 - prior.rate)) * _widening(variance[rows])
        else:
            mean[rows] = told[rows] @ np.array(known.mean)
    return mean, np.sqrt(np.maximum(variance, 0))


def chance(log_odds: tuple[Floats, Floats]) -> Floats:
    """Return how likely a yes is, on average over all that is believed possible."""
    mean, deviation = log_odds
    return sigmoid(mean / _widening(deviation**2))


def _widening(variance: Floats) -> Floats:
    """MacKay's approximation, as `app.suggestions.rules.model` has it for one decision."""
    widened: Floats = np.sqrt(1 + np.pi * variance / 8)
    return widened


def _columns(features: Floats, names: Sequence[str], wanted: Sequence[str]) -> Floats:
    """Put columns in the order a model wants them; one that is not there is zero."""
    if tuple(names) == tuple(wanted):
        return features
    place = {name: column for column, name in enumerate(names)}
    found = np.zeros((len(features), len(wanted)))
    for column, name in enumerate(wanted):
        if name in place:
            found[:, column] = features[:, place[name]]
    return found


def first_by_draws(
    decision: Ints,
    action: Ints,
    log_odds: tuple[Floats, Floats],
    worth: Floats,
    cost: Floats,
    floor: float,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Floats:
    """Return the probability with which each row is put first in its decision.

    `log_odds` are the mean and the standard deviation of what is believed of each row, `worth`
    what an acceptance brings and `cost` what asking costs, in fen; rows of the action `NOTHING`
    bring and cost nothing. The floor is shared by the offers of a decision alike. Each decision's
    rows stand together, and each has one that offers nothing.
    """
    starts = np.flatnonzero(np.diff(decision, prepend=-1))
    ends = np.append(starts[1:], len(decision))
    luck = np.random.default_rng(seed)
    wins = np.zeros(len(decision))
    for first, last in _pieces(starts, ends):
        rows = slice(first, last)
        mean, deviation = log_odds[0][rows, None], log_odds[1][rows, None]
        drawn = mean + deviation * luck.standard_normal((last - first, draws))
        score = worth[rows, None] / (1 + np.exp(-drawn)) - cost[rows, None]
        score[action[rows] == NOTHING] = 0.0
        inside = starts[(starts >= first) & (starts < last)] - first
        sizes = np.diff(np.append(inside, last - first))
        best = np.repeat(np.maximum.reduceat(score, inside), sizes, axis=0)
        won = score == best
        # Equal scores are rare beyond offering nothing, and then share the draw.
        share = won / np.repeat(np.add.reduceat(won.astype(float), inside), sizes, axis=0)
        wins[rows] = share.mean(1)
    offers = action != NOTHING
    count = np.bincount(decision, weights=offers)[decision]
    mixed: Floats = np.where(
        count > 0, (1 - floor) * wins + floor * offers / np.maximum(count, 1), wins
    )
    return mixed


def _pieces(starts: Ints, ends: Ints) -> list[tuple[int, int]]:
    """Cut the rows into pieces of whole decisions."""
    pieces: list[tuple[int, int]] = []
    first = 0
    for end in ends:
        if end - first >= _ROWS or end == ends[-1]:
            pieces.append((first, int(end)))
            first = int(end)
    return pieces
