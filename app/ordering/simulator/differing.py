"""How the simulator brings it about that the two sides differ, for reconciliation to find. Pure."""

from typing import Any

from app.core.simulating import luck
from app.ordering.simulator.dials import Dials


def drawn(dials: Dials, name: str, key: str, nth: int) -> bool:
    """Draw whether the nth order of an externalId meets what the dial of this name is for."""
    share: float = getattr(dials, name)
    return share > 0 and luck(dials.seed, name, key, nth) < share


def dearer(order: dict[str, Any]) -> dict[str, Any]:
    """Return the order with one yuan more for each price."""
    return {**order, "productOrderItem": [_dearer(item) for item in order["productOrderItem"]]}


def _dearer(item: dict[str, Any]) -> dict[str, Any]:
    prices = []
    for each in item.get("itemPrice", []):
        amount = each["price"]["taxIncludedAmount"]
        more = {**amount, "value": amount["value"] + 1}
        prices.append({**each, "price": {**each["price"], "taxIncludedAmount": more}})
    return {**item, "itemPrice": prices} if prices else item


def nobodys(order: dict[str, Any], id_: str, href: str) -> dict[str, Any]:
    """Return an order like this one that nobody has sent: it carries our channel, and no id."""
    kept = {name: value for name, value in order.items() if name != "externalId"}
    return {**kept, "id": id_, "href": href}
