"""The figures by which suggestions are answered for: each is a part of a whole, with what was left
out of both."""

from enum import StrEnum

from app.core.i18n import Words


class Metric(StrEnum):
    """What is counted; `WORDS` says of what and what is left out."""

    ACCEPTANCE = "acceptance"
    KEPT_30 = "kept_30"
    VALUE_PER_VISIT = "value_per_visit"
    CONTACTS_PER_CUSTOMER = "contacts_per_customer"
    GUARD_VIOLATIONS = "guard_violations"
    COMPLAINTS_14 = "complaints_14"
    CHURN_90_TREATED = "churn_90_treated"
    CHURN_90_HOLDOUT = "churn_90_holdout"
    CALIBRATION = "calibration"
    REASONS_GIVEN = "reasons_given"


WORDS: dict[Metric, Words] = {
    Metric.ACCEPTANCE: Words(
        zh="接受 ÷ 向客户介绍过的推荐；未介绍的不计",
        en="Accepted of those pitched; what was not pitched is left out",
    ),
    Metric.KEPT_30: Words(
        zh="30天后仍保留 ÷ 接受；未满30天的不计",
        en="Kept after 30 days of those accepted; what is younger is left out",
    ),
    Metric.VALUE_PER_VISIT: Words(
        zh="接受的推荐的12个月毛利减接触成本（分）÷ 有决策的上门次数",
        en="12-month margin accepted less the cost of contacts, in fen, a visit with a decision",
    ),
    Metric.CONTACTS_PER_CUSTOMER: Words(
        zh="当日及之前30天全渠道营销接触 ÷ 当日被接触的客户",
        en="Sales contacts on all channels in the 30 days up to it, a customer contacted that day",
    ),
    Metric.GUARD_VIOLATIONS: Words(
        zh="违反接触规则的介绍 ÷ 介绍过的推荐（目标为 0）",
        en="Pitched against a guard, of those pitched; the goal is none",
    ),
    Metric.COMPLAINTS_14: Words(
        zh="介绍后14天内投诉 ÷ 介绍过推荐的上门；未满14天的不计",
        en="Visits with a complaint within 14 days, of visits with a pitch; younger are left out",
    ),
    Metric.CHURN_90_TREATED: Words(
        zh="90天内离网 ÷ 有推荐的客户；未满90天的不计",
        en="Left within 90 days, of customers who could be offered something; younger left out",
    ),
    Metric.CHURN_90_HOLDOUT: Words(
        zh="90天内离网 ÷ 对照组客户；未满90天的不计",
        en="Left within 90 days, of customers of the no-offer group; younger are left out",
    ),
    Metric.CALIBRATION: Words(
        zh="预测接受数 ÷ 实际接受数（越接近 1 越准）；无预测的不计",
        en="Acceptances predicted, of those seen: near one is true; without a prediction left out",
    ),
    Metric.REASONS_GIVEN: Words(
        zh="有原因的拒绝 ÷ 拒绝", en="Refusals with a reason, of all refusals"
    ),
}
