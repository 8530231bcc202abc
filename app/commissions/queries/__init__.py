"""Reads of commissions: what is new, what is due, what a month comes to, what is flagged."""

from app.commissions.queries.flags import (
    flag_for_change,
    flags_page,
    returns_by_technician,
)
from app.commissions.queries.reckoning import (
    Credited,
    New,
    Owed,
    Share,
    forget_due,
    lessen_due,
    new_events,
    not_countered,
    read_up_to,
    shares,
    standing,
    take_due,
    worth_of,
)
from app.commissions.queries.statements import (
    StatementLine,
    lines_of,
    sums_of_units,
    technician_within,
    to_come,
)

__all__ = [
    "Credited",
    "New",
    "Owed",
    "Share",
    "StatementLine",
    "flag_for_change",
    "flags_page",
    "forget_due",
    "lessen_due",
    "lines_of",
    "new_events",
    "not_countered",
    "read_up_to",
    "returns_by_technician",
    "shares",
    "standing",
    "sums_of_units",
    "take_due",
    "technician_within",
    "to_come",
    "worth_of",
]
