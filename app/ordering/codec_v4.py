"""TMF622 v4: how an order is written for the other side, and how its answers and events are read.

Pure. Writing is strict: only attributes of the published schema. Reading is lenient: unknown
attributes are passed over, and of the known ones only an order's id is indispensable.
"""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from app.core.outside import Unreadable
from app.ordering.order import Item, OrderToPlace, Price, PriceKind, RemoteEvent, RemoteOrder
from app.ordering.rules import RemoteState

AUTHOR = "Yingwei"

_STATES = {state.value.lower(): state for state in RemoteState}
_TEXT_LIMIT = 300
# Longer than any honest id, and short enough for an index.
_ID_LIMIT = 200


def body_of(order: OrderToPlace) -> dict[str, Any]:
    """Write an order as the body of `POST /productOrder` (ProductOrder_Create).

    Times are written in UTC, amounts in yuan.
    """
    body: dict[str, Any] = {
        "@type": "ProductOrder",
        "externalId": order.external_id,
        "category": order.category,
        "requestedStartDate": _time(order.requested_start),
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
    if order.note:
        body["note"] = [{"id": "1", "author": AUTHOR, "text": order.note}]
    return body


def _item(item: Item) -> dict[str, Any]:
    product: dict[str, Any] = {"@type": "Product", "isBundle": False}
    if item.characteristics:
        product["productCharacteristic"] = [
            {"name": each.name, "valueType": _value_type(each.value), "value": each.value}
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
        # A whole number of fen divided by 100 is the nearest double, which prints with two places.
        "price": {"taxIncludedAmount": {"unit": "CNY", "value": price.amount_fen / 100}},
    }
    if price.kind is PriceKind.MONTHLY:
        written |= {"priceType": "recurring", "recurringChargePeriod": "month"}
    if price.name:
        written["name"] = price.name
    return written


def _named(id_: str, name: str | None) -> dict[str, Any]:
    return {"id": id_, "name": name} if name else {"id": id_}


def _value_type(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- reading ------------------------------------------------------------------------------------


def read_order(answer: object, base_url: str = "") -> RemoteOrder:
    """Read a ProductOrder; a relative href is made absolute with `base_url`.

    Raises Unreadable when it is no object, or has neither an id nor an href that ends in one.
    """
    if not isinstance(answer, dict):
        raise Unreadable("a product order must be a JSON object")
    href = _text(answer.get("href"))
    id_ = _text(answer.get("id")) or id_from_href(href)
    if not id_:
        raise Unreadable("the product order has no id")
    if len(id_) > _ID_LIMIT:
        raise Unreadable("the product order's id is too long")
    state_text = _text(answer.get("state"))
    return RemoteOrder(
        id=id_,
        href=_absolute(base_url, href),
        external_id=_text(answer.get("externalId")),
        state=read_state(state_text),
        state_text=state_text,
        ordered_at=read_time(answer.get("orderDate")),
        reason=_reason(answer),
        item_states=tuple(
            (_text(item.get("id")) or "", _text(item.get("state")) or "")
            for item in _objects(answer.get("productOrderItem"))
        ),
    )


def read_event(body: object) -> RemoteEvent:
    """Read a callback: ProductOrderCreateEvent, ProductOrderStateChangeEvent and their like.

    Raises Unreadable when it carries no product order.
    """
    if not isinstance(body, dict):
        raise Unreadable("an event must be a JSON object")
    payload = body.get("event")
    if not isinstance(payload, dict):
        raise Unreadable("the event has no payload")
    order = read_order(payload.get("productOrder"))
    event_id = _text(body.get("eventId"))
    return RemoteEvent(
        id=event_id if event_id and len(event_id) <= _ID_LIMIT else _digest(body),
        kind=_text(body.get("eventType")) or "",
        # The published v4 schema spells the second name with one r.
        at=read_time(body.get("eventTime"))
        or read_time(body.get("timeOcurred"))
        or read_time(body.get("timeOccurred")),
        order=order,
    )


def read_state(text: str | None) -> RemoteState | None:
    """Read a state however it is capitalised or parted (`inProgress`, `in_progress`, `INPROGRESS`).

    None for a state that TMF622 does not know.
    """
    if text is None:
        return None
    return _STATES.get("".join(letter for letter in text if letter.isalpha()).lower())


def read_time(text: object) -> datetime | None:
    """Read an RFC 3339 time; None when it is none, or names no time zone: we do not guess one."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None


def id_from_href(href: str | None) -> str | None:
    """Take the order's id from the end of a relative or absolute address; None without one."""
    if not href:
        return None
    try:
        steps = urlsplit(href).path.rstrip("/").split("/")
    except ValueError:
        return None
    if len(steps) < 2 or steps[-2] != "productOrder":
        return None
    return unquote(steps[-1]) or None


def _absolute(base_url: str, href: str | None) -> str | None:
    """Complete a relative address; one that is no address at all is as good as none."""
    try:
        return urljoin(base_url, href) if href else None
    except ValueError:
        return None


def _reason(answer: dict[str, Any]) -> str | None:
    """Find the other side's words: v4 has no attribute for a rejection, so its last note speaks."""
    said = _text(answer.get("cancellationReason"))
    if said:
        return said[:_TEXT_LIMIT]
    notes = [note for note in _objects(answer.get("note")) if note.get("author") != AUTHOR]
    text = _text(notes[-1].get("text")) if notes else None
    return text[:_TEXT_LIMIT] if text else None


def _text(value: object) -> str | None:
    """Take a text; numbers are accepted too, since some systems send ids as numbers."""
    if isinstance(value, str):
        # PostgreSQL cannot hold NUL, and no honest id or reason contains one.
        return value.replace("\x00", "").strip() or None
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return None


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _digest(body: dict[str, Any]) -> str:
    whole = json.dumps(body, sort_keys=True)
    return "sha256:" + hashlib.sha256(whole.encode()).hexdigest()
