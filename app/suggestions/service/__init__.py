"""What can be done with suggestions, a file for each: decide what to offer, take down answers, hold
the contact slot, see to leads, set gates, levers and campaigns, keep the log's months."""

from app.suggestions.queries import Own
from app.suggestions.rules.ahead import Door
from app.suggestions.rules.answering import Said
from app.suggestions.service.answering import hand_over, take_down
from app.suggestions.service.asking import Line, MayHave, for_the_manager, may_have
from app.suggestions.service.choosing import offer_of
from app.suggestions.service.contacts import (
    check,
    confirm,
    held_back,
    release,
    release_slot,
    reserve,
    reserved,
    run_out,
    standing_of,
)
from app.suggestions.service.deciding import Decided, suggest, suggest_ahead
from app.suggestions.service.explaining import Explained, explain
from app.suggestions.service.guarding import guard_now
from app.suggestions.service.leads import move_lead
from app.suggestions.service.months import months_kept, prepare_months
from app.suggestions.service.prospects import forget_prospect, note_prospect, shown_prospect
from app.suggestions.service.reminding import take_down_reminder
from app.suggestions.service.switching import (
    LeverWanted,
    Switch,
    Wanted,
    begin_campaign,
    end_campaign,
    end_lever,
    set_lever,
    switch_gate,
)

__all__ = [
    "Decided",
    "Door",
    "Explained",
    "LeverWanted",
    "Line",
    "MayHave",
    "Own",
    "Said",
    "Switch",
    "Wanted",
    "begin_campaign",
    "check",
    "confirm",
    "end_campaign",
    "end_lever",
    "explain",
    "for_the_manager",
    "forget_prospect",
    "guard_now",
    "hand_over",
    "held_back",
    "may_have",
    "months_kept",
    "move_lead",
    "note_prospect",
    "offer_of",
    "prepare_months",
    "release",
    "release_slot",
    "reserve",
    "reserved",
    "run_out",
    "set_lever",
    "shown_prospect",
    "standing_of",
    "suggest",
    "suggest_ahead",
    "switch_gate",
    "take_down",
    "take_down_reminder",
]
