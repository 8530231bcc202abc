"""Which ratio holds for an org unit at an hour: its own, else that of a unit above it. Pure."""

from collections.abc import Mapping

from app.travel.rules.learned import ALL_DAY, SLOTS
from app.travel.rules.travel import AS_EXPECTED

Ratios = Mapping[str, Mapping[int, float]]
"""What was learned of org units: ratios by path and local hour (-1: at any)."""


def ratios_of(ratios: Ratios, org_path: str) -> tuple[float, ...]:
    """Say how much longer ways take than by distance, at any hour and then by hour.

    Of each hour the closest unit that knows anything says it: of that hour, else of any. Without a
    path, the top of the organisation is asked.
    """
    if not ratios:
        return AS_EXPECTED
    path = org_path or min(ratios, key=lambda one: (one.count("."), one))
    parts = path.rstrip(".").split(".")
    units = [ratios.get(".".join(parts[:size]) + ".") for size in range(len(parts), 0, -1)]
    known = [unit for unit in units if unit]

    def at(hour: int) -> float:
        for unit in known:
            found = unit.get(hour, unit.get(ALL_DAY))
            if found is not None:
                return found
        return 1.0

    return tuple(at(slot - 1) for slot in range(SLOTS))
