"""What is said about a suggestion, in the two languages: why it is offered, why another is not."""

from collections.abc import Mapping
from typing import Any

from app.core.i18n import Words
from app.suggestions.rules import Gate, HeldBack

GATES: dict[Gate, Words] = {
    Gate.ELIGIBLE: Words("适用条件", "eligible"),
    Gate.ALLOWED: Words("是否允许", "allowed"),
    Gate.SUITABLE: Words("是否合适", "suitable"),
    Gate.CONTACT_POLICY: Words("接触规则", "contact policy"),
}

HELD_BACK: dict[HeldBack, Words] = {
    HeldBack.SAID_TOO_LATE: Words(
        "客户答复时该推荐已过有效期", "It was said when the offer was not to be shown any more"
    ),
    HeldBack.ALREADY_HELD: Words(
        "客户已有该业务或互斥业务", "The customer has it, or something that excludes it"
    ),
    HeldBack.REQUIRES_OTHER: Words(
        "客户缺少办理前提的业务", "It needs a service the customer does not have"
    ),
    HeldBack.ORDER_PENDING: Words(
        "客户有在途的装移拆工单", "Another install, move or removal of theirs is still open"
    ),
    HeldBack.JUST_ACCEPTED: Words("客户刚刚已同意办理", "The customer accepted it just now"),
    HeldBack.LINE_UNKNOWN: Words(
        "线路能力未核实，不能承诺速率", "What the line can do is not known, so no speed is promised"
    ),
    HeldBack.LINE_TOO_SLOW: Words("线路达不到该速率", "The line cannot carry this speed"),
    HeldBack.NO_FREE_PORT: Words("该地址无空闲端口", "There is no free port at this address"),
    HeldBack.NOT_RESTORED: Words(
        "故障尚未标记恢复，先修好再推荐", "The repair is not marked restored: first the fault"
    ),
    HeldBack.DO_NOT_DISTURB: Words("客户要求免打扰", "The customer asked not to be disturbed"),
    HeldBack.NO_CONSENT: Words(
        "客户未同意通过该渠道营销", "They have not allowed offers on this channel"
    ),
    HeldBack.REPEAT_FAULT: Words(
        "近期重复故障，不营销", "The fault came back; nothing is sold now"
    ),
    HeldBack.COMPLAINT_OPEN: Words("客户有未结投诉", "A complaint of theirs is open"),
    HeldBack.COMPLAINT_RECENT: Words(
        "投诉刚刚办结，仍在静默期", "A complaint was closed only recently"
    ),
    HeldBack.DISSATISFIED: Words(
        "客户近期拒绝时表示不满，仍在静默期", "They said lately that they are not satisfied with us"
    ),
    HeldBack.ARREARS: Words(
        "客户有欠费，不赊销", "The customer owes money; nothing is sold on credit"
    ),
    HeldBack.BLACKLISTED: Words(
        "客户在信用黑名单中，不赊销", "They are on the list of bad debts; nothing is sold on credit"
    ),
    HeldBack.WIN_BACK_REFUSED: Words(
        "客户离网后已明确不再回来", "They have left and said that they will not come back"
    ),
    HeldBack.NOT_INVITED: Words(
        "客户已离网，未受邀不营销", "They have left; nothing is sold where nobody was asked to come"
    ),
    HeldBack.OUTAGE: Words("所在区域有大面积故障", "There is an outage where they live"),
    HeldBack.NEEDS_APPROVAL: Words(
        "特殊挽留条件须经经理授权码批准", "Special terms need the manager's approval code"
    ),
    HeldBack.OFFERED_ELSEWHERE: Words(
        "其他渠道正在跟进该业务", "Another channel is offering it to them already"
    ),
    HeldBack.OTHER_STAGE: Words(
        "客户所处生命周期阶段不做该类推荐",
        "This is not what is offered at their stage of the lifecycle",
    ),
    HeldBack.NOT_FASTER: Words("不比现有线路快", "It is not faster than what they have"),
    HeldBack.NO_RENEWAL_DUE: Words("合约未临近到期", "No contract is about to end"),
    HeldBack.LINE_FALLS_SHORT: Words(
        "实测速率低于现有套餐，先查线路和WiFi再谈提速",
        "The line was measured below their package: see to it before selling more speed",
    ),
    HeldBack.NO_NEED: Words("用量低，无此需要", "They use little and do not need it"),
    HeldBack.USES_MORE: Words(
        "用量不低或未知，不宜换小套餐",
        "They use more, or it is not known: a small package may not do",
    ),
    HeldBack.FEW_CALLS: Words(
        "客户很少来电，无需教学", "They seldom call, so there is nothing to teach them"
    ),
    HeldBack.NO_DEBT: Words(
        "客户无欠费，无需预付费", "They owe nothing, so there is no need to pay beforehand"
    ),
    HeldBack.NOT_WORTH_A_CONTACT: Words(
        "预期收益抵不过一次打扰", "What it may bring is not worth a contact"
    ),
    HeldBack.PITCHED_IN_THIS_VISIT: Words(
        "本次上门已推荐过", "Something was already pitched in this visit"
    ),
    HeldBack.SHOWN_IN_THIS_VISIT: Words(
        "本次上门展示的推荐已达上限", "Enough others were already shown in this visit"
    ),
    HeldBack.CONTACTS_MONTH: Words(
        "30天内营销接触已达上限", "Enough sales contacts in the last 30 days"
    ),
    HeldBack.CONTACTS_YEAR: Words(
        "12个月内营销接触已达上限", "Enough sales contacts in the last 12 months"
    ),
    HeldBack.CONTACT_GAP: Words("距上次营销接触太近", "The last sales contact is too recent"),
    HeldBack.SERVED_TODAY: Words(
        "今天已有服务接触，不再营销", "They were served today; nothing else is sold the same day"
    ),
    HeldBack.SLOT_TAKEN: Words(
        "另一次上门或渠道正在接触该客户", "Another visit or channel is talking to them now"
    ),
    HeldBack.REFUSED_OFTEN: Words("客户已多次拒绝", "The customer said no several times"),
    HeldBack.DECLINED_RECENTLY: Words("客户近期拒绝过", "The customer declined it recently"),
    HeldBack.DECLINED_GROUP: Words(
        "客户近期拒绝过同类业务", "The customer declined something like it recently"
    ),
    HeldBack.ASKED_FOR_LATER: Words("客户约定的时间未到", "The customer asked to hear of it later"),
    HeldBack.OTHER_CHANNEL: Words(
        "该类业务不能在此渠道推荐", "This kind of offer is not made on this channel"
    ),
    HeldBack.OTHERS_FIT_BETTER: Words("其他推荐更合适", "Others fit better"),
    HeldBack.CAMPAIGN_ALONE: Words(
        "若无营销活动，预期收益抵不过一次打扰",
        "Without the campaign, what it may bring is not worth a contact",
    ),
    HeldBack.NOTHING_TODAY: Words("今天不推荐更好", "Today it is better to offer nothing"),
    HeldBack.HOLDOUT: Words(
        "本月该客户不作推荐，用于衡量推荐的效果",
        "Nothing is offered to them this month, so that it can be told what offers bring",
    ),
}

# The code of a decision that held each offer back for a reason of its own.
FITS_NOTHING = "nothing_fits"
NOTHING_FITS = Words("今天没有合适的推荐", "Nothing fits today")

# The parts of a score that say something to a technician; the others only add up.
REASONS: dict[str, Words] = {
    "expected": Words(
        "同类客户约有 {percent}% 会接受", "About {percent}% of such customers accept"
    ),
    "kept": Words(
        "客户流失风险约 {churn}%，续约可留住", "About {churn}% likely to leave; this may keep them"
    ),
    "contract_ends_soon": Words("合约还有 {days} 天到期", "The contract ends in {days} days"),
    "contract_over": Words("合约已到期 {days} 天", "The contract ended {days} days ago"),
    "speed_below_usage": Words(
        "每月用 {gb} GB，现有速率仅 {mbps} Mbit/s",
        "They use {gb} GB a month on only {mbps} Mbit/s",
    ),
    "measured_below_plan": Words(
        "最近一次实测 {measured} Mbit/s，低于套餐的 {mbps} Mbit/s",
        "It was last measured at {measured} Mbit/s, below the {mbps} of their package",
    ),
    "prefers_other_channel": Words(
        "客户偏好其他渠道，可转交而不当面推荐",
        "They prefer another channel: hand it over rather than pitch it",
    ),
    "fitted_at_once": Words(
        "本次上门约 {minutes} 分钟即可装好", "It can be fitted now, in about {minutes} minutes"
    ),
    "after_a_fault": Words("客户刚经历故障，语气放缓", "They have just had a fault: go gently"),
}


# The parts of a score that only add up, for whoever asks how.
ONLY_ADDED: dict[str, Words] = {
    "context_bounded": Words(
        "情境权重超出上下限的部分", "What goes beyond the bounds of all weights together"
    ),
    "campaign": Words("营销活动的杠杆权重", "A campaign's weight"),
    "contact_cost": Words("一次营销接触的成本", "What a contact costs"),
}


def reason(part: Mapping[str, Any]) -> Words | None:
    """Say a part of a score as a reason to offer something; None for one that only adds up, or
    speaks of nobody."""
    said = REASONS.get(part["code"])
    if part["code"] == "expected" and not part["values"]["percent"]:
        # Less than one in two hundred is no reason, and what is tried may be as unlikely.
        return None
    return said and Words(*(each.format(**part["values"]) for each in said))


def nothing_because(code: str) -> Words:
    """Say why there is nothing to offer: one hold for all offers, or `NOTHING_FITS`."""
    return NOTHING_FITS if code == FITS_NOTHING else HELD_BACK[HeldBack(code)]
