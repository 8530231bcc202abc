"""What a sale's customer agrees to, as the catalogue has it now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.rules import ON_SITE, OnSite
from app.core.i18n import Words
from app.real_name.queries import state_of
from app.sales import rules
from app.sales.models import Sale, SaleItem
from app.sales.rules import Line, ShownItem
from app.sales.service.selling import catalogue_for, priced_in, sold_at_the_door


@dataclass(frozen=True)
class Agreed:
    """What is sold: the hash of what the customer is shown, and the same in words."""

    content_hash: str
    names: Words
    shown: Sequence[ShownItem]


def shown_of(sale: Sale, items: Sequence[SaleItem]) -> list[ShownItem]:
    """Give the items of a sale as its customer is shown them."""
    return [
        ShownItem(
            item.offering_code,
            item.quantity,
            item.monthly_price_fen,
            item.one_off_price_fen,
            item.contract_months,
        )
        for item in items
    ]


async def agreed_now(
    tx: AsyncSession, sale: Sale, items: Sequence[SaleItem], now: datetime
) -> Agreed:
    """Check that what was put together can be sold as it is, and say what is agreed to.

    The price is read again: what the customer agrees to must be what will be charged. Raises
    PriceChanged, TermsChanged, NotInTheCatalogue, NotSoldAtTheDoor, and RealNameNeeded for what is
    sold only to whom was identified in this visit.
    """
    lines = [
        Line(item.offering_code, item.quantity, item.monthly_price_fen, item.one_off_price_fen)
        for item in items
    ]
    catalogue = await catalogue_for(tx, sale.org_unit_id, now)
    today = priced_in(catalogue, sale.id, lines)
    await sold_at_the_door(
        tx,
        [catalogue[item.offering_code] for item in items],
        customer_id=sale.customer_id,
        org_unit_id=sale.org_unit_id,
        sale_id=sale.id,
        now=now,
    )
    shown = shown_of(sale, items)
    rules.terms_unchanged(
        shown,
        [
            before._replace(contract_months=after["contract_months"])
            for before, after in zip(shown, today, strict=True)
        ],
    )
    sensitive = [
        item.offering_code
        for item in items
        if ON_SITE[catalogue[item.offering_code].business_type] is OnSite.FACE_TO_FACE
    ]
    if sensitive:
        known = await state_of(tx, sale.customer_id)
        if known is None or not known.good(now) or known.visit_id != sale.visit_id:
            raise rules.RealNameNeeded(
                offerings=sensitive,
                visit_id=sale.visit_id,
                state=known.state if known is not None else None,
            )

    def named(lang_zh: bool) -> str:
        return ("、" if lang_zh else ", ").join(
            f"{offering.name_zh if lang_zh else offering.name_en} ×{item.quantity}"
            for item in items
            for offering in [catalogue[item.offering_code]]
        )

    return Agreed(
        rules.shown_hash(sale.id, sale.customer_id, shown), Words(named(True), named(False)), shown
    )
