"""Technicians' words, when they are at work, and how skills and shifts are written in a file."""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from app.core.cells import NotReadable
from app.core.errors import Conflict, Invalid
from app.core.i18n import Words

HIGHEST_LEVEL = 5
LONGEST_LEAVE = timedelta(days=366)
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class LeaveCause(StrEnum):
    """Why a technician does not work for a time."""

    HOLIDAY = "holiday"
    ILLNESS = "illness"
    TRAINING = "training"
    OTHER = "other"


class Away(StrEnum):
    """Why a technician is not at work on a day."""

    INACTIVE = "inactive"
    NOT_ON_SHIFT = "not_on_shift"
    ON_LEAVE = "on_leave"


AWAY_WORDS: dict[Away, Words] = {
    Away.INACTIVE: Words(zh="账号已停用", en="no longer active"),
    Away.NOT_ON_SHIFT: Words(zh="不当班", en="not on shift"),
    Away.ON_LEAVE: Words(zh="请假", en="on leave"),
}


class LeaveOverlaps(Conflict):
    slug = "leave-overlaps"
    title = Words(zh="与已登记的休假重叠", en="This leave overlaps another one")
    advice = Words(
        zh="{starts_at} 至 {ends_at} 已登记休假（{cause}）；请调整时间，或先撤销该休假。",
        en="There is leave ({cause}) from {starts_at} to {ends_at}; change the times or remove it.",
    )


class WorkingTime(NamedTuple):
    """One shift of a week: Monday is 0, local times of the org unit."""

    weekday: int
    starts_at: time
    ends_at: time


def leave_in_order(starts_at: datetime, ends_at: datetime) -> None:
    """Check that a leave ends after it starts, and within a year. Raises Invalid."""
    if not starts_at < ends_at <= starts_at + LONGEST_LEAVE:
        raise Invalid(
            errors=[
                {
                    "field": "ends_at",
                    "message": f"must lie after starts_at, at most {LONGEST_LEAVE.days} days",
                }
            ]
        )


class DayRead(NamedTuple):
    """What is written of a day as it was read without locking it: its version, which is 0 where
    there was nothing yet, and in which order its orders are to be done."""

    version: int
    route: tuple[UUID, ...] = ()


UNREAD = DayRead(0)

Piece = tuple[datetime, datetime]  # aware moments, from and until


def working_time(
    shifts: Sequence[tuple[int, time, time]],
    leave: Sequence[Piece],
    zone: ZoneInfo,
    day: date,
    not_before: datetime,
) -> tuple[list[Piece], Away | None]:
    """Say when somebody works on a local day from a moment on; when never, say why.

    `shifts` are (weekday, from, until) in local time, Monday is 0; the answer is aware moments.
    """
    today = day.weekday()
    planned = [
        (
            max(datetime.combine(day, begins, zone).astimezone(UTC), not_before),
            datetime.combine(day, ends, zone).astimezone(UTC),
        )
        for weekday, begins, ends in shifts
        if weekday == today
    ]
    planned = [(begins, ends) for begins, ends in planned if begins < ends]
    if not planned:
        return [], Away.NOT_ON_SHIFT
    for away_from, away_until in leave:
        planned = [
            piece
            for begins, ends in planned
            for piece in ((begins, min(ends, away_from)), (max(begins, away_until), ends))
            if piece[0] < piece[1]
        ]
    return planned, None if planned else Away.ON_LEAVE


def minutes_in(pieces: Iterable[Piece]) -> float:
    """Add up how many minutes some pieces of time have."""
    return sum((ends - begins).total_seconds() for begins, ends in pieces) / 60


class Works(Protocol):
    """What tells when somebody works: `technicians.queries.Working` is one."""

    @property
    def active(self) -> bool: ...
    @property
    def daily_minutes(self) -> int: ...
    @property
    def zone(self) -> ZoneInfo: ...
    @property
    def shifts(self) -> Sequence[tuple[int, time, time]]: ...
    @property
    def leave(self) -> Sequence[Piece]: ...


def presence(
    who: Works, day: date, *, not_before: datetime | None = None
) -> tuple[float, Away | None]:
    """Say how many minutes of a local day somebody has for work; when none, say why.

    From a moment on where one is given, else of the whole day; no more than their daily minutes.
    """
    if not who.active:
        return 0.0, Away.INACTIVE
    midnight = datetime.combine(day, time.min, who.zone)
    pieces, away = working_time(
        who.shifts, who.leave, who.zone, day, max(midnight, not_before or midnight)
    )
    return min(minutes_in(pieces), float(who.daily_minutes)), away


class Loan(NamedTuple):
    """Somebody who works for another org unit on some local days, `valid_to` excluded.

    `org_path` is the borrowing unit's.
    """

    technician_id: UUID
    org_unit_id: UUID
    org_path: str
    valid_from: date
    valid_to: date

    def on(self, day: date) -> bool:
        """Tell whether they are lent on a local day."""
        return self.valid_from <= day < self.valid_to

    def serves(self, org_path: str) -> bool:
        """Tell whether they are lent to this unit, given by its path, or to one above it."""
        return org_path.startswith(self.org_path)


_SKILL = re.compile(r"([a-z][a-z0-9_]{0,39})(?::([1-9]))?")


def skills_from(cell: str) -> dict[str, int]:
    """Read skills with their levels, as in `fibre:3; copper; iptv:2`; a level left out is 1.

    Raises NotReadable.
    """
    skills: dict[str, int] = {}
    for part in _parts(cell, ";"):
        match = _SKILL.fullmatch(part)
        if not match or match[1] in skills or int(match[2] or 1) > HIGHEST_LEVEL:
            raise NotReadable(
                Words(
                    zh=f"技能写作 fibre:3; copper（级别 1-{HIGHEST_LEVEL}，不重复），而非 {part}",
                    en=f"skills are written fibre:3; copper (levels 1-{HIGHEST_LEVEL}), not {part}",
                )
            )
        skills[match[1]] = int(match[2] or 1)
    return skills


_DAYS = re.compile(r"([a-z]{3})(?:-([a-z]{3}))?")
_TIMES = re.compile(r"(\d\d?):(\d\d)-(\d\d?):(\d\d)")


def shifts_from(cell: str) -> list[WorkingTime]:
    """Read a week's shifts, as in `mon-fri 08:30-12:00 13:30-18:00; sat 09:00-12:00`.

    Raises NotReadable, also for shifts of one day that overlap.
    """
    shifts: list[WorkingTime] = []
    for part in _parts(cell, ";"):
        days, *times = part.split()
        try:
            for weekday in _weekdays(days):
                shifts += [WorkingTime(weekday, *_times(given)) for given in times]
            if not times:
                raise ValueError("no times")
        except ValueError:
            raise NotReadable(
                Words(
                    zh=f"班次写作 mon-fri 8:30-12:00 13:30-18:00; sat 9:00-12:00，而非 {part}",
                    en=f"shifts are written mon-fri 8:30-12:00 13:30-18:00; sat 9:00-12:00: {part}",
                )
            ) from None
    shifts.sort()
    for earlier, later in pairwise(shifts):
        if earlier.weekday == later.weekday and later.starts_at < earlier.ends_at:
            raise NotReadable(
                Words(
                    zh=f"{WEEKDAYS[later.weekday]} 的班次重叠",
                    en=f"shifts of {WEEKDAYS[later.weekday]} overlap",
                )
            )
    return shifts


def _parts(cell: str, separator: str) -> list[str]:
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _weekdays(days: str) -> range:
    match = _DAYS.fullmatch(days)
    if not match:
        raise ValueError(days)
    first = WEEKDAYS.index(match[1])
    last = WEEKDAYS.index(match[2] or match[1])
    if last < first:
        raise ValueError(days)
    return range(first, last + 1)


def _times(given: str) -> tuple[time, time]:
    match = _TIMES.fullmatch(given)
    if not match:
        raise ValueError(given)
    starts_at = time(int(match[1]), int(match[2]))
    ends_at = time(int(match[3]), int(match[4]))
    if ends_at <= starts_at:
        raise ValueError(given)
    return starts_at, ends_at
