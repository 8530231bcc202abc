"""What can be done with suggestions, a file for each: decide what to offer, take down answers, set
gates and campaigns, keep the log's months."""

from app.suggestions.service.answering import Said, take_down
from app.suggestions.service.contacts import release_slot
from app.suggestions.service.deciding import Decided, Door, offer_of, suggest
from app.suggestions.service.months import drop_month, months_kept, prepare_months
from app.suggestions.service.switching import (
    Switch,
    Wanted,
    begin_campaign,
    end_campaign,
    switch_gate,
)

__all__ = [
    "Decided",
    "Door",
    "Said",
    "Switch",
    "Wanted",
    "begin_campaign",
    "drop_month",
    "end_campaign",
    "months_kept",
    "offer_of",
    "prepare_months",
    "release_slot",
    "suggest",
    "switch_gate",
    "take_down",
]
