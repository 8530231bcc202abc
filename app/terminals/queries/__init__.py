"""Reads of terminals: where they are, and the chains that brought them there."""

from app.terminals.queries.custody import (
    Held,
    HistoryRow,
    Made,
    Moved,
    Names,
    chain_of,
    for_change,
    history,
    made_by,
    moved_for,
    names_of,
    standing_at,
)
from app.terminals.queries.due_back import Owed, asked_of, owed_by, owed_for_request
from app.terminals.queries.stock import at_customer, in_hands, in_van, page

__all__ = [
    "Held",
    "HistoryRow",
    "Made",
    "Moved",
    "Names",
    "Owed",
    "asked_of",
    "at_customer",
    "chain_of",
    "for_change",
    "history",
    "in_hands",
    "in_van",
    "made_by",
    "moved_for",
    "names_of",
    "owed_by",
    "owed_for_request",
    "page",
    "standing_at",
]
