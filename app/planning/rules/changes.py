"""What a plan of the rest of a day would change, why, and whether it may be applied by itself."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.i18n import Words
from app.planning.rules.events import EventKind, Happened, away, behind

# A visit that begins so much earlier or later by the new plan is told of, others are not.
NOTABLE = timedelta(minutes=10)


class Spot(NamedTuple):
    """Where an order has its place: whose it is, when it begins, how many seconds late it ends.

    It begins never where whoever holds it is away for it.
    """

    technician_id: UUID
    begins_at: datetime | None
    late: int


class ChangeKind(StrEnum):
    """What becomes of an order."""

    MOVED = "moved"  # to somebody else
    PLACED = "placed"  # it had nobody
    LEFT_OUT = "left_out"  # nobody has it any more
    SHIFTED = "shifted"  # the same person, another time
    STILL_OUT = "still_out"  # nobody has it, before and after


class Why(StrEnum):
    """Why an order changes."""

    AWAY = "away"
    BEHIND = "behind"
    URGENT = "urgent"
    HAD_NOBODY = "had_nobody"
    MAKES_ROOM = "makes_room"


WHY_WORDS: dict[Why, Words] = {
    Why.AWAY: Words(zh="原人员不在岗", en="whoever held it is away"),
    Why.BEHIND: Words(zh="原人员进度落后", en="whoever held it is behind"),
    Why.URGENT: Words(zh="紧急且无人可派", en="it is urgent and had nobody"),
    Why.HAD_NOBODY: Words(zh="原先无人可派", en="it had nobody"),
    Why.MAKES_ROOM: Words(zh="为其他工单让出时间", en="to make room for others"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """What a plan says of one order: where its place was and will be (None: nobody's).

    `booked` tells whether the customer has an appointment.
    """

    order_id: UUID
    booked: bool
    before: Spot | None
    after: Spot | None

    @property
    def kind(self) -> ChangeKind | None:
        """What becomes of it; None when nothing notable does."""
        if self.before is None:
            return ChangeKind.STILL_OUT if self.after is None else ChangeKind.PLACED
        if self.after is None:
            return ChangeKind.LEFT_OUT
        if self.before.technician_id != self.after.technician_id:
            return ChangeKind.MOVED
        if self.before.begins_at is None or self.after.begins_at is None:
            return None if self.before.begins_at == self.after.begins_at else ChangeKind.SHIFTED
        apart = abs(self.after.begins_at - self.before.begins_at)
        return ChangeKind.SHIFTED if apart >= NOTABLE else None

    @property
    def in_time_before(self) -> bool:
        """Tell whether it would have been done in time as things were."""
        return (
            self.before is not None and self.before.begins_at is not None and not self.before.late
        )

    @property
    def in_time_after(self) -> bool:
        """Tell whether it will be done in time by the plan."""
        return _in_time(self.after)

    @property
    def becomes_late(self) -> bool:
        """Tell whether it was in time and will be late, or nobody's."""
        return self.in_time_before and not self.in_time_after

    @property
    def becomes_in_time(self) -> bool:
        """Tell whether it was late, or could not be done at all, and will be in time."""
        return self.in_time_after and not self.in_time_before

    @property
    def worse(self) -> bool:
        """Tell whether its customer will be worse off: done later after the promise, or by nobody
        where somebody could have come."""
        if self.before is None or self.before.begins_at is None:
            return False
        return self.after is None or self.after.late > self.before.late


def _in_time(spot: Spot | None) -> bool:
    return spot is not None and spot.begins_at is not None and not spot.late


def why_of(change: Change, events: Iterable[Happened]) -> Why:
    """Say why an order changes, by what has happened."""
    events = list(events)
    urgent = (one.order_id for one in events if one.kind is EventKind.URGENT_ORDER)
    if change.order_id in urgent:
        return Why.URGENT
    if change.before is None:
        return Why.HAD_NOBODY
    if change.before.technician_id in away(events):
        return Why.AWAY
    if change.before.technician_id in behind(events):
        return Why.BEHIND
    return Why.MAKES_ROOM


class Counts(NamedTuple):
    """How much a plan changes: `others` are visits that somebody else holds than those to whom
    something has happened, `others_moved` how many of these get somebody else."""

    visits: int
    moved: int
    others: int
    others_moved: int
    placed: int
    left_out: int
    still_out: int
    shifted: int
    become_late: int
    become_in_time: int


def counted(changes: Collection[Change], events: Sequence[Happened]) -> Counts:
    """Add up what a plan changes; `changes` are all its orders."""
    kinds = [change.kind for change in changes]
    others = [
        change
        for change in changes
        if change.before is not None and why_of(change, events) is Why.MAKES_ROOM
    ]
    return Counts(
        visits=len(kinds),
        moved=kinds.count(ChangeKind.MOVED),
        others=len(others),
        others_moved=sum(one.kind is ChangeKind.MOVED for one in others),
        placed=kinds.count(ChangeKind.PLACED),
        left_out=kinds.count(ChangeKind.LEFT_OUT),
        still_out=kinds.count(ChangeKind.STILL_OUT),
        shifted=kinds.count(ChangeKind.SHIFTED),
        become_late=sum(change.becomes_late for change in changes),
        become_in_time=sum(change.becomes_in_time for change in changes),
    )


NEVER, ALWAYS, WHEN_LITTLE = range(3)


def applies(policy: int, most_moved: int, changes: Collection[Change]) -> bool:
    """Tell whether a plan may be published by itself.

    When little changes: few visits change hands, and no customer with an appointment is worse off.
    A plan that changes nothing is never published.
    """
    kinds = [change.kind for change in changes]
    if policy == NEVER or not any(kind not in (None, ChangeKind.STILL_OUT) for kind in kinds):
        return False
    if policy == ALWAYS:
        return True
    moved = sum(kind in (ChangeKind.MOVED, ChangeKind.LEFT_OUT) for kind in kinds)
    return moved <= most_moved and not any(one.booked and one.worse for one in changes)
