"""How skills and shifts are written, and what a leave must be."""

from datetime import UTC, datetime, time, timedelta

import pytest

from app.core.cells import NotReadable
from app.core.errors import Invalid
from app.technicians import rules


@pytest.mark.parametrize(
    ("cell", "skills"),
    [
        ("fibre:3; copper", {"fibre": 3, "copper": 1}),
        ("iptv:5;", {"iptv": 5}),
        ("", {}),
    ],
)
def test_skills(cell, skills):
    assert rules.skills_from(cell) == skills


@pytest.mark.parametrize("cell", ["fibre:6", "fibre:0", "Fibre", "fibre;fibre:2", "a b", "fibre:"])
def test_skills_that_cannot_be_read(cell):
    with pytest.raises(NotReadable):
        rules.skills_from(cell)


def test_shifts_of_a_week():
    assert rules.shifts_from("sat 09:00-12:00; mon-tue 8:30-12:00 13:30-18:00") == [
        (0, time(8, 30), time(12, 0)),
        (0, time(13, 30), time(18, 0)),
        (1, time(8, 30), time(12, 0)),
        (1, time(13, 30), time(18, 0)),
        (5, time(9, 0), time(12, 0)),
    ]


@pytest.mark.parametrize(
    "cell",
    [
        "mon",
        "fri-mon 08:00-12:00",
        "monday 08:00-12:00",
        "mon 12:00-08:00",
        "mon 08:00-25:00",
        "mon 8-12",
        "mon 08:00-12:00 11:00-18:00",
        "mon-fri 08:00-12:00; wed 09:00-10:00",
    ],
)
def test_shifts_that_cannot_be_read(cell):
    with pytest.raises(NotReadable):
        rules.shifts_from(cell)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(hours=-1), timedelta(days=367)])
def test_a_leave_ends_after_it_starts_and_within_a_year(length):
    starts_at = datetime(2026, 3, 2, tzinfo=UTC)
    with pytest.raises(Invalid):
        rules.leave_in_order(starts_at, starts_at + length)
    rules.leave_in_order(starts_at, starts_at + timedelta(days=366))
