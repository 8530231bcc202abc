"""What a sale asks of the visit it is made in."""

from datetime import datetime, timedelta

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter
from app.sales.rules.consent import CLOCK_SKEW

LATE_HOURS = Parameter(
    "sales.late_hours",
    default=72.0,
    unit="h",
    words=Words(
        zh="上门结束后多少小时内仍可补录随销（手机离线）",
        en="How long after a visit its sales may still arrive from an offline phone",
    ),
)


class VisitNotBegun(Conflict):
    slug = "visit-not-begun"
    title = Words(zh="尚未上门签到", en="Nobody has checked in at this door")
    advice = Words(
        zh="请先签到，再为客户办理业务。", en="Check in first; a sale is made at the door."
    )


class VisitOver(Conflict):
    slug = "visit-over"
    title = Words(zh="该次上门已结束太久", en="This visit ended too long ago")
    advice = Words(
        zh="上门已于 {ended_at} 结束，补录时限为 {hours} 小时。",
        en="It ended at {ended_at}; sales may arrive up to {hours} hours later.",
    )


class OfferHeldBack(Conflict):
    slug = "offer-held-back-meanwhile"
    title = Words(zh="该推荐现已不可办理", en="What was suggested may not be sold now")
    advice = Words(
        zh="推荐之后情况有变：{words}。客户已同意的答复仍会保留。",
        en="Since it was suggested: {words}. What the customer said is kept all the same.",
    )


def agreed_at(said: datetime | None, *, begun_at: datetime | None, now: datetime) -> datetime:
    """Say when something was agreed on at the door, as far as a phone's word for it can be right:
    not in the future, and not before anybody was there. Null of what was said is now; phones'
    clocks are wrong by minutes, so ten are forgiven."""
    at = min(said or now, now)
    return at if begun_at is None else min(max(at, begun_at - CLOCK_SKEW), now)


def within_visit(
    *, checked_in_at: datetime | None, ended_at: datetime | None, now: datetime, late_hours: float
) -> None:
    """Check that a sale belongs to a visit that is going on, or ended not too long ago.

    Raises VisitNotBegun before the check-in and VisitOver when the phone comes too late.
    """
    if checked_in_at is None:
        raise VisitNotBegun()
    if ended_at is not None and now - ended_at > timedelta(hours=late_hours):
        raise VisitOver(ended_at=ended_at, hours=late_hours)
