"""Contiguous blocks of covered grids, and which empty neighbours would join or add the most.

Grids are numbers here, whatever they stand for: 5,000 of them have some 20,000 shared borders.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.core.i18n import Words
from app.core.parameters import Parameter

# Grids are drawn along walls and kerbs, so a street often lies between two of them: up to a
# six-lane one they count as sharing a border. Neighbours are kept up to 50 m apart.
SHARED_BORDER = Parameter(
    name="grids.shared_border_m",
    default=30,
    unit="m",
    words=Words(
        zh="相距多少米以内的网格视为相邻（连片）",
        en="How far apart grids may lie and still count as sharing a border",
    ),
    most=50,
)


class RankBy(StrEnum):
    """What the next grid is chosen for: the most blocks joined, or the most customers added."""

    JOINS = "joins"
    CUSTOMERS = "customers"


def blocks(covered: Collection[int], borders: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Gather covered grids into blocks that hang together over borders between two of them.

    Every covered grid is in exactly one block; blocks and the grids in them come in the order in
    which `covered` names them.
    """
    parent = {grid: grid for grid in covered}

    def root(grid: int) -> int:
        while parent[grid] != grid:
            parent[grid] = parent[parent[grid]]
            grid = parent[grid]
        return grid

    for one, other in borders:
        if one in parent and other in parent:
            parent[root(one)] = root(other)
    found: dict[int, list[int]] = {}
    for grid in covered:
        found.setdefault(root(grid), []).append(grid)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class Candidate:
    """An empty grid beside at least one block, and what covering it would make.

    `joins` are the places of the blocks it borders, in the list they were given in; `customers`
    are its own, which are added; `grids_after` and `customers_after` are of the block it would be
    in.
    """

    grid: int
    joins: tuple[int, ...]
    customers: int
    grids_after: int
    customers_after: int


def candidates(
    found: Sequence[Sequence[int]],
    borders: Iterable[tuple[int, int]],
    customers: Mapping[int, int],
) -> list[Candidate]:
    """List the grids in no block that border one, in the order of their numbers.

    `customers` is by grid, and names every grid there is.
    """
    block_of = {grid: place for place, block in enumerate(found) for grid in block}
    bordered: dict[int, set[int]] = {}
    for pair in borders:
        for empty, covered in (pair, pair[::-1]):
            if empty not in block_of and covered in block_of:
                bordered.setdefault(empty, set()).add(block_of[covered])
    sizes = [len(block) for block in found]
    served = [sum(customers[grid] for grid in block) for block in found]
    return [
        Candidate(
            grid=grid,
            joins=tuple(sorted(places)),
            customers=customers[grid],
            grids_after=1 + sum(sizes[place] for place in places),
            customers_after=customers[grid] + sum(served[place] for place in places),
        )
        for grid, places in sorted(bordered.items())
    ]


def ranked(found: Iterable[Candidate], by: RankBy, top: int) -> list[Candidate]:
    """Rank candidates by the one figure and then the other, then by the number of the grid."""

    def key(one: Candidate) -> tuple[int, int, int]:
        joins, customers = -len(one.joins), -one.customers
        first, second = (joins, customers) if by is RankBy.JOINS else (customers, joins)
        return first, second, one.grid

    return sorted(found, key=key)[:top]
