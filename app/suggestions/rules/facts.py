"""What one decision sees of the visit, the customer and the catalogue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from app.catalog.rules import BusinessType
from app.core.errors import plain

# The work types, as a visit hands them in, that change what may be said at the door.
REPAIR, INSTALL = "repair", "install"


@dataclass(frozen=True)
class Offer:
    """One offering of the catalogue as the ranking sees it; money in fen, speed in Mbit/s.

    `push` is what the campaigns of the day make of its worth: a factor from 0.5 to 2.
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
    push: float = 1.0


def day_of(stored: Mapping[str, Any]) -> date:
    """Give the local day of facts as they were stored."""
    return date.fromisoformat(stored["today"])


@dataclass(frozen=True)
class Facts:
    """What one decision sees of the visit and the customer. None is "not known", never zero.

    Dates are local days of the technician's org unit. `held` has the codes and the categories of
    the services that run; `faults` counts those within the repeat-fault days, the present repair
    included; `contacts_month` and `contacts_year` count the 30 and 365 days before, with anybody at
    the customer's address. `served_today` tells of a service contact today that is not of this
    visit, and `offered_elsewhere` has what another channel is offering. What was answered, from
    `refusals` and `stopped_on` to `later_on`, is as in `silence.Silence`, of all channels.
    `churn_score` is a chance from 0 to 1, `value_12m_fen` what the customer pays in twelve months.
    `generic` is for a customer who wants no ranking made for them personally.
    """

    today: date
    work_type: str
    restored: bool
    pitched_in_this_visit: int = 0
    order_pending: bool = False
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

    def uses_little(self, gb_a_month: float) -> bool:
        """Tell whether the usage is known and below so many GB a month."""
        return self.monthly_usage_gb is not None and self.monthly_usage_gb < gb_a_month

    def renewal_due(self, days: float) -> bool:
        """Tell whether the contract is known to have ended, or to end within so many days."""
        return self.contract_ends_on is not None and (
            self.contract_ends_on - self.today <= timedelta(days=days)
        )
