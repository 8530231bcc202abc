"""Where value goes: what a policy loses against perfect play, cause by cause.

At every door the offers that passed are put in order several times over, each time knowing a little
less, and each step down is one cause. What a list is worth is told by the truth, before the same
technician. So the causes add up to the whole difference, visit by visit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from app.suggestions.rules import Group
from benchmarks.suggestions.door import worth_of
from benchmarks.suggestions.field import Field, Visit
from benchmarks.suggestions.judge import Judge
from benchmarks.suggestions.numbers import Floats
from benchmarks.suggestions.offers import Offering
from benchmarks.suggestions.oracle import SHOWN, best
from benchmarks.suggestions.truth import CONTACT_COST_FEN

# In the order of the steps. What is known of an offer's worth, and of the chance that it is taken,
# are two things: the first is arithmetic with the catalogue, the second is learned.
WORDS = {
    "earlier": "contacts spent at other doors than perfect play would",
    "values": "what an offer is worth, and gates that ask more than the rules",
    "chances": "how likely it is taken, and factors of context",
    "trying": "draws and floor",
    "uniform": "customers who get any allowed offer alike",
    "holdout": "customers who are offered nothing",
    "luck": "which of the likely ones was drawn",
}


class Passed(NamedTuple):
    """An offer that passed the gates: its score and its worth if taken, in fen, and how likely it
    was put first."""

    code: str
    score: float
    worth: float
    propensity: float


@dataclass
class Losses:
    """What was lost in fen, by cause, over all visits so far."""

    by_cause: dict[str, float] = field(default_factory=lambda: dict.fromkeys(WORDS, 0.0))

    def add(
        self,
        ground: Field,
        judge: Judge,
        visit: Visit,
        passed: Iterable[Passed],
        group: str,
        shown: Sequence[Offering],
        perfect: float,
    ) -> None:
        """Take one visit down, before anything is pitched in it; `perfect` is perfect play's worth
        of the same visit."""
        here = _Door(ground, judge, visit, sorted(passed, key=lambda one: (-one.score, one.code)))
        steps = [perfect, worth_of(ground, judge, visit, best(ground, judge, visit))]
        steps += [here.knowing_chances(), here.guess(), here.expected(), here.worth(shown)]
        if group == Group.HOLDOUT:
            causes = ("earlier", "values", "chances", "holdout", "luck")
        elif group == Group.UNIFORM:
            causes = ("earlier", "values", "chances", "uniform", "luck")
        else:
            causes = ("earlier", "values", "chances", "trying", "luck")
        for cause, (before, after) in zip(causes, pairwise(steps), strict=True):
            self.by_cause[cause] += before - after


@dataclass
class _Door:
    ground: Field
    judge: Judge
    visit: Visit
    passed: Sequence[Passed]

    def worth(self, shown: Sequence[Offering]) -> float:
        return worth_of(self.ground, self.judge, self.visit, shown)

    def knowing_chances(self) -> float:
        """What it would be worth if the chances were known, with the policy's own values."""
        contacts = self.judge.contacts_in_30_days(self.visit)
        chances: Floats = self.ground.truth.chances(self.visit.home, self.visit.work_type, contacts)
        places = [self._place(one) for one in self.passed]
        scores = np.array([one.worth for one in self.passed]) * chances[places] - CONTACT_COST_FEN
        order = [at for at in np.argsort(-scores, kind="stable") if scores[at] > 0][:SHOWN]
        return self.worth([self.ground.offers[places[at]] for at in order])

    def guess(self) -> float:
        """What the policy's best guess is worth, without trying."""
        return self.worth([self._offer(one) for one in self.passed if one.score > 0][:SHOWN])

    def expected(self) -> float:
        """What its choice is worth on average over what it might have drawn."""
        total = 0.0
        for one in self.passed:
            if one.propensity:
                beside = [other for other in self.passed if other is not one and other.score > 0]
                shown = [one, *beside][:SHOWN]
                total += one.propensity * self.worth([self._offer(other) for other in shown])
        return total

    def _place(self, one: Passed) -> int:
        return self.ground.place[one.code]

    def _offer(self, one: Passed) -> Offering:
        return self.ground.offers[self._place(one)]
