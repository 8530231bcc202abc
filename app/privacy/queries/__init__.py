"""Reads of what was asked, and what is done to rows by the register and the periods."""

from app.privacy.queries.asked import for_change, listed, one, those_within
from app.privacy.queries.rows import against, erased_rows, exported_rows, pictures_left
from app.privacy.queries.sweeping import BEGINNING, months_over, nights, swept

__all__ = [
    "BEGINNING",
    "against",
    "erased_rows",
    "exported_rows",
    "for_change",
    "listed",
    "months_over",
    "nights",
    "one",
    "pictures_left",
    "swept",
    "those_within",
]
