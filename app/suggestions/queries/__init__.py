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
    contacts_page,
    customer_named,
    ledger_of,
    lock_customer,
    reservation,
    slot_holder,
    unit_of,
)
from app.suggestions.queries.deciding import (
    SAME_FAULT,
    answers_of,
    candidates_of,
    customer_facts,
    newest_decision,
    write,
)
from app.suggestions.queries.explaining import model_named, seen_suggestion
from app.suggestions.queries.outcomes import Outcome, outcomes_between, settle

__all__ = [
    "SAME_FAULT",
    "Outcome",
    "Standing",
    "answers_of",
    "campaigns",
    "campaigns_page",
    "candidates_of",
    "changed_winners",
    "contacts_page",
    "customer_facts",
    "customer_named",
    "forget",
    "gates",
    "guard_now",
    "lead_for_change",
    "leads_page",
    "ledger_of",
    "lock_customer",
    "logged",
    "model_named",
    "models_at_work",
    "newest_decision",
    "notes_page",
    "open_lead",
    "outcomes_between",
    "own_suggestion",
    "reservation",
    "seen_suggestion",
    "settle",
    "slot_holder",
    "unit_of",
    "write",
]
