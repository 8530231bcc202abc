"""Reads of visits: a technician's day, the steps already taken, and what is behind a door."""

from app.visits.queries.acceptance import code_accepted, codes_sent
from app.visits.queries.day import DAY, DayRow, day_of, zone_of_unit
from app.visits.queries.door import (
    BehindTheDoor,
    LineOfCustomer,
    OrderOfCustomer,
    TerminalOfCustomer,
    behind_the_door,
)
from app.visits.queries.steps import open_visit, own, steps_taken, worked_so_far

__all__ = [
    "DAY",
    "BehindTheDoor",
    "DayRow",
    "LineOfCustomer",
    "OrderOfCustomer",
    "TerminalOfCustomer",
    "behind_the_door",
    "code_accepted",
    "codes_sent",
    "day_of",
    "open_visit",
    "own",
    "steps_taken",
    "worked_so_far",
    "zone_of_unit",
]
