"""Which ways that were driven are learned from: a phone says much that was no way at all."""

from dataclasses import dataclass
from enum import StrEnum


class Cut(StrEnum):
    """Why a way is not learned from."""

    TOO_SHORT = "too_short"  # set out and arrived were tapped together
    TOO_LONG = "too_long"  # arrived was tapped late, or there was something in between
    TOO_NEAR = "too_near"  # the stairs decided, not the way
    TOO_FAST = "too_fast"
    TOO_SLOW = "too_slow"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a way has to keep to: seconds, metres of the straight line, and km/h along it."""

    least_seconds: float
    most_seconds: float
    least_metres: float
    slowest_kmh: float
    fastest_kmh: float


def cut(seconds: int, metres: int, bounds: Bounds) -> Cut | None:
    """Say why a way is not learned from; None when it is."""
    if seconds < bounds.least_seconds:
        return Cut.TOO_SHORT
    if seconds > bounds.most_seconds:
        return Cut.TOO_LONG
    if metres < bounds.least_metres:
        return Cut.TOO_NEAR
    kmh = metres / max(seconds, 1) * 3.6
    if kmh > bounds.fastest_kmh:
        return Cut.TOO_FAST
    if kmh < bounds.slowest_kmh:
        return Cut.TOO_SLOW
    return None


def took(by_device: int | None, by_server: int, bounds: Bounds) -> int:
    """Say how many seconds a way took: by the phone's clock where that says something plausible,
    since the server hears of both steps at once after a time without a signal."""
    if by_device is not None and bounds.least_seconds <= by_device <= bounds.most_seconds:
        return by_device
    return max(by_server, 0)
