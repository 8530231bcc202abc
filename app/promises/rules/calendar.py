"""The working calendar of an org unit: weekly hours, holidays, and the days made up for them.

Moments are aware; hours are local to the unit's zone. A time that clocks skip or repeat once a year
is what the zone's own rules make of it, so an hour of work is always an hour that passed.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from itertools import count
from typing import NamedTuple
from zoneinfo import ZoneInfo

from app.core.errors import Problem
from app.core.i18n import Words

# A calendar that opens on none of so many days in a row has been written down wrongly.
_LOOK_AHEAD_DAYS = 400


class DayKind(StrEnum):
    """What a special day is: nobody works, or people work as on another day of the week."""

    HOLIDAY = "holiday"
    WORKDAY = "workday"


class Opening(NamedTuple):
    """Hours that a unit works on some days of the week: bit 0 of `weekdays` is Monday.

    `valid_to` is excluded. Several openings of one unit and one `valid_from` make up its week, so
    that a day can have a pause at noon.
    """

    org_path: str
    weekdays: int
    opens_at: time
    closes_at: time
    valid_from: date
    valid_to: date | None


class SpecialDay(NamedTuple):
    """A holiday, or a day that is worked to make up for one; `org_path` empty is for everybody."""

    org_path: str
    day: date
    kind: DayKind
    name: Words


class CalendarIsEmpty(Problem):
    slug, status = "calendar-is-empty", 503
    title = Words(zh="工作日历没有任何工作时间", en="The working calendar has no working hours")
    advice = Words(
        zh="组织 {org_path} 自 {day} 起没有工作时间；请管理员载入工作日历。",
        en="The unit {org_path} has no working hours from {day} on: an administrator can load them",
    )


class Calendar:
    """All weekly hours and special days; the closest unit that says something of a day counts."""

    def __init__(self, openings: Iterable[Opening], days: Iterable[SpecialDay]) -> None:
        self._openings = list(openings)
        self._days = {(one.org_path, one.day): one for one in days}
        self._known: dict[tuple[str, date], tuple[tuple[time, time], ...]] = {}

    def special(self, org_path: str, day: date) -> SpecialDay | None:
        """Find what a local day is for an org unit, if it is no day like others."""
        scope = org_path
        while True:
            found = self._days.get((scope, day))
            if found is not None or not scope:
                return found
            scope = scope.rstrip(".").rpartition(".")[0]
            scope = f"{scope}." if scope else ""

    def hours(self, org_path: str, day: date) -> tuple[tuple[time, time], ...]:
        """List the local hours that a unit works on a day, in order: none on a holiday.

        A day that is made up for works the hours of the first day of the week that has any.
        """
        known = self._known.get((org_path, day))
        if known is None:
            known = self._known[org_path, day] = self._hours(org_path, day)
        return known

    def _hours(self, org_path: str, day: date) -> tuple[tuple[time, time], ...]:
        special = self.special(org_path, day)
        if special is not None and special.kind is DayKind.HOLIDAY:
            return ()
        week = self._week(org_path, day)
        weekdays = [day.weekday()]
        if special is not None:
            weekdays = [each for each in range(7) if any(one.weekdays >> each & 1 for one in week)]
        if not weekdays:
            return ()
        return tuple(
            sorted((one.opens_at, one.closes_at) for one in week if one.weekdays >> weekdays[0] & 1)
        )

    def _week(self, org_path: str, day: date) -> list[Opening]:
        fitting = [
            one
            for one in self._openings
            if org_path.startswith(one.org_path)
            and one.valid_from <= day
            and (one.valid_to is None or day < one.valid_to)
        ]
        closest = max(((len(one.org_path), one.valid_from) for one in fitting), default=None)
        return [one for one in fitting if (len(one.org_path), one.valid_from) == closest]

    def opened(
        self, org_path: str, zone: ZoneInfo, since: datetime
    ) -> Iterator[tuple[datetime, datetime]]:
        """Give the spans of working time (UTC) that end after a moment, in order, without end.

        Raises CalendarIsEmpty where none comes for more than a year.
        """
        first = since.astimezone(zone).date()
        idle = 0
        for ahead in count():
            day = first + timedelta(days=ahead)
            hours = self.hours(org_path, day)
            idle = 0 if hours else idle + 1
            if idle > _LOOK_AHEAD_DAYS:
                raise CalendarIsEmpty(org_path=org_path, day=first)
            for opens, closes in hours:
                begins = datetime.combine(day, opens, zone).astimezone(UTC)
                ends = datetime.combine(day, closes, zone).astimezone(UTC)
                if ends > since and ends > begins:
                    yield max(begins, since.astimezone(UTC)), ends

    def counted(self, org_path: str, zone: ZoneInfo, since: datetime, until: datetime) -> timedelta:
        """Say how much working time lies between two moments: none where they are out of order."""
        total = timedelta()
        if until <= since:
            return total
        for begins, ends in self.opened(org_path, zone, since):
            if begins >= until:
                break
            total += min(ends, until) - begins
        return total

    def after(self, org_path: str, zone: ZoneInfo, since: datetime, more: timedelta) -> datetime:
        """Say when so much working time has passed since a moment (UTC); no time is that moment."""
        if more <= timedelta():
            return since.astimezone(UTC)
        for begins, ends in self.opened(org_path, zone, since):
            if more <= ends - begins:
                return begins + more
            more -= ends - begins
        raise AssertionError("the spans of a calendar have no end")

    def next_open(self, org_path: str, zone: ZoneInfo, since: datetime) -> datetime:
        """Say when it is working time for the first time from a moment on (UTC)."""
        return next(self.opened(org_path, zone, since))[0]


NO_CALENDAR = Calendar((), ())
