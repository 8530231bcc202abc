"""The churn card: points for what is known of a customer, and what they come to.

A card that somebody wrote and a binned logistic regression are the same document: of the former
the points are round, of the latter they are coefficients and the scale is 1.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Self

from app.core.errors import Problem
from app.core.i18n import Words

# What a card may ask about, in plain words. Age, sex, family and address are not among it.
FIELDS: dict[str, Words] = {
    "tenure_months": Words(zh="在网月数", en="months with us"),
    "contract_days_left": Words(zh="合约剩余天数", en="days until the contract ends"),
    "usage_gb": Words(zh="上月用量（GB）", en="usage of the last month in GB"),
    "usage_percent": Words(
        zh="用量与前三个月均值之比（%）", en="usage in percent of the three months before"
    ),
    "income_fen": Words(zh="月均收入（分）", en="mean monthly income in fen"),
    "income_percent": Words(
        zh="近三个月收入与全年均值之比（%）", en="income of three months in percent of the year's"
    ),
    "services": Words(zh="在用业务数", en="services in use"),
    "new_services": Words(zh="在用新业务数", en="new services in use"),
    "speed_mbps": Words(zh="宽带速率（Mbit/s）", en="speed of the line in Mbit/s"),
    "complaints": Words(zh="近期投诉次数", en="complaints lately"),
    "faults": Words(zh="近期报障次数", en="faults lately"),
    "repeat_faults": Words(zh="近期重复障碍次数", en="faults that came back lately"),
    "asked_to_leave": Words(zh="近期询问拆机", en="asked about leaving lately"),
    "arrears_fen": Words(zh="欠费（分）", en="arrears in fen"),
}

# Beyond this the probability is as good as none or certain, and PostgreSQL refuses to work it out.
FARTHEST = 30.0
REASONS_TOLD = 3
MOST_TERMS = 200


class CardVersionTaken(Problem):
    slug, status = "churn-card-version-taken", 409
    title = Words(zh="版本号已存在", en="This version is there already")
    advice = Words(
        zh="离网评分卡版本 {version} 内容不同；已有版本不改写，请用新的版本号",
        en="Churn card version {version} says otherwise; a version is not rewritten, use a new one",
    )

    def __init__(self, version: str) -> None:
        super().__init__(version=version)


@dataclass(frozen=True)
class Term:
    """Points for a field that lies between two bounds, the upper one excluded; none is no bound.

    A term without any bound speaks of customers of whom the field is not known.
    """

    field: str
    from_: float | None
    to: float | None
    points: float
    reason_zh: str
    reason_en: str

    @property
    def of_missing(self) -> bool:
        """Whether it speaks of those of whom the field is not known."""
        return self.from_ is None and self.to is None

    def holds(self, value: float | None) -> bool:
        """Tell whether it speaks of a customer whose field has this value; None is not known."""
        if value is None or self.of_missing:
            return value is None and self.of_missing
        return (self.from_ is None or value >= self.from_) and (self.to is None or value < self.to)


@dataclass(frozen=True)
class Card:
    """What leads from a customer's fields to the probability that they leave within 90 days.

    The probability is that of the logistic function at (intercept + points) / scale.
    """

    intercept: float
    scale: float
    terms: tuple[Term, ...]

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """Read a card from its document."""
        terms = [
            Term(
                term["field"],
                term["from"],
                term["to"],
                term["points"],
                term["reason_zh"],
                term["reason_en"],
            )
            for term in document["terms"]
        ]
        return cls(document["intercept"], document["scale"], tuple(terms))

    def document(self) -> dict[str, Any]:
        """Write the card as its document."""
        terms = []
        for term in self.terms:
            told = asdict(term)
            terms.append({"field": told.pop("field"), "from": told.pop("from_"), **told})
        return {"intercept": self.intercept, "scale": self.scale, "terms": terms}


class Reason(NamedTuple):
    """Why somebody may leave: the points that a field's value brings by the card's nth term."""

    field: str
    points: float
    value: float | None
    term: int


def score_of(card: Card, fields: Mapping[str, float | None]) -> float:
    """Work out the probability that a customer leaves within 90 days, from 0 to 1."""
    points = card.intercept
    for term in card.terms:
        points += term.points if term.holds(fields[term.field]) else 0.0
    place = max(-FARTHEST, min(FARTHEST, points / card.scale))
    return 1 / (1 + math.exp(-place))


def reasons_of(card: Card, fields: Mapping[str, float | None]) -> Sequence[Reason]:
    """Name what speaks most for leaving, the heaviest first; what speaks against it is left out."""
    found = [
        Reason(term.field, term.points, fields[term.field], nth)
        for nth, term in enumerate(card.terms)
        if term.points > 0 and term.holds(fields[term.field])
    ]
    return sorted(found, key=lambda one: (-one.points, one.term))[:REASONS_TOLD]
