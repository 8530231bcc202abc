"""Which orders of a plan may still be given as it says, when it is published. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from app.dispatch.rules.vans import Van
from app.planning.rules.plans import LeftReason
from app.planning.rules.reasons import NOBODY_CAN
from app.workorders.rules import CLOSED, UNDER_WAY, State, UnplacedReason


class Planned(Protocol):
    """What a plan says of an order, and how the order was then."""

    technician_id: UUID | None
    before_id: UUID | None
    before_day: date | None
    before_state: str
    before_begins_at: datetime | None
    begins_at: datetime | None
    ends_at: datetime | None
    unplaced_reason: str | None


class Now(Protocol):
    """How an order is now."""

    state: str
    unplaced_reason: str | None
    holder_id: UUID | None
    planned_day: date | None
    appointment_from: datetime | None
    appointment_until: datetime | None
    pinned_to: UUID | None
    terminals: Sequence[str]


@dataclass(frozen=True, slots=True)
class Around:
    """What has happened around a plan since: who is not at work (any more), when people are on
    leave, and who has got an appointment that the plan does not know. `vans` are those that an
    order which needs terminals leaves or is given to."""

    here: Collection[UUID]
    leave: Mapping[UUID, Sequence[tuple[datetime, datetime]]]
    booked: Collection[UUID]
    vans: Mapping[UUID, Van] = field(default_factory=dict)


def changes(planned: Planned) -> bool:
    """Tell whether a plan wants an order to change hands: given to somebody else, or taken from
    its holder since nobody can do it, or since the holder is away and nobody else has room. What
    has no room only stays with its holder, the last of their day, for a supervisor to decide."""
    if planned.technician_id is not None:
        return planned.technician_id != planned.before_id
    if planned.before_id is None or planned.unplaced_reason is None:
        return False
    can = UnplacedReason(planned.unplaced_reason) not in NOBODY_CAN
    return not can or planned.before_begins_at is None


def whys_left(
    wanted: Mapping[UUID, Planned], locked: Mapping[UUID, Now], around: Around
) -> dict[UUID, LeftReason | None]:
    """Say of each order that a plan wants to change hands why it is left as it is, if it is.

    Terminals are given back by all that leave somebody before the first one is given.
    """
    whys = {one: why_left(planned, locked[one], around) for one, planned in wanted.items()}
    moving = [one for one, why in whys.items() if why is None and locked[one].terminals]
    for one in moving:
        holder_id = locked[one].holder_id
        if holder_id is not None:
            around.vans[holder_id].give_back(one)
    for one in moving:
        who, order = wanted[one].technician_id, locked[one]
        if who is None:
            continue
        if around.vans[who].holds(order.terminals):
            around.vans[who].take(order.terminals)
            continue
        whys[one] = LeftReason.NO_STOCK
        if order.holder_id is not None:
            around.vans[order.holder_id].take(order.terminals)
    return whys


def why_left(planned: Planned, now: Now, around: Around) -> LeftReason | None:
    """Say why an order that a plan wants to change hands is left as it is; None: it is not."""
    state = State(now.state)
    if state in CLOSED:
        return LeftReason.CLOSED
    if state in UNDER_WAY or state is State.SUSPENDED:
        return LeftReason.UNDER_WAY
    before = (planned.before_id, planned.before_day, State(planned.before_state))
    if (now.holder_id, now.planned_day, state) != before:
        return LeftReason.CHANGED
    if now.unplaced_reason == UnplacedReason.OUTAGE:
        return LeftReason.CHANGED  # it was nobody's then, too, but now it waits for the outage
    if now.pinned_to is not None and now.pinned_to != planned.technician_id:
        return LeftReason.PINNED
    who = planned.technician_id
    if who is None or planned.begins_at is None or planned.ends_at is None:
        return None
    if now.appointment_from is not None and now.appointment_until is not None:
        if not now.appointment_from <= planned.begins_at <= now.appointment_until:
            return LeftReason.WINDOW_CHANGED
        if who in around.booked:
            return LeftReason.APPOINTMENTS
    away = around.leave.get(who, ())
    if who not in around.here or any(
        since < planned.ends_at and planned.begins_at < until for since, until in away
    ):
        return LeftReason.AWAY
    return None
