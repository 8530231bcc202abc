"""What a customer can answer: a mark from 1 to 5, coded reasons that fit it, and a note."""

import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from app.core.errors import Conflict, Invalid, NotFound
from app.core.i18n import Words
from app.core.parameters import Parameter

LOWEST, HIGHEST = 1, 5

# Marks up to this one count as low in the figures.
LOW = 2

CARE_BELOW = Parameter(
    "followups.care_below",
    default=3,
    unit="",
    words=Words(
        zh="评分低于此值自动生成关怀工单", en="A mark below this one makes an order to take care"
    ),
    least=LOWEST,
    most=HIGHEST + 1,
)
CARE_PRIORITY = Parameter(
    "followups.care_priority",
    default=2,
    unit="",
    words=Words(
        zh="低分关怀工单的优先级（1 最急）",
        en="The priority of such an order, 1 being the most urgent",
    ),
    least=1,
    most=4,
)

QUESTION = Words(
    zh="您对本次上门服务满意吗？1 分很不满意，5 分非常满意。",
    en="How was our visit? 1 is very poor, 5 is very good.",
)


class Reason(StrEnum):
    """Why a customer gives the mark they give."""

    NOT_FIXED = "not_fixed"
    CAME_LATE = "came_late"
    CAME_OFTEN = "came_often"
    UNFRIENDLY = "unfriendly"
    UNTIDY = "untidy"
    NOT_EXPLAINED = "not_explained"
    PRESSED_TO_BUY = "pressed_to_buy"
    ASKED_FOR_MONEY = "asked_for_money"
    WORKS_WELL = "works_well"
    ON_TIME = "on_time"
    FRIENDLY = "friendly"
    TIDY = "tidy"
    EXPLAINED_WELL = "explained_well"
    OTHER = "other"


REASON_WORDS: dict[Reason, Words] = {
    Reason.NOT_FIXED: Words("问题没有解决", "it still does not work"),
    Reason.CAME_LATE: Words("没有按时上门", "they came late"),
    Reason.CAME_OFTEN: Words("多次上门才解决", "it took several visits"),
    Reason.UNFRIENDLY: Words("服务态度不好", "they were unfriendly"),
    Reason.UNTIDY: Words("施工不整洁", "it was left untidy"),
    Reason.NOT_EXPLAINED: Words("没有讲解清楚", "nothing was explained"),
    Reason.PRESSED_TO_BUY: Words("强行推销", "they pressed me to buy"),
    Reason.ASKED_FOR_MONEY: Words("额外收费", "they asked for money"),
    Reason.WORKS_WELL: Words("网络好用", "it works well"),
    Reason.ON_TIME: Words("准时上门", "they came on time"),
    Reason.FRIENDLY: Words("态度热情", "they were friendly"),
    Reason.TIDY: Words("施工整洁", "it was left tidy"),
    Reason.EXPLAINED_WELL: Words("讲解清楚", "all was explained well"),
    Reason.OTHER: Words("其他", "something else"),
}

_BLAME = (
    Reason.NOT_FIXED,
    Reason.CAME_LATE,
    Reason.CAME_OFTEN,
    Reason.UNFRIENDLY,
    Reason.UNTIDY,
    Reason.NOT_EXPLAINED,
    Reason.PRESSED_TO_BUY,
    Reason.ASKED_FOR_MONEY,
    Reason.OTHER,
)
_PRAISE = (
    Reason.WORKS_WELL,
    Reason.ON_TIME,
    Reason.FRIENDLY,
    Reason.TIDY,
    Reason.EXPLAINED_WELL,
    Reason.OTHER,
)

MARK_WORDS: dict[int, Words] = {
    1: Words("很不满意", "very poor"),
    2: Words("不满意", "poor"),
    3: Words("一般", "fair"),
    4: Words("满意", "good"),
    5: Words("非常满意", "very good"),
}
# A middling mark may have reasons of both kinds.
REASONS: dict[int, tuple[Reason, ...]] = {
    1: _BLAME,
    2: _BLAME,
    3: tuple(dict.fromkeys((*_BLAME, *_PRAISE))),
    4: _PRAISE,
    5: _PRAISE,
}


class SurveyNotFound(NotFound):
    slug = "survey-not-found"
    title = Words(zh="问卷不存在或已过期", en="There is no such survey, or it is over")
    advice = Words(
        zh="链接不完整或已过有效期；如需反馈请联系客服。",
        en="The link is incomplete or has expired; please call us if there is something to say.",
    )


class AnsweredAlready(Conflict):
    slug = "follow-up-answered-already"
    title = Words(zh="已经收到过评价", en="This was answered already")
    advice = Words(
        zh="我们已于 {answered_at} 收到评价，感谢您的反馈。",
        en="The answer of {answered_at} stands; thank you.",
    )


@dataclass(frozen=True)
class Answered:
    """What a customer answered."""

    mark: int
    reasons: tuple[Reason, ...]
    note: str | None = None

    def checked(self) -> "Answered":
        """Return it if its reasons fit its mark, each named once. Raises Invalid."""
        strange = [reason.value for reason in self.reasons if reason not in REASONS[self.mark]]
        if strange or len(set(self.reasons)) < len(self.reasons):
            fitting = ", ".join(reason.value for reason in REASONS[self.mark])
            raise Invalid(
                errors=[
                    {
                        "field": "reasons",
                        "message": f"with a mark of {self.mark}, each at most once: {fitting}",
                    }
                ]
            )
        return self

    def content(self) -> str:
        """Hash it in a canonical form (SHA-256, hexadecimal); the order of reasons says nothing."""
        said: dict[str, Any] = {
            "mark": self.mark,
            "reasons": sorted(self.reasons),
            "note": self.note or None,
        }
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def words(self) -> Words:
        """Say it in a sentence, as it stands in an order's summary."""
        zh = "、".join(REASON_WORDS[reason].zh for reason in self.reasons)
        en = ", ".join(REASON_WORDS[reason].en for reason in self.reasons)
        return Words(
            zh=f"回访评分 {self.mark} 分" + (f"：{zh}" if zh else ""),
            en=f"marked {self.mark} of {HIGHEST}" + (f": {en}" if en else ""),
        )


def same_answer(held: str | None, answer: Answered, answered_at: Any) -> bool:
    """Tell whether an answer is the one that is held already; False when none is held.

    Raises AnsweredAlready for another one.
    """
    if held is None:
        return False
    if held != answer.content():
        raise AnsweredAlready(answered_at=answered_at)
    return True


# --- the link -------------------------------------------------------------------------------------

# 192 bits, so that nobody finds a survey by guessing.
_TOKEN_BYTES = 24
TOKEN_LENGTH = 32


def new_token() -> str:
    """Make the secret part of a survey's link, in letters that need no escapes."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def token_hash(token: str) -> bytes:
    """Hash a token for storing and finding (SHA-256); it is too long to be guessed from that."""
    return hashlib.sha256(token.encode()).digest()


def average(marks: int, answered: int, *, least: int) -> float | None:
    """Work out an average mark from the sum of marks; None under `least` answers.

    A few answers say more of the customers who answered than of the technician.
    """
    return round(marks / answered, 2) if answered and answered >= least else None


def share(part: int, whole: int, *, least: int) -> float | None:
    """Work out a share between 0 and 1; None where the whole is under `least`."""
    return round(part / whole, 4) if whole and whole >= least else None


def reasons_of(words: Sequence[str]) -> tuple[Reason, ...]:
    """Read stored reasons back."""
    return tuple(Reason(word) for word in words)
