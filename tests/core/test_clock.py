"""Clocks that are handed from one process to another."""

from datetime import UTC, datetime, timedelta

import pytest

from app.core.clock import AwaitedClock, CompressedClock, SystemClock, clock_from, wall

SEVEN = datetime(2026, 3, 2, 7, tzinfo=UTC)


def test_a_clock_stands_until_it_is_said_how_it_goes_on_and_all_who_hold_it_agree(tmp_path):
    held = AwaitedClock(SEVEN, tmp_path / "clock")
    handed = clock_from(held.text())
    assert held.now() == handed.now() == SEVEN
    in_an_hour = SEVEN + timedelta(hours=1)
    assert handed.real(in_an_hour) - wall() > timedelta(minutes=59)
    began = wall() - timedelta(seconds=10)
    held.begin(CompressedClock(SEVEN, began, 360.0, timedelta(hours=11)))
    for clock in (held, handed, clock_from(held.text())):
        assert in_an_hour <= clock.now() < in_an_hour + timedelta(hours=1)
        assert clock.real(in_an_hour) == began + timedelta(seconds=10)


@pytest.mark.parametrize("text", ["await|", "await|yesterday|/tmp/clock", "2026-03-02|1"])
def test_what_is_no_clock_is_not_taken_for_one(text):
    with pytest.raises(ValueError):
        clock_from(text)
    assert isinstance(clock_from(""), SystemClock)
