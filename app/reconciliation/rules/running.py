"""Where a comparison stands, and when none can be made."""

from collections.abc import Sequence
from datetime import date, timedelta
from enum import StrEnum

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words


class RunState(StrEnum):
    """Where a comparison stands: asked for, under way, done, or given up with its reason."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


def days_of_night(
    yesterday: date,
    *,
    missed_since: date,
    still_open: Sequence[date],
    every: int,
    until: int,
) -> list[date]:
    """List the days that are compared in a night, each once, the latest first: the one before it
    and those since `missed_since`, those whose differences are `still_open`, and of the others
    those that come round again after `every` so many days, `until` so many at most."""
    missed = [missed_since + timedelta(days=n) for n in range((yesterday - missed_since).days)]
    again = [yesterday - timedelta(days=n) for n in range(every, until + 1, every)]
    return sorted({yesterday, *missed, *still_open, *again}, reverse=True)


class NoOrderingSystem(Conflict):
    slug = "no-ordering-system"
    title = Words(zh="未设置订单系统", en="No ordering system is set")
    advice = Words(
        zh="请管理员设置订单系统地址后再对账。",
        en="Have an administrator set its address (YINGWEI_ORDERING_URL), then compare.",
    )


class NotOver(Invalid):
    slug = "day-not-begun"
    title = Words(zh="该日期尚未开始", en="This day has not begun")
    advice = Words(
        zh="今天是 {today}，请选择今天或更早的日期。",
        en="Today is {today}; choose it or an earlier day.",
    )
