"""Which grid a point belongs to when several cover it, and what a degree measures."""

from itertools import permutations

import pytest

from app.grids.rules import Cover, metres_per_degree, settle


@pytest.mark.parametrize(
    "covers, winner",
    [
        ([], None),
        ([Cover("B", False, 3.0)], "B"),
        # A list of buildings was written on purpose: it wins even from the border itself.
        ([Cover("A", False, 400.0), Cover("B", True, 0.0)], "B"),
        ([Cover("A", True, 1.0), Cover("B", True, 2.0)], "B"),
        # Deepest inside wins.
        ([Cover("A", False, 5.0), Cover("B", False, 80.0), Cover("C", False, 79.0)], "B"),
        # On a shared border both are at nothing: the lower code, by code point.
        ([Cover("0502", False, 0.0), Cover("0501", False, 0.0)], "0501"),
        ([Cover("b", False, 0.0), Cover("B", False, 0.0)], "B"),
        ([Cover("网格2", False, 0.0), Cover("Z", False, 0.0)], "Z"),
        # A hair of rounding is no depth; a centimetre is.
        ([Cover("A", False, 0.0), Cover("B", False, 1e-9)], "A"),
        ([Cover("A", False, 0.0), Cover("B", False, 0.01)], "B"),
    ],
)
def test_ties_between_grids(covers, winner):
    for order in permutations(covers):
        chosen = settle(order)
        assert (chosen and chosen.code) == winner


@pytest.mark.parametrize(
    "lat, east, north",
    [
        (0.0, 111_319.49, 110_574.28),
        (45.0, 78_846.84, 111_131.78),
        (-45.0, 78_846.84, 111_131.78),
        # At a pole a degree of longitude is nothing; a metre keeps divisions by it finite.
        (90.0, 1.0, 111_693.98),
    ],
)
def test_metres_in_a_degree(lat, east, north):
    assert metres_per_degree(lat) == pytest.approx((east, north), abs=0.01)
