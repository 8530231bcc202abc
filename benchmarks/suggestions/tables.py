"""What was foretold and what was played, as tables with the marks to reach."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from app.suggestions.rules import Group
from benchmarks.report import Figure, table
from benchmarks.suggestions import losses, offline, people
from benchmarks.suggestions.numbers import Floats, auc, auc_among_alike, calibration_error
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
        figures.append(
            Figure("published calls in time order: AUC", found[0].auc, "", at_least=0.72)
        )
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
    """Show what each policy earned as a share of perfect play, what it lost by, and what it broke.

    Where a customer belongs to the group that is offered nothing for the sake of comparison, nobody
    decides, neither a policy nor perfect play: shares leave those visits out, for all alike. What a
    policy decides itself are the visits of its own group, the same for all by the customer and
    the month; beside them are the customers who get any allowed offer alike.
    """
    columns = [_column(best, best, _parts(None, len(best)), None)]
    columns += [_column(one.values, best, _parts(one, len(best)), one) for one in seasons.values()]
    words = [
        *(f"its own visits, {when}" for when in _parts(None, len(best)).own),
        "its own visits",
        "and customers who get any allowed offer",
        "and customers who are offered nothing",
        "yuan a visit",
        "pitched",
        "accepted",
        "how far chances are off (ECE)",
        "who accepts: AUC, all offers",
        "who accepts: AUC, within an offer",
        "rules broken",
    ]
    table(
        console,
        "Value as a share of perfect play, and what was foretold",
        ["", "perfect play", *seasons],
        [list(row) for row in zip(words, *columns, strict=True)],
    )
    _lost(console, best, seasons)
    for name, one in seasons.items():
        for rule, count in sorted(one.broken.items()):
            console.print(f"{name} broke {rule!r} {count} times.", style="red")
        if one.pushed:
            share = one.pushed / one.winners
            console.print(f"{name}: campaigns changed {share:.1%} of {one.winners:,} winners.")
        if one.estimates:
            _estimates(console, name, one)
    return _marks(best, seasons)


def _lost(console: Console, best: Floats, seasons: Mapping[str, Played]) -> None:
    rows = [
        [words, *(f"{one.losses.by_cause[cause] / best.sum():.3f}" for one in seasons.values())]
        for cause, words in losses.WORDS.items()
    ]
    whole = [f"{1 - one.values.sum() / best.sum():.3f}" for one in seasons.values()]
    table(
        console,
        "What all visits lost, as a share of perfect play",
        ["by", *seasons],
        [*rows, ["together", *whole]],
    )


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


@dataclass(frozen=True)
class _Parts:
    """Visits by who decided in them: the policy, by time; any allowed offer alike; nobody."""

    own: Mapping[str, Flags]
    all_own: Flags
    decided: Flags


def _parts(one: Played | None, visits: int) -> _Parts:
    at = np.arange(visits)
    groups = np.array(one.groups if one else [Group.POLICY.value] * visits)
    own = groups == Group.POLICY
    times = {
        f"first {min(FIRST, visits):,}": at < FIRST,
        "from then on": at >= (FIRST if visits > FIRST else 0),
        f"last {min(LAST, visits):,}": at >= visits - LAST,
    }
    return _Parts(
        {words: own & when for words, when in times.items()}, own, groups != Group.HOLDOUT
    )


def _column(values: Floats, best: Floats, parts: _Parts, one: Played | None) -> list[str]:
    everybody = np.ones(len(best), bool)
    told = [
        *(
            f"{_share(values, best, which):.3f}"
            for which in (*parts.own.values(), parts.all_own, parts.decided, everybody)
        ),
        f"{values.mean() / 100:.2f}",
    ]
    if one is None:
        return [*told, "", "", "", "", "", ""]
    offers, chances, said = _answers(one)
    return [
        *told,
        f"{one.pitches:,}",
        f"{one.accepted / max(1, one.pitches):.3f}",
        f"{calibration_error(chances, said):.3f}",
        f"{auc(chances, said):.3f}",
        f"{auc_among_alike(offers, chances, said):.3f}",
        str(sum(one.broken.values())),
    ]


def _answers(one: Played) -> tuple[list[str], Floats, Floats]:
    """Part what was pitched into the offers, the chances foretold, and what was said (1 is yes)."""
    return (
        [answer.offer for answer in one.answers],
        np.array([answer.chance for answer in one.answers]),
        np.array([float(answer.accepted) for answer in one.answers]),
    )


def _marks(best: Floats, seasons: Mapping[str, Played]) -> list[Figure]:
    """Hold the policies' own decisions against the marks, and all visits but the no-offer group."""
    at = np.arange(len(best))
    broken = sum(sum(one.broken.values()) for one in seasons.values())
    figures = [Figure("rules broken, all policies", broken, "", at_most=0)]

    def marked(words: str, name: str, when: Flags, least: float, beside: Floats) -> None:
        one = seasons[name]
        parts = _parts(one, len(best))
        unit = "" if beside is best else "x"
        for group, which in (("own", parts.all_own), ("own and any-offer", parts.decided)):
            share = _share(one.values, beside, which & when)
            figures.append(Figure(f"{words}, {group}", share, unit, at_least=least))

    if "cold start" in seasons:
        marked("cold start, first 2,000: share", "cold start", at < FIRST, 0.75, best)
    if "learned" in seasons:
        marked("learned, all: share", "learned", at >= 0, 0.84, best)
        marked(f"learned, last {LAST:,}: share", "learned", at >= len(best) - LAST, 0.84, best)
        # Each was foretold by what was learned until the night before.
        _, chances, said = _answers(seasons["learned"])
        told_apart = auc(chances, said)
        figures.append(Figure("who accepts, in time order: AUC", told_apart, "", at_least=0.72))
    if {"learned", "rules-only"} <= set(seasons) and len(best) > FIRST:
        rules = seasons["rules-only"].values
        marked("learned beside rules-only, from 2,000 on", "learned", at >= FIRST, 1, rules)
        last = at >= len(best) - LAST
        marked(f"learned beside rules-only, last {LAST:,}", "learned", last, 1, rules)
    return figures


def _share(values: Floats, best: Floats, which: Flags) -> float:
    return float(values[which].sum() / best[which].sum())
