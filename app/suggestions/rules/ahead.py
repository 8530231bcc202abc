"""At which door offers are made, and how long what was decided for it may be shown.

A phone that will be offline at the door takes its suggestions ahead of the visit, and shows them by
itself as long as they are valid.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum
from uuid import UUID
from zoneinfo import ZoneInfo

from app.suggestions.rules.facts import REPAIR
from app.suggestions.rules.here import OrderedHere
from app.suggestions.rules.limits import Limits


@dataclass(frozen=True)
class Door:
    """What the room of visits hands in: at which door who stands, or is going to, and why.

    `visit_id` None takes the suggestions ahead of a visit. `other_repairs_at` are the moments at
    which the customer's other repairs were reported, `order_pending` says that another install,
    move or removal of theirs is open that was not sold in this visit, `ordered_here` has what was
    sold in it, or in another and does not show yet, and `outage` says that there is one where they
    live. `over_at` is when the visit ought to be over by its appointment, if it has one. The zone
    is the org unit's.
    """

    visit_id: UUID | None
    work_order_id: UUID
    customer_id: UUID
    technician_id: UUID
    began_at: datetime
    work_type: str
    reported_at: datetime
    restored: bool
    order_pending: bool
    other_repairs_at: Sequence[datetime]
    org_path: str
    zone: ZoneInfo
    ordered_here: Sequence[OrderedHere] = ()
    outage: bool = False
    over_at: datetime | None = None


class ShowWhen(StrEnum):
    """From when on a phone may show what was suggested."""

    AT_ONCE = "at_once"
    RESTORED = "restored"


def show_when(visit_id: UUID | None, work_type: str) -> ShowWhen:
    """Say from when on a decision may be shown: ahead of a repair it supposes that it succeeds."""
    ahead_of_repair = visit_id is None and work_type == REPAIR
    return ShowWhen.RESTORED if ahead_of_repair else ShowWhen.AT_ONCE


def valid_until(door: Door, limits: Limits, now: datetime) -> datetime:
    """Say how long a decision may be shown, which is as long as it holds the contact slot.

    In a visit that goes on, as long as a slot is held at all. Ahead of one, until the visit ought
    to be over and somewhat later, at most so many hours and never past the local day.
    """
    if door.visit_id is not None:
        return now + timedelta(hours=limits.slot_hours)
    tomorrow = now.astimezone(door.zone).date() + timedelta(days=1)
    midnight = datetime.combine(tomorrow, time(), door.zone)
    ends = [now + timedelta(hours=limits.ahead_hours), midnight]
    if door.over_at is not None:
        # Whoever is late already still comes.
        ends.append(max(door.over_at, now) + timedelta(hours=limits.ahead_late_hours))
    return min(ends).astimezone(now.tzinfo)
