"""The words of suggestions: answers, gates, reasons to hold back, and what may be refused.

`facts` is what a decision sees, `score` and `gates` decide about one offering, `ranking` about
all; `limits` holds the numbers and `words` what is said.
"""

from datetime import date, datetime
from enum import StrEnum

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words


class AnswerKind(StrEnum):
    """What became of a suggestion."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    LATER = "later"
    NOT_PITCHED = "not_pitched"


class DeclineReason(StrEnum):
    """Why a customer said no."""

    PRICE = "price"
    HAS_IT_ELSEWHERE = "has_it_elsewhere"
    NO_NEED = "no_need"
    NOT_NOW = "not_now"
    DECISION_MAKER_ABSENT = "decision_maker_absent"
    DISSATISFIED = "dissatisfied"


class Gate(StrEnum):
    """The four gates, in the order they are passed."""

    ELIGIBLE = "eligible"
    ALLOWED = "allowed"
    SUITABLE = "suitable"
    CONTACT_POLICY = "contact_policy"


class HeldBack(StrEnum):
    """Why an offer is not made."""

    ALREADY_HELD = "already_held"
    REQUIRES_OTHER = "requires_other"
    ORDER_PENDING = "order_pending"
    JUST_ACCEPTED = "just_accepted"
    LINE_UNKNOWN = "line_unknown"
    LINE_TOO_SLOW = "line_too_slow"
    NO_FREE_PORT = "no_free_port"
    NOT_RESTORED = "not_restored"
    DO_NOT_DISTURB = "do_not_disturb"
    REPEAT_FAULT = "repeat_fault"
    COMPLAINT_OPEN = "complaint_open"
    COMPLAINT_RECENT = "complaint_recent"
    ARREARS = "arrears"
    BLACKLISTED = "blacklisted"
    OUTAGE = "outage"
    NEEDS_APPROVAL = "needs_approval"
    OFFERED_ELSEWHERE = "offered_elsewhere"
    NOT_FASTER = "not_faster"
    NO_RENEWAL_DUE = "no_renewal_due"
    NO_NEED = "no_need"
    NOT_WORTH_A_CONTACT = "not_worth_a_contact"
    PITCHED_IN_THIS_VISIT = "pitched_in_this_visit"
    CONTACTS_MONTH = "contacts_month"
    CONTACTS_YEAR = "contacts_year"
    CONTACT_GAP = "contact_gap"
    SERVED_TODAY = "served_today"
    SLOT_TAKEN = "slot_taken"
    REFUSED_OFTEN = "refused_often"
    DECLINED_RECENTLY = "declined_recently"
    DECLINED_GROUP = "declined_group"
    ASKED_FOR_LATER = "asked_for_later"
    # Not gates: it passed them all, and others fit better, or nothing is offered to this customer.
    OTHERS_FIT_BETTER = "others_fit_better"
    NOTHING_TODAY = "nothing_today"
    HOLDOUT = "holdout"


class Group(StrEnum):
    """By what a customer's offers are chosen this month, so that each way can be measured.

    `holdout` are offered nothing, `uniform` any offer that is allowed, alike, `policy` the best.
    """

    HOLDOUT = "holdout"
    UNIFORM = "uniform"
    POLICY = "policy"


class Coordination(StrEnum):
    """How an offer at the door goes together with the other channels.

    `complement`: another channel finishes what the visit cannot. `enhance`: the visit accompanies
    what another sells. `substitute`: a cheaper channel could do the same.
    """

    COMPLEMENT = "complement"
    ENHANCE = "enhance"
    SUBSTITUTE = "substitute"


class Mode(StrEnum):
    """Whether what is known of the customer may rank their offers; the gates hold in both."""

    PERSONAL = "personal"
    GENERIC = "generic"


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


def complete_answer(
    answer: AnswerKind, reason: DeclineReason | None, later_on: date | None, at: datetime
) -> None:
    """Check that an answer says what its kind needs, and nothing that does not belong to it.

    A "declined" has a coded reason, a "later" a day after that of `at` (UTC). Raises Invalid.
    """
    errors = []
    if (reason is not None) != (answer is AnswerKind.DECLINED):
        errors.append({"field": "reason", "message": "belongs to `declined`, which needs it"})
    if (later_on is not None) != (answer is AnswerKind.LATER):
        errors.append({"field": "later_on", "message": "belongs to `later`, which needs it"})
    elif later_on is not None and later_on <= at.date():
        errors.append({"field": "later_on", "message": "must be a day to come"})
    if errors:
        raise Invalid(errors=errors)
