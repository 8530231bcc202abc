"""What an offer is worth: expected margin times context, less the cost of a contact."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.catalog.rules import BusinessType
from app.suggestions.rules.facts import INSTALL, REPAIR, Facts, Offer
from app.suggestions.rules.limits import Limits


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
)


def parts_of(facts: Facts, offer: Offer, limits: Limits) -> list[Part]:
    """Compute a score as the terms that add up to it, in whole fen.

    The first is the expected margin by the expert's rate; each weight adds what it changes; the
    context's bounds take back what goes beyond them; the cost of the contact comes last.
    """
    expected = offer.expert_rate * offer.margin_12m_fen
    running = round(expected)
    parts = [Part("expected", running, {"percent": round(offer.expert_rate * 100)})]
    context = 1.0
    for weight in WEIGHTS:
        if weight.applies(facts, offer, limits):
            context *= weight.times(limits)
            reached = round(expected * context)
            parts.append(Part(weight.code, reached - running, weight.values(facts, offer, limits)))
            running = reached
    bounded = round(expected * min(max(context, limits.context_least), limits.context_most))
    if bounded != running:
        parts.append(Part("context_bounded", bounded - running, {}))
    cost = round(limits.contact_cost_fen)
    parts.append(Part("contact_cost", -cost, {}))
    return parts


def score_of(parts: Sequence[Part]) -> int:
    """Add up a score, in fen of expected 12-month margin after the cost of the contact."""
    return sum(part.fen for part in parts)
