"""The eleven levers in pairs: what each brings, and the harm that it may do unseen.

Whoever looks at one lever alone pushes it too far: a discount keeps customers who cost more than
they pay, a complex service brings calls, and calls that are diverted drive good customers away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from app.catalog.rules import ValueLever
from app.core.i18n import Words

LEVER_WORDS: dict[ValueLever, Words] = {
    ValueLever.INTENT: Words("购买意向", "intent"),
    ValueLever.ACQUISITION: Words("新增客户获取", "acquisition"),
    ValueLever.INCOME: Words("每月收入提升", "monthly income"),
    ValueLever.COST_TO_SERVE: Words("日常服务成本", "cost to serve"),
    ValueLever.CROSS_SELL: Words("交叉与叠加销售", "cross- and up-selling"),
    ValueLever.TARIFF_FIT: Words("资费适配", "fit of the tariff"),
    ValueLever.RENEWAL: Words("合同续签", "renewal"),
    ValueLever.BRAND_MIGRATION: Words("品牌间转移", "migration from old products"),
    ValueLever.RETENTION: Words("预警和挽留", "warning and retention"),
    ValueLever.BAD_DEBT: Words("坏账", "bad debt"),
    ValueLever.WIN_BACK: Words("赢回", "win-back"),
}


class Unit(StrEnum):
    """What a figure's value is."""

    SHARE = "share"
    FEN_PER_CUSTOMER = "fen_per_customer"


@dataclass(frozen=True)
class Figure:
    """A numerator over a denominator, and how many were left out since too little is known."""

    words: Words
    numerator: int
    denominator: int
    excluded: int = 0
    unit: Unit = Unit.SHARE

    @property
    def value(self) -> float | None:
        """The figure; None over nothing."""
        if not self.denominator:
            return None
        return round(self.numerator / self.denominator, 4)


class Pair(NamedTuple):
    """A lever's gain and its possible harm; `beside` is what the harm is to be compared with."""

    lever: ValueLever
    gain: Figure
    harm: Figure
    beside: Figure | None = None


class Offers(NamedTuple):
    """What became of the offers of one lever; `called` accepted and then reported or asked.

    Harm takes its days to show: `pitched_long_ago` and `accepted_long_ago` are those whose days are
    over, and of whom alone it is told.
    """

    pitched: int = 0
    accepted: int = 0
    open_to_it: int = 0
    pitched_long_ago: int = 0
    complained: int = 0
    accepted_long_ago: int = 0
    called: int = 0
    pays_known: int = 0
    pays_less: int = 0
    not_pitched: int = 0


class Base(NamedTuple):
    """Counts over the customers of an org unit; `owing` are in arrears, `good` of tier A or B.

    Of `undated` nobody knows since when they are customers.
    """

    customers: int = 0
    undated: int = 0
    activated: int = 0
    activated_known: int = 0
    activated_bad: int = 0
    arrears_known: int = 0
    owing: int = 0
    owing_tiered: int = 0
    owing_good: int = 0
    dated: int = 0


class Contacts(NamedTuple):
    """Service contacts of a period; `diverted` are customers who were served electronically alone,
    `spoken` those whom somebody spoke with."""

    service: int = 0
    electronic: int = 0
    diverted: int = 0
    diverted_left: int = 0
    spoken: int = 0
    spoken_left: int = 0


class Kept(NamedTuple):
    """Cases and special terms of a period; money in fen over twelve months.

    How those that are open (`..._open`) end is not known yet; `..._cases` are the others.
    """

    renewal_cases: int = 0
    renewal_open: int = 0
    renewed: int = 0
    win_back_cases: int = 0
    win_back_open: int = 0
    won_back: int = 0
    returned: int = 0
    returned_known: int = 0
    returned_bad: int = 0
    terms: int = 0
    terms_known: int = 0
    terms_safe: int = 0
    treated: int = 0
    kept: int = 0
    too_young: int = 0
    discounted: int = 0
    discounted_fen: int = 0
    full_price: int = 0
    full_price_unknown: int = 0
    full_price_fen: int = 0


def pairs(
    offers: Mapping[ValueLever | None, Offers], base: Base, contacts: Contacts, kept: Kept
) -> list[Pair]:
    """Put the eleven levers in pairs; `offers` has under None what became of all offers at once."""
    none = Offers()
    every = offers.get(None, none)

    def of(lever: ValueLever) -> Offers:
        return offers.get(lever, none)

    def accepted(lever: ValueLever) -> Figure:
        words = Words("推介中被接受的", "offers accepted of those pitched")
        return Figure(words, of(lever).accepted, of(lever).pitched, of(lever).not_pitched)

    def calls(lever: ValueLever) -> Figure:
        words = Words(
            "接受后 30 天内来电或报障的", "of those who accepted, with a call or fault in 30 days"
        )
        found = of(lever)
        young = found.accepted - found.accepted_long_ago
        return Figure(words, found.called, found.accepted_long_ago, young)

    def complaints(found: Offers) -> Figure:
        words = Words("推介后 14 天内投诉的", "complained within 14 days of a pitch")
        left_out = found.not_pitched + found.pitched - found.pitched_long_ago
        return Figure(words, found.complained, found.pitched_long_ago, left_out)

    left = Words("只经电子渠道服务的客户中离网的", "left, of those served electronically alone")
    left_spoken = Words("人工服务的客户中离网的", "left, of those whom somebody spoke with")
    interested = Words("表示有意向的", "said yes, later, or what they have elsewhere")
    return [
        Pair(
            ValueLever.INTENT,
            Figure(interested, every.open_to_it, every.pitched, every.not_pitched),
            complaints(every),
        ),
        Pair(
            ValueLever.ACQUISITION,
            Figure(
                Words("新入网客户", "new customers of all"),
                base.activated,
                base.dated,
                base.undated,
            ),
            Figure(
                Words("新入网客户中欠费或已离网的", "of the new, in arrears or gone again"),
                base.activated_bad,
                base.activated_known,
                base.activated - base.activated_known,
            ),
        ),
        Pair(
            ValueLever.INCOME,
            accepted(ValueLever.INCOME),
            calls(ValueLever.INCOME),
            calls(ValueLever.TARIFF_FIT),
        ),
        Pair(
            ValueLever.COST_TO_SERVE,
            Figure(
                Words("电子渠道服务占比", "service contacts on electronic channels"),
                contacts.electronic,
                contacts.service,
            ),
            Figure(left, contacts.diverted_left, contacts.diverted),
            Figure(left_spoken, contacts.spoken_left, contacts.spoken),
        ),
        Pair(
            ValueLever.CROSS_SELL,
            accepted(ValueLever.CROSS_SELL),
            complaints(of(ValueLever.CROSS_SELL)),
        ),
        Pair(
            ValueLever.TARIFF_FIT,
            accepted(ValueLever.TARIFF_FIT),
            Figure(
                Words("接受后月收入下降的", "of those who accepted, pay less than before"),
                of(ValueLever.TARIFF_FIT).pays_less,
                of(ValueLever.TARIFF_FIT).pays_known,
                of(ValueLever.TARIFF_FIT).accepted - of(ValueLever.TARIFF_FIT).pays_known,
            ),
        ),
        Pair(
            ValueLever.RENEWAL,
            Figure(
                Words("续约任务中续签的", "renewed of the renewal cases"),
                kept.renewed,
                kept.renewal_cases,
                kept.renewal_open,
            ),
            Figure(
                Words(
                    "特殊优惠中给了低风险客户的",
                    "special terms that went to customers unlikely to leave",
                ),
                kept.terms_safe,
                kept.terms_known,
                kept.terms - kept.terms_known,
            ),
        ),
        Pair(
            ValueLever.BRAND_MIGRATION,
            accepted(ValueLever.BRAND_MIGRATION),
            calls(ValueLever.BRAND_MIGRATION),
        ),
        Pair(
            ValueLever.RETENTION,
            Figure(
                Words("关怀挽留后留网的", "kept of the customers taken care of"),
                kept.kept,
                kept.treated,
                kept.too_young,
            ),
            Figure(
                Words(
                    "享特殊优惠客户的年收入（扣除优惠）",
                    "income a year of a customer with special terms, after the discount",
                ),
                kept.discounted_fen,
                kept.discounted,
                kept.terms - kept.discounted,
                unit=Unit.FEN_PER_CUSTOMER,
            ),
            Figure(
                Words(
                    "未用优惠而留网客户的年收入",
                    "income a year of a customer who was kept without",
                ),
                kept.full_price_fen,
                kept.full_price,
                kept.full_price_unknown,
                unit=Unit.FEN_PER_CUSTOMER,
            ),
        ),
        Pair(
            ValueLever.BAD_DEBT,
            Figure(
                Words("不欠费的客户", "customers without arrears"),
                base.arrears_known - base.owing,
                base.arrears_known,
                base.customers - base.arrears_known,
            ),
            Figure(
                Words("被限制客户中属中高价值的", "of those in arrears, worth much (tier A or B)"),
                base.owing_good,
                base.owing_tiered,
                base.owing - base.owing_tiered,
            ),
        ),
        Pair(
            ValueLever.WIN_BACK,
            Figure(
                Words("赢回任务中回网的", "came back of the win-back cases"),
                kept.won_back,
                kept.win_back_cases,
                kept.win_back_open,
            ),
            Figure(
                Words("回网客户中欠费或再次离网的", "of those who came back, in arrears or gone"),
                kept.returned_bad,
                kept.returned_known,
                kept.returned - kept.returned_known,
            ),
        ),
    ]
