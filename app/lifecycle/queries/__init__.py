"""Reads of the lifecycle."""

from app.lifecycle.queries.cards import Version, in_force, versions
from app.lifecycle.queries.facts import facts_of
from app.lifecycle.queries.learning import HORIZON_DAYS, Labelled, labelled, latest_labelled
from app.lifecycle.queries.lists import Counted, changes, customer, history, summary, zone_of
from app.lifecycle.queries.standing import Lifecycle, of

__all__ = [
    "HORIZON_DAYS",
    "Counted",
    "Labelled",
    "Lifecycle",
    "Version",
    "changes",
    "customer",
    "facts_of",
    "history",
    "in_force",
    "labelled",
    "latest_labelled",
    "of",
    "summary",
    "versions",
    "zone_of",
]
