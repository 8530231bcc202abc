"""What a person may put in place of what a sale says, for the ordering system to take it. Pure.

What was sold and for how much is not among it: that is what the customer agreed to. The numbers
name the same customer, address and technician as the sale does, as the ordering system calls them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from app.core.errors import Invalid

# A start farther away than that is a slip of the hand.
_FARTHEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Correction:
    """The values put in place; None stays as the sale has it."""

    customer_number: str | None = None
    address_number: str | None = None
    technician_number: str | None = None
    requested_start: datetime | None = None
    note: str | None = None


def read(kept: Mapping[str, Any]) -> Correction:
    """Read corrections as they are kept in JSON."""
    given = dict(kept)
    if "requested_start" in given:
        given["requested_start"] = datetime.fromisoformat(given["requested_start"])
    return Correction(**given)


_NAMES = tuple(field.name for field in fields(Correction))


def written(correction: Correction) -> dict[str, str]:
    """Write what a correction changes, in the form that is kept in JSON."""
    values = {name: getattr(correction, name) for name in _NAMES}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def check_start(start: datetime | None, confirmed_at: datetime) -> None:
    """Check that a corrected start lies after the customer's consent and within a year of it.

    Raises Invalid.
    """
    if start is None or confirmed_at <= start <= confirmed_at + _FARTHEST:
        return
    message = f"must lie between {confirmed_at.isoformat()} and a year later"
    raise Invalid(errors=[{"field": "requested_start", "message": message}])
