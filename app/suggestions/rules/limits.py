"""The numbers of suggestions: each is a dated parameter that an operator can set per org unit."""

from datetime import datetime
from typing import NamedTuple

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters


class Limits(NamedTuple):
    """The numbers in force for one decision; days are local days, money is in fen."""

    shown: float = 3
    pitched_per_visit: float = 1
    contacts_month: float = 3
    contacts_year: float = 12
    contact_gap_days: float = 7
    slot_hours: float = 24
    declined_days: float = 90
    declined_group_days: float = 30
    refusals: float = 3
    refusal_days: float = 180
    accepted_days: float = 30
    complaint_days: float = 14
    repeat_fault_days: float = 30
    renewal_days: float = 90
    low_usage_gb: float = 30
    many_calls: float = 3
    calls_days: float = 90
    high_usage_gb: float = 300
    high_usage_mbps: float = 300
    contract_boost: float = 1.3
    usage_boost: float = 1.5
    install_boost: float = 1.2
    repair_damp: float = 0.8
    measured_share: float = 0.8
    measured_days: float = 180
    measured_boost: float = 1.3
    preferred_damp: float = 0.9
    context_least: float = 0.5
    context_most: float = 2.0
    contact_cost_fen: float = 300
    saved_share: float = 0.5
    # The catalogue's renewal comes with a router, which costs about 60 yuan.
    incentive_fen: float = 6000
    margin_share: float = 0.5
    ahead_hours: float = 14
    ahead_late_hours: float = 2


# Unit, least, most, and what the number means; its default stands in `Limits`.
_MEANING: dict[str, tuple[str, float, float, Words]] = {
    "shown": ("offers", 0, 10, Words("一次上门最多展示几个推荐", "Offers shown in one visit")),
    "pitched_per_visit": (
        "offers",
        0,
        10,
        Words("一次上门最多向客户推荐几个", "Offers pitched to the customer in one visit"),
    ),
    "contacts_month": (
        "contacts",
        0,
        100,
        Words("每位客户30天内营销接触上限", "Sales contacts of a customer in 30 days"),
    ),
    "contacts_year": (
        "contacts",
        0,
        1000,
        Words("每位客户12个月内营销接触上限", "Sales contacts of a customer in 12 months"),
    ),
    "contact_gap_days": (
        "days",
        0,
        365,
        Words("两次营销接触的最短间隔", "Days between two sales contacts of a customer"),
    ),
    "slot_hours": (
        "hours",
        0,
        168,
        Words("展示推荐后为其保留接触名额的时间", "How long shown offers hold the contact slot"),
    ),
    "declined_days": (
        "days",
        0,
        1000,
        Words("客户拒绝后同一销售品的静默期", "Silence about an offer the customer declined"),
    ),
    "declined_group_days": (
        "days",
        0,
        1000,
        Words("客户拒绝后同类销售品的静默期", "Silence about offers of a declined category"),
    ),
    "refusals": (
        "refusals",
        1,
        100,
        Words("达到几次拒绝后停止营销", "Refusals after which selling stops"),
    ),
    "refusal_days": (
        "days",
        0,
        1000,
        Words(
            "统计拒绝次数的时间，也是自最后一次起停止营销的时间",
            "Over how many days refusals count, and for how long selling stops from the last on",
        ),
    ),
    "accepted_days": (
        "days",
        0,
        365,
        Words("客户接受后不再推荐同一销售品的时间", "Silence about an offer just accepted"),
    ),
    "complaint_days": (
        "days",
        0,
        365,
        Words(
            "投诉关闭后、客户因不满拒绝后的静默期",
            "Silence after a complaint was closed, or an offer declined for dissatisfaction",
        ),
    ),
    "repeat_fault_days": (
        "days",
        0,
        365,
        Words("多少天内再次障碍算重复障碍", "Faults within so many days are a repeat fault"),
    ),
    "renewal_days": (
        "days",
        0,
        365,
        Words("合约到期前多少天内推荐续约", "How long before its end a contract is renewed"),
    ),
    "low_usage_gb": (
        "GB a month",
        0,
        100_000,
        Words("月流量低于此值不推荐提速", "Below this usage no faster line is offered"),
    ),
    "many_calls": (
        "calls",
        0,
        1000,
        Words(
            "客户来电达到几次才推荐自助服务",
            "Calls from which on a customer is shown how to help themselves",
        ),
    ),
    "calls_days": (
        "days",
        1,
        365,
        Words("统计客户来电的时间", "The days over which a customer's calls count"),
    ),
    "high_usage_gb": (
        "GB a month",
        0,
        100_000,
        Words("月流量高于此值算高用量", "From this usage on a household is a heavy user"),
    ),
    "high_usage_mbps": (
        "Mbit/s",
        0,
        100_000,
        Words("高用量客户低于此速率算带宽不足", "Below this speed a heavy user is underserved"),
    ),
    "contract_boost": (
        "times",
        0.1,
        10,
        Words("合约即将到期的权重", "Weight when the contract ends soon"),
    ),
    "usage_boost": (
        "times",
        0.1,
        10,
        Words("高用量低速率客户提速的权重", "Weight of speed for an underserved heavy user"),
    ),
    "install_boost": (
        "times",
        0.1,
        10,
        Words("装机当次可一并安装的权重", "Weight of what can be fitted during an install"),
    ),
    "repair_damp": (
        "times",
        0.1,
        10,
        Words("修障上门时的权重", "Weight in a visit that began with a fault"),
    ),
    "measured_share": (
        "share",
        0,
        1,
        Words("实测速率低于套餐的此比例算未达标", "Measured below this share a line falls short"),
    ),
    "measured_days": (
        "days",
        0,
        730,
        Words("实测结果在多少天内有效", "For how long a measurement of a line counts"),
    ),
    "measured_boost": (
        "times",
        0.1,
        10,
        Words("实测未达标时推荐全屋WiFi的权重", "Weight of Wi-Fi where a line was measured short"),
    ),
    "preferred_damp": (
        "times",
        0.1,
        10,
        Words(
            "高价值客户偏好其他渠道时上门推荐的权重",
            "Weight at the door where a customer of worth prefers another channel",
        ),
    ),
    "context_least": (
        "times",
        0.5,
        1,
        Words("情境权重总下限", "The least all weights together may come to"),
    ),
    "context_most": (
        "times",
        1,
        2,
        Words("情境权重总上限", "The most all weights together may come to"),
    ),
    "contact_cost_fen": (
        "fen",
        0,
        1_000_000,
        Words("一次营销接触的成本", "What one sales contact costs"),
    ),
    "saved_share": (
        "share",
        0,
        1,
        Words("续约能留住的流失客户比例", "Share of those who would leave that a renewal keeps"),
    ),
    "margin_share": (
        "share",
        0,
        1,
        Words("客户收入中的毛利占比", "What part of what a customer pays is margin"),
    ),
    "incentive_fen": (
        "fen",
        0,
        1_000_000,
        Words("一次续约优惠的成本", "What the incentive of a renewal costs"),
    ),
    "ahead_hours": (
        "hours",
        0,
        24,
        Words("提前下载的推荐最长有效时间", "How long suggestions taken ahead are valid at most"),
    ),
    "ahead_late_hours": (
        "hours",
        0,
        24,
        Words(
            "预约结束后提前下载的推荐仍有效的时间",
            "How long after a visit ought to be over what was taken ahead for it stays valid",
        ),
    ),
}

PARAMETERS = {
    name: Parameter(
        f"suggestions.{name}",
        default=Limits._field_defaults[name],
        unit=unit,
        words=words,
        least=least,
        most=most,
    )
    for name, (unit, least, most, words) in _MEANING.items()
}


def limits_in_force(parameters: Parameters, at: datetime, org_path: str) -> Limits:
    """Read the numbers in force at a moment for an org unit, given by its path."""
    return Limits(
        **{
            name: parameters.number(parameter, at, org_path)
            for name, parameter in PARAMETERS.items()
        }
    )
