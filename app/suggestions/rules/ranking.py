"""The ranking of all offerings for one customer in one visit; "nothing today" is a good answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from app.suggestions.rules import HeldBack
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.gates import held_back
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.score import Part, parts_of, score_of

# Stored with each decision; another way of ranking gets another name.
POLICY = "rules-1"


@dataclass(frozen=True)
class Candidate:
    """What was decided about one offering: shown with a rank (from 1), or held back."""

    offer: Offer
    parts: Sequence[Part]
    rank: int | None
    held_back: HeldBack | None

    @property
    def score(self) -> int:
        """The sum of the parts, in fen."""
        return score_of(self.parts)


def ranked(facts: Facts, offers: Sequence[Offer], limits: Limits) -> list[Candidate]:
    """Decide about each offering of the catalogue: first those shown by rank, then the others.

    Equal scores are ordered by code, so that the same facts always give the same answer.
    """
    passed: list[Candidate] = []
    kept: list[Candidate] = []
    for offer in offers:
        parts = parts_of(facts, offer, limits)
        code = held_back(facts, offer, limits)
        (kept if code else passed).append(Candidate(offer, parts, None, code))
    passed.sort(key=lambda candidate: (-candidate.score, candidate.offer.code))
    kept.sort(key=lambda candidate: candidate.offer.code)
    shown = round(limits.shown)
    return [
        *(
            Candidate(one.offer, one.parts, rank, None)
            for rank, one in enumerate(passed[:shown], start=1)
        ),
        *(
            Candidate(one.offer, one.parts, None, HeldBack.OTHERS_FIT_BETTER)
            for one in passed[shown:]
        ),
        *kept,
    ]
