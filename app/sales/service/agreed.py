"""What a sale's customer agrees to, as the catalogue has it now."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering, in_force, today_of
from app.catalog.rules import ON_SITE, OnSite
from app.core.i18n import Words
from app.customers.queries import has_line
from app.feasibility.rules import against_person
from app.feasibility.service import person_of
from app.real_name.rules import RealNameState
from app.retention.service import check_still_good
from app.sales import rules
from app.sales.models import Sale, SaleItem
from app.sales.rules import Line, ShownItem
from app.sales.service.selling import can_be_had, priced_in, sold_at_the_door


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
            item.discount,
        )
        for item in items
    ]


def terms_of(items: Sequence[SaleItem]) -> set[UUID]:
    """Name the special terms on which something of a sale is sold."""
    return {item.special_terms_id for item in items if item.special_terms_id is not None}


async def agreed_now(
    tx: AsyncSession,
    sale: Sale,
    items: Sequence[SaleItem],
    org_path: str,
    now: datetime,
    agreed_at: datetime | None = None,
) -> Agreed:
    """Check that what was put together can be sold as it is, and say what is agreed to.

    The price is read again: what the customer agrees to must be what will be charged. `org_path`
    is whose numbers are in force. Special terms have to be good still, or to have been when the
    customer agreed (`agreed_at`, null is now), and are locked. Raises PriceChanged, TermsChanged,
    NotInTheCatalogue, NotSoldAtTheDoor, CodeUnknown, CodeUsed, CodeOver, CannotBeHad,
    RealNameFailed and RealNameNeeded.
    """
    lines = [
        Line(item.offering_code, item.quantity, item.monthly_price_fen, item.one_off_price_fen)
        for item in items
    ]
    day = await today_of(tx, sale.org_unit_id, now)
    catalogue = await in_force(tx, day)
    today = priced_in(catalogue, sale.id, lines)
    sold = [catalogue[item.offering_code] for item in items]
    await sold_at_the_door(
        tx,
        [catalogue[item.offering_code] for item in items if item.special_terms_id is None],
        customer_id=sale.customer_id,
        org_unit_id=sale.org_unit_id,
        now=now,
    )
    await check_still_good(tx, terms_of(items), sale_id=sale.id, now=now, agreed_at=agreed_at)
    shown = shown_of(sale, items)
    rules.terms_unchanged(
        shown,
        [
            before._replace(contract_months=after["contract_months"])
            for before, after in zip(shown, today, strict=True)
        ],
    )
    await can_be_had(
        tx,
        sold,
        visit_id=sale.visit_id,
        customer_id=sale.customer_id,
        on_terms=rules.on_terms((item.offering_code, item.special_terms_id) for item in items),
        org_path=org_path,
        now=now,
    )
    await _identified(tx, sale, sold, org_path, day, now)

    def named(lang_zh: bool) -> str:
        return ("、" if lang_zh else ", ").join(
            f"{offering.name_zh if lang_zh else offering.name_en} ×{item.quantity}"
            for item in items
            for offering in [catalogue[item.offering_code]]
        )

    return Agreed(
        rules.shown_hash(sale.id, sale.customer_id, shown), Words(named(True), named(False)), shown
    )


async def _identified(
    tx: AsyncSession,
    sale: Sale,
    sold: Sequence[Offering],
    org_path: str,
    day: date,
    now: datetime,
) -> None:
    """Check that the customer's real name stands in the way of nothing that is sold: by the rule by
    which the door was told what can be had, and in this very visit for what is sold face to face.

    Raises RealNameFailed and RealNameNeeded.
    """
    person = await person_of(tx, sale.customer_id, org_path, now)
    name = person.name
    if name is not None and name.state is RealNameState.FAILED:
        codes = [offering.code for offering in sold]
        raise rules.RealNameFailed(offerings=codes, visit_id=sale.visit_id, code=name.code)
    lines = any(offering.speed_mbps is not None for offering in sold)
    new_line = lines and not await has_line(tx, sale.customer_id, day)
    checked_here = name is not None and name.visit_id == sale.visit_id and name.good(now)
    needed = [
        offering.code
        for offering in sold
        if against_person(person, new_line=new_line and offering.speed_mbps is not None)
        or (ON_SITE[offering.business_type] is OnSite.FACE_TO_FACE and not checked_here)
    ]
    if needed:
        raise rules.RealNameNeeded(
            offerings=needed, visit_id=sale.visit_id, state=name.state if name is not None else None
        )
