"""Published instances: the text format of Solomon (1987) and of Gehring and Homberger (1999).

The folder holds `NAME.txt` files and `best-known.csv` with lines `NAME,DISTANCE`. Distances count
as in the 12th DIMACS challenge: cut off to one decimal; the number of vehicles has no price.
"""

import csv
from pathlib import Path

import numpy as np

from app.dispatch.solver import Problem, Technicians, Visits

SIZES = (100, 200, 400, 1_000)
CLASSES = ("C1", "C2", "R1", "R2", "RC1", "RC2")
TENTHS = 10
LEFT_OUT = 5_000_000
"""Leaving a customer out costs more than any plan does."""


def load(path: Path) -> Problem:
    """Read an instance; the number of vehicles and the capacity stand before the customers."""
    rows = []
    for line in path.read_text().splitlines():
        try:
            numbers = [float(word) for word in line.split()]
        except ValueError:
            continue
        if numbers:
            rows.append(numbers)
    vehicles, capacity = (int(number) for number in rows[0])
    table = np.array(rows[1:])
    depot, customers = table[0], table[1:]
    across, along = table[:, 1], table[:, 2]
    line = np.hypot(across[:, None] - across, along[:, None] - along)
    fleet = min(vehicles, len(customers))
    return Problem(
        Visits.of(
            np.arange(1, len(table)),
            customers[:, 6] * TENTHS,
            opens=customers[:, 4] * TENTHS,
            closes=customers[:, 5] * TENTHS,
            unplaced=LEFT_OUT,
            needs=customers[:, 3:4],
        ),
        Technicians.of(
            np.zeros(fleet),
            depot[4] * TENTHS,
            depot[5] * TENTHS,
            stock=np.full((fleet, 1), capacity),
        ),
        np.floor(line * TENTHS).astype(np.int32),
        np.zeros((1, fleet), np.uint8),
    )


def chosen(folder: Path, each: int) -> dict[int, list[tuple[Path, int]]]:
    """The instances to run by size, `each` of every class spread evenly over its numbers, with the
    best known distance in tenths."""
    with (folder / "best-known.csv").open() as lines:
        best = {name: round(float(distance) * TENTHS) for name, distance in csv.reader(lines)}
    found: dict[int, list[tuple[Path, int]]] = {size: [] for size in SIZES}
    for size in SIZES:
        for kind in CLASSES:
            names = sorted(
                (name for name in best if _is(name, kind, size)),
                key=lambda name: (len(name), name),
            )
            names = [name for name in names if (folder / f"{name}.txt").exists()]
            if not names:
                continue
            step = len(names) / min(each, len(names))
            for k in range(min(each, len(names))):
                name = names[int((k + 0.5) * step)]
                found[size].append((folder / f"{name}.txt", best[name]))
    return found


def _is(name: str, kind: str, size: int) -> bool:
    if size == 100:
        return "_" not in name and name.startswith(kind) and len(name) == len(kind) + 2
    return name.startswith(f"{kind}_{size // 100}_")
