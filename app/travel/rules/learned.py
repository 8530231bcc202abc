"""What was learned of ways between pairs of grids, kept small: sorted numbers, no objects.

A province knows some 100,000 pairs; with their hours that is some 400,000 numbers, 5 MB here, and
a hundred as a dictionary. Pure.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

ALL_DAY = -1
"""Stands for the hour where something is of all hours together."""

SLOTS = 25
"""The 24 hours, and all of them together, which comes first."""


@dataclass(frozen=True, slots=True, eq=False)
class Learned:
    """Median seconds for each metre of the straight line, by grids (from, to) and local hour.

    `grids` numbers the grids; `keys` are sorted, `(from * len(grids) + to) * SLOTS + hour + 1`,
    and `paces` has one number a key.
    """

    grids: Mapping[UUID, int]
    keys: NDArray[np.int64]
    paces: NDArray[np.float32]
    # The same keys for bisect, which takes far less than numpy to look up a single one.
    _sorted: Any = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Keep the keys in the form in which a single one is found fastest."""
        object.__setattr__(self, "_sorted", np.ascontiguousarray(self.keys).data)

    @staticmethod
    def of(paces: Mapping[tuple[UUID, UUID, int], float]) -> "Learned":
        """Make it from seconds a metre by (from, to, hour)."""
        return Learned.laid_out(
            [start for start, _, _ in paces],
            [end for _, end, _ in paces],
            np.array([hour for _, _, hour in paces], np.int64),
            np.array(list(paces.values()), np.float32),
        )

    @staticmethod
    def laid_out(
        starts: Sequence[UUID],
        ends: Sequence[UUID],
        hours: NDArray[np.int64],
        paces: NDArray[np.float32],
    ) -> "Learned":
        """Make it from columns of equal length, in any order."""
        grids = {grid: number for number, grid in enumerate(sorted({*starts, *ends}))}
        first = np.fromiter((grids[each] for each in starts), np.int64, len(starts))
        second = np.fromiter((grids[each] for each in ends), np.int64, len(ends))
        keys = (first * len(grids) + second) * SLOTS + hours + 1
        order = np.argsort(keys)
        return Learned(grids, keys[order], np.ascontiguousarray(paces[order], np.float32))

    def __len__(self) -> int:
        """How many medians there are."""
        return len(self.keys)

    @property
    def nbytes(self) -> int:
        """What the numbers weigh, in bytes."""
        return int(self.keys.nbytes + self.paces.nbytes)

    def pace(
        self, start: UUID | None, end: UUID | None, hour: int, swing: float = 1.0
    ) -> float | None:
        """Seconds a metre at that hour, else at any, times `swing`; None: nothing was learned.

        `swing` says how much slower this hour is than others where more is known of hours.
        """
        if start is None or end is None:
            return None
        first, second = self.grids.get(start), self.grids.get(end)
        if first is None or second is None:
            return None
        pair = (first * len(self.grids) + second) * SLOTS
        place = bisect_left(self._sorted, pair)
        # The pair's numbers lie together, that of all hours first.
        if place == len(self._sorted) or self._sorted[place] >= pair + SLOTS:
            return None
        if hour != ALL_DAY:
            wanted = pair + hour + 1
            at = bisect_left(self._sorted, wanted, place)
            if at < len(self._sorted) and self._sorted[at] == wanted:
                return float(self.paces[at])
        return float(self.paces[place]) * swing if self._sorted[place] == pair else None

    def table(
        self, grids: Sequence[UUID | None], hour: int, swing: float = 1.0
    ) -> NDArray[np.float64]:
        """What `pace` says of each grid to each other, shape (G, G); NaN: nothing was learned."""
        numbers = np.array(
            [-1 if grid is None else self.grids.get(grid, -1) for grid in grids], np.int64
        )
        pairs = (numbers[:, None] * len(self.grids) + numbers[None, :]) * SLOTS
        found = self._find(pairs) * swing
        if hour != ALL_DAY:
            at_hour = self._find(pairs + hour + 1)
            found = np.where(np.isnan(at_hour), found, at_hour)
        found[(numbers < 0)[:, None] | (numbers < 0)[None, :]] = np.nan
        return found

    def _find(self, keys: NDArray[np.int64]) -> NDArray[np.float64]:
        if not len(self.keys):
            return np.full(keys.shape, np.nan)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, self.paces[places].astype(np.float64), np.nan)


NOTHING = Learned({}, np.empty(0, np.int64), np.empty(0, np.float32))
