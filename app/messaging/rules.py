"""What messages say, where their delivery stands, and the operator's numbers for it."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from app.core.i18n import Lang, Words
from app.core.parameters import Parameter


class MessageKind(StrEnum):
    """What a message is for."""

    ACCEPTANCE_CODE = "acceptance_code"
    SURVEY = "survey"
    CONSENT_CODE = "consent_code"
    CONSENT_REPLY = "consent_reply"
    SECOND_CONFIRMATION = "second_confirmation"
    SALE_CANCELLED = "sale_cancelled"
    CONSENT_WHICH = "consent_which"


# The names in braces are the facts that `send` is given.
TEXTS: dict[MessageKind, Words] = {
    MessageKind.ACCEPTANCE_CODE: Words(
        zh="您的验收码是 {code}，{minutes} 分钟内有效。请在核对服务已完成后告知上门的装维人员；"
        "尚未完成请勿告知。",
        en="Your acceptance code is {code}, valid for {minutes} minutes. Tell it to the technician "
        "at your door once the work is done, and not before.",
    ),
    MessageKind.SURVEY: Words(
        zh="感谢您使用我们的上门服务，请为本次服务评分：{link}",
        en="Thank you for having us at your door. Please tell us how it was: {link}",
    ),
    MessageKind.CONSENT_CODE: Words(
        zh="您正在办理{items}，{price}。同意请将确认码 {code} 告知装维人员（{minutes} 分钟有效），"
        "不同意请勿告知。",
        en="You order {items}: {price}. If you agree, tell the technician {code} within {minutes} "
        "minutes; if not, do not.",
    ),
    MessageKind.CONSENT_REPLY: Words(
        zh="您正在办理{items}，{price}。同意请在 {minutes} 分钟内回复 Y{reference}，"
        "不同意回复 N{reference}。",
        en="You order {items}: {price}. Reply Y{reference} within {minutes} minutes to agree, or "
        "N{reference}.",
    ),
    MessageKind.SECOND_CONFIRMATION: Words(
        zh="您的亲友正在办理{items}，{price}。{days} 天内回复 Y{reference} 同意，"
        "或 N{reference} 取消；逾期自动取消。",
        en="A relative of yours orders {items}: {price}. Within {days} days reply Y{reference} to "
        "agree or N{reference}; else it is cancelled.",
    ),
    MessageKind.SALE_CANCELLED: Words(
        zh="您办理的{items}未获第二联系人确认，已取消，不产生费用。",
        en="Your order of {items} was not confirmed by a second contact: cancelled, at no cost.",
    ),
    MessageKind.CONSENT_WHICH: Words(
        zh="您有 {number} 项业务等待确认，请带短信中的编号回复：同意回复 {yes}，不同意回复 {no}。",
        en="{number} orders wait for your answer. Please name the one you mean: reply {yes} to "
        "agree, or {no}.",
    ),
}


class MessageState(StrEnum):
    """Where a message's delivery stands: waiting for its next try, taken over, or given up."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


class FailReason(StrEnum):
    """Why a message was given up."""

    NO_NUMBER = "no_number"
    REFUSED = "refused"
    TRIES_USED_UP = "tries_used_up"
    TOO_LATE = "too_late"


FAIL_WORDS: dict[FailReason, Words] = {
    FailReason.NO_NUMBER: Words("没有可用的号码", "There is no number to send it to"),
    FailReason.REFUSED: Words("短信平台拒收", "The messaging provider turned it down"),
    FailReason.TRIES_USED_UP: Words("多次尝试未成功", "Every try failed"),
    FailReason.TOO_LATE: Words("已过时效，不再发送", "It came too late to be of use"),
}


class Came(NamedTuple):
    """A reply as the provider tells of it; `position` is its place in the provider's list."""

    provider_id: str
    sender: str
    text: str
    said_at: datetime
    position: int | None = None


# Nobody answers a question at greater length.
REPLY_LIMIT = 500

TRIES = Parameter(
    "messaging.tries",
    default=12,
    unit="",
    words=Words(zh="短信最多尝试发送次数", en="Tries before a message is given up"),
    least=1,
    most=100,
)
FIRST_DELAY = Parameter(
    "messaging.first_delay_seconds",
    default=2,
    unit="s",
    words=Words(zh="短信首次重发前等待", en="Wait before a message is tried a second time"),
    most=3600,
)
LONGEST_DELAY = Parameter(
    "messaging.longest_delay_seconds",
    default=600,
    unit="s",
    words=Words(zh="短信重发间隔上限", en="Longest wait between tries of a message"),
    most=86_400,
)
USEFUL_HOURS = Parameter(
    "messaging.useful_hours",
    default=24,
    unit="h",
    words=Words(zh="短信超过多久未发出即不再发送", en="How old a message may be and still be sent"),
    least=0.1,
    most=720,
)
KEPT_DAYS = Parameter(
    "messaging.kept_days",
    default=7,
    unit="d",
    words=Words(
        zh="短信发送后号码与内容保留天数",
        en="Days that number and text of a message are kept after its end",
    ),
    most=365,
)

_NUMBER = re.compile(r"\+?\d{5,20}")


def text_of(kind: MessageKind, facts: Mapping[str, Any], lang: Lang) -> str:
    """Write a message in one language. Raises KeyError when a fact is not given."""
    return TEXTS[kind].say(lang).format_map(dict(facts))


def number_of(text: str) -> str | None:
    """Read a telephone number as it stands in foreign data; None when it is none."""
    number = re.sub(r"[\s()（）\-]", "", text)
    return number if _NUMBER.fullmatch(number) else None


def masked_number(number: str) -> str:
    """Mask a telephone number to its ends: 13812341234 becomes 138****1234; short ones wholly."""
    return f"{number[:3]}****{number[-4:]}" if len(number) >= 11 else "****"
