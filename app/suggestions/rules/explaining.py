"""Why an offer stands where it stands: the terms of its score, and what each of them changes.

Everything is told from what the decision stored, so that it explains what was decided and not what
would be decided now.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.suggestions.rules import Gate, HeldBack
from app.suggestions.rules.gates import HOLDS

GATE_OF: Mapping[HeldBack, Gate] = {hold.code: hold.gate for hold in HOLDS}

# What is not about the customer cannot be left out: there would be no score, or nothing to pay.
BASE = frozenset({"expected", "contact_cost"})


@dataclass(frozen=True)
class Weighed:
    """A candidate as it was stored: `reasons` are parts that add up to `score_fen`.

    `running` tells that the gates let it through, so that it had a place among the others.
    """

    code: str
    score_fen: int
    reasons: Sequence[Mapping[str, Any]]
    held_back: HeldBack | None
    running: bool

    def without(self, part: str | None) -> int:
        """Add up the score in fen as if a part had not been there."""
        return sum(one["fen"] for one in self.reasons if one["code"] != part)


@dataclass(frozen=True)
class Term:
    """One term of a score in fen, with the values of its words.

    `rank_without` is the place by score that the offer would have if the term were left out for all
    offers; null where it has no place, or the term cannot be left out.
    """

    code: str
    fen: int
    values: Mapping[str, Any]
    rank_without: int | None


@dataclass(frozen=True)
class Explanation:
    """What is told of one candidate: its terms, the strongest first, and its place by score."""

    terms: Sequence[Term]
    rank_by_score: int | None

    @property
    def strongest(self) -> Sequence[Term]:
        """The three terms about the customer and the visit that changed the score most."""
        about = [term for term in self.terms if term.code not in BASE and term.fen]
        return about[:3]


def explained(one: Weighed, among: Sequence[Weighed]) -> Explanation:
    """Explain a candidate among all of its decision."""
    terms = [
        Term(
            part["code"],
            part["fen"],
            part["values"],
            None if part["code"] in BASE else _rank(one, among, part["code"]),
        )
        for part in one.reasons
    ]
    terms.sort(key=lambda term: -abs(term.fen))
    return Explanation(terms, _rank(one, among, None))


def _rank(one: Weighed, among: Sequence[Weighed], part: str | None) -> int | None:
    if not one.running:
        return None
    own = (-one.without(part), one.code)
    return 1 + sum((-other.without(part), other.code) < own for other in among if other.running)


def gates_of(held_back: HeldBack | None) -> dict[Gate, bool | None]:
    """Say of each gate, in their order, whether an offer passed it; null was not reached."""
    stopped = GATE_OF.get(held_back) if held_back is not None else None
    order = list(Gate)
    if stopped is None:
        return dict.fromkeys(order, True)
    at = order.index(stopped)
    return {
        gate: True if place < at else False if place == at else None
        for place, gate in enumerate(order)
    }
