"""Special terms: asked for, approved along a path, and good for one sale by a code."""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import orjson

from app.core.errors import Conflict, Forbidden
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.retention.rules.toolkits import RANK, Hand, Terms, ToolkitKind


class TermsState(StrEnum):
    """Where special terms stand."""

    WAITING = "waiting"
    APPROVED = "approved"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    REDEEMED = "redeemed"
    EXPIRED = "expired"


TERMS_WORDS: dict[TermsState, Words] = {
    TermsState.WAITING: Words("待审批", "waiting for approval"),
    TermsState.APPROVED: Words("已批准", "approved"),
    TermsState.DECLINED: Words("未批准", "declined"),
    TermsState.WITHDRAWN: Words("已撤回", "withdrawn"),
    TermsState.REDEEMED: Words("已使用", "used for a sale"),
    TermsState.EXPIRED: Words("已过期", "expired"),
}
OPEN = frozenset({TermsState.WAITING, TermsState.APPROVED})

ASK_HOURS = Parameter(
    "retention.ask_hours",
    default=48,
    unit="h",
    words=Words(
        zh="特殊优惠申请多久未审批即失效", en="How long special terms wait for approval at most"
    ),
    least=1,
    most=720,
)
CODE_HOURS = Parameter(
    "retention.code_hours",
    default=72,
    unit="h",
    words=Words(zh="优惠审批码有效时间", en="How long an approval code is good for a sale"),
    least=1,
    most=720,
)


@dataclass(frozen=True)
class Asked:
    """What somebody asks for a customer."""

    id: UUID
    customer_id: UUID
    kind: ToolkitKind
    offering_code: str
    terms: Terms
    reason: str
    case_id: UUID | None = None

    def content(self) -> str:
        """Hash what is asked, so that the same asked again is known."""
        said = [
            str(self.customer_id),
            self.kind.value,
            self.offering_code,
            *self.terms,
            self.reason,
            str(self.case_id),
        ]
        return hashlib.sha256(orjson.dumps(said)).hexdigest()


class OneAskedAtATime(Conflict):
    slug = "terms-asked-already"
    title = Words(
        zh="该客户该销售品已有优惠申请", en="Terms are open for this customer and offering"
    )
    advice = Words(
        zh="申请 {id} 尚未结束，请使用或撤回后再申请。",
        en="{id} is still open: use it or withdraw it before asking again.",
    )


class TermsNotOpen(Conflict):
    slug = "terms-not-open"
    title = Words(zh="该优惠申请已结束", en="These terms are no longer open")
    advice = Words(zh="申请现为：{state}。", en="They are {state} now.")


class StepNotYours(Forbidden):
    slug = "approval-not-yours"
    title = Words(zh="该步骤不由您审批", en="This step is not yours to approve")
    advice = Words(
        zh="此步骤需要 {needs} 审批，申请人本人和已审批人不能再次审批。",
        en="It needs a {needs} who has neither asked for the terms nor approved a step before.",
    )


class CodeUnknown(Conflict):
    slug = "approval-code-unknown"
    title = Words(zh="审批码不正确", en="There is no such approval code")
    advice = Words(
        zh="请核对审批码；它只在申请人处显示。",
        en="Compare it with the code that is shown to whoever asked for the terms.",
    )


class CodeForOther(Conflict):
    slug = "approval-code-for-other"
    title = Words(zh="审批码不适用于该笔销售", en="This approval code is for another sale")
    advice = Words(
        zh="审批码仅限批准的客户和销售品使用，不符的项：{differs}。",
        en="It is good for the customer and offering it was approved for; these differ: {differs}.",
    )


class CodeOver(Conflict):
    slug = "approval-code-over"
    title = Words(zh="审批码已过期", en="This approval code has expired")
    advice = Words(
        zh="审批码已于 {expired_at} 过期，请重新申请。", en="It expired at {expired_at}; ask again."
    )


class CodeUsed(Conflict):
    slug = "approval-code-used"
    title = Words(zh="审批码已使用", en="This approval code has been used")
    advice = Words(
        zh="审批码只能使用一次，已于 {redeemed_at} 使用。",
        en="It is good for one sale, and was used at {redeemed_at}.",
    )


def standing(state: TermsState, expires_at: datetime, now: datetime) -> TermsState:
    """Say where terms stand at a moment: what is open past its time has expired."""
    return TermsState.EXPIRED if state in OPEN and expires_at <= now else state


def may_judge(
    wanted: Hand, hand: Hand, account: object, asked_by: object, judged_by: Sequence[object]
) -> None:
    """Check that somebody may take a step of the path: of the hand that is wanted or a higher one,
    and neither who asked nor who took a step before. Raises StepNotYours."""
    if RANK[hand] < RANK[wanted] or account == asked_by or account in judged_by:
        raise StepNotYours(needs=wanted)


# Digits and letters that cannot be mistaken for each other when they are read out (Crockford).
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PLAIN = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_MISREAD = str.maketrans("OIL", "011")
CODE_LETTERS = 10


def code_from(seal: bytes) -> str:
    """Write an approval code from a keyed hash: ten letters in two groups, 50 bits."""
    letters = base64.b32encode(seal[:10]).decode()[:CODE_LETTERS]
    said = letters.translate(str.maketrans(_PLAIN, _LETTERS))
    return f"{said[:5]}-{said[5:]}"


def code_hash(code: str) -> bytes:
    """Hash a code as it is typed, whatever its case, blanks, and letters that look alike."""
    typed = re.sub(r"[\s\-]", "", code).upper().translate(_MISREAD)
    return hashlib.sha256(typed.encode()).digest()
