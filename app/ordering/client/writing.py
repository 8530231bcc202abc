"""What both versions of TMF622 write in the same way. Pure."""

from datetime import UTC, datetime
from typing import Any

from app.sales.rules import Discount


def utc(moment: datetime) -> str:
    """Write an aware moment in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def yuan(fen: int) -> float:
    """Write fen as yuan: the nearest double, which prints with at most two places."""
    return fen / 100


def alteration(discount: Discount) -> dict[str, Any]:
    """Write what is taken off a monthly price, from the first month on, as a PriceAlteration of
    v4; v5 says the types in it besides."""
    return {
        "priceType": "recurring",
        "recurringChargePeriod": "month",
        "applicationDuration": discount.months,
        "unitOfMeasure": "month",
        "price": {"percentage": discount.percent},
    }


def kind_of_value(value: str | int | float | bool) -> str:
    """Name the type of a characteristic's value as JSON does."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"
