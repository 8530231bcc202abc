"""The smallest honest order to place."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.ordering.order import Channel, Item, ItemAction, OrderToPlace, Party

SHANGHAI = ZoneInfo("Asia/Shanghai")


def make_order(**changes: Any) -> OrderToPlace:
    """One offering for one customer by one technician; `changes` replace fields."""
    given: dict[str, Any] = {
        "external_id": "0195-sale-1",
        "category": "broadband",
        "requested_start": datetime(2026, 3, 2, 9, 30, tzinfo=SHANGHAI),
        "customer": Party("c-1", "王小明"),
        "sales_agent": Party("t-1", "李工"),
        "channel": Channel("visit", "装维随销"),
        "items": (Item(id="1", action=ItemAction.ADD, offering_code="FTTR-1000"),),
    }
    return OrderToPlace(**(given | changes))
