"""What is sold, whether it can be had, and whether it still costs what the customer saw."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, NamedTuple, Self
from uuid import UUID

from app.core.errors import Conflict, Invalid
from app.core.i18n import Words
from app.feasibility.rules import WORDS, No


class NotSoldAtTheDoor(Conflict):
    slug = "not-sold-at-the-door"
    title = Words(zh="该业务不能上门办理", en="This is not sold at the door")
    advice = Words(
        zh="{offering} 只能登记商机（{on_site}），请转客户经理。",
        en="For {offering} only a lead may be noted ({on_site}); pass it to the account manager.",
    )


# So many reasons are read out in one sentence; all of them are in the facts.
_NAMED = 10


class CannotBeHad(Conflict):
    slug = "cannot-be-had"
    title = Words(zh="该业务现在办不了", en="This customer cannot have it")
    advice = Words(
        zh="请告知客户并改单，或先消除原因：{named}。",
        en="Tell the customer and change the sale, or see to the reason first: {named}.",
    )

    def __init__(self, noes: Mapping[str, Sequence[No]]) -> None:
        listed = [(offering, no) for offering, several in noes.items() for no in several]
        super().__init__(
            offerings=list(noes),
            codes=list(dict.fromkeys(no.code for _, no in listed)),
            noes=[
                {
                    "offering_code": offering,
                    "code": no.code,
                    "words": WORDS[no.code],
                    "facts": dict(no.facts),
                }
                for offering, no in listed
            ],
            named=[
                Words(zh=f"{offering} {WORDS[no.code].zh}", en=f"{offering}: {WORDS[no.code].en}")
                for offering, no in listed[:_NAMED]
            ],
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


class Discount(NamedTuple):
    """So many percent off the monthly price, for so many months from the beginning."""

    percent: float
    months: int

    @classmethod
    def of(cls, percent: float | None, months: int | None) -> Self | None:
        """Make it of what was approved; None where that is the price of the catalogue."""
        return cls(percent, months) if percent and months else None

    def price_fen(self, monthly_price_fen: int) -> int:
        """Say what one costs a month while it lasts: the price of the catalogue less the percent,
        in whole fen, half a fen rounded up."""
        # By what is written: as binary fractions, 0.1 percent would be a little more than that.
        kept = (100 - Decimal(str(self.percent))) / 100
        return int((monthly_price_fen * kept).quantize(Decimal(1), ROUND_HALF_UP))

    def __str__(self) -> str:
        """Write it as it is read out: `20% × 6`."""
        return f"{self.percent:g}% × {self.months}"


class DiscountChanged(Conflict):
    slug = "discount-changed"
    title = Words(zh="优惠与批准的不一致", en="The discount is not what was approved")
    advice = Words(
        zh="请把批准的优惠告知客户并重新确认：{named}。",
        en="Tell the customer what was approved and ask again: {named}.",
    )

    def __init__(self, offering: str, seen: Discount, now: Discount) -> None:
        super().__init__(
            offering=offering,
            seen=seen._asdict(),
            now=now._asdict(),
            named=[f"{offering} {seen} → {now}"],
        )


class CodeForOneThing(Invalid):
    slug = "approval-code-for-one"
    title = Words(zh="一个审批码只能用于一件", en="An approval code is good for one thing")
    advice = Words(
        zh="{offering} 用审批码的只能有一行，数量为 1；其余请另列一行，按目录价办理。",
        en="Give one line of {offering} the code, with a quantity of 1; what else of it is sold is "
        "a line of its own, at the price of the catalogue.",
    )


@dataclass(frozen=True)
class Line:
    """One thing to be sold, as the phone asked for it; prices in fen as the customer saw them.

    `approval_code` is that of special terms, and percent and months are what the customer was told
    of them.
    """

    offering_code: str
    quantity: int
    seen_monthly_price_fen: int | None = None
    seen_one_off_price_fen: int | None = None
    suggestion_id: UUID | None = None
    approval_code: str | None = None
    seen_discount_percent: float | None = None
    seen_discount_months: int | None = None


def on_terms(sold: Iterable[tuple[str, str | UUID | None]]) -> frozenset[str]:
    """Name the offerings that are sold on an approval code alone, of codes and what each is sold
    on, if anything: of one that is also sold without, the code opens nothing."""
    lines = list(sold)
    bare = {offering for offering, by in lines if by is None}
    return frozenset(offering for offering, _ in lines) - bare


def discount_told(line: Line, approved: Discount) -> None:
    """Check that a customer was told of the discount that was approved, as far as it is known what
    they were told. Raises DiscountChanged, with both."""
    percent, months = line.seen_discount_percent, line.seen_discount_months
    seen = Discount(
        approved.percent if percent is None else percent,
        approved.months if months is None else months,
    )
    if seen != approved:
        raise DiscountChanged(line.offering_code, seen, approved)


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
