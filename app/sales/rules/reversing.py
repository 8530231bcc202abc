"""Taking a sale back after it was acknowledged: why, and until when a customer may."""

from datetime import datetime, timedelta
from enum import StrEnum

from app.core.errors import Conflict
from app.core.i18n import Words
from app.core.parameters import Parameter


class ReversalReason(StrEnum):
    """Why a sale was taken back; the last two are what the ordering system says."""

    CHANGED_MIND = "changed_mind"
    TOO_EXPENSIVE = "too_expensive"
    NOT_AS_TOLD = "not_as_told"
    DOES_NOT_WORK = "does_not_work"
    MOVED_AWAY = "moved_away"
    OTHER = "other"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_REJECTED = "order_rejected"


# What a customer can be the reason for.
RETURNED = frozenset(ReversalReason) - {
    ReversalReason.ORDER_CANCELLED,
    ReversalReason.ORDER_REJECTED,
}

RETURN_DAYS = Parameter(
    "sales.return_days",
    default=30.0,
    unit="days",
    words=Words(
        zh="受理成功后多少天内退订算冲正",
        en="How long after it was acknowledged a sale that is returned counts as reversed",
    ),
    most=365,
)


class NothingToReverse(Conflict):
    slug = "nothing-to-reverse"
    title = Words(zh="该销售单尚未受理成功，无可冲正", en="This sale was never acknowledged")
    advice = Words(
        zh="销售单现为 {state}：未受理的请撤销，不必冲正。",
        en="The sale is {state}: what was not acknowledged is cancelled, not reversed.",
    )


class ReversedAlready(Conflict):
    slug = "sale-reversed-already"
    title = Words(zh="该销售单已冲正", en="This sale is reversed already")
    advice = Words(
        zh="已于 {reversed_at} 冲正，一张销售单只冲正一次。",
        en="It was reversed at {reversed_at}; a sale is reversed once.",
    )


class ItemReversedAlready(Conflict):
    slug = "sale-item-reversed-already"
    title = Words(zh="该项已退订", en="This item is taken back already")
    advice = Words(
        zh="已于 {reversed_at} 退订，一项只退订一次。",
        en="It was taken back at {reversed_at}; an item is taken back once.",
    )


class LastItem(Conflict):
    slug = "last-item-of-a-sale"
    title = Words(zh="这是该销售单仅剩的一项", en="Nothing else is left of this sale")
    advice = Words(
        zh="其余各项均已退订，请对整张销售单冲正。",
        en="All others are taken back: reverse the sale as a whole.",
    )


class ReturnedTooLate(Conflict):
    slug = "returned-too-late"
    title = Words(zh="退订时间不在冲正期内", en="Not returned within the time that counts")
    advice = Words(
        zh="退订时间 {returned_at} 应在客户确认（{confirmed_at}）之后、"
        "受理（{acknowledged_at}）后 {days} 天内，且不晚于现在。",
        en="Returned at {returned_at}; that must lie after {confirmed_at}, within {days} days after"
        " {acknowledged_at}, and not in the future.",
    )


def returned_in_time(
    returned_at: datetime,
    *,
    confirmed_at: datetime,
    acknowledged_at: datetime,
    now: datetime,
    days: float,
) -> None:
    """Check that a return counts as a reversal; when it is told of does not matter, and neither
    does it that we may have heard only later that the sale had been acknowledged.

    Raises ReturnedTooLate.
    """
    if not confirmed_at <= returned_at <= min(now, acknowledged_at + timedelta(days=days)):
        raise ReturnedTooLate(
            returned_at=returned_at,
            confirmed_at=confirmed_at,
            acknowledged_at=acknowledged_at,
            days=days,
        )
