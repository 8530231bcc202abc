"""The numbers that stages, tiers and classes of risk are told by, each a dated parameter."""

import hashlib
from datetime import datetime
from typing import NamedTuple

from app.core.i18n import Words
from app.core.parameters import Parameter, Parameters


class Numbers(NamedTuple):
    """The numbers in force for an org unit; shares are from 0 to 1, tiers' shares in percent."""

    acquisition_days: float
    build_up_months: float
    returned_days: float
    quiet_days: float
    contract_days: float
    usage_down_percent: float
    contact_days: float
    complaints_from: float
    least_months: float
    tier_a_percent: float
    tier_b_percent: float
    tier_c_percent: float
    new_services_from: float
    arrears_from_fen: float
    churn_mid_from: float
    churn_high_from: float
    sample_percent: float


NIGHT_HOUR = Parameter(
    "lifecycle.night_hour",
    default=2,
    unit="h",
    words=Words(zh="每晚重算客户生命周期的钟点", en="Local hour of the nightly recomputation"),
    most=23,
)

# By the name of the number: what it is if nobody says otherwise, its unit, bounds and meaning.
_NUMBERS: dict[str, tuple[float, str, float, float, str, str]] = {
    "acquisition_days": (
        90,
        "d",
        1,
        400,
        "激活后多少天内属于获取期",
        "Days since the first activation that are acquisition",
    ),
    "build_up_months": (
        12,
        "months",
        1,
        60,
        "激活后多少个月内属于提升期",
        "Months since the first activation until which it is build-up",
    ),
    "returned_days": (
        90,
        "d",
        0,
        400,
        "回归后多少天内仍按离网期看待",
        "Days after a return that still count as exit",
    ),
    "quiet_days": (
        60,
        "d",
        1,
        400,
        "多少天无信号后离开衰退期",
        "Days without a signal after which decline is over",
    ),
    "contract_days": (
        60,
        "d",
        0,
        400,
        "合约到期前多少天算作信号",
        "Days before a contract's end that are a signal",
    ),
    "usage_down_percent": (
        30,
        "%",
        1,
        100,
        "用量较前三个月均值下降多少算作信号",
        "Fall of usage against the three months before that is a signal",
    ),
    "contact_days": (
        90,
        "d",
        1,
        400,
        "投诉与障碍计入多少天",
        "Days over which complaints and faults are counted",
    ),
    "complaints_from": (
        2,
        "",
        1,
        100,
        "投诉、重复障碍与因不满拒绝合计多少次算作信号",
        "Complaints, repeat faults and offers declined for dissatisfaction that are a signal",
    ),
    "least_months": (
        3,
        "months",
        1,
        12,
        "至少已知多少个月收入才分层",
        "Months whose income must be known before a tier is told",
    ),
    "tier_a_percent": (20, "%", 0, 100, "A 层占比", "Share of tier A"),
    "tier_b_percent": (30, "%", 0, 100, "B 层占比", "Share of tier B"),
    "tier_c_percent": (30, "%", 0, 100, "C 层占比", "Share of tier C"),
    "new_services_from": (
        2,
        "",
        1,
        100,
        "持有多少项新业务上调一层",
        "New services that raise a customer one tier",
    ),
    "arrears_from_fen": (
        1,
        "fen",
        1,
        100_000_000,
        "欠费多少起下调一层",
        "Arrears from which on a customer falls one tier",
    ),
    "churn_mid_from": (
        0.2,
        "",
        0,
        1,
        "离网概率从多少起为中",
        "Probability of leaving from which on the class is mid",
    ),
    "churn_high_from": (
        0.45,
        "",
        0,
        1,
        "离网概率从多少起为高",
        "Probability of leaving from which on the class is high",
    ),
    "sample_percent": (
        5,
        "%",
        0,
        100,
        "每月留存多少客户的字段供学习",
        "Customers whose fields are kept every month to learn from",
    ),
}
PARAMETERS = {
    name: Parameter(f"lifecycle.{name}", default, unit, Words(zh=zh, en=en), least=least, most=most)
    for name, (default, unit, least, most, zh, en) in _NUMBERS.items()
}
DEFAULTS = Numbers(**{name: one.default for name, one in PARAMETERS.items()})


def numbers_in_force(parameters: Parameters, at: datetime, org_path: str) -> Numbers:
    """Return the numbers in force at a moment for an org unit, given by its path."""
    return Numbers(*(parameters.number(PARAMETERS[name], at, org_path) for name in Numbers._fields))


def rules_version(numbers: Numbers) -> str:
    """Name a set of numbers: the same numbers have the same name."""
    told = ",".join(f"{value:.12g}" for value in numbers)
    return hashlib.sha256(told.encode()).hexdigest()[:12]
