"""When a night's work is cut: at an hour of the local night, also where clocks are put forward."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from app.core.nights import last_cut, next_cut

SHANGHAI, PARIS = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Paris")


def utc(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "zone", "cut", "following"),
    [
        ("2026-03-02T01:00", SHANGHAI, "2026-03-01T18:00", "2026-03-02T18:00"),
        ("2026-03-01T17:59", SHANGHAI, "2026-02-28T18:00", "2026-03-01T18:00"),
        ("2026-03-01T18:00", SHANGHAI, "2026-03-01T18:00", "2026-03-02T18:00"),
        # The night of 29 March has no two o'clock in Paris: a day of 23 hours.
        ("2026-03-28T12:00", PARIS, "2026-03-28T01:00", "2026-03-29T01:00"),
        ("2026-03-30T12:00", PARIS, "2026-03-30T00:00", "2026-03-31T00:00"),
    ],
)
def test_a_night_is_cut_at_two(now, zone, cut, following):
    assert last_cut(utc(now), zone, 2) == utc(cut)
    assert next_cut(utc(cut), zone, 2) == utc(following)
