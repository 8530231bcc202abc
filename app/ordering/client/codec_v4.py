"""TMF622 v4: how an order, its amendment and its cancellation are written for the other side. Pure.

Writing is strict: only attributes of the published schema. Reading is in `reading.py`.
"""

from datetime import datetime
from typing import Any

from app.ordering.client.writing import alteration, kind_of_value, utc, yuan
from app.ordering.order import AUTHOR, Amendment, Item, OrderToPlace, Price, PriceKind


def body_of(order: OrderToPlace) -> dict[str, Any]:
    """Write an order as the body of `POST /productOrder` (ProductOrder_Create).

    Times are written in UTC, amounts in yuan.
    """
    body: dict[str, Any] = {
        "@type": "ProductOrder",
        "externalId": order.external_id,
        "category": order.category,
        "requestedStartDate": utc(order.requested_start),
        "relatedParty": [
            _named(order.customer.id, order.customer.name)
            | {"role": "customer", "@referredType": "Customer"},
            _named(order.sales_agent.id, order.sales_agent.name)
            | {"role": "salesAgent", "@referredType": "Individual"},
        ],
        "channel": [
            _named(order.channel.id, order.channel.name)
            | {"role": "used channel", "@referredType": "SalesChannel"}
        ],
        "productOrderItem": [_item(item) for item in order.items],
    }
    if order.requested_completion is not None:
        body["requestedCompletionDate"] = utc(order.requested_completion)
    if order.note:
        body["note"] = [_note("1", order.note)]
    return body


def amendment_of(order: OrderToPlace, changes: Amendment) -> dict[str, Any]:
    """Write what is to be different as the body of `PATCH /productOrder/{id}`.

    The schema wants the items with it, so they are told again as they are; and so are the notes it
    has from us where another is added, lest the list be taken for the whole list.
    """
    body: dict[str, Any] = {
        "@type": "ProductOrder",
        "productOrderItem": [_item(item) for item in order.items],
    }
    if changes.requested_start is not None:
        body["requestedStartDate"] = utc(changes.requested_start)
    if changes.note:
        own = [("1", order.note)] if order.note else []
        notes = [*own, *changes.told_before, (changes.note_id, changes.note)]
        body["note"] = [_note(id_, text) for id_, text in notes]
    return body


def cancellation_of(order_id: str, reason: str, at: datetime) -> dict[str, Any]:
    """Write the wish to cancel an order as the body of `POST /cancelProductOrder`."""
    return {
        "@type": "CancelProductOrder",
        "cancellationReason": reason,
        "requestedCancellationDate": utc(at),
        "productOrder": {"id": order_id, "@referredType": "ProductOrder"},
    }


def _item(item: Item) -> dict[str, Any]:
    product: dict[str, Any] = {"@type": "Product", "isBundle": False}
    if item.characteristics:
        product["productCharacteristic"] = [
            {"name": each.name, "valueType": kind_of_value(each.value), "value": each.value}
            for each in item.characteristics
        ]
    if item.place is not None:
        product["place"] = [
            _named(item.place.id, item.place.name)
            | {"role": "installation address", "@referredType": "GeographicAddress"}
        ]
    written: dict[str, Any] = {
        "@type": "ProductOrderItem",
        "id": item.id,
        "action": item.action.value,
        "quantity": item.quantity,
        "productOffering": _named(item.offering_code, item.offering_name),
        "product": product,
    }
    if item.prices:
        written["itemPrice"] = [_price(price) for price in item.prices]
    if item.appointment_id:
        written["appointment"] = {"id": item.appointment_id}
    return written


def _price(price: Price) -> dict[str, Any]:
    written: dict[str, Any] = {
        "priceType": "nonRecurring",
        "price": {"taxIncludedAmount": {"unit": "CNY", "value": yuan(price.amount_fen)}},
    }
    if price.kind is PriceKind.MONTHLY:
        written |= {"priceType": "recurring", "recurringChargePeriod": "month"}
    if price.discount is not None:
        written["priceAlteration"] = [alteration(price.discount)]
    if price.name:
        written["name"] = price.name
    return written


def _note(id_: str, text: str) -> dict[str, Any]:
    return {"id": id_, "author": AUTHOR, "text": text}


def _named(id_: str, name: str | None) -> dict[str, Any]:
    return {"id": id_, "name": name} if name else {"id": id_}
