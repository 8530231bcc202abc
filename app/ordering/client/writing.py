"""What both versions of TMF622 write in the same way. Pure."""

from datetime import UTC, datetime


def utc(moment: datetime) -> str:
    """Write an aware moment in UTC, to the millisecond."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def yuan(fen: int) -> float:
    """Write fen as yuan: the nearest double, which prints with at most two places."""
    return fen / 100


def kind_of_value(value: str | int | float | bool) -> str:
    """Name the type of a characteristic's value as JSON does."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "number"
