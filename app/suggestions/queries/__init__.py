"""Reads of suggestions: what a decision rests on, what was answered, who was contacted."""

from app.suggestions.queries.answering import (
    guard_now,
    lead_for_change,
    leads_page,
    notes_page,
    open_lead,
    own_suggestion,
)
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
from app.suggestions.queries.contacts import (
    NOTHING_OWN,
    Own,
    contacts_page,
    customer_named,
    customer_shown,
    homes_of,
    ledger_of,
    lock_customer,
    lock_customers,
    reservation,
    slot_holder,
    unit_of,
)
from app.suggestions.queries.deciding import (
    Known,
    candidates_of,
    customer_facts,
    newest_decisions,
    write,
)
from app.suggestions.queries.explaining import model_named, seen_suggestion
from app.suggestions.queries.hearing import Heard, answers_of
from app.suggestions.queries.outcomes import settle

__all__ = [
    "NOTHING_OWN",
    "Heard",
    "Known",
    "Own",
    "Standing",
    "answers_of",
    "campaigns",
    "campaigns_page",
    "candidates_of",
    "changed_winners",
    "contacts_page",
    "customer_facts",
    "customer_named",
    "customer_shown",
    "forget",
    "gates",
    "guard_now",
    "homes_of",
    "lead_for_change",
    "leads_page",
    "ledger_of",
    "lock_customer",
    "lock_customers",
    "logged",
    "model_named",
    "models_at_work",
    "newest_decisions",
    "notes_page",
    "open_lead",
    "own_suggestion",
    "reservation",
    "seen_suggestion",
    "settle",
    "slot_holder",
    "unit_of",
    "write",
]
