"""Tables: what was measured, and whether the marks were met."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One figure with a mark to reach; both bounds are inclusive."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool:
        """Tell whether the mark was reached."""
        return (self.at_most is None or self.value <= self.at_most) and (
            self.at_least is None or self.value >= self.at_least
        )

    def mark(self) -> str:
        """Say the mark in words."""
        if self.at_most is not None:
            return f"<= {shown(self.at_most)} {self.unit}"
        assert self.at_least is not None
        return f">= {shown(self.at_least)} {self.unit}"


def shown(number: float) -> str:
    """Write a number with the digits that mean something."""
    if abs(number) >= 100:
        return f"{number:,.0f}"
    return f"{number:.1f}" if abs(number) >= 10 else f"{number:.2f}"


def milliseconds(seconds: float) -> str:
    """Write a duration given in seconds as milliseconds."""
    return shown(seconds * 1000)


def table(console: Console, title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; the first column is words, the others are numbers."""
    made = Table(title=title, title_justify="left", title_style="bold")
    for place, column in enumerate(columns):
        made.add_column(column, justify="left" if place == 0 else "right")
    for row in rows:
        made.add_row(*row)
    console.print(made)


def marks(console: Console, figures: list[Figure]) -> None:
    """Print the figures that have marks, and which were met."""
    made = Table(title="Marks", title_justify="left", title_style="bold")
    made.add_column("figure", no_wrap=True)
    made.add_column("measured", justify="right")
    made.add_column("mark", justify="right")
    made.add_column("")
    for figure in figures:
        verdict = "[green]met[/]" if figure.met else "[red]not met[/]"
        measured = f"{shown(figure.value)} {figure.unit}"
        made.add_row(figure.name, measured, figure.mark(), verdict)
    console.print(made)
