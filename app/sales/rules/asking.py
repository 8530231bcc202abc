"""Asking a customer for consent by message: how often, for how long, and what an answer means."""

import re
import unicodedata
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil
from typing import NamedTuple

from app.core.errors import Conflict, TooMany
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.visits.rules.acceptance import Refusals

# How many digits a code has, and the reference by which a reply names what it answers.
CODE_DIGITS, REFERENCE_DIGITS = 6, 4


class ConsentPurpose(StrEnum):
    """Who is asked: the customer, or the second contact of one who is protected."""

    CONSENT = "consent"
    SECOND = "second"


class RequestState(StrEnum):
    """What came of asking for consent.

    `void` are those that another request took the place of; `expired` is never stored, it is what
    an `asked` one is called once its time is over.
    """

    ASKED = "asked"
    AGREED = "agreed"
    DECLINED = "declined"
    VOID = "void"
    EXPIRED = "expired"


MINUTES = Parameter(
    "sales.consent_minutes",
    default=30,
    unit="min",
    words=Words(
        zh="确认码或短信确认的有效时间", en="How long a customer may take to agree by message"
    ),
    least=1,
    most=1440,
)
TRIES = Parameter(
    "sales.consent_tries",
    default=5,
    unit="tries",
    words=Words(
        zh="一个确认码可以输错的次数", en="How many wrong codes are taken before a new one is sent"
    ),
    least=1,
    most=10,
)
REQUESTS_AN_HOUR = Parameter(
    "sales.consent_requests_an_hour",
    default=5,
    unit="requests",
    words=Words(
        zh="同一客户每小时最多发送确认短信的次数",
        en="How often a customer is asked for consent by message within an hour",
    ),
    least=1,
    most=60,
)


AGREED_MINUTES = Parameter(
    "sales.agreed_minutes",
    default=10,
    unit="min",
    words=Words(
        zh="客户短信同意后多久仍未提交，由系统代为提交",
        en="How long a yes by message may wait for the phone before the sale is confirmed without",
    ),
    least=1,
    most=1440,
)
ALERT_UNCONFIRMED = Parameter(
    "sales.alert_left_unconfirmed",
    default=1,
    unit="",
    words=Words(
        zh="客户已短信同意而未能自动提交的销售单，达到多少单即告警",
        en="How many sales may be agreed to by message and not be confirmed before supervisors are "
        "alerted",
    ),
    least=1,
)


class NoNumberForConsent(Conflict):
    slug = "no-number-for-consent"
    title = Words(
        zh="客户没有可用于确认的手机号", en="The customer has no number to ask by message"
    )
    advice = Words(
        zh="客户登记号码不能接收短信，或为装维人员本人号码；请改用客户签名。",
        en="The number on record takes no messages, or is the technician's own: let them sign.",
    )


class ConsentAskedEnough(TooMany):
    slug = "consent-asked-enough"
    title = Words(zh="确认短信发送次数已满", en="The customer was asked often enough for now")
    advice = Words(
        zh="一小时内已发送 {sent} 次，请在 {retry_after} 秒后再试，或改用客户签名。",
        en="{sent} messages were sent within the hour; wait {retry_after} s, or let them sign.",
    )


class ConsentNotGiven(Conflict):
    slug = "consent-not-given"
    title = Words(zh="客户尚未确认", en="The customer has not agreed yet")
    advice = Words(
        zh="请等待客户回复短信或提供确认码，最晚到 {expires_at}。",
        en="Wait for their reply or their code, until {expires_at} at the latest.",
    )


class ConsentDeclined(Conflict):
    slug = "consent-declined"
    title = Words(zh="客户不同意办理", en="The customer does not agree")
    advice = Words(
        zh="客户已于 {answered_at} 回复不同意，请尊重客户选择并取消本单；"
        "客户改变主意的，须再次以短信同意。",
        en="They said so at {answered_at}: respect it and cancel the sale. If they change their "
        "mind, they have to agree by message.",
    )


class ConsentVoid(Conflict):
    slug = "consent-void"
    title = Words(zh="该次确认已作废", en="This request is void")
    advice = Words(
        zh="之后已重新发送确认短信，请使用最近一次。",
        en="Another one took its place: use the latest.",
    )


class NoConsentCode(Conflict):
    slug = "no-consent-code"
    title = Words(zh="没有发送过确认码", en="No code was sent")
    advice = Words(zh="请先向客户发送确认码。", en="Have a code sent to the customer first.")


class ConsentCodeWrong(Conflict):
    slug = "consent-code-wrong"
    title = Words(zh="确认码不正确", en="This is not the code")
    advice = Words(
        zh="请与客户核对最近一条短信，还可以试 {tries_left} 次；也可改用客户签名。",
        en="Compare it with their latest message; {tries_left} tries are left. A signature will do "
        "as well.",
    )


class ConsentCodeSpent(Conflict):
    slug = "consent-code-spent"
    title = Words(zh="确认码已失效", en="This code has been tried too often")
    advice = Words(
        zh="输错次数过多，请重新发送，或改用客户签名。",
        en="Have a new one sent, or let the customer sign.",
    )


class ConsentExpired(Conflict):
    slug = "consent-expired"
    title = Words(zh="确认已过期", en="It is too late for this consent")
    advice = Words(
        zh="已于 {expired_at} 过期，请重新发送，或改用客户签名。",
        en="It expired at {expired_at}; ask again, or let the customer sign.",
    )


REFUSALS = Refusals(NoConsentCode, ConsentCodeWrong, ConsentCodeSpent, ConsentExpired)


def may_ask(earlier: list[datetime], now: datetime, *, most: int) -> int:
    """Check that a customer may be asked once more, given when they were within the last hour.

    Returns how often more after this one. Raises ConsentAskedEnough with the seconds to wait.
    """
    hour = timedelta(hours=1)
    within = sorted(at for at in earlier if now - at < hour)
    if len(within) >= most:
        wait = (within[len(within) - most] + hour - now).total_seconds()
        raise ConsentAskedEnough(sent=len(within), retry_after=max(ceil(wait), 1))
    return most - len(within) - 1


def usable(
    state: RequestState, *, expires_at: datetime, answered_at: datetime | None, now: datetime
) -> None:
    """Check that a request was answered with yes.

    Raises ConsentVoid, ConsentDeclined, ConsentExpired and ConsentNotGiven.
    """
    if state is RequestState.VOID:
        raise ConsentVoid()
    if state is RequestState.DECLINED:
        raise ConsentDeclined(answered_at=answered_at)
    if state is RequestState.ASKED:
        if now > expires_at:
            raise ConsentExpired(expired_at=expires_at)
        raise ConsentNotGiven(expires_at=expires_at)


def shown_state(state: RequestState, expires_at: datetime, now: datetime) -> RequestState:
    """Say how a request stands at a moment."""
    over = state is RequestState.ASKED and now > expires_at
    return RequestState.EXPIRED if over else state


# --- what a customer writes back ------------------------------------------------------------------

_YES = frozenset({"Y", "YES", "OK", "同意", "是", "好", "好的", "可以", "确认"})
_NO = frozenset({"N", "NO", "不同意", "不", "否", "不办", "取消", "拒绝"})
_REPLY = re.compile(rf"(?P<word>[A-Z]+|[\u4e00-\u9fff]+)(?P<reference>\d{{{REFERENCE_DIGITS}}})?")


class Reply(NamedTuple):
    """What a reply says: yes or no, and to what, where it names that."""

    agrees: bool
    reference: str | None


def read_reply(text: str) -> Reply | None:
    """Read what a customer wrote back; None where it says neither yes nor no.

    Widths, case, blanks and full stops do not matter: people type with one thumb.
    """
    plain = unicodedata.normalize("NFKC", text).upper()
    found = _REPLY.fullmatch(re.sub(r"[\s.,!。,!、\-:;]", "", plain))
    if found is None or found["word"] not in _YES | _NO:
        return None
    return Reply(found["word"] in _YES, found["reference"])
