"""Contiguous blocks, and which empty neighbours join them: tables, and properties on any map."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.territory.rules.blocks import RankBy, blocks, candidates, ranked

# Seven grids on a road, the third and the fifth empty: 0-1-[2]-3-[4]-5-6, and 7 stands alone.
ROAD = [(n, n + 1) for n in range(6)]
COVERED = [0, 1, 3, 5, 6, 7]
CUSTOMERS = {0: 10, 1: 20, 2: 5, 3: 40, 4: 90, 5: 1, 6: 2, 7: 300}


@pytest.mark.parametrize(
    "covered, borders, found",
    [
        ([], ROAD, []),
        ([4], [], [[4]]),
        ([1, 2, 3], [], [[1], [2], [3]]),
        ([1, 2, 3], [(1, 2), (2, 3)], [[1, 2, 3]]),
        ([1, 3], [(1, 2), (2, 3)], [[1], [3]]),  # an empty one between does not hold them together
        (COVERED, ROAD, [[0, 1], [3], [5, 6], [7]]),
        ([1, 2, 3, 4], [(4, 3), (2, 1), (1, 4)], [[1, 2, 3, 4]]),
    ],
)
def test_blocks(covered, borders, found):
    assert blocks(covered, borders) == found


def test_empty_neighbours_join_or_extend():
    found = candidates(blocks(COVERED, ROAD), ROAD, CUSTOMERS)
    assert [(one.grid, one.joins, one.customers) for one in found] == [
        (2, (0, 1), 5),
        (4, (1, 2), 90),
    ]
    assert [(one.grids_after, one.customers_after) for one in found] == [(4, 75), (4, 133)]


@pytest.mark.parametrize(
    "by, top, order",
    [
        (RankBy.JOINS, 9, [11, 10, 12]),
        (RankBy.CUSTOMERS, 9, [12, 11, 10]),
        (RankBy.CUSTOMERS, 1, [12]),
    ],
)
def test_ranks(by, top, order):
    """10 and 11 join two blocks, 12 extends one; customers break ties, then the number."""
    borders = [(0, 10), (1, 10), (0, 11), (1, 11), (0, 12)]
    customers = {0: 1, 1: 1, 10: 5, 11: 6, 12: 99}
    found = candidates([[0], [1]], borders, customers)
    assert [one.grid for one in ranked(found, by, top)] == order


# --- any map --------------------------------------------------------------------------------------


@st.composite
def maps(draw):
    """Up to ten grids, any borders between them, some of them covered."""
    number = draw(st.integers(0, 10))
    pairs = list(combinations(range(number), 2))
    borders = draw(st.lists(st.sampled_from(pairs), unique=True)) if pairs else []
    covered = [n for n in range(number) if draw(st.booleans())]
    customers = {n: draw(st.integers(0, 500)) for n in range(number)}
    return borders, covered, customers


def reachable(grid, covered, borders):
    """By hand: all covered grids one comes to from a covered one."""
    seen, waiting = {grid}, [grid]
    while waiting:
        here = waiting.pop()
        for pair in borders:
            if here in pair:
                (there,) = set(pair) - {here}
                if there in covered and there not in seen:
                    seen.add(there)
                    waiting.append(there)
    return seen


@given(maps())
def test_blocks_share_out_the_covered_grids(given_map):
    borders, covered, _ = given_map
    found = blocks(covered, borders)
    assert sorted(grid for block in found for grid in block) == covered
    for block in found:
        assert set(block) == reachable(block[0], set(covered), borders)


@given(maps())
def test_covering_a_neighbour_joins_exactly_the_blocks_it_borders(given_map):
    borders, covered, customers = given_map
    found = blocks(covered, borders)
    told = {one.grid: one for one in candidates(found, borders, customers)}
    for empty in set(customers) - set(covered):
        after = blocks([*covered, empty], borders)
        (its_own,) = (block for block in after if empty in block)
        joined = {place for place, block in enumerate(found) if set(block) <= set(its_own)}
        assert {frozenset(block) for block in after} == {
            frozenset(its_own),
            *(frozenset(block) for place, block in enumerate(found) if place not in joined),
        }
        assert (empty in told) is bool(joined)
        if joined:
            one = told[empty]
            assert set(one.joins) == joined
            assert len(after) == len(found) + 1 - len(joined)
            assert one.grids_after == len(its_own)
            assert one.customers_after == sum(customers[grid] for grid in its_own)


@given(maps(), st.sampled_from(RankBy), st.integers(1, 12))
def test_the_ranking_is_the_best_of_all(given_map, by, top):
    borders, covered, customers = given_map
    found = blocks(covered, borders)
    said = ranked(candidates(found, borders, customers), by, top)

    def worth(empty):
        joined = len(found) + 1 - len(blocks([*covered, empty], borders))
        pair = (joined, customers[empty])
        return pair if by is RankBy.JOINS else pair[::-1]

    beside = [
        empty
        for empty in sorted(set(customers) - set(covered))
        if any(empty in pair and set(pair) & set(covered) for pair in borders)
    ]
    best = sorted(beside, key=lambda empty: (*(-figure for figure in worth(empty)), empty))
    assert [one.grid for one in said] == best[:top]
