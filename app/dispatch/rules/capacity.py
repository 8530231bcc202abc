"""How much room a slot has: real minutes at work less what is taken, and the reserve for urgent.

Two bounds always hold together: what is taken within the slot and what is taken of the day. Whether
somebody can keep one more appointment is `placing.why_not_on`'s to say; here it is added up.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time
from enum import StrEnum
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.dispatch.rules.diaries import Diary
from app.dispatch.rules.placing import Seat
from app.dispatch.rules.slots import Limit, NotOffered, Slot, beyond
from app.dispatch.rules.windows import Booked, Piece
from app.technicians.rules import minutes_in, working_time
from app.worktypes.rules import WorkType


class Grade(StrEnum):
    """How good a slot is to take: much room or on somebody's way, some, or hardly any."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Taken(NamedTuple):
    """Alike appointments of one person's day that nobody has begun with.

    `here` says that they lie in the grid asked about.
    """

    here: bool
    window: Piece
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
    """Say how many of an appointment's minutes count in a slot: by the share of its window."""
    whole = minutes_in([window])
    return needed * within([window], slot.begins, slot.ends) / whole if whole else 0.0


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
    # Work that is longer than its window takes all of it and no more; the rest is the day's.
    window = (one.begins, one.until)
    return spread(window, min(one.minutes + diary.allowance, minutes_in([window])), slot)


def on_the_way(taken: Iterable[Taken], slot: Slot) -> bool:
    """Tell whether somebody is in the grid within the slot anyway."""
    return any(one.here and within([one.window], slot.begins, slot.ends) for one in taken)


class Roster(NamedTuple):
    """So many people of a unit who work alike on a weekday (Monday is 0), in local times."""

    weekday: int
    pieces: Sequence[tuple[time, time]]
    daily_minutes: int
    people: int


class Absence(NamedTuple):
    """Somebody's leave, and the shifts of their week (weekday, from, until) it falls into."""

    starts_at: datetime
    ends_at: datetime
    shifts: Sequence[tuple[int, time, time]]


class UnitTaken(NamedTuple):
    """Alike orders and holds of a unit's people on one local day, as far as nobody has begun.

    `minutes` is all they need with the way; `in_window` the same, but of each at most its window.
    """

    day: date
    work_type: str
    urgent: bool
    window: Piece | None
    orders: int
    minutes: float
    in_window: float


class Unit(NamedTuple):
    """What is known of a whole org unit: its zone, who works when, what is taken, what is bounded.

    `now` is when the day asked about begins at the earliest: what is over gives no minutes.
    """

    org_path: str
    zone: ZoneInfo
    now: datetime
    rosters: Sequence[Roster]
    absences: Sequence[Absence]
    taken: Mapping[date, Sequence[UnitTaken]]
    limits: Sequence[Limit]


def staffed(unit: Unit, slot: Slot) -> tuple[float, float]:
    """Add up the minutes that a unit's people work within a slot, and on its day."""
    in_slot = of_day = 0.0
    for roster in unit.rosters:
        if roster.weekday == slot.day.weekday():
            shifts = [(roster.weekday, *piece) for piece in roster.pieces]
            at_work, _ = working_time(shifts, (), unit.zone, slot.day, unit.now)
            in_slot += roster.people * within(at_work, slot.begins, slot.ends)
            of_day += roster.people * min(minutes_in(at_work), roster.daily_minutes)
    for absence in unit.absences:
        at_work, _ = working_time(absence.shifts, (), unit.zone, slot.day, unit.now)
        away = [
            (max(begins, absence.starts_at), min(ends, absence.ends_at))
            for begins, ends in at_work
            if begins < absence.ends_at and absence.starts_at < ends
        ]
        in_slot -= within(away, slot.begins, slot.ends)
        of_day -= minutes_in(away)
    return in_slot, of_day


def reserve_reached(unit: Unit, slot: Slot, reserve: float) -> bool:
    """Tell whether work that is not urgent has used up what is open to it, of slot or day.

    `reserve` is the share of a unit's minutes, from 0 to 1, that is kept for urgent work. The order
    that crosses the line is still taken: in a unit of one or two nothing else would ever fit.
    """
    in_slot, of_day = staffed(unit, slot)
    slot_taken = day_taken = 0.0
    for one in unit.taken.get(slot.day, ()):
        if not one.urgent:
            day_taken += one.minutes
            if one.window is not None:
                slot_taken += spread(one.window, one.in_window, slot)
    open_part = 1 - reserve
    return slot_taken >= open_part * in_slot or day_taken >= open_part * of_day


def limit_reached(unit: Unit, slot: Slot) -> NotOffered | None:
    """Say whether a limit of the operator's forbids one more appointment in a slot.

    A day for which nothing at all may be taken is a holiday.
    """
    ours = [limit for limit in unit.limits if limit.bounds(slot, unit.org_path)]
    if any(limit.most == 0 and not limit.category and not limit.slot for limit in ours):
        return NotOffered.HOLIDAY
    taken = unit.taken.get(slot.day, ())
    if any(sum(_counts(one, limit, slot) for one in taken) >= limit.most for limit in ours):
        return NotOffered.LIMIT_REACHED
    return None


def _counts(one: UnitTaken, limit: Limit, slot: Slot) -> int:
    if one.window is None:
        return 0
    if (limit.category or limit.slot) and one.work_type not in slot.work_types:
        return 0
    if limit.slot and not slot.begins <= one.window[0] < slot.ends:
        return 0
    return one.orders


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
