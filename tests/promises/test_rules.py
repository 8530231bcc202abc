"""Until when an order is due, and which promise counts."""

from datetime import UTC, date, datetime, time
from zoneinfo import ZoneInfo

import pytest

from app.core.db import new_id
from app.grids.rules import GridKind
from app.promises import rules
from app.promises.rules import Clock, Per, Promise
from app.worktypes.rules import WorkType

SHANGHAI = ZoneInfo("Asia/Shanghai")


def promise(code: str = "p", **fields):
    given = {
        "id": new_id(),
        "code": code,
        "org_path": "",
        "work_type": WorkType.REPAIR,
        "value_tier": None,
        "grid_kind": None,
        "clock": Clock.CALENDAR,
        "compensation_fen": 1000,
        "compensation_per": Per.DAY,
        "compensation_cap_fen": 10_000,
        "valid_from": date(2020, 1, 1),
        "valid_to": None,
        "cut_off": time(16, 0),
        "due_time": time(18, 0),
        "hours_after": 24.0,
    }
    return Promise(**{**given, **fields})


def local(text: str, zone: ZoneInfo = SHANGHAI) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=zone)


@pytest.mark.parametrize(
    ("reported", "cut_off", "due"),
    [
        ("2026-03-02T08:30", time(16, 0), "2026-03-02T18:00"),  # early: the same day
        ("2026-03-02T15:59", time(16, 0), "2026-03-02T18:00"),  # just in time
        ("2026-03-02T16:00", time(16, 0), "2026-03-03T16:00"),  # too late: so many hours after
        ("2026-03-02T23:30", time(16, 0), "2026-03-03T23:30"),
        ("2026-03-02T00:10", time(16, 0), "2026-03-02T18:00"),  # local midnight is past, UTC's not
        ("2026-03-02T08:30", None, "2026-03-03T08:30"),  # no cut-off: always so many hours after
    ],
)
def test_when_an_order_is_due(reported, cut_off, due):
    found = rules.due_at(local(reported).astimezone(UTC), SHANGHAI, promise(cut_off=cut_off))
    assert found == local(due)
    assert found.utcoffset() is not None


def test_a_promise_counts_hours_and_not_the_clock_across_a_change_of_time():
    zone = ZoneInfo("America/New_York")  # clocks went forward on 8 March 2015 at 2:00
    found = rules.due_at(local("2015-03-07T17:00", zone), zone, promise())
    assert found == local("2015-03-08T18:00", zone)


@pytest.mark.parametrize(
    ("promises", "path", "day", "code"),
    [
        ([promise("all")], "gd.sz.", date(2026, 3, 2), "all"),
        ([promise("all"), promise("sz", org_path="gd.sz.")], "gd.sz.ns.", date(2026, 3, 2), "sz"),
        ([promise("all"), promise("gz", org_path="gd.gz.")], "gd.sz.ns.", date(2026, 3, 2), "all"),
        (  # the later of two that are in force
            [promise("old"), promise("new", valid_from=date(2026, 3, 2))],
            "gd.",
            date(2026, 3, 2),
            "new",
        ),
        (  # not in force yet
            [promise("old"), promise("new", valid_from=date(2026, 3, 3))],
            "gd.",
            date(2026, 3, 2),
            "old",
        ),
        ([promise("past", valid_to=date(2026, 3, 2))], "gd.", date(2026, 3, 2), None),
        ([promise("install", work_type=WorkType.INSTALL)], "gd.", date(2026, 3, 2), None),
        ([], "gd.", date(2026, 3, 2), None),
    ],
)
def test_which_promise_is_in_force(promises, path, day, code):
    found = rules.promise_for(promises, WorkType.REPAIR, path, day)
    assert (found and found.code) == code


VIP = promise("vip", value_tier="gold")
TOWER = promise("tower", grid_kind=GridKind.BUSINESS_BUILDING)
LATER = promise("later", valid_from=date(2026, 3, 1))


@pytest.mark.parametrize(
    ("tier", "kind", "code"),
    [
        (None, None, "later"),  # what is not known fits only what asks nothing
        ("gold", None, "vip"),  # a tier before a later rule for all
        ("gold", GridKind.BUSINESS_BUILDING, "vip"),  # and before a kind of place
        ("silver", GridKind.BUSINESS_BUILDING, "tower"),
        ("silver", GridKind.VILLAGE, "later"),
    ],
)
def test_a_promise_for_few_counts_before_one_for_many(tier, kind, code):
    found = rules.promise_for(
        [VIP, TOWER, LATER],
        WorkType.REPAIR,
        "gd.",
        date(2026, 3, 2),
        value_tier=tier,
        grid_kind=kind,
    )
    assert found and found.code == code


def test_a_closer_unit_counts_before_a_tier():
    closer = promise("closer", org_path="gd.sz.")
    found = rules.promise_for(
        [VIP, closer], WorkType.REPAIR, "gd.sz.ns.", date(2026, 3, 2), value_tier="gold"
    )
    assert found is closer
