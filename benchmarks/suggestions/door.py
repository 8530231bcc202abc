"""What happens at a door: the technician pitches one of what is shown, the customer answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from benchmarks.suggestions.field import Field, Visit, local_day
from benchmarks.suggestions.judge import Judge
from benchmarks.suggestions.offers import Offering

# How often something is pitched at all, and which of three; who sees a bad mood often lets it be.
PITCHES, FIRST, SECOND = 0.85, 0.75, 0.92
BAD_MOOD, LETS_IT_BE = -0.6, 0.6
# Of those who do not accept, so many want to be asked later; and when.
LATER, LATER_DAYS = 0.12, 40
REASONS = (
    ("price", 0.35),
    ("no_need", 0.65),
    ("not_now", 0.8),
    ("has_it_elsewhere", 0.9),
    ("decision_maker_absent", 1.0),
)
BOUND, RENEWED = timedelta(days=365), timedelta(days=730)


@dataclass(frozen=True)
class Pitch:
    """What was pitched and said; `value_fen` is what the pitch was worth before it was answered.

    Values are expectations by the hidden truth and not what chance made of them, so that two
    policies can be told apart with fewer visits. `chance` is the one that decided.
    """

    offer: Offering
    answer: str
    chance: float
    value_fen: float
    reason: str | None = None
    later_on: date | None = None
    complains: bool = False
    kept: bool = True


def pitched(field: Field, judge: Judge, visit: Visit, shown: Sequence[Offering]) -> Pitch | None:
    """Play what a technician makes of the offers on the screen; None when nothing is pitched."""
    dice, offer = visit.dice, _spoken_of(visit, shown)
    if offer is None:
        return None
    chance, value = _truth(field, judge, visit, offer)
    complains = dice.annoys < float(field.truth.annoyed[visit.home])
    if dice.accepts < chance:
        return Pitch(offer, "accepted", chance, value, complains=complains, kept=dice.keeps < 0.9)
    if dice.reasons < LATER:
        later_on = local_day(visit.at) + timedelta(days=LATER_DAYS)
        return Pitch(offer, "later", chance, value, later_on=later_on, complains=complains)
    reason = next(name for name, below in REASONS if dice.keeps < below)
    return Pitch(offer, "declined", chance, value, reason=reason, complains=complains)


def worth_of(field: Field, judge: Judge, visit: Visit, shown: Sequence[Offering]) -> float:
    """Tell what showing a list is worth by the truth, before the same technician, in fen."""
    offer = _spoken_of(visit, shown)
    return 0.0 if offer is None else _truth(field, judge, visit, offer)[1]


def _spoken_of(visit: Visit, shown: Sequence[Offering]) -> Offering | None:
    place = pitches_at(visit)
    if not shown or place is None:
        return None
    return shown[place if place < len(shown) else 0]


def _truth(field: Field, judge: Judge, visit: Visit, offer: Offering) -> tuple[float, float]:
    """Return the chance that an offer is taken, were it pitched now, and what that is worth."""
    at = field.place[offer.code]
    contacts = judge.contacts_in_30_days(visit)
    chances = field.truth.chances(visit.home, visit.work_type, contacts, visit.dice.mood)
    return float(chances[at]), float(field.truth.values(visit.home, chances)[at])


def pitches_at(visit: Visit) -> int | None:
    """Tell which place of the screen a technician pitches in a visit; None for none at all."""
    dice = visit.dice
    if dice.pitches >= PITCHES * (1 - LETS_IT_BE if dice.mood < BAD_MOOD else 1):
        return None
    return 0 if dice.chooses < FIRST else 1 if dice.chooses < SECOND else 2


def fitted(judge: Judge, home: int, offer: Offering, day: date) -> None:
    """Let the customer hold what was sold from a day on; what binds, binds from then."""
    card = judge.cards[home]
    if offer.category == "renewal":
        card.contract_ends_on = day + RENEWED
        return
    card.held |= {offer.code, offer.category}
    if offer.speed_mbps is not None:
        card.speed_mbps = offer.speed_mbps
        card.contract_ends_on = day + BOUND
        card.held -= {"copper"}
        card.held |= {"broadband"}
