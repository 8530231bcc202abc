"""The customer's acceptance code: when one may be sent, and what a code that is told is worth.

The customer reads the code from their own telephone and tells it when the work is accepted. The
technician never sees it before: nothing answers with it, and it is kept as a keyed hash alone.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import NamedTuple

from app.core.errors import Conflict, Problem, TooMany
from app.core.i18n import Words
from app.core.parameters import Parameter

DIGITS = 6

CODE_MINUTES = Parameter(
    "visits.acceptance_code_minutes",
    default=30,
    unit="min",
    words=Words(zh="验收码有效时间", en="How long an acceptance code is valid"),
    least=1,
    most=1440,
)
CODE_TRIES = Parameter(
    "visits.acceptance_code_tries",
    default=5,
    unit="tries",
    words=Words(
        zh="一个验收码可以输错的次数", en="How many wrong codes are taken before a new one is sent"
    ),
    least=1,
    most=10,
)
CODES_SENT = Parameter(
    "visits.acceptance_codes_sent",
    default=3,
    unit="codes",
    words=Words(
        zh="一次上门最多发送验收码的次数", en="How many acceptance codes are sent in one visit"
    ),
    least=1,
    most=20,
)
SECONDS_BETWEEN = Parameter(
    "visits.acceptance_code_seconds_between",
    default=60,
    unit="s",
    words=Words(
        zh="两次发送验收码的最短间隔", en="The least time between two acceptance codes sent"
    ),
    most=3600,
)
CODE_LATE_HOURS = Parameter(
    "visits.acceptance_code_late_hours",
    default=72,
    unit="h",
    words=Words(
        zh="离线手机补报验收码的期限",
        en="How long after it was sent a code may still arrive from an offline phone",
    ),
    most=720,
)


class NoNumberForMessages(Conflict):
    slug = "no-number-for-messages"
    title = Words(zh="没有可接收短信的号码", en="There is no number to send a message to")
    advice = Words(
        zh="工单没有可接收短信的联系电话，请改用客户签名验收。",
        en="The order has no mobile number to send a code to: let the customer sign instead.",
    )


class CodeSentJustNow(TooMany):
    slug = "acceptance-code-sent-just-now"
    title = Words(zh="验收码刚刚发送", en="A code was sent just now")
    advice = Words(
        zh="短信可能稍有延迟，请在 {retry_after} 秒后再发送。",
        en="Messages can take a moment; send another one in {retry_after} seconds.",
    )


class CodesSentEnough(Conflict):
    slug = "acceptance-codes-sent-enough"
    title = Words(zh="本次上门发送验收码次数已满", en="No more codes are sent in this visit")
    advice = Words(
        zh="已发送 {sent} 次，请改用客户签名验收。",
        en="{sent} were sent; let the customer sign instead.",
    )


class AcceptedAlready(Conflict):
    slug = "accepted-already"
    title = Words(zh="客户已验收", en="The customer has accepted the work already")
    advice = Words(
        zh="客户已于 {accepted_at} 验收，可直接竣工。",
        en="It was accepted at {accepted_at}; complete the order.",
    )


class NoCodeSent(Conflict):
    slug = "no-acceptance-code-sent"
    title = Words(zh="尚未发送验收码", en="No acceptance code was sent")
    advice = Words(zh="请先发送验收码。", en="Have a code sent to the customer first.")


class CodeWrong(Conflict):
    slug = "acceptance-code-wrong"
    title = Words(zh="验收码不正确", en="This is not the acceptance code")
    advice = Words(
        zh="请与客户核对最近一条短信中的验收码，还可以试 {tries_left} 次；也可改用客户签名。",
        en="Compare it with the customer's latest message; {tries_left} tries are left. A "
        "signature will do as well.",
    )


class CodeSpent(Conflict):
    slug = "acceptance-code-spent"
    title = Words(zh="验收码已失效", en="This acceptance code has been tried too often")
    advice = Words(
        zh="输错次数过多，请重新发送验收码，或改用客户签名。",
        en="Have a new code sent, or let the customer sign.",
    )


class CodeExpired(Conflict):
    slug = "acceptance-code-expired"
    title = Words(zh="验收码已过期", en="This acceptance code has expired")
    advice = Words(
        zh="验收码已于 {expired_at} 过期，请重新发送，或改用客户签名。",
        en="It expired at {expired_at}; have a new one sent, or let the customer sign.",
    )


# A landline begins with a zero here; what a message can reach has its country or 8 digits or more.
_MOBILE = re.compile(r"\+\d{8,15}|[1-9]\d{7,14}")


def takes_messages(phone: str | None) -> bool:
    """Tell whether a telephone number can be sent a message; a landline cannot."""
    return phone is not None and _MOBILE.fullmatch(re.sub(r"[\s()\-]", "", phone)) is not None


def may_send(
    sent_at: Sequence[datetime], now: datetime, *, most: int, seconds_between: float
) -> None:
    """Check that one more code may be sent in a visit, given when others were, oldest first.

    Raises CodesSentEnough, and CodeSentJustNow with the seconds to wait.
    """
    if len(sent_at) >= most:
        raise CodesSentEnough(sent=len(sent_at))
    if sent_at:
        wait = seconds_between - (now - sent_at[-1]).total_seconds()
        if wait > 0:
            raise CodeSentJustNow(retry_after=ceil(wait))


@dataclass(frozen=True)
class SentCode:
    """The last code that was sent in a visit; `digest` and the `wrong` ones are keyed hashes."""

    sent_at: datetime
    expires_at: datetime
    digest: bytes
    wrong: tuple[bytes, ...] = ()
    accepted: bool = False


class Judged(NamedTuple):
    """What a code that was told is worth: accepted, or the refusal; a new wrong one is counted."""

    problem: Problem | None
    counts: bool = False


class Refusals(NamedTuple):
    """How each fault of a code that was told is refused, where codes are for something else."""

    none_sent: type[Problem] = NoCodeSent
    wrong: type[Problem] = CodeWrong
    spent: type[Problem] = CodeSpent
    expired: type[Problem] = CodeExpired


def judged(
    code: SentCode | None,
    told: bytes,
    *,
    device_at: datetime,
    now: datetime,
    tries: int,
    late_hours: float,
    refusals: Refusals = Refusals(),  # noqa: B008 - it cannot change
) -> Judged:
    """Judge a code by its keyed hash, compared in constant time.

    It has to come while the code is valid, or have been typed then by the phone's clock and arrive
    within `late_hours` of its sending: a phone without a signal completes hours later. That clock
    can be set back, but only by somebody who was told the code. The same wrong code a second time
    is no new try, since a phone repeats what it got no answer to.
    """
    if code is None:
        return Judged(refusals.none_sent())
    right = hmac.compare_digest(code.digest, told)
    left = max(tries - len(code.wrong), 0)
    if code.accepted:
        return Judged(None if right else refusals.wrong(tries_left=left))
    if left == 0:
        return Judged(refusals.spent())
    typed_in_time = device_at <= code.expires_at
    arrived_in_time = now <= code.sent_at + timedelta(hours=late_hours)
    if now > code.expires_at and not (typed_in_time and arrived_in_time):
        return Judged(refusals.expired(expired_at=code.expires_at))
    if right:
        return Judged(None)
    if told in code.wrong:
        return Judged(refusals.wrong(tries_left=left))
    last = refusals.wrong(tries_left=left - 1) if left > 1 else refusals.spent()
    return Judged(last, counts=True)
