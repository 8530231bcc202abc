"""Until when a promise wants an order done."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

from app.worktypes.rules import WorkType


class Promise(NamedTuple):
    """One dated promise rule: `org_path` empty is for everybody; `valid_to` is excluded.

    A report before `cut_off` (local time) is due the same day at `due_time`; a later one, or any
    when there is no cut-off, `hours_after` hours after the report.
    """

    id: UUID
    code: str
    org_path: str
    work_type: WorkType
    valid_from: date
    valid_to: date | None
    cut_off: time | None
    due_time: time
    hours_after: float


def promise_for(
    promises: Iterable[Promise], work_type: WorkType, org_path: str, day: date
) -> Promise | None:
    """Find the promise in force for an org unit on a local day: the closest unit's, the latest."""
    fitting = [
        promise
        for promise in promises
        if promise.work_type is work_type
        and org_path.startswith(promise.org_path)
        and promise.valid_from <= day
        and (promise.valid_to is None or day < promise.valid_to)
    ]
    return max(fitting, key=lambda one: (len(one.org_path), one.valid_from), default=None)


def due_at(reported_at: datetime, zone: ZoneInfo, promise: Promise) -> datetime:
    """Say until when a promise wants an order done that was reported at an aware moment (UTC)."""
    local = reported_at.astimezone(zone)
    if promise.cut_off is not None and local.time() < promise.cut_off:
        return datetime.combine(local.date(), promise.due_time, zone).astimezone(UTC)
    return reported_at.astimezone(UTC) + timedelta(hours=promise.hours_after)
