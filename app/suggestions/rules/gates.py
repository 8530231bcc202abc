"""The four gates a candidate passes in a fixed order, and each reason to hold it back.

Eligible (it fits what the customer has), allowed (nothing forbids selling now), suitable (there is
a need, and it is worth a contact), contact policy (the customer is not pestered). The first hold
that applies is the answer to "why not"; a hold outranks every score.
"""

from collections.abc import Callable, Set
from datetime import date
from typing import NamedTuple

from app.catalog.rules import BusinessType, ValueLever
from app.suggestions.rules import Gate, HeldBack
from app.suggestions.rules.facts import INVITED, REPAIR, Facts, Offer
from app.suggestions.rules.limits import Limits
from app.suggestions.rules.score import scored, short_of_wifi
from app.suggestions.rules.silence import SILENCES, stopped_until, unhappy_until


class Hold(NamedTuple):
    """One reason to hold an offer back, and the gate it belongs to."""

    gate: Gate
    code: HeldBack
    applies: Callable[[Facts, Offer, Limits], bool]

    def holds(self, facts: Facts, offer: Offer, limits: Limits) -> bool:
        """Tell whether it holds an offer back."""
        return self.applies(facts, offer, limits)


class WholeHold(NamedTuple):
    """One reason to offer this customer nothing at all, and the gate it belongs to.

    `spares` tells of an offer that is let through all the same, and `alone` of one that is held
    back for the same reason where the others are not.
    """

    gate: Gate
    code: HeldBack
    applies: Callable[[Facts, Limits], bool]
    spares: Callable[[Offer], bool] = lambda offer: False
    alone: Callable[[Facts, Offer], bool] = lambda facts, offer: False

    def holds(self, facts: Facts, offer: Offer, limits: Limits) -> bool:
        """Tell whether it holds an offer back."""
        whole = self.applies(facts, limits) and not self.spares(offer)
        return whole or self.alone(facts, offer)


def _after(facts: Facts, until: date | None) -> bool:
    return until is not None and until > facts.today


def _silent(gate: Gate, code: HeldBack) -> Hold:
    """Make the hold that an answer to an offer is, whichever channel it was given on."""
    until = SILENCES[code]
    return Hold(
        gate,
        code,
        lambda facts, offer, limits: _after(
            facts, until(facts, offer.code, offer.category, limits)
        ),
    )


HOLDS: tuple[Hold | WholeHold, ...] = (
    # Eligible: it fits what the customer has and what the line can do.
    Hold(
        Gate.ELIGIBLE,
        HeldBack.ALREADY_HELD,
        # A device that is there does what another would, whether or not a service goes with it.
        lambda facts, offer, limits: (
            offer.code in facts.held or bool(offer.excludes & (facts.held | facts.terminals))
        ),
    ),
    Hold(
        Gate.ELIGIBLE,
        HeldBack.REQUIRES_OTHER,
        lambda facts, offer, limits: not offer.requires <= facts.held | facts.brought_here,
    ),
    WholeHold(
        Gate.ELIGIBLE,
        HeldBack.ORDER_PENDING,
        lambda facts, limits: facts.order_pending,
        # What this visit or another has sold before keeps only its like from being sold a second
        # time, and what cannot be beside it, whichever of the two says so.
        alone=lambda facts, offer: bool(
            facts.ordered_here & {offer.code, offer.category, *offer.excludes}
            or facts.shut_out_here & {offer.code, offer.category, offer.terminal_kind}
        ),
    ),
    _silent(Gate.ELIGIBLE, HeldBack.JUST_ACCEPTED),
    Hold(
        Gate.ELIGIBLE,
        HeldBack.LINE_UNKNOWN,
        lambda facts, offer, limits: offer.speed_mbps is not None and facts.line_max_mbps is None,
    ),
    Hold(
        Gate.ELIGIBLE,
        HeldBack.LINE_TOO_SLOW,
        lambda facts, offer, limits: (
            offer.speed_mbps is not None
            and facts.line_max_mbps is not None
            and offer.speed_mbps > facts.line_max_mbps
        ),
    ),
    Hold(
        Gate.ELIGIBLE,
        HeldBack.NO_FREE_PORT,
        # A line that runs has its port; only a new one needs another.
        lambda facts, offer, limits: (
            offer.speed_mbps is not None and facts.speed_mbps is None and facts.port_free is False
        ),
    ),
    # Allowed: nothing forbids selling now.
    WholeHold(
        Gate.ALLOWED,
        HeldBack.NOT_RESTORED,
        lambda facts, limits: facts.work_type == REPAIR and not facts.restored,
    ),
    WholeHold(Gate.ALLOWED, HeldBack.DO_NOT_DISTURB, lambda facts, limits: facts.do_not_disturb),
    WholeHold(Gate.ALLOWED, HeldBack.REPEAT_FAULT, lambda facts, limits: facts.faults >= 2),
    WholeHold(Gate.ALLOWED, HeldBack.COMPLAINT_OPEN, lambda facts, limits: facts.complaint_open),
    WholeHold(
        Gate.ALLOWED,
        HeldBack.COMPLAINT_RECENT,
        lambda facts, limits: facts.within(facts.complaint_closed_on, limits.complaint_days),
    ),
    # Whoever says so has complained, if to a technician; nobody has to close it.
    WholeHold(
        Gate.ALLOWED,
        HeldBack.DISSATISFIED,
        lambda facts, limits: _after(facts, unhappy_until(facts, limits)),
    ),
    # Nothing is sold on credit to who has not paid; what is paid for beforehand is no credit.
    WholeHold(
        Gate.ALLOWED,
        HeldBack.ARREARS,
        lambda facts, limits: facts.arrears_fen is not None and facts.arrears_fen > 0,
        lambda offer: offer.prepaid,
    ),
    WholeHold(
        Gate.ALLOWED,
        HeldBack.BLACKLISTED,
        lambda facts, limits: facts.blacklisted is True,
        lambda offer: offer.prepaid,
    ),
    # Who has left is asked once, by those who keep the list of leavers, and may say no for good.
    WholeHold(
        Gate.ALLOWED,
        HeldBack.WIN_BACK_REFUSED,
        lambda facts, limits: facts.gone and facts.win_back_refused,
    ),
    WholeHold(
        Gate.ALLOWED,
        HeldBack.NOT_INVITED,
        lambda facts, limits: facts.gone and facts.work_type not in INVITED,
    ),
    WholeHold(Gate.ALLOWED, HeldBack.OUTAGE, lambda facts, limits: facts.outage),
    Hold(
        Gate.ALLOWED,
        HeldBack.NEEDS_APPROVAL,
        # A technician renews on standard terms; special ones take the manager's code.
        lambda facts, offer, limits: (
            offer.business_type is BusinessType.RETENTION
            and ValueLever.RETENTION in offer.levers
            and ValueLever.RENEWAL not in offer.levers
            and offer.code not in facts.agreed
        ),
    ),
    Hold(
        Gate.ALLOWED,
        HeldBack.OFFERED_ELSEWHERE,
        # One open suggestion of an offer to a customer, over all channels.
        lambda facts, offer, limits: offer.code in facts.offered_elsewhere,
    ),
    # Suitable: there is a need, and it is worth a contact.
    Hold(
        Gate.SUITABLE,
        HeldBack.OTHER_STAGE,
        # Who is not known to be at any stage is kept from nothing by it.
        lambda facts, offer, limits: (
            facts.stage is not None and offer.stages is not None and facts.stage not in offer.stages
        ),
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.NOT_FASTER,
        # Who already has the speed gains nothing, unless it is the renewal of what they have, or
        # a smaller package for who uses little.
        lambda facts, offer, limits: (
            offer.speed_mbps is not None
            and facts.speed_mbps is not None
            and not facts.faster(offer)
            and offer.business_type is not BusinessType.RETENTION
            and not (
                ValueLever.TARIFF_FIT in offer.levers and facts.uses_little(limits.low_usage_gb)
            )
        ),
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.NO_RENEWAL_DUE,
        # Special terms for a customer who is safe cost margin and keep nobody.
        lambda facts, offer, limits: (
            offer.business_type is BusinessType.RETENTION
            and not facts.renewal_due(limits.renewal_days)
        ),
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.LINE_FALLS_SHORT,
        # Who does not get what they pay for gains nothing by paying for more.
        lambda facts, offer, limits: (
            facts.faster(offer) and facts.falls_short(limits.measured_share, limits.measured_days)
        ),
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.NO_NEED,
        # Usage that is not known keeps nobody from anything, and a measurement shows a need that
        # usage does not.
        lambda facts, offer, limits: (
            (facts.faster(offer) and facts.uses_little(limits.low_usage_gb))
            or (
                offer.least_usage_gb is not None
                and facts.uses_little(offer.least_usage_gb)
                and not short_of_wifi(facts, offer, limits)
            )
        ),
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.USES_MORE,
        # Less is offered only to who is known to need less.
        lambda facts, offer, limits: (
            offer.most_usage_gb is not None
            and (facts.monthly_usage_gb is None or facts.monthly_usage_gb > offer.most_usage_gb)
        ),
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.FEW_CALLS,
        # What only lowers the cost of serving somebody is for those who cost some.
        lambda facts, offer, limits: (
            offer.levers == {ValueLever.COST_TO_SERVE} and facts.calls < limits.many_calls
        ),
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.NO_DEBT,
        # What is there to end bad debts alone is for nobody who pays.
        lambda facts, offer, limits: offer.levers == {ValueLever.BAD_DEBT} and not facts.owes,
    ),
    Hold(
        Gate.SUITABLE,
        HeldBack.NOT_WORTH_A_CONTACT,
        # By the expert's rate and the context: what a model has learned ranks, but lets nothing
        # through, and no more does a campaign.
        lambda facts, offer, limits: scored(facts, offer, limits).worth_fen <= 0,
    ),
    # Contact policy: the customer is not pestered.
    WholeHold(
        Gate.CONTACT_POLICY,
        HeldBack.PITCHED_IN_THIS_VISIT,
        lambda facts, limits: facts.pitched_in_this_visit >= limits.pitched_per_visit,
    ),
    Hold(
        Gate.CONTACT_POLICY,
        HeldBack.SHOWN_IN_THIS_VISIT,
        # What was shown may be shown again; a visit that is full has no place for another.
        lambda facts, offer, limits: (
            offer.code not in facts.shown_in_this_visit
            and len(facts.shown_in_this_visit) >= max(round(limits.shown), 1)
        ),
    ),
    WholeHold(
        Gate.CONTACT_POLICY,
        HeldBack.CONTACTS_MONTH,
        lambda facts, limits: facts.contacts_month >= limits.contacts_month,
    ),
    WholeHold(
        Gate.CONTACT_POLICY,
        HeldBack.CONTACTS_YEAR,
        lambda facts, limits: facts.contacts_year >= limits.contacts_year,
    ),
    WholeHold(
        Gate.CONTACT_POLICY,
        HeldBack.CONTACT_GAP,
        lambda facts, limits: facts.within(facts.last_contact_on, limits.contact_gap_days),
    ),
    WholeHold(Gate.CONTACT_POLICY, HeldBack.SERVED_TODAY, lambda facts, limits: facts.served_today),
    WholeHold(Gate.CONTACT_POLICY, HeldBack.SLOT_TAKEN, lambda facts, limits: facts.slot_taken),
    WholeHold(
        Gate.CONTACT_POLICY,
        HeldBack.REFUSED_OFTEN,
        lambda facts, limits: _after(facts, stopped_until(facts, limits)),
    ),
    _silent(Gate.CONTACT_POLICY, HeldBack.DECLINED_RECENTLY),
    _silent(Gate.CONTACT_POLICY, HeldBack.DECLINED_GROUP),
    _silent(Gate.CONTACT_POLICY, HeldBack.ASKED_FOR_LATER),
)


# What the law or decency forbids, or what cannot be done at all: no operator can switch it off.
ABSOLUTE = frozenset(
    {
        HeldBack.ALREADY_HELD,
        HeldBack.REQUIRES_OTHER,
        HeldBack.LINE_TOO_SLOW,
        HeldBack.NOT_RESTORED,
        HeldBack.DO_NOT_DISTURB,
        HeldBack.NEEDS_APPROVAL,
        HeldBack.WIN_BACK_REFUSED,
        HeldBack.OFFERED_ELSEWHERE,
        HeldBack.SLOT_TAKEN,
    }
)

# The gates that are switched off for an org unit on a day.
Off = Set[HeldBack]
NONE_OFF: Off = frozenset()


def held_back(facts: Facts, offer: Offer, limits: Limits, off: Off = NONE_OFF) -> HeldBack | None:
    """Name the first hold, in the gates' order, that keeps an offer back; None lets it through."""
    for hold in HOLDS:
        if hold.code not in off and hold.holds(facts, offer, limits):
            return hold.code
    return None


def nothing_at_all(facts: Facts, limits: Limits, off: Off = NONE_OFF) -> HeldBack | None:
    """Name the first hold that keeps every offer from this customer, but for those it spares."""
    for hold in HOLDS:
        if isinstance(hold, WholeHold) and hold.code not in off and hold.applies(facts, limits):
            return hold.code
    return None
