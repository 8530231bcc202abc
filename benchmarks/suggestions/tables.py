"""What was foretold and what was played, as tables with the marks to reach."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.report import Figure, table
from benchmarks.suggestions import offline, people
from benchmarks.suggestions.field import Field
from benchmarks.suggestions.numbers import Floats, calibration_error
from benchmarks.suggestions.offline import Foretold
from benchmarks.suggestions.playing import Played

FIRST = 2_000


def foretold(console: Console, folder: Path, seed: int) -> list[Figure]:
    """Foretell leaving and buying from the published rows of a folder; nothing without them."""
    figures: list[Figure] = []
    if rows := people.rows_of(folder, people.TELCO):
        found = offline.leaving(rows, seed)
        _foretold(console, f"Who leaves: {len(rows):,} customers, folds held out", found)
        best = max(found, key=lambda one: one.auc)
        figures += [
            Figure("leaving: AUC on held rows", best.auc, "", at_least=0.84),
            Figure("leaving: lift of the top tenth", best.lift, "x", at_least=2.6),
            Figure("leaving: calibration error", best.calibration_error, "", at_most=0.03),
        ]
    if calls := people.rows_of(folder, people.BANK):
        found = offline.buying(calls)
        _foretold(console, f"Who buys: {len(calls):,} sales calls in the order of time", found)
        figures.append(Figure("buying in time order: AUC", found[0].auc, "", at_least=0.72))
    return figures


def _foretold(console: Console, title: str, found: list[Foretold]) -> None:
    rows = [
        [
            one.name,
            f"{one.rows:,}",
            f"{one.auc:.3f}",
            f"{one.lift:.2f}",
            f"{one.calibration_error:.3f}",
        ]
        for one in found
    ]
    table(console, title, ["", "rows", "AUC", "lift", "calibration error"], rows)


def played(
    console: Console, field: Field, best: Floats, seasons: Mapping[str, Played]
) -> list[Figure]:
    """Show what each policy earned as a share of perfect play, and what it broke."""
    rows = [["perfect play", "1.00", "1.00", f"{best.mean() / 100:.2f}", "", "", "", ""]]
    for name, one in seasons.items():
        chances = np.array([chance for chance, _ in one.foretold])
        answers = np.array([float(accepted) for _, accepted in one.foretold])
        rows.append(
            [
                name,
                f"{_share(one.values[:FIRST], best[:FIRST]):.3f}",
                f"{_share(one.values, best):.3f}",
                f"{one.values.mean() / 100:.2f}",
                f"{one.pitches:,}",
                f"{one.accepted / max(1, one.pitches):.3f}",
                f"{calibration_error(chances, answers):.3f}",
                str(sum(one.broken.values())),
            ]
        )
    columns = [
        "policy",
        f"share, first {min(FIRST, len(best)):,}",
        f"share, all {len(best):,}",
        "yuan a visit",
        "pitched",
        "accepted",
        "calibration error",
        "rules broken",
    ]
    table(console, f"Value of {len(best):,} visits beside perfect play", columns, rows)
    for name, one in seasons.items():
        for rule, count in sorted(one.broken.items()):
            console.print(f"{name} broke {rule!r} {count} times.", style="red")
    return _marks(best, seasons)


def _marks(best: Floats, seasons: Mapping[str, Played]) -> list[Figure]:
    figures = [
        Figure(
            "rules broken, all policies",
            sum(sum(one.broken.values()) for one in seasons.values()),
            "",
            at_most=0,
        )
    ]
    if cold := seasons.get("cold start"):
        share = _share(cold.values[:FIRST], best[:FIRST])
        figures.append(Figure("cold start, first 2,000: share", share, "", at_least=0.75))
    if learned := seasons.get("learned"):
        figures.append(
            Figure("learned, all: share", _share(learned.values, best), "", at_least=0.84)
        )
        if rules := seasons.get("rules-only"):
            figures.append(
                Figure(
                    "learned beside rules-only, all",
                    float(learned.values.sum() / rules.values.sum()),
                    "x",
                    at_least=1,
                )
            )
    return figures


def _share(values: Floats, best: Floats) -> float:
    return float(values.sum() / best.sum())
