"""What `make test-faults` shows: a bar while a seed is played, and at the end a table of all."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.ordering.faulting import Felt

# Of the simulator's counts, those that are no faults.
NO_FAULTS = {"callback_delivered", "callback_failed", "callback_given_up"}


@dataclass(frozen=True)
class Played:
    """One seed that was played to its end, both sides being equal."""

    seed: int
    seconds: float
    told: dict[str, int]
    felt: Felt
    restarts: int
    faults: Counter[str]


@dataclass
class Plays:
    """All seeds of a run."""

    console: Console = field(default_factory=lambda: Console(width=150))
    played: list[Played] = field(default_factory=list)

    @contextlib.contextmanager
    def bar(self, seed: int, sales: int) -> Iterator[Any]:
        """Show how many sales of a seed have ended; gives what takes what is left."""
        columns = (
            TextColumn("seed {task.fields[seed]}"),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f} ended; left: {task.fields[left]}"),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=self.console) as progress:
            task = progress.add_task("", total=sales, seed=seed, left="")

            def show(left: Counter[str]) -> None:
                words = ", ".join(f"{count} {state}" for state, count in sorted(left.items()))
                progress.update(task, completed=sales - left.total(), left=words or "none")

            yield show

    def show(self) -> None:
        """Print the table, and how often each fault was met in all seeds together."""
        table = Table(title="Sales through every fault: both sides are equal, each sale once")
        counts = ("sales", "POSTs", "tries", "changes", "cancelled", "amended", "in vain")
        names = ("seed", *counts, "faults", "kills", "cuts", "hours away")
        for name in (*names, "restarts of PostgreSQL", "seconds"):
            table.add_column(name, justify="right")
        faults: Counter[str] = Counter()
        for one in self.played:
            faults += one.faults
            kills = ", ".join(f"{count} {name}" for name, count in sorted(one.felt.kills.items()))
            cells = (
                one.seed,
                *(one.told[name] for name in counts),
                one.faults.total(),
                kills,
                one.felt.cuts,
                one.felt.hours_away,
                one.restarts,
                f"{one.seconds:.0f}",
            )
            table.add_row(*map(str, cells))
        self.console.print(table)
        told = ", ".join(f"{name} {count}" for name, count in faults.most_common())
        self.console.print(f"faults met: {told}", soft_wrap=True)
