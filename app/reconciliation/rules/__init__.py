"""Rules of reconciliation: how two sides are compared, and what may be done about a difference."""

from app.reconciliation.rules.cases import (
    LEGAL,
    RESOLUTION_WORDS,
    CaseClosed,
    CaseOutdated,
    DifferenceState,
    Explanation,
    NotConfirmed,
    NotForThisCase,
    Resolution,
    checked,
)
from app.reconciliation.rules.comparing import (
    KIND_WORDS,
    Bin,
    DifferenceKind,
    Finding,
    Heal,
    Lost,
    Ours,
    Theirs,
    Why,
    compare,
)
from app.reconciliation.rules.numbers import KEEP_AT, MARGIN_MINUTES, NIGHT_HOUR
from app.reconciliation.rules.running import (
    NoOrderingSystem,
    NotOver,
    RunState,
    days_of_night,
)

__all__ = [
    "KEEP_AT",
    "KIND_WORDS",
    "LEGAL",
    "MARGIN_MINUTES",
    "NIGHT_HOUR",
    "RESOLUTION_WORDS",
    "Bin",
    "CaseClosed",
    "CaseOutdated",
    "DifferenceKind",
    "DifferenceState",
    "Explanation",
    "Finding",
    "Heal",
    "Lost",
    "NoOrderingSystem",
    "NotConfirmed",
    "NotForThisCase",
    "NotOver",
    "Ours",
    "Resolution",
    "RunState",
    "Theirs",
    "Why",
    "checked",
    "compare",
    "days_of_night",
]
