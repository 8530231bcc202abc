"""What can be done with suggestions, a file for each: decide what to offer, take down answers."""

from app.suggestions.service.answering import Said, take_down
from app.suggestions.service.contacts import release_slot
from app.suggestions.service.deciding import Decided, Door, offer_of, suggest

__all__ = ["Decided", "Door", "Said", "offer_of", "release_slot", "suggest", "take_down"]
