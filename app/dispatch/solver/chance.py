"""Chance, compiled: a stream of random numbers that is the same on every machine."""

import numpy as np
from numpy.typing import NDArray

from app.dispatch.solver.jit import inlined


@inlined
def draw(rng: NDArray[np.uint64]) -> int:
    """Draw 53 random bits (xorshift64*, Vigna 2016)."""
    x = rng[0]
    x ^= x >> np.uint64(12)
    x ^= x << np.uint64(25)
    x ^= x >> np.uint64(27)
    rng[0] = x
    return int((x * np.uint64(2685821657736338717)) >> np.uint64(11))


@inlined
def below(rng: NDArray[np.uint64], bound: int) -> int:
    """Draw a whole number from 0 to bound - 1."""
    return draw(rng) % bound


@inlined
def unit(rng: NDArray[np.uint64]) -> float:
    """Draw a number above 0 and at most 1."""
    return (draw(rng) + 1) * (1.0 / (1 << 53))
