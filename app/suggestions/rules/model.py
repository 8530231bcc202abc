"""How likely a customer takes an offer: the document of a policy's model, what it is told of the
customer, and the draws by which a decision explores.

Each offer has a Bayesian logistic of its own. Its intercept starts at the expert's rate as sure as
if it had been seen on `EVIDENCE` customers, and its weights start at nothing, so that a model
without any rows is the expert's guess.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import exp, log, log1p, pi, sqrt
from operator import add
from random import Random
from typing import Any, Self

from app.suggestions.rules.facts import INSTALL, REPAIR, Facts, Offer

# The starting evidence behind an expert's rate, in customers asked.
EVIDENCE = 50.0
# How far a weight may lie from nothing before a row was seen: the variance of its prior. In the
# simulated field wider ones cost the first thousands of decisions more than they teach.
WEIGHT_VARIANCE = 0.02
# How many vectors of scores are drawn for one decision.
DRAWS = 64
# The parts of a logit that are of no feature.
INTERCEPT, DOUBT = "intercept", "doubt"
# A rate of nothing or of everything has no logit.
_LEAST, _MOST = 0.001, 0.999


class ModelKind(StrEnum):
    """What a model in the registry foretells."""

    ACCEPTANCE = "acceptance"
    CHURN = "churn"


class PolicyState(StrEnum):
    """Where a model stands on its way: it is tried beside the one in force before it replaces it.

    A shadow only notes what it would have chosen; a challenger decides for a share of customers.
    """

    CANDIDATE = "candidate"
    SHADOW = "shadow"
    CHALLENGER = "challenger"
    LIVE = "live"
    RETIRED = "retired"


# What a model is told, each about from 0 to 1. What is not known is 0 in its own feature and 1 in
# the feature that says so. Age, sex, family and address are none of it, nor is what an operator's
# own word for a customer may stand for.
FEATURES = (
    "install_visit",
    "repair_visit",
    "faults",
    "contacts_month",
    "contacts_year",
    "refusals",
    "tenure",
    "tenure_unknown",
    "services_held",
    "usage",
    "usage_unknown",
    "speed_gain",
    "underserved",
    "contract_soon",
    "contract_over",
    "contract_unknown",
    "tier_a",
    "tier_b",
    "tier_d",
    "growing",
    "declining",
    "churn_mid",
    "churn_high",
)


def features(facts: Facts, offer: Offer) -> dict[str, float]:
    """Say what a model may know of a customer and an offer, by the names of `FEATURES`.

    Only what is not nothing is named. Facts in generic mode say nothing of the customer here.
    """
    if facts.generic:
        return {}
    days = None if facts.contract_ends_on is None else (facts.contract_ends_on - facts.today).days
    usage = facts.monthly_usage_gb
    gain = 0.0
    if facts.faster(offer) and offer.speed_mbps and facts.speed_mbps:
        gain = min(log(offer.speed_mbps / facts.speed_mbps) / log(10), 1.0)
    told = {
        "install_visit": facts.work_type == INSTALL,
        "repair_visit": facts.work_type == REPAIR,
        "faults": min(facts.faults, 3) / 3,
        "contacts_month": min(facts.contacts_month, 3) / 3,
        "contacts_year": min(facts.contacts_year, 12) / 12,
        "refusals": min(facts.refusals, 3) / 3,
        "tenure": min(facts.tenure_months or 0, 120) / 120,
        "tenure_unknown": facts.tenure_months is None,
        "services_held": min(len(facts.held), 10) / 10,
        "usage": 0.0 if usage is None else min(log1p(usage) / log1p(1000), 1.0),
        "usage_unknown": usage is None,
        "speed_gain": gain,
        # A household that uses much on a slow line: a GB a month for each Mbit/s is a lot.
        "underserved": (
            min(usage / facts.speed_mbps, 2.0) / 2 if usage and facts.speed_mbps else 0.0
        ),
        "contract_soon": days is not None and 0 <= days <= 90,
        "contract_over": days is not None and days < 0,
        "contract_unknown": days is None,
        "tier_a": facts.tier == "A",
        "tier_b": facts.tier == "B",
        "tier_d": facts.tier == "D",
        "growing": facts.stage in ("acquisition", "build_up"),
        "declining": facts.stage == "decline",
        "churn_mid": facts.churn_class == "mid",
        "churn_high": facts.churn_class == "high",
    }
    return {name: float(value) for name, value in told.items() if value}


@dataclass(frozen=True)
class OfferModel:
    """What is believed of one offer: the logit's intercept and weights, as sure as they are.

    `mean` begins with the intercept and goes on in the order of the model's features; `covariance`
    is of the same. `rate` is the prior's, `accepted` and `refused` are the rows it has seen.
    """

    rate: float
    mean: tuple[float, ...]
    covariance: tuple[tuple[float, ...], ...]
    accepted: int = 0
    refused: int = 0

    @classmethod
    def prior(cls, rate: float, names: int) -> Self:
        """Begin with an expert's rate and weights of nothing, for so many features."""
        rate = min(max(rate, _LEAST), _MOST)
        spread = [1 / (EVIDENCE * rate * (1 - rate)), *([WEIGHT_VARIANCE] * names)]
        return cls(
            rate,
            mean=(_centre(rate, spread[0]), *([0.0] * names)),
            covariance=tuple(
                tuple(value if row == column else 0.0 for column in range(len(spread)))
                for row, value in enumerate(spread)
            ),
        )


class Belief(tuple[float, float]):
    """A logit as it is believed: its mean, and its standard deviation."""

    __slots__ = ()

    @property
    def rate(self) -> float:
        """The chance that the offer is taken: the mean over all that is believed possible."""
        mean, deviation = self
        return _rate(mean / _widening(deviation**2))

    def heeding(self, spread: float) -> "Belief":
        """Heed so many times the doubt there is, around the same chance."""
        if spread == 1:
            return self
        mean, deviation = self
        there = _widening((deviation * spread) ** 2) / _widening(deviation**2)
        return Belief((mean * there, deviation * spread))


@dataclass(frozen=True)
class Model:
    """A policy's model: what it believes of each offer it has learned about.

    An offer it has not learned about is believed by its expert's rate.
    """

    version: str
    offers: Mapping[str, OfferModel]
    names: tuple[str, ...] = FEATURES

    @classmethod
    def cold(cls, version: str) -> Self:
        """Make the model that has seen nothing and believes the experts."""
        return cls(version, {})

    @classmethod
    def of_document(cls, version: str, document: Mapping[str, Any]) -> Self:
        """Read a model from the registry's document; see `document`."""
        return cls(
            version,
            {
                code: OfferModel(
                    rate=one["rate"],
                    mean=tuple(one["mean"]),
                    covariance=tuple(tuple(row) for row in one["covariance"]),
                    accepted=one["accepted"],
                    refused=one["refused"],
                )
                for code, one in document["offers"].items()
            },
            tuple(document["features"]),
        )

    def document(self) -> dict[str, Any]:
        """Write the model as plain values, as the registry keeps it."""
        return {
            "features": list(self.names),
            "offers": {
                code: {
                    "rate": one.rate,
                    "mean": list(one.mean),
                    "covariance": [list(row) for row in one.covariance],
                    "accepted": one.accepted,
                    "refused": one.refused,
                }
                for code, one in sorted(self.offers.items())
            },
        }

    def belief(self, offer: Offer, told: Mapping[str, float]) -> Belief:
        """Say what is believed of an offer made to somebody, who is described by `features`."""
        known = self.offers.get(offer.code)
        if known is None:
            rate = min(max(offer.expert_rate, _LEAST), _MOST)
            spread = 1 / (EVIDENCE * rate * (1 - rate))
            spread += WEIGHT_VARIANCE * sum(
                value * value for name, value in told.items() if name in self.names
            )
            return Belief((_centre(rate, spread), sqrt(spread)))
        # Only the features that are not nothing count, and those are few.
        there = [(0, 1.0)]
        there += [
            (place, told[name]) for place, name in enumerate(self.names, start=1) if name in told
        ]
        mean = sum(known.mean[place] * value for place, value in there)
        variance = sum(
            known.covariance[row][column] * one * other
            for row, one in there
            for column, other in there
        )
        return Belief((mean, sqrt(max(variance, 0.0))))

    def terms(self, offer: Offer, told: Mapping[str, float]) -> dict[str, float]:
        """Split the chance that is believed, as a logit, into its parts for whoever explains it:
        the intercept, what each feature adds, and how far doubt draws it towards one half."""
        mean, deviation = self.belief(offer, told)
        known = self.offers.get(offer.code)
        parts = {INTERCEPT: mean}
        if known is not None:
            weights = dict(zip(self.names, known.mean[1:], strict=True))
            parts = {
                INTERCEPT: known.mean[0],
                **{name: weights[name] * here for name, here in told.items() if weights.get(name)},
            }
        return {**parts, DOUBT: mean / _widening(deviation**2) - mean}


@dataclass(frozen=True)
class Trying:
    """How far choosing goes beyond the best guess.

    `spread` is how much of what is not known the draws heed, 1 being all of it. `floor` is the
    share of decisions in which an offer is tried whatever the draws say: of that the share `alike`
    goes to all offers alike, and the rest to those that would be best if `BOLD` times as much were
    unknown.
    """

    floor: float = 0.0
    alike: float = 1.0
    spread: float = 1.0


BEST_GUESS = Trying()
# The boldness of the informed part of the floor, in standard deviations as they are believed.
BOLD = 2.0


def luck(offers: int, chance: Random, draws: int = DRAWS) -> list[list[float]]:
    """Draw standard normal numbers, one for each offer, so many times over."""
    return [[chance.gauss(0.0, 1.0) for _ in range(offers)] for _ in range(draws)]


def drawn(
    believed: Sequence[Belief], lots: Sequence[Sequence[float]], spread: float = 1.0
) -> list[list[float]]:
    """Turn lots into chances of each offer being taken, as likely as it is believed.

    Offers are independent and the customer is given, so drawing the logits is drawing the weights.
    A spread of another number than 1 heeds so much of the doubt; the chance is right on average at
    any.
    """
    heeded = [one.heeding(spread) for one in believed]
    return [
        [_rate(mean + off * lot) for (mean, off), lot in zip(heeded, vector, strict=True)]
        for vector in lots
    ]


def propensity_of(
    scores: Sequence[Sequence[float]],
    floor: float,
    bold: Sequence[Sequence[float]] = (),
    alike: float = 1.0,
) -> list[float]:
    """Compute how likely each offer is put first, and last in the list that nothing is offered.

    `scores` are vectors of drawn scores: who is best in a vector wins it, and where none is above
    nothing, nothing wins it. Of the floor, the share `alike` goes to the offers alike, so that each
    is tried, and the rest to whoever wins the `bold` vectors, where nothing cannot win.
    """
    offers = len(scores[0]) if scores else 0
    if not offers:
        return [1.0]
    wins = [0] * (offers + 1)
    for vector in scores:
        best = max(range(offers), key=vector.__getitem__)
        wins[best if vector[best] > 0 else offers] += 1
    tried = [0] * offers
    for vector in bold:
        tried[max(range(offers), key=vector.__getitem__)] += 1
    if not bold:
        alike = 1.0
    informed = (1 - alike) / max(len(bold), 1)
    shares = [(1 - floor) * won / len(scores) for won in wins]
    floors = [floor * (alike / offers + informed * won) for won in tried]
    return [*map(add, shares, floors), shares[offers]]


def chosen(propensity: Sequence[float], chance: Random) -> int:
    """Choose a place in a list of propensities, each as likely as the list says."""
    at = chance.random() * sum(propensity)
    for place, share in enumerate(propensity):
        at -= share
        if at < 0:
            return place
    # Sums of fractions may fall short of one: the last that can be chosen at all.
    return max(place for place, share in enumerate(propensity) if share > 0)


def _centre(rate: float, variance: float) -> float:
    """Place a logit so that its chance is the rate on average over its spread.

    With the logit of the rate itself, an offer that few take would be drawn far too high, since
    the little known about it is stretched upwards; a dear one would then be tried at every door.
    """
    return _logit(rate) * _widening(variance)


def _widening(variance: float) -> float:
    """Tell how much nearer to one half a chance is on average than at its logit's mean.

    MacKay's approximation of the mean of a logistic function over a normal distribution.
    """
    return sqrt(1 + pi * variance / 8)


def chance_of(terms: Mapping[str, float]) -> float:
    """Return the chance that a logit's terms add up to."""
    return _rate(sum(terms.values()))


def _logit(rate: float) -> float:
    return log(rate / (1 - rate))


def _rate(logit: float) -> float:
    if logit < 0:
        return exp(logit) / (1 + exp(logit))
    return 1 / (1 + exp(-logit))
