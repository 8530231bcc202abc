"""The words of retention. `toolkits` says what may be offered, `terms` how special terms come
about, `warnings` and `cases` who is taken care of, `leavers` who has left; `levers` and `effects`
what came of it.
"""

from app.retention.rules.cases import Arm, CaseOutcome, CaseState, Cause, Handling, StayReason
from app.retention.rules.leavers import LeaveReason, LeaverSource
from app.retention.rules.terms import TermsState
from app.retention.rules.toolkits import Hand, ToolkitKind

__all__ = [
    "Arm",
    "CaseOutcome",
    "CaseState",
    "Cause",
    "Hand",
    "Handling",
    "LeaveReason",
    "LeaverSource",
    "StayReason",
    "TermsState",
    "ToolkitKind",
]
