"""Reservations: minutes of a technician's day and terminals of their van, for a while."""

from datetime import datetime
from enum import StrEnum

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter

RESERVATION_MINUTES = Parameter(
    "feasibility.reservation_minutes",
    default=30,
    unit="min",
    words=Words(
        zh="即办即装预留的工时和终端保留多久",
        en="How long minutes and terminals are reserved for an install at the door",
    ),
    least=1,
    most=240,
)
AWAITING_MINUTES = Parameter(
    "feasibility.awaiting_minutes",
    default=60,
    unit="min",
    words=Words(
        zh="等待二次确认期间，即办即装的预留最多保留多久",
        en="How long an install stays reserved while a second confirmation is waited for",
    ),
    least=1,
    most=480,
)
APPOINTMENT_HOURS = Parameter(
    "feasibility.appointment_hours",
    default=72,
    unit="h",
    words=Words(
        zh="随单预约的安装时段为订购系统的装机工单保留多久",
        en="How long the slot that a sale books is kept for the ordering system's install order",
    ),
    least=1,
    most=720,
)
NEXT_DAYS = Parameter(
    "feasibility.next_days",
    default=7,
    unit="days",
    words=Words(
        zh="不能即办即装时向后找几天的可约时段",
        en="How many days are looked at for the next best time of an install",
    ),
    least=1,
    most=31,
)


REAL_NAME_WANTED = Parameter(
    "feasibility.real_name_wanted",
    default=1,
    unit="0/1/2",
    words=Words(
        zh="哪些业务要求先通过实名核验（0 不要求，1 新装线路，2 全部）",
        en="What is sold only after the real name was checked (0 nothing, 1 new lines, 2 all)",
    ),
    most=2,
)


class ReservationState(StrEnum):
    """Where a reservation stands. One that is held past its time counts no more."""

    HELD = "held"
    USED = "used"
    RELEASED = "released"
    EXPIRED = "expired"


def standing(state: ReservationState, expires_at: datetime, now: datetime) -> ReservationState:
    """Say where a reservation stands by now, also before somebody has ended it."""
    over = state is ReservationState.HELD and expires_at <= now
    return ReservationState.EXPIRED if over else state


def done_minutes(
    estimated: int, checked_in_at: datetime | None, restored_at: datetime | None, now: datetime
) -> int | None:
    """Say how many of the estimated minutes of the work at a door are behind whoever is there: all
    once the fault is mended. None before they have arrived."""
    if checked_in_at is None:
        return None
    if restored_at is not None:
        return estimated
    return min(max(int((now - checked_in_at).total_seconds() // 60), 0), estimated)


class InstallNotFeasible(Conflict):
    slug = "install-not-feasible"
    title = Words(zh="本次上门不能即办即装", en="It cannot be installed in this visit")
    advice = Words(
        zh="原因见 facts.noes：{codes}；可改约 facts.next_best 的时段。",
        en="See facts.noes for why not: {codes}; facts.next_best is the next time that can be "
        "kept.",
    )


class NothingToInstall(Conflict):
    slug = "nothing-to-install"
    title = Words(zh="无需安装", en="There is nothing to install")
    advice = Words(
        zh="所选业务开通即用，无需预留工时和终端。",
        en="What was chosen works once it is opened; nothing has to be reserved.",
    )


class ReservationUsed(Conflict):
    slug = "reservation-used"
    title = Words(zh="预留已用于装机工单", en="The reservation was used for an install")
    advice = Words(
        zh="已生成装机工单，不能再取消预留；如不再安装请退单或取消工单。",
        en="There is an install order in its place; hand that back or have it cancelled.",
    )
