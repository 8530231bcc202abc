"""What an answer has to say, when it was said, and the guards that still count when it arrives."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.suggestions.rules import AnswerKind, DeclineReason, HeldBack

# Whoever answers so has been spoken to; the others have not.
PITCHED = {
    AnswerKind.ACCEPTED: True,
    AnswerKind.DECLINED: True,
    AnswerKind.LATER: True,
    AnswerKind.HANDED_OVER: True,
    AnswerKind.NOT_PITCHED: False,
    AnswerKind.ABSENT: False,
}

# What was true when a sale is opened wins over what the customer said before: the names of the
# facts, in the order in which one of them is told.
GUARDS: Mapping[str, HeldBack] = {
    "already_held": HeldBack.ALREADY_HELD,
    "order_pending": HeldBack.ORDER_PENDING,
    "just_accepted": HeldBack.JUST_ACCEPTED,
    "not_restored": HeldBack.NOT_RESTORED,
    "do_not_disturb": HeldBack.DO_NOT_DISTURB,
    "repeat_fault": HeldBack.REPEAT_FAULT,
    "complaint_open": HeldBack.COMPLAINT_OPEN,
    "complaint_recent": HeldBack.COMPLAINT_RECENT,
    "arrears": HeldBack.ARREARS,
    "blacklisted": HeldBack.BLACKLISTED,
    "outage": HeldBack.OUTAGE,
    "said_too_late": HeldBack.SAID_TOO_LATE,
}

# Those of them that are asked as the gates ask them. Limits of contacts are none: the contact took
# place, and what is not sold does not undo it.
MEANWHILE = frozenset(
    {
        HeldBack.ALREADY_HELD,
        HeldBack.ORDER_PENDING,
        HeldBack.JUST_ACCEPTED,
        HeldBack.REPEAT_FAULT,
        HeldBack.COMPLAINT_RECENT,
        HeldBack.OUTAGE,
    }
)


@dataclass(frozen=True)
class Competitor:
    """Who else serves a customer, with what, at what price in fen a month, and until when."""

    who: str
    offer: str | None = None
    monthly_price_fen: int | None = None
    until: date | None = None


@dataclass(frozen=True)
class Said:
    """What a phone reports of a suggestion; the phone makes the id."""

    id: UUID
    answer: AnswerKind | None
    device_at: datetime
    pitched: bool | None = None
    reason: DeclineReason | None = None
    later_on: date | None = None
    competitor: Competitor | None = None


class NotShown(Conflict):
    slug = "suggestion-not-shown"
    title = Words(zh="该推荐未展示", en="This suggestion was not shown")
    advice = Words(
        zh="{offering} 当时未推荐（原因：{held_back}），不能记录客户答复。",
        en="{offering} was held back ({held_back}), so there is no answer to record.",
    )


def said_at(device_at: datetime, shown_at: datetime, now: datetime) -> datetime:
    """Say when a customer answered, as far as a phone's clock can be believed.

    An answer cannot be older than the decision it answers nor lie in the future; within that the
    phone knows better, for it may have been offline for days.
    """
    return min(max(device_at, shown_at), now)


def too_late(at: datetime, valid_until: datetime | None) -> HeldBack | None:
    """Say what stands against an acceptance that was said at a moment, however late it arrives: its
    offer was not to be shown from `valid_until` on; None is of before there was any such time."""
    return None if valid_until is None or at < valid_until else HeldBack.SAID_TOO_LATE


def was_pitched(answer: AnswerKind | None, pitched: bool | None) -> bool:
    """Tell whether the technician spoke of it, which most answers say by themselves.

    Without an answer it must be said, and be so: there would be nothing to report. Raises Invalid.
    """
    follows = True if answer is None else PITCHED[answer]
    if (answer is None and pitched is None) or (pitched is not None and pitched != follows):
        message = "must be true without an answer" if answer is None else f"does not fit `{answer}`"
        raise Invalid(errors=[{"field": "pitched", "message": message}])
    return follows


def complete_answer(
    answer: AnswerKind | None, reason: DeclineReason | None, later_on: date | None, today: date
) -> None:
    """Check that an answer says what its kind needs, and nothing that does not belong to it.

    A "declined" has a coded reason, a "later" a day after `today`, the local day on which it was
    said; who declined because it is not the time may name a day, too. Raises Invalid.
    """
    errors = []
    if (reason is not None) != (answer is AnswerKind.DECLINED):
        errors.append({"field": "reason", "message": "belongs to `declined`, which needs it"})
    may_name = answer is AnswerKind.LATER or reason is DeclineReason.NOT_NOW
    if answer is AnswerKind.LATER and later_on is None:
        errors.append({"field": "later_on", "message": "is needed by `later`"})
    elif later_on is not None and not may_name:
        errors.append({"field": "later_on", "message": "belongs to `later` and to `not_now`"})
    elif later_on is not None and later_on <= today:
        errors.append({"field": "later_on", "message": "must be a day to come"})
    if answer is AnswerKind.HANDED_OVER:
        errors.append({"field": "answer", "message": "is said by handing the suggestion over"})
    if errors:
        raise Invalid(errors=errors)


# What keeps somebody from buying on credit, also what they ask for by themselves, and from nothing
# that is paid for beforehand.
ON_CREDIT = frozenset({HeldBack.ARREARS, HeldBack.BLACKLISTED})


def guard_in(facts: Mapping[str, Any], *, suggested: bool, prepaid: bool) -> HeldBack | None:
    """Name the first guard that is true of a customer and counts, by the names in `GUARDS`; what
    is not told is not true."""
    for name, code in GUARDS.items():
        counts = not prepaid if code in ON_CREDIT else suggested
        if facts.get(name) and counts:
            return code
    return None
