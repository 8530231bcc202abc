"""Customers who have left: why, whether they can be reached, and whether they may be asked."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from app.core.errors import Conflict
from app.core.i18n import Words


class LeaveReason(StrEnum):
    """Why a customer left."""

    PRICE = "price"
    COMPETITOR = "competitor"
    QUALITY = "quality"
    SERVICE = "service"
    MOVED_AWAY = "moved_away"
    NO_NEED = "no_need"
    DECEASED = "deceased"
    ARREARS = "arrears"
    OTHER = "other"
    UNKNOWN = "unknown"


LEAVE_WORDS: dict[LeaveReason, Words] = {
    LeaveReason.PRICE: Words("嫌贵", "too expensive"),
    LeaveReason.COMPETITOR: Words("转投友商", "went to a competitor"),
    LeaveReason.QUALITY: Words("网络质量不满意", "unhappy with the line"),
    LeaveReason.SERVICE: Words("服务不满意", "unhappy with the service"),
    LeaveReason.MOVED_AWAY: Words("搬家", "moved away"),
    LeaveReason.NO_NEED: Words("不再需要", "no longer needs it"),
    LeaveReason.DECEASED: Words("机主去世", "the holder has died"),
    LeaveReason.ARREARS: Words("欠费拆机", "disconnected for arrears"),
    LeaveReason.OTHER: Words("其他", "something else"),
    LeaveReason.UNKNOWN: Words("未知", "not known"),
}

# Nobody is asked to come back after these.
NEVER_ASKED = frozenset({LeaveReason.DECEASED, LeaveReason.ARREARS})


class LeaverSource(StrEnum):
    """Who says that a customer has left."""

    REMOVAL = "removal"
    LIFECYCLE = "lifecycle"
    CRM = "crm"
    RECORDED = "recorded"


# A line that says why beats one that only says that, and a person's word beats a file's.
_WEIGHT = {
    LeaverSource.LIFECYCLE: 0,
    LeaverSource.CRM: 1,
    LeaverSource.REMOVAL: 2,
    LeaverSource.RECORDED: 3,
}


def outweighs(told: LeaverSource, held: LeaverSource, reason: LeaveReason) -> bool:
    """Tell whether what is told of a leaver takes the place of what is held; not where the reason
    told is unknown."""
    return reason is not LeaveReason.UNKNOWN and _WEIGHT[told] >= _WEIGHT[held]


def reason_of(closing_code: str | None) -> LeaveReason:
    """Read why a customer left from a removal's closing code.

    A code that ends with the name of a reason, as `removed_competitor` does, says it; all others
    leave it unknown.
    """
    code = closing_code or ""
    for reason in LeaveReason:
        if code == reason.value or code.endswith(f"_{reason.value}"):
            return reason
    return LeaveReason.UNKNOWN


@dataclass(frozen=True)
class Leaving:
    """What is told of a customer's leaving, on a local day; null is not known."""

    left_on: date
    reason: LeaveReason
    competitor: str | None = None
    reachable: bool | None = None
    note: str | None = None


class NotAFormerCustomer(Conflict):
    slug = "not-a-former-customer"
    title = Words(zh="该客户未离网", en="This customer has not left")
    advice = Words(
        zh="该客户仍有在用业务，不能登记离网原因。",
        en="Services still run for this customer, so there is no leaving to record.",
    )
