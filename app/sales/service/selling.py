"""What putting together and confirming both ask: whether one may still sell in a visit, at which
prices, and whether it can be had."""

from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.catalog.queries import Offering, in_force, today_of
from app.catalog.rules import ON_SITE, OnSite
from app.core.db import new_id
from app.core.parameter_values import parameters_in_force
from app.feasibility.service import cannot_be_had
from app.retention.service import check_code
from app.sales import queries, rules
from app.sales.rules import Line
from app.suggestions.service import for_the_manager


async def visit_to_sell_in(
    tx: AsyncSession,
    visit_id: UUID,
    technician_id: UUID,
    org_path: str,
    now: datetime,
    *,
    held: bool = False,
) -> queries.SellingVisit:
    """Find the technician's own visit, if a sale may still be made in it; `held` lets nobody else
    sell there, or to the same customer elsewhere, until the transaction ends.

    Raises NotFound, VisitNotBegun and VisitOver.
    """
    visit = await queries.selling_visit(tx, visit_id, technician_id, held=held)
    late_hours = (await parameters_in_force(tx)).number(rules.LATE_HOURS, now, org_path)
    rules.within_visit(
        checked_in_at=visit.checked_in_at,
        ended_at=visit.ended_at,
        now=now,
        late_hours=late_hours,
    )
    return visit


async def priced(
    tx: AsyncSession,
    sale_id: UUID,
    visit: queries.SellingVisit,
    lines: Sequence[Line],
    now: datetime,
    device_at: datetime | None = None,
) -> tuple[list[dict[str, Any]], list[Offering]]:
    """Price the lines from the catalogue of the org unit's local day, on special terms where they
    carry an approval code that was good when they were sold at the door (`device_at` by the phone,
    if it said so); gives the items, and what is sold of the catalogue.

    Raises what `priced_in` and `sold_at_the_door` raise, CodeUnknown, CodeForOther, CodeUsed,
    CodeOver, CodeForOneThing, and DiscountChanged.
    """
    catalogue = await in_force(tx, await today_of(tx, visit.org_unit_id, now))
    items = priced_in(catalogue, sale_id, lines)
    offerings = [catalogue[line.offering_code] for line in lines]
    await sold_at_the_door(
        tx,
        [catalogue[line.offering_code] for line in lines if line.approval_code is None],
        customer_id=visit.customer_id,
        org_unit_id=visit.org_unit_id,
        now=now,
    )
    agreed_at = rules.agreed_at(device_at, begun_at=visit.begun_at, now=now)
    used = set[UUID]()
    for line, item in zip(lines, items, strict=True):
        if line.approval_code is not None:
            good_for = await check_code(
                tx,
                line.approval_code,
                sale_id=sale_id,
                customer_id=visit.customer_id,
                offering_code=line.offering_code,
                now=now,
                agreed_at=agreed_at,
            )
            # What was approved is the price of one, not of all that a sale has of it.
            if line.quantity > 1 or good_for.terms_id in used:
                raise rules.CodeForOneThing(offering=line.offering_code)
            used.add(good_for.terms_id)
            rules.discount_told(line, rules.Discount(good_for.discount_percent, good_for.months))
            item["special_terms_id"] = good_for.terms_id
            item["discount_percent"] = good_for.discount_percent
            item["discount_months"] = good_for.months
    return items, offerings


async def sold_at_the_door(
    tx: AsyncSession,
    offerings: Sequence[Offering],
    *,
    customer_id: UUID,
    org_unit_id: UUID,
    now: datetime,
) -> None:
    """Check that nothing that is sold without an approval code is the account manager's for this
    customer. Raises NotSoldAtTheDoor."""
    found = await for_the_manager(tx, customer_id, offerings, org_unit_id=org_unit_id, now=now)
    if found:
        raise rules.NotSoldAtTheDoor(offering=min(found), on_site=OnSite.LEAD_ONLY)


async def can_be_had(
    tx: AsyncSession,
    offerings: Sequence[Offering],
    *,
    visit_id: UUID,
    customer_id: UUID,
    on_terms: Set[str],
    org_path: str,
    now: datetime,
) -> None:
    """Check that nothing is sold that the customer certainly cannot have, nor what needs an
    approval code and is not among those that have one (`on_terms`). Raises CannotBeHad."""
    noes = await cannot_be_had(
        tx, visit_id, customer_id, offerings, on_terms=on_terms, org_path=org_path, now=now
    )
    if noes:
        raise rules.CannotBeHad(noes)


def priced_in(
    catalogue: Mapping[str, Offering], sale_id: UUID, lines: Sequence[Line]
) -> list[dict[str, Any]]:
    """Price the lines of a sale from a catalogue.

    Raises NotInTheCatalogue, NotSoldAtTheDoor and PriceChanged.
    """
    missing = [line.offering_code for line in lines if line.offering_code not in catalogue]
    if missing:
        raise rules.NotInTheCatalogue(offerings=missing)
    changed: list[rules.Change] = []
    items = []
    for position, line in enumerate(lines, start=1):
        offering = catalogue[line.offering_code]
        if ON_SITE[offering.business_type] is OnSite.LEAD_ONLY:
            raise rules.NotSoldAtTheDoor(
                offering=offering.code, on_site=ON_SITE[offering.business_type]
            )
        changed += rules.changed(
            line,
            monthly_fen=offering.monthly_price_fen,
            one_off_fen=offering.one_off_price_fen,
        )
        items.append(
            {
                "id": new_id(),
                "sale_id": sale_id,
                "position": position,
                "offering_id": offering.id,
                "offering_code": offering.code,
                "quantity": line.quantity,
                "monthly_price_fen": offering.monthly_price_fen,
                "one_off_price_fen": offering.one_off_price_fen,
                "commission_fen": offering.commission_fen,
                "contract_months": offering.contract_months,
                "suggestion_id": line.suggestion_id,
                **dict.fromkeys(("special_terms_id", "discount_percent", "discount_months")),
            }
        )
    if changed:
        raise rules.PriceChanged(changed)
    return items
