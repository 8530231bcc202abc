"""The ranking of all offerings for one customer in one visit; "nothing today" is a good answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from app.catalog.rules import BusinessType
from app.suggestions.rules import Coordination, Group, HeldBack
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.gates import NONE_OFF, Off, held_back
from app.suggestions.rules.levers import left_to
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.model import (
    BEST_GUESS,
    BOLD,
    Model,
    Trying,
    chosen,
    drawn,
    features,
    luck,
    propensity_of,
)
from app.suggestions.rules.score import Part, Score, scored

# Stored with each decision; another way of ranking gets another name.
POLICY = "rules-2"
THOMPSON = "thompson-2"

COORDINATION: dict[BusinessType, Coordination] = {
    # The account manager, or the shop's face-to-face check, finishes what the visit begins.
    BusinessType.STRATEGIC: Coordination.COMPLEMENT,
    BusinessType.RETENTION: Coordination.COMPLEMENT,
    BusinessType.SALES: Coordination.ENHANCE,
    BusinessType.INCENTIVE: Coordination.ENHANCE,
    BusinessType.SENSITIVE: Coordination.ENHANCE,
    BusinessType.SERVICE: Coordination.SUBSTITUTE,
}


def coordination_of(facts: Facts, offer: Offer) -> Coordination:
    """Say how an offer at a door goes together with the other channels; another one stands in for
    the visit where the customer prefers it."""
    if left_to(facts, offer) is not None:
        return Coordination.SUBSTITUTE
    return COORDINATION[offer.business_type]


@dataclass(frozen=True)
class Candidate:
    """What was decided about one offering: shown with a rank (from 1), or held back.

    `propensity` is how likely it was put first; None is for what a gate held back.
    """

    offer: Offer
    scoring: Score
    rank: int | None
    held_back: HeldBack | None
    propensity: float | None = None
    told: dict[str, float] | None = None

    @property
    def parts(self) -> Sequence[Part]:
        """The parts that add up to the score."""
        return self.scoring.parts

    @property
    def score(self) -> int:
        """The sum of the parts, in fen."""
        return self.scoring.fen


@dataclass(frozen=True)
class Way:
    """How a decision chooses among what the gates let through.

    Without a model the rules alone rank, by the experts' rates. `trying` says how far a model's
    choice goes beyond its best guess, and the seed repeats all that is left to chance.
    """

    group: Group = Group.POLICY
    model: Model | None = None
    trying: Trying = BEST_GUESS
    seed: int = 0

    @property
    def policy(self) -> str:
        """The name of this way of ranking."""
        return POLICY if self.model is None else THOMPSON


RULES_ALONE = Way()


def ranked(
    facts: Facts,
    offers: Sequence[Offer],
    limits: Limits,
    *,
    way: Way = RULES_ALONE,
    off: Off = NONE_OFF,
) -> list[Candidate]:
    """Decide about each offering of the catalogue: first those shown by rank, then the others.

    What comes first is chosen as the way says; the next are those of the others that are worth
    most. Equal scores are ordered by code, so that the same facts always give the same answer.
    """
    passed: list[Candidate] = []
    kept: list[Candidate] = []
    for offer in offers:
        told = features(facts, offer)
        chance = None
        if way.model is not None and not facts.generic:
            chance = way.model.belief(offer, told).rate
        code = held_back(facts, offer, limits, off)
        candidate = Candidate(offer, scored(facts, offer, limits, chance), None, code)
        (kept if code else passed).append(candidate if code else replace(candidate, told=told))
    passed.sort(key=lambda candidate: (-candidate.score, candidate.offer.code))
    kept.sort(key=lambda candidate: candidate.offer.code)
    return [*_chosen(facts, passed, limits, way, off), *kept]


def _chosen(
    facts: Facts, passed: Sequence[Candidate], limits: Limits, way: Way, off: Off
) -> list[Candidate]:
    chance = Random(way.seed)
    shares = _propensities(facts, passed, way, chance)
    with_shares = [
        replace(one, propensity=share) for one, share in zip(passed, shares, strict=False)
    ]
    if way.group is Group.HOLDOUT:
        return [replace(one, held_back=HeldBack.HOLDOUT) for one in with_shares]
    place = chosen(shares, chance)
    if place == len(passed):
        return [_left(one, HeldBack.NOTHING_TODAY) for one in with_shares]
    return _shown([with_shares.pop(place), *with_shares], facts, limits, off)


def _shown(in_turn: Sequence[Candidate], facts: Facts, limits: Limits, off: Off) -> list[Candidate]:
    """Show as many as may be, from the first on; those that come too late are held back.

    Over all its decisions a visit shows no more different offers than one decision may.
    """
    most, before = round(limits.shown), facts.shown_in_this_visit
    new = most if HeldBack.SHOWN_IN_THIS_VISIT in off else most - len(before)
    shown: list[Candidate] = []
    rest: list[Candidate] = []
    for place, one in enumerate(in_turn):
        is_new = one.offer.code not in before
        # What is chosen to be tried may be worth less than nothing; what stands beside it may not.
        fits = one.scoring.worth_fen > 0 or not place
        if fits and len(shown) < most and (new > 0 or not is_new):
            new -= is_new
            shown.append(replace(one, rank=len(shown) + 1))
        else:
            rest.append(_left(one, HeldBack.OTHERS_FIT_BETTER))
    return [*shown, *rest]


def _left(one: Candidate, why: HeldBack) -> Candidate:
    """Hold back what the gates let through; of what only a campaign lifts over nothing, whose score
    would seem to deserve a place, just that is said."""
    return replace(one, held_back=HeldBack.CAMPAIGN_ALONE if one.scoring.only_pushed else why)


def _propensities(
    facts: Facts, passed: Sequence[Candidate], way: Way, chance: Random
) -> list[float]:
    """Say how likely each is put first, and last in the list that nothing is offered."""
    if not passed or way.group is Group.HOLDOUT:
        return [*([0.0] * len(passed)), 1.0]
    if facts.generic or (way.model is None and way.group is Group.POLICY):
        return [1.0, *([0.0] * len(passed))]
    if way.group is Group.UNIFORM or way.model is None:
        return [*([1 / len(passed)] * len(passed)), 0.0]
    believed = [way.model.belief(one.offer, one.told or {}) for one in passed]
    lots = luck(len(passed), chance)

    def scores(spread: float) -> list[list[float]]:
        return [
            [one.scoring.beside_nothing(rate) for one, rate in zip(passed, vector, strict=True)]
            for vector in drawn(believed, lots, spread)
        ]

    trying = way.trying
    informed = trying.floor > 0 and trying.alike < 1 and len(passed) > 1
    return propensity_of(
        scores(trying.spread), trying.floor, scores(BOLD) if informed else (), trying.alike
    )


def foreseen(
    facts: Facts, offers: Sequence[Offer], limits: Limits, *, way: Way, off: Off = NONE_OFF
) -> dict[str, Any]:
    """Say what another way would have chosen, as a decision notes it: first, and how likely each.

    `first` null is nothing today.
    """
    candidates = ranked(facts, offers, limits, way=way, off=off)
    return {
        "first": next((one.offer.code for one in candidates if one.rank == 1), None),
        "propensity": {
            one.offer.code: one.propensity for one in candidates if one.propensity is not None
        },
    }
