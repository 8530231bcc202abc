"""What the simulator demands of a body, written from the published schema alone. Pure.

It shares no code with our codec, so that a mistake there is met here as it would be by the real
ordering system.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

_ACTIONS = {"add", "modify", "delete", "noChange"}
_LONGEST = 4000
# The mandatory attributes of the objects inside an order and its items.
_MANDATORY = {
    "relatedParty": ("id", "@referredType"),
    "channel": ("id",),
    "note": ("text",),
    "place": ("role",),
    "productCharacteristic": ("name", "value"),
    "billingAccount": ("id",),
    "productOffering": ("id",),
    "appointment": ("id",),
    "priceAlteration": ("price", "priceType"),
}
_TEXTS = ("externalId", "category", "description", "priority", "notificationContact")
_TIMES = ("requestedStartDate", "requestedCompletionDate", "cancellationDate")
_LISTS = (
    "relatedParty",
    "channel",
    "note",
    "productCharacteristic",
    "place",
    "itemPrice",
    "priceAlteration",
)


def faults_in(body: object) -> list[str]:
    """List what is wrong with a ProductOrder_Create, one sentence each; empty when it is good."""
    if not isinstance(body, dict):
        return ["The body must be a JSON object"]
    return [*_order(body)][:20]


def _order(body: dict[str, Any]) -> Iterator[str]:
    for name in ("id", "href", "state", "orderDate", "completionDate"):
        if name in body:
            yield f"{name} is set by this system and must not be sent"
    for name in _TEXTS:
        if name in body and not _is_text(body[name]):
            yield f"{name} must be a text of at most {_LONGEST} characters"
    for name in _TIMES:
        if name in body and not _is_time(body[name]):
            yield f"{name} must be a date-time of RFC 3339"
    yield from _members(body, "")
    items = body.get("productOrderItem")
    if not isinstance(items, list) or not items:
        yield "productOrderItem is mandatory and must hold at least one item"
        return
    ids = []
    for index, item in enumerate(items):
        where = f"productOrderItem[{index}]"
        if not isinstance(item, dict):
            yield f"{where} must be an object"
            continue
        yield from _item(item, where)
        ids.append(str(item.get("id")))
    if len(set(ids)) < len(ids):
        yield "productOrderItem.id must be unique within the order"


def _item(item: dict[str, Any], where: str) -> Iterator[str]:
    if not _is_text(item.get("id")) or not item["id"]:
        yield f"{where}.id is mandatory"
    if item.get("action") not in _ACTIONS:
        yield f"{where}.action is mandatory and must be one of add, modify, delete, noChange"
    quantity = item.get("quantity", 1)
    if not isinstance(quantity, int) or isinstance(quantity, bool) or quantity < 1:
        yield f"{where}.quantity must be a whole number above 0"
    if item.get("action") == "add" and "productOffering" not in item:
        yield f"{where}.productOffering is mandatory for the action add"
    yield from _members(item, f"{where}.")
    prices = item.get("itemPrice")
    for price in prices if isinstance(prices, list) else []:
        if isinstance(price, dict):
            yield from _members(price, f"{where}.itemPrice.")
    product = item.get("product", {})
    if not isinstance(product, dict):
        yield f"{where}.product must be an object"
        return
    yield from _members(product, f"{where}.product.")


def _members(owner: dict[str, Any], where: str) -> Iterator[str]:
    """Check the objects directly inside one object for their mandatory attributes."""
    for name in _LISTS:
        if name in owner and not isinstance(owner[name], list):
            yield f"{where}{name} must be a list"
    for name, mandatory in _MANDATORY.items():
        held = owner.get(name)
        members = held if isinstance(held, list) else [] if held is None else [held]
        for member in members:
            if not isinstance(member, dict):
                yield f"{where}{name} must hold objects"
                continue
            for attribute in mandatory:
                value = member.get(attribute)
                # An empty text is a value, but no name, id or role.
                if value is None or (value == "" and attribute != "value"):
                    yield f"{where}{name}.{attribute} is mandatory"


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
