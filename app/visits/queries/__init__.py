"""Reads of visits: a technician's day, the steps already taken, and what is behind a door."""

from app.visits.queries.acceptance import code_accepted, codes_sent
from app.visits.queries.assists import (
    Assistant,
    assistants_of,
    assisted,
    no_longer_assisted,
    open_assists,
)
from app.visits.queries.check_in import MarkedCheckIn, last_position, marked_check_ins
from app.visits.queries.day import DAY, DayRow, day_of, zone_of_unit
from app.visits.queries.door import (
    BehindTheDoor,
    Gone,
    LineOfCustomer,
    Measured,
    OrderOfCustomer,
    Recommended,
    Standing,
    TerminalOfCustomer,
    behind_the_door,
)
from app.visits.queries.doors import DoorRow, door_of, doors_to_come
from app.visits.queries.earlier import Earlier, visits_for
from app.visits.queries.steps import open_visit, own, steps_taken, worked_so_far

__all__ = [
    "DAY",
    "Assistant",
    "BehindTheDoor",
    "DayRow",
    "DoorRow",
    "Earlier",
    "Gone",
    "LineOfCustomer",
    "MarkedCheckIn",
    "Measured",
    "OrderOfCustomer",
    "Recommended",
    "Standing",
    "TerminalOfCustomer",
    "assistants_of",
    "assisted",
    "behind_the_door",
    "code_accepted",
    "codes_sent",
    "day_of",
    "door_of",
    "doors_to_come",
    "last_position",
    "marked_check_ins",
    "no_longer_assisted",
    "open_assists",
    "open_visit",
    "own",
    "steps_taken",
    "visits_for",
    "worked_so_far",
    "zone_of_unit",
]
