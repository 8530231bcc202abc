"""Tables of suggestions: decisions, what became of them, and who may speak to a customer."""

from app.suggestions.models.answering import (
    CompetitorNote,
    SalesLead,
    SuggestionAnswer,
    SuggestionOutcome,
)
from app.suggestions.models.contacts import ContactReservation, ContactSlot
from app.suggestions.models.deciding import (
    PolicyModel,
    Suggestion,
    SuggestionCampaign,
    SuggestionDecision,
    SuggestionGate,
    SuggestionLever,
)
from app.suggestions.models.prospects import Prospect

__all__ = [
    "CompetitorNote",
    "ContactReservation",
    "ContactSlot",
    "PolicyModel",
    "Prospect",
    "SalesLead",
    "Suggestion",
    "SuggestionAnswer",
    "SuggestionCampaign",
    "SuggestionDecision",
    "SuggestionGate",
    "SuggestionLever",
    "SuggestionOutcome",
]
