"""Chance that falls the same way in every Python.

Of `random.Random` only `random()` is promised to stay the same from version to version, so all
else is built on it here. Every part of the city throws dice of its own name: a change in one part
leaves the others as they were.
"""

import hashlib
import random
from collections.abc import Mapping, Sequence
from typing import TypeVar
from uuid import UUID

T = TypeVar("T")


class Dice:
    """A named stream of chance under a seed."""

    def __init__(self, seed: int, name: str) -> None:
        digest = hashlib.sha256(f"{seed}/{name}".encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big")).random

    def chance(self, share: float) -> bool:
        """Say yes in this share of throws."""
        return self._random() < share

    def between(self, least: float, most: float) -> float:
        """Throw a number, evenly from `least` to `most`."""
        return least + (most - least) * self._random()

    def whole(self, least: int, most: int) -> int:
        """Throw a whole number, evenly from `least` to `most`, both included."""
        return least + int(self._random() * (most - least + 1))

    def pick(self, things: Sequence[T]) -> T:
        """Pick one of some things."""
        return things[int(self._random() * len(things))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """Pick one of some things by their weights."""
        left = self._random() * sum(weights.values())
        for thing, weight in weights.items():
            left -= weight
            if left < 0:
                return thing
        return thing

    def shuffled(self, things: Sequence[T]) -> list[T]:
        """Put things in another order (Fisher and Yates)."""
        mixed = list(things)
        for last in range(len(mixed) - 1, 0, -1):
            other = self.whole(0, last)
            mixed[last], mixed[other] = mixed[other], mixed[last]
        return mixed


def id_of(seed: int, *names: object) -> UUID:
    """Make the id of a named thing of a seed: a UUIDv8 (RFC 9562), the same each time."""
    digest = hashlib.sha256("/".join(map(str, (seed, *names))).encode()).digest()
    number = int.from_bytes(digest[:16], "big")
    # The four bits of the version and the two of the variant.
    number = number & ~(0xF << 76) | 0x8 << 76
    return UUID(int=number & ~(0x3 << 62) | 0x2 << 62)
