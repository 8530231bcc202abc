"""Cases: a customer whom somebody is to keep or win back, and how each one can end."""

import hashlib
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

import orjson

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.retention.rules.toolkits import ToolkitKind


class Cause(StrEnum):
    """Why a customer has a case, what is most pressing first."""

    CHURN_HIGH = "churn_high"
    STAGE_DECLINE = "stage_decline"
    COMPLAINED = "complained"
    TIER_FELL = "tier_fell"
    TIER_FORECAST = "tier_forecast"
    CONTRACT_ENDS = "contract_ends"
    LEFT = "left"


CAUSE_WORDS: dict[Cause, Words] = {
    Cause.CHURN_HIGH: Words("离网风险升高", "is likely to leave"),
    Cause.STAGE_DECLINE: Words("进入衰退期", "uses less and less"),
    Cause.COMPLAINED: Words(
        "有投诉、重复障碍或询问过拆机",
        "has complained, had a fault come back or asked about leaving",
    ),
    Cause.TIER_FELL: Words("价值层级下降", "has fallen a value tier"),
    Cause.TIER_FORECAST: Words("价值层级预计下降", "is about to fall a value tier"),
    Cause.CONTRACT_ENDS: Words("合约即将到期", "has a contract that ends soon"),
    Cause.LEFT: Words("已离网", "has left"),
}
# What the lifecycle warns of; the others are taken from a list by a person.
WARNED = (
    Cause.CHURN_HIGH,
    Cause.STAGE_DECLINE,
    Cause.COMPLAINED,
    Cause.TIER_FELL,
    Cause.TIER_FORECAST,
)
# What is told of a customer's profile, and so of nobody who wants no personal ranking. Of those
# there is only `COMPLAINED`: what they said themselves is no profile, and is looked after.
BY_PROFILE = tuple(cause for cause in WARNED if cause is not Cause.COMPLAINED)

# Who has complained is taken care of without offers.
TOOLKIT_OF: dict[Cause, ToolkitKind] = {
    Cause.CHURN_HIGH: ToolkitKind.RETENTION,
    Cause.STAGE_DECLINE: ToolkitKind.RETENTION,
    Cause.TIER_FELL: ToolkitKind.CARE_BY_VALUE,
    Cause.TIER_FORECAST: ToolkitKind.CARE_BY_VALUE,
    Cause.CONTRACT_ENDS: ToolkitKind.RENEWAL,
    Cause.LEFT: ToolkitKind.WIN_BACK,
}


class Handling(StrEnum):
    """What is done about a case."""

    VISIT = "visit"
    CALL = "call"
    NOTHING = "nothing"


class Arm(StrEnum):
    """Whether a case is acted on, or left alone so that the effect of acting can be measured."""

    TREATED = "treated"
    HELD_OUT = "held_out"


class CaseState(StrEnum):
    """Where a case stands."""

    OPEN = "open"
    DONE = "done"
    UNREACHED = "unreached"
    LAPSED = "lapsed"
    DROPPED = "dropped"
    HELD_OUT = "held_out"


CASE_WORDS: dict[CaseState, Words] = {
    CaseState.OPEN: Words("待处理", "open"),
    CaseState.DONE: Words("已处理", "done"),
    CaseState.UNREACHED: Words("未联系上", "nobody could be reached"),
    CaseState.LAPSED: Words("逾期未处理", "over before anybody did it"),
    CaseState.DROPPED: Words("已取消", "dropped"),
    CaseState.HELD_OUT: Words("对照组，不干预", "left alone for comparison"),
}


class CaseOutcome(StrEnum):
    """How talking with the customer ended."""

    STAYS = "stays"
    ACCEPTED = "accepted"
    LATER = "later"
    REFUSED = "refused"
    LEAVES = "leaves"
    NOT_WANTED = "not_wanted"
    UNREACHED = "unreached"
    WRONG_NUMBER = "wrong_number"


OUTCOME_WORDS: dict[CaseOutcome, Words] = {
    CaseOutcome.STAYS: Words("客户留网", "stays"),
    CaseOutcome.ACCEPTED: Words("接受了优惠或续约", "accepted an offer"),
    CaseOutcome.LATER: Words("改日再谈", "wants to talk later"),
    CaseOutcome.REFUSED: Words("拒绝", "refused"),
    CaseOutcome.LEAVES: Words("决定离网", "leaves"),
    CaseOutcome.NOT_WANTED: Words("不希望被联系", "wants no contact"),
    CaseOutcome.UNREACHED: Words("未接通", "was not reached"),
    CaseOutcome.WRONG_NUMBER: Words("号码有误", "it is a wrong number"),
}


class StayReason(StrEnum):
    """What a customer gives as the reason for leaving, refusing or being unhappy."""

    PRICE = "price"
    COMPETITOR = "competitor"
    QUALITY = "quality"
    SERVICE = "service"
    MOVES = "moves"
    NO_NEED = "no_need"
    CONTRACT_LENGTH = "contract_length"
    OTHER = "other"


STAY_REASON_WORDS: dict[StayReason, Words] = {
    StayReason.PRICE: Words("价格", "the price"),
    StayReason.COMPETITOR: Words("友商优惠", "a competitor's offer"),
    StayReason.QUALITY: Words("网络质量", "the quality of the line"),
    StayReason.SERVICE: Words("服务", "the service"),
    StayReason.MOVES: Words("搬家", "moving away"),
    StayReason.NO_NEED: Words("不需要", "no need"),
    StayReason.CONTRACT_LENGTH: Words("不愿签约", "does not want a contract"),
    StayReason.OTHER: Words("其他", "something else"),
}

# Outcomes that need a coded reason.
_WITH_REASON = frozenset({CaseOutcome.REFUSED, CaseOutcome.LEAVES})
# Outcomes that say what became of an offer, and those that may name one.
_OF_AN_OFFER = frozenset({CaseOutcome.ACCEPTED, CaseOutcome.REFUSED})
_MAY_NAME = _OF_AN_OFFER | {CaseOutcome.LATER}


class Said(NamedTuple):
    """What became of a contact about a case; `again_on` is the local day a customer named, and
    `offering_code` what they were offered."""

    outcome: CaseOutcome
    reason: StayReason | None = None
    competitor: str | None = None
    offering_code: str | None = None
    again_on: date | None = None
    note: str = ""

    def checked(self, today: date) -> None:
        """Check that it says what its outcome needs and nothing else. Raises Invalid."""
        errors = []
        if (self.reason is not None) != (self.outcome in _WITH_REASON):
            message = "belongs to `refused` and `leaves`, which need it"
            errors.append({"field": "reason", "message": message})
        if self.competitor is not None and self.reason is not StayReason.COMPETITOR:
            message = "belongs to the reason `competitor`"
            errors.append({"field": "competitor", "message": message})
        if (self.again_on is not None) != (self.outcome is CaseOutcome.LATER):
            errors.append({"field": "again_on", "message": "belongs to `later`, which needs it"})
        elif self.again_on is not None and self.again_on <= today:
            errors.append({"field": "again_on", "message": "must be a day to come"})
        if self.offering_code is not None and self.outcome not in _MAY_NAME:
            message = "belongs to `accepted`, `refused` and `later`"
            errors.append({"field": "offering_code", "message": message})
        if errors:
            raise Invalid(errors=errors)

    @property
    def offered_something(self) -> bool:
        """Tell whether it shows that the customer was offered something."""
        return self.outcome in _OF_AN_OFFER or self.offering_code is not None

    def content(self) -> str:
        """Hash what was said, so that the same said again is known."""
        return hashlib.sha256(repr(tuple(map(str, self))).encode()).hexdigest()


@dataclass(frozen=True)
class Wanted:
    """An entry of a list that is to become a case: a visit, or a call by somebody."""

    id: UUID
    customer_id: UUID
    cause: Cause
    handling: Handling
    technician_id: UUID | None = None

    def content(self) -> str:
        """Hash what is wanted, so that the same wanted again is known."""
        said = [str(self.customer_id), self.cause, self.handling, str(self.technician_id)]
        return hashlib.sha256(orjson.dumps(said)).hexdigest()


def after(outcome: CaseOutcome, tries: int, *, most: int) -> CaseState:
    """Say where a case stands after a contact, the `tries`-th without an answer."""
    if outcome is CaseOutcome.LATER:
        return CaseState.OPEN
    if outcome is CaseOutcome.UNREACHED:
        return CaseState.UNREACHED if tries >= most else CaseState.OPEN
    return CaseState.UNREACHED if outcome is CaseOutcome.WRONG_NUMBER else CaseState.DONE


HOLDOUT_PERCENT = Parameter(
    "retention.holdout_percent",
    default=10,
    unit="%",
    words=Words(
        zh="留作对照组、不做关怀挽留的预警客户比例",
        en="Of customers with a warning, how many are left alone so that the effect is measured",
    ),
    most=50,
)
CASES_A_WEEK = Parameter(
    "retention.cases_a_week",
    default=5,
    unit="cases",
    words=Words(
        zh="每个网格每周最多新增的关怀挽留任务",
        en="How many customers of a grid are taken care of anew in a week at most",
    ),
    most=1000,
)
COOL_DOWN_DAYS = Parameter(
    "retention.cool_down_days",
    default=60,
    unit="days",
    words=Words(
        zh="同一客户两次关怀挽留的最短间隔",
        en="The least time between two cases of one customer",
    ),
    most=730,
)
WARNING_DAYS = Parameter(
    "retention.warning_days",
    default=30,
    unit="days",
    words=Words(
        zh="预警多久未处理即不再派单", en="After how long a warning that nobody took up is dropped"
    ),
    least=1,
    most=365,
)
CASE_DAYS = Parameter(
    "retention.case_days",
    default=21,
    unit="days",
    words=Words(zh="关怀挽留任务的处理期限", en="Within how many days a case has to be done"),
    least=1,
    most=180,
)
CALL_TRIES = Parameter(
    "retention.call_tries",
    default=3,
    unit="tries",
    words=Words(zh="挽留电话最多拨打次数", en="How often a customer with a case is called"),
    least=1,
    most=10,
)
CALL_AGAIN_HOURS = Parameter(
    "retention.call_again_hours",
    default=20,
    unit="h",
    words=Words(
        zh="未接通时多久后再拨打", en="How long after a call without answer the next one is made"
    ),
    least=0.25,
    most=168,
)
CLAIM_MINUTES = Parameter(
    "retention.claim_minutes",
    default=30,
    unit="min",
    words=Words(
        zh="领取的挽留电话多久未完成即可由他人领取",
        en="How long a call about a case stays with who claimed it",
    ),
    least=1,
    most=1440,
)
WIN_BACK_FROM_DAYS = Parameter(
    "retention.win_back_from_days",
    default=30,
    unit="days",
    words=Words(zh="离网多久后进入赢回名单", en="From how long after leaving customers are asked"),
    most=730,
)
WIN_BACK_UNTIL_DAYS = Parameter(
    "retention.win_back_until_days",
    default=180,
    unit="days",
    words=Words(
        zh="离网多久后移出赢回名单", en="Until how long after leaving customers are asked back"
    ),
    least=1,
    most=1095,
)
RENEWAL_DAYS = Parameter(
    "retention.renewal_days",
    default=90,
    unit="days",
    words=Words(
        zh="合约到期前多久进入续约名单",
        en="How long before a contract ends its customer is on the renewal list",
    ),
    least=1,
    most=365,
)
KEPT_DAYS = Parameter(
    "retention.kept_days",
    default=90,
    unit="days",
    words=Words(
        zh="多少天内未离网算挽留成功",
        en="A customer who has not left within so many days after the warning was kept",
    ),
    least=7,
    most=365,
)


class CaseNotOpen(Conflict):
    slug = "case-not-open"
    title = Words(zh="该任务已结束", en="This case is closed")
    advice = Words(zh="任务现为：{state}。", en="It is {state} now.")


class CaseOpenAlready(Conflict):
    slug = "case-open-already"
    title = Words(zh="该客户已有进行中的任务", en="This customer has an open case already")
    advice = Words(zh="请处理任务 {id}。", en="Deal with the case {id}.")


class CaseNotCalled(Conflict):
    slug = "case-not-called"
    title = Words(zh="该任务是上门工单", en="This case is a visit and not a call")
    advice = Words(
        zh="请在工单中联系客户，完成后在此登记结果。",
        en="Its technician meets the customer; write the outcome down here afterwards.",
    )


class CaseClaimed(Conflict):
    slug = "case-claimed"
    title = Words(zh="该任务已被他人领取", en="Somebody else is at this case")
    advice = Words(zh="对方领取至 {claimed_until}。", en="It is theirs until {claimed_until}.")


class CaseNotClaimed(Conflict):
    slug = "case-not-claimed"
    title = Words(zh="请先领取该任务", en="Claim this case first")
    advice = Words(
        zh="领取后可看到联系电话，并登记结果。",
        en="Then you see whom to call, and can write down what was said.",
    )


class NotOnList(Conflict):
    slug = "not-on-list"
    title = Words(zh="该客户不在名单中", en="This customer is not on the list")
    advice = Words(
        zh="客户可能已拒绝、无法联系、刚被联系过或不在期限内；请刷新名单。",
        en="They may have refused, cannot be reached, were contacted lately, or it is too early or "
        "too late; read the list again.",
    )


class NowhereToVisit(Conflict):
    slug = "nowhere-to-visit"
    title = Words(zh="该客户没有可上门的地址", en="There is no address to visit")
    advice = Words(zh="请改为电话联系。", en="Call the customer instead.")


def held_out(customer_id: UUID, at: datetime, percent: float) -> bool:
    """Tell whether a customer is left alone; the same for a quarter of a year (UTC).

    By a hash, so that neither who asks nor how often changes who it is, and the share is as random
    as the ids are.
    """
    quarter = f"{at.year}-{(at.month - 1) // 3}"
    digest = hashlib.sha256(f"retention:{quarter}:{customer_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < percent / 100.0


def may_claim(
    state: CaseState,
    handling: Handling,
    claimed_by: UUID | None,
    claimed_until: datetime | None,
    account_id: UUID,
    now: datetime,
) -> None:
    """Check that somebody may call about a case. Raises CaseNotOpen, CaseNotCalled, CaseClaimed."""
    if state is not CaseState.OPEN:
        raise CaseNotOpen(state=state)
    if handling is not Handling.CALL:
        raise CaseNotCalled()
    if claimed_by != account_id and claimed_until is not None and claimed_until > now:
        raise CaseClaimed(claimed_until=claimed_until)
