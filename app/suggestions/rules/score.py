"""What an offer is worth: chance times value, context and campaigns, less the cost of a contact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.catalog.rules import BusinessType
from app.suggestions.rules.facts import INSTALL, REPAIR, Facts, Offer
from app.suggestions.rules.levers import left_to
from app.suggestions.rules.limits import Limits
from app.terminals.rules import TerminalKind

# The part of a score that campaigns add or take.
CAMPAIGN = "campaign"


class Part(NamedTuple):
    """One term of a score, in fen, with the values its words are filled with."""

    code: str
    fen: int
    values: Mapping[str, float]


@dataclass(frozen=True)
class Weight:
    """A factor of the context: when it applies, and which of the limits says how much."""

    code: str
    applies: Callable[[Facts, Offer, Limits], bool]
    times: Callable[[Limits], float]
    values: Callable[[Facts, Offer, Limits], Mapping[str, float]]


def _underserved(facts: Facts, offer: Offer, limits: Limits) -> bool:
    return (
        facts.faster(offer)
        and facts.monthly_usage_gb is not None
        and facts.monthly_usage_gb >= limits.high_usage_gb
        and facts.speed_mbps is not None
        and facts.speed_mbps < limits.high_usage_mbps
    )


def short_of_wifi(facts: Facts, offer: Offer, limits: Limits) -> bool:
    """Tell whether a measurement shows the need of what carries the line into the rooms."""
    return offer.terminal_kind == TerminalKind.WIFI_REPEATER and facts.falls_short(
        limits.measured_share, limits.measured_days
    )


def _renewable(facts: Facts, offer: Offer, limits: Limits) -> bool:
    return facts.renewal_due(limits.renewal_days) and (
        offer.business_type is BusinessType.RETENTION or facts.faster(offer)
    )


def _days_to_contract_end(facts: Facts) -> int:
    return (facts.contract_ends_on - facts.today).days if facts.contract_ends_on else 0


WEIGHTS = (
    Weight(
        "contract_ends_soon",
        lambda facts, offer, limits: (
            _renewable(facts, offer, limits) and _days_to_contract_end(facts) >= 0
        ),
        lambda limits: limits.contract_boost,
        lambda facts, offer, limits: {"days": _days_to_contract_end(facts)},
    ),
    Weight(
        "contract_over",
        lambda facts, offer, limits: (
            _renewable(facts, offer, limits) and _days_to_contract_end(facts) < 0
        ),
        lambda limits: limits.contract_boost,
        lambda facts, offer, limits: {"days": -_days_to_contract_end(facts)},
    ),
    Weight(
        "speed_below_usage",
        _underserved,
        lambda limits: limits.usage_boost,
        lambda facts, offer, limits: {
            "gb": facts.monthly_usage_gb or 0,
            "mbps": facts.speed_mbps or 0,
        },
    ),
    Weight(
        "measured_below_plan",
        short_of_wifi,
        lambda limits: limits.measured_boost,
        lambda facts, offer, limits: {
            "measured": round(facts.measured_mbps or 0),
            "mbps": facts.speed_mbps or 0,
        },
    ),
    Weight(
        "fitted_at_once",
        lambda facts, offer, limits: (
            facts.work_type == INSTALL and offer.install_minutes is not None
        ),
        lambda limits: limits.install_boost,
        lambda facts, offer, limits: {"minutes": offer.install_minutes or 0},
    ),
    Weight(
        "after_a_fault",
        lambda facts, offer, limits: facts.work_type == REPAIR,
        lambda limits: limits.repair_damp,
        lambda facts, offer, limits: {},
    ),
    Weight(
        "prefers_other_channel",
        lambda facts, offer, limits: left_to(facts, offer) is not None,
        lambda limits: limits.preferred_damp,
        lambda facts, offer, limits: {},
    ),
)


@dataclass(frozen=True)
class Score:
    """What an offer is worth to whom: a chance times a value in fen times the two factors, less the
    cost of a contact; and the same as parts that add up to it, in whole fen."""

    chance: float
    value_fen: float
    context: float
    push: float
    cost_fen: int
    parts: Sequence[Part]

    @property
    def fen(self) -> int:
        """The score itself."""
        return score_of(self.parts)

    @property
    def worth_fen(self) -> int:
        """The score without what campaigns add to it; what they take from it counts.

        It says whether an offer is worth a contact: above nothing it is.
        """
        return score_of([one for one in self.parts if one.code != CAMPAIGN or one.fen < 0])

    @property
    def only_pushed(self) -> bool:
        """Tell whether it is a campaign alone that lifts the score over nothing."""
        return self.fen > 0 >= self.worth_fen

    def at(self, chance: float) -> float:
        """Compute the score if the chance were another, in fen."""
        return chance * self.value_fen * self.context * self.push - self.cost_fen

    def beside_nothing(self, chance: float) -> float:
        """Compute the score with which the offer stands against the others and nothing, in fen, if
        the chance were another: what campaigns add counts where it is worth a contact without."""
        worth = chance * self.value_fen * self.context * min(self.push, 1.0) - self.cost_fen
        return self.at(chance) if worth > 0 else worth


def value_of(facts: Facts, offer: Offer, limits: Limits) -> float:
    """Compute what an offer brings in 12 months when it is taken, in fen of margin.

    Keeping a customer is worth the share it saves of what would be lost, less the incentive: who is
    safe is given nothing. What would be lost is the margin in what the customer pays, or where that
    is not known the offer's. Where the risk is not known, or may not be used, the margin stands.
    """
    if offer.business_type is not BusinessType.RETENTION or (
        facts.churn_score is None or facts.generic
    ):
        return offer.margin_12m_fen
    lost = offer.margin_12m_fen
    if facts.value_12m_fen is not None:
        lost = round(limits.margin_share * facts.value_12m_fen)
    return limits.saved_share * facts.churn_score * lost - limits.incentive_fen


def scored(facts: Facts, offer: Offer, limits: Limits, chance: float | None = None) -> Score:
    """Compute a score and the terms that add up to it, in whole fen.

    The first part is the chance (the expert's rate when none is given) of the value; each weight
    adds what it changes; the context's bounds take back what goes beyond them; the campaigns add
    theirs; the cost of the contact comes last. In generic mode nothing is weighed by context.
    """
    chance = offer.expert_rate if chance is None else chance
    value = value_of(facts, offer, limits)
    expected = chance * value
    running = round(expected)
    parts = [Part("expected", running, {"percent": round(chance * 100)})]
    if value != offer.margin_12m_fen and facts.churn_score is not None:
        # It changes no sum: the value says it already.
        parts.append(Part("kept", 0, {"churn": round(facts.churn_score * 100)}))
    product = 1.0
    for weight in () if facts.generic else WEIGHTS:
        if weight.applies(facts, offer, limits):
            product *= weight.times(limits)
            reached = round(expected * product)
            parts.append(Part(weight.code, reached - running, weight.values(facts, offer, limits)))
            running = reached
    context = min(max(product, limits.context_least), limits.context_most)
    for code, reached in (
        ("context_bounded", round(expected * context)),
        (CAMPAIGN, round(expected * context * offer.push)),
    ):
        if reached != running:
            parts.append(Part(code, reached - running, {}))
            running = reached
    cost = round(limits.contact_cost_fen)
    parts.append(Part("contact_cost", -cost, {}))
    return Score(chance, value, context, offer.push, cost, parts)


def score_of(parts: Sequence[Part]) -> int:
    """Add up a score, in fen of expected 12-month margin after the cost of the contact."""
    return sum(part.fen for part in parts)
