"""What is a technician's own, table by table: all of it, or those of some ids.

Each statement says itself what belongs to whom, so that a phone that comes with a cursor is told
the very same as one that begins anew. A list or an object within a row is JSON in text, since a
phone's tables know numbers, texts and truths.
"""

from app.sync.queries.rows.kept import (
    actions,
    days,
    grids,
    handovers,
    shifts,
    terminals,
)
from app.sync.queries.rows.met import customers, hanging_on, photos, visits, work_orders
from app.sync.queries.rows.offered import (
    nothing_to_offer,
    offerings,
    sales,
    suggested_before,
    suggestions,
)
from app.sync.queries.rows.whose import Table, Whose

__all__ = [
    "Table",
    "Whose",
    "actions",
    "customers",
    "days",
    "grids",
    "handovers",
    "hanging_on",
    "nothing_to_offer",
    "offerings",
    "photos",
    "sales",
    "shifts",
    "suggested_before",
    "suggestions",
    "terminals",
    "visits",
    "work_orders",
]
