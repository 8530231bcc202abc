"""Whom to ask, by which way, when, and how often: dated rules per org unit and work type."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.worktypes.rules import WorkType


class FollowUpChannel(StrEnum):
    """How a customer is asked."""

    SURVEY = "survey"
    CALL = "call"


class FollowUpState(StrEnum):
    """Where a follow-up stands."""

    WAITING = "waiting"
    ASKED = "asked"
    ANSWERED = "answered"
    EXPIRED = "expired"
    UNREACHED = "unreached"
    SPARED = "spared"


STATE_WORDS: dict[FollowUpState, Words] = {
    FollowUpState.WAITING: Words("待回访", "to be asked"),
    FollowUpState.ASKED: Words("已发问卷", "the survey was sent"),
    FollowUpState.ANSWERED: Words("已回访", "answered"),
    FollowUpState.EXPIRED: Words("已过期", "over without an answer"),
    FollowUpState.UNREACHED: Words("未联系上", "nobody could be reached"),
    FollowUpState.SPARED: Words("免打扰", "does not want to be disturbed"),
}
OPEN = frozenset({FollowUpState.WAITING, FollowUpState.ASKED})


class NoAnswer(StrEnum):
    """Why a call brought no answer."""

    NOBODY_ANSWERED = "nobody_answered"
    BUSY = "busy"
    CALL_LATER = "call_later"
    WRONG_NUMBER = "wrong_number"
    DECLINED = "declined"


NO_ANSWER_WORDS: dict[NoAnswer, Words] = {
    NoAnswer.NOBODY_ANSWERED: Words("无人接听", "nobody answered"),
    NoAnswer.BUSY: Words("占线", "the line was busy"),
    NoAnswer.CALL_LATER: Words("客户要求改时间", "they asked to be called later"),
    NoAnswer.WRONG_NUMBER: Words("号码有误", "it is a wrong number"),
    NoAnswer.DECLINED: Words("客户不愿评价", "they do not want to say"),
}
# After these nobody calls again, however many tries are left.
FINAL = frozenset({NoAnswer.WRONG_NUMBER, NoAnswer.DECLINED})

FROM_HOUR = Parameter(
    "followups.from_hour",
    default=9,
    unit="h",
    words=Words(
        zh="回访最早几点开始（当地时间）", en="From which local hour on customers are asked"
    ),
    most=23,
)
UNTIL_HOUR = Parameter(
    "followups.until_hour",
    default=20,
    unit="h",
    words=Words(zh="回访最晚几点结束（当地时间）", en="Until which local hour customers are asked"),
    least=1,
    most=24,
)
CALL_TRIES = Parameter(
    "followups.call_tries",
    default=3,
    unit="tries",
    words=Words(zh="电话回访最多拨打次数", en="How often a customer is called for a follow-up"),
    least=1,
    most=10,
)
CALL_AGAIN_HOURS = Parameter(
    "followups.call_again_hours",
    default=4,
    unit="h",
    words=Words(
        zh="未联系上时多久后再拨打", en="How long after a call without answer the next one is"
    ),
    least=0.25,
    most=72,
)
CLAIM_MINUTES = Parameter(
    "followups.claim_minutes",
    default=30,
    unit="min",
    words=Words(
        zh="领取的回访任务多久未完成即可由他人领取",
        en="How long a call that was claimed stays with who claimed it",
    ),
    least=1,
    most=1440,
)
LEAST_ANSWERS = Parameter(
    "followups.least_answers",
    default=5,
    unit="answers",
    words=Words(
        zh="少于多少份评价不计算平均分", en="Under how many answers no average is worked out"
    ),
    least=1,
    most=1000,
)
MISSES_FREE = Parameter(
    "followups.survey_misses_free",
    default=20,
    unit="tries",
    words=Words(
        zh="同一网络地址打开无效问卷链接多少次后开始限时拒绝",
        en="Wrong survey links a client address has free",
    ),
    least=1,
    most=1000,
)


class CallNotOpen(Conflict):
    slug = "follow-up-not-open"
    title = Words(zh="该回访任务已结束", en="This follow-up is not open")
    advice = Words(
        zh="回访现为 {state}，无需再拨打。", en="It is {state}; there is nothing to call for."
    )


class ClaimedByOthers(Conflict):
    slug = "follow-up-claimed"
    title = Words(zh="该回访已被他人领取", en="Somebody else is at this follow-up")
    advice = Words(
        zh="他人已领取，至 {claimed_until}；请选择另一条。",
        en="It is claimed until {claimed_until}; take another one.",
    )


class NotClaimed(Conflict):
    slug = "follow-up-not-claimed"
    title = Words(zh="请先领取该回访", en="Claim this follow-up first")
    advice = Words(
        zh="先领取再拨打，避免客户被重复打扰。",
        en="Claim it before you call, so that no customer is called twice.",
    )


class Rule(NamedTuple):
    """One dated rule: `org_path` empty is for everybody; `valid_to` is excluded.

    Of all completed orders `share_percent` are asked about, `delay_hours` after completion and for
    `valid_days`; a customer is asked once in `quiet_days`. `spares_do_not_disturb` leaves out who
    does not want to be disturbed.
    """

    id: UUID
    code: str
    org_path: str
    work_type: WorkType
    valid_from: date
    valid_to: date | None
    channel: FollowUpChannel
    share_percent: float
    delay_hours: float
    valid_days: int
    quiet_days: int
    spares_do_not_disturb: bool


def rule_for(rules: Iterable[Rule], work_type: WorkType, org_path: str, day: date) -> Rule | None:
    """Find the rule in force for an org unit on a local day: the closest unit's, the latest."""
    fitting = [
        rule
        for rule in rules
        if rule.work_type is work_type
        and org_path.startswith(rule.org_path)
        and rule.valid_from <= day
        and (rule.valid_to is None or day < rule.valid_to)
    ]
    return max(fitting, key=lambda one: (len(one.org_path), one.valid_from, one.code), default=None)


def drawn(order_id: UUID, share_percent: float) -> bool:
    """Tell whether an order is among the share that is asked about.

    The draw hangs on the order alone: the same whenever it is made, and nobody at the door can know
    it.
    """
    place = int.from_bytes(hashlib.blake2b(order_id.bytes, digest_size=8).digest(), "big")
    return place < share_percent / 100 * 2**64


def ask_at(
    completed_at: datetime, delay_hours: float, zone: ZoneInfo, *, from_hour: int, until_hour: int
) -> datetime:
    """Say when to ask, in UTC: after the delay, at an hour at which customers may be disturbed.

    Where the hours leave no time at all, the delay alone counts.
    """
    at = completed_at + timedelta(hours=delay_hours)
    if from_hour >= until_hour:
        return at.astimezone(UTC)
    local = at.astimezone(zone)
    opens = local.replace(hour=from_hour, minute=0, second=0, microsecond=0)
    if local < opens:
        return opens.astimezone(UTC)
    if local.hour >= until_hour:
        return (opens + timedelta(days=1)).astimezone(UTC)
    return at.astimezone(UTC)


def may_call(state: FollowUpState, channel: FollowUpChannel) -> None:
    """Check that a follow-up is a call that is still to be made. Raises CallNotOpen."""
    if channel is not FollowUpChannel.CALL or state is not FollowUpState.WAITING:
        raise CallNotOpen(state=state, channel=channel)


def after_call(cause: NoAnswer, tries: int, *, most: int) -> FollowUpState:
    """Say where a call without an answer leaves a follow-up, with so many tries made."""
    if cause in FINAL or tries >= most:
        return FollowUpState.UNREACHED
    return FollowUpState.WAITING
