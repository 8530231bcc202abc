"""Who is asked for a grid's orders, in which order, and on which days; no database."""

from datetime import date
from uuid import UUID

import pytest

from app.grids.rules.asking import Candidate, Kind, in_order_of_asking

EARLY, LATE = date(2026, 1, 1), date(2026, 2, 1)


def who(number: int) -> UUID:
    return UUID(int=number)


def test_the_order_of_asking():
    asked = [
        Candidate(who(1), Kind.NEIGHBOUR, 1, 40.0),
        Candidate(who(2), Kind.NEIGHBOUR, 1, 5.0),
        Candidate(who(3), Kind.BACKUP, 2, 0.0),
        Candidate(who(4), Kind.BACKUP, 1, 0.0),
        Candidate(who(5), Kind.PRIMARY, 1, 0.0),
        Candidate(who(6), Kind.LOAN, 1, 0.0),
    ]
    found = in_order_of_asking(asked)
    assert [one.technician_id.int for one in found] == [6, 5, 4, 3, 2, 1]


def test_of_two_backups_of_one_rank_the_one_who_was_there_first_is_asked_first():
    asked = [
        Candidate(who(1), Kind.BACKUP, 1, 0.0, valid_from=LATE),
        Candidate(who(2), Kind.BACKUP, 1, 0.0, valid_from=EARLY),
        Candidate(who(3), Kind.BACKUP, 1, 0.0, valid_from=EARLY),
    ]
    assert [one.technician_id.int for one in in_order_of_asking(asked)] == [2, 3, 1]


def test_nobody_is_asked_twice_as_a_neighbour():
    found = in_order_of_asking(
        [
            Candidate(who(1), Kind.NEIGHBOUR, 1, 9.0),
            Candidate(who(1), Kind.NEIGHBOUR, 1, 5.0),
            Candidate(who(2), Kind.NEIGHBOUR, 1, 1.0),
            Candidate(who(2), Kind.BACKUP, 1, 0.0),
        ]
    )
    assert [(one.technician_id.int, one.kind, one.distance_m) for one in found] == [
        (2, Kind.BACKUP, 0.0),
        (1, Kind.NEIGHBOUR, 5.0),
    ]


@pytest.mark.parametrize(
    ("fields", "day", "belongs"),
    [
        ({}, "2026-03-02", True),
        ({"valid_from": date(2026, 3, 2)}, "2026-03-01", False),
        ({"valid_from": date(2026, 3, 2)}, "2026-03-02", True),
        ({"valid_to": date(2026, 3, 2)}, "2026-03-01", True),
        ({"valid_to": date(2026, 3, 2)}, "2026-03-02", False),  # the last day is excluded
        ({"weekdays": 0b0011111}, "2026-03-06", True),  # a Friday
        ({"weekdays": 0b0011111}, "2026-03-07", False),  # a Saturday
        ({"weekdays": 0b1000000}, "2026-03-08", True),  # a Sunday
    ],
)
def test_on_which_days_somebody_belongs_to_a_grid(fields, day, belongs):
    candidate = Candidate(who(1), Kind.PRIMARY, 1, 0.0, **fields)
    assert candidate.on(date.fromisoformat(day)) is belongs
