"""What was foretold and what was played, as tables with the marks to reach."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from app.suggestions.rules import Group
from benchmarks.report import Figure, table
from benchmarks.suggestions import offline, people
from benchmarks.suggestions.numbers import Floats, calibration_error
from benchmarks.suggestions.offline import Foretold
from benchmarks.suggestions.playing import Played

FIRST, LAST = 2_000, 5_000

Flags = NDArray[np.bool_]


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


def played(console: Console, best: Floats, seasons: Mapping[str, Played]) -> list[Figure]:
    """Show what each policy earned as a share of perfect play, and what it broke.

    Where a customer belongs to the group that is offered nothing for the sake of comparison, nobody
    decides, neither a policy nor perfect play: shares leave those visits out, for all alike.
    """
    decided = _decided(seasons, len(best))
    rows = [_row("perfect play", best, best, decided, np.ones(len(best), bool), None)]
    for name, one in seasons.items():
        own = np.array([group == Group.POLICY for group in one.groups])
        rows.append(_row(name, one.values, best, decided, own, one))
    columns = [
        "",
        f"first {min(FIRST, len(best)):,}",
        f"all {len(best):,}",
        f"last {min(LAST, len(best)):,}",
        "its own group",
        "with no-offer group",
        "yuan a visit",
        "pitched",
        "accepted",
        "ECE",
        "rules broken",
    ]
    table(console, "Value as a share of perfect play", columns, rows)
    for name, one in seasons.items():
        for rule, count in sorted(one.broken.items()):
            console.print(f"{name} broke {rule!r} {count} times.", style="red")
        if one.pushed:
            share = one.pushed / one.winners
            console.print(f"{name}: campaigns changed {share:.1%} of {one.winners:,} winners.")
        if one.estimates:
            _estimates(console, name, one)
    return _marks(best, seasons, decided)


def _estimates(console: Console, name: str, one: Played) -> None:
    rows = []
    for policy in one.estimates:
        for method, estimate in policy.replayed.estimates.items():
            rows.append(
                [
                    f"{policy.name}, {method.upper()}",
                    f"{estimate.value / 100:.2f}",
                    f"{estimate.low / 100:.2f} .. {estimate.high / 100:.2f}",
                    f"{policy.truth / 100:.2f}",
                    f"{policy.replayed.effective:,.0f}",
                ]
            )
    columns = ["", "estimate", "95 %", "truth", "effective"]
    table(console, f"Yuan a decision of others, from the log of {name}", columns, rows)


def _decided(seasons: Mapping[str, Played], visits: int) -> Flags:
    """Mark the visits in which every policy may offer something."""
    decided = np.ones(visits, bool)
    for one in seasons.values():
        decided &= np.array([group != Group.HOLDOUT for group in one.groups])
    return decided


def _row(
    name: str, values: Floats, best: Floats, decided: Flags, own: Flags, one: Played | None
) -> list[str]:
    def share(which: Flags) -> str:
        return f"{_share(values, best, which):.3f}"

    at = np.arange(len(best))
    row = [
        name,
        share(decided & (at < FIRST)),
        share(decided),
        share(decided & (at >= len(best) - LAST)),
        share(decided & own),
        share(np.ones(len(best), bool)),
        f"{values.mean() / 100:.2f}",
    ]
    if one is None:
        return [*row, "", "", "", ""]
    chances = np.array([chance for chance, _ in one.foretold])
    answers = np.array([float(accepted) for _, accepted in one.foretold])
    return [
        *row,
        f"{one.pitches:,}",
        f"{one.accepted / max(1, one.pitches):.3f}",
        f"{calibration_error(chances, answers):.3f}",
        str(sum(one.broken.values())),
    ]


def _marks(best: Floats, seasons: Mapping[str, Played], decided: Flags) -> list[Figure]:
    at = np.arange(len(best))
    broken = sum(sum(one.broken.values()) for one in seasons.values())
    figures = [Figure("rules broken, all policies", broken, "", at_most=0)]
    if cold := seasons.get("cold start"):
        share = _share(cold.values, best, decided & (at < FIRST))
        figures.append(Figure("cold start, first 2,000: share", share, "", at_least=0.75))
    if learned := seasons.get("learned"):
        for words, which in (("all", at >= 0), (f"last {LAST:,}", at >= len(best) - LAST)):
            share = _share(learned.values, best, decided & which)
            figures.append(Figure(f"learned, {words}: share", share, "", at_least=0.84))
        if rules := seasons.get("rules-only"):
            for words, since in (
                ()
                if len(best) <= FIRST
                else (
                    ("from the first 2,000 on", FIRST),
                    (f"last {LAST:,}", len(best) - LAST),
                )
            ):
                share = _share(learned.values, rules.values, decided & (at >= since))
                figures.append(
                    Figure(f"learned beside rules-only, {words}", share, "x", at_least=1)
                )
    return figures


def _share(values: Floats, best: Floats, which: Flags) -> float:
    return float(values[which].sum() / best[which].sum())
