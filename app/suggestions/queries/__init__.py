"""Reads of suggestions: what a decision rests on, what was answered, who was contacted."""

from app.suggestions.queries.answering import own_suggestion
from app.suggestions.queries.choosing import (
    Standing,
    campaigns,
    campaigns_page,
    changed_winners,
    forget,
    gates,
    logged,
    models_at_work,
)
from app.suggestions.queries.contacts import lock_customer
from app.suggestions.queries.deciding import (
    SAME_FAULT,
    answers_of,
    candidates_of,
    customer_facts,
    newest_decision,
    write,
)

__all__ = [
    "SAME_FAULT",
    "Standing",
    "answers_of",
    "campaigns",
    "campaigns_page",
    "candidates_of",
    "changed_winners",
    "customer_facts",
    "forget",
    "gates",
    "lock_customer",
    "logged",
    "models_at_work",
    "newest_decision",
    "own_suggestion",
    "write",
]
