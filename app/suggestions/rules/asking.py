"""Which gates stand in the way of what a customer asks for by themselves. Pure.

What guards customers from being pestered, and what says that an offer is not worth a contact, does
not keep anybody from buying. What cannot be had, and what must not be sold, does.
"""

from collections.abc import Iterable, Set
from dataclasses import replace

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


def beside(facts: Facts, offer: Offer, wanted: Iterable[Offer]) -> Facts:
    """See what is known as an offer finds it that is wanted together with others: what those bring
    is there, as far as it can be."""
    others = [one for one in _in_turn(facts, wanted) if one.code != offer.code]
    return replace(
        facts,
        held=facts.held.union(*({one.code, one.category} for one in others)),
        terminals=facts.terminals.union(one.terminal_kind for one in others if one.terminal_kind),
    )


def _in_turn(facts: Facts, wanted: Iterable[Offer]) -> list[Offer]:
    """List what can be had one after the other: two that only require each other cannot."""
    there, found, waiting = {*facts.held, *facts.brought_here}, list[Offer](), list(wanted)
    while ready := [one for one in waiting if one.requires <= there]:
        found += ready
        waiting = [one for one in waiting if one not in ready]
        there.update(*({one.code, one.category} for one in ready))
    return found
