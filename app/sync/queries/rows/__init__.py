"""What is a technician's own, table by table: all of it, or those of some ids.

Each statement says itself what belongs to whom, so that a phone that comes with a cursor is told
the very same as one that begins anew. A list or an object within a row is JSON in text, since a
phone's tables know numbers, texts and truths.
"""

from app.sync.queries.rows.kept import (
    actions,
    days,
    done_too_late,
    grids,
    handovers,
    shifts,
    terminals,
)
from app.sync.queries.rows.met import customers, hanging_on, orders, photos, visits
from app.sync.queries.rows.offered import (
    nothing_to_offer,
    offerings,
    sales,
    suggested_before,
    suggestions,
)
from app.sync.queries.rows.whose import Whose

__all__ = [
    "Whose",
    "actions",
    "customers",
    "days",
    "done_too_late",
    "grids",
    "handovers",
    "hanging_on",
    "nothing_to_offer",
    "offerings",
    "orders",
    "photos",
    "sales",
    "shifts",
    "suggested_before",
    "suggestions",
    "terminals",
    "visits",
]
