"""The delivery of a sale in three steps: claim an attempt, exchange, settle what came of it.

An attempt is recorded and committed before its first byte leaves, so that after a crash at any
point it is known that the order may have been sent, and it is looked for before it is sent again.
No transaction is open during the exchange itself. What is to change in an order that the other
side has goes the same way.
"""

from app.ordering.service.catching_up import link, send_anew, take_in, take_over, wake
from app.ordering.service.changing import (
    ChangeUnderWay,
    NothingToChange,
    ask_for_change,
    carry_out,
    tell_of_moved_appointment,
    tell_of_no_install,
    tell_of_returned_item,
    tell_of_returned_sale,
)
from app.ordering.service.claiming import (
    Attempt,
    Doing,
    claim,
    claim_many,
    wait_for_better_times,
)
from app.ordering.service.closing import ChangeNotFailed, ask_again, close
from app.ordering.service.entering import (
    EnteredOrderNotLookedUp,
    EnteredOrderNotThere,
    EnteredOrderOfAnother,
    EnteredOrderUnclear,
    look_up_entered,
)
from app.ordering.service.exchanging import Begin, deliver, exchange, outcome_of
from app.ordering.service.hearing import Heard, HeardAs, hear, hear_many
from app.ordering.service.mending import (
    CorrectionEmpty,
    GivenUpOtherwise,
    MissingItemsUnclear,
    NotParked,
    TooLateToCorrect,
    abandon,
    correct,
    give_up,
    judge_end,
    retry,
    retry_many,
)
from app.ordering.service.settling import is_plain, settle, settle_many

__all__ = [
    "Attempt",
    "Begin",
    "ChangeNotFailed",
    "ChangeUnderWay",
    "CorrectionEmpty",
    "Doing",
    "EnteredOrderNotLookedUp",
    "EnteredOrderNotThere",
    "EnteredOrderOfAnother",
    "EnteredOrderUnclear",
    "GivenUpOtherwise",
    "Heard",
    "HeardAs",
    "MissingItemsUnclear",
    "NotParked",
    "NothingToChange",
    "TooLateToCorrect",
    "abandon",
    "ask_again",
    "ask_for_change",
    "carry_out",
    "claim",
    "claim_many",
    "close",
    "correct",
    "deliver",
    "exchange",
    "give_up",
    "hear",
    "hear_many",
    "is_plain",
    "judge_end",
    "link",
    "look_up_entered",
    "outcome_of",
    "retry",
    "retry_many",
    "send_anew",
    "settle",
    "settle_many",
    "take_in",
    "take_over",
    "tell_of_moved_appointment",
    "tell_of_no_install",
    "tell_of_returned_item",
    "tell_of_returned_sale",
    "wait_for_better_times",
    "wake",
]
