"""What whoever keeps a board is told: whose days to ask for again, or to ask for all of it."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

# So many people's days are asked for in one request; where more have changed, all of it is.
MOST_NAMED = 200


class Changed(NamedTuple):
    """Whose days have changed, through which orders (as far as they were named), and whether what
    nobody has, and what the unit is alerted to, are others; all in their order."""

    technicians: list[str]
    orders: list[str]
    unplaced: bool
    alerts: bool


def concerns(org_path: str, facts: Mapping[str, Any]) -> bool:
    """Tell whether a message of `tell_change` is about a unit's subtree."""
    path: str = facts["path"]
    return path.startswith(org_path)


def gathered(messages: Iterable[Mapping[str, Any]]) -> Changed | None:
    """Gather some messages into one; None when they name too many to ask for one by one."""
    technicians: set[str] = set()
    orders: set[str] = set()
    unplaced = alerts = False
    for facts in messages:
        if facts["technicians"] is None:
            return None
        technicians.update(facts["technicians"])
        orders.update(facts["orders"] or ())
        unplaced = unplaced or facts["unplaced"]
        alerts = alerts or facts.get("alerts", False)
    if len(technicians) > MOST_NAMED:
        return None
    return Changed(sorted(technicians), sorted(orders), unplaced, alerts)
