"""Reads of suggestions: what a decision rests on, what was answered, who was contacted."""

from app.suggestions.queries.answering import own_suggestion
from app.suggestions.queries.contacts import lock_customer
from app.suggestions.queries.deciding import (
    SAME_FAULT,
    answers_of,
    candidates_of,
    customer_facts,
    newest_decision,
)

__all__ = [
    "SAME_FAULT",
    "answers_of",
    "candidates_of",
    "customer_facts",
    "lock_customer",
    "newest_decision",
    "own_suggestion",
]
