"""The words of suggestions: answers, gates, and reasons to hold back.

`facts` is what a decision sees, `score` and `gates` decide about one offering, `ranking` about
all; `limits` holds the numbers and `words` what is said. `silence` is what answers on all channels
forbid, `contacts` and `channels` are the policy of the channels beside the door. `answering` and
`leads` are what comes after.
"""

from enum import StrEnum


class AnswerKind(StrEnum):
    """What became of a suggestion."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    LATER = "later"
    HANDED_OVER = "handed_over"
    NOT_PITCHED = "not_pitched"
    ABSENT = "absent"


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
    NO_CONSENT = "no_consent"
    REPEAT_FAULT = "repeat_fault"
    COMPLAINT_OPEN = "complaint_open"
    COMPLAINT_RECENT = "complaint_recent"
    DISSATISFIED = "dissatisfied"
    ARREARS = "arrears"
    BLACKLISTED = "blacklisted"
    WIN_BACK_REFUSED = "win_back_refused"
    NOT_INVITED = "not_invited"
    OUTAGE = "outage"
    NEEDS_APPROVAL = "needs_approval"
    OFFERED_ELSEWHERE = "offered_elsewhere"
    OTHER_STAGE = "other_stage"
    NOT_FASTER = "not_faster"
    NO_RENEWAL_DUE = "no_renewal_due"
    LINE_FALLS_SHORT = "line_falls_short"
    NO_NEED = "no_need"
    USES_MORE = "uses_more"
    FEW_CALLS = "few_calls"
    NO_DEBT = "no_debt"
    NOT_WORTH_A_CONTACT = "not_worth_a_contact"
    PITCHED_IN_THIS_VISIT = "pitched_in_this_visit"
    SHOWN_IN_THIS_VISIT = "shown_in_this_visit"
    CONTACTS_MONTH = "contacts_month"
    CONTACTS_YEAR = "contacts_year"
    CONTACT_GAP = "contact_gap"
    SERVED_TODAY = "served_today"
    SLOT_TAKEN = "slot_taken"
    REFUSED_OFTEN = "refused_often"
    DECLINED_RECENTLY = "declined_recently"
    DECLINED_GROUP = "declined_group"
    ASKED_FOR_LATER = "asked_for_later"
    # Not a gate of the door: which channels a kind of business goes through.
    OTHER_CHANNEL = "other_channel"
    # Not gates: it passed them all, and others fit better, by the score that ranks nothing but a
    # campaign would make it worth a contact, or nothing is offered to this customer.
    OTHERS_FIT_BETTER = "others_fit_better"
    CAMPAIGN_ALONE = "campaign_alone"
    NOTHING_TODAY = "nothing_today"
    HOLDOUT = "holdout"
    # Not a gate either: it was accepted when it was not to be shown any longer.
    SAID_TOO_LATE = "said_too_late"


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
