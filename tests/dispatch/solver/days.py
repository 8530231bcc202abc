"""Days to plan: small ones for the properties, and a clock that only the test moves."""

import numpy as np

from app.dispatch.solver import FAR, Costs, Plan, Problem, Technicians, Visits, travel_by_speed

HOUR = 3_600


def day(seed: int, *, n: int = 24, v: int = 5, grids: int = 4, frozen: bool = True) -> Problem:
    """A district's day with everything in it: windows, due times, skills, stock, pins, lunch,
    a published plan, shares of work, and visits that have begun."""
    draw = np.random.default_rng(seed)
    places = n + v
    hard = draw.random(n) < 0.4
    opens = np.where(hard, draw.integers(8, 17, n) * HOUR, 0)
    priority = draw.integers(0, 4, n)
    visits = Visits.of(
        np.arange(n),
        draw.integers(15, 90, n) * 60,
        grid=draw.integers(0, grids, n),
        opens=opens,
        closes=np.where(hard, opens + 2 * HOUR, FAR),
        due=np.where(draw.random(n) < 0.5, draw.integers(9, 18, n) * HOUR, FAR),
        late_weight=np.array([4, 2, 1, 1])[priority],
        unplaced=60 * np.array([480, 240, 150, 100])[priority],
        skills=1 << draw.integers(0, 3, n),
        needs=(draw.random((n, 2)) < 0.3) * draw.integers(1, 3, (n, 2)),
        pinned=np.where(draw.random(n) < 0.05, draw.integers(0, v, n), -1),
        published=np.where(draw.random(n) < 0.6, draw.integers(0, v, n), -1),
    )
    staff = Technicians.of(
        np.arange(n, places),
        draw.integers(28_000, 32_000, v),
        draw.integers(60_000, 64_800, v),
        skills=draw.integers(1, 8, v) | 1,
        stock=draw.integers(0, 6, (v, 2)),
        lunch_from=41_400,
        lunch_until=46_800,
        lunch_length=np.where(draw.random(v) < 0.8, 2_700, 0),
        share=18_000,
    )
    x, y = draw.uniform(0, 12_000, places), draw.uniform(0, 12_000, places)
    begun: Plan = ()
    if frozen:
        begun = tuple((int(i),) if draw.random() < 0.3 else () for i in draw.permutation(n)[:v])
    return Problem(
        visits,
        staff,
        travel_by_speed(x, y, metres_per_second=6, least=60),
        draw.integers(0, 4, (grids, v)).astype(np.uint8),
        Costs(moved=300, uneven=200),
        begun,
    )


def vans(seed: int, *, n: int = 40, v: int = 12) -> Problem:
    """A delivery round with equal vans, as in the published instances: the search goes by
    neighbours there."""
    draw = np.random.default_rng(seed)
    opens = draw.integers(0, 600, n)
    x, y = draw.uniform(0, 100, n + 1), draw.uniform(0, 100, n + 1)
    return Problem(
        Visits.of(
            np.arange(1, n + 1),
            10,
            opens=opens,
            closes=opens + draw.integers(20, 300, n),
            unplaced=100_000,
            needs=draw.integers(1, 30, (n, 1)),
        ),
        Technicians.of(np.zeros(v), 0, 1_000, stock=np.full((v, 1), 200)),
        travel_by_speed(x, y, metres_per_second=1, detour=1),
        np.zeros((1, v), np.uint8),
    )


class Clock:
    """Tells a little more at each look, so that a search in seconds is the same everywhere."""

    def __init__(self, tick: float = 0.02) -> None:
        self.now, self.tick = 0.0, tick

    def __call__(self) -> float:
        self.now += self.tick
        return self.now
