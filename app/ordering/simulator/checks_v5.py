"""What the simulator demands of a v5 body, written from the published schema alone. Pure.

It shares no code with our codec, so that a mistake there is met here as it would be by the real
ordering system.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

_ACTIONS = {"add", "modify", "delete", "noChange"}
_LONGEST = 4000
# The types by the attribute that holds them, each with the attributes that are mandatory in it.
_TYPES: dict[str, dict[str, tuple[str, ...]]] = {
    "externalId": {"ExternalIdentifier": ("id",)},
    "relatedParty": {"RelatedPartyOrPartyRole": ("role",)},
    "partyOrPartyRole": {"PartyRef": ("id",), "PartyRoleRef": ("id",)},
    "note": {"Note": ()},
    "productOrderItem": {"ProductOrderItem": ("id", "action")},
    "productOffering": {"ProductOfferingRef": ("id",)},
    "product": {"Product": (), "ProductRef": ("id",)},
    "productCharacteristic": {
        "BooleanCharacteristic": ("name", "value"),
        "StringCharacteristic": ("name", "value"),
        "NumberCharacteristic": ("name", "value"),
        "IntegerCharacteristic": ("name", "value"),
    },
    "itemPrice": {"OrderPrice": ("priceType", "price")},
    "priceAlteration": {"PriceAlteration": ("priceType", "price")},
    "appointment": {"AppointmentRef": ("id",)},
}
# An attribute of one name holds different things in an order and in what it is related by.
_RELATED: dict[str, tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]] = {
    "channel": ({"RelatedChannel": ("role", "channel")}, {"ChannelRef": ("id",)}),
    "place": ({"RelatedPlaceRefOrValue": ("role", "place")}, {"PlaceRef": ("id",)}),
    "price": ({"Price": ()}, {"Price": ()}),
}
_LISTS = (
    "externalId",
    "relatedParty",
    "note",
    "productOrderItem",
    "productCharacteristic",
    "itemPrice",
    "priceAlteration",
)


def faults_in(body: object) -> list[str]:
    """List what is wrong with a ProductOrder_FVO, one sentence each; empty when it is good."""
    if not isinstance(body, dict):
        return ["The body must be a JSON object"]
    return [*_order(body)][:20]


def _order(body: dict[str, Any]) -> Iterator[str]:
    if body.get("@type") != "ProductOrder":
        yield "@type is mandatory and must be ProductOrder"
    for name in ("href", "state", "creationDate", "completionDate"):
        if name in body:
            yield f"{name} is set by this system and must not be sent"
    if not _is_time(body.get("requestedStartDate", "2026-01-01T00:00:00Z")):
        yield "requestedStartDate must be a date-time of RFC 3339"
    items = body.get("productOrderItem")
    if not isinstance(items, list) or not items:
        yield "productOrderItem is mandatory and must hold at least one item"
        return
    yield from _members(body, "")
    ids = [str(item.get("id")) for item in items if isinstance(item, dict)]
    if len(set(ids)) < len(ids):
        yield "productOrderItem.id must be unique within the order"
    for item in items:
        if not isinstance(item, dict):
            continue
        if item.get("action") not in _ACTIONS:
            yield "productOrderItem.action must be one of add, modify, delete, noChange"
        if item.get("action") == "add" and "productOffering" not in item:
            yield "productOrderItem.productOffering is mandatory for the action add"


def _members(owner: dict[str, Any], where: str) -> Iterator[str]:
    """Check the objects inside one object, and those inside them."""
    for name, held in owner.items():
        if isinstance(held, str) and len(held) > _LONGEST:
            yield f"{where}{name} must be a text of at most {_LONGEST} characters"
        types = _TYPES.get(name)
        if name in _RELATED:
            types = _RELATED[name][0 if isinstance(held, list) or name == "price" else 1]
        if types is None:
            continue
        if name in _LISTS and not isinstance(held, list):
            yield f"{where}{name} must be a list"
            continue
        for member in held if isinstance(held, list) else [held]:
            yield from _member(member, types, f"{where}{name}")


def _member(member: object, types: dict[str, tuple[str, ...]], where: str) -> Iterator[str]:
    if not isinstance(member, dict):
        yield f"{where} must hold objects"
        return
    mandatory = types.get(str(member.get("@type")))
    if mandatory is None:
        yield f"{where}.@type is mandatory and must be one of {', '.join(types)}"
        return
    for attribute in mandatory:
        value = member.get(attribute)
        # An empty text is a value, but no name, id or role.
        if value is None or (value == "" and attribute != "value"):
            yield f"{where}.{attribute} is mandatory"
    yield from _members(member, f"{where}.")


def _is_time(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        return False
