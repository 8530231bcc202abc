"""Why an offer is likely to be taken or not: the model's logit told by the fields of the card.

A model has several features for one thing that is known of a customer, such as a tier's letters, or
a usage and that it is not known. Whoever asks is told of the thing, once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.core.i18n import Words
from app.suggestions.rules.facts import INSTALL
from app.suggestions.rules.model import DOUBT, INTERCEPT

NOT_KNOWN = Words("未知", "not known")


@dataclass(frozen=True)
class ChanceTerm:
    """What a field adds to the logit; `value` is what was known of it, None where a card has no
    words for it."""

    field: str
    logit: float
    value: Words | None

    @property
    def words(self) -> Words:
        """Say which way the field moves the chance, with its value."""
        field = FIELDS.get(self.field)
        name = field.name if field else Words(self.field, self.field)
        zh, en = name
        if self.value is not None:
            zh, en = f"{zh}：{self.value.zh}", f"{en}: {self.value.en}"
        moves = _RAISES if self.logit > 0 else _LOWERS if self.logit < 0 else _NEITHER
        return Words(f"{zh}（{moves.zh}）", f"{en} ({moves.en})")


_RAISES = Words("提高接受的可能", "raises the chance")
_LOWERS = Words("降低接受的可能", "lowers the chance")
_NEITHER = Words("不改变接受的可能", "leaves the chance as it is")


def _many(name: str) -> Callable[[Mapping[str, Any]], Words | None]:
    def said(facts: Mapping[str, Any]) -> Words | None:
        number = facts.get(name)
        return None if number is None else Words(f"{number} 次", str(number))

    return said


def _visit(facts: Mapping[str, Any]) -> Words | None:
    if facts.get("work_type") == INSTALL:
        return Words("装机", "an installation")
    return Words("维修", "a repair")


def _contacts(facts: Mapping[str, Any]) -> Words | None:
    month, year = facts.get("contacts_month"), facts.get("contacts_year")
    return Words(f"30天内 {month} 次，一年内 {year} 次", f"{month} in 30 days, {year} in a year")


def _tenure(facts: Mapping[str, Any]) -> Words | None:
    months = facts.get("tenure_months")
    return NOT_KNOWN if months is None else Words(f"{months} 个月", f"{months} months")


def _usage(facts: Mapping[str, Any]) -> Words | None:
    usage = facts.get("monthly_usage_gb")
    return NOT_KNOWN if usage is None else Words(f"每月 {usage} GB", f"{usage} GB a month")


def _speed(facts: Mapping[str, Any]) -> Words | None:
    speed = facts.get("speed_mbps")
    return NOT_KNOWN if speed is None else Words(f"{speed} Mbit/s", f"{speed} Mbit/s")


def _load(facts: Mapping[str, Any]) -> Words | None:
    usage, speed = _usage(facts), _speed(facts)
    if usage is None or speed is None:
        return None
    return Words(f"{usage.zh}，{speed.zh}", f"{usage.en} on {speed.en}")


def _contract(facts: Mapping[str, Any]) -> Words | None:
    ends_on = facts.get("contract_ends_on")
    if ends_on is None:
        return NOT_KNOWN
    days = (date.fromisoformat(ends_on) - date.fromisoformat(facts["today"])).days
    if days < 0:
        return Words(f"已到期 {-days} 天", f"ended {-days} days ago")
    return Words(f"还有 {days} 天到期", f"ends in {days} days")


def _tier(facts: Mapping[str, Any]) -> Words | None:
    tier = facts.get("tier")
    return NOT_KNOWN if tier is None else Words(tier, tier)


def _stage(facts: Mapping[str, Any]) -> Words | None:
    if facts.get("stage") == "decline":
        return Words("衰退期", "in decline")
    return Words("新客户或提升期", "new, or building up")


def _churn(facts: Mapping[str, Any]) -> Words | None:
    return {"high": Words("高", "high"), "mid": Words("中", "medium")}.get(
        facts.get("churn_class") or ""
    )


@dataclass(frozen=True)
class Field:
    """One thing that is known of the customer or the visit: its name, the model's features of it,
    and what stored facts say of it."""

    name: Words
    features: tuple[str, ...]
    said: Callable[[Mapping[str, Any]], Words | None] = lambda facts: None


# What is not about the customer: it is told, and never as one of the strongest.
BASE = "base"

FIELDS: Mapping[str, Field] = {
    BASE: Field(Words("一般客户接受该业务的可能", "how likely anybody takes it"), (INTERCEPT,)),
    DOUBT: Field(
        Words("了解还不够，向一半靠拢", "little is known yet, which draws it towards one half"),
        (DOUBT,),
    ),
    "visit": Field(Words("本次上门", "this visit"), ("install_visit", "repair_visit"), _visit),
    "faults": Field(Words("近期障碍", "faults lately"), ("faults",), _many("faults")),
    "contacts": Field(
        Words("近期营销接触", "sales contacts"), ("contacts_month", "contacts_year"), _contacts
    ),
    "refusals": Field(Words("曾经拒绝", "refusals"), ("refusals",), _many("refusals")),
    "tenure": Field(Words("在网时长", "time with us"), ("tenure", "tenure_unknown"), _tenure),
    "services": Field(Words("在用业务的多少", "how many services they have"), ("services_held",)),
    "usage": Field(Words("用量", "usage"), ("usage", "usage_unknown"), _usage),
    "speed": Field(
        Words("与现有速率相比的提升", "the gain over the present speed"), ("speed_gain",), _speed
    ),
    "load": Field(Words("用量与速率相比", "usage for the speed"), ("underserved",), _load),
    "contract": Field(
        Words("合约", "the contract"),
        ("contract_soon", "contract_over", "contract_unknown"),
        _contract,
    ),
    "tier": Field(Words("价值层级", "value tier"), ("tier_a", "tier_b", "tier_d"), _tier),
    "stage": Field(
        Words("生命周期阶段", "stage of the lifecycle"), ("growing", "declining"), _stage
    ),
    "churn": Field(Words("离网风险", "risk of leaving"), ("churn_mid", "churn_high"), _churn),
}
_FIELD_OF = {feature: code for code, field in FIELDS.items() for feature in field.features}


def chance_terms(terms: Mapping[str, float], facts: Mapping[str, Any]) -> Sequence[ChanceTerm]:
    """Sum a logit's terms per field, the strongest first; they add up to the same.

    `terms` are those of `Model.terms` and `facts` those that the decision stored. A feature that
    only another version of the model knew is told under its own name.
    """
    sums: dict[str, float] = {}
    for feature, logit in terms.items():
        code = _FIELD_OF.get(feature, feature)
        sums[code] = sums.get(code, 0.0) + logit
    told = [
        ChanceTerm(code, logit, FIELDS[code].said(facts) if code in FIELDS else None)
        for code, logit in sums.items()
    ]
    return sorted(told, key=lambda term: -abs(term.logit))


def strongest(terms: Sequence[ChanceTerm]) -> Sequence[ChanceTerm]:
    """Name the three that say most about the customer and the visit, of terms in their order."""
    return [term for term in terms if term.field not in (BASE, DOUBT) and term.logit][:3]
