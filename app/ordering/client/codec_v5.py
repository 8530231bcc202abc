"""TMF622 v5: how an order, its amendment and its cancellation are written for the other side. Pure.

v5 says of every object what it is (`@type`), and puts what was flat in v4 one level down. Writing
is strict: only attributes of the published schema. Reading is in `reading.py`.
"""

from datetime import datetime
from typing import Any

from app.ordering.client.writing import alteration, kind_of_value, utc, yuan
from app.ordering.order import (
    AUTHOR,
    Amendment,
    Characteristic,
    Item,
    OrderToPlace,
    Price,
    PriceKind,
)


def body_of(order: OrderToPlace) -> dict[str, Any]:
    """Write an order as the body of `POST /productOrder` (ProductOrder_FVO).

    Times are written in UTC, amounts in yuan.
    """
    body: dict[str, Any] = {
        "@type": "ProductOrder",
        "externalId": [
            {
                "@type": "ExternalIdentifier",
                "owner": AUTHOR,
                "externalIdentifierType": "ProductOrder",
                "id": order.external_id,
            }
        ],
        "category": order.category,
        "requestedStartDate": utc(order.requested_start),
        "relatedParty": [
            _party("customer", "Customer", order.customer.id, order.customer.name),
            _party("salesAgent", "Individual", order.sales_agent.id, order.sales_agent.name),
        ],
        "channel": [
            {
                "@type": "RelatedChannel",
                "role": "used channel",
                "channel": _ref("ChannelRef", order.channel.id, order.channel.name)
                | {"@referredType": "SalesChannel"},
            }
        ],
        "productOrderItem": [_item(item) for item in order.items],
    }
    if order.requested_completion is not None:
        body["requestedCompletionDate"] = utc(order.requested_completion)
    if order.note:
        body["note"] = [_note("1", order.note)]
    return body


def amendment_of(order: OrderToPlace, changes: Amendment) -> dict[str, Any]:
    """Write what is to be different as the body of `PATCH /productOrder/{id}` (ProductOrder_MVO).

    The items are told again as they are, as in v4, and so is the order's own note where another is
    added: a system that takes a list for the whole list must not lose any.
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
        "productOrder": _ref("ProductOrderRef", order_id, None) | {"@referredType": "ProductOrder"},
    }


def _item(item: Item) -> dict[str, Any]:
    product: dict[str, Any] = {"@type": "Product", "isBundle": False}
    if item.characteristics:
        product["productCharacteristic"] = [_characteristic(each) for each in item.characteristics]
    if item.place is not None:
        product["place"] = [
            {
                "@type": "RelatedPlaceRefOrValue",
                "role": "installation address",
                "place": _ref("PlaceRef", item.place.id, item.place.name)
                | {"@referredType": "GeographicAddress"},
            }
        ]
    written: dict[str, Any] = {
        "@type": "ProductOrderItem",
        "id": item.id,
        "action": item.action.value,
        "quantity": item.quantity,
        "productOffering": _ref("ProductOfferingRef", item.offering_code, item.offering_name),
        "product": product,
    }
    if item.prices:
        written["itemPrice"] = [_price(price) for price in item.prices]
    if item.appointment_id:
        written["appointment"] = _ref("AppointmentRef", item.appointment_id, None)
    return written


# What kind of value a characteristic has is part of its type in v5.
_CHARACTERISTICS = {
    "boolean": "BooleanCharacteristic",
    "string": "StringCharacteristic",
    "number": "NumberCharacteristic",
}


def _characteristic(each: Characteristic) -> dict[str, Any]:
    kind = kind_of_value(each.value)
    return {
        "@type": _CHARACTERISTICS[kind],
        "name": each.name,
        "valueType": kind,
        "value": each.value,
    }


def _price(price: Price) -> dict[str, Any]:
    written: dict[str, Any] = {
        "@type": "OrderPrice",
        "priceType": "nonRecurring",
        "price": {
            "@type": "Price",
            "taxIncludedAmount": {"unit": "CNY", "value": yuan(price.amount_fen)},
        },
    }
    if price.kind is PriceKind.MONTHLY:
        written |= {"priceType": "recurring", "recurringChargePeriod": "month"}
    if price.discount is not None:
        altered = alteration(price.discount)
        altered |= {"@type": "PriceAlteration", "price": {"@type": "Price", **altered["price"]}}
        written["priceAlteration"] = [altered]
    if price.name:
        written["name"] = price.name
    return written


def _party(role: str, kind: str, id_: str, name: str | None) -> dict[str, Any]:
    return {
        "@type": "RelatedPartyOrPartyRole",
        "role": role,
        "partyOrPartyRole": _ref("PartyRef", id_, name) | {"@referredType": kind},
    }


def _note(id_: str, text: str) -> dict[str, Any]:
    return {"@type": "Note", "id": id_, "author": AUTHOR, "text": text}


def _ref(kind: str, id_: str, name: str | None) -> dict[str, Any]:
    written = {"@type": kind, "id": id_}
    return written | {"name": name} if name else written
