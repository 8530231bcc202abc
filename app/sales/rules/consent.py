"""How a customer agrees, to what exactly, and when that can have been."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Lang, Words
from app.core.parameters import Parameter
from app.sales.rules.prices import Discount

CLOCK_SKEW = timedelta(minutes=10)


class ConsentKind(StrEnum):
    """How the customer agreed."""

    SIGNATURE = "signature"
    SMS_REPLY = "sms_reply"
    OTP = "otp"


SIGNATURE_HOURS = Parameter(
    "sales.signature_hours",
    default=72,
    unit="h",
    words=Words(
        zh="签名图片最迟多少小时内上传，超时提示人工处理",
        en="How long the picture of a signature may take to arrive before somebody looks into it",
    ),
    least=1,
    most=720,
)


class ConsentOutOfTime(Invalid):
    slug = "consent-out-of-time"
    title = Words(zh="客户确认时间有误", en="The time of consent cannot be right")
    advice = Words(
        zh="确认时间 {given_at} 必须在下单 {made_at} 之后且不晚于现在。",
        en="Consent at {given_at} must lie after the sale at {made_at} and not in the future.",
    )


class ConsentNotOfThisSale(Conflict):
    slug = "consent-not-of-this-sale"
    title = Words(zh="客户确认的内容与本单不符", en="What the customer agreed to is not this sale")
    advice = Words(
        zh="客户确认的内容为 {agreed}，本单为 {sale}。"
        "请把本单的品名与价格再给客户看一遍并重新确认。",
        en="They agreed to {agreed}, and the sale is {sale}: show it to the customer once more and "
        "ask again.",
    )


class TermsChanged(Conflict):
    slug = "terms-changed"
    title = Words(zh="合约期已变动", en="The length of the contract has changed")
    advice = Words(
        zh="请把新的合约期告知客户并重新下单：{named}。",
        en="Tell the customer the new length and put the sale together again: {named}.",
    )


class RealNameFailed(Conflict):
    slug = "real-name-failed"
    title = Words(zh="实名核验未通过，不能办理", en="The check of the real name did not pass")
    advice = Words(
        zh="客户证件核验未通过（{code}），{offerings} 均不能办理："
        "核对证件后重新提交 /v1/visits/{visit_id}/real-name-check，通过后再确认。",
        en="The customer's document did not pass ({code}), so {offerings} cannot be sold: compare "
        "it, post /v1/visits/{visit_id}/real-name-check anew and confirm once it has passed.",
    )


class RealNameNeeded(Conflict):
    slug = "real-name-needed"
    title = Words(
        zh="该业务须先核验实名", en="This is sold only to whom was identified at the door"
    )
    advice = Words(
        zh="{offerings} 须当面核验客户证件并通过："
        "请提交 /v1/visits/{visit_id}/real-name-check 后再确认。",
        en="{offerings} need the customer's document to be checked, and passed: "
        "post /v1/visits/{visit_id}/real-name-check and confirm then.",
    )


def consent_in_time(given_at: datetime, made_at: datetime, now: datetime) -> None:
    """Check that consent was given after the sale was put together and not in the future.

    Phones' clocks are wrong by minutes, so ten are forgiven. Raises ConsentOutOfTime.
    """
    if given_at < made_at - CLOCK_SKEW or given_at > now + CLOCK_SKEW:
        raise ConsentOutOfTime(given_at=given_at, made_at=made_at)


# --- what the customer is shown -------------------------------------------------------------------


class ShownItem(NamedTuple):
    """One thing sold as the customer is shown it; money in fen, null months are not known.

    `monthly_price_fen` is without the discount, which is None where there is none.
    """

    offering_code: str
    quantity: int
    monthly_price_fen: int
    one_off_price_fen: int
    contract_months: int | None
    discount: Discount | None = None

    def month_fen(self, month: int) -> int:
        """Say what all of it costs in a month, the first of which is 1."""
        if self.discount is not None and month <= self.discount.months:
            return self.quantity * self.discount.price_fen(self.monthly_price_fen)
        return self.quantity * self.monthly_price_fen


def shown_text(sale_id: UUID, customer_id: UUID, items: Sequence[ShownItem]) -> str:
    """Write what a customer agrees to, in the one form that phones write as well.

    It is made of lines that end with a line feed: a heading, the sale, the customer, and each item
    in the order it was sold. Where there is a discount, the item's line ends with what one costs a
    month while it lasts, and for how many months. A phone without a network can hash the same.
    """
    lines = ["yingwei consent 1", f"sale {sale_id}", f"customer {customer_id}"]
    lines += [
        f"item {item.offering_code} {item.quantity} {item.monthly_price_fen}"
        f" {item.one_off_price_fen}"
        f" {'-' if item.contract_months is None else item.contract_months}"
        f"{_shown_discount(item)}"
        for item in items
    ]
    return "".join(f"{line}\n" for line in lines)


def _shown_discount(item: ShownItem) -> str:
    if item.discount is None:
        return ""
    return f" {item.discount.price_fen(item.monthly_price_fen)} {item.discount.months}"


def shown_hash(sale_id: UUID, customer_id: UUID, items: Sequence[ShownItem]) -> str:
    """Hash what a customer agrees to (SHA-256 of its UTF-8 bytes, hexadecimal)."""
    return hashlib.sha256(shown_text(sale_id, customer_id, items).encode()).hexdigest()


def of_this_sale(agreed: str, sale: str) -> None:
    """Check that a hash of what was agreed to is that of the sale. Raises ConsentNotOfThisSale."""
    if agreed != sale:
        raise ConsentNotOfThisSale(agreed=agreed, sale=sale)


def terms_unchanged(agreed: Sequence[ShownItem], now: Sequence[ShownItem]) -> None:
    """Check that contracts are as long as they were when the sale was put together.

    Raises TermsChanged, with both.
    """
    named = [
        f"{before.offering_code} {before.contract_months} → {after.contract_months}"
        for before, after in zip(agreed, now, strict=True)
        if before.contract_months is not None and before.contract_months != after.contract_months
    ]
    if named:
        raise TermsChanged(named=named)


def yuan(fen: int) -> str:
    """Write an amount of money in yuan."""
    return f"¥{fen / 100:.2f}"


def price_words(items: Sequence[ShownItem], lang: Lang) -> str:
    """Say what all of it costs together."""
    one_off = sum(item.one_off_price_fen * item.quantity for item in items)
    said = _monthly_words(items)
    if one_off:
        said = Words(
            zh=f"{said.zh}，一次性 {yuan(one_off)}", en=f"{said.en} and {yuan(one_off)} once"
        )
    months = max((item.contract_months or 0 for item in items), default=0)
    if months:
        said = Words(zh=f"{said.zh}，合约期 {months} 个月", en=f"{said.en}, for {months} months")
    return said.say(lang)


def _monthly_words(items: Sequence[ShownItem]) -> Words:
    """Say what all of it costs a month: until the first discount ends, then until the next one
    does, and from then on."""
    ends = sorted({item.discount.months for item in items if item.discount is not None})
    costs = [yuan(sum(item.month_fen(month) for item in items)) for month in (*ends, _FOR_GOOD)]
    if not ends:
        return Words(zh=f"每月 {costs[0]}", en=f"{costs[0]} a month")
    zh = [f"首{ends[0]}个月每月 {costs[0]}"]
    en = [f"{costs[0]} a month for the first {ends[0]} months"]
    for end, cost in zip(ends[1:], costs[1:], strict=False):
        zh.append(f"至第{end}个月每月 {cost}")
        en.append(f"{cost} a month up to month {end}")
    return Words(
        zh=f"{'，'.join(zh)}，之后每月 {costs[-1]}", en=f"{', '.join(en)}, then {costs[-1]} a month"
    )


# No discount lasts as long as that.
_FOR_GOOD = 10_000
