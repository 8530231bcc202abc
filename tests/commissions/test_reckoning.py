"""How much of a commission is credited when, to the fen."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.commissions.rules.flags import Limits, Returns, above_peers
from app.commissions.rules.reckoning import (
    Part,
    credited,
    first_part,
    left_of_first,
    left_of_second,
    month_of,
)
from app.core.db import new_id

MONTH = date(2026, 3, 1)
SOMEBODY, UNIT = new_id(), new_id()
WHOSE = (SOMEBODY, MONTH)
LIMITS = Limits(least_sales=10, least_peer_sales=50, least_returns=3, times_peers=2)


def part(fen: int) -> Part:
    return Part(new_id(), SOMEBODY, UNIT, MONTH, fen)


@pytest.mark.parametrize(
    ("commission", "percent", "first"),
    [(3000, 60, 1800), (3333, 60, 1999), (1, 60, 0), (1, 100, 1), (5, 0, 0)],
)
def test_the_first_part_is_rounded_down(commission, percent, first):
    assert first_part(commission, percent) == first


@settings(max_examples=50)
@given(st.integers(0, 10**9), st.integers(0, 100))
def test_both_parts_are_the_commission(commission, percent):
    first = first_part(commission, percent)
    assert 0 <= first <= commission
    assert 0 <= 100 * commission * percent - 100 * 100 * first < 100 * 100


@settings(max_examples=50)
@given(
    st.lists(st.integers(0, 10_000), max_size=12),
    st.integers(-5_000, 30_000),
    st.integers(0, 30_000),
)
def test_a_month_never_passes_its_cap_and_nothing_is_lost(fens, so_far, cap):
    credits = credited([part(fen) for fen in fens], {WHOSE: so_far}, {WHOSE: cap})
    assert [one.fen + one.cut_fen for one in credits] == fens
    assert all(one.fen >= 0 and one.cut_fen >= 0 for one in credits)
    then = so_far + sum(one.fen for one in credits)
    assert then == max(so_far, min(so_far + sum(fens), cap))


@settings(max_examples=50)
@given(st.lists(st.integers(1, 10**7), min_size=1, max_size=8), st.integers(0, 100))
def test_whatever_comes_back_both_parts_are_what_stands(items, percent):
    whole = sum(items)
    first = first_part(whole, percent)
    second = whole - first
    for fen in items:
        before, whole = whole, whole - fen
        first, second = left_of_first(first, before, whole), left_of_second(second, before, whole)
        assert first >= 0 and second >= 0 and first + second == whole


def test_a_month_is_that_of_the_org_unit():
    at = datetime(2026, 3, 31, 16, 30, tzinfo=UTC)
    assert month_of(at, ZoneInfo("Asia/Shanghai")) == date(2026, 4, 1)


@pytest.mark.parametrize(
    ("found", "flagged"),
    [
        (Returns(10, 3, 50, 5), True),
        (Returns(9, 9, 50, 0), False),
        (Returns(10, 3, 49, 0), False),
        (Returns(10, 2, 50, 0), False),
        (Returns(10, 3, 50, 0), True),
        (Returns(20, 4, 50, 5), False),
    ],
)
def test_returns_are_flagged_above_twice_the_peers_share_and_with_enough_sales(found, flagged):
    assert above_peers(found, LIMITS) is flagged
