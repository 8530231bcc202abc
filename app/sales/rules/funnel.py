"""What became of visits: how many of what led to how many of the next, and what was left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.core.errors import Invalid
from app.core.i18n import Words

# So many days a question may be about; what is added up of each day is small, but there are many.
MOST_DAYS = 92
# A day is added up again for so many nights: sales come late from offline phones, and what was sold
# counts as reversed until thirty days after it was acknowledged.
NIGHTS = 35
REVERSED_WITHIN_DAYS = 30
# Days that no night has added up yet are counted when somebody asks: today, and a few more where
# the worker stood still.
COUNTED_LIVE = 7


class Counts(StrEnum):
    """What a figure counts."""

    VISITS = "visits"
    OFFERS = "offers"
    SALES = "sales"


class Exclusion(StrEnum):
    """Why a completed visit is not eligible."""

    NO_CUSTOMER = "no_customer"
    HELD_BACK = "held_back"

    @property
    def words(self) -> Words:
        """What it means."""
        return {
            Exclusion.NO_CUSTOMER: Words(zh="工单未关联客户", en="The order names no customer"),
            Exclusion.HELD_BACK: Words(
                zh="规则不允许推荐（护栏或对照组）",
                en="Nothing may be offered there: a guard, or the group that is offered nothing",
            ),
        }[self]


class FunnelStage(StrEnum):
    """The figures, in the order in which one leads to the next."""

    ELIGIBLE = "eligible"
    SUGGESTED = "suggested"
    SHOWN = "shown"
    PITCHED = "pitched"
    ANSWERED = "answered"
    ACCEPTED = "accepted"
    PUT_TOGETHER = "put_together"
    CONSENTED = "consented"
    CONFIRMED = "confirmed"
    INSTALLED_IN_VISIT = "installed_in_visit"
    ACKNOWLEDGED = "acknowledged"
    ACTIVATED = "activated"
    REVERSED_IN_30_DAYS = "reversed_in_30_days"
    VISIT_CONVERSION_RATE = "visit_conversion_rate"
    OFFER_ACCEPTANCE_RATE = "offer_acceptance_rate"
    SALE_REVERSAL_RATE = "sale_reversal_rate"


@dataclass(frozen=True)
class _Drawn:
    counts: Counts
    numerator: str
    denominator: str
    words: Words


_V, _O, _S = Counts.VISITS, Counts.OFFERS, Counts.SALES
# Each figure with the columns of a day that are its numerator and its denominator.
_FIGURES: dict[FunnelStage, _Drawn] = {
    FunnelStage.ELIGIBLE: _Drawn(
        _V, "eligible", "completed", Words(zh="可推荐的已完成上门", en="Eligible completed visits")
    ),
    FunnelStage.SUGGESTED: _Drawn(
        _V, "visits_suggested", "eligible", Words(zh="有推荐的上门", en="Visits with suggestions")
    ),
    FunnelStage.SHOWN: _Drawn(
        _O, "offers_shown", "offers_shown", Words(zh="展示的推荐", en="Offers shown")
    ),
    FunnelStage.PITCHED: _Drawn(
        _O, "offers_pitched", "offers_shown", Words(zh="已介绍的推荐", en="Offers spoken of")
    ),
    FunnelStage.ANSWERED: _Drawn(
        _O, "offers_answered", "offers_shown", Words(zh="有答复的推荐", en="Offers answered")
    ),
    FunnelStage.ACCEPTED: _Drawn(
        _O, "offers_accepted", "offers_answered", Words(zh="客户接受的推荐", en="Offers accepted")
    ),
    FunnelStage.PUT_TOGETHER: _Drawn(
        _S,
        "sales_put_together",
        "sales_put_together",
        Words(zh="生成的销售单", en="Sales put together"),
    ),
    FunnelStage.CONSENTED: _Drawn(
        _S,
        "sales_consented",
        "sales_put_together",
        Words(zh="客户已确认的销售单", en="Sales consented to"),
    ),
    FunnelStage.CONFIRMED: _Drawn(
        _S,
        "sales_confirmed",
        "sales_put_together",
        Words(zh="已提交的销售单", en="Sales confirmed"),
    ),
    FunnelStage.INSTALLED_IN_VISIT: _Drawn(
        _S,
        "sales_installed",
        "sales_confirmed",
        Words(zh="同次上门已装", en="Installed in the same visit"),
    ),
    FunnelStage.ACKNOWLEDGED: _Drawn(
        _S, "sales_acknowledged", "sales_confirmed", Words(zh="订购系统已受理", en="Acknowledged")
    ),
    FunnelStage.ACTIVATED: _Drawn(
        _S, "sales_activated", "sales_confirmed", Words(zh="业务已开通", en="Activated")
    ),
    FunnelStage.REVERSED_IN_30_DAYS: _Drawn(
        _S,
        "sales_reversed",
        "sales_acknowledged",
        Words(zh="30 天内冲正", en="Reversed within 30 days"),
    ),
    FunnelStage.VISIT_CONVERSION_RATE: _Drawn(
        _V, "visits_confirmed", "eligible", Words(zh="上门转化率", en="Visit conversion rate")
    ),
    FunnelStage.OFFER_ACCEPTANCE_RATE: _Drawn(
        _O, "offers_accepted", "offers_shown", Words(zh="推荐接受率", en="Offer acceptance rate")
    ),
    FunnelStage.SALE_REVERSAL_RATE: _Drawn(
        _S, "sales_reversed", "sales_confirmed", Words(zh="销售冲正率", en="Sale reversal rate")
    ),
}


class PeriodTooLong(Invalid):
    slug = "funnel-period-unfit"
    title = Words(zh="统计区间不合适", en="The period cannot be answered")
    advice = Words(
        zh="截止日须晚于起始日，且不超过 {days} 天。",
        en="It must end after it begins, and may have up to {days} days.",
    )


@dataclass(frozen=True)
class Figure:
    """A figure with what it is of."""

    stage: FunnelStage
    counts: Counts
    numerator: int
    denominator: int
    words: Words


def figures(sums: Mapping[str, int]) -> list[Figure]:
    """Draw the figures from the sums of some days; what cannot be eligible is left out of all."""
    of = {**sums, "eligible": sums["completed"] - sums["no_customer"] - sums["held_back"]}
    return [
        Figure(stage, drawn.counts, of[drawn.numerator], of[drawn.denominator], drawn.words)
        for stage, drawn in _FIGURES.items()
    ]
