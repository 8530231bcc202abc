"""Reads of customers: found by number, shown masked, and the card for the door."""

from app.customers.queries.card import Card, Service, card
from app.customers.queries.found import (
    addresses_of,
    consents_said,
    find,
    for_change,
    has_line,
    one,
    served_at,
    subscriptions_of,
)

__all__ = [
    "Card",
    "Service",
    "addresses_of",
    "card",
    "consents_said",
    "find",
    "for_change",
    "has_line",
    "one",
    "served_at",
    "subscriptions_of",
]
