"""Whether taking care keeps customers: the treated beside those who were left alone."""

from math import sqrt
from typing import NamedTuple

# The normal distribution's quantile of an interval that holds the truth 19 times out of 20.
_Z = 1.959964


class Kept(NamedTuple):
    """Of so many customers so many have not left."""

    kept: int
    of: int

    @property
    def share(self) -> float | None:
        """The share kept; None of nobody."""
        return round(self.kept / self.of, 4) if self.of else None


class Effect(NamedTuple):
    """By how much more of the treated were kept, and between what the truth lies (95 %)."""

    difference: float
    low: float
    high: float


def interval(counted: Kept) -> tuple[float, float]:
    """Give Wilson's 95 % interval of a share; (0, 1) of nobody."""
    kept, of = counted
    if of == 0:
        return 0.0, 1.0
    share, z2 = kept / of, _Z * _Z
    middle = (share + z2 / (2 * of)) / (1 + z2 / of)
    half = _Z / (1 + z2 / of) * sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def effect(treated: Kept, held_out: Kept) -> Effect | None:
    """Compare two groups by Newcombe's interval of a difference; None where one has nobody.

    The interval is honest for groups as small as those of a branch, where the usual one is not.
    """
    if not treated.of or not held_out.of:
        return None
    one, other = treated.kept / treated.of, held_out.kept / held_out.of
    (low_1, high_1), (low_2, high_2) = interval(treated), interval(held_out)
    difference = one - other
    low = difference - sqrt((one - low_1) ** 2 + (high_2 - other) ** 2)
    high = difference + sqrt((high_1 - one) ** 2 + (other - low_2) ** 2)
    return Effect(round(difference, 4), round(max(-1.0, low), 4), round(min(1.0, high), 4))
