"""A sale's states and steps, what the customer's consent must show, and what may be refused."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Literal
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.core.parameters import Parameter


class SaleState(StrEnum):
    """Where a sale stands on its way into the ordering system."""

    DRAFT = "draft"
    CONFIRMED = "confirmed"
    SENT = "sent"
    ACKNOWLEDGED = "acknowledged"
    # Somebody asked for the order to be cancelled; the ordering system has not decided yet.
    CANCELLING = "cancelling"
    REJECTED = "rejected"
    COMPLETED = "completed"
    CANCELLED = "cancelled"


class ConsentKind(StrEnum):
    """How the customer agreed."""

    SIGNATURE = "signature"
    SMS_REPLY = "sms_reply"
    OTP = "otp"


LATE_HOURS = Parameter(
    "sales.late_hours",
    default=72.0,
    unit="h",
    words=Words(
        zh="上门结束后多少小时内仍可补录随销（手机离线）",
        en="How long after a visit its sales may still arrive from an offline phone",
    ),
)
CLOCK_SKEW = timedelta(minutes=10)

# Every legal move. The ordering system may answer late, so later states can be reached from any
# earlier one, and never the other way round.
MOVES: dict[SaleState, frozenset[SaleState]] = {
    SaleState.DRAFT: frozenset({SaleState.CONFIRMED, SaleState.CANCELLED}),
    SaleState.CONFIRMED: frozenset(
        {
            SaleState.SENT,
            SaleState.ACKNOWLEDGED,
            SaleState.CANCELLING,
            SaleState.REJECTED,
            SaleState.COMPLETED,
            SaleState.CANCELLED,
        }
    ),
    SaleState.SENT: frozenset(
        {
            SaleState.ACKNOWLEDGED,
            SaleState.CANCELLING,
            SaleState.REJECTED,
            SaleState.COMPLETED,
            SaleState.CANCELLED,
        }
    ),
    SaleState.ACKNOWLEDGED: frozenset(
        {SaleState.CANCELLING, SaleState.REJECTED, SaleState.COMPLETED, SaleState.CANCELLED}
    ),
    # That the order goes on meanwhile is no news; only a refusal lets the sale go on (`go_on`).
    SaleState.CANCELLING: frozenset({SaleState.REJECTED, SaleState.COMPLETED, SaleState.CANCELLED}),
    SaleState.REJECTED: frozenset(),
    SaleState.COMPLETED: frozenset(),
    SaleState.CANCELLED: frozenset(),
}


class SaleRefused(Conflict):
    slug = "sale-step-refused"
    title = Words(zh="该销售单当前状态不能执行此操作", en="This sale is not ready for that")
    advice = Words(
        zh="销售单现为 {state}，不能变为 {wanted}。",
        en="The sale is {state} and cannot become {wanted}.",
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


class NotSoldAtTheDoor(Conflict):
    slug = "not-sold-at-the-door"
    title = Words(zh="该业务不能上门办理", en="This is not sold at the door")
    advice = Words(
        zh="{offering} 只能登记商机（{on_site}），请转客户经理。",
        en="For {offering} only a lead may be noted ({on_site}); pass it to the account manager.",
    )


class OfferHeldBack(Conflict):
    slug = "offer-held-back-meanwhile"
    title = Words(zh="该推荐现已不可办理", en="What was suggested may not be sold now")
    advice = Words(
        zh="推荐之后情况有变：{words}。客户已同意的答复仍会保留。",
        en="Since it was suggested: {words}. What the customer said is kept all the same.",
    )


class NotInTheCatalogue(Invalid):
    slug = "not-in-the-catalogue"
    title = Words(zh="销售品不在当前目录中", en="Not in the catalogue today")
    advice = Words(
        zh="{offerings} 今天没有在售版本，请刷新目录。",
        en="{offerings} cannot be sold today; refresh the catalogue.",
    )


@dataclass(frozen=True)
class Change:
    """A price in fen that is not what the customer saw."""

    offering: str
    price: Literal["monthly", "one_off"]
    seen_fen: int
    now_fen: int


class PriceChanged(Conflict):
    slug = "price-changed"
    title = Words(zh="价格已变动", en="The price has changed")
    advice = Words(
        zh="请把新价格告知客户并重新确认：{named}。",
        en="Tell the customer the new price and ask again: {named}.",
    )

    def __init__(self, prices: Sequence[Change]) -> None:
        super().__init__(
            prices=[asdict(change) for change in prices],
            named=[
                f"{change.offering} ¥{change.seen_fen / 100:.2f} → ¥{change.now_fen / 100:.2f}"
                for change in prices
            ],
        )


class ConsentOutOfTime(Invalid):
    slug = "consent-out-of-time"
    title = Words(zh="客户确认时间有误", en="The time of consent cannot be right")
    advice = Words(
        zh="确认时间 {given_at} 必须在下单 {made_at} 之后且不晚于现在。",
        en="Consent at {given_at} must lie after the sale at {made_at} and not in the future.",
    )


@dataclass(frozen=True)
class Line:
    """One thing to be sold, as the phone asked for it; prices in fen as the customer saw them."""

    offering_code: str
    quantity: int
    seen_monthly_price_fen: int | None = None
    seen_one_off_price_fen: int | None = None
    suggestion_id: UUID | None = None


def changed(line: Line, *, monthly_fen: int, one_off_fen: int) -> list[Change]:
    """List the prices in force that are not what the customer saw, as far as it is known."""
    code, seen_monthly, seen_one_off = (
        line.offering_code,
        line.seen_monthly_price_fen,
        line.seen_one_off_price_fen,
    )
    changes = []
    if seen_monthly is not None and seen_monthly != monthly_fen:
        changes.append(Change(code, "monthly", seen_monthly, monthly_fen))
    if seen_one_off is not None and seen_one_off != one_off_fen:
        changes.append(Change(code, "one_off", seen_one_off, one_off_fen))
    return changes


def move(state: SaleState, wanted: SaleState) -> SaleState:
    """Say that a sale may go from one state to another. Raises SaleRefused otherwise."""
    if wanted not in MOVES[state]:
        raise SaleRefused(state=state, wanted=wanted)
    return wanted


def reached(state: SaleState, wanted: SaleState) -> bool:
    """Tell whether news that a sale is `wanted` still changes anything for one in `state`."""
    return wanted in MOVES[state]


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


def consent_in_time(given_at: datetime, made_at: datetime, now: datetime) -> None:
    """Check that consent was given after the sale was put together and not in the future.

    Phones' clocks are wrong by minutes, so ten are forgiven. Raises ConsentOutOfTime.
    """
    if given_at < made_at - CLOCK_SKEW or given_at > now + CLOCK_SKEW:
        raise ConsentOutOfTime(given_at=given_at, made_at=made_at)


def content_hash(content: Any) -> str:
    """Hash what was agreed, in a canonical JSON form (SHA-256, hexadecimal)."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def sale_content(visit_id: UUID, lines: Sequence[Line], note: str | None) -> dict[str, Any]:
    """Write what a phone asked to sell in the form that `content_hash` compares."""
    return {"visit": visit_id, "lines": [astuple(line) for line in lines], "note": note}
