"""How much room a slot has: real minutes at work less what is taken, and the reserve for urgent.

Two bounds always hold together: what is taken within the slot and what is taken of the day. Whether
somebody can keep one more appointment is `placing.why_not_on`'s to say; here it is added up.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from app.dispatch.rules.placing import Diary, Seat
from app.dispatch.rules.slots import Limit, NotOffered, Slot, beyond
from app.dispatch.rules.windows import Booked, Piece
from app.technicians.rules import minutes_in
from app.workorders.rules import WorkType


class Grade(StrEnum):
    """How good a slot is to take: much room or on somebody's way, some, or hardly any."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Taken(NamedTuple):
    """What orders or holds take of one person's day, as far as nobody has begun with them.

    Without a window they may be done at any time of the day. `here` says that they lie in the grid
    asked about.
    """

    work_type: str
    urgent: bool
    here: bool
    window: Piece | None
    minutes: Sequence[int]


def is_urgent(priority: int, work_type: WorkType) -> bool:
    """Tell whether work may use the reserve: priorities 1 and 2, and every repair."""
    return priority <= 2 or work_type is WorkType.REPAIR


def within(pieces: Iterable[Piece], begins: datetime, ends: datetime) -> float:
    """Add up the minutes that some pieces of time have between two moments."""
    return minutes_in(
        (max(begins, one[0]), min(ends, one[1]))
        for one in pieces
        if one[0] < ends and begins < one[1]
    )


def spread(window: Piece, needed: float, slot: Slot) -> float:
    """Say how many of an appointment's minutes count in a slot: by the share of its window.

    Work that is longer than its window takes all of it and no more; the rest is the day's.
    """
    whole = minutes_in([window])
    return min(needed, whole) * within([window], slot.begins, slot.ends) / whole if whole else 0.0


class Room(NamedTuple):
    """Minutes at work within a slot, and how many of them are free."""

    minutes: float
    free: float

    @property
    def share(self) -> float:
        """The free part, from 0 to 1."""
        return self.free / self.minutes if self.minutes else 0.0


def room_of(seats: Iterable[Seat], slot: Slot) -> Room:
    """Add up the room that people have in a slot for what one grid asks of them."""
    minutes = free = 0.0
    for seat in seats:
        plan = seat.plan(slot.day)
        at_work = within(plan.at_work, slot.begins, slot.ends)
        if not at_work:
            continue
        booked = seat.diary.windows.get(slot.day, ())
        taken = sum(_part(one, seat.diary, slot) for one in booked)
        minutes += at_work
        free += max(0.0, min(at_work - taken, plan.left))
    return Room(minutes, free)


def _part(one: Booked, diary: Diary, slot: Slot) -> float:
    return spread((one.begins, one.until), one.minutes + diary.allowance, slot)


def on_the_way(taken: Iterable[Taken], slot: Slot) -> bool:
    """Tell whether somebody is in the grid within the slot anyway."""
    return any(
        one.here and one.window and within([one.window], slot.begins, slot.ends) for one in taken
    )


def reserve_reached(
    staff: Iterable[tuple[Diary, Sequence[Taken]]], slot: Slot, reserve: float
) -> bool:
    """Tell whether work that is not urgent has used up what is open to it, of slot or day.

    `staff` are a unit's people with what is taken of the slot's day; `reserve` is the share of
    their minutes, from 0 to 1, that is kept for urgent work. The order that crosses the line is
    still taken: in a unit of one or two people nothing else would ever fit.
    """
    in_slot = of_day = slot_taken = day_taken = 0.0
    for diary, taken in staff:
        at_work = diary.day(slot.day).at_work
        in_slot += within(at_work, slot.begins, slot.ends)
        of_day += min(minutes_in(at_work), diary.daily_minutes)
        for one in taken:
            if one.urgent:
                continue
            for minutes in one.minutes:
                day_taken += minutes + diary.allowance
                if one.window is not None:
                    slot_taken += spread(one.window, minutes + diary.allowance, slot)
    open_part = 1 - reserve
    return slot_taken >= open_part * in_slot or day_taken >= open_part * of_day


def limit_reached(
    limits: Iterable[Limit], taken: Sequence[Taken], slot: Slot, org_path: str
) -> NotOffered | None:
    """Say whether a limit of the operator's forbids one more appointment in a slot.

    `taken` is what the unit's people have of the slot's day. A day for which nothing at all may be
    taken is a holiday.
    """
    ours = [limit for limit in limits if limit.bounds(slot, org_path)]
    if any(limit.most == 0 and not limit.category and not limit.slot for limit in ours):
        return NotOffered.HOLIDAY
    if any(sum(_counts(one, limit, slot) for one in taken) >= limit.most for limit in ours):
        return NotOffered.LIMIT_REACHED
    return None


def _counts(one: Taken, limit: Limit, slot: Slot) -> int:
    if one.window is None:
        return 0
    if (limit.category or limit.slot) and one.work_type not in slot.work_types:
        return 0
    if limit.slot and not slot.begins <= one.window[0] < slot.ends:
        return 0
    return len(one.minutes)


class Grading(NamedTuple):
    """From which free share on, from 0 to 1, a slot is green or yellow."""

    green: float
    yellow: float


def grade(
    room: Room, slot: Slot, *, close_by: bool, due_at: datetime | None, grading: Grading
) -> Grade:
    """Grade a slot: by its free share, a step better where somebody is close by anyway.

    A slot that may end after the promise is yellow at best, one that begins after it is red.
    """
    grades = (Grade.GREEN, Grade.YELLOW, Grade.RED)
    place = 0 if room.share >= grading.green else 1 if room.share >= grading.yellow else 2
    if close_by:
        place = max(0, place - 1)
    if beyond(slot, due_at):
        return Grade.RED
    if due_at is not None and slot.ends > due_at:
        place = max(1, place)
    return grades[place]
