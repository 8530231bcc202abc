"""What a way takes, what is learned of ways, and which of those driven are learned from."""

from app.travel.rules.learned import ALL_DAY, NOTHING, Learned
from app.travel.rules.parameters import (
    DETOUR,
    GETTING_THERE,
    KEPT_DAYS,
    LEARN_HOUR,
    LEAST_TRIPS,
    LEAST_UNIT_TRIPS,
    ROADS_KEPT_DAYS,
    ROADS_MOST,
    ROADS_REACH,
    SPEED,
    TRIP_FASTEST,
    TRIP_LEAST,
    TRIP_LEAST_METRES,
    TRIP_MOST,
    TRIP_SLOWEST,
    UNKNOWN,
    WINDOW_DAYS,
)
from app.travel.rules.travel import Place, Travel
from app.travel.rules.trips import Bounds, Cut, cut, took

__all__ = [
    "ALL_DAY",
    "DETOUR",
    "GETTING_THERE",
    "KEPT_DAYS",
    "LEARN_HOUR",
    "LEAST_TRIPS",
    "LEAST_UNIT_TRIPS",
    "NOTHING",
    "ROADS_KEPT_DAYS",
    "ROADS_MOST",
    "ROADS_REACH",
    "SPEED",
    "TRIP_FASTEST",
    "TRIP_LEAST",
    "TRIP_LEAST_METRES",
    "TRIP_MOST",
    "TRIP_SLOWEST",
    "UNKNOWN",
    "WINDOW_DAYS",
    "Bounds",
    "Cut",
    "Learned",
    "Place",
    "Travel",
    "cut",
    "took",
]
