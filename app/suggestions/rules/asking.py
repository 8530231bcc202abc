"""Which gates stand in the way of what a customer asks for by themselves. Pure.

What guards customers from being pestered, and what says that an offer is not worth a contact, does
not keep anybody from buying. What cannot be had, and what must not be sold, does.
"""

from collections.abc import Set

from app.suggestions.rules import HeldBack
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.gates import HOLDS, NONE_OFF, Off
from app.suggestions.rules.limits import Limits

APPLY: Set[HeldBack] = frozenset(
    {
        HeldBack.ALREADY_HELD,
        HeldBack.REQUIRES_OTHER,
        HeldBack.ORDER_PENDING,
        HeldBack.LINE_UNKNOWN,
        HeldBack.LINE_TOO_SLOW,
        HeldBack.NO_FREE_PORT,
        HeldBack.NOT_RESTORED,
        HeldBack.ARREARS,
        HeldBack.BLACKLISTED,
        HeldBack.OUTAGE,
        HeldBack.NEEDS_APPROVAL,
    }
)


def stand_against(
    facts: Facts,
    offer: Offer,
    limits: Limits,
    off: Off = NONE_OFF,
    among: Set[HeldBack] = APPLY,
) -> list[HeldBack]:
    """List all that keeps an offer from being sold, of those asked about, in the gates' order."""
    return [
        hold.code
        for hold in HOLDS
        if hold.code in among and hold.code not in off and hold.holds(facts, offer, limits)
    ]
