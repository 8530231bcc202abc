"""Until when a promise wants an order done, and how stops of its clock move that moment."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from app.grids.rules import GridKind
from app.promises.rules.calendar import NO_CALENDAR, Calendar
from app.promises.rules.stops import Span, merged
from app.worktypes.rules import WorkType


class Clock(StrEnum):
    """Which hours a promise counts: all that pass, or those that the unit works."""

    CALENDAR = "calendar"
    WORKING = "working"


class Per(StrEnum):
    """What a compensation is paid for: once an order, or every day it is late."""

    ORDER = "order"
    DAY = "day"


class Promise(NamedTuple):
    """One dated promise rule: `org_path` empty is for everybody; `valid_to` is excluded.

    A report before `cut_off` (local time) is due the same day at `due_time`; a later one, or any
    when there is no cut-off, `hours_after` hours after the report. By the working clock hours are
    those of the unit's calendar, and a report outside them counts from when they next begin.

    With `value_tier` or `grid_kind` it holds for such customers and places only. A late order is
    compensated with so many fen by `compensation_per`, at most `compensation_cap_fen` in all.
    `same_visit` is a promise for what is installed in the visit in which it was sold, and for
    nothing else.
    """

    id: UUID
    code: str
    org_path: str
    work_type: WorkType
    value_tier: str | None
    grid_kind: GridKind | None
    valid_from: date
    valid_to: date | None
    clock: Clock
    cut_off: time | None
    due_time: time
    hours_after: float
    compensation_fen: int
    compensation_per: Per
    compensation_cap_fen: int
    same_visit: bool = False


def promise_for(
    promises: Iterable[Promise],
    work_type: WorkType,
    org_path: str,
    day: date,
    *,
    value_tier: str | None = None,
    grid_kind: GridKind | None = None,
    same_visit: bool = False,
) -> Promise | None:
    """Find the promise in force for an org unit on a local day, a customer's tier and a place.

    For what is installed in the visit in which it was sold, a promise made for that counts, where
    there is one. Else the closest unit's counts; of its promises one for the tier before one for
    the kind of place before one for all; of those the latest. What is not known fits only promises
    that ask nothing.
    """
    fitting = [
        promise
        for promise in promises
        if promise.work_type is work_type
        and (same_visit or not promise.same_visit)
        and org_path.startswith(promise.org_path)
        and promise.value_tier in (None, value_tier)
        and promise.grid_kind in (None, grid_kind)
        and promise.valid_from <= day
        and (promise.valid_to is None or day < promise.valid_to)
    ]
    return max(
        fitting,
        key=lambda one: (
            one.same_visit,
            len(one.org_path),
            one.value_tier is not None,
            one.grid_kind is not None,
            one.valid_from,
        ),
        default=None,
    )


def first_due(
    reported_at: datetime,
    zone: ZoneInfo,
    promise: Promise,
    org_path: str = "",
    calendar: Calendar = NO_CALENDAR,
) -> datetime:
    """Say until when a promise wants an order done that was reported at an aware moment (UTC).

    Raises CalendarIsEmpty when it counts working hours and the unit has none.
    """
    working = promise.clock is Clock.WORKING
    begins = reported_at.astimezone(UTC)
    if working:
        begins = calendar.next_open(org_path, zone, begins)
    local = begins.astimezone(zone)
    if promise.cut_off is not None and local.time() < promise.cut_off:
        # A promise cannot be due before its clock has begun to run.
        return max(datetime.combine(local.date(), promise.due_time, zone).astimezone(UTC), begins)
    hours = timedelta(hours=promise.hours_after)
    return calendar.after(org_path, zone, begins, hours) if working else begins + hours


def with_stops(
    due: datetime,
    stops: Iterable[Span],
    zone: ZoneInfo,
    clock: Clock = Clock.CALENDAR,
    org_path: str = "",
    calendar: Calendar = NO_CALENDAR,
) -> datetime:
    """Move a due moment by the stops of its clock, so that the time to work in stays the same.

    Of each stop the time counts that its clock would have counted. A stop that begins when the
    order is late already excuses nothing. The order of the stops, and whether they overlap, makes
    no difference.
    """
    for begins, ends in merged(stops):
        if begins >= due:
            break
        if clock is Clock.CALENDAR:
            due += ends - begins
        else:
            due = calendar.after(
                org_path, zone, due, calendar.counted(org_path, zone, begins, ends)
            )
    return due


def due_at(
    reported_at: datetime,
    zone: ZoneInfo,
    promise: Promise,
    org_path: str = "",
    calendar: Calendar = NO_CALENDAR,
    stops: Iterable[Span] = (),
) -> datetime:
    """Say until when an order is due with all stops of its clock. Raises like `first_due`."""
    first = first_due(reported_at, zone, promise, org_path, calendar)
    # Before the report no clock ran that could have been stopped.
    since = [Span(max(one.begins, reported_at), one.ends) for one in stops]
    return with_stops(first, since, zone, promise.clock, org_path, calendar)


def left(
    now: datetime,
    due: datetime,
    stops: Iterable[Span],
    zone: ZoneInfo,
    clock: Clock = Clock.CALENDAR,
    org_path: str = "",
    calendar: Calendar = NO_CALENDAR,
) -> timedelta:
    """Say how much time is left until an order is due: what passes less what stands still.

    It is below nothing once the order is late, by all that has passed since.
    """
    if now >= due:
        return due - now

    def counted(begins: datetime, ends: datetime) -> timedelta:
        if ends <= begins:
            return timedelta()
        if clock is Clock.CALENDAR:
            return ends - begins
        return calendar.counted(org_path, zone, begins, ends)

    still = [counted(max(one.begins, now), min(one.ends, due)) for one in merged(stops)]
    return counted(now, due) - sum(still, timedelta())
