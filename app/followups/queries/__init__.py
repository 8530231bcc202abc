"""Reads of follow-ups, and the row locks under which they change."""

from app.followups.queries.asking import (
    Completed,
    ToSend,
    asked_lately,
    by_token,
    completed,
    for_change,
    forget_rules,
    place_of,
    rules_in_force,
    survey,
    to_send,
)
from app.followups.queries.figures import Figures, figures
from app.followups.queries.lists import calls, page, phone_of

__all__ = [
    "Completed",
    "Figures",
    "ToSend",
    "asked_lately",
    "by_token",
    "calls",
    "completed",
    "figures",
    "for_change",
    "forget_rules",
    "page",
    "phone_of",
    "place_of",
    "rules_in_force",
    "survey",
    "to_send",
]
