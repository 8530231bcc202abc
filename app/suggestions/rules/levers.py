"""Who is offered what by the lever it moves, and whose business it is: what an operator sets.

An offer may be made where one of its levers is moved. A lever nobody speaks of is moved at every
stage of the lifecycle, and by the technician.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from app.catalog.rules import ON_SITE, BusinessType, OnSite, ValueLever
from app.suggestions.rules.channels import THROUGH
from app.suggestions.rules.facts import Facts, Offer
from app.suggestions.rules.leads import LeadTo


class LeverRule(NamedTuple):
    """At which stages a lever is moved (None is any), for which tiers that is the account manager's
    and for which the channel's that the customer prefers, for an org unit's subtree from a local
    day to another (the last excluded)."""

    code: str
    lever: ValueLever
    org_path: str
    valid_from: date
    valid_to: date | None
    stages: Sequence[str] | None
    manager_tiers: Sequence[str]
    preferred_tiers: Sequence[str] = ()

    def runs(self, org_path: str, day: date) -> bool:
        """Tell whether it counts for an org unit on a local day."""
        return (
            org_path.startswith(self.org_path)
            and self.valid_from <= day
            and (self.valid_to is None or day < self.valid_to)
        )


Levers = Mapping[ValueLever, LeverRule]


def levers_in_force(rules: Iterable[LeverRule], org_path: str, day: date) -> Levers:
    """Find the rule of each lever for an org unit on a day: the closest unit's, then the latest."""
    running = (one for one in rules if one.runs(org_path, day))
    ordered = sorted(running, key=lambda one: (len(one.org_path), one.valid_from, one.code))
    return {one.lever: one for one in ordered}


def stages_of(moves: Iterable[str], levers: Levers) -> frozenset[str] | None:
    """List the stages at which one of an offer's levers is moved; None is any."""
    found = [
        None if (rule := levers.get(ValueLever(lever))) is None else rule.stages for lever in moves
    ]
    if not found or None in found:
        return None
    return frozenset(stage for stages in found for stage in stages or ())


def manager_tiers_of(moves: Iterable[str], levers: Levers) -> frozenset[str]:
    """List the tiers for which an offer is the account manager's by one of its levers."""
    ruled = (levers.get(ValueLever(lever)) for lever in moves)
    return frozenset(tier for rule in ruled if rule is not None for tier in rule.manager_tiers)


def preferred_tiers_of(moves: Sequence[str], levers: Levers) -> frozenset[str]:
    """List the tiers for which all levers of an offer leave it to the channel they prefer.

    What is also done for another reason, such as to keep a customer, does not wait for a channel.
    """
    found = [
        frozenset(() if (rule := levers.get(ValueLever(lever))) is None else rule.preferred_tiers)
        for lever in moves
    ]
    return frozenset.intersection(*found) if found else frozenset()


def left_to(facts: Facts, offer: Offer) -> LeadTo | None:
    """Say to whom an offer is rather left than pitched at the door: whoever speaks on the channel
    that a customer of this tier prefers, if that kind of business may be handed to them.

    Nobody is marked out by what is known of them who wants no offers of their own.
    """
    if facts.prefers is None or facts.generic or facts.tier not in offer.preferred_tiers:
        return None
    to = LeadTo(facts.prefers)
    return to if to in THROUGH[offer.business_type].handed_to else None


def on_site(facts: Facts, offer: Offer) -> OnSite:
    """Say what a technician may do with an offer at the door of a customer.

    What is the account manager's for their tier is sold there once special terms are approved.
    Where the tier is not known, what holds for everybody holds.
    """
    return at_the_door(
        offer.business_type,
        managers=facts.tier in offer.manager_tiers,
        agreed=offer.code in facts.agreed,
    )


def at_the_door(business_type: BusinessType, *, managers: bool, agreed: bool) -> OnSite:
    """Say the same of a kind of business: whether it is the account manager's for the customer's
    tier, and whether special terms for it are approved."""
    return OnSite.LEAD_ONLY if managers and not agreed else ON_SITE[business_type]
