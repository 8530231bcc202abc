"""How likely a model would have put each candidate of the log first, for all decisions at once.

It says what `app.suggestions.rules.model.propensity_of` says of one decision, in arrays: a log of
a season has a million candidates. The draws are the same for every model that is judged, decision
by decision, so that two models are told apart by what they believe and not by their luck.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from app.core.geo import Floats
from app.policies.rules.fitting import sigmoid, with_intercept
from app.policies.rules.replay import Ints
from app.suggestions.rules.model import BOLD, DRAWS, Model, OfferModel, Trying

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
    push: Floats,
    cost: Floats,
    trying: Trying,
    draws: int = DRAWS,
    seed: int = SEED,
) -> Floats:
    """Return the probability with which each row is put first in its decision.

    `log_odds` are the mean and the standard deviation of what is believed of each row, `worth`
    what an acceptance brings, `push` how many times that campaigns make of it, and `cost` what
    asking costs, in fen; rows of the action `NOTHING` bring and cost nothing. Each decision's rows
    stand together, and each has one that offers nothing, of which the floor gives nothing.
    """
    starts = np.flatnonzero(np.diff(decision, prepend=-1))
    ends = np.append(starts[1:], len(decision))
    luck = np.random.default_rng(seed)
    wins, tried = np.zeros(len(decision)), np.zeros(len(decision))
    informed = trying.floor > 0 and trying.alike < 1
    for first, last in _pieces(starts, ends):
        rows = slice(first, last)
        lots = luck.standard_normal((last - first, draws))
        inside = starts[(starts >= first) & (starts < last)] - first
        nothing = action[rows] == NOTHING

        def won(
            spread: float,
            empty: float,
            *,
            rows: slice = rows,
            lots: Floats = lots,
            inside: Ints = inside,
            nothing: NDArray[np.bool_] = nothing,
        ) -> Floats:
            mean, deviation = heeding((log_odds[0][rows], log_odds[1][rows]), spread)
            drawn = mean[:, None] + deviation[:, None] * lots
            # As `Score.beside_nothing` has it: a campaign makes nothing worth a contact.
            alone = np.minimum(push[rows, None], 1) * worth[rows, None] / (1 + np.exp(-drawn))
            pushed = np.maximum(push[rows, None], 1) * alone
            score = np.where(alone > cost[rows, None], pushed, alone) - cost[rows, None]
            score[nothing] = empty
            return _wins(score, inside)

        wins[rows] = won(trying.spread, 0.0)
        if informed:
            tried[rows] = won(BOLD, -np.inf)
    offers = action != NOTHING
    count = np.bincount(decision, weights=offers)[decision]
    alike = trying.alike if informed else 1.0
    floor = alike * offers / np.maximum(count, 1) + (1 - alike) * tried
    mixed: Floats = np.where(count > 0, (1 - trying.floor) * wins + trying.floor * floor, wins)
    return mixed


def heeding(log_odds: tuple[Floats, Floats], spread: float) -> tuple[Floats, Floats]:
    """Heed so many times the doubt there is, as a `Belief` of one row does."""
    mean, deviation = log_odds
    there = _widening((deviation * spread) ** 2) / _widening(deviation**2)
    return mean * there, deviation * spread


def _wins(score: Floats, starts: Ints) -> Floats:
    """Return the share of draws that each row wins in its decision; decisions begin at `starts`."""
    sizes = np.diff(np.append(starts, len(score)))
    best = np.repeat(np.maximum.reduceat(score, starts), sizes, axis=0)
    won = score == best
    # Equal scores are rare beyond offering nothing, and then share the draw.
    share = won / np.repeat(np.add.reduceat(won.astype(float), starts), sizes, axis=0)
    shares: Floats = share.mean(1)
    return shares


def _pieces(starts: Ints, ends: Ints) -> list[tuple[int, int]]:
    """Cut the rows into pieces of whole decisions."""
    pieces: list[tuple[int, int]] = []
    first = 0
    for end in ends:
        if end - first >= _ROWS or end == ends[-1]:
            pieces.append((first, int(end)))
            first = int(end)
    return pieces
