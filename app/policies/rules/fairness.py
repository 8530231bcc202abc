"""How groups of customers fare by the month; a small group must not tell of one customer."""

from collections.abc import Iterable
from datetime import date
from itertools import groupby
from typing import NamedTuple

from app.policies.rules.promotion import GroupKind


class Fared(NamedTuple):
    """What became of a group's visits in a month, given by its first day.

    `visits` are those in which something could be offered, `offered` those in which something was.
    `cancelled` are acceptances that came to nothing.
    """

    month: date
    kind: GroupKind
    group: str
    visits: int
    offered: int
    pitched: int
    accepted: int
    cancelled: int


class Shown(NamedTuple):
    """A group as it is shown; `fared` None has too few visits, or would tell of one that has."""

    month: date
    kind: GroupKind
    group: str
    fared: Fared | None


def shown(rows: Iterable[Fared], least: float) -> list[Shown]:
    """Mask groups with fewer visits than `least`, in the order of months, kinds and groups.

    Groups of each kind come to the same sum. So where one alone would be masked, the next smallest
    is masked with it, or the one could be worked out from the groups of another kind.
    """
    found = []
    ordered = sorted(rows, key=lambda row: (row.month, row.kind, row.group))
    for _, alike in groupby(ordered, key=lambda row: (row.month, row.kind)):
        groups = list(alike)
        by_size = sorted(groups, key=lambda row: (row.visits, row.group))
        small = sum(row.visits < least for row in by_size)
        masked = {row.group for row in by_size[: max(small, 2) if small else 0]}
        found += [
            Shown(row.month, row.kind, row.group, None if row.group in masked else row)
            for row in groups
        ]
    return found
