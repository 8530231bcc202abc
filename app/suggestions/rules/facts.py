"""What one decision sees of the visit, the customer and the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Self

from app.catalog.rules import BusinessType
from app.core.errors import plain
from app.lifecycle.rules import Stage

# The work types, as a visit hands them in, that change what may be said at the door.
REPAIR, INSTALL, CARE = "repair", "install", "care"
# For these a technician comes who was asked to come: by an order, or by a yes to a visit.
INVITED = frozenset({INSTALL, CARE})


@dataclass(frozen=True)
class Offer:
    """One offering of the catalogue as the ranking sees it; money in fen, speed in Mbit/s.

    `least_usage_gb` is the monthly usage from which on somebody has a use for it, `most_usage_gb`
    the usage up to which it is enough; `prepaid` is paid for before it is used. Of the day's own
    rules come `push`, what campaigns make of its worth (a factor from 0.5 to 2), `stages`, the
    stages of the lifecycle it is offered at (None is any), `manager_tiers`, the tiers for which it
    is the account manager's to sell, and `preferred_tiers`, those that are rather spoken to of it
    on the channel they prefer.
    """

    code: str
    category: str
    business_type: BusinessType
    margin_12m_fen: int
    expert_rate: float
    speed_mbps: int | None = None
    requires: frozenset[str] = frozenset()
    excludes: frozenset[str] = frozenset()
    levers: frozenset[str] = frozenset()
    install_minutes: int | None = None
    least_usage_gb: int | None = None
    most_usage_gb: int | None = None
    prepaid: bool = False
    terminal_kind: str | None = None
    push: float = 1.0
    stages: frozenset[str] | None = None
    manager_tiers: frozenset[str] = frozenset()
    preferred_tiers: frozenset[str] = frozenset()


def day_of(stored: Mapping[str, Any]) -> date:
    """Give the local day of facts as they were stored."""
    return date.fromisoformat(stored["today"])


# What of the facts a model is told of, with `today` and `held`.
_TOLD = (
    "work_type",
    "faults",
    "speed_mbps",
    "monthly_usage_gb",
    "contract_ends_on",
    "contacts_month",
    "contacts_year",
    "refusals",
    "tenure_months",
    "stage",
    "tier",
    "churn_class",
    "generic",
)


@dataclass(frozen=True)
class Facts:
    """What one decision sees of the visit and the customer. None is "not known", never zero.

    Dates are local days of the technician's org unit. `held` has the codes and the categories of
    the services that run; `faults` counts those within the repeat-fault days, the present repair
    included; `contacts_month` and `contacts_year` count the 30 and 365 days before, with anybody at
    the customer's address. `shown_in_this_visit` has the offers that earlier decisions of the visit
    showed. `served_today` tells of a service contact today that is not of this
    visit, and `offered_elsewhere` has what another channel is offering. What was answered, from
    `refusals` and `stopped_on` to `later_on`, is as in `silence.Silence`, of all channels.
    `churn_score` is a chance from 0 to 1, `value_12m_fen` what the customer pays in twelve months.
    `generic` is for a customer who wants no ranking made for them personally. `terminals` has the
    kinds of the devices that are booked to them, `ordered_here` the codes, categories and kinds of
    devices of what was sold in this very visit, or in another, and has not arrived, `brought_here`
    those of it that the customer has within this visit, and `shut_out_here` what it excludes.
    `calls` counts what they telephoned about but for sales within the days of the limits. `left_on`
    is set of whom is known to have left, `win_back_refused` of who then said that they will not
    come back.
    `agreed` has the offers special terms of which are approved. `measured_mbps` is what the
    line last did when somebody measured it at the door, on `measured_on`, and `prefers` as whom
    the channel speaks that they prefer to the door and allow offers on.
    """

    today: date
    work_type: str
    restored: bool
    pitched_in_this_visit: int = 0
    shown_in_this_visit: frozenset[str] = frozenset()
    order_pending: bool = False
    ordered_here: frozenset[str] = frozenset()
    brought_here: frozenset[str] = frozenset()
    shut_out_here: frozenset[str] = frozenset()
    faults: int = 0
    do_not_disturb: bool = False
    arrears_fen: int | None = None
    complaint_open: bool = False
    complaint_closed_on: date | None = None
    held: frozenset[str] = frozenset()
    speed_mbps: int | None = None
    monthly_usage_gb: int | None = None
    contract_ends_on: date | None = None
    line_max_mbps: int | None = None
    port_free: bool | None = None
    contacts_month: int = 0
    contacts_year: int = 0
    last_contact_on: date | None = None
    slot_taken: bool = False
    refusals: int = 0
    stopped_on: date | None = None
    dissatisfied_on: date | None = None
    declined_on: Mapping[str, date] = field(default_factory=dict)
    declined_group_on: Mapping[str, date] = field(default_factory=dict)
    accepted_on: Mapping[str, date] = field(default_factory=dict)
    later_on: Mapping[str, date] = field(default_factory=dict)
    tenure_months: int | None = None
    stage: str | None = None
    tier: str | None = None
    churn_class: str | None = None
    churn_score: float | None = None
    value_12m_fen: int | None = None
    generic: bool = False
    blacklisted: bool | None = None
    outage: bool = False
    served_today: bool = False
    offered_elsewhere: frozenset[str] = frozenset()
    terminals: frozenset[str] = frozenset()
    calls: int = 0
    left_on: date | None = None
    win_back_refused: bool = False
    agreed: frozenset[str] = frozenset()
    measured_mbps: float | None = None
    measured_on: date | None = None
    prefers: str | None = None

    @property
    def owes(self) -> bool:
        """Tell whether they are known to owe money, or to be on the list of bad debts."""
        return bool(self.arrears_fen) or self.blacklisted is True

    @property
    def gone(self) -> bool:
        """Tell whether they are known to have left, and no service of theirs runs again."""
        return not self.held and (self.left_on is not None or self.stage == Stage.EXIT)

    @classmethod
    def told_to_model(cls, stored: Mapping[str, Any]) -> Self:
        """Read of stored facts what a model is told, as `model.features` takes it."""
        known = {name: stored[name] for name in _TOLD if name in stored}
        ends_on = known.get("contract_ends_on")
        return cls(
            **{
                **known,
                "today": day_of(stored),
                "restored": False,
                "held": frozenset(stored.get("held", ())),
                "contract_ends_on": ends_on and date.fromisoformat(ends_on),
            }
        )

    def as_json(self) -> dict[str, Any]:
        """Write the facts as they are stored and hashed: plain values in one order."""
        return {
            name: sorted(value) if isinstance(value, frozenset) else plain(value)
            for name, value in vars(self).items()
        }

    def within(self, day: date | None, days: float) -> bool:
        """Tell whether a past day lies fewer than so many days back."""
        return day is not None and self.today - day < timedelta(days=days)

    def faster(self, offer: Offer) -> bool:
        """Tell whether an offer is a faster line than the one in use."""
        return (
            offer.speed_mbps is not None
            and self.speed_mbps is not None
            and offer.speed_mbps > self.speed_mbps
        )

    def falls_short(self, share: float, days: float) -> bool:
        """Tell whether the line was measured within so many days, and did less than a share of what
        the package promises. A line that nobody measured falls short of nothing."""
        return (
            self.measured_mbps is not None
            and self.speed_mbps is not None
            and self.within(self.measured_on, days)
            and self.measured_mbps < share * self.speed_mbps
        )

    def uses_little(self, gb_a_month: float) -> bool:
        """Tell whether the usage is known and below so many GB a month."""
        return self.monthly_usage_gb is not None and self.monthly_usage_gb < gb_a_month

    def renewal_due(self, days: float) -> bool:
        """Tell whether the contract is known to have ended, or to end within so many days."""
        return self.contract_ends_on is not None and (
            self.contract_ends_on - self.today <= timedelta(days=days)
        )
