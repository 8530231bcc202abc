"""The steps that a phone can take offline, each named as its doorway is, and those it cannot."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.core.errors import Conflict
from app.core.i18n import Words


@dataclass(frozen=True)
class Step:
    """A doorway that an action goes through later.

    One that comes when its order is somebody else's is judged where it says so by `too_late`: the
    reason under which the order's history tells of it. Without `keeps_payload` it is written down
    that it was done, and not what was sent.
    """

    too_late: str | None = None
    keeps_payload: bool = True


_PLAIN = Step()

# A new step is one line here; that none is forgotten is a test's to see.
STEPS: Mapping[str, Step] = {
    "visits_acknowledge": _PLAIN,
    "visits_decline": _PLAIN,
    "visits_set_out": _PLAIN,
    "visits_check_in": _PLAIN,
    "visits_suspend": _PLAIN,
    "visits_resume": _PLAIN,
    "visits_restored": _PLAIN,
    "visits_keep_progress": _PLAIN,
    "visits_complete": Step(too_late="completed_too_late"),
    "visits_hand_back": _PLAIN,
    "visits_hand_back_order": _PLAIN,
    "visits_transfer": _PLAIN,
    "visits_ask_assistant": _PLAIN,
    "visits_join_as_assistant": _PLAIN,
    "visits_end_assistant": _PLAIN,
    "visits_terminals_scan": _PLAIN,
    "visits_terminals_undo": _PLAIN,
    "visits_activate": _PLAIN,
    "visits_activation_override": _PLAIN,
    "visits_check_acceptance_code": _PLAIN,
    "evidence_upload_create": _PLAIN,
    "evidence_upload_withdraw": _PLAIN,
    "suggestions_answer": _PLAIN,
    "suggestions_hand_over": _PLAIN,
    "visits_remind": _PLAIN,
    # Who is no customer is named in one place alone, where they are forgotten.
    "visits_note_prospect": Step(keeps_payload=False),
    # A customer has agreed to it: whoever has the order now has to know what was promised.
    "sales_put_together": Step(too_late="sale_too_late"),
    "sales_confirm": Step(too_late="sale_too_late"),
    "sales_cancel": _PLAIN,
    "sales_order_change_ask": _PLAIN,
    "customers_personal_offers": _PLAIN,
    "customers_do_not_disturb": _PLAIN,
    "customers_consent": _PLAIN,
    "former_customers_record": _PLAIN,
    "retention_cases_claim": _PLAIN,
    "retention_cases_outcome": _PLAIN,
    "special_terms_ask": _PLAIN,
    "special_terms_withdraw": _PLAIN,
    "terminals_handovers_give": _PLAIN,
    "terminals_handovers_accept": _PLAIN,
    "terminals_handovers_decline": _PLAIN,
    "terminals_handovers_withdraw": _PLAIN,
    "terminals_counts_count": _PLAIN,
    "recoveries_take": _PLAIN,
    "escalations_take_mine": _PLAIN,
    "install_reservations_release": _PLAIN,
    "my_shifts_begin": _PLAIN,
    "my_shifts_end": _PLAIN,
    "my_shifts_consent": _PLAIN,
    # What may not be kept of positions is written nowhere, so neither is the batch.
    "my_positions_report": Step(keeps_payload=False),
}


def step_of(kind: str) -> Step:
    """Give what is particular about a step; nothing is of a type that is not known."""
    return STEPS.get(kind, _PLAIN)


# What a technician does online only, and why.
ONLINE: Mapping[str, str] = {
    "visits_suggestions": "it asks for an answer; what was suggested comes with the pull",
    "visits_suggestions_ahead": "the same for a whole day",
    "visits_real_name_check": "a document's number is kept nowhere, and so in no queue of actions",
    "visits_test_line": "it asks how a line is right now, and nothing is kept",
    "visits_send_acceptance_code": "a code that is sent hours later finds nobody at the door",
    "visits_feasibility": "it asks what is free at this moment",
    "visits_reserve_install": "it takes what is free at this moment, or says that it is gone",
    "visits_book_install": "the same of another day",
    "sales_ask_consent": "sent hours later it finds nobody at the door; offline a customer signs",
    "evidence_upload_continue": "the bytes of pictures go by resumable upload",
    "my_device_register": "it says how this phone is reached now",
    "my_device_confirm_wipe": "a phone that has been emptied keeps no queue",
    "sync_push": "it is the doorway of all of these",
}


class UnknownAction(Conflict):
    slug, status = "unknown-action", 422
    title = Words(zh="未知的操作类型", en="No such action is known")
    advice = Words(
        zh="不支持操作类型 {type}：请更新应用，或在线执行。",
        en="The type {type} is not known here: update the app, or do it online.",
    )


class NotCarriedOut(Conflict):
    slug = "not-carried-out"
    title = Words(zh="操作未能执行", en="This could not be carried out")
    advice = Words(
        zh="操作已作为凭据保留（编号 {id}），请在线重试或联系班组长。",
        en="It is kept as evidence ({id}): do it online, or speak to your supervisor.",
    )
