"""The delivery of a sale in three steps: claim an attempt, exchange, settle what came of it.

An attempt is recorded and committed before its first byte leaves, so that after a crash at any
point it is known that the order may have been sent, and it is looked for before it is sent again.
No transaction is open during the exchange itself. What is to change in an order that the other
side has goes the same way.
"""

from app.ordering.service.changing import (
    ChangeUnderWay,
    NothingToChange,
    ask_for_change,
    carry_out,
)
from app.ordering.service.claiming import (
    Attempt,
    Doing,
    claim,
    claim_many,
    wait_for_better_times,
)
from app.ordering.service.exchanging import Begin, deliver, exchange, outcome_of
from app.ordering.service.hearing import NotParked, hear, retry
from app.ordering.service.settling import is_plain, settle, settle_many

__all__ = [
    "Attempt",
    "Begin",
    "ChangeUnderWay",
    "Doing",
    "NotParked",
    "NothingToChange",
    "ask_for_change",
    "carry_out",
    "claim",
    "claim_many",
    "deliver",
    "exchange",
    "hear",
    "is_plain",
    "outcome_of",
    "retry",
    "settle",
    "settle_many",
    "wait_for_better_times",
]
