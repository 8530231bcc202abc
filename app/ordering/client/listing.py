"""Orders as a page of the other side's list shows them, with what was sold and for how much. Pure.

As lenient as `reading`: of the known attributes only an id is indispensable.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from app.ordering.client import reading
from app.ordering.client.reading import objects, text_of
from app.ordering.order import ItemAction, Line, RemoteOrder, in_order
from app.ordering.rules import NOT_DELIVERED, RemoteState
from app.sales.rules import Discount


@dataclass(frozen=True, slots=True)
class Listed:
    """An order of the other side, with whose it is and what was sold; `places` are the ids of the
    places that each item names, of those that name any."""

    order: RemoteOrder
    lines: tuple[Line, ...]
    channel_ids: frozenset[str]
    customer_number: str | None
    technician_number: str | None
    places: tuple[frozenset[str], ...] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a list; `next_query` are the parameters that the other side names for the next."""

    orders: tuple[Listed, ...]
    total: int | None
    next_query: dict[str, str] | None


def read_listed(answer: object, base_url: str = "") -> Listed:
    """Read a product order with its items, parties and channels, of either version.

    Raises Unreadable like `reading.read_order`.
    """
    order = reading.read_order(answer, base_url)
    assert isinstance(answer, dict)
    parties = dict(_parties(answer))
    items = [
        item
        for item in objects(answer.get("productOrderItem"))
        # What was taken out of the order, or was not delivered while the rest was, may still
        # stand in it, and is not sold any more.
        if text_of(item.get("action")) != ItemAction.DELETE
        and not (order.state is RemoteState.PARTIAL and _is_missing(item))
    ]
    return Listed(
        order=order,
        lines=in_order(map(_line, items)),
        channel_ids=frozenset(_channels(answer)),
        customer_number=parties.get("customer"),
        technician_number=parties.get("salesagent"),
        places=tuple(filter(None, map(_places, items))),
    )


def _is_missing(item: dict[str, Any]) -> bool:
    return reading.read_state(text_of(item.get("state"))) in NOT_DELIVERED


def _parties(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for party in objects(answer.get("relatedParty")):
        inner = party.get("partyOrPartyRole")
        id_ = text_of((inner if isinstance(inner, dict) else party).get("id"))
        role = text_of(party.get("role"))
        if id_ and role:
            yield role.lower(), id_


def _channels(answer: dict[str, Any]) -> Iterator[str]:
    for each in objects(answer.get("channel")):
        inner = each.get("channel")
        id_ = text_of((inner if isinstance(inner, dict) else each).get("id"))
        if id_:
            yield id_


def _places(item: dict[str, Any]) -> frozenset[str]:
    product = item.get("product")
    named = objects(product.get("place")) if isinstance(product, dict) else []
    inner = (each.get("place") for each in named)
    ids = (
        text_of((within if isinstance(within, dict) else each).get("id"))
        for each, within in zip(named, inner, strict=True)
    )
    return frozenset(filter(None, ids))


def _line(item: dict[str, Any]) -> Line:
    offering = item.get("productOffering")
    code = text_of(offering.get("id")) if isinstance(offering, dict) else None
    quantity = item.get("quantity")
    sums: dict[bool, int] = {}
    discounts: list[Discount] = []
    for price in objects(item.get("itemPrice")):
        fen = _fen(price)
        if fen is not None:
            monthly = text_of(price.get("priceType")) == "recurring"
            sums[monthly] = sums.get(monthly, 0) + fen
        discounts += map(_discount, objects(price.get("priceAlteration")))
    # Where no price at all is told there is nothing to compare; else what is left out is nothing.
    none = None if not sums else 0
    return Line(
        code or "",
        quantity if isinstance(quantity, int) else 1,
        sums.get(True, none),
        sums.get(False, none),
        tuple(sorted(discounts)),
    )


def _discount(alteration: dict[str, Any]) -> Discount:
    """Read what is taken off a price. What is no percentage, or is counted in no months, is 0: we
    sell nothing like it, so it is found to differ."""
    price = alteration.get("price")
    percent = price.get("percentage") if isinstance(price, dict) else None
    months = alteration.get("applicationDuration")
    unit = (text_of(alteration.get("unitOfMeasure")) or "month").lower()
    if not isinstance(months, int) or isinstance(months, bool) or not unit.startswith("month"):
        months = 0
    try:
        taken = abs(float(percent)) if isinstance(percent, int | float | str) else 0.0
    except (ValueError, OverflowError):
        taken = 0.0
    return Discount(taken, months)


def _fen(price: dict[str, Any]) -> int | None:
    inner = price.get("price")
    amount = inner.get("taxIncludedAmount") if isinstance(inner, dict) else None
    value = amount.get("value") if isinstance(amount, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return int((Decimal(str(value)) * 100).to_integral_value())
    except (InvalidOperation, ValueError, OverflowError):
        return None
