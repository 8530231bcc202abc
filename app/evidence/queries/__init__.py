"""Reads of evidence: to take uploads in, to keep pictures once, and to show them."""

from app.evidence.queries.keeping import (
    blob_for_change,
    blob_made,
    expiring,
    forget,
    still_used,
    used_elsewhere,
)
from app.evidence.queries.showing import LISTED, Counted, counted, of_order, one, outstanding
from app.evidence.queries.uploads import (
    Piece,
    advance,
    for_change,
    is_of_nobody,
    known_blob,
    number_of,
    own,
    pieces,
    set_out_at,
    visit_of,
    was_theirs,
    works_on,
)

__all__ = [
    "LISTED",
    "Counted",
    "Piece",
    "advance",
    "blob_for_change",
    "blob_made",
    "counted",
    "expiring",
    "for_change",
    "forget",
    "is_of_nobody",
    "known_blob",
    "number_of",
    "of_order",
    "one",
    "outstanding",
    "own",
    "pieces",
    "set_out_at",
    "still_used",
    "used_elsewhere",
    "visit_of",
    "was_theirs",
    "works_on",
]
